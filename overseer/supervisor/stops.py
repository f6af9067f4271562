"""Stops one task or, at shutdown, all."""

from __future__ import annotations

import time
from dataclasses import dataclass

from overseer.errors import CLOSING
from overseer.history.records import Recorder
from overseer.supervisor.clients import Clients
from overseer.supervisor.definitions import Current
from overseer.supervisor.exits import Exits
from overseer.supervisor.failed_starts import FailedStarts
from overseer.supervisor.metrics import Metrics
from overseer.supervisor.phases import Phase, StopRequest
from overseer.supervisor.pool.pool import PoolManager
from overseer.supervisor.queueing import Queueing
from overseer.supervisor.table import STOPPED, TaskTable
from overseer.supervisor.task import NOBODY, Task
from overseer.supervisor.transaction import Transaction, lives
from overseer.util.locks import assert_held
from overseer.util.standstill import standstill
from overseer.util.websocket_frame import CloseCode
from overseer.workers.base import Worker

# At shutdown (seconds): how long SIGKILL may take to work, and then what may be left to do.
_KILL_S = 0.25
_LAST_S = 0.75
_IN_ORDER_S = 2.0  # for tasks whose turn has not come in time, since those that depend on them did not end


@dataclass(eq=False, repr=False)
class Stops:
    """Stops tasks, and waits for their end."""

    _table: TaskTable
    _pool: PoolManager
    _clients: Clients
    _current: Current
    _queueing: Queueing
    _exits: Exits
    _failed_starts: FailedStarts
    _metrics: Metrics
    _recorder: Recorder

    def stop_locked(
        self, tx: Transaction, task: Task, request: StopRequest, reason: str, grace: float | None = None
    ) -> None:
        """End a task in the way its phase requires."""
        assert_held(self._table.lock)
        if task.phase is Phase.QUEUED:
            if request is StopRequest.STOP:
                self._pool.cancel(task.id)
                self._queueing.dequeued_locked(tx, (task.id,), reason)
        elif task.phase is Phase.WAITING:
            self._exits.end_waiting_locked(tx, task, request, reason)
        elif task.phase.launching or task.phase is Phase.RUNNING:
            # A requested stop overrides a requeue.
            if task.stop_request is StopRequest.RESTART and request is StopRequest.STOP:
                requester, task.requester = task.requester, NOBODY
                requester.refuse(tx, CLOSING if self._table.closing else STOPPED)
            if task.stop_request is not StopRequest.STOP:
                task.stop_request = request
            task.end_reason = task.end_reason or reason
            if task.record is not None and reason != "shutdown":
                self._recorder.called_off(task.record)
            self._pool.mark_leaving(task.id)
            if (worker := task.live_worker) is not None:
                tx.stop(worker, grace)
            elif grace not in task.graces:
                task.graces.append(grace)  # the thread that starts it will stop it

    def time_out(self, task_id: str) -> None:
        """Called when the current run of a task may have exceeded its timeout."""
        with standstill, self._table.lock:  # a program that takes over has its tasks only when it goes on
            worker = self._overdue_locked(task_id)
        # A run that ended in time, with output still to deliver, has not timed out.
        if worker is None or not lives(worker):
            return
        with self._table.begin() as tx:
            if self._overdue_locked(task_id) is worker:
                task = self._table.find(task_id)
                task.end_reason = "timeout"
                self._metrics.count("timeouts", task.action)
                tx.stop(worker)

    def _overdue_locked(self, task_id: str) -> Worker | None:
        assert_held(self._table.lock)
        task = self._table.get(task_id)
        if task is None or task.phase is not Phase.RUNNING or task.end_reason:
            return None
        if task.timeout is None or task.timeout.when > time.monotonic():  # of an earlier run or task
            return None
        return task.worker

    def stop_all(self) -> bool:
        """Empty the queues, stop every task, and wait; returns whether all were gone in time. Idempotent.

        The table is already closing.
        """
        with self._table.begin() as tx:
            self._queueing.dequeued_locked(tx, self._pool.drain(), "shutdown")
            budget = self._budget_locked()
        began = time.monotonic()
        asked = self._stop_in_order(began + budget - _IN_ORDER_S)
        with self._table.begin() as tx:
            for task in self._in_use_locked():
                if task not in asked:
                    self.stop_locked(tx, task, StopRequest.STOP, "shutdown")
        left = began + budget + _KILL_S - time.monotonic()
        with self._table.lock:
            self._table.freed.wait_for(lambda: self._table.skip_graces or self._idle_locked(), left)
            if self._idle_locked():
                return True
        # Those left now wait for a client that does not read, or cannot be ended.
        self._kill()
        for client in self._clients:
            if client.outbox.full:
                why = "not read from while the server shuts down"
                client.outbox.close(CloseCode.TRY_AGAIN_LATER, why, drop=True)
        return self.wait_until_idle(_LAST_S)

    def _stop_in_order(self, until: float) -> set[Task]:
        """Stop each task once those that depend on it are over, until a moment (monotonic); returns those
        stopped."""
        asked: set[Task] = set()
        while True:
            with self._table.begin() as tx:
                in_use = self._in_use_locked()
                needed = {name for task in in_use for name in task.depends_on}
                for task in in_use:
                    if task.id not in needed and task not in asked:
                        self.stop_locked(tx, task, StopRequest.STOP, "shutdown")
                        asked.add(task)
            if asked.issuperset(in_use) or not self._one_ends(len(in_use), until):
                return asked

    def _one_ends(self, in_use: int, until: float) -> bool:
        """Wait until fewer tasks are in use than these; False on a timeout, or if graces are skipped."""
        with self._table.lock:
            self._table.freed.wait_for(
                lambda: self._table.skip_graces or self._table.in_use < in_use,
                max(0.0, until - time.monotonic()),
            )
            return self._table.in_use < in_use and not self._table.skip_graces

    def _in_use_locked(self) -> list[Task]:
        assert_held(self._table.lock)
        return [task for task in self._table if task.phase.in_use]

    def _budget_locked(self) -> float:
        """How long all stops together may take, in seconds."""
        assert_held(self._table.lock)
        tasks = self._in_use_locked() + self._failed_starts.tasks_locked()
        longest = max((task.terms.definition.config.stop_grace for task in tasks), default=0.0)
        in_order = any(task.depends_on for task in self._table)
        return self._current.value.config.shutdown_timeout or longest + (_IN_ORDER_S if in_order else 0.0)

    def skip_graces(self) -> None:
        """End the wait of :meth:`stop_all`; stops that begin later have no grace."""
        with self._table.lock:
            self._table.skip_graces = True
            self._table.freed.wake()

    def _kill(self) -> None:
        self.skip_graces()  # includes runs still being started
        with self._table.begin() as tx:
            live = filter(None, [task.live_worker for task in self._in_use_locked()])
            for worker in (*live, *self._failed_starts.workers_locked()):
                tx.stop(worker, 0.0)

    def wait_until_idle(self, timeout: float | None = None) -> bool:
        """Wait until no id is in use and nothing runs; False after ``timeout`` seconds."""
        with self._table.lock:
            return self._table.freed.wait_for(self._idle_locked, timeout)

    def _idle_locked(self) -> bool:
        assert_held(self._table.lock)
        return not self._table.in_use and not self._failed_starts.workers_locked()

    @property
    def budget(self) -> float:
        """How long a shutdown may take, in seconds."""
        with self._table.lock:
            return self._budget_locked()
