from __future__ import annotations

import io
import json
import re
from datetime import timedelta
from typing import Any

import pytest

from overseer.ctl.columns import fit
from overseer.ctl.listing import tasks_table
from overseer.ctl.terminal import Style, _json, plain
from overseer.ctl.toptable import Answer, in_order, screen_lines
from overseer.protocol import GlobalMetrics, PoolInfo, TaskInfo
from overseer.util.timestamps import now

NOW = now()
PLAIN = Style("never", None)


def task(**fields: Any) -> TaskInfo:
    basics = {"task_id": "t", "action": "a", "state": "active", "created_at": NOW - timedelta(days=3)}
    status = fields.get("state", "running")
    return TaskInfo(**{**basics, "status": status, **fields})


def ago(seconds: float) -> Any:
    return NOW - timedelta(seconds=seconds)


def rows(*tasks: TaskInfo) -> list[list[str]]:
    heading, *lines = tasks_table(tasks, NOW, PLAIN)
    starts = [
        heading.index(word)
        for word in ("ID", "ACTION", "STATUS", "EXIT", "RAN", "SINCE", "PID", "RESTARTS", "PARAM")
    ]
    return [
        [line[start:end].strip() for start, end in zip(starts, [*starts[1:], None], strict=True)]
        for line in lines
    ]


@pytest.mark.parametrize(
    ("fields", "row"),
    [
        (
            {"worker_state": "running", "current_pid": 7, "last_started_at": ago(130)},
            ["t", "a", "running", "-", "2m10s", "2m ago", "7", "0", "-"],
        ),
        (  # what the previous run came to is not this one's
            {
                "worker_state": "running",
                "current_pid": 7,
                "last_started_at": ago(3),
                "last_exit_code": -1,
                "last_signal": "SIGTERM",
                "restart_count": 1,
            },
            ["t", "a", "running", "-", "3s", "3s ago", "7", "1", "-"],
        ),
        (
            {
                "worker_state": "exited",
                "last_exit_code": 0,
                "last_started_at": ago(99),
                "last_exited_at": ago(5.5),
            },
            ["t", "a", "succeeded", "0", "-", "5s ago", "-", "0", "-"],
        ),
        (
            {"state": "errored", "last_exit_code": -1, "restart_count": 4, "last_exited_at": ago(7300)},
            ["t", "a", "errored", "signal", "-", "2h ago", "-", "4", "-"],
        ),
        ({"state": "queued", "queued_at": ago(-60)}, ["t", "a", "queued", "-", "-", "0s ago", "-", "0", "-"]),
        (
            {
                "state": "stopped",
                "last_exit_code": 0,
                "reason": "stopped",
                "duration_ms": 1234,
                "last_exited_at": ago(1),
            },
            ["t", "a", "stopped", "0", "1.2s", "1s ago", "-", "0", "-"],
        ),
        (
            {
                "worker_state": "exited",
                "last_exit_code": 0,
                "reason": "timeout",
                "duration_ms": 90_000,
                "last_exited_at": ago(1),
            },
            ["t", "a", "failed", "timeout", "1m30s", "1s ago", "-", "0", "-"],
        ),
        ({}, ["t", "a", "running", "-", "-", "3d ago", "-", "0", "-"]),
    ],
)
def test_a_task_is_a_row(fields, row):
    assert rows(task(**fields, status=row[2])) == [row]


def test_columns_line_up_whatever_the_ids():
    assert [row[:2] for row in rows(task(task_id="x" * 40, action="b"), task(action="longer-action"))] == [
        ["x" * 40, "b"],
        ["t", "longer-action"],
    ]


def test_an_id_that_would_upset_the_table_or_the_terminal_is_quoted():
    lines = tasks_table([task(task_id="two words\x1b[2J")], NOW, PLAIN)
    assert '"two words\\u001b[2J"' in lines[1]
    assert plain("a\nb\t\x9b\u202e") == "a\\nb\\t\\u009b\\u202e"


def test_states_are_coloured_and_nothing_moves():
    tasks = [task(worker_state="running"), task(state="errored")]
    coloured = tasks_table(tasks, NOW, Style("always", None))
    bare = tasks_table(tasks, NOW, PLAIN)
    assert "\x1b[32mrunning" in coloured[1]
    assert "\x1b[31merrored" in coloured[2]
    strip = [line.replace("\x1b[0m", "").replace("\x1b[32m", "").replace("\x1b[31m", "") for line in coloured]
    assert [line.replace("\x1b[1m", "") for line in strip] == bare


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("when", "stream", "environment", "on"),
    [
        ("auto", Terminal(), {}, True),
        ("auto", io.StringIO(), {}, False),
        ("auto", None, {}, False),
        ("auto", Terminal(), {"NO_COLOR": "1"}, False),
        ("auto", Terminal(), {"TERM": "dumb"}, False),
        ("always", io.StringIO(), {"NO_COLOR": "1"}, True),
        ("never", Terminal(), {}, False),
    ],
)
def test_colours_are_for_terminals(monkeypatch, when, stream, environment, on):
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert Style(when, stream).on is on


