"""Monotonic time, without the time in which this process did not run (SIGSTOP, a frozen or migrated machine).

It measures clients' deadlines: in the lost time, nothing that a client sent was read, and no ping was sent.
A timer calls :meth:`AwakeClock.tick`; a late tick tells how long nothing ran. Between ticks the clock stops
where the next one is overdue, so no thread ever sees the lost time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NewType

from overseer.util.locks import Rank, lock
from overseer.util.timers import Timer, Timers

TICK = 1.0  # seconds between two ticks
_LATE = 0.25  # by which a tick may be late on a busy machine

AwakeTime = NewType("AwakeTime", float)
"""A moment on this clock, in seconds. Whoever waits for one looks at no other clock."""


class AwakeClock:
    """The clock; safe from any thread. Without ticks it is the monotonic one."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._ticking = lock(Rank.LEAF, "awake")
        # The last tick (None: not ticking) and the seconds lost before it; replaced as a whole.
        self._last: tuple[float | None, float] = (None, 0.0)

    def __call__(self) -> AwakeTime:
        # Read before the time, from which a tick in between would be subtracted otherwise.
        tick, lost = self._last
        now = self._monotonic()
        return AwakeTime((now if tick is None else min(now, tick + TICK + _LATE)) - lost)

    def after(self, seconds: float) -> AwakeTime:
        """The moment so many seconds from now."""
        return AwakeTime(self() + seconds)

    def tick(self) -> None:
        """The process runs: to be called every ``TICK`` seconds until :meth:`stop`."""
        with self._ticking:
            now = self._monotonic()
            tick, lost = self._last
            if tick is not None:
                lost += max(0.0, now - tick - TICK - _LATE)
            self._last = now, lost

    def stop(self) -> None:
        """The ticking ends."""
        self.tick()
        with self._ticking:
            self._last = None, self._last[1]


awake = AwakeClock()
"""This process's."""


class Ticker:
    """Ticks :data:`awake` by a timer while somebody has deadlines, so that an idle process sleeps.

    Args:
        needed: whether somebody has; called with a leaf locked.
    """

    def __init__(self, timers: Timers, needed: Callable[[], bool]) -> None:
        self._timers = timers
        self._needed = needed
        self._lock = lock(Rank.LEAF, "ticker")  # guards the fields below
        self._ticking = False
        self._stopped = False
        self._timer: Timer | None = None
        self.begin()

    def begin(self) -> None:
        """Tick from now on, unless it is so already; to be called once it is needed."""
        with self._lock:
            if self._ticking or self._stopped:
                return
            self._ticking = True
        self._tick()

    def stop(self) -> None:
        """Idempotent."""
        with self._lock:
            self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
        awake.stop()

    def _tick(self) -> None:
        awake.tick()
        with self._lock:
            goes_on = self._ticking = not self._stopped and self._needed()
        if goes_on:
            self._timer = self._timers.schedule(TICK, self._tick)
            goes_on = not self._stopped and self._timer.pending  # stopped meanwhile, or the timers are closed
            if not goes_on:
                self._timer.cancel()
        if not goes_on:
            awake.stop()
