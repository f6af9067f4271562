"""The rules of an outbox, with nothing behind it; what needs a socket is in test_slow_clients."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from overseer.net.frames import Encoded, Piece, close_frame, text_frames
from overseer.net.limits import ConnectionLimits
from overseer.net.outbox import Outbox
from overseer.util.locks import LockOrderError, Rank, lock
from overseer.util.timers import Timers
from tests.harness import allowed


class HeldOutbox(Outbox):
    """Sends what the test says, when it says so."""

    def __init__(self, timers: Timers, framed: bool = True, **limits: Any) -> None:
        settings = {"buffer": 1000, "stall_timeout": 60.0, "close_timeout": 60.0}
        super().__init__(ConnectionLimits(**(settings | limits)), timers, framed=framed)
        self.aborted = threading.Event()
        self.sent = b""

    def flush(self) -> None:
        self._watch_stall()

    def _abort(self) -> None:
        self.fail()
        self.aborted.set()

    def begin(self) -> bytes:
        """Take everything for a send that is under way."""
        self._make_piece()
        with self._lock:
            self._sending = True
            return b"".join(self._take_locked(64))

    def end(self, taken: bytes, size: int) -> None:
        with self._lock:
            self._sending = False
            callbacks = self._sent_locked(size)
        self.sent += taken[:size]
        self._call(callbacks)

    def send(self, size: int = 10**9) -> None:
        taken = self.begin()
        self.end(taken, min(size, len(taken)))


@pytest.fixture
def timers() -> Iterator[Timers]:
    timers = Timers("outbox-timers")
    yield timers
    timers.close()


@pytest.fixture
def new(timers: Timers) -> Callable[..., HeldOutbox]:
    return lambda **options: HeldOutbox(timers, **options)


New = Callable[..., HeldOutbox]


def message(size: int) -> Encoded:
    """A message whose frame has ``size`` bytes."""
    payload = size - 2 if size < 128 else size - 4
    encoded = Encoded([b"x" * payload])
    assert len(encoded.websocket) == size
    return encoded


# -- order and accounting ------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [1, 2, 7, 100, 1000])
def test_bytes_leave_in_the_order_of_the_appends_however_they_are_cut(new: New, step: int) -> None:
    outbox = new()
    for size in (10, 20, 300, 5):
        outbox.append(message(size))
    expected = b"".join(message(size).websocket for size in (10, 20, 300, 5))
    while outbox.pending:
        before = outbox.pending
        outbox.send(step)
        assert outbox.pending == max(0, before - step)
    assert outbox.sent == expected


def test_a_client_of_lines_gets_lines(new: New) -> None:
    outbox = new(framed=False)
    outbox.append(Encoded([b"{}", b"[]"]))
    outbox.send()
    assert outbox.sent == b"{}\n[]\n"


# -- room ----------------------------------------------------------------------------------------------


def test_an_empty_outbox_has_room_for_anything(new: New) -> None:
    assert new().ask_for_room(10**9)


@pytest.mark.parametrize(
    ("pending", "size", "room"), [(1, 999, True), (1, 1000, False), (400, 600, True), (999, 2, False)]
)
def test_room_is_what_the_bound_leaves(new: New, pending: int, size: int, room: bool) -> None:
    outbox = new()
    outbox._append(b"x" * pending, True)
    assert outbox.ask_for_room(size) is room


def test_once_full_there_is_no_room_until_half_of_it_is_free(new: New) -> None:
    outbox = new()
    outbox._append(b"x" * 1000, True)
    assert not outbox.ask_for_room(1)
    outbox.send(499)
    assert not outbox.ask_for_room(1)
    outbox.send(1)
    assert outbox.ask_for_room(1)


def test_waiting_for_room_ends_when_half_is_free(new: New) -> None:
    outbox = new()
    outbox._append(b"x" * 1000, True)
    assert not outbox.ask_for_room(1)
    assert not outbox.wait_for_room(timeout=0.01)
    done = threading.Event()
    waiter = threading.Thread(target=lambda: (outbox.wait_for_room(), done.set()))
    waiter.start()
    outbox.send(499)
    assert not done.is_set()
    outbox.send(1)
    assert done.wait(30)
    waiter.join(30)


def test_a_size_that_does_not_fit_waits_for_the_next_bytes_to_leave_and_does_not_spin(new: New) -> None:
    outbox = new()
    outbox._append(b"x" * 400, True)
    assert not outbox.ask_for_room(700)
    assert not outbox.wait_for_room(timeout=0.01)
    outbox.send(100)
    assert outbox.wait_for_room(timeout=30)
    assert outbox.ask_for_room(700)


@pytest.mark.parametrize("end", ["close", "fail"])
def test_a_close_frees_who_waits_for_room(new: New, end: str) -> None:
    outbox = new()
    outbox._append(b"x" * 2000, True)
    assert not outbox.ask_for_room(1)
    waiter = threading.Thread(target=outbox.wait_for_room)
    waiter.start()
    outbox.close(1000) if end == "close" else outbox.fail()
    waiter.join(30)
    assert not waiter.is_alive()
    assert outbox.ask_for_room(10**9)


def test_who_lingers_over_half_gets_no_more_output_until_it_is_below(new: New) -> None:
    outbox = new(stall_timeout=60.0)
    outbox._append(b"x" * 600, True)
    assert outbox.ask_for_room(100)
    assert outbox._over_since is not None
    outbox._over_since -= 21.0  # more than a third of the stall timeout has passed
    assert not outbox.ask_for_room(100)
    outbox.send(100)
    assert outbox.ask_for_room(100)


def test_room_for_something_big_comes_when_it_fits_beside_what_is_pending(new: New) -> None:
    outbox = new()
    outbox._append(b"x" * 400, True)
    assert not outbox.ask_for_room(700)
    outbox.send(50)
    assert not outbox.wait_for_room(timeout=0.01)
    outbox.send(50)
    assert outbox.wait_for_room(timeout=30)
    assert outbox.ask_for_room(700)


def test_who_waits_for_room_may_be_told_that_there_is_no_need(new: New) -> None:
    outbox = new()
    outbox._append(b"x" * 1000, True)
    assert not outbox.ask_for_room(1)
    over = threading.Event()
    waiter = threading.Thread(target=outbox.wait_for_room, kwargs={"unless": over.is_set})
    waiter.start()
    outbox.recheck()
    waiter.join(0.05)
    assert waiter.is_alive()
    over.set()
    outbox.recheck()
    waiter.join(30)
    assert not waiter.is_alive()
    assert not outbox.ask_for_room(1)


def test_on_room_is_called_once_when_half_is_free(new: New) -> None:
    outbox = new()
    calls: list[int] = []
    outbox._append(b"x" * 1000, True)
    outbox.on_room(lambda: calls.append(outbox.pending))
    outbox.send(499)
    assert calls == []
    outbox.send(1)
    assert calls == [500]
    outbox._append(b"x" * 1000, True)
    outbox.send()
    assert calls == [500]


def test_on_room_with_room_calls_back_from_another_thread_so_that_locks_may_be_held(new: New) -> None:
    outbox = new()
    called: list[str] = []
    done = threading.Event()

    def callback() -> None:
        called.append(threading.current_thread().name)
        done.set()

    with lock(Rank.TASK, "task"):
        outbox.on_room(callback)
    assert done.wait(30)
    assert called == ["outbox-timers"]


def test_on_room_after_a_refusal_waits_for_bytes_to_leave_even_below_half(new: New) -> None:
    outbox = new()
    outbox._append(b"x" * 400, True)
    assert not outbox.ask_for_room(700)
    called = threading.Event()
    outbox.on_room(called.set)
    assert not called.wait(0.02)
    outbox.send(99)
    assert not called.is_set()
    outbox.send(1)
    assert called.is_set()


@pytest.mark.parametrize("end", ["close", "fail"])
def test_on_room_is_called_at_the_end_and_its_failure_harms_no_other(
    new: New, end: str, caplog: pytest.LogCaptureFixture
) -> None:
    outbox = new()
    outbox._append(b"x" * 1000, True)
    called = threading.Event()

    def fail() -> None:
        raise ValueError("a callback that fails")

    outbox.on_room(fail)
    outbox.on_room(called.set)
    outbox.close(1000) if end == "close" else outbox.fail()
    assert called.is_set()
    assert "a callback for room" in caplog.text


# -- limits --------------------------------------------------------------------------------------------


def test_replies_over_four_times_the_bound_close_with_1013(new: New) -> None:
    outbox = new()
    closed = threading.Event()
    for _ in range(40):
        outbox._append(b"x" * 100, False)
    assert not outbox.closed
    outbox.on_room(closed.set)
    with lock(Rank.TASK, "task"):
        outbox.append(message(10))
    assert closed.wait(30)
    assert outbox.close_code == 1013
    outbox.send()
    assert outbox.sent == close_frame(1013, outbox.close_reason)


def test_small_replies_take_little_more_than_their_bytes(new: New) -> None:
    outbox = new(buffer=10_000)
    frames = [b"\x8a\x00", *(b"\x8a\x01%c" % (number % 256) for number in range(5000))]
    taken = b""
    for number, each in enumerate(frames):
        outbox.append_frame(each)
        if number == 2000:  # one is under way, and more join it
            taken = outbox.begin()
    assert len(outbox._queue.chunks) < 50
    outbox.end(taken, len(taken) - 1)
    while outbox.pending:
        outbox.send(777)
    assert outbox.sent == b"".join(frames)


def test_output_does_not_count_as_replies(new: New) -> None:
    outbox = new()
    outbox.append(Encoded([b"x" * 10_000]), output=True)
    outbox.append(message(100))
    outbox.append(Encoded([b"x" * 10_000]), output=True)
    outbox.append(message(100))
    assert not outbox.closed
    outbox.send()
    for _ in range(40):
        outbox._append(b"x" * 100, False)
    assert not outbox.closed


def test_one_reply_alone_may_be_of_any_size(new: New) -> None:
    outbox = new()
    outbox.append(Encoded([b"x" * 100_000]))
    outbox.send()
    assert len(outbox.sent) > 100_000


def test_over_half_for_the_stall_timeout_closes_with_1013(new: New) -> None:
    outbox = new(stall_timeout=0.05)
    closed = threading.Event()
    outbox._append(b"x" * 501, True)
    outbox.on_room(closed.set)
    outbox.flush()
    for _ in range(3):
        outbox.send(0)
    assert closed.wait(30)
    assert outbox.close_code == 1013


def test_who_is_in_the_way_of_something_big_for_the_stall_timeout_is_closed_too(new: New) -> None:
    """Less than half is pending, but what waits does not fit beside it; a trickle does not count."""
    outbox = new(stall_timeout=0.3)
    outbox._append(b"x" * 400, True)
    assert not outbox.ask_for_room(800)
    begun = time.monotonic()
    while not outbox.closed:
        assert time.monotonic() - begun < allowed(5)
        if not outbox.wait_for_room(timeout=0.02):
            outbox.send(1)
    assert outbox.close_code == 1013


def test_who_gets_below_half_in_time_is_not_stalled(new: New, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("overseer.net.outbox.awake", lambda: clock[0])
    outbox = new(stall_timeout=100.0)
    outbox._append(b"x" * 600, True)
    for now in (50.0, 120.0, 210.0):
        outbox.flush()
        clock[0] = now
        outbox._check_stall()
        assert not outbox.closed
        outbox.send(100)  # just in time
        outbox._append(b"x" * 100, True)
    clock[0] = 310.0
    outbox._check_stall()
    assert outbox.closed


def test_requests_are_read_up_to_the_bound(new: New) -> None:
    outbox = new()
    outbox._append(b"x" * 1000, False)
    assert outbox.wait_until_bounded()
    outbox._append(b"x", False)
    done: list[bool] = []
    reader = threading.Thread(target=lambda: done.append(outbox.wait_until_bounded()))
    reader.start()
    reader.join(0.02)
    assert reader.is_alive()
    outbox.send(1)
    reader.join(30)
    assert done == [True]
    outbox._append(b"x", False)
    reader = threading.Thread(target=lambda: done.append(outbox.wait_until_bounded()))
    reader.start()
    outbox.close(1000)
    reader.join(30)
    assert done == [True, False]


# -- closing -------------------------------------------------------------------------------------------


def test_a_close_comes_after_what_is_pending_and_before_nothing(new: New) -> None:
    outbox = new()
    outbox.append(message(10))
    outbox.close(1001, "bye")
    outbox.close(1000, "again")
    outbox.append(message(10))
    outbox.send()
    assert outbox.sent == message(10).websocket + close_frame(1001, "bye")
    assert (outbox.close_code, outbox.close_reason) == (1001, "bye")


@pytest.mark.parametrize("sent", [0, 1, 11, 12, 13, 59, 60, 61, 100, 109, 110])
@pytest.mark.parametrize("in_flight", [False, True])
def test_a_dropping_close_leaves_whole_frames(new: New, sent: int, in_flight: bool) -> None:
    frames = [text_frames([letter * size]) for letter, size in ((b"a", 10), (b"b", 46), (b"c", 48))]
    outbox = new()
    outbox._append(frames[0] + frames[1], True)
    outbox._append(frames[2], False)
    if in_flight:
        taken = outbox.begin()
        outbox.close(1013, "slow", drop=True)
        outbox.end(taken, sent)
    else:
        outbox.send(sent)
        outbox.close(1013, "slow", drop=True)
    outbox.send()
    last = close_frame(1013, "slow")
    assert outbox.sent.endswith(last)
    rest = outbox.sent.removesuffix(last)
    whole = [b"", frames[0], frames[0] + frames[1], b"".join(frames)]
    assert rest == next(prefix for prefix in whole if len(prefix) >= sent)


class InPieces:
    """A message before and a message after another one, which comes in three pieces."""

    texts = (b"a" * 10, b"b" * 70, b"c" * 5)

    def whole(self, framed: bool) -> list[bytes]:
        return [text_frames([text]) if framed else text + b"\n" for text in self.texts]

    def size(self, *, framed: bool) -> int:
        return sum(map(len, self.whole(framed)))

    def pieces(self, *, framed: bool) -> Iterator[Piece]:
        first, second, third = self.whole(framed)
        yield Piece(first, more=False)
        yield Piece(second[:30], more=True)
        yield Piece(second[30:31], more=True)
        yield Piece(second[31:], more=False)
        yield Piece(third, more=False)


@pytest.mark.parametrize("framed", [True, False])
@pytest.mark.parametrize("step", [1, 7, 1000])
def test_what_is_streamed_leaves_in_its_place(new: New, framed: bool, step: int) -> None:
    outbox, message = new(framed=framed), InPieces()
    outbox.append(Encoded([b"before"]))
    outbox.append_streamed(message)
    outbox.append(Encoded([b"after"]))
    before, after = (Encoded([text]) for text in (b"before", b"after"))
    ends = [outbox.framed(before), outbox.framed(after)]
    assert outbox.pending == sum(map(len, ends)) + message.size(framed=framed)
    while outbox.pending:
        outbox.send(step)
    assert outbox.sent == ends[0] + b"".join(message.whole(framed)) + ends[1]


@pytest.mark.parametrize("framed", [True, False])
@pytest.mark.parametrize("in_flight", [False, True])
@pytest.mark.parametrize("sent", [*range(5), 11, 12, 13, 14, 40, 41, 42, 43, 44, 60, 82, 83, 84, 90])
def test_a_dropping_close_leaves_a_streamed_frame_whole(
    new: New, framed: bool, in_flight: bool, sent: int
) -> None:
    outbox, message = new(framed=framed), InPieces()
    outbox.append_streamed(message)
    left = min(sent, outbox.pending)
    while left > 1:
        taken = outbox.begin()
        outbox.end(taken, min(left - 1, len(taken)))
        left -= min(left - 1, len(taken))
    taken = outbox.begin()
    if in_flight:
        outbox.close(1013, "slow", drop=True)
        outbox.end(taken, left)
    else:
        outbox.end(taken, left)
        outbox.close(1013, "slow", drop=True)
    while outbox.pending:
        outbox.send()
    last = close_frame(1013, "slow") if framed else b""
    first, second, third = message.whole(framed)
    rest = outbox.sent.removesuffix(last)
    whole = [b"", first, first + second, first + second + third]
    assert rest == next(prefix for prefix in whole if len(prefix) >= min(sent, len(whole[-1])))


@pytest.mark.parametrize(("sent", "rest"), [(0, b""), (1, b"one\n"), (4, b"one\n"), (5, b"one\ntwo\n")])
def test_a_dropping_close_leaves_whole_lines(new: New, sent: int, rest: bytes) -> None:
    outbox = new(framed=False)
    outbox.append(Encoded([b"one", b"two", b"three"]))
    outbox.send(sent)
    outbox.close(1013, "slow", drop=True)
    outbox.send()
    assert outbox.sent == rest


def test_a_close_that_does_not_come_through_is_cut(new: New) -> None:
    outbox = new(close_timeout=0.02)
    outbox.append(message(10))
    outbox.close(1000)
    assert outbox.aborted.wait(30)
    assert outbox.pending == 0


def test_bytes_that_left_while_it_failed_are_no_error(new: New) -> None:
    outbox = new()
    outbox.append(message(10))
    taken = outbox.begin()
    outbox.fail()
    outbox.end(taken, 10)
    assert outbox.pending == 0


def test_closing_or_waiting_with_a_lock_held_is_an_error(new: New) -> None:
    outbox = new()
    with lock(Rank.TASK, "task"):
        with pytest.raises(LockOrderError):
            outbox.close(1000)
        with pytest.raises(LockOrderError):
            outbox.wait_for_room(0.01)
