"""The outbox: notices are kept here until they are delivered or given up.

Each channel gets its notices in order, one at a time. One that the receiver refuses does not hold up the
others; while the receiver is down, all wait, since notices out of order would mislead.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from functools import partial
from typing import NamedTuple

from overseer.notices.notice import Notice
from overseer.util.locks import Rank, lock
from overseer.util.thread_pool import ThreadPool
from overseer.util.timers import Timer, Timers
from overseer.util.timestamps import now

_log = logging.getLogger(__name__)

FIRST_S = 2.0
LONGEST_S = 600.0
GIVE_UP_S = 24 * 3600.0
MOST = 10_000
"""Notices that may wait; above, the oldest of the channel go."""

_THREADS = 8  # channels that are delivered to at the same time


class Answer(Enum):
    """The outcome of an attempt."""

    TAKEN = 1
    REFUSED = 2  # this notice; others may be accepted
    DOWN = 3  # nothing is accepted now
    GONE = 4  # nothing will ever be accepted


class Attempt(NamedTuple):
    """An attempt's outcome, and why it failed, in words that reveal no secret."""

    answer: Answer
    why: str = ""


@dataclass(frozen=True, slots=True)
class Pending:
    """A notice waiting for its channel.

    Attributes:
        created: when it was put into the outbox; wall time.
        expires: when it is given up; monotonic.
        due: when to try next; monotonic.
        holds_up: whether the notices behind it wait for it.
    """

    channel: str
    notice: Notice
    created: datetime
    expires: float
    due: float
    attempts: int = 0
    holds_up: bool = True

    @classmethod
    def new(cls, channel: str, notice: Notice) -> Pending:
        at = time.monotonic()
        return cls(channel, notice, now(), at + GIVE_UP_S, at)


def delay(attempts: int, first: float = FIRST_S) -> float:
    """Seconds to wait after so many attempts: doubled each time, up to ten minutes."""
    return min(first * 2.0 ** min(attempts - 1, 30), LONGEST_S)


class Storage:
    """Stores pending notices; this one stores nothing. Its methods return at once, on any thread."""

    def tried(self, pending: Pending) -> None:
        """Note that an attempt failed, and when the next is due."""

    def over(self, pending: Pending) -> None:
        """Note that it was delivered, or given up."""


@dataclass(slots=True)
class _Queue:
    pending: list[Pending] = field(default_factory=list)  # in order
    busy: bool = False  # a thread delivers
    timer: Timer | None = None
    failing: bool = False  # the last attempt failed


