from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from overseer.ctl.listing import show_tasks
from overseer.timestamps import format_timestamp, now

NOW = now()


def task(**fields: Any) -> dict[str, Any]:
    created = format_timestamp(NOW - timedelta(days=3))
    return {
        "task_id": "t",
        "action": "a",
        "state": "active",
        "restart_count": 0,
        "created_at": created,
        **fields,
    }


def ago(seconds: float) -> str:
    return format_timestamp(NOW - timedelta(seconds=seconds))


def rows(*tasks: dict[str, Any]) -> list[list[str]]:
    heading, *lines = show_tasks(tasks, NOW, as_json=False).splitlines()
    starts = [heading.index(word) for word in ("TASK", "ACTION", "STATE", "PID", "RESTARTS", "EXIT", "SINCE")]
    return [
        [line[start:end].strip() for start, end in zip(starts, [*starts[1:], None], strict=True)]
        for line in lines
    ]


@pytest.mark.parametrize(
    ("fields", "row"),
    [
        (
            {"worker_state": "running", "current_pid": 7, "last_started_at": ago(130)},
            ["t", "a", "running", "7", "0", "-", "2m ago"],
        ),
        (
            {
                "worker_state": "exited",
                "last_exit_code": 0,
                "last_started_at": ago(99),
                "last_exited_at": ago(5.5),
            },
            ["t", "a", "exited", "-", "0", "0", "5s ago"],
        ),
        (
            {"state": "errored", "last_exit_code": -1, "restart_count": 4, "last_exited_at": ago(7300)},
            ["t", "a", "errored", "-", "4", "-1", "2h ago"],
        ),
        ({"state": "queued", "queued_at": ago(-60)}, ["t", "a", "queued", "-", "0", "-", "0s ago"]),
        ({}, ["t", "a", "exited", "-", "0", "-", "3d ago"]),
    ],
)
def test_a_task_is_a_row(fields, row):
    assert rows(task(**fields)) == [row]


def test_columns_line_up_whatever_the_ids():
    assert [row[:2] for row in rows(task(task_id="x" * 40, action="b"), task(action="longer-action"))] == [
        ["x" * 40, "b"],
        ["t", "longer-action"],
    ]


def test_an_id_that_would_upset_the_table_is_quoted():
    assert '"two words\\u001b[2J"' in show_tasks([task(task_id="two words\x1b[2J")], NOW, as_json=False)


def test_json_is_what_the_server_said():
    tasks = [task(params={"name": "Zoë"}), task(state="queued")]
    assert json.loads(show_tasks(tasks, NOW, as_json=True)) == tasks
    assert show_tasks([], NOW, as_json=True) == "[]\n"


def test_no_tasks_are_no_table():
    assert show_tasks([], NOW, as_json=False) == ""
