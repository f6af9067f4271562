"""When cron expressions match, beside a plain reading of the rule, over changes of several zones' clocks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import islice

import pytest

from overseer.util.cron import cron_slots, local_moment, normalized_cron, time_zone

HOUR = 3600


def texts(slots: Iterator[int], zone: tzinfo, most: int = 3) -> list[str]:
    return [f"{datetime.fromtimestamp(slot, zone):%m-%d %H:%M %z}" for slot in islice(slots, most)]


def at(text: str, zone: tzinfo = UTC) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp())


# The days on which clocks go forward and back; the last three have no midnight on the first.
CHANGES = {
    "Europe/Berlin": ("2026-03-29", "2026-10-25"),
    "America/New_York": ("2026-03-08", "2026-11-01"),
    "Australia/Lord_Howe": ("2026-10-04", "2026-04-05"),  # by half an hour
    "Antarctica/Troll": ("2026-03-29", "2026-10-25"),  # by two hours
    "Pacific/Apia": ("2011-12-30", "2011-04-02"),  # a whole day is missing
    "America/Sao_Paulo": ("2018-11-04", "2018-02-18"),
    "Asia/Beirut": ("2026-03-29", "2026-10-25"),
}


@pytest.mark.parametrize(
    ("name", "expression", "before", "expected"),
    [
        # A fixed time in the missing hour: right after the gap, and as ever on the next day.
        ("Europe/Berlin", "30 2 * * *", "2026-03-28T12:00", ["03-29 03:00 +0200", "03-30 02:30 +0200"]),
        ("America/New_York", "30 2 * * *", "2026-03-07T12:00", ["03-08 03:00 -0400", "03-09 02:30 -0400"]),
        ("Australia/Lord_Howe", "15 2 * * *", "2026-10-03T12:00", ["10-04 02:30 +1100", "10-05 02:15 +1100"]),
        ("America/Sao_Paulo", "0 0 * * *", "2018-11-03T12:00", ["11-04 01:00 -0200", "11-05 00:00 -0200"]),
        ("Asia/Beirut", "0 0 * * *", "2026-03-28T12:00", ["03-29 01:00 +0300", "03-30 00:00 +0300"]),
        # Two fixed times in it are one.
        ("Europe/Berlin", "0,30 2 * * *", "2026-03-28T12:00", ["03-29 03:00 +0200", "03-30 02:00 +0200"]),
        # In the repeated hour: once, the first time.
        ("Europe/Berlin", "30 2 * * *", "2026-10-24T12:00", ["10-25 02:30 +0200", "10-26 02:30 +0100"]),
        ("America/New_York", "30 1 * * *", "2026-10-31T12:00", ["11-01 01:30 -0400", "11-02 01:30 -0500"]),
        ("Asia/Beirut", "30 23 * * *", "2026-10-24T12:00", ["10-24 23:30 +0300", "10-25 23:30 +0200"]),
        # Hourly ones: every real hour.
        (
            *("Europe/Berlin", "0 * * * *", "2026-10-25T01:30"),
            ["10-25 02:00 +0200", "10-25 02:00 +0100", "10-25 03:00 +0100"],
        ),
        (
            *("Europe/Berlin", "30 * * * *", "2026-03-29T01:00"),
            ["03-29 01:30 +0100", "03-29 03:30 +0200", "03-29 04:30 +0200"],
        ),
        (
            *("Australia/Lord_Howe", "30 * * * *", "2026-04-05T01:00"),
            ["04-05 01:30 +1100", "04-05 01:30 +1030", "04-05 02:30 +1030"],
        ),
    ],
)
def test_over_a_change_of_the_clocks(name: str, expression: str, before: str, expected: list[str]) -> None:
    zone = time_zone(name)
    assert texts(cron_slots(expression, zone, at(before, zone)), zone, len(expected)) == expected


def _plainly(expression: str, zone: tzinfo, begin: int, end: int) -> list[int]:
    """The rule as it is said: of expressions with plain numbers, lists, steps and ranges, with days ``*``."""
    minutes, hours = (
        _numbers(field, most) for field, most in zip(expression.split(), (60, 24), strict=False)
    )
    fields = expression.split()
    if fields[0].startswith("*") or fields[1].startswith("*"):
        clock = (
            (each, datetime.fromtimestamp(each, zone)) for each in range(begin + 60 - begin % 60, end, 60)
        )
        return [each for each, shown in clock if shown.minute in minutes and shown.hour in hours]
    found = set()
    day = datetime.fromtimestamp(begin, zone).replace(tzinfo=None, hour=0, minute=0) - timedelta(days=1)
    for number in range((end - begin) // 60 + 4 * 24 * 60):
        wanted = day + timedelta(minutes=number)
        if wanted.minute in minutes and wanted.hour in hours:
            found.add(local_moment(wanted, zone))
    return sorted(each for each in found if begin < each < end)


def _numbers(field: str, most: int) -> set[int]:
    found: set[int] = set()
    for part in field.split(","):
        part, _, step = part.partition("/")
        first, _, last = part.partition("-")
        begin = 0 if first == "*" else int(first)
        end = most if first == "*" or (step and not last) else int(last or first) + 1
        found.update(range(begin, end, int(step or 1)))
    return found


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize(
    "expression",
    [
        *("30 2 * * *", "0 0 * * *", "0,30 0-3 * * *", "45 1-2 * * *", "0 1/2 * * *", "59 23 * * *"),
        *("0 * * * *", "30 * * * *", "*/20 * * * *", "* 0 * * *", "0 */2 * * *", "*/15 2 * * *"),
    ],
)
def test_it_is_what_the_rule_says_from_wherever_one_begins(name: str, expression: str) -> None:
    zone = time_zone(name)
    for day in CHANGES[name]:
        noon = at(f"{day}T12:00")
        begin, end = noon - 36 * HOUR, noon + 48 * HOUR
        expected = _plainly(expression, zone, begin, end)
        assert expected
        for start in range(begin, noon + 18 * HOUR, HOUR // 2 + 7):
            following = next(each for each in expected if each > start)
            assert next(cron_slots(expression, zone, start)) == following
        assert [*_until(cron_slots(expression, zone, begin), end)] == expected


def _until(slots: Iterator[int], end: int) -> Iterator[int]:
    for slot in slots:
        if slot >= end:
            return
        yield slot


def test_days_are_as_in_classic_cron() -> None:
    def days(expression: str) -> list[str]:
        return [text[:5] for text in texts(cron_slots(expression, UTC, at("2026-11-01T12:00")), UTC, 4)]

    assert (
        days("0 0 * * 0") == days("0 0 * * 7") == days("0 0 * * SUN") == ["11-08", "11-15", "11-22", "11-29"]
    )
    assert days("0 0 13 * FRI") == ["11-06", "11-13", "11-20", "11-27"], "either"
    assert days("0 0 L * *") == ["11-30", "12-31", "01-31", "02-28"]
    assert days("0 0 29 FEB *") == ["02-29"] * 4


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("@daily", "0 0 * * *"),
        ("@Midnight", "0 0 * * *"),
        ("@hourly", "0 * * * *"),
        ("@weekly", "0 0 * * 0"),
        ("@monthly", "0 0 1 * *"),
        ("@yearly", "0 0 1 1 *"),
        (" 30  2 * *\tmon ", "30 2 * * mon"),
    ],
)
def test_names_and_blanks(text: str, expression: str) -> None:
    assert normalized_cron(text) == expression


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "has five fields"),
        ("* * *", "not 3"),
        ("0 30 2 * * *", "not 6: for seconds there is `every`"),
        ("61 * * * *", "the minute of the cron expression"),
        ("0 0 30 2 *", "the day of the month of the cron expression cannot be read, or never comes"),
        ("0 0 * * 8", "the weekday of"),
        ("@dayli", "did you mean @daily"),
        ("@reboot", "what starts with the server has `autostart: true`"),
        ("@never", "there are @yearly"),
        ("30 2 * * * /usr/bin/backup", "not 6: the program to run is the task's `action`"),
        ("0 0 31 2-2 1#5", ""),  # either: it comes
    ],
)
def test_what_is_no_expression_or_never_matches(text: str, says: str) -> None:
    if not says:
        assert normalized_cron(text) == text
        return
    with pytest.raises(ValueError, match=says):
        normalized_cron(text)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Europe/Berln", "did you mean Europe/Berlin"),
        ("berlin", "did you mean Europe/Berlin"),
        ("../../etc/passwd", "they are named like Europe/Berlin"),
        ("Europe", "no such time zone 'Europe'"),
        ("nowhere\0", "no such time zone"),
    ],
)
def test_a_zone_that_is_none(name: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        time_zone(name)


@pytest.mark.parametrize(
    ("name", "wall", "moment"),
    [
        ("UTC", "2026-12-01T09:00", "2026-12-01T09:00"),
        ("Europe/Berlin", "2026-12-01T09:00", "2026-12-01T08:00"),
        ("Europe/Berlin", "2026-03-29T02:30", "2026-03-29T01:00"),  # missing: when the gap ends
        ("Europe/Berlin", "2026-03-29T02:00", "2026-03-29T01:00"),
        ("Europe/Berlin", "2026-03-29T03:00", "2026-03-29T01:00"),
        ("Europe/Berlin", "2026-10-25T02:30", "2026-10-25T00:30"),  # twice: the first
        ("Pacific/Apia", "2011-12-30T12:00", "2011-12-30T10:00"),  # a day that is missing
        ("Australia/Lord_Howe", "2026-10-04T02:15", "2026-10-03T15:30"),
    ],
)
def test_the_moment_of_a_wall_clock_s_time(name: str, wall: str, moment: str) -> None:
    assert local_moment(datetime.fromisoformat(wall), time_zone(name)) == at(moment)


def test_an_offset_counts_more_than_a_zone() -> None:
    with_offset = datetime.fromisoformat("2026-12-01T09:00+03:00")
    assert local_moment(with_offset, time_zone("Europe/Berlin")) == at("2026-12-01T06:00")
