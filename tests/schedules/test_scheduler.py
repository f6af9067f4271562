"""The scheduler with a hub that does as it is told: what it asks of it, and when it looks at the clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from overseer.config import StandingTask
from overseer.config.schedules import Schedule
from overseer.errors import ClosingError, RequestError, TakenError
from overseer.history.records import Trigger
from overseer.history.slots import FIRED, Schedules, Slot
from overseer.protocol import Exited, Skipped, Started
from overseer.schedules.plan import Plan
from overseer.schedules.scheduler import Scheduler
from overseer.schedules.store import ScheduleStore
from overseer.supervisor.observers import Change
from overseer.supervisor.task import Requester

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)


class Hub:
    """Notes what is started and skipped; ``refuse`` is raised by each start."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.causes: list[Trigger] = []
        self.skipped: list[tuple[str, str]] = []
        self.asked = 0
        self.used: set[str] = set()
        self.refuse: Exception | None = None
        self.definitions = SimpleNamespace(config=SimpleNamespace(standing_retry=self._broken))

    def _broken(self, task: Any) -> Any:
        raise KeyError(task)

    def in_use(self, task_id: str) -> bool:
        self.asked += 1
        return task_id in self.used

    def start(self, action: str, task_id: str, *more: Any, requester: Requester, **fields: Any) -> None:
        if self.refuse is not None:
            raise self.refuse
        assert requester.cause is not None
        self.started.append(task_id)
        self.causes.append(requester.cause)

    def skip(self, event: Skipped, action: str) -> None:
        self.skipped.append((event.task_id, event.reason))


class Served:
    """A scheduler that is not running: a test moves its clock, and has it take a step."""

    def __init__(
        self,
        schedules: dict[str, Schedule],
        store: ScheduleStore | None = None,
        given: Mapping[str, Any] | None = None,
        at: datetime = NOON,
    ) -> None:
        self.now = at
        self.hub = Hub()
        self.recorded: list[tuple[str, str]] = []
        record: Callable[..., None] = lambda name, request, error: self.recorded.append((name, error))  # noqa: E731
        hub: Any = self.hub
        self.scheduler = Scheduler(hub, store or ScheduleStore(None), record, lambda: self.now)
        self.scheduler.load(
            {name: StandingTask(name, "a", schedule=(each,)) for name, each in schedules.items()}, given
        )

    def after(self, **time: float) -> None:
        self.now += timedelta(**time)
        self.scheduler._step()

    @property
    def patience(self) -> float:
        with self.scheduler.lock:
            return self.scheduler._patience_locked()


def test_ten_thousand_that_are_not_due_cost_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    served = Served({f"t{number}": Schedule(cron=f"{number % 60} 3 * * *") for number in range(10_000)})
    decided: list[Plan] = []
    decide = Plan.decide
    monkeypatch.setattr(Plan, "decide", lambda plan, now: decided.append(plan) or decide(plan, now))
    for _ in range(100):
        served.after(seconds=30)
    assert (decided, served.hub.asked) == ([], 0)
    served.now = NOON.replace(hour=3, minute=0) + timedelta(days=1)
    served.after(seconds=0)
    assert len(decided) == len(served.hub.started) == 167, "those of that minute"


def test_it_sleeps_until_the_next_slot_but_for_half_a_minute_at_most_and_never_spins() -> None:
    served = Served({"t": Schedule(cron="0 * * * *")})
    assert served.patience == 30
    served.now += timedelta(minutes=59, seconds=50)
    assert served.patience == 10
    served.now += timedelta(seconds=9.999)
    assert served.patience == 0.05
    served.now += timedelta(minutes=5)
    assert served.patience == 0.05
    assert Served({}).patience == 30


