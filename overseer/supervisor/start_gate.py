"""The start gate of a run: ``started`` is its first message, ``exited`` its last."""

from __future__ import annotations

import logging
import operator
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from overseer.supervisor.task import Task
from overseer.util.latch import Latch
from overseer.workers.base import OutputBatch, RunContext, Worker, WorkerCallbacks

_log = logging.getLogger(__name__)

_LARGEST_CODE = 2**63 - 1
_ASK_AGAIN_S = 0.1  # for how a line stands, while started has not been sent


@dataclass(frozen=True, slots=True)
class RunExit:
    """How a run ended, as its driver says, checked: telling clients of it cannot fail."""

    exit_code: int
    intentional: bool
    signal: str
    at: datetime


class StartGate:
    """Holds back what a run says until its ``started`` has been sent; made on the thread that launches it.

    Args:
        task: whose run it is.
        run: the run's number.
        exited: called with both at the run's end.
        orphaned: called with a worker that began, or (True) that ended, although its start has failed.
    """

    def __init__(
        self,
        task: Task,
        run: int,
        exited: Callable[[Task, int, RunExit], None],
        orphaned: Callable[[Task, Worker, bool], None],
    ) -> None:
        self._task = task
        self._run = run
        self._exited = exited
        self._orphaned = orphaned
        self._pid = 0
        self._settled = Latch()  # start() is over, and _failed says how
        self._failed = False
        self._lines = _Lines(self)
        self._late = False  # its driver handed on output after the end; logged once
        self._launcher = threading.get_ident()
        self._early: list[OutputBatch | RunExit] = []

    def for_driver(self, context: RunContext) -> WorkerCallbacks:
        return WorkerCallbacks(self._lines, self.log_event, self.on_exited, context)

    def announced(self, pid: int) -> None:
        """Open: ``started`` is on its way. Called on the launching thread."""
        self._pid = pid
        for said in self._early:  # before what other threads say, which wait
            try:
                self._pass(said)
            except Exception:  # the driver that made the call cannot be told any more
                _log.exception("task %s: what its driver said from within start() is lost", self._task.id)
        self._early.clear()
        self._settled.set()
        self._lines.open = True

    def failed(self) -> None:
        """There was no start: what its worker says, should there be one, is dropped."""
        self._failed = True
        self._settled.set()

    def begun(self, worker: Worker) -> None:
        """A worker has begun: perhaps on a thread that ``start`` did not wait for."""
        if self._failed:
            self._orphaned(self._task, worker, False)

    def on_output(self, batch: OutputBatch) -> None:
        self._in_order(batch)

    def unfinished(self, stream: str, line: bytes) -> float | None:
        if not self._settled.is_set():
            return _ASK_AGAIN_S
        if self._failed:
            return None
        return self._task.stream.publish_unfinished(stream, line, self._pid, self._run)

    def log_event(self, text: str) -> None:
        _log.info("task %s: %s", self._task.id, text)

    def on_exited(self, worker: Worker, exit_code: int, intentional: bool, at: datetime) -> None:
        # Here, where a driver's mistake is still the driver's.
        code = int(operator.index(exit_code))
        if abs(code) > _LARGEST_CODE:
            raise ValueError("an exit code of more than 64 bits")
        end = RunExit(code, bool(intentional), _signal_of(worker) if code == -1 else "", at.astimezone(UTC))
        self._in_order(end)
        if self._failed:
            self._orphaned(self._task, worker, True)

    def _pass(self, said: OutputBatch | RunExit) -> None:
        if isinstance(said, RunExit):
            self._exited(self._task, self._run, said)
        else:
            self.output(said)

    def output(self, batch: OutputBatch) -> None:
        """What comes once it is open."""
        if not self._task.stream.publish_output(batch, self._pid, self._run) and not self._late:
            self._late = True
            _log.warning("task %s: its driver hands on output after on_exited; it is dropped", self._task.id)

    def _in_order(self, said: OutputBatch | RunExit) -> None:
        # A driver may call back from within start(), on the launching thread, which must not wait for itself.
        if not self._settled.is_set():
            if threading.get_ident() == self._launcher:
                self._early.append(said)
                return
            self._settled.wait()
        if not self._failed:
            self._pass(said)


class _Lines:
    """The ``on_output`` of a run. A wrapper, which filters or changes lines, hides ``unfinished``: what it
    would not let through must not be seen before it is a line.
    """

    def __init__(self, gate: StartGate) -> None:
        self._gate = gate
        self.unfinished = gate.unfinished  # takes a stream and how its last line stands, without an end
        self.open = False  # ``started`` has been sent, so nothing is held back any more

    def __call__(self, batch: OutputBatch) -> None:
        if self.open:
            self._gate.output(batch)
        else:
            self._gate.on_output(batch)


def _signal_of(worker: Worker) -> str:
    """The signal that ended it; a driver's own worker may know of none, or be of any make."""
    try:
        signal: object = worker.signal
    except Exception:
        _log.exception("task %s: the driver failed to say which signal ended its worker", worker.task_id)
        return ""
    return signal if isinstance(signal, str) else ""
