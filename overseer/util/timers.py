"""One thread that does things later: restart delays, queue ages, stalls, keepalives.

A timer is a value: a moment, and what is due then. What that means is up to the ``fire`` of its
:class:`Timers`: by default it is a function and its arguments; a hub's are a kind and ids, so that what is
pending can be written down. What fires must be short and must not block. ``cancel`` does not stop what is
already firing, so whoever acts on a timer checks again that there is something to do.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import operator
import threading
import time
from collections.abc import Callable
from typing import Any

from overseer.util.locks import Rank, assert_held, lock
from overseer.util.threads import VitalThread

_log = logging.getLogger(__name__)


class Timer:
    """What is due at ``when`` (:func:`time.monotonic` seconds), until it has fired or is cancelled."""

    __slots__ = ("_timers", "due", "when")

    def __init__(self, timers: Timers, when: float, due: tuple[Any, ...]) -> None:
        self._timers = timers
        self.when = when
        self.due: tuple[Any, ...] | None = due

    @property
    def pending(self) -> bool:
        """Whether it is still to fire."""
        return self.due is not None

    def cancel(self) -> None:
        """Drop it, unless it is firing already. Idempotent; from any thread, with no leaf locked."""
        self._timers._cancel(self)


class Timers:
    """A heap of timers and the thread that fires them, started with the first one at the latest.

    Args:
        name: of the thread.
        fire: called on that thread with what is due.
    """

    def __init__(self, name: str = "timers", fire: Callable[..., object] = operator.call) -> None:
        self._name = name
        self._fire = fire
        self._lock = lock(Rank.LEAF, "timers")  # guards everything below
        self._changed = threading.Condition(self._lock)  # notified at an earlier timer, and at the end
        self._heap: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()  # breaks ties, so that Timers are never compared
        self._cancelled = 0  # entries in the heap that are void; swept when they outnumber the rest
        self._thread: threading.Thread | None = None
        self._closed = False

    def start(self) -> None:
        """Start the thread now, while there can surely be one, rather than with the first timer.

        Raises:
            RuntimeError: the system allows no more threads.
        """
        with self._changed:
            self._start_locked()

    def schedule(self, delay: float, *due: Any) -> Timer:
        """Fire in ``delay`` seconds; never after :meth:`close`."""
        return self.schedule_at(time.monotonic() + max(0.0, delay), *due)

    def schedule_at(self, when: float, *due: Any) -> Timer:
        """Fire when :func:`time.monotonic` reaches ``when``."""
        timer = Timer(self, when, due)
        with self._lock:
            if self._closed:
                timer.due = None
                return timer
            heapq.heappush(self._heap, (timer.when, next(self._order), timer))
            if self._thread is None:
                self._start_locked()
            if self._heap[0][2] is timer:
                self._changed.notify()
        return timer

    def bring_forward(self, timer: Timer | None, when: float, *due: Any) -> Timer:
        """The timer, if it fires no later than ``when``; else a new one in its place."""
        if timer is not None and timer.due is not None and timer.when <= when:
            return timer
        if timer is not None:
            timer.cancel()
        return self.schedule_at(when, *due)

    def close(self) -> None:
        """Drop what is pending and end the thread; waits for what is firing. Idempotent."""
        with self._changed:
            self._closed = True
            self._heap.clear()
            self._changed.notify()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _start_locked(self) -> None:
        assert_held(self._lock)
        if self._thread is None and not self._closed:
            thread = VitalThread(target=self._run, name=self._name)
            thread.start()
            self._thread = thread

    def _cancel(self, timer: Timer) -> None:
        with self._lock:
            if timer.due is None:
                return
            timer.due = None
            self._cancelled += 1
            if self._cancelled > 64 and self._cancelled * 2 > len(self._heap):
                self._heap = [entry for entry in self._heap if entry[2].due is not None]
                heapq.heapify(self._heap)
                self._cancelled = 0

    def _next(self) -> tuple[Any, ...] | None:
        """Wait for the next timer and take what is due; None when closed."""
        with self._changed:
            while not self._closed:
                if not self._heap:
                    self._changed.wait()
                    continue
                when, _, timer = self._heap[0]
                if timer.due is None:
                    heapq.heappop(self._heap)
                    self._cancelled = max(0, self._cancelled - 1)
                    continue
                remaining = when - time.monotonic()
                if remaining > 0:
                    self._changed.wait(min(remaining, threading.TIMEOUT_MAX))
                    continue
                heapq.heappop(self._heap)
                due, timer.due = timer.due, None
                return due
        return None

    def _run(self) -> None:
        while (due := self._next()) is not None:
            try:
                self._fire(*due)
            except BaseException:  # of a SystemExit, too: others' timers must go on
                _log.exception("timer callback failed")
