"""Files of other kinds than were meant, and disks that are gone: nobody ever waits for one."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import overseer.daemon.reload
from overseer.config import Config
from overseer.errors import RequestError
from overseer.util import files
from tests.faults.support import listens, wait_until
from tests.harness import ROOT, Daemon, WsClient, shell

COMMAND = [sys.executable, str(ROOT / "sticky_overseer.py")]


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))


MAKE: dict[str, Any] = {"pipe": _fifo, "socket": _socket, "directory": Path.mkdir}
SAID = {"pipe": "is a pipe without a reader", "socket": "is a socket", "directory": "is a directory"}


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("odd")
    for kind, make in MAKE.items():
        make(directory / kind)
    return directory


def start(directory: Path, *arguments: str, **config: Any) -> list[str]:
    """What a server says that must not start."""
    file = directory / "config.yaml"
    file.write_text(json.dumps({"listen": "127.0.0.1:0", **config}))
    ended = subprocess.run(
        [*COMMAND, "--config", str(file), *arguments], capture_output=True, text=True, timeout=30, check=False
    )
    assert ended.returncode == 1, ended.stderr
    return [line for line in ended.stderr.splitlines() if not line.startswith("warning")]


@pytest.mark.parametrize("arguments", [[], ["--check"]], ids=["start", "check"])
@pytest.mark.parametrize("kind", MAKE)
def test_what_can_be_no_file_to_write_is_refused(odd: Path, kind: str, arguments: list[str]) -> None:
    path = str(odd / kind)
    said = start(odd, *arguments, log_file=path, audit_file=path)
    assert len(said) == 2
    for line, key in zip(said, ("log_file", "audit_file"), strict=True):
        assert f"{key}: {path} {SAID[kind]}" in line


@pytest.mark.parametrize("arguments", [[], ["--check"]], ids=["start", "check"])
@pytest.mark.parametrize("kind", MAKE)
def test_what_can_be_no_file_to_read_is_refused(odd: Path, kind: str, arguments: list[str]) -> None:
    path = str(odd / kind)
    tokens = [{"name": "a", "role": "admin", "token_file": path}]
    said = start(odd, *arguments, auth={"tokens": tokens}, tls={"cert": path})
    assert len(said) == 2
    assert "token_file" in said[0]
    assert "tls.cert" in said[1]


def test_a_socket_that_takes_another_files_place_is_refused_by_the_check(odd: Path) -> None:
    assert "exists and is not a socket" in start(odd, "--check", listen=f"unix:{odd / 'pipe'}")[0]


@pytest.mark.parametrize("number", [1, 2])
def test_events_go_to_stdout_or_stderr_also_where_that_is_a_socket(tmp_path: Path, number: int) -> None:
    name = f"/dev/std{'out' if number == 1 else 'err'}"
    config = {"listen": f"unix:{tmp_path / 's'}", "log_file": name, "actions": {"a": shell("echo hi")}}
    (tmp_path / "config.yaml").write_text(json.dumps(config))
    ours, theirs = socket.socketpair()
    ours.settimeout(10)
    with ours, theirs:
        process = subprocess.Popen(
            COMMAND,
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=theirs if number == 1 else subprocess.DEVNULL,
            stderr=theirs if number == 2 else subprocess.DEVNULL,
        )
        try:
            wait_until(lambda: listens(tmp_path / "s"))
            with WsClient(f"unix:{tmp_path / 's'}") as client:
                client.run("a")
            said = b""
            while b'"exited"' not in said:
                said += ours.recv(65536)
            assert b'"data":"hi"' in said
        finally:
            process.terminate()
            assert process.wait(30) == 0


def test_a_pipe_in_the_place_of_a_file_holds_up_no_reload(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("0123456789abcdef0123456789abcdef")
    token.chmod(0o600)
    cert, key = tmp_path / "cert", tmp_path / "key"
    auth = {"tokens": [{"name": "a", "role": "admin", "token_file": str(token)}]}
    with Daemon(auth=auth, actions={}) as daemon:
        config = daemon.directory / "config.yaml"
        whole = config.read_text()
        for path, said in ((token, "token_file"), (config, "cannot be read a second time")):
            aside = path.rename(path.with_name("aside"))
            os.mkfifo(path)
            daemon.process.send_signal(signal.SIGHUP)
            daemon.wait_stderr(said)
            path.unlink()
            aside.rename(path)
        for path in (cert, key):
            os.mkfifo(path)
        config.write_text(json.dumps({**json.loads(whole), "tls": {"cert": str(cert), "key": str(key)}}))
        daemon.process.send_signal(signal.SIGHUP)
        assert "not a regular file" in daemon.wait_stderr("tls.cert")
        config.write_text(whole)
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_stderr("configuration reloaded")


def test_what_lies_behind_a_path_is_judged_by_its_descriptor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whatever was there at a look before: a pipe that takes the file's place is never waited for.
    path = tmp_path / "file"
    path.write_text("x")
    real = os.open

    def swap(name: Any, flags: int, *mode: int) -> int:
        if name == str(path) and path.is_file():
            path.unlink()
            os.mkfifo(path)
        return real(name, flags, *mode)

    monkeypatch.setattr(os, "open", swap)
    with pytest.raises(OSError, match="not a regular file"):
        files.read_small(str(path), 10)


def test_a_reload_that_hangs_is_given_up_and_the_next_one_is_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(overseer.daemon.reload, "_READ_S", 0.05)
    released = threading.Event()
    hang = True

    def load(self: Any) -> Any:
        if hang:
            released.wait(20)
        raise RequestError("read")

    monkeypatch.setattr(overseer.daemon.reload.Reloader, "_load", load)
    nothing: Any = None
    reloader = overseer.daemon.reload.Reloader("c.yaml", nothing, lambda config: nothing, Config())
    try:
        with pytest.raises(RequestError, match="reading the files takes longer"):
            reloader.reload(lambda changes: None)
        hang = False
        monkeypatch.setattr(overseer.daemon.reload, "_READ_S", 10)
        with pytest.raises(RequestError, match="read"):
            reloader.reload(lambda changes: None)
        hang = True
        monkeypatch.setattr(overseer.daemon.reload, "_READ_S", 0.01)
        for _ in range(overseer.daemon.reload._STUCK - 1):
            with pytest.raises(RequestError, match="reading the files"):
                reloader.reload(lambda changes: None)
        with pytest.raises(RequestError, match="8 earlier reloads still wait"):
            reloader.reload(lambda changes: None)
    finally:
        released.set()
    wait_until(lambda: not reloader._reading)
