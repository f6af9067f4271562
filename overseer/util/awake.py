"""Monotonic time less that in which this process did not run (SIGSTOP, a frozen or migrated machine).

Deadlines that clients have to meet are measured by it: what a client sent meanwhile has not been looked at,
and no ping was sent. Whoever has a thread that wakes up regularly calls :meth:`AwakeClock.tick`; from a tick
that comes late it is known how long nothing ran. Between two ticks the clock goes no further than to the
moment at which the next one is overdue, so it never shows such time, whichever thread looks first.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from overseer.util.locks import Rank, lock
from overseer.util.timers import Timer, Timers

TICK = 0.5  # seconds between two ticks
_LATE = 0.25  # by which a tick may be late on a busy machine


class AwakeClock:
    """The clock; safe from any thread. As long as nobody ticks it is the monotonic one."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._ticking = lock(Rank.LEAF, "awake")
        # The last tick (None: nobody ticks) and the seconds lost before it; replaced as a whole.
        self._last: tuple[float | None, float] = (None, 0.0)

    def __call__(self) -> float:
        # Before the time is looked at: a tick in between would be taken off a time from before it.
        tick, lost = self._last
        now = self._monotonic()
        return (now if tick is None else min(now, tick + TICK + _LATE)) - lost

    def tick(self) -> None:
        """The process runs; to be called every ``TICK`` seconds from now on, until :meth:`stop`."""
        with self._ticking:
            now = self._monotonic()
            tick, lost = self._last
            if tick is not None:
                lost += max(0.0, now - tick - TICK - _LATE)
            self._last = now, lost

    def stop(self) -> None:
        """Nobody ticks any more."""
        self.tick()
        with self._ticking:
            self._last = None, self._last[1]


awake = AwakeClock()
"""This process's."""


class Ticker:
    """Ticks :data:`awake` by some timers, from now on until it is stopped."""

    def __init__(self, timers: Timers) -> None:
        self._timers = timers
        self._stopped = threading.Event()
        self._timer: Timer | None = None
        self._tick()

    def stop(self) -> None:
        """Idempotent."""
        self._stopped.set()
        if self._timer is not None:
            self._timer.cancel()
        awake.stop()

    def _tick(self) -> None:
        awake.tick()
        self._timer = self._timers.schedule(TICK, self._tick)
        if self._stopped.is_set() or not self._timer.pending:  # meanwhile, or the timers are closed
            self._timer.cancel()
            awake.stop()
