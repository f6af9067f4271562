"""Timestamps and durations: their texts, as Go reads and writes them, and their accessors."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from overseer.cel.operators import checked_duration, checked_timestamp
from overseer.cel.values import Duration, EvaluationError, Timestamp, no_overload

_SECOND = 10**9
_DAY = 86_400
_EPOCH_DAY = date(1970, 1, 1).toordinal()

_TIMESTAMP = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d?):(\d\d):(\d\d)(?:[.,](\d+))?(?:Z|([+-])(\d\d):(\d\d))", re.ASCII
)
_OFFSET = re.compile(r"([+-]?\d{1,3}):(\d{1,3})", re.ASCII)
_UNITS = {
    "ns": 1,
    "us": 10**3,
    "\u00b5s": 10**3,  # the micro sign
    "\u03bcs": 10**3,  # the Greek letter
    "ms": 10**6,
    "s": _SECOND,
    "m": 60 * _SECOND,
    "h": 3600 * _SECOND,
}
_DURATION_PART = re.compile(r"(\d*)(?:\.(\d*))?(ns|[u\u00b5\u03bc]s|ms|s|m|h)", re.ASCII)


def parse_timestamp(text: str) -> Timestamp:
    """RFC 3339. The offset is kept, as in cel-go, and rules what getHours() says; digits past ns are cut."""
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        raise EvaluationError("not a timestamp")
    year, month, day, hour, minute, second = map(int, match.groups()[:6])
    fraction, sign, offset_hours, offset_minutes = match.groups()[6:]
    if hour > 23 or minute > 59 or second > 59:
        raise EvaluationError("not a timestamp")
    if sign and (int(offset_hours) > 24 or int(offset_minutes) > 59):
        raise EvaluationError("not a timestamp")
    try:
        days = date(year, month, day).toordinal() - _EPOCH_DAY
    except ValueError:
        raise EvaluationError("not a timestamp") from None
    offset = int(offset_hours or 0) * 3600 + int(offset_minutes or 0) * 60
    if sign == "-":
        offset = -offset
    seconds = days * _DAY + hour * 3600 + minute * 60 + second - offset
    return checked_timestamp(seconds * _SECOND + int(((fraction or "") + "0" * 9)[:9]), offset)


def format_timestamp(value: Timestamp) -> str:
    """RFC 3339 in the timestamp's own zone, with as many digits as it needs."""
    year, month, day, hour, minute, second, ns = _civil(value.ns + value.offset * _SECOND)
    fraction = f".{ns:09d}".rstrip("0") if ns else ""
    zone = "Z"
    if value.offset:
        minutes = abs(value.offset) // 60
        zone = f"{'-' if value.offset < 0 else '+'}{minutes // 60:02d}:{minutes % 60:02d}"
    return f"{year:04d}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:{second:02d}{fraction}{zone}"


def parse_duration(text: str) -> Duration:
    """Go's syntax (``1h30m``, ``-1.5s``, ``0``)."""
    unsigned = text[1:] if text[:1] in ("+", "-") else text
    if unsigned == "0":
        return Duration(0)
    total, at = 0, 0
    while at < len(unsigned):
        part = _DURATION_PART.match(unsigned, at)
        if part is None or not (part[1] or part[2]) or len(part[1]) > 20:
            raise EvaluationError("not a duration")
        unit = _UNITS[part[3]]
        digits = (part[2] or "")[:18]  # more cannot be seen in 64 bits of ns
        total += int(part[1] or "0") * unit + int(digits or "0") * unit // 10 ** len(digits)
        at = part.end()
    if not unsigned:
        raise EvaluationError("not a duration")
    return checked_duration(-total if text[0] == "-" else total)


