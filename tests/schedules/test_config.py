"""``schedule`` in the file: what it may say, and what is wrong with what it says."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import jsonschema
import pytest

from overseer.config.jsonschema import config_schema
from overseer.config.schedules import Schedule
from overseer.daemon.advice import _placed, _schedules
from tests.config.conftest import Fails, Load

FILE = "actions: {{a: {{type: exec}}}}\ntasks:\n  t:\n    action: a\n    schedule: {}\n"


@pytest.mark.parametrize(
    ("text", "schedules"),
    [
        ("{cron: '30  2 * * *'}", [Schedule(cron="30 2 * * *")]),
        ("{cron: '@daily', timezone: UTC, jitter: 5m}", [Schedule(cron="0 0 * * *", jitter=300)]),
        ("{every: 90}", [Schedule(every=90)]),
        ("{every: 1h30m, overlap: queue, missed: all, enabled: no}",
         [Schedule(every=5400, overlap="queue", missed="all", enabled=False)]),
        ("[{every: 15m}, {every: 1m, missed: skip}]",
         [Schedule(every=900), Schedule(every=60, missed="skip")]),
        ("{at: 2026-12-01 09:00:30}", [Schedule(at=datetime(2026, 12, 1, 9, 0, 30, tzinfo=UTC))]),
        ("{at: '2026-12-01T09:00+02:00'}", [Schedule(at=datetime(2026, 12, 1, 7, tzinfo=UTC))]),
        ("[]", []),
        ("", []),
    ],
)  # fmt: skip
def test_what_a_schedule_may_say(load: Load, text: str, schedules: list[Schedule]) -> None:
    config = load(FILE.format(text))
    assert list(config.tasks["t"].schedule) == schedules
    assert config.warnings == ()


def test_a_time_is_one_of_its_zone(load: Load) -> None:
    (schedule,) = load(FILE.format("{at: 2026-03-29 02:30, timezone: Europe/Berlin}")).tasks["t"].schedule
    assert schedule.at == datetime(2026, 3, 29, 1, tzinfo=UTC), "02:30 does not come: right after the gap"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{cron: '61 * * * *'}", "tasks.t.schedule.cron: the minute of the cron expression cannot be read"),
        ("{cron: '0 0 30 2 *'}", "tasks.t.schedule.cron: the day of the month of the cron expression"),
        ("{timezone: Europe/Berln, every: 1m}", "tasks.t.schedule.timezone: no such time zone"),
        (
            "{cron: '@daily', every: 5m}",
            "tasks.t.schedule: cron and every are different schedules: make them",
        ),
        ("{enabled: true}", "tasks.t.schedule: say when: cron, every or at"),
        ("[{every: 1m}, {every: 0}]", "tasks.t.schedule.1.every: must be more than 0"),
        ("{every: 1.5}", "tasks.t.schedule.every: must be whole seconds, one or more"),
        ("{every: 900000h}", "tasks.t.schedule.every: is more than a hundred years"),
        ("{at: tomorrow}", "tasks.t.schedule.at: expected a time such as 2026-12-01T09:00, found the text"),
        ("{at: 2026-02-30 09:00}", "tasks.t.schedule.at: 2026-02-30 09:00: day is out of range"),
        ("{every: 1m, overlap: kill}", "tasks.t.schedule.overlap: expected skip, queue, replace or allow"),
        ("daily", "tasks.t.schedule: expected a mapping, found"),
    ],
)
def test_what_cannot_be_meant_is_refused(fails: Fails, text: str, says: str) -> None:
    (error,) = fails(FILE.format(text))
    assert error.startswith("c:5: ")
    assert error.removeprefix("c:5: ").startswith(says)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{every: 5m, timezone: Europe/Berlin}", "timezone does nothing: `every` is the same in all"),
        ("{every: 5m, jitter: 5m}", "jitter is as long as the period"),
    ],
)
def test_what_is_probably_a_mistake(load: Load, text: str, says: str) -> None:
    (warning,) = load(FILE.format(text)).warnings
    assert f"5: tasks.t.schedule: {says}" in warning


def test_check_says_what_a_schedule_cannot_do(load: Load) -> None:
    past = FILE.format("[{every: 5m}, {at: 2020-01-01 09:00}]")
    config = load(past)
    no_memory, gone = _placed(config, _schedules(config))
    assert "5: tasks.t.schedule: without a data_dir the server forgets" in no_memory
    assert "5: tasks.t.schedule.1.at: is in the past, and starts nothing" in gone
    assert not list(_schedules(load(f"data_dir: data\n{FILE.format('{every: 5m}')}")))


@pytest.mark.parametrize(
    ("schedule", "valid"),
    [
        ({"cron": "30 2 * * *", "timezone": "Europe/Berlin"}, True),
        ([{"every": "15m"}, {"every": 60, "jitter": 5, "enabled": "no"}], True),
        ({"at": "2026-12-01T09:00"}, True),
        ({"crom": "30 2 * * *"}, False),
        ({"every": "15 minutes"}, False),
        ([{"every": 60, "overlap": "kill"}], False),
        ("@daily", False),
    ],
)
def test_editors_know_it(schedule: Any, valid: bool) -> None:
    file = {"tasks": {"t": {"action": "a", "schedule": schedule}}}
    errors = list(jsonschema.Draft7Validator(config_schema()).iter_errors(json.loads(json.dumps(file))))
    assert (not errors) == valid


def test_what_is_not_configured_is_not_loaded() -> None:
    code = """
import sys
import overseer.daemon.daemon
from overseer.config import parse_config
from overseer.daemon.advice import _schedules
config = parse_config("c", b"actions: {a: {type: exec}}\\ntasks: {t: {action: a}}")
assert not list(_schedules(config))
print(sorted({"cronsim", "zoneinfo", "overseer.schedules.scheduler"} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert (done.stdout, done.stderr) == ("[]\n", "")
