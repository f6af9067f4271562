"""kill -9 at every step of an upgrade leaves the tasks to the guardian, and the next server says it once."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.faults.support import wait_until
from tests.harness import Daemon, shell, wait_for_exit
from tests.upgrade.support import Installed, slow

_WAIT = 120.0
_HERE = "__import__('os').kill(__import__('os').{pid}(), 9)"
_FAIL = "raise ValueError('broken')"
# The step: file, the line before which it happens, and its indentation.
_STEPS = {
    "while the new program is tried out": ("daemon/takeover.py", "os.set_inheritable(state, False)", 4),
    "when all threads rest": ("daemon/upgrade.py", "state = to_memory(data)", 12),
    "before the exec": ("upgrade/reexec.py", "os.execve(command[0], command", 8),
    "after the exec": ("upgrade/standalone/stage.py", 'for number in self._said["descriptors"]:', 12),
    "before the state is read": (
        "daemon/takeover.py",
        "return _successor(path, Given.read(passed), version)",
        4,
    ),
    "while it is made again": ("daemon/handover.py", 'usage_meter.restore(values["usage"])', 8),
    "before there is no way back": ("daemon/daemon.py", "self._given.passed.commit()", 8),
    "before the guardian is taken up": ("daemon/daemon.py", "restored.begin_guarding()", 8),
    "before anything goes on": ("daemon/daemon.py", "restored.go_on()", 8),
    "after all of it": ("daemon/daemon.py", "self._upgrades.done(self._given, restored, self._version)", 8),
    "before it goes back": (
        "upgrade/standalone/stage.py",
        'if self._turn == "new":\n            self._execute',
        8,
    ),
    "when the old program is run again": (
        "upgrade/standalone/stage.py",
        "self._run_old()\n            else",
        16,
    ),
}
_FAILING = ("before it goes back", "when the old program is run again")
_SOME = ("while it is made again", "before the guardian is taken up")
_ACTIONS = {"real": shell("trap '' TERM; (sleep 600 &); sleep 600")}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Kills itself at the step that the environment names."""
    installed = Installed(tmp_path_factory.mktemp("kills") / "program")
    for step, (file, line, indent) in _STEPS.items():
        pid = "getppid" if "tried out" in step else "getpid"
        tried = " and not incoming.rehearsal" if "made again" in step else ""
        here = f"if __import__('os').environ.get('KILLED') == {step!r}{tried}: {_HERE.format(pid=pid)}\n"
        installed.change(f"overseer/{file}", line, here + " " * indent + line)
    fail = f"if __import__('os').environ.get('KILLED') in {_FAILING!r}: {_FAIL}\n    "
    before = "standstill.close()\n    stderr.start()"
    installed.change("overseer/daemon/takeover.py", before, fail + before)
    return installed


@pytest.mark.parametrize(
    "step", [pytest.param(step, marks=[] if step in _SOME else [slow]) for step in _STEPS]
)
def test_a_server_killed(installed: Installed, tmp_path: Path, step: str):
    data = str(tmp_path / "data")
    with installed.daemon(actions=_ACTIONS, data_dir=data, environment={"KILLED": step}) as daemon:
        with daemon.connect() as client:
            pid = client.request("start", _WAIT, action="real", task_id="real")["pid"]
            client.send("upgrade")
            client.wait_closed(_WAIT)
        assert daemon.process.wait(_WAIT) == -signal.SIGKILL
        assert wait_for_exit(pid, _WAIT)
        wait_until(lambda: not daemon.processes(), _WAIT, "the end of all processes")
        daemon.kill()
    for _ in range(2):
        with Daemon(actions=_ACTIONS, data_dir=data) as daemon, daemon.connect() as client:
            runs = client.request("runs", _WAIT)["runs"]
            assert [(run["task_id"], run["status"]) for run in runs] == [("real", "lost")]
