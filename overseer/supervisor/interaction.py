"""Interaction with running tasks: signals, input, terminal sizes.

The worker may be a driver's own and slow, so it is called with no lock held.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable

from overseer.drivers.api import driver_failure
from overseer.errors import NotRunningError, OverseerError, RequestError
from overseer.protocol import Event, InputAccepted, Resized, Signaled
from overseer.supervisor.metrics import Metrics
from overseer.supervisor.phases import Phase
from overseer.supervisor.table import TaskTable
from overseer.supervisor.task import Requester
from overseer.workers.base import Worker

_log = logging.getLogger(__name__)


class Interaction:
    """Passes on to workers what clients send to running tasks.

    Each method raises RequestError if the task does not exist or is not running, or its worker refuses.
    """

    def __init__(self, table: TaskTable, metrics: Metrics) -> None:
        self._table = table
        self._metrics = metrics

    def signal(self, task_id: str, name: str, requester: Requester) -> None:
        """Send a signal to the current run of a task."""
        number = int(name) if name.isdigit() else signal.Signals[name]
        reply = Signaled(id=requester.request_id, task_id=task_id, signal=name)
        self._reach(task_id, lambda worker, _: worker.send_signal(number), reply, requester)

    def give_input(self, task_id: str, data: bytes, eof: bool, requester: Requester) -> None:
        """Queue input for the current run of a task, all or nothing."""

        def give(worker: Worker, action: str) -> bool:
            try:
                worker.give_input(data, eof=eof)
            except OverseerError:
                self._metrics.count("inputs_refused", action)
                raise
            self._metrics.count("input_bytes", action, len(data))
            return True

        reply = InputAccepted(id=requester.request_id, task_id=task_id, bytes=len(data))
        self._reach(task_id, give, reply, requester)

    def resize(self, task_id: str, rows: int, cols: int, requester: Requester) -> None:
        """Change the size of the current run's terminal."""
        reply = Resized(id=requester.request_id, task_id=task_id, rows=rows, cols=cols)
        self._reach(task_id, lambda worker, _: worker.resize(rows, cols), reply, requester)

    def _reach(
        self, task_id: str, act: Callable[[Worker, str], bool], reply: Event, requester: Requester
    ) -> None:
        """Call ``act`` with the worker and the action; it returns False if the run is over after all."""
        with self._table.begin(requester):
            task = self._table.find(task_id, requester.principal)
            if task.phase is not Phase.RUNNING or task.worker is None:
                raise NotRunningError
            worker = task.worker
        problem, code = "", "conflict"
        try:
            if not act(worker, task.action):
                raise NotRunningError
        except BaseException as error:  # from a driver's own worker
            problem = driver_failure(error)
            code = getattr(error, "code", code)
            if not isinstance(error, OverseerError):
                _log.exception("task %s: the driver failed to hand on a %s", task_id, reply.type)
                problem = f"the driver failed: {problem}"
        with self._table.begin(requester) as tx:
            if problem:
                raise RequestError(problem, code=code)
            requester.tell(tx, reply)
