"""What a driver is given for one run, so that ``started`` comes before everything else of it."""

from __future__ import annotations

import logging
import operator
import threading
from collections.abc import Callable
from datetime import UTC, datetime

from overseer.task import Task
from overseer.worker import OutputBatch, Worker, WorkerCallbacks

__all__ = ["Callbacks"]

_log = logging.getLogger(__name__)


class Callbacks:
    """Holds back what a run says until its ``started`` has been sent; made on the thread that launches it.

    Args:
        task: whose run it is.
        exited: called at the run's end with its exit code, whether that was intentional, and the moment.
    """

    def __init__(self, task: Task, exited: Callable[[int, bool, datetime], None]) -> None:
        self._task = task
        self._exited = exited
        self._pid = 0
        self._settled = threading.Event()  # start() is over, for better or worse
        self._failed = False
        self._launcher = threading.get_ident()
        self._early: list[Callable[[], None]] = []

    def for_driver(self) -> WorkerCallbacks:
        return WorkerCallbacks(self.on_output, self.log_event, self.on_exited)

    def announced(self, pid: int) -> None:
        """``started`` is on its way; let everything else follow. Called on the launching thread."""
        self._pid = pid
        for call in self._early:  # before what other threads say, which wait
            try:
                call()
            except Exception:  # the driver that made the call cannot be told any more
                _log.exception("task %s: what its driver said from within start() is lost", self._task.id)
        self._early.clear()
        self._settled.set()

    def failed(self) -> None:
        """There was no start: what a worker says that was started nevertheless is dropped."""
        self._failed = True
        self._settled.set()

    def on_output(self, batch: OutputBatch) -> None:
        self._in_order(lambda: self._task.stream.publish_output(batch, self._pid))

    def log_event(self, text: str) -> None:
        _log.info("task %s: %s", self._task.id, text)

    def on_exited(self, worker: Worker, exit_code: int, intentional: bool, at: datetime) -> None:
        # Here, where a driver's mistake is still the driver's.
        code, moment = int(operator.index(exit_code)), at.astimezone(UTC)
        self._in_order(lambda: self._exited(code, intentional, moment))

    def _in_order(self, call: Callable[[], None]) -> None:
        # A driver may call back from within start(), on the launching thread, which must not wait for itself.
        if not self._settled.is_set():
            if threading.get_ident() == self._launcher:
                self._early.append(call)
                return
            self._settled.wait()
        if not self._failed:
            call()
