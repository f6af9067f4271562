"""Monotonic time, without the time in which this process did not run (SIGSTOP, a frozen or migrated machine).

It measures clients' deadlines: in the lost time, nothing that a client sent was read, and no ping was sent.
A timer calls :meth:`AwakeClock.tick`; a late tick tells how long nothing ran. Between ticks the clock stops
where the next one is overdue, so no thread ever sees the lost time.
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
    """The clock; safe from any thread. Without ticks it is the monotonic one."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._ticking = lock(Rank.LEAF, "awake")
        # The last tick (None: not ticking) and the seconds lost before it; replaced as a whole.
        self._last: tuple[float | None, float] = (None, 0.0)

    def __call__(self) -> float:
        # Read before the time, from which a tick in between would be subtracted otherwise.
        tick, lost = self._last
        now = self._monotonic()
        return (now if tick is None else min(now, tick + TICK + _LATE)) - lost

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
    """Ticks :data:`awake` by a timer until it is stopped."""

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
