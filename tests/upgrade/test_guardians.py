"""Each program has one guardian, whatever becomes of the one before."""

from __future__ import annotations

from pathlib import Path

from tests.faults.support import guardian_of, wait_until
from tests.harness import Daemon, shell
from tests.upgrade.support import Installed, upgrade

_WAIT = 60.0
_STATE = "            state = to_memory(data)\n"
_DEAD = "            __import__('os').kill(guardian.pid, 9); time.sleep(2.0)\n"
_HANG = "            open('hang', 'w').close(); time.sleep(2.0)\n"


def test_a_guardian_that_dies_while_it_is_handed_over_is_replaced_once(tmp_path: Path):
    installed = Installed(tmp_path / "program")
    installed.change("overseer/daemon/upgrade.py", _STATE, _DEAD + _STATE)
    with installed.daemon(actions={"real": shell("sleep 60")}) as daemon, daemon.connect() as client:
        client.request("start", action="real", task_id="real")
        before = guardian_of(daemon.pid)
        upgrade(client)
        assert guardian_of(daemon.pid, besides=before)
        wait_until(lambda: len(_guardians(daemon)) == 1, _WAIT, "one guardian")


def _guardians(daemon: Daemon) -> list[str]:
    lists = "".join(path.read_text() for path in Path(f"/proc/{daemon.pid}/task").glob("*/children"))
    return [pid for pid in lists.split() if Path(f"/proc/{pid}/comm").read_text() == "overseer-guard\n"]


def test_a_probe_that_would_begin_in_between_is_not_left(tmp_path: Path):
    """Nobody would read, or end, what it has started."""
    probe = {"exec": ["sh", "-c", "echo $$ >> pids; [ ! -e hang ] || exec sleep 600"], "interval": "100ms"}
    installed = Installed(tmp_path / "program")
    installed.change("overseer/daemon/upgrade.py", _STATE, _HANG + _STATE)
    with (
        installed.daemon(actions={"real": shell("sleep 60", health=probe)}) as daemon,
        daemon.connect() as client,
    ):
        client.request("start", action="real", task_id="real")
        client.expect("health", _WAIT, task_id="real", status="healthy")
        upgrade(client)
        (daemon.directory / "hang").unlink()
        begun = (daemon.directory / "pids").read_text().split()
        wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in begun), _WAIT, "their end")
