"""Probed tasks, as a program sees them."""

from __future__ import annotations

from pathlib import Path

import pytest

from overseer.client import Client, ReplyTimeoutError, TaskNotRunError
from overseer.protocol import Health, NotReady, Ready, Started
from tests.harness import Daemon, shell

_FILE = {"parameters": {"file": {}}}
ACTIONS = {
    "says so": shell("read go; echo serving; exec sleep 60", config={"stdin": "pipe"},
                     ready={"log": "serving", "timeout": "100ms"}),
    "sick": shell("exec sleep 60", config=_FILE, health={
        "exec": ["test", "-e", "[[.file]]"], "interval": "20ms", "failures": 1, "on_failure": "none"}),
    "in vain": shell("exit 3", ready={"log": "serving"}),
    "second time": shell("if mkdir [[.file]]; then exit 1; fi; echo serving; exec sleep 60", config=_FILE,
                         ready={"log": "serving"}, retry={"restart_delay": "1ms"}),
}  # fmt: skip


def test_a_program_waits_until_a_task_is_ready(client: Client) -> None:
    task = client.start("says so", task_id="ready")
    with pytest.raises(ReplyTimeoutError, match=r"task ready is not ready after 0\.05 s"):
        task.wait_until_ready(0.05)
    assert not task.ready
    assert isinstance(next(task.events(10)), Started)
    task.input("\n")
    task.wait_until_ready(10)
    assert task.ready
    task.wait_until_ready(0)
    task.stop()
    task.wait(10)
    assert not task.ready
    with pytest.raises(TaskNotRunError, match="task ready is over: stopped"):
        task.wait_until_ready(10)


def test_who_joins_later_knows_too(daemon: Daemon, client: Client, tmp_path: Path) -> None:
    file = tmp_path / "alive"
    file.touch()
    task = client.start("sick", task_id="joined", file=file)
    for event in task.events(10):
        if isinstance(event, Health):
            break
    with Client(daemon.url) as other:
        joined = other.subscribe("joined")
        assert (joined.ready, joined.health) == (False, "healthy")
        (info,) = [each for each in other.tasks() if each.task_id == "joined"]
        assert (info.ready, info.health) == (None, "healthy")
    file.unlink()
    told = next(event for event in task.events(10) if isinstance(event, Health))
    assert (told.status, told.detail) == ("unhealthy", "exec test: ended with status 1")
    assert task.health == "unhealthy"
    task.stop()
    task.wait(10)
    assert task.health == ""


def test_events_come_in_order(client: Client) -> None:
    task = client.start("says so")
    events = task.events(10)
    told = [type(event) for _, event in zip(range(2), events, strict=False)]
    assert told == [Started, NotReady]
    task.input("\n")
    assert isinstance(next(events), Ready)
    task.stop()


def test_one_that_ends_first_is_not_waited_for(client: Client) -> None:
    task = client.start("in vain")
    with pytest.raises(TaskNotRunError, match="is over: ended"):
        task.wait_until_ready(10)


def test_a_restart_s_run_is_waited_for(client: Client, tmp_path: Path) -> None:
    task = client.start("second time", file=tmp_path / "made")
    task.wait_until_ready(10)
    task.stop()
