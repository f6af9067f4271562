"""Neither the new program nor the old one can be run, as what both need is gone: tasks go on all the same."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.support import wait_until
from tests.harness import Daemon, shell, wait_for_exit
from tests.harness.client import WsClient
from tests.upgrade.support import Installed, assert_in_order, slow

_WAIT = 90.0
_TAKEOVER = "overseer/daemon/takeover.py"
_TAKES_OVER = "    standstill.close()\n    stderr.start()\n"
# What an installation that went wrong may leave: the new program was fine when it was tried out.
_BREAKS = """
    import pathlib
    half = pathlib.Path(__file__).parents[2] / "yaml.py"
    half.write_text("raise ImportError('half of it is gone')")
    raise ImportError("yaml")
"""
_ACTIONS = {
    "lone": shell("i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done"),
    "flood": shell("while [ ! -e go ]; do sleep 0.05; done; seq 1 30000"),
    "code": shell("while [ ! -e go ]; do sleep 0.05; done; echo out; exit 4"),
    "terminal": shell("while [ ! -e go ]; do sleep 0.05; done; echo seen", config={"stdin": "pty"}),
}


@pytest.fixture
def installed(tmp_path: Path) -> Installed:
    installed = Installed(tmp_path / "program")
    installed.change("overseer/upgrade/standalone/stage.py", "_AGAIN_S = 30.0", "_AGAIN_S = 3600.0")
    return installed


@pytest.fixture
def daemon(installed: Installed) -> Iterator[Daemon]:
    with installed.daemon(actions=_ACTIONS) as daemon:
        yield daemon


def _hold(installed: Installed, daemon: Daemon, client: WsClient) -> str:
    """Have neither program be run; the id of the request."""
    installed.change(_TAKEOVER, _TAKES_OVER, _BREAKS + _TAKES_OVER)
    upgrade = client.send("upgrade")
    said = daemon.wait_stderr("cannot come back", _WAIT)
    assert "the new program has failed: ImportError: yaml" in said
    assert "half of it is gone" in said
    return upgrade


def test_tasks_go_on_and_nothing_is_lost(installed: Installed, daemon: Daemon):
    with daemon.connect() as client:
        pids = [client.request("start", action=name, task_id=name)["pid"] for name in _ACTIONS]
        upgrade = _hold(installed, daemon, client)
        (daemon.directory / "go").touch()
        # None of them waits for a reader; one is dead and not reaped.
        for pid in pids[1:]:
            wait_until(lambda pid=pid: _is_over(pid), _WAIT, "the end of a task")
        (installed.directory / "yaml.py").unlink()
        installed.change(_TAKEOVER, _BREAKS, "")
        daemon.process.send_signal(signal.SIGUSR2)
        assert client.expect("upgraded", _WAIT, id=upgrade)["tasks"] == 4
        assert client.expect("exited", _WAIT, task_id="code")["exit_code"] == 4
        client.expect("exited", _WAIT, task_id="flood")
        client.expect("exited", _WAIT, task_id="terminal")
        assert assert_in_order(client.messages, "flood") == 30_000
        assert [each["data"] for each in client.outputs("terminal")] == ["seen"]
        client.send("stop", task_id="lone")
        client.expect("exited", _WAIT, task_id="lone")
        assert assert_in_order(client.messages, "lone") > 0


def _is_over(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


@slow
def test_the_old_program_comes_back_once_it_can(installed: Installed, daemon: Daemon):
    with daemon.connect() as client:
        client.request("start", action="lone", task_id="lone")
        upgrade = _hold(installed, daemon, client)
        installed.change(_TAKEOVER, "    half.write_text", "    print")
        (installed.directory / "yaml.py").unlink()
        daemon.process.send_signal(signal.SIGUSR2)
        answer = client.expect("error", _WAIT, id=upgrade)
        assert answer["message"] == "the new program has failed: ImportError: yaml"
        client.send("stop", task_id="lone")
        client.expect("exited", _WAIT, task_id="lone")
        assert assert_in_order(client.messages, "lone") > 0


@slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_its_end_is_that_of_the_tasks(installed: Installed, daemon: Daemon, number: signal.Signals):
    with daemon.connect() as client:
        pid = client.request("start", action="lone", task_id="lone")["pid"]
        _hold(installed, daemon, client)
        daemon.process.send_signal(number)
        assert daemon.process.wait(_WAIT) != 0
    assert wait_for_exit(pid, 30.0)
    wait_until(lambda: not daemon.processes(), 30.0, "the end of all processes")
    daemon.kill()
