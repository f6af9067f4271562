"""A clock for the ages of what is stored."""

from __future__ import annotations

import time

from overseer.util.timestamps import now, to_micros


class SteadyClock:
    """The wall clock, but setting it forward while the server runs makes nothing older at once, and setting
    it back lets nothing age twice."""

    def __init__(self) -> None:
        self._wall = to_micros(now())
        self._monotonic = time.monotonic()

    def now(self) -> int:
        """The earlier of the wall clock's time and what it would be had it not been set, in microseconds
        since 1970."""
        steady = self._wall + int((time.monotonic() - self._monotonic) * 1e6)
        return min(steady, to_micros(now()))
