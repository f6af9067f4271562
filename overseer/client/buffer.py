"""A bounded buffer of a task's events for their reader, with a gap for every line lost.

A program that does not read must not grow in memory, so a full buffer loses its oldest lines;
``backpressure`` keeps it from filling up. Everything here is guarded by the client's lock.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final, TypeAlias

from overseer.client.errors import ReplyTimeoutError
from overseer.protocol import Data, Event, Gap, Output, Partial
from overseer.util.locks import CHECKED, assert_held
from overseer.util.timestamps import now, parse_timestamp

Line: TypeAlias = tuple[str, int, str, str, str, int, bool, bool]
"""An ``output`` message as it is buffered: task_id, pid, stream, data, ts, seq, truncated, overwritten.
A bare tuple: decoding makes one for each line, and a named one takes several times as long."""

TASK_ID: Final = 0
STREAM: Final = 2
DATA: Final = 3
SEQ: Final = 5

Item: TypeAlias = Line | Event

_LINE_COST = 256  # bytes that a line takes in addition to its text
# What the server (8 MiB by default) and two kernels may still hold when reading pauses.
_IN_FLIGHT = 32 << 20
_KEPT_EVENTS = 1000  # other events that outlive the lines around them
_AT_ONCE = 256  # items that an iteration takes at a time


class EventBuffer:
    """Items in the order they arrived.

    Args:
        lock: the client's; methods that end in ``_locked`` expect it held.
        bound: bytes that may wait, if more than one item does. 0: nothing is kept.
    """

    def __init__(self, lock: threading.Lock, bound: int) -> None:
        self._bound = bound
        self._items: deque[Item] = deque()
        self._size = 0
        self._lost: list[Gap] = []  # read before _items
        self.dropped = 0  # lost events other than lines, not reported yet
        self.lock = lock
        self.was_read = False  # there has been an iteration over it
        self._readers = 0  # iterations under way
        # What iterations that ended had taken and not used, and in which generation.
        self._left: deque[tuple[int, list[Item]]] = deque()
        self._generation = 0
        self.arrived = threading.Condition(lock)  # notified at items, and by the owner at the end
        self.room = threading.Condition(lock)  # notified when it is half empty, and by the owner at the end

    def __repr__(self) -> str:
        size = f"{self._size} of {self._bound} bytes"
        return f"<EventBuffer {len(self._items)} items, {size}, {self._readers} readers>"

    @property
    def full(self) -> bool:
        return self._size > self._bound

    @property
    def overfull(self) -> bool:
        """Whether it holds more than could have been in flight when it became full."""
        return self._size > self._bound + _IN_FLIGHT

    @property
    def half_empty(self) -> bool:
        return self._size <= self._bound // 2

    def is_read_locked(self) -> bool:
        """Whether an iteration is under way."""
        assert_held(self.lock)
        self._tidy_locked()
        return self._readers > 0

    def is_empty_locked(self) -> bool:
        assert_held(self.lock)
        self._tidy_locked()
        return not self._items and not self._lost

    def put_locked(self, item: Item) -> None:
        """Add an item; call :meth:`settle_locked` after the last one."""
        if CHECKED:
            assert_held(self.lock)
        if self._bound:
            self._items.append(item)
            self._size += _cost(item)

    def put_partial_locked(self, item: Partial) -> None:
        """Add the state of an unfinished line, in place of its last one if that has not been taken."""
        assert_held(self.lock)
        last = self._items[-1] if self._items else None
        if isinstance(last, Partial) and last.stream == item.stream:
            self._items[-1] = item
        else:
            self.put_locked(item)

    def settle_locked(self, *, lossless: bool) -> None:
        """Wake readers and, unless ``lossless``, drop the oldest lines of a full buffer."""
        assert_held(self.lock)
        if self.overfull or (self.full and not lossless):
            self._trim_locked()
        self.arrived.notify_all()

    def enter_locked(self) -> None:
        """An iteration begins; :meth:`leave` ends it."""
        assert_held(self.lock)
        self._readers += 1
        self.was_read = True

    @property
    def generation(self) -> int:
        """Counts how often it was cleared."""
        return self._generation

    def leave(self, unused: Sequence[Item], generation: int) -> None:
        """An iteration ends. Its unused items go back, unless the buffer has been cleared since that
        ``generation``.

        A generator may be finalised anywhere, even by the garbage collector in the middle of a locked
        section. So the lock is only tried; if it is held, its holder tidies up.
        """
        self._left.append((generation, list(unused)))
        if self.lock.acquire(blocking=False):
            try:
                self._tidy_locked()
                self.room.notify_all()
            finally:
                self.lock.release()

    def _tidy_locked(self) -> None:
        if CHECKED:
            assert_held(self.lock)
        while self._left:
            generation, unused = self._left.popleft()
            self._readers -= 1
            if unused and generation == self._generation:
                back = [*unused, *self._lost]  # these were lost after it
                self._lost.clear()
                self._items.extendleft(reversed(back))
                self._size += sum(map(_cost, back))

    def take_locked(self, most: int) -> list[Item]:
        """The oldest items, in order."""
        assert_held(self.lock)
        self._tidy_locked()
        if self._lost:
            lost, self._lost = self._lost, []
            return list(lost)
        items = [self._items.popleft() for _ in range(min(most, len(self._items)))]
        if items:
            self._size -= sum(map(_cost, items))
            if self.half_empty:
                self.room.notify_all()
        return items

    def clear_locked(self) -> None:
        """Forget what waits; an iteration under way keeps only what it has taken."""
        assert_held(self.lock)
        self._tidy_locked()
        self._generation += 1
        self._items.clear()
        self._lost.clear()
        self._size = 0
        self.room.notify_all()

    def _trim_locked(self) -> None:
        """Down to three quarters of the bound, so that this is not done again for each line."""
        assert_held(self.lock)
        kept: list[Item] = []
        while self._items and self._size > self._bound * 3 // 4:
            item = self._items.popleft()
            if isinstance(item, tuple):
                self._lose_locked(item[TASK_ID], item[SEQ], item[SEQ])
            elif isinstance(item, Gap):
                self._lose_locked(item.task_id, item.from_seq, item.to_seq)
            elif isinstance(item, Partial | Data):
                pass  # the line's end is yet to come; and offsets tell of lost data
            elif len(kept) < _KEPT_EVENTS:
                kept.append(item)
                continue
            else:
                self.dropped += 1
            self._size -= _cost(item)
        self._items.extendleft(reversed(kept))

    def _lose_locked(self, task_id: str, from_seq: int, to_seq: int) -> None:
        assert_held(self.lock)
        for index in range(len(self._lost) - 1, max(-1, len(self._lost) - 65), -1):
            last = self._lost[index]
            if last.task_id == task_id:
                if last.to_seq + 1 == from_seq:
                    self._lost[index] = Gap(task_id, last.from_seq, to_seq, last.ts)
                    return
                break
        self._lost.append(Gap(task_id, from_seq, to_seq, now()))


def _cost(item: Item) -> int:
    if isinstance(item, tuple):
        return len(item[DATA]) + _LINE_COST
    return len(item.data) + _LINE_COST if isinstance(item, Data) else _LINE_COST


def take(
    buffer: EventBuffer,
    over: Callable[[], bool],
    timeout: float | None,
    what: str,
    notice: Callable[[str], None],
) -> Iterator[deque[Item]]:
    """Iterate over a buffer in batches, until it is empty and ``over()`` (called under the lock).

    Items left in a batch when this is closed go back. ``notice`` is called about lost events other than
    lines, which have gaps.
    """
    taken: deque[Item] = deque()
    generation = 0
    # The lock itself, not a condition: Ctrl-C in a condition's Python code could leave it locked.
    with buffer.lock:
        buffer.enter_locked()
    try:
        while True:
            with buffer.lock:
                if not buffer.arrived.wait_for(lambda: not buffer.is_empty_locked() or over(), timeout):
                    raise ReplyTimeoutError(f"nothing came from {what} for {timeout:g} s")
                generation = buffer.generation
                taken.clear()
                taken.extend(buffer.take_locked(_AT_ONCE))
                dropped, buffer.dropped = buffer.dropped, 0
            if dropped:
                notice(f"{dropped} events of {what} are lost: they came faster than they were read")
            if not taken:
                return
            yield taken
    finally:
        buffer.leave(taken, generation)


def batches(taken: Iterable[deque[Item]]) -> Iterator[list[Event]]:
    """What :func:`take` takes, as events. Of a batch that has been given out, nothing goes back."""
    for items in taken:
        events = [to_output(item) if isinstance(item, tuple) else item for item in items]
        items.clear()
        yield events


# Lines of one batch have one time, and to read a time takes longer than all the rest. (A tuple is replaced at
# once, so that threads may share this.)
_last: tuple[str, datetime] = ("", now())


def to_output(line: Line) -> Output:
    """The ``output`` message that a line was. Raises ValueError when its time is none."""
    global _last
    task_id, pid, stream, data, ts, seq, truncated, overwritten = line
    text, moment = _last
    if text != ts:
        moment = parse_timestamp(ts)
        _last = ts, moment
    return Output(task_id, pid, stream, data, moment, seq, truncated, overwritten)
