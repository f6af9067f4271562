"""The start gate of a run: ``started`` is its first message, ``exited`` its last."""

from __future__ import annotations

import logging
import operator
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from overseer.supervisor.phases import RunExit
from overseer.supervisor.probing import RunWatch
from overseer.supervisor.task import Task
from overseer.util.latch import Latch
from overseer.util.masking import Mask, Masker, Secrets, masked
from overseer.workers.base import OutputBatch, RunContext, Worker, WorkerCallbacks

_log = logging.getLogger(__name__)

_LARGEST_CODE = 2**63 - 1
_ASK_AGAIN_S = 0.1  # until the unfinished line is offered again, while started has not been sent


class StartGate:
    """Holds back a run's callbacks until its ``started`` has been sent; created on the launching thread.

    Args:
        task: whose latest run it is.
        secrets: masked in everything said about it.
        exited: called with task, run and exit at the run's end.
        left_over: called with a worker that began, or (True) that ended, although its start has failed.
    """

    def __init__(
        self,
        task: Task,
        secrets: Secrets,
        exited: Callable[[Task, int, RunExit], None],
        left_over: Callable[[Task, Worker, bool], None],
    ) -> None:
        self._task = task
        self._run = task.runs
        self._secrets = secrets
        self._exited = exited
        self._left_over = left_over
        self._pid = 0
        self._mask: Mask | None = None  # for secrets that its worker leaves in its output
        self._settled = Latch()  # start() has returned; _failed tells how
        self._failed = False
        self._lines = _Lines(self, task)
        self._late = False  # its driver sent output after the end; logged once
        self.watch: RunWatch | None = None  # what looks at the run, if anything does; set before the start
        self._read_by_watch = False  # it wants to see lines
        self._launcher = threading.get_ident()
        self._early: list[OutputBatch | RunExit] = []

    def for_driver(self, context: RunContext) -> WorkerCallbacks:
        return WorkerCallbacks(self._lines, self.log_event, self.on_exited, context)

    def announced(self, pid: int, worker: Worker, *, reads: bool = True) -> None:
        """Open: ``started`` is on its way, or was sent by an earlier program. Called on the launching thread.

        Args:
            reads: what looks at the run may still want to see lines.
        """
        self._pid = self._lines.pid = pid
        if not worker.hides_secrets:
            self._mask = self._secrets.mask
        self._read_by_watch = reads and self.watch is not None and self.watch.reads
        for said in self._early:  # before the other threads, which wait
            try:
                self._pass(said)
            except Exception:  # the driver's call has long returned
                _log.exception("task %s: what its driver said from within start() is lost", self._task.id)
        self._early.clear()
        self._settled.set()
        self._lines.open = self._mask is None and not self._read_by_watch

    def failed(self) -> None:
        """The start failed: callbacks of a worker, if there is one, are dropped."""
        self._failed = True
        self._settled.set()
        if self.watch is not None:
            self.watch.end()

    def begun(self, worker: Worker) -> None:
        """Called when a worker has begun, possibly on a thread that ``start`` did not wait for."""
        if self._failed:
            self._left_over(self._task, worker, False)

    def unfinished(self, stream: str, line: bytes) -> float | None:
        if not self._settled.is_set():
            return _ASK_AGAIN_S
        if self._failed:
            return None
        if self._mask is not None:
            line = Masker(self._mask).feed(line)
        if self._read_by_watch and line:
            self._read([line.decode("utf-8", "replace")])
        return self._task.stream.publish_unfinished(stream, line, self._pid, self._run)

    def raw(self, data: bytes) -> None:
        """Called with a terminal's raw output, on the worker's threads."""
        self._settled.wait()
        if not self._failed:
            self._task.stream.publish_raw(data, self._pid, self._run)

    def log_event(self, text: str) -> None:
        _log.info("task %s: %s", self._task.id, masked(text, self._secrets))

    def on_exited(self, worker: Worker, exit_code: int, intentional: bool, at: datetime) -> None:
        # Checked here, where the exception still reaches the driver.
        code = int(operator.index(exit_code))
        if abs(code) > _LARGEST_CODE:
            raise ValueError("an exit code of more than 64 bits")
        said = _said(worker)
        signal = _text(said["signal"]) if code == -1 else ""
        starved = code != 0 and said["ran_out_of_memory"] is True
        cpu, memory = _figure(said["cpu"]), _figure(said["max_rss"])
        cpu_ms = None if cpu is None else int(cpu * 1000)
        max_rss = None if memory is None else int(memory)
        known = starved, cpu_ms, max_rss, _values(said["values"]), _text(said["lost"])
        self.in_order(RunExit(code, bool(intentional), signal, at.astimezone(UTC), *known))
        if self._failed:
            self._left_over(self._task, worker, True)

    def _pass(self, said: OutputBatch | RunExit) -> None:
        if isinstance(said, RunExit):
            if self.watch is not None:
                self.watch.end()
            self._exited(self._task, self._run, said)
            return
        if self._mask is not None:
            said = replace(said, lines=[_without(self._mask, line) for line in said.lines])
        if self._read_by_watch:  # first, since whoever is sent a line may keep it waiting
            self._read(said.lines)
        if not self._task.stream.publish_output(said, self._pid, self._run):
            self.late()

    def _read(self, lines: list[str]) -> None:
        """Show lines to what looks at the run, until that has seen what it wants to see."""
        assert self.watch is not None
        if any(map(self.watch.line, lines)):
            self._read_by_watch = False
            self._lines.open = self._mask is None

    def late(self) -> None:
        """Its driver has sent output after the end."""
        if not self._late:
            self._late = True
            _log.warning("task %s: its driver sends output after on_exited; it is dropped", self._task.id)

    def in_order(self, said: OutputBatch | RunExit) -> None:
        """Pass it on once ``started`` has been sent."""
        # A driver may call back from within start(), on the launching thread, which cannot wait for itself.
        if not self._settled.is_set():
            if threading.get_ident() == self._launcher:
                self._early.append(said)
                return
            self._settled.wait()
        if not self._failed:
            self._pass(said)


