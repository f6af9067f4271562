"""Under a service manager, played by the test: it takes an upgrade for a reload of the same main process."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.support import Manager
from tests.harness import ROOT, Daemon, WsClient, shell
from tests.upgrade.support import Installed, assert_in_order, slow

_WAIT = 90.0
_ACTIONS = {"lone": shell("i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done")}


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    manager = Manager(str(tmp_path / "notify"), 45.0)
    yield manager
    manager.close()


def _upgrade(daemon: Daemon, client: WsClient, manager: Manager) -> None:
    """Have it upgraded, and check what it says of that."""
    began = time.monotonic_ns() // 1000
    answer = client.request("upgrade", _WAIT)
    assert answer["type"] == "upgraded", answer
    said = [manager.hear_until("RELOADING")]
    assert said[0]["RELOADING"] == "1"
    assert began <= int(said[0]["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
    while "READY" not in said[-1]:
        said.append(manager.hear())
        assert manager.sender == daemon.pid
    assert said[-1] == {"READY": "1", "STATUS": f"listening on {daemon.address}"}
    assert not any("MAINPID" in each or "STOPPING" in each for each in said)
    assert daemon.process.poll() is None


def _listening(daemon: Daemon) -> dict[str, int]:
    """The sockets that it listens on: the kernel's name of each, and its port."""
    held = {str(path.readlink()) for path in Path(f"/proc/{daemon.pid}/fd").iterdir()}
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    listening = [(f"socket:[{row[9]}]", int(row[1].split(":")[1], 16)) for row in rows if row[3] == "0A"]
    return {name: port for name, port in listening if name in held}


def test_it_is_told_of_a_reload_and_the_sockets_that_it_passed_go_on_accepting(manager: Manager) -> None:
    with (
        Daemon(
            program=ROOT / "tests/daemon/activated.py",
            environment={"TEST_LISTEN": "tcp tcp", "NOTIFY_SOCKET": manager.address},
            actions={**_ACTIONS, "environment": shell("env")},
        ) as daemon,
        daemon.connect() as client,
    ):
        manager.hear_until("READY")
        sockets = _listening(daemon)
        assert len(sockets) == 2
        client.request("start", action="lone", task_id="lone")
        for _ in range(2):
            _upgrade(daemon, client, manager)
            assert _listening(daemon) == sockets
            for port in sockets.values():
                with WsClient(f"127.0.0.1:{port}") as other:
                    assert other.info("lone")["status"] == "running"
        lines = [output["data"] for output in client.run("environment", _WAIT)[1]]
        assert not [line for line in lines if line.startswith(("NOTIFY_", "WATCHDOG_", "LISTEN_"))]
        client.send("stop", task_id="lone")
        client.expect("exited", _WAIT, task_id="lone")
        assert assert_in_order(client.messages, "lone") > 0


def test_a_program_that_comes_back_still_has_its_manager(tmp_path: Path, manager: Manager) -> None:
    installed = Installed(tmp_path / "program")
    with (
        installed.daemon(
            environment={"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "600000000"}, actions=_ACTIONS
        ) as daemon,
        daemon.connect() as client,
    ):
        manager.hear_until("READY")
        begins = "        assert self._given is not None\n"
        installed.change("overseer/daemon/daemon.py", begins, f"        raise ValueError('oh')\n{begins}")
        answer = client.request("upgrade", _WAIT)
        assert (answer["type"], "oh" in answer["message"]) == ("error", True)
        manager.hear_until("RELOADING")
        manager.hear_until("READY")
        manager.hear_until("WATCHDOG")  # at once: the period is five minutes
        assert manager.sender == daemon.pid


@slow
def test_the_watchdog_is_fed_in_time_across_an_upgrade(manager: Manager) -> None:
    patience = 10.0
    environment = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": str(int(patience * 1e6))}
    with Daemon(environment=environment, actions=_ACTIONS) as daemon, daemon.connect() as client:
        manager.hear_until("WATCHDOG")
        fed = [time.monotonic()]
        upgrade = client.send("upgrade")
        ready = False
        while not ready or len(fed) < 5:
            said = manager.hear()
            ready = ready or "READY" in said
            if "WATCHDOG" in said:
                fed.append(time.monotonic())
        client.expect("upgraded", _WAIT, id=upgrade)
        waited = [later - earlier for earlier, later in itertools.pairwise(fed)]
        assert max(waited) < patience, waited
