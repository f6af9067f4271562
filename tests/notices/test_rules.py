"""Which notices follow from what happens; also whole histories, held against a plain reading of the rules."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from overseer.config.notices import NotifyConfig
from overseer.notices.happenings import Happening
from overseer.notices.notice import Notice
from overseer.notices.rules import Rules, State
from tests.harness.seeds import seeds

THEN = datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)
HOUR = timedelta(hours=1)


def rule(*on: str, to: Sequence[str] = ("ops",), **given: Any) -> NotifyConfig:
    return NotifyConfig(on=on, to=tuple(to), **given)


def happens(kind: str, task_id: str = "db", action: str = "serve", hours: int = 0, **given: Any) -> Happening:
    given = {"reason": "exited", "exit_code": 1, **given}
    return Happening(kind, THEN + hours * HOUR, task_id, action, **given)


def told(rules: Rules, *kinds: str, **given: Any) -> list[str]:
    """The events that one channel is told, "" where none."""
    found = []
    for hour, kind in enumerate(kinds):
        notices = rules.take(happens(kind, hours=hour, **given), THEN + hour * HOUR).told
        found.append(notices["ops"].event if notices else "")
    return found


@pytest.mark.parametrize(
    ("on", "happenings", "events"),
    [
        (["failure"], "failure failure success failure", "failure - - failure"),
        (["failure"], "errored errored", "failure -"),
        (["errored"], "failure errored errored success errored", "- errored - - errored"),
        (["failure", "errored"], "errored", "errored"),
        (["failure", "errored"], "failure errored", "failure -"),
        (["failure", "recovery"], "success failure failure success success", "- failure - recovery -"),
        (["recovery"], "failure success", "- -"),
        (["errored", "recovery"], "failure success errored success", "- - errored recovery"),
        (["unhealthy", "recovery"], "unhealthy unhealthy well unhealthy", "unhealthy - recovery unhealthy"),
        (["failure", "recovery"], "errored well failure", "failure recovery failure"),
        (["missed", "recovery"], "missed missed well success missed", "missed - - recovery missed"),
        (["success"], "success success failure success", "success - - success"),
        (["success", "recovery", "failure"], "success failure success", "success failure recovery"),
        (["failure", "unhealthy", "recovery"], "unhealthy failure success", "unhealthy failure recovery"),
    ],
)
def test_a_change_of_state_is_told_once(on: list[str], happenings: str, events: str) -> None:
    expected = [event.replace("-", "") for event in events.split()]
    assert told(Rules([rule(*on)], "s"), *happenings.split()) == expected


def test_a_recovery_says_what_it_is_from() -> None:
    rules = Rules([rule("failure", "recovery")], "the server")
    told(rules, "failure", "failure")
    notice = rules.take(happens("success", hours=5), THEN).told["ops"]
    assert (notice.event, notice.since, notice.count, notice.ts) == ("recovery", THEN, 2, THEN + 5 * HOUR)
    assert notice.message == "db has recovered; the trouble began at 2026-03-14 09:26:53 UTC"
    assert (notice.task_id, notice.action, notice.server) == ("db", "serve", "the server")


def test_a_task_has_a_state_and_an_action_where_the_id_was_made_up() -> None:
    rules = Rules([rule("failure")], "s")
    made_up = ["5c1ab42f-0d7e-4a86-b1a0-e7c2d9f83640", "6c1ab42f-0d7e-4a86-b1a0-e7c2d9f83640"]
    found = [
        bool(rules.take(happens("failure", task_id, action), THEN).told)
        for task_id, action in [
            *(("a", "x"), ("b", "x"), ("a", "x")),
            *((made_up[0], "x"), (made_up[1], "x"), (made_up[1], "y"), ("", "y")),
        ]
    ]
    assert found == [True, True, False, True, False, True, False]


def test_the_runs_of_one_schedule_have_one_state() -> None:
    rules = Rules([rule("failure", tasks=["nightly"])], "s")
    first, second = (
        happens("failure", f"nightly@2026-03-{day}T02:30:00Z", trigger="schedule:nightly") for day in (1, 2)
    )
    assert rules.take(first, THEN).told["ops"].message == "nightly failed: exit code 1"
    assert not rules.take(second, THEN).told
    assert not rules.take(replace(first, trigger="client"), THEN).told  # another task, which no rule is about


def test_a_rule_is_about_the_tasks_that_all_of_it_matches() -> None:
    rules = Rules([rule("failure", actions=["build-*"], tasks=["m*"])], "s")
    concerned = [
        (action, task)
        for action, task in itertools.product(["build-x", "test"], ["main", "other"])
        if rules.take(happens("failure", task, action), THEN).told
    ]
    assert concerned == [("build-x", "main")]


def test_one_event_is_told_once_to_each_channel() -> None:
    rules = Rules([rule("failure", to=["a", "b"]), rule("errored", to=["b", "c"])], "s")
    notices = rules.take(happens("errored"), THEN).told
    assert {name: notice.event for name, notice in notices.items()} == {
        "a": "failure",
        "b": "failure",
        "c": "errored",
    }
    assert len({notice.id for notice in notices.values()}) == 3


def test_it_is_told_again_only_when_it_is_time() -> None:
    rules = Rules([rule("failure", "success", repeat=7200), rule("failure", to=["once"])], "s")
    assert rules.next_reminder() is None
    told(rules, "failure", "failure")
    assert rules.next_reminder() == THEN + 2 * HOUR
    assert not rules.remind(THEN + 1.9 * HOUR).told
    notices = rules.remind(THEN + 2 * HOUR).told
    assert list(notices) == ["ops"]
    assert notices["ops"].reminder
    since = "2026-03-14 09:26:53 UTC"
    assert notices["ops"].message == f"db failed: exit code 1 (still so, 2 times since {since})"
    assert rules.next_reminder() == THEN + 4 * HOUR
    told(rules, "success")
    assert rules.next_reminder() is None


def test_states_outlive_the_rules_that_keep_them() -> None:
    on = rule("failure", "recovery", repeat=3600)
    before = Rules([on], "s")
    changed = before.take(happens("failure"), THEN).changed
    after = Rules([on], "s", {key: state for key, state in changed.items() if state is not None})
    assert told(after, "failure", "success") == ["", "recovery"]


def test_a_rule_that_is_another_one_begins_anew_and_how_often_it_repeats_makes_no_other() -> None:
    rules = Rules([rule("failure"), rule("failure", to=["b"])], "s")
    told(rules, "failure")
    assert rules.replace([rule("failure", repeat=60), rule("failure", to=["c"])], "s", ["serve"])
    notices = rules.take(happens("failure"), THEN).told
    assert list(notices) == ["c"]
    assert rules.next_reminder() == THEN + timedelta(minutes=1)


def test_what_is_kept_of_an_action_goes_with_it() -> None:
    rules = Rules([rule("failure", repeat=60)], "s")
    told(rules, "failure")
    (gone,) = rules.replace([rule("failure", repeat=60)], "s", ["another"])
    assert (gone.subject, rules.next_reminder()) == ("task db", None)


def test_states_are_bounded_and_the_oldest_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("overseer.notices.rules.MOST", 3)
    rules = Rules([rule("failure")], "s")
    for number in range(4):
        changed = rules.take(happens("failure", f"t{number}", hours=number), THEN + number * HOUR).changed
    kept = {key.subject: state is not None for key, state in changed.items()}
    assert kept == {"task t3": True, "task t0": False}
    assert [bool(rules.take(happens("failure", f"t{n}"), THEN + 9 * HOUR).told) for n in (1, 2, 3, 0)] == [
        *(False, False, False, True)
    ]


KINDS = ("failure", "errored", "unhealthy", "missed", "success", "well")
ON = ("failure", "recovery", "errored", "unhealthy", "missed", "success")


@pytest.mark.parametrize("seed", seeds(8, 30))
def test_random_histories_are_told_as_the_rules_say(seed: int) -> None:
    chance = random.Random(seed)
    on = tuple(chance.sample(ON, chance.randint(1, len(ON))))
    states: dict[Any, State] = {}
    bad: set[str] = set()
    well = False
    for _ in range(60):
        kind = chance.choice(KINDS)
        # Each time as by another server, which knows what the one before has stored.
        following = Rules([rule(*on)], "s", states).take(happens(kind), THEN)
        for key, state in following.changed.items():
            if state is None:
                del states[key]
            else:
                states[key] = state
        expected = ""
        if kind in ("success", "well"):
            over = bad & {"failure", "unhealthy", *(["missed"] if kind == "success" else [])}
            if over and "recovery" in on:
                expected = "recovery"
            elif kind == "success" and "success" in on and not well:
                expected = "success"
            bad -= over
            well = well or kind == "success"
        else:
            what = "failure" if kind == "errored" else kind
            well = well and what != "failure"
            if {kind, what} & set(on) and what not in bad:
                bad.add(what)
                expected = kind if kind in on else what
        assert [notice.event for notice in following.told.values()] == ([expected] if expected else [])


def test_what_is_told_can_be_stored() -> None:
    notice = Notice(
        "failure", "x", THEN, THEN, "t", "a", exit_code=0, params={"p": "v"}, reminder=True, server="s"
    ).with_id()  # fmt: skip
    assert Notice.from_data(notice.data) == notice
    assert Notice.from_data(Notice("test", "", THEN, THEN).data).data == Notice("test", "", THEN, THEN).data
