"""``overseerctl list``: the tasks of a server, as a table or as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from overseer.ctl.link import Link
from overseer.errors import OverseerError
from overseer.timestamps import parse_timestamp

__all__ = ["fetch_tasks", "show_tasks"]

Task = dict[str, Any]
_HEADINGS = ("TASK ID", "ACTION", "STATE", "PID", "RESTARTS", "EXIT", "SINCE")


def fetch_tasks(link: Link) -> list[Task]:
    """All tasks the server knows. Raises OverseerError with the server's own words when it refuses."""
    link.send({"type": "list", "id": "list"})
    while True:
        reply = link.receive()
        if reply is None or reply.get("id") != "list":
            continue  # a broadcast
        if reply.get("type") != "tasks":
            raise OverseerError(str(reply.get("message", "the server refused")))
        tasks: list[Task] = reply["tasks"]
        return tasks


def show_tasks(tasks: Sequence[Task], moment: datetime, *, as_json: bool) -> str:
    """The text to print, with its last newline; "" for a table without tasks. ``moment`` is now."""
    if as_json:
        return json.dumps(tasks, indent=2, ensure_ascii=False) + "\n"
    if not tasks:
        return ""
    return _table([_HEADINGS, *(_row(task, moment) for task in tasks)])


def _row(task: Task, moment: datetime) -> tuple[str, ...]:
    running = task.get("worker_state") == "running"
    state = task["state"]
    if state == "active":
        state = "running" if running else "exited"
    since = task.get("last_started_at") if running else task.get("last_exited_at")
    code = task.get("last_exit_code")
    return (
        _plain(task["task_id"]),
        _plain(task["action"]),
        state,
        str(task["current_pid"]) if running and task.get("current_pid") else "-",
        str(task.get("restart_count", 0)),
        "-" if code is None else str(code),
        _ago(since or task.get("queued_at") or task["created_at"], moment),
    )


def _plain(text: str) -> str:
    """An id or name as it is, or quoted when it would upset the table or the terminal."""
    return text if text.isprintable() and text.split() == [text] else json.dumps(text)


def _ago(timestamp: str, moment: datetime) -> str:
    seconds = max(0, int((moment - parse_timestamp(timestamp)).total_seconds()))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit} ago"
    return f"{seconds}s ago"


def _table(rows: Iterable[tuple[str, ...]]) -> str:
    rows = list(rows)
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "".join(line.rstrip() + "\n" for line in lines)