def format_duration(value: Duration) -> str:
    """Seconds, with a fraction where there is one: ``90s``, ``-0.5s``."""
    whole, rest = divmod(abs(value.ns), _SECOND)
    seconds = whole + rest / _SECOND
    text = format(Decimal(repr(seconds)), "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return f"{'-' if value.ns < 0 else ''}{text}s"


def _civil(ns: int) -> tuple[int, int, int, int, int, int, int]:
    """Year to second and nanosecond. A zone may push the year to 0 or 10000, which datetime cannot say."""
    days, within = divmod(ns, _DAY * _SECOND)
    ordinal = days + _EPOCH_DAY
    if ordinal < 1:
        year, month, day = 0, 12, 31 + ordinal
    elif ordinal > date.max.toordinal():
        year, month, day = 10_000, 1, ordinal - date.max.toordinal()
    else:
        moment = date.fromordinal(ordinal)
        year, month, day = moment.year, moment.month, moment.day
    seconds, fraction = divmod(within, _SECOND)
    return year, month, day, seconds // 3600, seconds // 60 % 60, seconds % 60, fraction


def _local(value: Timestamp, zone: str | None) -> int:
    """ns since 1970 on the clock of ``zone``, or of the timestamp's own offset."""
    return value.ns + (value.offset if zone is None else _offset(value, zone)) * _SECOND


def _offset(value: Timestamp, zone: str) -> int:
    numbers = _OFFSET.fullmatch(zone)
    if numbers is not None:
        minutes = int(numbers[2])
        return (int(numbers[1]) * 60 + (-minutes if zone[0] == "-" else minutes)) * 60
    if zone in ("", "UTC"):
        return 0
    try:
        # Far ends are asked a day further in, lest the local time be out of datetime's range.
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=value.ns // _SECOND)
        moment = min(max(moment, datetime(1, 1, 2, tzinfo=UTC)), datetime(9999, 12, 30, tzinfo=UTC))
        offset = moment.astimezone(ZoneInfo(zone)).utcoffset()
        return int(offset.total_seconds()) if offset is not None else 0
    except (ValueError, KeyError, OSError):
        raise EvaluationError(f"unknown time zone {zone!r}") from None


def _day_of_year(ns: int) -> int:
    year, month, day = _civil(ns)[:3]
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)[month - 1] + day - 1 + (leap and month > 2)


# Each from ns since 1970 on the local clock.
_OF_TIMESTAMP: dict[str, Callable[[int], int]] = {
    "getFullYear": lambda ns: _civil(ns)[0],
    "getMonth": lambda ns: _civil(ns)[1] - 1,
    "getDate": lambda ns: _civil(ns)[2],
    "getDayOfMonth": lambda ns: _civil(ns)[2] - 1,
    "getDayOfWeek": lambda ns: (ns // (_DAY * _SECOND) + 4) % 7,  # 1970 began on a Thursday; Sunday is 0
    "getDayOfYear": _day_of_year,
    "getHours": lambda ns: ns // (3600 * _SECOND) % 24,
    "getMinutes": lambda ns: ns // (60 * _SECOND) % 60,
    "getSeconds": lambda ns: ns // _SECOND % 60,
    "getMilliseconds": lambda ns: ns // 10**6 % 1000,
}
# How many ns one of it is: a duration is counted whole, its 90 minutes are not 30.
_OF_DURATION = {
    "getHours": 3600 * _SECOND,
    "getMinutes": 60 * _SECOND,
    "getSeconds": _SECOND,
    "getMilliseconds": 10**6,
}


def _accessor(name: str) -> Callable[..., int]:
    of_timestamp, unit = _OF_TIMESTAMP[name], _OF_DURATION.get(name)

    def run(value: Any, zone: Any = None) -> int:
        if value.__class__ is Timestamp and (zone is None or zone.__class__ is str):
            return of_timestamp(_local(value, zone))
        if value.__class__ is Duration and unit is not None and zone is None:
            count: int = abs(value.ns) // unit
            return -count if value.ns < 0 else count
        raise no_overload(name, value)

    return run


#: The accessors by name; each takes a timestamp and perhaps a zone's name, some take a duration.
ACCESSORS: Mapping[str, Callable[..., int]] = {name: _accessor(name) for name in _OF_TIMESTAMP}
