"""Whether a task is over, while its driver takes its time to start it and others want its id."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from overseer.client import Client, ClientError, ConnectionLostError, RefusedError, ReplyTimeoutError, Task
from overseer.protocol import Exited, Output, Queued, Started
from tests.client.conftest import ACTIONS as COMMON
from tests.client.proxy import Proxy
from tests.harness import ROOT, Daemon

WAIT_S = 30
ACTIONS = {
    **COMMON,
    "slow": {"type": "slow", "retry": {"restart_delay": "1ms", "error_threshold": 1}},
    "pooled": {"type": "slow", "task_pool": {"limit": 2, "queue": {"enabled": True, "size": 5}}},
}
AGAIN = 'echo $run; [ "$run" = 1 ] && exit 9; exec sleep 60'


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    program = Path(__file__).parent / "slow_starts.py"
    with Daemon(actions=ACTIONS, program=program, environment={"PYTHONPATH": str(ROOT)}) as daemon:
        yield daemon


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    path = tmp_path / "gate"
    os.mkfifo(path)
    return path


@pytest.fixture
def other(daemon: Daemon) -> Iterator[Client]:
    with Client(daemon.url) as client:
        yield client


class Aside(threading.Thread):
    """A call on a thread of its own, and what it came to."""

    def __init__(self, call: Callable[[], object]) -> None:
        super().__init__()
        self._call = call
        self.error: ClientError | None = None
        self.start()

    def run(self) -> None:
        try:
            self._call()
        except ClientError as error:
            self.error = error


def given_up(client: Client, gate: Path, script: str = AGAIN, action: str = "slow") -> Task:
    task = client.start(action, gate=str(gate), script=script)
    assert task.wait(WAIT_S).exit_code == 9
    assert task.state == "errored"
    return task


def starting(client: Client, task_id: str) -> None:
    """Until the server says that it is being started."""
    while True:
        (info,) = (info for info in client.tasks() if info.task_id == task_id)
        if (info.state, info.worker_state) == ("active", ""):
            return


def told(task: Task) -> list[object]:
    return [event.data if isinstance(event, Output) else type(event) for event in task.events(WAIT_S)]


@pytest.mark.parametrize("since_seq", [None, 0, 1])
def test_a_task_that_is_reset_is_not_over_to_whoever_joins(
    client: Client, other: Client, gate: Path, since_seq: int | None
):
    task = given_up(client, gate)
    resetting = Aside(task.reset)
    starting(other, task.id)
    joined = other.subscribe(task.id, since_seq)
    assert (joined.state, joined.over) == ("starting", False)
    gate.write_text("go")
    resetting.join(WAIT_S)
    for handle in (task, joined):
        events = handle.events(WAIT_S)
        while not (isinstance(event := next(events), Output) and event.data == "2"):
            pass
    task.stop()
    assert task.wait(WAIT_S) == joined.wait(WAIT_S)
    assert task.exit is not None
    assert task.exit.signal == "SIGTERM"


def test_a_reset_that_fails_is_told_to_whoever_joins(client: Client, other: Client, gate: Path):
    task = given_up(client, gate)
    resetting = Aside(task.reset)
    starting(other, task.id)
    joined = other.subscribe(task.id)
    gate.write_text("no such machine")
    resetting.join(WAIT_S)
    assert isinstance(resetting.error, RefusedError)
    assert "no such machine" in str(resetting.error)
    for handle in (task, joined):
        assert handle.wait(WAIT_S).exit_code == 9
        assert handle.state == "errored"


def test_a_reset_that_fails_after_its_timeout_has_failed(client: Client, other: Client, gate: Path):
    task = given_up(client, gate)
    with pytest.raises(ReplyTimeoutError):
        task.reset(timeout=0.1)
    gate.write_text("no such machine")
    assert task.wait(WAIT_S).exit_code == 9
    assert task.state == "errored"


def test_a_reset_that_succeeds_after_its_timeout_begins_a_new_chapter(client: Client, gate: Path):
    task = given_up(client, gate, 'echo $run; [ "$run" = 1 ] && exit 9; exit 0')
    with pytest.raises(ReplyTimeoutError):
        task.reset(timeout=0.1)
    gate.write_text("go")
    assert task.wait(WAIT_S).exit_code == 0
    assert told(task) == [Started, "2", Exited]


def test_a_reset_during_which_the_connection_is_lost_is_followed(daemon: Daemon, other: Client, gate: Path):
    with Proxy(daemon.address) as proxy, Client(proxy.url) as client:
        task = given_up(client, gate, 'echo $run; [ "$run" = 1 ] && exit 9; exit 0')
        assert told(task)[-2] is Exited
        resetting = Aside(task.reset)
        starting(other, task.id)
        proxy.cut()
        resetting.join(WAIT_S)
        assert isinstance(resetting.error, ConnectionLostError)
        client.tasks()  # connected again
        assert not task.over
        gate.write_text("go")
        assert task.wait(WAIT_S).exit_code == 0
        assert "2" in told(task)


def test_a_task_that_is_requeued_and_being_started_is_not_over(daemon: Daemon, other: Client, gate: Path):
    script = "echo ready; exec sleep 60"
    with Proxy(daemon.address) as proxy, Client(proxy.url) as client:
        task = client.start("pooled", gate=str(gate), script=script)
        second = other.start("pooled", gate=str(gate), script=script)
        assert next(task.lines(timeout=WAIT_S)) == "ready"
        other.set_pool("pooled", limit=1, excess={"action": "requeue", "order": "first", "grace": 5})
        events = task.events(WAIT_S)
        while not isinstance(next(events), Queued):
            pass
        second.stop()
        starting(other, task.id)
        joined = other.subscribe(task.id)
        assert (joined.state, joined.over) == ("starting", False)
        proxy.cut()
        client.tasks()
        assert not task.over
        gate.write_text("go")
        assert next(joined.lines(timeout=WAIT_S)) == "ready"
        other.stop(task.id)
        assert task.wait(WAIT_S).signal == joined.wait(WAIT_S).signal == "SIGTERM"


@pytest.mark.parametrize("same", [True, False], ids=["same client", "another"])
def test_another_task_that_takes_over_the_id_at_once_is_not_taken_for_this_one(
    client: Client, other: Client, same: bool
):
    for turn in range(5):
        old = client.start("echo", {"text": "old"}, task_id=f"wanted-{same}-{turn}")
        made: list[Task] = []

        def take_over(task_id: str = old.id, made: list[Task] = made) -> None:
            while not made:
                with suppress(RefusedError):
                    made.append((client if same else other).start("count", task_id=task_id, n="3"))

        taking = Aside(take_over)
        assert set(told(old)) == {Started, "old", "err", Exited}
        assert old.wait(WAIT_S).exit_code == 3
        assert old.state == "ended"
        taking.join(WAIT_S)
        assert told(made[0]) == [Started, "1", "2", "3", Exited]


def test_a_reset_of_a_task_that_its_reader_has_not_kept_up_with(daemon: Daemon, other: Client, gate: Path):
    script = 'seq 60000; [ "$run" = 1 ] && exit 9; echo last; exec sleep 60'
    with Client(daemon.url, buffer=50_000) as client:
        task = client.start("slow", gate=str(gate), script=script)
        lines = task.lines(timeout=WAIT_S)
        assert next(lines) == "1"
        while not client._shared.dedicated or other.subscribe(task.id).state != "errored":
            pass
        assert not task.over  # all that came before that is to be read first
        resetting = Aside(task.reset)
        gate.write_text("go")
        resetting.join(WAIT_S)
        assert resetting.error is None
        assert (task.state, task.exit) == ("running", None)
        events = task.events(WAIT_S)
        assert isinstance(next(events), Started)
        lines.close()  # only now: a task that nobody reads any more is not held up
        seen = [event.data for event in (next(events) for _ in range(60_001)) if isinstance(event, Output)]
        assert seen == [*map(str, range(1, 60_001)), "last"]
        task.stop()
        assert task.wait(WAIT_S).signal == "SIGTERM"
