"""Times in the form that they have on the wire, against the standard library's own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from overseer.util.timestamps import format_timestamp, parse_timestamp

_MOMENTS = (
    datetime(2024, 5, 6, 7, 8, 9, 123456, UTC),
    datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC),
    datetime(2024, 5, 6, 23, 59, 59, 999999, UTC),
    datetime(1970, 1, 1, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, 999999, UTC),
    datetime(1, 1, 1, 0, 0, 0, 1, UTC),
    datetime(9999, 12, 31, 23, 59, 59, 999999, UTC),
)


@pytest.mark.parametrize("moment", _MOMENTS, ids=str)
def test_a_time_is_written_in_utc_with_microseconds(moment: datetime) -> None:
    written = format_timestamp(moment)
    assert written == moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
    assert parse_timestamp(written) == moment


@pytest.mark.parametrize("hours", [-11, -3.5, 5.75, 14])
def test_a_time_of_another_zone_is_written_in_utc(hours: float) -> None:
    moment = datetime(2024, 5, 6, 7, 8, 9, 123456, UTC)
    there = moment.astimezone(timezone(timedelta(hours=hours)))
    assert format_timestamp(there) == "2024-05-06T07:08:09.123456Z"


def test_times_of_more_seconds_than_are_remembered_are_each_their_own() -> None:
    begin = datetime(2024, 2, 28, 23, 50, 0, 5, UTC)
    moments = [begin + timedelta(seconds=seconds) for seconds in range(3000)]
    for moment in [*moments, *moments]:
        assert format_timestamp(moment) == moment.isoformat(timespec="microseconds")[:-6] + "Z"
