"""How long finished tasks are remembered: the table itself, with a clock of the test's."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

import overseer
from overseer.config import HistoryConfig
from overseer.errors import RequestError
from overseer.supervisor import table as tasktable
from overseer.supervisor.clients import Client
from overseer.supervisor.definitions import Terms
from overseer.supervisor.metrics import Metrics
from overseer.supervisor.output.subscription import Wishes
from overseer.supervisor.phases import Phase
from overseer.supervisor.table import TaskTable
from overseer.supervisor.task import Task
from overseer.util import locks
from overseer.util.jsonlog import EventLog
from overseer.util.timers import Timers
from tests.faults.support import wait_until
from tests.harness.hubs import tasks_of

_HOUR = 3600.0
_DAY = 24 * _HOUR


class Table:
    """A table of tasks, and the time for it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **history: Any) -> None:
        self.now = 1000.0
        monkeypatch.setattr(tasktable.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(locks, "_seed", 0)  # nobody else has this table, so no lock is checked
        self.table = TaskTable(HistoryConfig(**history), Mock(Timers))
        self.numbers = itertools.count()

    def add(self, task_id: str = "", dedupe: tuple[str, ...] | None = None) -> Task:
        """A task that runs."""
        task = Task(
            task_id or str(next(self.numbers)),
            "a",
            Terms(None, dedupe, None),  # type: ignore[arg-type]
            Metrics(["a"]),
            EventLog(),
            self.table.lock,
        )
        self.table.refuse_taken(task.id, dedupe)
        self.table.add(task)
        with task.lock:
            task.move_locked(Phase.RUNNING)
        return task

    def finish(self, task: Task, phase: Phase = Phase.ENDED) -> Task:
        with task.lock:
            task.move_locked(phase)
        self.table.finish(task)
        return task

    def finished(self, phase: Phase = Phase.ENDED) -> Task:
        return self.finish(self.add(), phase)

    def ids(self) -> list[str]:
        return [task.id for task in self.table]


def test_the_oldest_go_first_once_there_are_too_many_but_none_within_a_minute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = Table(monkeypatch, tasks=2, age=_DAY)
    for phase in (Phase.ENDED, Phase.STOPPED, Phase.ENDED, Phase.STOPPED):
        here.finished(phase)
        here.now += 1
    assert here.table.prune() == pytest.approx(56)
    assert here.ids() == ["0", "1", "2", "3"]
    here.now += 55.9
    here.table.prune()
    assert here.ids() == ["0", "1", "2", "3"]
    here.now += 0.2
    assert here.table.prune() == pytest.approx(0.9)
    assert here.ids() == ["1", "2", "3"]
    here.now += 60
    assert here.table.prune() == pytest.approx(_DAY - (here.now - 1002))
    assert here.ids() == ["2", "3"]


def test_the_old_go_and_what_runs_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    here = Table(monkeypatch, tasks=1000, age=_HOUR)
    running = here.add("runs")
    here.finished()
    here.now += _HOUR - 1
    assert here.table.prune() == pytest.approx(1)
    assert here.ids() == ["runs", "0"]
    here.now += 1
    assert here.table.prune() is None
    assert here.ids() == ["runs"]
    here.now += 100 * _DAY
    here.table.prune()
    assert here.ids() == ["runs"]
    here.finish(running)
    assert here.table.prune() == pytest.approx(_HOUR)


@pytest.mark.parametrize(("age", "kept"), [(0, _DAY), (_HOUR, _DAY), (2 * _DAY, 2 * _DAY)])
def test_errored_ones_wait_for_their_reset_for_a_day_at_least(
    monkeypatch: pytest.MonkeyPatch, age: float, kept: float
) -> None:
    here = Table(monkeypatch, tasks=0, age=age)
    here.finished(Phase.ERRORED)
    here.now += kept - 1
    assert here.table.prune() == pytest.approx(1)
    assert here.ids() == ["0"]
    here.now += 1
    assert here.table.prune() is None
    assert here.ids() == []


def test_errored_ones_are_bounded_in_number_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    here = Table(monkeypatch, tasks=3, age=_DAY)
    monkeypatch.setattr(tasktable, "_ERRORED_KEPT", 2)
    for _ in range(5):
        here.finished(Phase.ERRORED)
    assert here.table.prune() == pytest.approx(60)
    assert len(here.ids()) == 5
    here.now += 60
    assert here.table.prune() == pytest.approx(_DAY - 60)
    assert here.ids() == ["2", "3", "4"]


def test_none_and_no_time_still_mean_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    here = Table(monkeypatch, tasks=0, age=0)
    here.finished()
    assert here.table.prune() == pytest.approx(60)
    here.now += 60
    assert here.table.prune() is None
    assert here.ids() == []


def test_a_forgotten_task_is_unknown_and_its_subscribers_wait_for_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = Table(monkeypatch, tasks=0, age=0)
    client = Client(None)  # type: ignore[arg-type]
    task = here.finished()
    with task.lock:
        task.stream.subscribe_locked(client, Wishes("drop"))
    here.now += 61
    here.table.prune()
    with pytest.raises(RequestError, match="task not found"):
        here.table.find(task.id)
    assert client.waiting == {task.id}
    again = here.add(task.id)
    assert client.waiting == set()
    assert [subscription.lossless for subscription in again.stream.subscribers.values()] == [False]


def test_an_id_and_a_dedupe_key_are_taken_until_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    here = Table(monkeypatch)
    first = here.add("one", ("a", "key"))
    with pytest.raises(RequestError, match="task already running or starting"):
        here.add("one")
    with pytest.raises(RequestError, match="duplicate task: already running as one") as caught:
        here.add("two", ("a", "key"))
    assert caught.value.existing_task_id == "one"
    assert here.add("three", ("a", "other")).phase is Phase.RUNNING
    here.finish(first)
    assert here.add("two", ("a", "key")).phase is Phase.RUNNING
    # The finished one goes on being known, until its id is taken over.
    assert here.table.find("one") is first
    second = here.add("one")
    assert here.table.find("one") is second
    assert first.phase is Phase.FORGOTTEN


def test_twenty_days_of_churn_leave_no_more_than_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    here = Table(monkeypatch, tasks=50, age=_HOUR)
    for number in range(5_000):
        here.finished(Phase.ERRORED if number % 25 == 0 else Phase.ENDED)
        here.now += 345.6
        here.table.prune()
    # An hour's worth of those that ended, a day's worth of errored ones.
    assert len(here.table) <= 11 + 11
    assert here.table.in_use == 0
    counted = Counter(task.phase for task in here.table)
    assert +here.table.phases["a"] - Counter({Phase.FORGOTTEN: 5_000}) == counted


@pytest.mark.parametrize(("history", "first"), [("{tasks: 1, age: 1h}", "ok"), ("{age: 0.05s}", "bad")])
def test_what_is_due_sooner_than_what_was_waited_for_goes_in_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, history: str, first: str
) -> None:
    """Nothing else happens meanwhile that would have somebody look."""
    monkeypatch.setattr(tasktable, "_YOUNGEST", 0.05)
    path = tmp_path / "config.yaml"
    path.write_text(
        f"history: {history}\n"
        "actions:\n"
        "  ok: {type: exec, config: {entrypoint: 'true'}}\n"
        "  bad: {type: exec, retry: {error_threshold: 1}, config: {entrypoint: 'false'}}"
    )
    config = overseer.load_config(path)
    hub = overseer.Hub(config, overseer.build_action_handlers(config))
    try:
        for action in (first, "ok"):
            hub.submit(action)
            assert hub.wait_until_idle(10)
        # Of the first kind the older one, which is one too many by now; else the one that is no errored one.
        wait_until(lambda: len(tasks_of(hub)) == 1, what="the end of one of them")
    finally:
        hub.shutdown()
        hub.close()
