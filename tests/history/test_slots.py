"""What schedules have decided, from server to server."""

from __future__ import annotations

import time
from datetime import timedelta

from overseer.history.records import Trigger
from overseer.history.slots import FIRED, FIRING, KEPT, SKIPPED, WAITING, Schedules, Slot, beside
from overseer.util.timestamps import now
from tests.history.conftest import Open, a_run

SLOT = 1_795_780_800


def test_what_was_decided_is_there_for_the_next_server(open_history: Open) -> None:
    first = open_history("one")
    slots = [
        Slot("t", SLOT, FIRED, now()),
        Slot("t", SLOT + 60, SKIPPED, now(), "overlap", 3),
        Slot("t", SLOT + 120, WAITING, now(), "queue"),
    ]
    assert first.decided(slots, [Schedules("t", SLOT + 60, [(SLOT - 5, SLOT + 60)], paused=True)])
    first.close()
    (found,) = open_history("two").schedules().values()
    assert (found.task_id, found.since, found.paused, found.wanted) == ("t", SLOT + 60, True, True)
    assert list(found.spans) == [(SLOT - 5, SLOT + 60)]
    assert found.slots == slots


def test_a_slot_is_one_row_whose_outcome_changes(open_history: Open) -> None:
    history = open_history()
    schedules = Schedules("t", SLOT, [], paused=False)
    for outcome in (WAITING, FIRING, FIRED):
        assert history.decided([Slot("t", SLOT, outcome, now())], [schedules])
    (found,) = history.schedules().values()
    assert [slot.outcome for slot in found.slots] == [FIRED]


def test_whether_a_start_that_was_asked_for_came_to_a_run_is_told_by_the_runs(open_history: Open) -> None:
    first = open_history("one")
    before = now() - timedelta(hours=1)
    names = ("ran", "another", "earlier", "person", "failed", "queued", "queued earlier")
    first.decided(
        [Slot(name, SLOT, FIRING, now()) for name in names],
        [Schedules(name, SLOT, [], paused=False) for name in names],
    )
    schedule = Trigger("schedule", "schedule:it")
    first.started(a_run("ran", trigger=schedule))
    first.started(a_run(beside("another", SLOT), trigger=schedule))
    first.started(a_run("earlier", trigger=schedule, started=before))
    first.started(a_run("person"))
    first.start_failed(a_run("failed", trigger=schedule), "no such program")
    first.queued(a_run("queued", trigger=schedule, queued=now()))
    first.queued(a_run("queued earlier", trigger=schedule, queued=before))
    first.close()
    outcomes = {name: it.slots[0].outcome for name, it in open_history("two").schedules().items()}
    assert outcomes == {
        "ran": FIRED,
        "another": FIRED,
        "earlier": FIRING,
        "person": FIRING,
        "failed": FIRING,
        "queued": FIRED,
        "queued earlier": FIRING,
    }


def test_the_latest_slots_of_each_task_are_kept_and_all_that_wait(open_history: Open) -> None:
    history = open_history()
    for number in range(KEPT + 10):
        outcome = WAITING if number == 3 else FIRED
        slot = Slot("t", SLOT + number, outcome, now())
        assert history.decided([slot], [Schedules("t", slot.slot, [], paused=False)])
    kept = [slot.slot - SLOT for slot in history.schedules()["t"].slots]
    assert kept == [3, *range(10, KEPT + 10)]


def test_schedules_that_are_no_longer_wanted_go_with_age(open_history: Open) -> None:
    history = open_history("one")
    for name, wanted in (("gone", False), ("there", True)):
        history.decided([Slot(name, SLOT, FIRED, now())], [Schedules(name, SLOT, [], False, wanted)])
    history.close()
    again = open_history("two", age=0.001, failed_age=0.001)
    deadline = time.monotonic() + 30
    while set(again.schedules()) != {"there"}:
        assert time.monotonic() < deadline
        time.sleep(0.02)