@pytest.mark.parametrize("columns", [1, 2, 5, 20, 40, 79, 200])
@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5, 24])
def test_the_live_view_fits_into_any_window(columns, rows):
    tasks = tuple(task(task_id=f"task-{number}" * 5) for number in range(30))
    answer = Answer(tasks, PoolInfo(4, 2, 1), GlobalMetrics(), {})
    more = {"chosen": "task-7" * 5, "footer": "q quit"}
    lines = screen_lines(answer, tasks, PLAIN, columns, rows, **more)
    assert len(lines) <= rows
    assert max(len(re.sub("\x1b\\[\\d*m", "", line)) for line in lines) <= columns
    coloured = screen_lines(answer, tasks, Style("always", None), columns, rows, **more)
    assert len(coloured) == len(lines)


def test_the_live_view_shows_who_runs_first_and_counts_the_rest():
    tasks = (
        task(task_id="old", status="succeeded"),
        task(task_id="waits", state="queued"),
        task(task_id="runs", worker_state="running"),
    )
    answer = Answer(tasks, PoolInfo(0, 1, 1), None, {})
    shown = in_order(answer, "time")
    lines = screen_lines(answer, shown, PLAIN, 80, 24)
    assert [line.split()[0] for line in lines[-3:]] == ["runs", "waits", "old"]
    assert "(2 more)" in "\n".join(screen_lines(answer, shown, PLAIN, 80, 4))
    assert [task.task_id for task in in_order(answer, "time", "A SUCC")] == ["old"]


def test_texts_are_cut_with_a_sign():
    assert [fit("abcdef", size) for size in (6, 5, 2, 1, 0)] == ["abcdef", "abcd…", "a…", "…", ""]


def cells(text: str) -> str:
    (line,) = [line for line in text.splitlines() if line.startswith("t ")]
    return line


@pytest.mark.parametrize(
    ("fields", "red"),
    [
        ({"status": "succeeded", "last_exit_code": 0}, []),
        ({"status": "failed", "last_exit_code": 3}, ["failed", "3"]),
        (
            {"status": "failed", "last_exit_code": -1, "last_signal": "SIGBUS"},
            ["failed", "SIGBUS"],
        ),
        ({"state": "errored", "last_exit_code": 9}, ["errored", "9"]),
        (
            {"status": "failed", "last_exit_code": 0, "reason": "timeout", "duration_ms": 1},
            ["failed", "timeout"],
        ),
        ({"state": "stopped", "last_exit_code": -1, "last_signal": "SIGTERM"}, []),
        ({"worker_state": "running", "last_exit_code": 9}, []),
        ({}, []),
    ],
)  # fmt: skip
def test_a_failure_is_red_and_a_success_is_not(fields: dict[str, Any], red: list[str]):
    line = cells("\n".join(tasks_table([task(**fields)], NOW, Style("always", None))))
    assert [found.strip() for found in re.findall("\x1b\\[31m(.*?)\x1b\\[0m", line)] == red


def test_a_signal_has_its_name():
    shown = tasks_table([task(state="stopped", last_exit_code=-1, last_signal="SIGKILL")], NOW, PLAIN)
    assert "  SIGKILL  " in shown[1]


def test_parameters_are_shown_shortened_and_harmless():
    params = {"a": "1", "empty": "", "blanks": "x y", "long": "z" * 100_000, "evil": "\x1b[2J\u202e"}
    (line,) = tasks_table([task(params=params)], NOW, PLAIN)[1:]
    shown = line.partition("  0         ")[2]
    assert shown.startswith('a=1 empty= blanks="x y" long=' + "z" * 29 + "…")
    assert len(shown) <= 80
    assert cells("\n".join(tasks_table([task(params=params)], NOW, PLAIN, 60)))
    (line,) = tasks_table([task(params={"evil": params["evil"]})], NOW, PLAIN)[1:]
    assert line.endswith('evil="\\u001b[2J\\u202e"')


def test_where_there_is_no_room_what_is_least_needed_goes_first():
    fields = {"params": {"key": "value"}, "worker_state": "running", "current_pid": 7, "last_started_at": NOW}
    assert "PARAMETERS" in tasks_table([task(**fields)], NOW, PLAIN, 80)[0]
    heading = tasks_table([task(task_id="x" * 36, **fields)], NOW, PLAIN, 60)[0]
    assert "RESTARTS" not in heading
    assert "SINCE" in heading


UNSEEN = ["\u202e", "\u2066", "\u200b", "\ufeff", "\x7f", "\x9b", "\u2028", "\U000e0001", "\u0378", "\x1b"]


def test_json_escapes_what_a_terminal_acts_upon_or_nobody_sees():
    text = "aä構🚀 " + "".join(UNSEEN)
    for shown in (_json({text: [text]}), _json({text: [text]}, indent=2)):
        assert json.loads(shown) == {text: [text]}
        assert all(line.isprintable() for line in shown.split("\n"))
        assert "aä構🚀 \\u202e" in shown
    assert json.loads(_json(["\ud800"])) == ["\ufffd"]
    assert plain(text).isprintable()
    assert plain(text) == "aä構🚀 " + "".join(
        json.dumps(char)[1:-1] if char != "\x7f" else "\\u007f" for char in UNSEEN
    )
