"""Moments as the database has them: microseconds since 1970."""

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
    """Tells how old something is. A wall clock that is set forwards while the server runs makes nothing older
    at once; one that is set backwards does not let it grow old a second time."""

    def __init__(self) -> None:
        self._wall = stored(now())
        self._monotonic = time.monotonic()

    def now(self) -> int:
        """The lesser of what the wall clock says and what it would say, had nobody set it."""
        steady = self._wall + int((time.monotonic() - self._monotonic) * 1e6)
        return min(steady, stored(now()))
