"""What ``top`` shows: the heading, the tasks in order, and one of them chosen."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from overseer.ctl.columns import columns_of, fit
from overseer.ctl.listing import params_of, tasks_table
from overseer.ctl.terminal import Style, plain
from overseer.protocol import GlobalMetrics, PoolInfo, TaskInfo, TaskUsage
from overseer.util.timestamps import now

_ORDER = {"running": 0, "ready": 0, "restarting": 0, "queued": 1, "waiting": 1, "errored": 2}
_SGR = re.compile("\x1b\\[[0-9;]*m")
_REVERSED, _RESET = "\x1b[7m", "\x1b[0m"


@dataclass(frozen=True)
class Answer:
    tasks: tuple[TaskInfo, ...]
    pool: PoolInfo
    counted: GlobalMetrics | None
    usage: dict[str, TaskUsage]


def in_order(answer: Answer, sort: str, words: str = "") -> list[TaskInfo]:
    """The tasks in which ``words`` are found; running ones first, then queued ones.

    Within these, by ``sort``: what began or ended last (``time``), or used most (``cpu``, ``memory``).
    """
    return sorted(
        (task for task in answer.tasks if _has(task, words.lower().split())),
        key=lambda task: (
            _ORDER.get(task.status, 3),
            -_used(answer.usage.get(task.task_id), sort),
            -(task.last_exited_at or task.last_started_at or task.created_at).timestamp(),
        ),
    )


def _has(task: TaskInfo, words: Sequence[str]) -> bool:
    said = f"{task.task_id} {task.action} {task.status} {params_of(task.params)}".lower()
    return all(word in said for word in words)


def screen_lines(
    answer: Answer,
    tasks: Sequence[TaskInfo],
    style: Style,
    columns: int,
    rows: int,
    *,
    chosen: str = "",
    footer: str = "",
) -> list[str]:
    """At most ``rows`` lines of at most ``columns``.

    Args:
        tasks: in the order in which they are shown, as far as there is room.
        chosen: the id of one that is marked, and stays in sight.
        footer: the last line; "": none.
    """
    pool, counted = answer.pool, answer.counted
    moment = now()
    limit = f" of {pool.limit}" if pool.limit else ""
    head = [
        f"{moment.astimezone():%H:%M:%S}  {pool.running} running{limit}, {pool.queue_depth} queued, "
        f"{len(answer.tasks)} known"
    ]
    if counted is not None:
        head.append(
            f"started {counted.tasks_started}  exits {counted.tasks_completed}  restarts "
            f"{counted.tasks_restarted}  errored {counted.tasks_errored}  lines {counted.total_output_lines}"
        )
    head = [fit(plain(line), columns) for line in head]
    foot = [fit(footer, columns)] if footer and rows > len(head) + 4 else []
    room = max(0, rows - len(head) - len(foot) - 2)
    ids = [task.task_id for task in tasks]
    at = ids.index(chosen) if chosen in ids else 0
    begin = max(0, min(at - room // 2, len(tasks) - room))
    shown = tasks[begin : begin + room]
    body = tasks_table(shown, moment, style, columns, answer.usage) if shown else []
    if chosen in ids[begin : begin + room]:
        line = _SGR.sub("", body[at - begin + 1])
        width = min(columns, max(columns_of(_SGR.sub("", each)) for each in body))
        body[at - begin + 1] = f"{_REVERSED}{line}{' ' * max(0, width - columns_of(line))}{_RESET}"
    lines = [*head, "", *body]
    if len(tasks) > room and lines:
        lines[len(head) : len(head) + 1] = [fit(f"({len(tasks) - len(shown)} more)", columns)]
    if not foot:
        return lines[:rows]
    lines = lines[: rows - 1]
    return [*lines, *[""] * (rows - 1 - len(lines)), *foot]


def _used(usage: TaskUsage | None, sort: str) -> float:
    if usage is None or sort == "time":
        return 0.0
    return usage.rss if sort == "memory" else usage.cpu or 0.0
