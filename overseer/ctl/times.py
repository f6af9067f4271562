"""Times as people type and read them: in the time zone of this machine."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from overseer.errors import OverseerError
from overseer.util.durations import format_duration, parse_duration
from overseer.util.timestamps import parse_timestamp

_DAYS = {"today": 0, "yesterday": -1}
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "mo": 30.44 * 86400, "y": 365.25 * 86400}
# 90s, 1h30m, 2d; also as in journalctl: -1h, "1h ago", "2 days ago".
_TERM = (
    r"(\d+(?:\.\d+)?)\s*(s|mo|m|h|d|w|y)"
    r"(?:ec(?:ond)?s?|in(?:ute)?s?|(?:ou)?rs?|ays?|eeks?|nths?|(?:ea)?rs?)?"
)
_AGO = re.compile(rf"-?(?:{_TERM}\s*)+(?:ago)?", re.ASCII | re.IGNORECASE)
_FULL = re.compile(
    r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,?\s+)?(\d{4}-.*?)(\s+UTC)?", re.ASCII | re.IGNORECASE
)
_CLOCK = re.compile(r"\d\d?:\d\d(?::\d\d(?:\.\d+)?)?", re.ASCII)
_EPOCH = re.compile(r"(?:@\d{1,11}|\d{9,11})(?:\.\d+)?", re.ASCII)  # journalctl's, and docker's

FORMS = "10m (ago), 14:30, yesterday, '2026-03-14 09:26' (local time) or 2026-03-14T09:26:53Z"


def moment_of(text: str, now: datetime) -> datetime:
    """The time that a user's text means.

    Raises:
        OverseerError: it means none.
    """
    words = text.strip()
    with suppress(ValueError):
        return parse_timestamp(words)
    with suppress(ValueError, OverflowError):
        return now - timedelta(microseconds=parse_duration(words) // 1000)
    with suppress(ValueError, OverflowError, OSError):
        if found := _read(words, now):
            return found.astimezone(UTC)
    raise OverseerError(f"a time is written like {FORMS}, not {text!r}")


def _read(words: str, now: datetime) -> datetime | None:
    """None: another form. Raises ValueError, OverflowError or OSError where there is no such time."""
    if _EPOCH.fullmatch(words):
        return datetime.fromtimestamp(float(words.removeprefix("@")), UTC)
    if words.lower() == "now":
        return now
    if _AGO.fullmatch(words):
        terms = re.findall(_TERM, words, re.IGNORECASE)
        return now - timedelta(seconds=sum(float(number) * _SECONDS[unit.lower()] for number, unit in terms))
    day, _, clock = words.partition(" ")
    midnight = now.astimezone().replace(tzinfo=None, hour=0, minute=0, second=0, microsecond=0)
    if _CLOCK.fullmatch(words):
        day, clock = "today", words
    if day.lower() in _DAYS:
        begin = midnight + timedelta(days=_DAYS[day.lower()])
        words = f"{begin:%Y-%m-%d} {clock.strip().zfill(5) or '00:00'}" if clock else f"{begin:%Y-%m-%d}"
    if match := _FULL.fullmatch(words):  # as journalctl and overseerctl schedules show them
        words = f"{match[1]}+00:00" if match[2] else match[1]
    return datetime.fromisoformat(words)  # without a zone it is local


def local(moment: datetime) -> str:
    """A time for people, to the millisecond."""
    here = moment.astimezone()
    return f"{here:%Y-%m-%d %H:%M:%S}.{here.microsecond // 1000:03}"


def clock(moment: datetime, exact: bool = False) -> str:
    """A time for people with its weekday, to the minute or, where it matters or with ``exact``, second."""
    here = moment.astimezone()
    return f"{here:%a %Y-%m-%d %H:%M}{f':{here:%S}' if exact or here.second else ''}"


def ago(then: datetime, moment: datetime) -> str:
    """How long it has been since then."""
    return f"{_roughly(int((moment - then).total_seconds()))} ago"


def until(then: datetime, moment: datetime) -> str:
    """How long it is until then."""
    return _roughly(round((then - moment).total_seconds()))


def _roughly(seconds: int) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{max(0, seconds)}s"


def rounded(nanos: int) -> str:
    """A duration for people, without needless precision."""
    unit = 100_000_000 if nanos >= 1_000_000_000 else 1_000_000
    return format_duration(round(nanos / unit) * unit or nanos)


def took(ms: int | None) -> str:
    """The same, of milliseconds; "-": unknown."""
    return "-" if ms is None else rounded(ms * 1_000_000)


def so_far(started: datetime, moment: datetime) -> str:
    """How long what goes on has taken, to the second."""
    return rounded(max(0, int((moment - started).total_seconds())) * 1_000_000_000)