def test_a_start_that_is_refused_is_on_record_and_what_is_broken_breaks_nothing_else() -> None:
    served = Served({"t": Schedule(every=60)})
    served.hub.refuse = RequestError("no room")
    served.after(seconds=60)
    assert served.recorded == [("t", "no room")]
    assert served.scheduler.tracks["t"].refused == "no room"
    served.hub.refuse = ZeroDivisionError()
    served.after(seconds=60)
    assert served.recorded[1:] == [("t", "internal error")]
    served.hub.refuse = None
    served.after(seconds=60)
    assert (served.hub.started, served.recorded[2:]) == (["t"], [("t", "")])
    assert served.scheduler.tracks["t"].refused == ""


def test_a_task_beside_one_whose_action_has_just_gone_is_refused() -> None:
    served = Served({"t": Schedule(every=60, overlap="allow")})
    served.hub.used.add("t")
    served.after(seconds=60)
    assert served.recorded == [("t", "internal error")]


@pytest.mark.parametrize(
    ("overlap", "skipped", "waiting"),
    [("skip", [("t", "overlap")], 0), ("queue", [], 1), ("replace", [], 1)],
)
def test_whoever_starts_it_in_between_is_an_overlap(
    overlap: str, skipped: list[tuple[str, str]], waiting: int
) -> None:
    served = Served({"t": Schedule(every=60, overlap=overlap)})
    served.hub.refuse = TakenError("it runs")
    served.hub.stop = lambda *asked: None  # type: ignore[attr-defined]
    served.after(seconds=60)
    assert served.hub.skipped == skipped
    assert len(served.scheduler.tracks["t"].plan.waiting) == waiting
    assert served.recorded == []
    served.hub.used.add("t")
    served.hub.refuse = None
    served.after(seconds=10)
    assert served.hub.started == []
    served.hub.used.clear()
    served.after(seconds=10)
    assert served.hub.started == ["t"] * waiting


@pytest.mark.parametrize("overlap", ["queue", "replace"])
def test_a_slot_does_not_wait_for_a_task_whose_schedule_goes_in_between(overlap: str) -> None:
    served = Served({"t": Schedule(every=60, overlap=overlap)})
    start = served.hub.start
    served.hub.stop = lambda *asked: pytest.fail("stopped")  # type: ignore[attr-defined]

    def taken(*asked: Any, **fields: Any) -> None:
        served.scheduler.apply({})
        raise TakenError("it runs")

    served.hub.start = taken  # type: ignore[method-assign]
    served.after(seconds=60)
    assert served.hub.skipped == [("t", "disabled")]
    served.hub.start = start  # type: ignore[method-assign]
    served.after(seconds=60)
    assert served.hub.started == []


def test_one_beside_it_whose_id_is_taken_is_refused_once() -> None:
    """The id is known beforehand, so anybody may have taken it."""
    served = Served({"t": Schedule(every=60, overlap="allow")})
    served.hub.used.add("t")
    served.hub.definitions.config.standing_retry = lambda task: SimpleNamespace(empty=True)
    served.hub.refuse = TakenError("it runs")
    served.after(seconds=60)
    assert served.recorded == [("t", "it runs")]
    served.hub.used.clear()  # it is started in between, and the one beside it has been as well
    served.after(seconds=60)
    assert served.recorded == [("t", "it runs")] * 2


def test_the_end_of_the_server_is_no_refusal() -> None:
    served = Served({"t": Schedule(every=60)})
    served.hub.refuse = ClosingError()
    served.after(seconds=60)
    assert (served.recorded, served.scheduler.tracks["t"].refused) == ([], "")


def test_what_is_still_to_be_brought_back_is_in_use() -> None:
    served = Served({"t": Schedule(every=60)})
    returning = {"t"}
    served.scheduler._returning = returning
    served.after(seconds=60)
    assert served.hub.skipped == [("t", "overlap")]
    returning.clear()
    served.after(seconds=60)
    assert served.hub.started == ["t"]


