"""Times as stored in the database: microseconds since 1970."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from overseer.util.timestamps import now

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def stored(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def restored(value: int) -> datetime:
    return _EPOCH + timedelta(microseconds=value)


class SteadyClock:
    """A clock for ages. Setting the wall clock forward while the server runs makes nothing older at once;
    setting it back lets nothing age twice."""

    def __init__(self) -> None:
        self._wall = stored(now())
        self._monotonic = time.monotonic()

    def now(self) -> int:
        """The earlier of the wall clock's time and what it would be had it not been set."""
        steady = self._wall + int((time.monotonic() - self._monotonic) * 1e6)
        return min(steady, stored(now()))
