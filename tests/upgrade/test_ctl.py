"""overseerctl upgrade: what it says and how it ends; and one that follows a task meanwhile."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

import overseer
from tests.auth.conftest import Certificates
from tests.harness import ROOT, Daemon, shell
from tests.harness.forking import CTL, Forked, ctls
from tests.upgrade.support import Installed, with_functions

_WAIT = 120.0
_VERSION = overseer.__version__
_LEFT = "the task function, the service of virtual"
_PAUSE = r"after a pause of \d+ ms\n"


@pytest.fixture(scope="module", autouse=True)
def _forking() -> None:
    ctls.start({**os.environ, "PYTHONPATH": str(ROOT)})


def _begin(daemon: Daemon, *arguments: str, url: str = "", **environment: str) -> subprocess.Popen[str]:
    return Forked(
        [*CTL, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OVERSEER_URL": url or daemon.url, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _ctl(daemon: Daemon, *arguments: str, **more: str) -> tuple[int, str, str]:
    with _begin(daemon, *arguments, **more) as running:
        try:
            out, err = running.communicate(timeout=_WAIT)
        except BaseException:
            running.kill()
            raise
    return running.returncode, out, err


def test_it_says_what_can_be_done_and_what_was() -> None:
    with Daemon(actions={"real": shell("sleep 60")}) as daemon, daemon.connect() as client:
        client.request("start", action="real", task_id="one")
        status, out, err = _ctl(daemon, "upgrade", "--check")
        kept = "1 running task and 2 clients"
        assert (status, out, err) == (0, f"the server can be upgraded: {_VERSION}; {kept} would go on\n", "")
        status, out, err = _ctl(daemon, "upgrade")
        assert (status, err) == (0, "")
        assert re.fullmatch(f"upgraded: {re.escape(_VERSION)}; {kept} went on, {_PAUSE}", out)
        assert client.info("one")["status"] == "running"


def test_programs_are_told_in_json(tmp_path: Path) -> None:
    with with_functions(tmp_path) as daemon, daemon.connect() as client:
        client.request("start", _WAIT, action="virtual", task_id="function")
        client.request("start", _WAIT, action="real", task_id="one")
        said = {"type": "upgraded", "from": "1.0", "to": "1.0", "clients": 2}
        status, out, err = _ctl(daemon, "upgrade", "--check", "--json")
        left = {"ended": ["function"], "services": ["virtual"]}
        assert (status, err) == (1, "")
        checked = json.loads(out)
        assert checked == {"id": checked["id"], **said, "check": True, "tasks": 2, **left}
        status, out, err = _ctl(daemon, "upgrade", "--json")
        assert (status, out) == (1, "")
        assert _LEFT in err
        status, out, err = _ctl(daemon, "upgrade", "--force", "--yes", "--json")
        assert (status, err) == (0, "")
        done = json.loads(out)
        assert done.pop("pause_ms") > 0
        assert done == {"id": done["id"], **said, "tasks": 1, "ended": ["function"]}
        last = json.loads(_ctl(daemon, "upgrade", "--check", "-o", "json")[1])["last"]
        assert (last["to"], last["tasks"], "error" in last) == ("1.0", 1, False)


def test_where_the_new_program_cannot_it_is_refused_with_the_reason(tmp_path: Path) -> None:
    installed = Installed(tmp_path / "program")
    with installed.daemon(actions={}) as daemon:
        installed.change(
            "overseer/daemon/daemon.py", "import annotations\n", "import annotations\nimport nothing_such\n"
        )
        for command in (["upgrade", "--check"], ["upgrade"], ["upgrade", "--wait", "1m"]):
            status, out, err = _ctl(daemon, *command)
            assert (status, out) == (1, "")
            assert (
                "the new program cannot take over: ModuleNotFoundError: No module named 'nothing_such'" in err
            )


def test_what_cannot_go_on_is_named_waited_for_or_ended(tmp_path: Path) -> None:
    with with_functions(tmp_path) as daemon, daemon.connect() as client:
        client.request("start", _WAIT, action="virtual", task_id="function")
        status, out, _ = _ctl(daemon, "upgrade", "--check")
        assert (status, out.endswith(f"would go on, but not {_LEFT}: see --wait and --force\n")) == (
            1,
            True,
        ), out
        status, out, err = _ctl(daemon, "upgrade")
        assert (status, out, _LEFT in err) == (1, "", True), err
        with _begin(daemon, "upgrade", "--wait", "10m") as waiting:
            try:
                daemon.wait_stderr("the upgrade waits for", _WAIT)
                client.send("stop", task_id="function")
                out, err = waiting.communicate(timeout=_WAIT)
            except BaseException:
                waiting.kill()
                raise
        assert (waiting.returncode, err) == (0, f"overseerctl: waiting for {_LEFT}\n")
        assert re.fullmatch(f"upgraded: .* went on, {_PAUSE}", out)
        client.request("start", _WAIT, action="virtual", task_id="function")
        status, out, _ = _ctl(daemon, "upgrade", "--force", "--yes")
        assert (status, out.splitlines()[1:]) == (0, ["ended: function"])


def test_tail_over_tls_goes_on_without_a_word(tmp_path: Path) -> None:
    path = Certificates(tmp_path).path
    script = "i=0; while [ ! -e go ]; do i=$((i+1)); echo $i; sleep 0.05; done"
    with Daemon(
        actions={"lone": shell(script)}, tls={"cert": path("server.crt"), "key": path("server.key")}
    ) as daemon:
        url = f"wss://localhost:{daemon.address.rpartition(':')[2]}/ws"
        secure = {"url": url, "OVERSEER_CA": path("ca.crt")}
        assert _ctl(daemon, "start", "lone", "--id", "lone", **secure)[0] == 0
        with _begin(daemon, "tail", "lone", "-f", "-n", "1000", **secure) as following:
            try:
                assert following.stdout is not None
                assert following.stderr is not None
                seen = [following.stdout.readline()]
                for _ in range(2):
                    status, out, err = _ctl(daemon, "upgrade", **secure)
                    assert (status, err) == (0, "")
                    assert re.fullmatch(f"upgraded: .* went on, {_PAUSE}", out)
                    seen += [following.stdout.readline() for _ in range(20)]
                (daemon.directory / "go").touch()
                lines, err = [*seen, *following.stdout], following.stderr.read()
                following.wait(_WAIT)
            except BaseException:
                following.kill()
                raise
        assert len(lines) > 40
        assert lines == [f"{number}\n" for number in range(1, len(lines) + 1)]
        assert following.returncode == 0
        assert re.fullmatch(r"overseerctl: lone: exited with 0 after [\d.]+m?s\n", err)  # only how it ended