def test_what_was_put_off_or_waits_when_its_schedule_goes_is_skipped() -> None:
    jittered, queued = Schedule(every=3600, jitter=3600), Schedule(every=60, overlap="queue")
    served = Served({"late": jittered, "queue": queued})
    served.hub.used.add("queue")
    served.after(minutes=60, seconds=1)
    assert served.hub.started == []
    served.scheduler.apply({"late": StandingTask("late", "a")})
    assert sorted(served.hub.skipped) == [("late", "disabled"), ("queue", "disabled"), ("queue", "missed")]
    served.hub.used.clear()
    served.after(minutes=60)
    assert served.hub.started == []
    served.scheduler.close()


def test_what_is_heard_late_of_an_earlier_run_says_nothing_of_a_later_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    served = Served({"t": Schedule(every=60)})
    kept: list[Slot] = []
    monkeypatch.setattr(ScheduleStore, "keep", lambda store, slots, rows, wait=True: kept.extend(slots))

    def hear(what: str, cause: Trigger) -> list[tuple[int, str]]:
        event = Started("", "t", 1, NOON) if what == "started" else Exited("t", 1, 0, False, NOON)
        outcome = "" if what == "started" else "succeeded"
        kept.clear()
        served.scheduler.heard(Change(event, "t", "a", {}, "", cause, outcome))
        return [(slot.slot - first, slot.outcome) for slot in kept]

    first = int(NOON.timestamp()) + 60
    for _ in range(3):
        served.after(seconds=60)
    one, two, three = served.hub.causes
    assert hear("exited", Trigger("schedule", "schedule:t")) == [], "of a start that is long settled"
    assert hear("started", one) == [(0, FIRED)]
    assert hear("exited", one) == []
    assert len(served.scheduler.export()["firing"]) == 2
    assert hear("started", two) == [(60, FIRED)]
    assert hear("exited", two) == []
    assert hear("started", three) == [(120, FIRED)]
    assert served.scheduler.export()["firing"] == []


class _Memory(ScheduleStore):
    """Outlives a scheduler, as a history does."""

    def __init__(self) -> None:
        super().__init__(None)
        self._slots: dict[int, Slot] = {}
        self._rows: dict[str, Schedules] = {}

    def keep(self, slots: Iterable[Slot], schedules: Iterable[Schedules], *, wait: bool = True) -> None:
        self._slots.update((slot.slot, slot) for slot in slots)
        self._rows.update((row.task_id, row) for row in schedules)

    def load(self) -> dict[str, Schedules]:
        return {name: replace(row, slots=list(self._slots.values())) for name, row in self._rows.items()}


@pytest.mark.parametrize("by", ["restart", "upgrade"])
def test_missed_slots_are_still_run_one_after_another_by_the_next_server(by: str) -> None:
    """Even if somebody else is quicker to start the task: that its schedule skips an overlap is about slots
    that were not missed."""
    hourly = {"t": Schedule(cron="0 * * * *", missed="all", overlap="skip")}
    store = _Memory()
    first = Served(hourly, store)
    first.hub.used.add("t")
    first.after(hours=3, minutes=10)
    waiting = [offer.slot for offer in first.scheduler.tracks["t"].plan.waiting]
    assert len(waiting) == 3
    given = first.scheduler.export() if by == "upgrade" else None
    second = Served(hourly, store, given, first.now)
    second.hub.refuse = TakenError("it runs")
    second.after(seconds=1)
    assert second.hub.skipped == []
    assert [offer.slot for offer in second.scheduler.tracks["t"].plan.waiting] == waiting
    second.hub.refuse = None
    for _ in waiting:
        second.after(seconds=1)
    assert second.hub.started == ["t"] * 3


def test_a_schedule_that_a_reload_has_removed_cannot_be_paused() -> None:
    served = Served({"t": Schedule(every=60)})
    served.scheduler.apply({})
    with pytest.raises(RequestError, match="t has no schedule"):
        served.scheduler.pause("t", paused=True)
