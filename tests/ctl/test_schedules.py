"""Schedules on the command line: a table, one task in full, a calendar, pause and resume."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from overseer.ctl.schedules import calendar, schedule_lines, schedules_table
from overseer.ctl.terminal import Style
from overseer.protocol import ScheduleInfo, SkippedSlot
from tests.ctl.conftest import Ctl
from tests.harness import Daemon, shell

ACTIONS = {"sleep": shell("exec sleep 1000")}
TASKS = {
    "yearly": {"action": "sleep", "schedule": {"cron": "@yearly", "timezone": "Europe/Berlin"}},
    "often": {"action": "sleep", "schedule": {"every": "1s", "enabled": False}},
    "plain": {"action": "sleep"},
}
NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)
PLAIN = Style("never", None)


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")


NIGHTLY = ScheduleInfo(
    task_id="nightly",
    action="backup",
    when=("30 2 * * * (Europe/Berlin)", "every 12h"),
    next=NOON + timedelta(hours=12),
    due=NOON + timedelta(hours=12, minutes=3, seconds=20),
    last=NOON - timedelta(hours=6),
    waiting=(NOON,),
    skipped=(
        SkippedSlot(NOON - timedelta(days=3), "missed", 7),
        SkippedSlot(NOON - timedelta(days=9), "queue_full", 1),
    ),
    error="no room",
    upcoming=(NOON + timedelta(hours=12), NOON + timedelta(days=1)),
)
PAUSED = ScheduleInfo(
    task_id="weekly",
    action="backup",
    when=("0 0 * * 0 (UTC)",),
    paused=True,
    next=NOON + timedelta(hours=1),
    upcoming=(NOON + timedelta(hours=1),),
)


def test_a_table_of_all() -> None:
    assert schedules_table([NIGHTLY, PAUSED], NOON, PLAIN) == [
        "TASK     SCHEDULE                               NEXT                  IN   LAST    SKIPPED",
        "nightly  30 2 * * * (Europe/Berlin); every 12h  Sun 2026-03-15 00:00  12h  6h ago  missed 3d ago",
        "weekly   0 0 * * 0 (UTC)                        paused                -    -       -",
    ]


def test_one_task_in_full() -> None:
    assert list(schedule_lines(NIGHTLY, NOON, PLAIN)) == [
        "nightly (backup)",
        "  30 2 * * * (Europe/Berlin)",
        "  every 12h",
        "  the latest start was refused: no room",
        "  waits for the task to be over: Sat 2026-03-14 12:00",
        "  last: Sat 2026-03-14 06:00, 6h ago",
        "  next:",
        "    Sun 2026-03-15 00:00, in 12h, put off until Sun 2026-03-15 00:03:20",
        "    Sun 2026-03-15 12:00, in 24h",
        "  skipped:",
        "    Wed 2026-03-11 12:00 and 6 before: the server was down or suspended",
        "    Thu 2026-03-05 12:00: the task was in use, and another start was waiting already",
    ]


def test_a_calendar_of_what_comes_next() -> None:
    assert calendar([NIGHTLY, PAUSED], 5, NOON) == [
        "Sun 2026-03-15 00:00  12h  nightly",
        "Sun 2026-03-15 12:00  24h  nightly",
    ]


def test_they_are_shown_paused_and_resumed(ctl: Ctl, daemon: Daemon) -> None:
    year = datetime.now(UTC).year + 1
    heading, often, yearly = ctl("schedules").out.splitlines()
    assert heading.split() == ["TASK", "SCHEDULE", "NEXT", "IN", "LAST", "SKIPPED"]
    assert often.startswith("often   every 1s, disabled ")
    assert f"{year - 1}-12-31 23:00" in yearly
    with daemon.connect() as client:
        assert client.expect("skipped")["task_id"] == "often"
    assert "disabled in the server's config" in ctl("schedules", "often").out
    assert ctl("pause", "yearly").status == 0
    assert " paused " in ctl("schedules").out
    assert ctl("__complete", "resume", "").out.split() == ["yearly"]
    assert ctl("__complete", "schedules", "").out.split() == ["often", "yearly"]
    assert ctl("schedules", "-n", "3").out == ""
    assert ctl("resume", "yearly").status == 0
    assert len(ctl("schedules", "-n", "3").out.splitlines()) == 3
    (shown,) = ctl("schedules", "yearly", "--json", "-n", "2").json
    assert (shown["task_id"], len(shown["upcoming"])) == ("yearly", 2)


def test_what_has_no_schedule_is_said(ctl: Ctl) -> None:
    assert ctl("schedules", "plain").err == "overseerctl: plain has no schedule\n"
    assert ctl("schedules", "nobody").err == "overseerctl: nobody: task not found\n"
    for command in ("pause", "resume"):
        done = ctl(command, "plain", "nobody")
        said = "overseerctl: plain: has no schedule\noverseerctl: nobody: task not found\n"
        assert (done.status, done.err) == (1, said)


def test_times_that_stand_together_are_equally_exact() -> None:
    coming = (NOON + timedelta(seconds=40), NOON + timedelta(seconds=60))
    when = ("every 20s",)
    info = ScheduleInfo(task_id="ticker", action="sleep", when=when, next=coming[0], upcoming=coming)
    assert [line.split()[:3] for line in calendar([info], 2, NOON)] == [
        ["Sat", "2026-03-14", "12:00:40"],
        ["Sat", "2026-03-14", "12:01:00"],
    ]
    assert "    Sat 2026-03-14 12:01:00, in 60s" in schedule_lines(info, NOON, PLAIN)
