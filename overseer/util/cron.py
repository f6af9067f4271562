"""Cron expressions and time zones: when an expression matches, across every change of a zone's clocks.

A fixed time in a missing hour matches right after the gap, and in a repeated hour once; an expression whose
minute or hour begins with ``*`` matches by real time, as in Debian's cron. Expressions are parsed by the
library cronsim, imported with the first one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from typing import TYPE_CHECKING

from overseer.util.suggest import did_you_mean

if TYPE_CHECKING:
    from cronsim import CronSim

_NAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_FIELDS = ("minute", "hour", "day of the month", "month", "weekday")
# From where an expression is searched for its first match.
_EPOCH = 1_704_067_200
_YEARS = 50  # after which it is given up
_DAY = 86_400


def _about_more(fields: list[str]) -> str:
    """What is said of too many fields: another program's, whose first are seconds, or a line of a crontab."""
    if len(fields) == 6 and not set(fields[5]) - set("0123456789*/,-"):
        return ": for seconds there is `every`"
    return ": the program to run is the task's `action`" if len(fields) > len(_FIELDS) else ""


def normalized_cron(text: str) -> str:
    """The expression with five fields that ``text`` is or stands for.

    Raises:
        ValueError: it is malformed, or never matches; the text is a sentence.
    """
    expression = " ".join(text.split())
    if expression.startswith("@"):
        if expression.lower() not in _NAMES:
            hint = did_you_mean(expression, _NAMES) or f"; there are {', '.join(_NAMES)}"
            if expression.lower() == "@reboot":
                hint = "; what starts with the server has `autostart: true`"
            raise ValueError(f"{expression[:40]} is not the name of a cron expression{hint}")
        return _NAMES[expression.lower()]
    fields = expression.split()
    if len(fields) != len(_FIELDS):
        raise ValueError(
            f"a cron expression has five fields ({', '.join(_FIELDS)}), not {len(fields)}"
            + _about_more(fields)
        )
    from cronsim import CronSimError

    try:
        if next(cron_slots(expression, UTC, _EPOCH), None) is not None:
            return expression
    except CronSimError as error:
        wrong = str(error).removeprefix("Bad ").replace("day-of-month", _FIELDS[2])
        wrong = wrong.replace("day-of-week", _FIELDS[4])
        raise ValueError(f"the {wrong} of the cron expression cannot be read, or never comes") from None
    raise ValueError("the cron expression never matches")


def cron_slots(expression: str, zone: tzinfo, after: int) -> Iterator[int]:
    """The moments after ``after`` at which an expression of five fields matches in a zone, in seconds since
    1970, in order, each once; ends when none follows within fifty years."""
    cron, times = _read(expression)
    minute, hour = expression.split()[:2]
    moments = _by_real_time if minute.startswith("*") or hour.startswith("*") else _at_fixed_times
    day = datetime.fromtimestamp(after, zone).date()
    last = day.replace(year=day.year + _YEARS, day=1)
    while day <= last:
        if day.month not in cron.months:
            day = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
            continue
        if cron.match_day(day):
            for moment in moments(day, times, zone):
                if moment > after:
                    after = moment
                    yield moment
        day += timedelta(days=1)


@lru_cache(64)
def _read(expression: str) -> tuple[CronSim, list[time]]:
    """The library's reading of the fields, and the times of day that they name.

    The library only tells which days match: where clocks are set by half an hour, as on Lord Howe Island, its
    own iteration leaves some moments out.
    """
    from cronsim import CronSim

    cron = CronSim(expression, datetime(2000, 1, 1, tzinfo=UTC))
    return cron, [time(hour, minute) for hour in sorted(cron.hours) for minute in sorted(cron.minutes)]


def _at_fixed_times(day: date, times: Sequence[time], zone: tzinfo) -> Iterator[int]:
    for each in times:
        yield local_moment(datetime.combine(day, each), zone)


def _by_real_time(day: date, times: Sequence[time], zone: tzinfo) -> Iterator[int]:
    begin = local_moment(datetime.combine(day, time()), zone)
    end = local_moment(datetime.combine(day + timedelta(days=1), time()), zone)
    if end - begin == _DAY:
        for each in times:
            yield begin + 3600 * each.hour + 60 * each.minute
        return
    wanted = set(times)
    for moment in range(begin, end, 60):
        if datetime.fromtimestamp(moment, zone).time() in wanted:
            yield moment


def time_zone(name: str) -> tzinfo:
    """The time zone of that name in the IANA database.

    Raises:
        ValueError: unknown; the text is a sentence.
    """
    if name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo, available_timezones

    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # KeyError: not found; OSError: a directory of the database
        known = available_timezones()
        cities = [each for each in sorted(known) if each.rpartition("/")[2].lower() == name.lower()]
        near = [each for each in known if each[0] == name[:1].upper()]
        hint = f"; did you mean {cities[0]}?" if cities else did_you_mean(name, near)
        raise ValueError(
            f"no such time zone {name[:60]!a}{hint or ': they are named like Europe/Berlin'}"
        ) from None


def local_moment(moment: datetime, zone: tzinfo) -> int:
    """Seconds since 1970 of a wall clock's time in a zone: the first of two if it repeats, right after the
    gap if it is skipped. A moment with an offset needs no zone."""
    if moment.tzinfo is not None:
        return int(moment.timestamp())
    seconds = int(moment.replace(tzinfo=zone).timestamp())
    if datetime.fromtimestamp(seconds, zone).replace(tzinfo=None) == moment:
        return seconds
    # In a gap, the old offset gives a moment after the gap: look for where that begins.
    before, after = seconds - _DAY, seconds
    offset = datetime.fromtimestamp(after, zone).utcoffset()
    while after - before > 1:
        middle = (before + after) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == offset:
            after = middle
        else:
            before = middle
    return after
