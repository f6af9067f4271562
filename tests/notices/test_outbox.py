"""The outbox: every notice in order, tried again with growing delays, and given up in the end."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from overseer.notices import outbox as module
from overseer.notices.notice import Notice
from overseer.notices.outbox import Answer, Attempt, Outbox, Pending, Storage, delay
from overseer.util.timers import Timers

THEN = datetime(2026, 3, 14, tzinfo=UTC)
FIRST_S = 0.02


class Receiver:
    """Answers attempts as it is told, then with TAKEN; a list in place of an answer is for each in turn."""

    def __init__(self, **answers: Sequence[Answer]) -> None:
        self._answers = {message: list(each) for message, each in answers.items()}
        self._changed = threading.Condition()
        self.tried: list[str] = []
        self.together = self.most = 0
        self.go = threading.Event()
        self.go.set()

    def __call__(self, pending: Pending) -> Attempt:
        message = pending.notice.message
        with self._changed:
            self.together += 1
            self.most = max(self.most, self.together)
            self.tried.append(message)
            answers = self._answers.get(message, [])
            answer = answers.pop(0) if answers else Answer.TAKEN
            self._changed.notify_all()
        assert self.go.wait(30)
        with self._changed:
            self.together -= 1
            self._changed.notify_all()
        return Attempt(answer, "because")

    def wait(self, number: int) -> list[str]:
        """Wait for so many attempts, and return them."""
        with self._changed:
            enough = self._changed.wait_for(lambda: len(self.tried) >= number and not self.together, 30)
            assert enough, self.tried
            return list(self.tried)


class Recorded(Storage):
    def __init__(self) -> None:
        self.said: list[str] = []
        self.changed = threading.Condition()

    def _note(self, what: str, pending: Pending) -> None:
        with self.changed:
            self.said.append(f"{what} {pending.notice.message} {pending.attempts}")
            self.changed.notify_all()

    def tried(self, pending: Pending) -> None:
        self._note("tried", pending)

    def over(self, pending: Pending) -> None:
        self._note("over", pending)

    def wait(self, what: str) -> None:
        with self.changed:
            said = self.changed.wait_for(lambda: any(map(re.compile(what).fullmatch, self.said)), 30)
            assert said, self.said


Open = Callable[..., Outbox]


@pytest.fixture
def storage() -> Recorded:
    return Recorded()


@pytest.fixture
def open_(storage: Recorded) -> Iterator[Open]:
    opened: list[Outbox] = []
    timers = Timers("test-timers")

    def make(receiver: Receiver, first: float = FIRST_S) -> Outbox:
        opened.append(Outbox(receiver, storage, timers, first))
        return opened[-1]

    yield make
    timers.close()
    for each in opened:
        each.close(10)


def notice(message: str, channel: str = "ops") -> Pending:
    return Pending.new(channel, Notice("failure", message, THEN, THEN).with_id())


def test_the_delay_is_doubled_up_to_ten_minutes() -> None:
    assert [delay(attempts) for attempts in (1, 2, 3, 9, 10, 1000)] == [2, 4, 8, 512, 600, 600]


def test_a_notice_is_delivered_once_and_forgotten(open_: Open, storage: Recorded) -> None:
    receiver = Receiver()
    outbox = open_(receiver)
    outbox.put(notice("a"))
    storage.wait("over a 0")
    assert (outbox.sent, outbox.failed, outbox.waiting) == (1, 0, 0)
    assert receiver.tried == ["a"]


def test_while_the_receiver_is_down_all_wait_and_come_in_order(open_: Open, storage: Recorded) -> None:
    receiver = Receiver(a=[Answer.DOWN] * 3)
    outbox = open_(receiver)
    for message in "abc":
        outbox.put(notice(message))
    storage.wait("over c 0")
    assert receiver.tried == ["a", "a", "a", "a", "b", "c"]
    tried = [each for each in storage.said if each.startswith("tried")]
    assert tried == ["tried a 1", "tried a 2", "tried a 3"]


def test_one_that_is_refused_does_not_hold_up_the_others(open_: Open, storage: Recorded) -> None:
    receiver = Receiver(a=[Answer.REFUSED] * 2)
    receiver.go.clear()
    outbox = open_(receiver, first=0.3)  # much longer than from one attempt to the next
    for message in "ab":
        outbox.put(notice(message))
    receiver.go.set()
    storage.wait("over a 2")
    assert receiver.tried == ["a", "b", "a", "a"]


def test_a_channel_is_told_one_at_a_time_and_channels_side_by_side(open_: Open, storage: Recorded) -> None:
    receiver = Receiver()
    receiver.go.clear()
    outbox = open_(receiver)
    for number in range(12):
        outbox.put(notice("a", f"channel{number}"))
        outbox.put(notice("b", f"channel{number}"))
    with receiver._changed:
        assert receiver._changed.wait_for(lambda: receiver.together == 8, 30)
    assert set(receiver.tried) == {"a"}
    receiver.go.set()
    assert len(receiver.wait(24)) == 24
    assert receiver.most == 8


def test_whoever_is_gone_is_told_nothing_until_it_is_enabled_again(
    open_: Open, storage: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    receiver = Receiver(a=[Answer.GONE])
    receiver.go.clear()
    outbox = open_(receiver)
    outbox.put(notice("a"))
    outbox.put(notice("b"))
    receiver.go.set()
    storage.wait("over b 0")
    outbox.put(notice("c"))
    assert (outbox.failed, outbox.waiting, outbox.disabled) == (3, 0, 1)
    assert "channel ops is disabled until a reload or restart: because" in caplog.text
    outbox.set_channels(["ops"])
    outbox.put(notice("d"))
    storage.wait("over d 0")
    assert receiver.tried == ["a", "d"]


def test_it_is_given_up_after_a_day(open_: Open, storage: Recorded, caplog: pytest.LogCaptureFixture) -> None:
    outbox = open_(Receiver(a=[Answer.DOWN] * 9))
    pending = notice("a")
    outbox.put(replace(pending, expires=pending.due + 5 * FIRST_S))
    storage.wait("over a .")
    assert (outbox.sent, outbox.failed, outbox.waiting) == (0, 1, 0)
    assert "channel ops: the notice 'a' is given up: because" in caplog.text


def test_too_many_push_out_the_oldest(
    open_: Open, storage: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST", 3)
    receiver = Receiver(a=[Answer.DOWN])
    receiver.go.clear()
    outbox = open_(receiver)
    outbox.put(notice("a"))
    with receiver._changed:  # one that is under way is not pushed out
        assert receiver._changed.wait_for(lambda: receiver.together == 1, 30)
    for message in "bcde":
        outbox.put(notice(message))
    assert (outbox.failed, outbox.waiting) == (2, 3)
    receiver.go.set()
    storage.wait("over e 0")
    assert receiver.tried == ["a", "c", "d", "e"]


def test_what_was_stored_is_taken_up_and_a_reload_tries_at_once(open_: Open, storage: Recorded) -> None:
    receiver = Receiver()
    outbox = open_(receiver)
    pending = notice("a")
    later = replace(pending, due=pending.due + 1000, attempts=7)
    outbox.restore([later, replace(notice("x", "gone"), due=pending.due + 1000)])
    assert outbox.waiting == 2
    outbox.set_channels(["ops"])
    storage.wait("over a 7")
    assert (receiver.tried, outbox.failed, outbox.waiting) == (["a"], 1, 0)


@pytest.mark.parametrize("answer", [Answer.GONE, Answer.DOWN])
def test_what_the_old_address_answers_after_a_reload_does_not_count(
    open_: Open, storage: Recorded, answer: Answer
) -> None:
    receiver = Receiver(a=[answer])
    receiver.go.clear()
    outbox = open_(receiver, first=1000.0)
    outbox.put(notice("a"))
    outbox.put(notice("b"))
    with receiver._changed:
        assert receiver._changed.wait_for(lambda: receiver.tried == ["a"], 30)
    outbox.set_channels(["ops"])
    receiver.go.set()
    storage.wait("over b 0")
    assert (receiver.tried, outbox.disabled, outbox.failed) == (["a", "a", "b"], 0, 0)


def test_one_that_fails_in_the_attempt_itself_is_tried_again(
    open_: Open, storage: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    receiver = Receiver()
    calls = iter([1, 0])

    def deliver(pending: Pending) -> Attempt:
        if next(calls):
            raise KeyError("x")
        return receiver(pending)

    outbox = open_(deliver)
    outbox.put(notice("a"))
    storage.wait("over a 1")
    assert "channel ops: an attempt to deliver a notice failed" in caplog.text


def test_what_is_left_at_the_end_stays_stored(open_: Open, storage: Recorded) -> None:
    receiver = Receiver(a=[Answer.DOWN])
    receiver.go.clear()
    outbox = open_(receiver)
    outbox.put(notice("a"))
    outbox.put(notice("b"))
    with receiver._changed:
        assert receiver._changed.wait_for(lambda: receiver.together == 1, 30)
    outbox.close(0.0)
    receiver.go.set()
    storage.wait("tried a 1")
    outbox.put(notice("c"))
    assert receiver.tried == ["a"]
    assert [each for each in storage.said if each.startswith("over")] == []
