"""What falls due while nothing runs, between two programs, is done by the new one."""

from __future__ import annotations

from pathlib import Path

from tests.harness import shell
from tests.upgrade.support import Installed

_WAIT = 90.0
_GOES_ON = "        self._resume()\n"
_PAUSE = "        import time; time.sleep(8.0)\n"


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
