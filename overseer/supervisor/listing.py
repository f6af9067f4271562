"""Answers ``list`` and ``forget``.

A list is all tasks, or a page of them, read and appended in one critical section. Rows stay encoded until
their task changes. Those that have changed since the last list are encoded without the hub's lock, in rounds,
until few are left; the critical section only joins them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from overseer.auth.rights import Principal
from overseer.errors import RequestError
from overseer.net.frames import Encoded
from overseer.protocol import Forgotten, List, Tasks, Watching, encode_rows
from overseer.supervisor.clients import Client, DeferredFlush
from overseer.supervisor.output.encode import StreamedTasks, TaskRow
from overseer.supervisor.phases import Phase
from overseer.supervisor.table import TaskTable
from overseer.supervisor.task import Requester, Task
from overseer.supervisor.transaction import Transaction
from overseer.util.locks import assert_held
from overseer.util.timestamps import now

# How many tasks may be encoded under the hub's lock, and how many rounds go without it.
_LITTLE = 32
_ROUNDS = 8
_WHOLE = 64 * 1024  # bytes up to which a list is sent as one piece; longer ones are encoded piecemeal
_PAGE = 512 * 1024  # bytes of a page


class Listing:
    """Lists a hub's tasks."""

    def __init__(self, table: TaskTable) -> None:
        self._table = table

    def action_of(self, task_id: str) -> str | None:
        """The action of a known task, or None."""
        with self._table.lock:
            task = self._table.get(task_id)
            return None if task is None else task.action

    def has(self, task_id: str) -> bool:
        """Whether there is a task of that id, in any state. Does not wait for the hub's lock."""
        return task_id in self._table

    def forget(self, task_id: str, requester: Requester) -> None:
        """Take a task that is over off the list.

        Raises:
            RequestError: no such task, or it is not over.
        """
        with self._table.begin(requester) as tx:
            phase = self._table.find(task_id, requester.principal).phase
            if phase.in_use:
                doing = "queued" if phase is Phase.QUEUED else "running"
                raise RequestError(f"task is still {doing}: stop it first", code="conflict")
            self._table.forget(task_id)
            requester.tell(tx, Forgotten(task_id, now(), id=requester.request_id))

    def tell(self, client: Client, request: List) -> None:
        """Send the client what it requested and may see: everything, or a page."""

        def listed_locked(tx: Transaction, tasks: list[Task]) -> None:
            assert_held(self._table.lock)
            following = ""
            if request.limit and len(tasks) > request.limit:
                del tasks[request.limit :]
                following = tasks[-1].id
            rows = [task.row_for_locked(client.principal) for task in tasks]
            if request.limit:
                fitting = _fitting(rows)
                following = tasks[fitting - 1].id if fitting < len(rows) else following
                del rows[fitting:]
                del tasks[fitting:]
            for task in self._table.resetting(tasks):
                task.onlookers.add(client)
            send_rows(tx, client, Tasks(id=request.id, tasks=(), next=following), rows)

        self.picture(lambda: self._listed_locked(request, client.principal), listed_locked)

    def picture(
        self, tasks_locked: Callable[[], list[Task]], told_locked: Callable[[Transaction, list[Task]], None]
    ) -> None:
        """Have ``told_locked`` called in a transaction; nearly all rows of the tasks are encoded by then."""
        for last in (False,) * _ROUNDS + (True,):
            with self._table.begin() as tx:
                tasks = tasks_locked()
                changed = [task for task in tasks if not task.is_encoded]
                if last or len(changed) <= _LITTLE:
                    told_locked(tx, tasks)
                    return
            for task in changed:
                with task.lock:
                    task.encoded_info_locked()

    def _listed_locked(self, request: List, principal: Principal) -> list[Task]:
        """The tasks of a list, in order, and one more than its limit, if there is one."""
        assert_held(self._table.lock)
        since, limit = request.since, request.limit
        if request.task_id:
            task = self._table.get(request.task_id)
            return [] if task is None or not principal.sees(task.action) else [task]
        if since is None and principal.scope is None and not limit and not request.after:
            return [*self._table]
        tasks: list[Task] = []
        # Pages go by id, so that tasks may come, go and start over between two pages.
        for task in self._table.after(request.after) if limit or request.after else self._table:
            if (since is None or task.phase is Phase.QUEUED or task.touched_locked() >= since) and (
                principal.sees(task.action)
            ):
                tasks.append(task)
                if limit and len(tasks) > limit:
                    break
        return tasks


def send_rows(out: DeferredFlush, client: Client, reply: Tasks | Watching, rows: Sequence[TaskRow]) -> None:
    """Send a message with these tasks, of which it says that there are none."""
    kept = [row for row in rows if isinstance(row, bytes)]
    if len(kept) < len(rows) or sum(map(len, kept)) > _WHOLE:
        out.send_streamed(client, StreamedTasks(reply, rows))
    else:
        out.send_encoded(client, Encoded([encode_rows(reply, kept)]))


def _fitting(rows: Sequence[TaskRow]) -> int:
    """The number of rows that fit a page, at least one."""
    size = 0
    for count, row in enumerate(rows):
        size += len(row)
        if count and size > _PAGE:
            return count
    return len(rows)
