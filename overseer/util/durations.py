"""Durations as Go writes them: ``"1m30s"`` in and out, whole nanoseconds inside.

Both directions agree with Go's ``time`` package to the nanosecond, rounding of fractions included, because
configurations and clients written for a Go program depend on it. Pure; no clock.
"""

from __future__ import annotations

import math
import re
from datetime import timedelta

MAX_DURATION = 2**63 - 1
"""The longest duration there is, in nanoseconds (about 292 years)."""

_NANOS = {
    "ns": 1,
    "us": 1_000,
    "\u00b5s": 1_000,  # micro sign
    "\u03bcs": 1_000,  # Greek letter mu
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_SECOND = _NANOS["s"]
_TERM = re.compile(r"([0-9]*)(?:(\.)([0-9]*))?([^0-9.]*)")
_EXAMPLE = 'such as "1m30s", "1.5s" or "300ms"'


def parse_duration(text: str) -> int:
    """The nanoseconds (0 to :data:`MAX_DURATION`) that a Go duration names.

    Raises:
        ValueError: the text is not a duration, is negative or is too long; the message is a plain sentence.
    """
    nanos = parse_signed_duration(text)
    if nanos < -MAX_DURATION:
        raise _too_long(text)
    if nanos < 0:
        raise ValueError(f"{_shown(text)} is negative; a duration must be zero or more")
    return nanos


def parse_signed_duration(text: str) -> int:
    """The nanoseconds of a Go duration, which may be negative.

    Raises:
        ValueError: the text is not a duration or is too long; the message is a plain sentence.
    """
    sign, rest = (text[0], text[1:]) if text[:1] in ("+", "-") else ("", text)
    if rest == "0":
        return 0
    if not rest:
        raise ValueError(f"{_shown(text)} is not a duration; write one {_EXAMPLE}")
    total = 0
    position = 0
    while position < len(rest):
        match = _TERM.match(rest, position)
        assert match is not None  # every part of the pattern may be empty
        total += _term(match, text)
        if total > MAX_DURATION + (sign == "-"):
            raise _too_long(text)
        position = match.end()
    return -total if sign == "-" else total


def nanoseconds(duration: float | str | timedelta) -> int:
    """The nanoseconds of a duration given as Go's text (``"5s"``), a timedelta, a float of seconds, or whole
    nanoseconds.

    Raises:
        ValueError: it is none of these, is negative or is too long; the message is a plain sentence.
    """
    if isinstance(duration, str):
        return parse_duration(duration)
    if isinstance(duration, timedelta):
        duration = duration // timedelta(microseconds=1) * 1000
    elif isinstance(duration, float) and math.isfinite(duration):
        duration = round(duration * 1e9)
    elif isinstance(duration, bool) or not isinstance(duration, int):
        what = f"{duration!r} (a {type(duration).__name__})"
        raise ValueError(f"{what} is not a duration; write one {_EXAMPLE}, or as a timedelta")
    if not 0 <= duration <= MAX_DURATION:
        raise ValueError(f"{format_duration(duration)} is not between zero and the longest duration")
    return duration


def _term(match: re.Match[str], text: str) -> int:
    """The nanoseconds of one number with its unit."""
    whole, point, fraction, unit = match.groups()
    if not whole and not fraction:
        raise ValueError(f"{_shown(text)} is not a duration; write one {_EXAMPLE}")
    if not unit:
        raise ValueError(f"{_shown(text)} lacks a unit; write {_shown(match[0] + 's')} for seconds")
    nanos = _NANOS.get(unit)
    if nanos is None:
        raise ValueError(f"{_shown(text)} has the unknown unit {_shown(unit)}; use ns, us, ms, s, m or h")
    digits = whole.lstrip("0")
    if len(digits) > 19:  # longer than MAX_DURATION itself, and int() is slow on very long ones
        raise _too_long(text)
    value = int(digits or "0") * nanos
    if point and fraction:
        value += _fraction(fraction, nanos)
    return value


def _fraction(digits: str, nanos: int) -> int:
    """What ``0.digits`` of a unit is, cut to nanoseconds in the same double arithmetic as Go's."""
    zeros = len(digits) - len(digits.lstrip("0"))
    if zeros > 30:
        return 0
    numerator, scale = 0, 1.0
    for digit in digits[: zeros + 20]:
        following = numerator * 10 + int(digit)
        if numerator > MAX_DURATION // 10 or following > 2**63:
            break  # Go ignores the digits that do not fit in 64 bits
        numerator = following
        scale *= 10
    return int(numerator * (nanos / scale))


def format_duration(nanos: int) -> str:
    """Go's canonical text of any number of nanoseconds: ``"1m30s"``, ``"1.5ms"``, ``"0s"``, ``"-1h0m0s"``."""
    if nanos == 0:
        return "0s"
    sign, rest = ("-", -nanos) if nanos < 0 else ("", nanos)
    if rest < 1_000:
        return f"{sign}{rest}ns"
    if rest < 1_000_000:
        return f"{sign}{_decimal(rest, 1_000)}\u00b5s"
    if rest < _SECOND:
        return f"{sign}{_decimal(rest, 1_000_000)}ms"
    minutes, rest = divmod(rest, 60 * _SECOND)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{_decimal(rest, _SECOND)}s"
    if hours:
        return f"{sign}{hours}h{minutes}m{seconds}"
    return f"{sign}{minutes}m{seconds}" if minutes else f"{sign}{seconds}"


def _decimal(value: int, unit: int) -> str:
    """``value / unit`` without rounding and without trailing zeros; ``unit`` is a power of ten."""
    whole, rest = divmod(value, unit)
    return f"{whole}.{rest:0{len(str(unit)) - 1}d}".rstrip("0") if rest else str(whole)


def _too_long(text: str) -> ValueError:
    return ValueError(f"{_shown(text)} is too long; a duration is at most 2562047h47m16.854775807s")


def _shown(text: str) -> str:
    """The text in quotes, short enough for an error message."""
    return ascii(text if len(text) <= 40 else text[:40] + "...").replace("'", '"')
