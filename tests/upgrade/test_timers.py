"""What falls due while nothing runs, between two programs, is done by the new one."""

from __future__ import annotations

from pathlib import Path

from tests.harness import shell
from tests.upgrade.support import Installed

_WAIT = 90.0
_GOES_ON = "        self._resume()\n"
_PAUSE = "        import time; time.sleep(8.0)\n"
_FOUND = "    with table.lock:\n        table.restore("
_UNLESS_TRIED = "    import time; time.sleep(0.0 if given.rehearsal else 6.0)\n"


def test_timeouts_and_restarts_that_fall_due_in_the_pause_are_not_lost(tmp_path: Path):
    installed = Installed(tmp_path / "program")
    actions = {
        "limited": shell("sleep 60", timeout=7),
        "again": shell("exit 1", retry={"restart_delay": "7s"}),
    }
    with installed.daemon(actions=actions) as daemon, daemon.connect() as client:
        client.request("start", action="again", task_id="again")
        client.expect("exited", _WAIT, task_id="again")
        client.request("start", action="limited", task_id="limited")
        installed.change("overseer/daemon/handover.py", _GOES_ON, _PAUSE + _GOES_ON)
        assert client.request("upgrade", _WAIT)["pause_ms"] >= 8000
        assert client.expect("exited", _WAIT, task_id="limited")["reason"] == "timeout"
        assert client.expect("restarting", _WAIT, task_id="again")
        client.expect("exited", _WAIT, task_id="again")


def test_a_timeout_that_fires_before_its_task_is_there_again_is_not_lost(tmp_path: Path):
    """The pause has come between a timer's being set and its task's being found."""
    installed = Installed(tmp_path / "program")
    with (
        installed.daemon(actions={"limited": shell("sleep 60", timeout=4)}) as daemon,
        daemon.connect() as client,
    ):
        client.request("start", action="limited", task_id="limited")
        installed.change("overseer/supervisor/handover/hub.py", _FOUND, _UNLESS_TRIED + _FOUND)
        assert client.request("upgrade", _WAIT)["pause_ms"] >= 6000
        assert client.expect("exited", _WAIT, task_id="limited")["reason"] == "timeout"
