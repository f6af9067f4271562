"""What is told, and what waits, outlives the server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from overseer.config import StorageConfig
from overseer.history.store import History
from overseer.notices.notice import Notice
from overseer.notices.outbox import GIVE_UP_S, Pending
from overseer.notices.rules import Key, State
from overseer.notices.storage import States
from overseer.util.timestamps import now

THEN = datetime(2026, 3, 14, 9, 26, 53, 589793, tzinfo=UTC)
NOTICE = Notice("failure", "x failed", THEN, THEN, "x", "a", params={"p": "ä\n"}, exit_code=3).with_id()
KEY = Key("rule", "task x", "failure")

Open = Callable[[], States]


@pytest.fixture
def open_(tmp_path: Path) -> Iterator[Open]:
    """Opens the store as another server would, once the one before is closed."""
    opened: list[History] = []

    def make() -> States:
        for each in opened:
            each.close()
        history = History(str(tmp_path / "data"), StorageConfig(), f"server{len(opened)}", lambda _: None)
        history.start()
        opened.append(history)
        return States(history, "notices")

    yield make
    for each in opened:
        each.close()


def test_states_are_known_to_the_next_server(open_: Open) -> None:
    before = open_()
    state = State(THEN, 1, THEN, NOTICE)
    before.told((), {KEY: state, KEY._replace(kind="missed"): state})
    before.told((), {KEY: replace(state, count=2, told=THEN + timedelta(days=1))})
    before.told((), {KEY._replace(kind="missed"): None})
    assert open_().load() == ({KEY: replace(state, count=2, told=THEN + timedelta(days=1))}, [])


def test_what_waits_is_taken_up_in_its_order_with_its_attempts(open_: Open) -> None:
    before = open_()
    first, second, third = (Pending.new(channel, NOTICE.with_id()) for channel in ("b", "a", "b"))
    before.told((first, second, third), {})
    before.tried(replace(second, attempts=3, due=time.monotonic() + 100, holds_up=False))
    before.over(first)
    states, (one, other) = open_().load()
    assert states == {}
    assert (one.channel, one.notice, one.attempts, one.holds_up) == ("a", second.notice, 3, False)
    assert 90 < one.due - time.monotonic() < 101
    assert (other.channel, other.notice, other.attempts, other.holds_up) == ("b", third.notice, 0, True)
    assert other.due - time.monotonic() < 1
    assert GIVE_UP_S - 60 < other.expires - time.monotonic() <= GIVE_UP_S


@pytest.mark.parametrize("days", [-400, 400])
def test_a_clock_that_was_set_neither_gives_up_nor_waits_for_long(open_: Open, days: int) -> None:
    before = open_()
    moved = replace(Pending.new("a", NOTICE), created=now() + timedelta(days=days))
    before.told([moved], {})
    _, (pending,) = open_().load()
    assert 0 <= pending.due - time.monotonic() <= 600 or pending.due <= time.monotonic()
    assert pending.expires > max(time.monotonic(), pending.due)


def test_what_cannot_be_read_is_left_out(open_: Open, caplog: pytest.LogCaptureFixture) -> None:
    before = open_()
    before.told([Pending.new("a", NOTICE)], {})
    before._history.put(("UPDATE notices SET notice = '{}'", ()))
    assert open_().load() == ({}, [])
    assert "a notice that was stored cannot be read" in caplog.text
