"""What failed starts leave: a worker that no task has, so it is ended here."""

from __future__ import annotations

import logging

from overseer.supervisor.table import TaskTable
from overseer.supervisor.task import Task
from overseer.supervisor.transaction import stop_worker
from overseer.util.locks import assert_held
from overseer.util.threads import run_on_thread
from overseer.workers.base import Worker

_log = logging.getLogger(__name__)


class FailedStarts:
    """The workers of failed starts; guarded by the table's lock."""

    def __init__(self, table: TaskTable) -> None:
        self._table = table
        # By identity, since a driver's own worker may define equality.
        self._workers: dict[int, tuple[Worker, Task]] = {}

    def workers_locked(self) -> list[Worker]:
        """The workers that have not ended."""
        assert_held(self._table.lock)
        return [worker for worker, _ in self._workers.values()]

    def tasks_locked(self) -> list[Task]:
        """The tasks they were started for."""
        assert_held(self._table.lock)
        return [task for _, task in self._workers.values()]

    def heard_of(self, task: Task, worker: Worker, over: bool) -> None:
        """Called when a worker has begun, or is ``over``, although the start of ``task`` has failed."""
        if not over:
            self.end(task, worker)
            return
        with self._table.lock:
            known = id(worker) in self._workers
        if known:
            worker._over.set()  # the driver's own callback bypasses what would end the wait for it
            self._forget(worker)

    def end(self, task: Task, worker: Worker) -> None:
        """Stop a worker, and wait for its end on a thread."""
        with self._table.lock:
            if id(worker) in self._workers:
                return
            self._workers[id(worker)] = worker, task
            graces: list[float | None] = [0.0] if self._table.skip_graces else [None, *task.graces]
        for grace in graces:
            if stop_worker(worker, grace):
                # It can be neither stopped nor waited for: its own __init__ failed.
                self._forget(worker)
                return
        run_on_thread(lambda: self._wait_for(task, worker), f"failed-start-{task.id}")

    def _wait_for(self, task: Task, worker: Worker) -> None:
        try:
            worker.wait()
        except BaseException:
            _log.exception("task %s: the driver failed to wait for its worker", task.id)
        self._forget(worker)

    def _forget(self, worker: Worker) -> None:
        with self._table.lock:
            self._workers.pop(id(worker), None)
            self._table.freed.wake()
