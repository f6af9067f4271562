"""The slots of one schedule, its jitter, and what was missed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from overseer.config.schedules import Schedule
from overseer.schedules.slots import Slots

NOON = int(datetime(2026, 11, 27, 12, tzinfo=UTC).timestamp())


def test_a_period_is_counted_from_1970_whenever_the_server_started() -> None:
    slots = Slots("t", Schedule(every=900))
    assert slots.after(NOON) == NOON + 900
    assert slots.after(NOON - 1) == NOON
    assert slots.upcoming(NOON + 1, 3) == [NOON + 900, NOON + 1800, NOON + 2700]
    assert Slots("t", Schedule(every=86_400)).after(NOON) == NOON + 12 * 3600, "midnight"


def test_a_single_time_comes_once() -> None:
    slots = Slots("t", Schedule(at=datetime.fromtimestamp(NOON, UTC)))
    assert slots.upcoming(NOON - 5, 3) == [NOON]
    assert slots.after(NOON) is None


@pytest.mark.parametrize(
    "schedule", [Schedule(cron="*/5 * * * *", jitter=86_400), Schedule(every=300, jitter=120)]
)
def test_jitter_is_stable_spread_and_ends_before_the_next_slot(schedule: Schedule) -> None:
    slots, again = Slots("t", schedule), Slots("t", schedule)
    for slot in slots.upcoming(NOON, 200):
        assert slots.due(slot) == again.due(slot)
        assert slot <= slots.due(slot) < slot + min(schedule.jitter, 300)
    delays = sorted(slots.due(slot) - slot for slot in slots.upcoming(NOON, 200))
    assert delays[10] < min(schedule.jitter, 300) * 0.2 < min(schedule.jitter, 300) * 0.8 < delays[-10]
    others = Slots("u", schedule)
    assert [others.due(slot) for slot in slots.upcoming(NOON, 5)] != [
        slots.due(slot) for slot in slots.upcoming(NOON, 5)
    ], "another task's is another"


@pytest.mark.parametrize(
    ("schedule", "seconds", "number"),
    [
        (Schedule(cron="0 * * * *"), 5 * 3600, 5),
        (Schedule(cron="30 2 * * *"), 100 * 86_400, 100),
        (Schedule(cron="0 0 29 2 *"), 9 * 366 * 86_400, 2),
        (Schedule(every=1), 400 * 86_400, 1000),
        (Schedule(cron="* * * * *"), 400 * 86_400, 1000),
    ],
)
def test_what_has_passed_is_counted_and_the_latest_are_known(
    schedule: Schedule, seconds: int, number: int
) -> None:
    slots = Slots("t", schedule)
    first = slots.after(NOON)
    assert first is not None
    latest, found = slots.passed(first, NOON + seconds, 3)
    assert found == number
    assert len(latest) == min(number, 3)
    following = slots.after(latest[-1])
    assert following is not None
    assert latest[-1] <= NOON + seconds < following
    assert list(latest) == slots.upcoming(latest[0] - 1, len(latest))