class Outbox:
    """Delivers notices. Thread-safe.

    Args:
        deliver: makes one attempt; may block.
        timers: call back when it is time to try again.
        first: seconds from the first failure to the second attempt.
    """

    def __init__(
        self,
        deliver: Callable[[Pending], Attempt],
        storage: Storage,
        timers: Timers,
        first: float = FIRST_S,
    ) -> None:
        self._deliver = deliver
        self._storage = storage
        self._timers = timers
        self._first = first
        self._threads = ThreadPool("notice", _THREADS)
        self._lock = lock(Rank.LEAF, "outbox of notices")  # guards the rest
        self._queues: dict[str, _Queue] = {}
        self._disabled: set[str] = set()
        self._settings = 0  # how often the channels were set
        self._closed = False
        self.sent = 0
        self.failed = 0  # given up

    @property
    def waiting(self) -> int:
        """How many notices are pending."""
        with self._lock:
            return sum(len(queue.pending) for queue in self._queues.values())

    @property
    def disabled(self) -> int:
        """How many channels are disabled."""
        with self._lock:
            return len(self._disabled)

    @property
    def pending(self) -> list[Pending]:
        """All that waits, in order for each channel."""
        with self._lock:
            return [each for queue in self._queues.values() for each in queue.pending]

    def restore(self, pending: Iterable[Pending]) -> None:
        """Take over what was stored, oldest first."""
        with self._lock:
            for each in pending:
                self._queues.setdefault(each.channel, _Queue()).pending.append(each)
            names = list(self._queues)
        for name in names:
            self._go(name)

    def put(self, pending: Pending) -> None:
        """Deliver a notice, which is stored, as soon as possible."""
        name = pending.channel
        given_up = []
        with self._lock:
            disabled = name in self._disabled
            if disabled:
                self.failed += 1
            else:
                queue = self._queues.setdefault(name, _Queue())
                queue.pending.append(pending)
                if sum(len(each.pending) for each in self._queues.values()) > MOST and len(queue.pending) > 1:
                    given_up.append(queue.pending.pop(0))
        if disabled:
            self._storage.over(pending)
            return
        self._drop(given_up, "too many wait")
        self._go(name)

    def set_channels(self, channels: Iterable[str]) -> None:
        """Set the channels, and try each again; what is pending for any other is given up."""
        known = set(channels)
        with self._lock:
            self._disabled.clear()
            self._settings += 1
            gone = [each for name in self._queues.keys() - known for each in self._queues.pop(name).pending]
            names = list(self._queues)
        self._drop(gone, "the channel no longer exists")
        for name in names:
            self._go(name, at_once=True)

    def close(self, timeout: float) -> None:
        """Start no further attempts, and wait for those under way. Idempotent."""
        with self._lock:
            self._closed = True
        self._threads.close(timeout)

    def _go(self, name: str, at_once: bool = False) -> None:
        """Deliver what is due for a channel."""
        with self._lock:
            queue = self._queues.get(name)
            if queue is None or self._closed:
                return
            if at_once:
                at = time.monotonic()
                queue.pending = [replace(each, due=min(each.due, at)) for each in queue.pending]
            if queue.busy:
                return
            pending, soonest = _next(queue)
            queue.busy = pending is not None
        if pending is not None:
            self._threads.do(partial(self._work, name))
        else:
            self._wait(queue, name, soonest)

    def _wait(self, queue: _Queue, name: str, until: float | None) -> None:
        """Look again at that moment. A superfluous timer does no harm, so no lock is held."""
        if until is not None:
            queue.timer = self._timers.bring_forward(queue.timer, until, self._go, name)

    def _work(self, name: str) -> None:
        while True:
            with self._lock:
                queue = self._queues.get(name)
                if queue is None or self._closed:
                    return
                pending, soonest = _next(queue)
                queue.busy = pending is not None
                settings = self._settings
            if pending is None:
                self._wait(queue, name, soonest)
                return
            try:
                attempt = self._deliver(pending)
            except Exception as error:
                _log.exception("channel %s: an attempt to deliver a notice failed", name)
                attempt = Attempt(Answer.REFUSED, type(error).__name__)
            if settings == self._settings or attempt.answer is Answer.TAKEN:
                self._settle(pending, attempt)
            # Else it has failed by settings that may no longer be in force, and is tried again at once.

    def _settle(self, pending: Pending, attempt: Attempt) -> None:
        """Carry out what follows from an attempt."""
        name = pending.channel
        given_up: list[Pending] = []
        with self._lock:
            queue = self._queues.get(name)
            if queue is None:  # the channel is gone meanwhile
                return
            places = (n for n, each in enumerate(queue.pending) if each.notice.id == pending.notice.id)
            place = next(places, None)
            if place is None:  # too many waited
                return
            was_failing = queue.failing
            match attempt.answer:
                case Answer.TAKEN:
                    del queue.pending[place]
                    self.sent += 1
                    queue.failing = False
                case Answer.GONE:
                    self._disabled.add(name)
                    given_up, queue.pending = queue.pending, []
                case Answer.REFUSED | Answer.DOWN:
                    queue.failing = True
                    pending = self._postponed(pending, holds_up=attempt.answer is Answer.DOWN)
                    if pending.due >= pending.expires:
                        given_up.append(queue.pending.pop(place))
                    else:
                        queue.pending[place] = pending
        match attempt.answer:
            case Answer.TAKEN:
                if was_failing:
                    _log.info("channel %s accepts notices again", name)
                self._storage.over(pending)
            case Answer.GONE:
                _log.error("channel %s is disabled until a reload or restart: %s", name, attempt.why)
            case Answer.REFUSED | Answer.DOWN:
                if not was_failing:
                    what = "channel %s: a notice is not delivered: %s; it is tried again for a day"
                    _log.warning(what, name, attempt.why)
                if not given_up:
                    self._storage.tried(pending)
        self._drop(given_up, attempt.why)

    def _postponed(self, pending: Pending, *, holds_up: bool) -> Pending:
        attempts = pending.attempts + 1
        due = time.monotonic() + delay(attempts, self._first)
        return replace(pending, attempts=attempts, due=due, holds_up=holds_up)

    def _drop(self, given_up: Iterable[Pending], why: str) -> None:
        for each in given_up:
            with self._lock:
                self.failed += 1
            _log.error("channel %s: the notice %r is given up: %s", each.channel, each.notice.message, why)
            self._storage.over(each)


def _next(queue: _Queue) -> tuple[Pending | None, float | None]:
    """What to try now, or else when something will be due."""
    at = time.monotonic()
    soonest = None
    for each in queue.pending:
        if each.due <= at:
            return each, None
        soonest = each.due if soonest is None else min(soonest, each.due)
        if each.holds_up:
            break
    return None, soonest
