"""One thread that calls functions later: restart delays, queue ages, stalls, keepalives.

A callback must be short and must not block: what takes long starts a thread of its own. ``cancel`` does not
stop a callback that is already running, so callbacks re-check whatever state they act upon.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable

from overseer.util.locks import Rank, lock
from overseer.util.threads import VitalThread

_log = logging.getLogger(__name__)


class Timer:
    """A call that is due at ``when`` (:func:`time.monotonic` seconds)."""

    __slots__ = ("_timers", "callback", "when")

    def __init__(self, timers: Timers, when: float, callback: Callable[[], None]) -> None:
        self._timers = timers
        self.when = when
        self.callback: Callable[[], None] | None = callback

    @property
    def pending(self) -> bool:
        """Whether the call is still to come."""
        return self.callback is not None

    def cancel(self) -> None:
        """Forget the call, unless it is running already. Idempotent; from any thread, with no leaf locked."""
        self._timers._cancel(self)


class Timers:
    """A heap of calls and the thread that makes them, started with the first one at the latest."""

    def __init__(self, name: str = "timers") -> None:
        self._name = name
        # Guards everything below; notified when the earliest call changes or the thread should end.
        self._changed = threading.Condition(lock(Rank.LEAF, "timers"))
        self._heap: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()  # breaks ties, so that Timers are never compared
        self._cancelled = 0  # entries in the heap that are void; swept when they outnumber the rest
        self._thread: threading.Thread | None = None
        self._closed = False

    def start(self) -> None:
        """Start the thread now, while there surely can be one, and not with the first call.

        Raises:
            RuntimeError: the system allows no more threads.
        """
        with self._changed:
            self._start_locked()

    def schedule(self, delay: float, callback: Callable[[], None]) -> Timer:
        """Call ``callback()`` on the timers' thread in ``delay`` seconds; never after :meth:`close`."""
        return self.schedule_at(time.monotonic() + max(0.0, delay), callback)

    def schedule_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Call ``callback()`` when :func:`time.monotonic` reaches ``when``."""
        timer = Timer(self, when, callback)
        with self._changed:
            if self._closed:
                timer.callback = None
                return timer
            heapq.heappush(self._heap, (timer.when, next(self._order), timer))
            self._start_locked()
            if self._heap[0][2] is timer:
                self._changed.notify()
        return timer

    def bring_forward(self, timer: Timer | None, when: float, callback: Callable[[], None]) -> Timer:
        """The timer, if it is due no later than ``when``; else a new one in its place."""
        if timer is not None and timer.pending and timer.when <= when:
            return timer
        if timer is not None:
            timer.cancel()
        return self.schedule_at(when, callback)

    def close(self) -> None:
        """Drop what is pending and end the thread; waits for a callback that is running. Idempotent."""
        with self._changed:
            self._closed = True
            self._heap.clear()
            self._changed.notify()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _start_locked(self) -> None:
        if self._thread is None and not self._closed:
            thread = VitalThread(target=self._run, name=self._name)
            thread.start()
            self._thread = thread

    def _cancel(self, timer: Timer) -> None:
        with self._changed:
            if timer.callback is None:
                return
            timer.callback = None
            self._cancelled += 1
            if self._cancelled > 64 and self._cancelled * 2 > len(self._heap):
                self._heap = [entry for entry in self._heap if entry[2].callback is not None]
                heapq.heapify(self._heap)
                self._cancelled = 0

    def _next(self) -> Callable[[], None] | None:
        """Wait for the next call that is due and take it; None when closed."""
        with self._changed:
            while not self._closed:
                if not self._heap:
                    self._changed.wait()
                    continue
                when, _, timer = self._heap[0]
                if timer.callback is None:
                    heapq.heappop(self._heap)
                    self._cancelled = max(0, self._cancelled - 1)
                    continue
                remaining = when - time.monotonic()
                if remaining > 0:
                    self._changed.wait(min(remaining, threading.TIMEOUT_MAX))
                    continue
                heapq.heappop(self._heap)
                callback, timer.callback = timer.callback, None
                return callback
        return None

    def _run(self) -> None:
        while (callback := self._next()) is not None:
            try:
                callback()
            except BaseException:  # of a SystemExit, too: others' timers must go on
                _log.exception("timer callback failed")
