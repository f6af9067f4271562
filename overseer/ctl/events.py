"""``overseerctl events``: everything that happens, as JSON lines.

No task ever waits for it: lines that come faster than they can be printed are lost, and a ``gap`` says which.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime, timedelta

from overseer.client import Client, ClientError, RefusedError, Task
from overseer.ctl.terminal import json_line, write_out
from overseer.protocol import TaskInfo

_LOOK_S = 1.0  # between looks for new tasks: the server does not announce those of other clients
_WHOLE_LOOK = 30  # every 30th look is at all tasks
_AT_ONCE = 20  # tasks that are joined at a time: the server sends what is stored of each
# A look covers what was touched since shortly before the latest moment that the last one saw: timestamps are
# taken a little before they are visible, and clocks are set.
_MARGIN = timedelta(seconds=2)


def events(client: Client, task_ids: Sequence[str]) -> int:
    """Print what happens to some tasks or, when none is named, to all, including future ones."""
    heard = client.batches()
    over = threading.Event()
    failures: list[ClientError] = []

    def look() -> None:
        lookout = Lookout(client)
        try:
            lookout.look()
            while not over.wait(_LOOK_S):
                lookout.look()
        except ClientError as error:
            failures.append(error)
            client.close()

    watched = client.watch(dict.fromkeys(task_ids))
    for task_id in task_ids:
        if task_id not in watched:
            raise RefusedError(f"{task_id}: task not found")
    if not task_ids:
        threading.Thread(target=look, name="look for tasks", daemon=True).start()
    try:
        for batch in heard:
            write_out(b"".join(map(json_line, batch)))
    finally:
        over.set()
    for failure in failures:
        raise failure
    return 0


class Lookout:
    """Finds tasks, and subscribes the client's events to them."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._since: datetime | None = None
        self._looks = 0
        # Tasks that are not over, or errored, for those may be reset.
        self._followed: dict[str, Task] = {}
        self._over: dict[str, datetime] = {}  # the ids of the others, and when each was created

    def look(self) -> None:
        """Join new tasks. Raises ClientError."""
        first, since = self._looks == 0, self._since if self._looks % _WHOLE_LOOK else None
        self._looks += 1
        infos = self._client.tasks(since)
        self._forget_ended()
        if first:  # a stopped task does not come back
            self._over = {info.task_id: info.created_at for info in infos if info.state == "stopped"}
        wanted = [info for info in infos if self._is_new(info) or self._is_reset(info) is not None]
        for start in range(0, len(wanted), _AT_ONCE):
            chunk = wanted[start : start + _AT_ONCE]
            again = [task for info in chunk if (task := self._is_reset(info)) is not None]
            # The first look skips the past; what later ones find has happened in between.
            self._followed |= self._client.watch(
                [info.task_id for info in chunk if self._is_new(info)],
                None if first else 0,
                again=again,
                touched_since=min(map(_touched, chunk)),
            )
        if since is None:  # what the server has forgotten
            listed = {info.task_id for info in infos}
            self._over = {task_id: at for task_id, at in self._over.items() if task_id in listed}
            self._followed = {
                task_id: task
                for task_id, task in self._followed.items()
                if task_id in listed or not task.over
            }
        # Look again at a task whose predecessor is not known to be over yet.
        if not any(self._is_successor(info) for info in infos):
            self._since = max((_touched(info) - _MARGIN for info in infos), default=self._since)

    def _forget_ended(self) -> None:
        for task_id, task in list(self._followed.items()):
            if task.over and task.state != "errored" and task.created_at is not None:
                del self._followed[task_id]
                self._over[task_id] = task.created_at

    def _is_new(self, info: TaskInfo) -> bool:
        task = self._followed.get(info.task_id)
        if task is not None:
            return task.over and task.created_at != info.created_at
        return self._over.get(info.task_id) != info.created_at

    def _is_successor(self, info: TaskInfo) -> bool:
        task = self._followed.get(info.task_id)
        return task is not None and task.created_at != info.created_at

    def _is_reset(self, info: TaskInfo) -> Task | None:
        """The handle of an errored task that has been started again."""
        task = self._followed.get(info.task_id)
        if task is None or not task.over or task.created_at != info.created_at:
            return None
        exited_at = None if task.exit is None else task.exit.ts
        return task if info.state != "errored" or info.last_exited_at != exited_at else None


def _touched(info: TaskInfo) -> datetime:
    moments = (info.last_started_at, info.last_exited_at)
    return max((moment for moment in moments if moment is not None), default=info.created_at)