class _Lines:
    """The ``on_output`` of a run. A driver's wrapper, which filters or changes lines, lacks ``unfinished``
    and ``raw``, so what it filters cannot be seen unfinished or raw.
    """

    def __init__(self, gate: StartGate, task: Task) -> None:
        self._gate = gate
        self._stream = task.stream
        self._run = task.runs
        self.pid = 0
        self.raw = gate.raw  # takes a terminal's raw output
        self.unfinished = gate.unfinished  # takes a stream and its unfinished line
        self.open = False  # ``started`` has been sent

    def __call__(self, batch: OutputBatch) -> None:
        if not self.open:
            self._gate.in_order(batch)
        elif not self._stream.publish_output(batch, self.pid, self._run):
            self._gate.late()


def _said(worker: Worker) -> dict[str, object]:
    """What a worker says of its run; None for what a driver's own lacks, or raises at."""
    said: dict[str, object] = {}
    for name in ("signal", "ran_out_of_memory", "cpu", "max_rss", "values", "lost"):
        try:
            said[name] = getattr(worker, name, None)
        except Exception:
            _log.exception("task %s: the driver failed to say the %s of its worker", worker.task_id, name)
            said[name] = None
    return said


def _figure(said: object) -> float | None:
    """A figure of the worker's usage."""
    return said if isinstance(said, int | float) and 0 <= said < _LARGEST_CODE else None


def _values(said: object) -> Mapping[str, str]:
    """What its run hands on."""
    if said is Worker.values or not isinstance(said, Mapping):  # most hand on nothing
        return {}
    return {name: value for name, value in said.items() if isinstance(value, str)}


def _without(mask: Mask, line: str) -> str:
    masker = Masker(mask)
    data = line.encode("utf-8", "surrogatepass")
    return (masker.feed(data) + masker.flush()).decode("utf-8", "surrogatepass")


def _text(said: object) -> str:
    return said if isinstance(said, str) else ""
