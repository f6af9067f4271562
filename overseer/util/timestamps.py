"""Wall-clock times as they go over the wire: RFC 3339, UTC, ``Z``, microseconds; and as stored: as numbers.

Wall time is only shown, or compared with a client's ``since``; whatever decides anything (delays, windows,
deadlines) uses :func:`time.monotonic`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial

# RFC 3339 section 5.6; a lower-case t or z is allowed there, a space is too common to refuse.
_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,18}))?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


now: Callable[[], datetime] = partial(datetime.now, UTC)
"""The current time, aware, in UTC."""


def format_timestamp(moment: datetime) -> str:
    """``2024-05-06T07:08:09.123456Z`` for an aware ``moment``."""
    since = moment - _EPOCH
    return f"{_to_the_second(since.days, since.seconds)}.{str(1_000_000 + since.microseconds)[1:]}Z"


@lru_cache(maxsize=256)
def _to_the_second(days: int, seconds: int) -> str:
    """The same without the fraction, which many have in common: isoformat is slow."""
    return (_EPOCH + timedelta(days, seconds)).isoformat()[:-6]


def parse_timestamp(text: str) -> datetime:
    """The moment an RFC 3339 text names, in UTC; digits past microseconds are cut off.

    Raises:
        ValueError: the text is not RFC 3339 or names a day or an hour that does not exist.
    """
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError(f"not an RFC 3339 time: {text!r}")
    year, month, day, hour, minute, second, fraction, sign, off_hour, off_minute = match.groups()
    offset = f"{sign}{off_hour}:{off_minute}" if sign else "+00:00"
    micros = ((fraction or "") + "000000")[:6]
    try:
        moment = datetime.fromisoformat(f"{year}-{month}-{day}T{hour}:{minute}:{second}.{micros}{offset}")
        return moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"not an RFC 3339 time: {text!r} ({error})") from None


def to_micros(moment: datetime) -> int:
    """An aware ``moment`` in microseconds since 1970."""
    return (moment - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """The moment so many microseconds after the beginning of 1970, in UTC."""
    return _EPOCH + timedelta(microseconds=micros)
