"""Conversions such as ``int("5")`` and ``timestamp("...")``, and accessors such as ``t.getHours()``.

Numbers, durations and timestamps are parsed and formatted as in Go, and so as in cel-go.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from overseer.cel.operators import checked_int, checked_timestamp, checked_uint, utf8
from overseer.cel.values import Duration, EvaluationError, Timestamp, TypeValue, UInt, no_overload, type_name
from overseer.util.durations import parse_signed_duration
from overseer.util.gofmt import format_fixed, format_float

_BOOLS = {
    **dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True),
    **dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False),
}
_INT = re.compile(r"[+-]?\d+", re.ASCII)
_UINT = re.compile(r"\d+", re.ASCII)
# Adjacent parts must not match the same digits: backtracking would take quadratic time.
_DOUBLE = re.compile(
    r"[+-]?(?:(?:\d+(?:_\d+)*(?:\.(?:\d+(?:_\d+)*)?)?|\.\d+(?:_\d+)*)(?:[eE][+-]?\d+(?:_\d+)*)?|inf|infinity|nan)",
    re.ASCII | re.IGNORECASE,
)
_HEX_DOUBLE = re.compile(
    r"[+-]?0[xX](?:[0-9a-fA-F]+(?:\.[0-9a-fA-F]*)?|\.[0-9a-fA-F]+)[pP][+-]?\d+", re.ASCII
)


def _cannot(value: object, target: str) -> EvaluationError:
    return EvaluationError(f"type conversion error from {type_name(value)} to {target}")


def type_of_value(value: object) -> TypeValue:
    return TypeValue(type_name(value))


def _bool_of(text: str) -> bool:
    if text not in _BOOLS:
        raise _cannot(text, "bool")
    return _BOOLS[text]


def _double_of(text: str) -> float:
    try:
        if _DOUBLE.fullmatch(text):
            number = float(text)
        elif _HEX_DOUBLE.fullmatch(text):
            number = float.fromhex(text)
        else:
            raise _cannot(text, "double")
    except (OverflowError, ValueError):
        raise _cannot(text, "double") from None
    if math.isinf(number) and "n" not in text.lower():  # a number that is too large, not the word
        raise _cannot(text, "double")
    return number


def _int_of(text: str) -> int:
    if len(text) <= 1000 and _INT.fullmatch(text):
        return checked_int(int(text))
    raise _cannot(text, "int")


def _truncated(number: float) -> int:
    # cel-go excludes both ends: the upper one, as a double, is beyond the largest int.
    if -(2.0**63) < number < 2.0**63:
        return int(number)
    raise EvaluationError("int overflow")


def _uint_of(text: str) -> UInt:
    if len(text) <= 1000 and _UINT.fullmatch(text):
        return checked_uint(int(text))
    raise _cannot(text, "uint")


def _truncated_to_uint(number: float) -> UInt:
    if 0 <= number < 2.0**64:
        return UInt(number)
    raise EvaluationError("uint overflow")


def _string_of(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise EvaluationError("invalid UTF-8 in bytes, cannot convert to string") from None


def _format_duration(value: Duration) -> str:
    whole, rest = divmod(abs(value.ns), _SECOND)
    return f"{'-' if value.ns < 0 else ''}{format_fixed(whole + rest / _SECOND)}s"


def _duration_of(text: str) -> Duration:
    try:
        return Duration(parse_signed_duration(text))
    except ValueError:
        raise EvaluationError("not a duration") from None


_SECOND = 10**9
_DAY = 86_400
_EPOCH_DAY = date(1970, 1, 1).toordinal()

_TIMESTAMP = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d?):(\d\d):(\d\d)(?:[.,](\d+))?(?:Z|([+-])(\d\d):(\d\d))", re.ASCII
)
_OFFSET = re.compile(r"([+-]?\d{1,3}):(\d{1,3})", re.ASCII)


def _timestamp_of(text: str) -> Timestamp:
    """RFC 3339. The offset is kept, as in cel-go, for getHours() and the like; digits past ns are cut."""
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


def _format_timestamp(value: Timestamp) -> str:
    """RFC 3339 in the timestamp's own zone, with as many digits as it needs."""
    year, month, day, hour, minute, second, ns = _civil(value.ns + value.offset * _SECOND)
    fraction = f".{ns:09d}".rstrip("0") if ns else ""
    zone = "Z"
    if value.offset:
        minutes = abs(value.offset) // 60
        zone = f"{'-' if value.offset < 0 else '+'}{minutes // 60:02d}:{minutes % 60:02d}"
    return f"{year:04d}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:{second:02d}{fraction}{zone}"


def _civil(ns: int) -> tuple[int, int, int, int, int, int, int]:
    """Year to second, and nanosecond. A zone may make the year 0 or 10000, which datetime does not
    support."""
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
    from zoneinfo import ZoneInfo  # which loads slowly

    try:
        # Clamped a day short of the ends, so that the local time is within datetime's range.
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
# The unit in ns: of a duration, getMinutes() counts all minutes, not those past the hour.
OF_DURATION = {
    "getHours": 3600 * _SECOND,
    "getMinutes": 60 * _SECOND,
    "getSeconds": _SECOND,
    "getMilliseconds": 10**6,
}


def _accessor(name: str) -> Callable[..., int]:
    of_timestamp, unit = _OF_TIMESTAMP[name], OF_DURATION.get(name)

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


#: The conversions by name: the type that each gives, which is kept as it is, and what else it takes, and how.
CONVERSIONS: Mapping[str, tuple[type, Mapping[type, Callable[[Any], object]]]] = {
    "bool": (bool, {str: _bool_of}),
    "bytes": (bytes, {str: utf8}),
    "double": (float, {int: float, UInt: float, str: _double_of}),
    "duration": (Duration, {str: _duration_of, int: Duration}),
    "int": (
        int,
        {
            UInt: lambda value: checked_int(int(value)),
            float: _truncated,
            str: _int_of,
            Timestamp: lambda value: value.ns // _SECOND,
            Duration: lambda value: value.ns,
        },
    ),
    "string": (
        str,
        {
            bool: lambda value: "true" if value else "false",
            int: int.__repr__,
            UInt: int.__repr__,
            float: format_float,
            bytes: _string_of,
            Timestamp: _format_timestamp,
            Duration: _format_duration,
        },
    ),
    "timestamp": (
        Timestamp,
        {str: _timestamp_of, int: lambda value: checked_timestamp(value * _SECOND)},
    ),
    "uint": (UInt, {int: checked_uint, float: _truncated_to_uint, str: _uint_of}),
}


def conversion(name: str) -> Callable[[Any], object]:
    """The conversion of that name as a function."""
    kept, ways = CONVERSIONS[name]

    def convert(value: Any) -> object:
        kind = value.__class__
        if kind is kept:
            return value
        way = ways.get(kind)
        if way is None:
            raise no_overload(name, value)
        return way(value)

    return convert
