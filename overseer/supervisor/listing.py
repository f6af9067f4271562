"""What ``list`` shows: all tasks, or a page of them, pictured and appended in one critical section.

Rows stay encoded until their task changes. What has changed since the last list is encoded without the hub's
lock, in rounds, until little is left; the section that pictures all tasks only puts it together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from overseer.auth.principal import ANYONE, Principal
from overseer.net.frames import Encoded
from overseer.protocol import List, RunTrigger, TaskInfo, encode_tasks
from overseer.supervisor.clients import Client, DeferredFlush
from overseer.supervisor.output.encode import StreamedTasks, TaskRow, task_row
from overseer.supervisor.table import TaskTable
from overseer.supervisor.task import Phase, Task
from overseer.util.locks import assert_held

# How many tasks may be encoded with the hub's lock held, and how often it is tried without.
_LITTLE = 32
_ROUNDS = 8
_WHOLE = 64 * 1024  # bytes of a list that is sent as it is; a longer one is made piece by piece
_PAGE = 512 * 1024  # bytes of a page, after which the rest goes to the next


class Listing:
    """Lists a hub's tasks."""

    def __init__(self, table: TaskTable) -> None:
        self._table = table

    def action_of(self, task_id: str) -> str | None:
        """The action of a task that is remembered; None: none is."""
        with self._table.lock:
            task = self._table.get(task_id)
            return None if task is None else task.action

    def tasks(self, since: datetime | None) -> list[TaskInfo]:
        """All tasks, oldest first; with ``since`` those started or ended since, and all queued ones."""
        with self._table.lock:
            tasks, _ = self._listed_locked(List("", since), ANYONE)
        shown = []
        for task in tasks:
            with task.lock:
                if task.phase is not Phase.FORGOTTEN:
                    shown.append(task.info_locked())
        return shown

    def tell(self, client: Client, request: List) -> None:
        """Send the client what it asked for and may see: all of it, or a page."""
        for last in (False,) * _ROUNDS + (True,):
            with self._table.begin() as tx:
                tasks, following = self._listed_locked(request, client.principal)
                changed = [task for task in tasks if not task.is_encoded]
                if last or len(changed) <= _LITTLE:
                    rows = [_row_locked(task, client.principal) for task in tasks]
                    if request.limit:
                        fitting = _fitting(rows)
                        following = tasks[fitting - 1].id if fitting < len(rows) else following
                        del rows[fitting:]
                        del tasks[fitting:]
                    for task in self._table.resetting(tasks):
                        task.onlookers.add(client)
                    _send(tx, client, request.id, rows, following)
                    return
            for task in changed:
                with task.lock:
                    task.encoded_info_locked()

    def _listed_locked(self, request: List, principal: Principal) -> tuple[list[Task], str]:
        """The tasks of a list, in order, and the id after which the next page begins, or ""."""
        assert_held(self._table.lock)
        since, limit = request.since, request.limit
        if since is None and principal.scope is None and not limit and not request.after:
            return [*self._table], ""
        tasks: list[Task] = []
        # Pages go by id, so that tasks may come, go and start over between two of them.
        for task in self._table.after(request.after) if limit or request.after else self._table:
            if (since is None or task.phase is Phase.QUEUED or task.touched_locked() >= since) and (
                principal.sees(task.action)
            ):
                if limit and len(tasks) == limit:
                    return tasks, tasks[-1].id
                tasks.append(task)
        return tasks, ""


def _row_locked(task: Task, principal: Principal) -> TaskRow:
    """The task's row; to whom not all actions are shown it does not say which task it follows."""
    if task.trigger.type != "chain" or principal.scope is None:
        return task.encoded_info_locked()
    return task_row(replace(task.info_locked(), trigger=RunTrigger("chain")))


def _send(
    out: DeferredFlush, client: Client, request_id: str, rows: Sequence[TaskRow], following: str
) -> None:
    kept = [row for row in rows if isinstance(row, bytes)]
    if len(kept) < len(rows) or sum(map(len, kept)) > _WHOLE:
        out.send_streamed(client, StreamedTasks(request_id, rows, following))
    else:
        out.send_encoded(client, Encoded([encode_tasks(request_id, kept, following)]))


def _fitting(rows: Sequence[TaskRow]) -> int:
    """How many of the rows make a page: one at least."""
    size = 0
    for count, row in enumerate(rows):
        size += len(row)
        if count and size > _PAGE:
            return count
    return len(rows)
