"""Orphaned workers: begun by a driver whose ``start`` failed all the same, so that no task has them."""

from __future__ import annotations

import logging
import threading

from overseer.supervisor.state import State
from overseer.supervisor.task import Task
from overseer.supervisor.transaction import stop_worker
from overseer.workers.base import Worker

_log = logging.getLogger(__name__)


class OrphanedWorkers:
    """Stops them and waits for them, on behalf of a hub, whose lock guards it."""

    def __init__(self, state: State) -> None:
        self._state = state
        # By identity, since a driver's own may be of any make.
        self._workers: dict[int, tuple[Worker, Task]] = {}
        self.hurried = False  # nobody has the time to wait for what is asked to end

    @property
    def any_locked(self) -> bool:
        """Whether there are some that have not ended."""
        return bool(self._workers)

    def workers_locked(self) -> list[Worker]:
        """Those that have not ended."""
        return [worker for worker, _ in self._workers.values()]

    def tasks_locked(self) -> list[Task]:
        """The tasks that they were to be for."""
        return [task for _, task in self._workers.values()]

    def heard_of(self, task: Task, worker: Worker, over: bool) -> None:
        """The start of ``task`` has failed, and yet a worker of it has begun, or is ``over``."""
        if not over:
            self.end(task, worker)
            return
        with self._state.lock:
            known = id(worker) in self._workers
        if known:
            worker._over.set()  # its driver calls back by itself, and nobody else would end the wait for it
            self._forget(worker)

    def end(self, task: Task, worker: Worker) -> None:
        """Stop one, and wait for its end on a thread."""
        with self._state.lock:
            if id(worker) in self._workers:
                return
            self._workers[id(worker)] = worker, task
            graces: list[float | None] = [0.0] if self.hurried else [None, *task.graces]
        for grace in graces:
            if stop_worker(worker, grace):
                # It cannot be stopped, so neither waited for: a class whose own __init__ failed.
                self._forget(worker)
                return
        try:
            threading.Thread(
                target=self._wait_for, args=(task, worker), name=f"orphan-{task.id}", daemon=True
            ).start()
        except RuntimeError:  # no more threads to be had; late is better than never
            self._wait_for(task, worker)

    def _wait_for(self, task: Task, worker: Worker) -> None:
        try:
            worker.wait()
        except BaseException:
            _log.exception("task %s: the driver failed to wait for its worker", task.id)
        self._forget(worker)

    def _forget(self, worker: Worker) -> None:
        with self._state.lock:
            self._workers.pop(id(worker), None)
            self._state.freed.notify_all()
