"""As process 1 of a container: every orphan there is its child, and it reaps them before and after."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.faults.support import wait_until
from tests.harness import ROOT, Daemon, shell
from tests.upgrade.support import assert_in_order

_WAIT = 90.0
_ACTIONS = {"lone": shell("i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done")}
_APART = ("unshare", "--pid", "--fork", "--mount-proc")
# A session of its own, as containers have.
_LAUNCHER = """
import os, sys
command = [*{apart}, "setsid", sys.executable, {program!r}, *sys.argv[1:]]
os.execvp(command[0], command)
"""
# When the new program has been executed, but not taken over yet.
_AT_THE_MOMENT = "until grep -q /proc/self/fd /proc/1/cmdline; do sleep 0.01; done"


@pytest.fixture
def launcher(tmp_path: Path) -> Path:
    if os.geteuid() != 0 or not all(map(shutil.which, (_APART[0], "nsenter", "setsid"))):
        pytest.skip("namespaces of processes take root, and util-linux")
    tried = subprocess.run([*_APART, "true"], capture_output=True, timeout=30, check=False)
    if tried.returncode:
        pytest.skip(f"no namespaces of processes here: {tried.stderr.decode().strip()}")
    launcher = tmp_path / "launcher.py"
    launcher.write_text(_LAUNCHER.format(apart=_APART, program=str(ROOT / "sticky_overseer.py")))
    return launcher


def _children(pid: int) -> Iterator[int]:
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            yield from map(int, path.read_text().split())


def _adopted(server: int, script: str, apart: str = "") -> int:
    """Have a program that the server has not started leave another to it; returns that one's pid out here."""
    before = set(_children(server))
    within = ["nsenter", "--target", str(server), "--pid", "--mount"]
    program = [*within, "sh", "-c", f'{apart} sh -c "$0" </dev/null >/dev/null 2>&1 &', script]
    subprocess.run(program, check=True, timeout=_WAIT)
    found: list[int] = []

    def look() -> bool:
        for pid in set(_children(server)) - before:
            with suppress(OSError):
                if script in Path(f"/proc/{pid}/cmdline").read_bytes().decode():
                    found[:] = [pid]
        return bool(found)

    wait_until(look, _WAIT, "the adoption of an orphan")
    return found[0]


def _reaped(pid: int) -> None:
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), _WAIT, f"the reaping of {pid}")


def test_tasks_go_on_and_orphans_of_strangers_are_reaped_before_meanwhile_and_after(launcher: Path):
    with Daemon(program=launcher, actions=_ACTIONS) as daemon, daemon.connect() as client:
        (server,) = _children(daemon.pid)
        assert Path(f"/proc/{server}/status").read_text().partition("NSpid:")[2].split()[1] == "1"
        client.request("start", _WAIT, action="lone", task_id="lone")
        later = f"while [ ! -e {daemon.directory}/go ]; do sleep 0.05; done"
        for apart in ("", "setsid"):
            _reaped(_adopted(server, "sleep 0.5", apart))
        meanwhile = [_adopted(server, _AT_THE_MOMENT, apart) for apart in ("", "setsid")]
        staying = [_adopted(server, later, apart) for apart in ("", "setsid")]
        for _ in range(2):
            answer = client.request("upgrade", _WAIT)
            assert (answer["type"], answer["tasks"]) == ("upgraded", 1), answer
        for pid in meanwhile:
            _reaped(pid)
        assert set(staying) <= set(_children(server))
        (daemon.directory / "go").touch()
        for pid in staying:
            _reaped(pid)
        for apart in ("", "setsid"):
            _reaped(_adopted(server, "sleep 0.5", apart))
        client.send("stop", task_id="lone")
        client.expect("exited", _WAIT, task_id="lone")
        assert assert_in_order(client.messages, "lone") > 0
        os.kill(server, signal.SIGTERM)  # unshare itself takes none
        daemon.wait()
