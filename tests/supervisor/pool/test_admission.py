"""The pool's rules, each over every case there is."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import pytest

from overseer.protocol import QueueConfig
from overseer.supervisor.pool.policy import (
    Admit,
    Decision,
    Displace,
    Enqueue,
    QueueState,
    Refuse,
    admit,
    count_excess,
    has_room,
    pick_excess,
    yields,
)

POLICIES = ["false", "true", "prohibit"]


def state(
    action: str = "own",
    *,
    enabled: bool = True,
    size: int = 2,
    taken: int = 2,
    displace: str = "false",
    oldest: int | None = None,
) -> QueueState:
    return QueueState(action, QueueConfig(enabled, size, displace=displace), taken, oldest)


def nobody() -> Iterable[QueueState]:
    raise AssertionError("the other queues do not matter here")


@pytest.mark.parametrize(
    ("limit", "running", "room"),
    [(0, 0, True), (0, 10**6, True), (1, 0, True), (1, 1, False), (3, 2, True), (3, 3, False), (3, 5, False)],
)
def test_a_limit_of_zero_is_none(limit: int, running: int, room: bool) -> None:
    assert has_room(limit, running) is room


@pytest.mark.parametrize(
    ("displace", "force", "allowed"),
    [
        ("false", False, False),
        ("false", True, True),
        ("true", False, True),
        ("true", True, True),
        ("prohibit", False, False),
        ("prohibit", True, False),
        ("", False, False),
        ("", True, True),
    ],
)
def test_who_a_queue_yields_to(displace: str, force: bool, allowed: bool) -> None:
    assert yields(displace, force) is allowed


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("enabled", [False, True])
@pytest.mark.parametrize("taken", [0, 2])
def test_whoever_has_room_runs(force: bool, enabled: bool, taken: int) -> None:
    assert admit(True, state(enabled=enabled, taken=taken), nobody, force) == Admit()


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("displace", POLICIES)
def test_without_a_queue_a_start_is_refused_and_displaces_nobody(force: bool, displace: str) -> None:
    decision = admit(False, state(enabled=False, taken=0, displace=displace, oldest=1), nobody, force)
    assert isinstance(decision, Refuse)
    assert '"own" has no queue' in decision.reason


@pytest.mark.parametrize(("size", "taken"), [(0, 0), (0, 10**6), (1, 0), (3, 2)])
@pytest.mark.parametrize("displace", POLICIES)
def test_a_queue_with_a_place_left_is_used_before_anyone_is_displaced(
    size: int, taken: int, displace: str
) -> None:
    assert admit(False, state(size=size, taken=taken, displace=displace, oldest=1), nobody, True) == Enqueue()


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("mine", list(itertools.product(POLICIES, [None, 5])), ids=repr)
@pytest.mark.parametrize("theirs", list(itertools.product(POLICIES, [None, 3])), ids=repr)
def test_a_full_queue_displaces_the_oldest_its_own_first_as_each_policy_allows(
    force: bool,
    mine: tuple[str, int | None],
    theirs: tuple[str, int | None],
) -> None:
    for third in itertools.product(POLICIES, [None, 4, 2]):
        check_displacement(force, mine, theirs, third)


def check_displacement(
    force: bool,
    mine: tuple[str, int | None],
    theirs: tuple[str, int | None],
    third: tuple[str, int | None],
) -> None:
    own, *others = (
        state(name, displace=displace, oldest=oldest)
        for name, (displace, oldest) in zip(["own", "x", "y"], [mine, theirs, third], strict=True)
    )
    allowed = {"true", "false"} if force else {"true"}
    expected: Decision | None = None
    if mine[0] in allowed and mine[1] is not None:
        expected = Displace("own")
    else:
        open_to_it = [
            (oldest, name)
            for name, (displace, oldest) in {"x": theirs, "y": third}.items()
            if displace in allowed and oldest is not None
        ]
        if open_to_it:
            expected = Displace(sorted(open_to_it)[0][1])
    decision = admit(False, own, lambda: others, force)
    if expected is not None:
        assert decision == expected
    else:
        assert isinstance(decision, Refuse)
        assert 'queue of action "own"' in decision.reason


@pytest.mark.parametrize("old", range(5))
@pytest.mark.parametrize("new", range(5))
def test_only_a_lowered_limit_trims_and_only_beyond_those_on_their_way_out(old: int, new: int) -> None:
    for running, leaving in [(every, gone) for every in range(6) for gone in range(every + 1)]:
        count = count_excess(old, new, running, leaving)
        if new == old or new == 0 or (old != 0 and new > old):
            assert count == 0
        else:
            assert count == max(0, running - leaving - new)
            assert count <= running - leaving


@pytest.mark.parametrize(
    ("order", "count", "picked"),
    [
        ("first", 0, ""),
        ("first", 1, "a"),
        ("first", 2, "ab"),
        ("first", 4, "abcd"),
        ("last", 0, ""),
        ("last", 1, "d"),
        ("last", 2, "dc"),
        ("last", 4, "dcba"),
    ],
)
def test_excess_goes_from_the_oldest_or_from_the_newest(order: str, count: int, picked: str) -> None:
    assert list(pick_excess(list("abcd"), count, order)) == list(picked)
