"""Which slots are run and which are skipped, whatever the clock does. It is told the time."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from overseer.config.schedules import Schedule
from overseer.schedules.plan import LATE_S, MOST, Offer, Plan, Skip
from overseer.schedules.slots import Slots
from overseer.schedules.spans import Spans
from tests.harness.seeds import seeds

NOON = int(datetime(2026, 11, 27, 12, tzinfo=UTC).timestamp())
HOUR = 3600


def hourly(**more: Any) -> Schedule:
    return Schedule(cron="0 * * * *", **more)


def test_a_slot_is_run_when_it_is_due_and_not_before() -> None:
    plan = Plan("t", [hourly()], NOON)
    assert plan.due == NOON + HOUR
    assert plan.decide(NOON + HOUR - 0.01) == ([], [])
    assert plan.decide(NOON + HOUR) == ([Offer(NOON + HOUR, "skip")], [])
    assert plan.decide(NOON + HOUR) == ([], []), "not twice"
    assert plan.due == NOON + 2 * HOUR


def test_what_was_before_it_was_there_does_not_count() -> None:
    assert Plan("t", [Schedule(at=datetime.fromtimestamp(NOON, UTC))], NOON).due is None


@pytest.mark.parametrize(
    ("missed", "late", "run", "skipped"),
    [
        ("once", 0, [6], Skip(NOON + 5 * HOUR, "missed", 5)),
        ("once", 1800, [6], Skip(NOON + 5 * HOUR, "missed", 5)),
        ("skip", 0, [6], Skip(NOON + 5 * HOUR, "missed", 5)),  # the latest is not late
        ("skip", LATE_S + 1, [], Skip(NOON + 6 * HOUR, "missed", 6)),
        ("all", 1800, [1, 2, 3, 4, 5, 6], None),
    ],
)
@pytest.mark.parametrize("by", ["a restart", "a sleep"])
def test_missed_slots(missed: str, late: int, run: list[int], skipped: Skip | None, by: str) -> None:
    now = NOON + 6 * HOUR + late
    schedules = [hourly(missed=missed)]
    if by == "a sleep":
        plan = Plan("t", schedules, NOON)
    else:
        plan = Plan("t", schedules, now, Spans([(NOON - HOUR, NOON)]), since=NOON)
    offers, skips = plan.decide(now)
    assert [offer.slot for offer in offers] == [NOON + hour * HOUR for hour in run]
    assert all(offer.made_up == (missed == "all") for offer in offers)
    assert skips == [skipped] * (skipped is not None)
    assert plan.due == NOON + 7 * HOUR


def test_all_are_a_bounded_number() -> None:
    plan = Plan("t", [hourly(missed="all")], NOON)
    offers, skips = plan.decide(NOON + 50 * HOUR)
    assert [offer.slot for offer in offers] == [NOON + hour * HOUR for hour in range(51 - MOST, 51)]
    assert skips == [Skip(NOON + (50 - MOST) * HOUR, "missed", 50 - MOST)]


def test_a_restart_without_missed_slots_runs_nothing() -> None:
    plan = Plan("t", [hourly()], NOON + 60, Spans([(NOON - HOUR, NOON)]), since=NOON)
    assert plan.due == NOON + HOUR


def test_what_an_earlier_server_decided_ahead_of_its_span_is_not_run_again() -> None:
    plan = Plan("t", [hourly()], NOON + HOUR + 5, Spans([(0, NOON)]), since=NOON, decided=[NOON + HOUR])
    assert plan.due == NOON + 2 * HOUR


@pytest.mark.parametrize(
    ("paused", "enabled", "reason"), [(True, True, "paused"), (False, False, "disabled")]
)
def test_each_slot_of_a_schedule_that_starts_nothing_is_skipped(
    paused: bool, enabled: bool, reason: str
) -> None:
    plan = Plan("t", [hourly(enabled=enabled, missed="all")], NOON)
    plan.paused = paused
    assert plan.decide(NOON + HOUR + 1) == ([], [Skip(NOON + HOUR, reason)])
    assert plan.decide(NOON + 3 * HOUR + 1) == ([], [Skip(NOON + 3 * HOUR, reason, 2)])


def test_two_schedules_of_a_task_share_a_slot() -> None:
    plan = Plan("t", [hourly(), Schedule(every=1800)], NOON)
    ran = [offer.slot for minute in range(0, 121, 10) for offer in plan.decide(NOON + minute * 60)[0]]
    assert ran == [NOON + 1800, NOON + HOUR, NOON + 3 * 1800, NOON + 2 * HOUR]


def test_jitter_puts_off_and_the_slot_is_still_missed_if_the_server_ends_meanwhile() -> None:
    schedule = hourly(jitter=1800)
    due = Slots("t", schedule).due(NOON + HOUR)
    plan = Plan("t", [schedule, Schedule(cron="1-59 * * * *")], NOON + HOUR - 30)
    assert plan.decide(due - 1)[0][-1].slot != NOON + HOUR
    again = Plan("t", [schedule], due + 5, plan.spans, since=plan.since)
    assert again.decide(due + 5)[0] == [Offer(NOON + HOUR, "skip")]


def test_a_clock_set_back_runs_nothing_again_and_goes_on_where_it_had_come_to() -> None:
    plan = Plan("t", [Schedule(every=60)], NOON)
    ran = [offer.slot for second in range(0, 601, 10) for offer in plan.decide(NOON + second)[0]]
    plan.clock_set_back(NOON + 120)
    ran += [offer.slot for second in range(120, 1201, 10) for offer in plan.decide(NOON + second)[0]]
    assert ran == [NOON + 60 * minute for minute in range(1, 21)]


def test_a_year_that_was_a_mistake_silences_nothing() -> None:
    plan = Plan("t", [Schedule(every=60)], NOON)
    wrong = NOON + 365 * 86_400
    assert [offer.slot for offer in plan.decide(wrong)[0]] == [wrong]
    plan.clock_set_back(NOON + 30)
    assert plan.due == NOON + 60
    assert plan.decide(NOON + 60)[0] == [Offer(NOON + 60, "skip")]


def test_nor_does_it_if_the_server_was_restarted_in_between() -> None:
    plan = Plan("t", [hourly()], NOON)
    plan.decide(NOON + 365 * 86_400)
    again = Plan("t", [hourly()], NOON + 1800, Spans(plan.spans), since=plan.since)
    assert again.due == NOON + HOUR
    assert again.decide(NOON + HOUR)[0] == [Offer(NOON + HOUR, "skip")]


def test_reload_keeps_what_was_decided_and_what_was_put_off() -> None:
    schedule = hourly(jitter=1800)
    due = Slots("t", schedule).due(NOON + HOUR)
    plan = Plan("t", [schedule], NOON)
    assert plan.replace([schedule, Schedule(every=7)], NOON + HOUR) == []
    assert Offer(NOON + HOUR, "skip") in plan.decide(due)[0]
    assert plan.replace([hourly()], due + 1) == []
    assert plan.due == NOON + 2 * HOUR, "its slot of this hour was run before it was changed"


def test_reload_says_what_becomes_of_a_slot_that_was_put_off_and_is_gone() -> None:
    plan = Plan("t", [hourly(jitter=1800)], NOON)
    assert plan.replace([Schedule(every=7 * 86_400)], NOON + HOUR) == [Skip(NOON + HOUR, "disabled")]
    plan = Plan("t", [Schedule(cron="0 2 * * *")], NOON)
    assert plan.replace([Schedule(cron="30 11 * * *")], NOON) == []
    assert plan.due == NOON + 23.5 * HOUR, "what it would have had before the reload was not missed"


_SCHEDULES = [
    [Schedule(every=60)],
    [Schedule(cron="*/5 * * * *", missed="all")],
    [Schedule(every=300, jitter=200), Schedule(cron="*/7 * * * *", missed="skip")],
    [Schedule(cron="30 2 * * *", timezone="Europe/Berlin"), Schedule(every=1800, jitter=1800)],
    [Schedule(at=datetime.fromtimestamp(NOON + 4000, UTC)), Schedule(every=3600, missed="all")],
]


@pytest.mark.parametrize("number", range(len(_SCHEDULES)))
@pytest.mark.parametrize("seed", seeds(4, 12))
def test_no_slot_is_run_twice_whatever_clocks_restarts_and_reloads_do(number: int, seed: int) -> None:
    rng = random.Random(f"{number} {seed}")
    schedules = _SCHEDULES[number]
    now = float(NOON + rng.randrange(86_400))
    plan = Plan("t", schedules, now)
    ran: Counter[int] = Counter()
    for _ in range(400):
        what = rng.random()
        if what < 0.85:
            now += rng.choice([1, 5, 29.5, 60, 400])
        elif what < 0.90:
            now += rng.choice([2 * HOUR, 30 * HOUR])
        elif what < 0.95:
            now -= rng.choice([3, 70, HOUR, 26 * HOUR])
            plan.clock_set_back(now)
        elif what < 0.98:  # a server that ends, and another one
            plan = Plan("t", schedules, now, Spans(plan.spans), since=plan.since, decided=ran)
        else:
            schedules = rng.choice(_SCHEDULES)
            plan.replace(schedules, now)
        offers, _ = plan.decide(now)
        ran.update(offer.slot for offer in offers)
        assert all(offer.slot <= now for offer in offers)
        assert plan.due is None or plan.due > now
    assert ran
    assert max(ran.values()) == 1


@pytest.mark.parametrize(
    "schedule",
    [
        Schedule(every=60),
        Schedule(every=300, jitter=250, missed="skip"),
        Schedule(cron="*/5 * * * *", missed="all"),
        Schedule(cron="30 2 * * *", timezone="Europe/Berlin", jitter=HOUR),
        Schedule(every=900, enabled=False),
    ],
    ids=str,
)
@pytest.mark.parametrize("seed", seeds(3, 6))
def test_every_slot_is_run_or_skipped_however_time_goes_on(schedule: Schedule, seed: int) -> None:
    rng = random.Random(f"{schedule} {seed}")
    begin = NOON + rng.randrange(86_400)
    now = float(begin)
    plan = Plan("t", [schedule], now)
    ran: set[int] = set()
    number = 0
    for _ in range(200):
        now += rng.choice([0.3, 7, 29.5, 60, 400, 2 * HOUR, rng.choice([10, 14 * HOUR])])
        if rng.random() < 0.1:
            plan = Plan("t", [schedule], now, Spans(plan.spans), since=plan.since, decided=ran)
        if rng.random() < 0.1:
            plan.paused = not plan.paused and schedule.enabled
        offers, skips = plan.decide(now)
        ran.update(offer.slot for offer in offers)
        number += len(offers) + sum(skip.number for skip in skips)
    slots = Slots("t", schedule)
    first = slots.after(begin)
    assert first is not None
    expected = [slot for slot in slots.upcoming(begin, 50_000) if slots.due(slot) <= now]
    assert number == len(expected)
    assert ran <= set(expected)
    assert bool(ran) == schedule.enabled
