"""Signals that come while the server is being replaced are acted on, by whichever program it is then."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.harness import shell
from tests.upgrade.support import Installed

_WAIT = 90.0
_KILL = "os.kill(os.getpid(), 15); time.sleep(1.0)"  # long enough for the main thread to read it
_ACTIONS = {
    "stubborn": shell("trap '' TERM; echo ready; while :; do sleep 0.1; done", stop_grace="60s"),
}


@pytest.mark.parametrize(
    "before",
    [
        pytest.param("        new = rehearse(state, self._package().stage())\n", id="while-it-is-tried-out"),
        pytest.param("            state = to_memory(data)\n", id="at-the-standstill"),
    ],
)
def test_a_server_that_is_told_to_end_ends(tmp_path: Path, before: str):
    installed = Installed(tmp_path / "program")
    indent = before[: len(before) - len(before.lstrip())]
    installed.change("overseer/daemon/upgrade.py", before, f"{indent}{_KILL}\n{before}")
    with installed.daemon(actions=_ACTIONS) as daemon, daemon.connect() as client:
        pid = client.request("start", action="stubborn", task_id="stubborn")["pid"]
        client.expect("output", _WAIT, task_id="stubborn", data="ready")
        asked = client.send("upgrade")
        answer = client.expect("error", _WAIT, id=asked)
        assert answer["message"] == "the server is shutting down"
        os.kill(pid, signal.SIGKILL)
        daemon.wait(_WAIT)
        assert "shutting down" in daemon.stderr


def test_a_signal_in_the_last_moment_is_acted_on_by_the_new_program(tmp_path: Path):
    installed = Installed(tmp_path / "program")
    executes = "        os.execve(command[0], command"
    kills = f"        os.kill(os.getpid(), {signal.SIGTERM})\n"
    installed.change("overseer/upgrade/reexec.py", executes, kills + executes)
    with installed.daemon(actions=_ACTIONS) as daemon, daemon.connect() as client:
        asked = client.send("upgrade")
        client.expect("upgraded", _WAIT, id=asked)
        daemon.wait(_WAIT)
        assert "shutting down" in daemon.stderr
