"""Times as people type them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from overseer.ctl.times import local, moment_of
from overseer.errors import OverseerError
from overseer.util.timestamps import format_timestamp

NOW = datetime(2026, 11, 27, 6, 20, tzinfo=UTC)  # 07:20 in Berlin


@pytest.fixture(autouse=True)
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Europe/Berlin")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("2026-11-27T05:00:00Z", "2026-11-27T05:00:00"),
        ("2026-11-27 10:00:00+05:00", "2026-11-27T05:00:00"),
        ("2026-11-27 10:00", "2026-11-27T09:00:00"),
        ("2026-07-01 10:00", "2026-07-01T08:00:00"),  # summer time
        ("2026-11-27", "2026-11-26T23:00:00"),
        ("14:30", "2026-11-27T13:30:00"),
        ("9:05", "2026-11-27T08:05:00"),
        ("today", "2026-11-26T23:00:00"),
        ("yesterday", "2026-11-25T23:00:00"),
        ("yesterday 10:00", "2026-11-26T09:00:00"),
        ("now", "2026-11-27T06:20:00"),
        ("1h30m", "2026-11-27T04:50:00"),
        ("-1h", "2026-11-27T05:20:00"),
        ("2 days ago", "2026-11-25T06:20:00"),
        ("1w", "2026-11-20T06:20:00"),
        ("2 years ago", "2024-11-26T18:20:00"),
        ("3mo", "2026-08-27T22:39:12"),
        ("2026-11-27 05:00 UTC", "2026-11-27T05:00:00"),
        ("Fri 2026-11-27 07:00", "2026-11-27T06:00:00"),
        ("3min", "2026-11-27T06:17:00"),
        ("@1700000000", "2023-11-14T22:13:20"),
        ("1700000000", "2023-11-14T22:13:20"),
        ("1700000000.0", "2023-11-14T22:13:20"),
        ("20261127", "2026-11-26T23:00:00"),
    ],
)
def test_a_time_is_what_journalctl_and_docker_take_it_for(typed: str, meant: str) -> None:
    assert format_timestamp(moment_of(typed, NOW)) == f"{meant}.000000Z"


def test_an_epoch_may_have_a_fraction() -> None:
    for typed in ("@1700000000.25", "1700000000.25"):
        assert format_timestamp(moment_of(typed, NOW)) == "2023-11-14T22:13:20.250000Z"


@pytest.mark.parametrize(
    "typed", ["soon", "25:00", "2026-13-01", "1x", "", "m", "ago", "1h foo", "@1e99", "12345", "1700000000."]
)
def test_what_is_none_is_refused_with_examples(typed: str) -> None:
    with pytest.raises(OverseerError, match=r"a time is written like 10m \(ago\), 14:30"):
        moment_of(typed, NOW)


def test_times_are_shown_in_the_local_zone() -> None:
    assert local(NOW.replace(microsecond=123456)) == "2026-11-27 07:20:00.123"
