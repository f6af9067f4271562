"""Addresses that cannot be listened on: one clear line, exit status 1, and nothing is taken from anybody."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.support import gone
from tests.harness import Daemon, run_program, shell


def refused(listen: str, cwd: Path) -> str:
    """Start a server that cannot, and return the one line that it says."""
    (cwd / "config.yaml").write_text(json.dumps({"listen": listen}))
    ended = run_program(cwd=cwd)
    assert (ended.returncode, ended.stdout) == (1, "")
    (line,) = ended.stderr.splitlines()
    return line


def test_a_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"port {port} is in use" in refused(f"127.0.0.1:{port}", tmp_path)


def _file(path: Path) -> None:
    path.write_text("precious")


def _link(path: Path) -> None:
    path.with_name("target").write_text("precious")
    path.symlink_to(path.with_name("target"))


@pytest.mark.parametrize("make", [_file, Path.mkdir, os.mkfifo, _link])
def test_what_is_no_socket_is_left_alone(tmp_path: Path, make: Callable[[Path], None]) -> None:
    path = tmp_path / "it"
    make(path)
    before = path.lstat()
    assert "not a socket" in refused(f"unix:{path}", tmp_path)
    assert path.lstat().st_ino == before.st_ino


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/proc/overseer.sock", "cannot listen on /proc/overseer.sock: "),
        ("/no/such/directory/overseer.sock", "listen: no such directory /no/such/directory"),
    ],
)
def test_a_place_where_nothing_can_be_made(tmp_path: Path, path: str, said: str) -> None:
    assert said in refused(path, tmp_path)


def test_a_live_servers_socket_is_not_stolen_and_a_dead_ones_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "overseer.sock"
    actions = {"echo": shell("echo hi"), "sleep": shell("exec sleep 60")}
    first = Daemon(listen=str(path), actions=actions)
    first.start()
    try:
        assert "another server listens there" in refused(f"unix:{path}", tmp_path)
        with first.connect() as client:
            client.run("echo")
            pid = client.request("start", action="sleep")["pid"]
            first.process.kill()
            client.wait_closed()
    finally:
        first.process.kill()
        first.process.wait()
    assert path.is_socket()
    with Daemon(listen=str(path), actions=actions) as second, second.connect() as client:
        client.run("echo")
    assert not path.exists()
    assert gone(pid)
    first.kill()
