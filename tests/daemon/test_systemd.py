"""The service manager's protocols, with a manager played by the test."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from overseer.daemon.systemd import Notifier, passed_sockets
from overseer.errors import OverseerError
from tests.daemon.support import Manager, get
from tests.harness import ROOT, Daemon, WsClient, allowed, shell

ACTIVATED = ROOT / "tests/daemon/activated.py"
ENVIRONMENT = shell("env")


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    address = str(tmp_path / "notify") if request.param == "path" else f"@overseer-test-{os.getpid()}"
    manager = Manager(address)
    yield manager
    manager.close()


def test_it_says_when_it_is_ready_alive_and_ending(manager: Manager) -> None:
    environment = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "100000"}
    actions = {"env": ENVIRONMENT, "slow": shell("exec sleep 60", stop_grace=7)}
    with Daemon(environment=environment, actions=actions) as daemon:
        ready = manager.hear()
        assert ready == {"READY": "1", "STATUS": f"listening on {daemon.address}"}
        began = time.monotonic()
        assert [manager.hear() for _ in range(4)] == [{"WATCHDOG": "1"}] * 4
        assert time.monotonic() - began < allowed(2)
        with daemon.connect() as client:
            lines = [output["data"] for output in client.run("env")[1]]
            client.request("start", action="slow")
        assert not [line for line in lines if line.startswith(("NOTIFY_", "WATCHDOG_", "LISTEN_"))]
        daemon.process.send_signal(signal.SIGHUP)
        assert manager.hear_until("RELOADING")["MONOTONIC_USEC"].isdigit()
        assert manager.hear_until("READY")["STATUS"] == "configuration reloaded: no changes"
        daemon.stop()
        assert manager.hear_until("STOPPING")["EXTEND_TIMEOUT_USEC"] == "12000000"


@pytest.mark.parametrize(
    ("environment", "period"),
    [
        ({"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "30000000"}, 15.0),
        ({"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
        ({"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "0"}, None),
        ({"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "soon"}, None),
        ({"NOTIFY_SOCKET": "/x"}, None),
        ({"WATCHDOG_USEC": "30000000"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_fed_twice_as_often_as_it_is_hungry(
    environment: dict[str, str], period: float | None
) -> None:
    assert Notifier(environment).watchdog == period
    assert environment == {}


def test_without_a_manager_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    Notifier({}).ready("x")
    assert not caplog.records


def test_a_manager_that_is_gone_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}).stopping(1.0)
    assert "cannot notify the service manager" in caplog.text


def activated(listen: str, **more: str) -> Daemon:
    return Daemon(
        program=ACTIVATED, environment={"TEST_LISTEN": listen, **more}, actions={"env": ENVIRONMENT}
    )


def test_a_socket_that_is_passed_is_served_instead_of_the_configured_address() -> None:
    with activated("tcp") as daemon:
        assert get(daemon, "/healthz")[0] == 200
        with daemon.connect() as client:
            lines = [output["data"] for output in client.run("env")[1]]
            assert not [line for line in lines if line.startswith("LISTEN_")]


def test_several_sockets_are_served_together() -> None:
    with activated("tcp tcp") as daemon:
        inodes = {path.readlink() for path in Path(f"/proc/{daemon.pid}/fd").iterdir()}
        table = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        ports = [int(row[1].split(":")[1], 16) for row in table if Path(f"socket:[{row[9]}]") in inodes]
        assert len(ports) == 2
        for port in ports:
            WsClient(f"127.0.0.1:{port}").close()


def test_a_passed_unix_socket_outlives_the_server(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with activated(f"unix:{path}") as daemon:
        assert daemon.address == f"unix:{path}"
        daemon.connect().close()
    assert path.is_socket()


def test_sockets_survive_the_start_without_secrets() -> None:
    with activated("tcp", OVERSEER_TOKEN="0123456789abcdef0123") as daemon:
        assert get(daemon, "/healthz")[0] == 200
        assert get(daemon, "/metrics")[0] == 401
        assert get(daemon, "/metrics", Authorization="Bearer 0123456789abcdef0123")[0] == 200


@pytest.mark.parametrize(
    ("listen", "said"),
    [
        ("file", "cannot use the file descriptor 3 that the service manager passed"),
        ("tcp unix:{}/s", "cannot use the sockets passed: all must be TCP, or all Unix"),
    ],
)
def test_what_cannot_be_served_is_said_in_one_line(tmp_path: Path, listen: str, said: str) -> None:
    done = subprocess.run(
        [sys.executable, ACTIVATED, "--config", tmp_path / "none.yaml"],
        env={**os.environ, "TEST_LISTEN": listen.format(tmp_path)},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 1
    (line,) = (line for line in done.stderr.splitlines() if not line.startswith("warning"))
    assert said in line


def test_sockets_for_another_process_are_not_taken() -> None:
    environment = {"LISTEN_FDS": "1", "LISTEN_PID": "1"}
    assert passed_sockets(environment) == []
    assert environment == {}


def test_a_socket_that_does_not_listen_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    sock = socket.socket()
    monkeypatch.setattr("overseer.daemon.systemd._FIRST_FD", sock.detach())
    with pytest.raises(OverseerError, match="it does not listen"):
        passed_sockets({"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())})
