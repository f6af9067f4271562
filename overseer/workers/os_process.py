"""A worker that is an OS process, the leader of a process group.

One thread reads its pipes (``process.pipe``), and notices the leader's exit itself. When nothing more can be
read, it finishes the run::

    wait for the leader's death
    wait for a stop under way: it signals the group by number, which is safe until the leader is reaped
    reap; find and end what is left in the group (rare)
    on_exited

Stops run concurrently (``stopping``). If one has ended everything and the reader does not end soon, most
likely because of a client that takes nothing, the stop finishes the run without it.
"""

from __future__ import annotations

import logging
import os
import select
import threading
from collections.abc import Mapping
from functools import partial
from typing import Any

from overseer.errors import SpawnError
from overseer.process import cgroup
from overseer.process.guardian import guardian
from overseer.process.input import TaskInput
from overseer.process.lines import Lines
from overseer.process.output_values import MOST, OUTPUT_VARIABLE, values_in
from overseer.process.pipe import DRAIN_MAX_S, Pipe, PipeReader
from overseer.process.private_files import PrivateFiles
from overseer.process.raw import MaskedRaw
from overseer.process.registry import Entry, registry
from overseer.process.spawn import Child
from overseer.process.terminal_lines import drawn
from overseer.process.usage import usage_meter
from overseer.util.handover_format import Incoming, Outgoing
from overseer.util.hung_threads import Replaced, replaceable
from overseer.util.latch import Latch
from overseer.util.masking import masked
from overseer.util.standstill import standstill
from overseer.util.threads import start_thread
from overseer.util.timestamps import now, parse_timestamp
from overseer.workers.base import Exit, OutputBatch, RunContext, Worker, WorkerCallbacks
from overseer.workers.stopping import LOST, Outcome, Processes
from overseer.workers.surroundings import Surroundings

_log = logging.getLogger(__name__)

_READ_OUT_S = DRAIN_MAX_S + 1.0  # for reading and delivering the rest after a stop has ended everything

# For which a run's thread leaves the processor to the one that announces the run; bounded, since a driver may
# wait for output before its start returns.
_AFTER_STARTED_S = 0.005


class OSWorker(Worker):
    """See the module. Created by :func:`~overseer.workers.starting.start_worker`."""

    hides_secrets = True

    def __init__(
        self,
        task_id: str,
        child: Child,
        entry: Entry,
        run: RunContext,
        callbacks: WorkerCallbacks,
        files: PrivateFiles | None,
        stdin: TaskInput | None,
        shown: bool,
    ) -> None:
        super().__init__(task_id, child.pid, callbacks)
        self._input = stdin
        self._on_terminal = stdin is not None and stdin.terminal
        self._shown = shown  # False: the terminal is read, but its lines are not wanted
        # A driver's own on_output has no ``unfinished``; without one, output passes only our code.
        self._ours = hasattr(callbacks.on_output, "unfinished")
        if stdin is not None:
            self.stdin = "pty" if stdin.terminal else "pipe"
        self._pidfd = child.pidfd  # closed when the run is finished and the reader has ended
        self._entry = entry
        self._run = run
        self._files = files  # removed with the run
        self._reader = PipeReader([self._pipe(*each) for each in child.pipes.items()], child.pidfd)
        self._reading = True  # the reader's thread has not ended
        self._read_out = Latch()  # all output is delivered
        self._finishing = False  # by the reader, or by a stop that gave up on it
        self._finished = False
        self._outcome: Outcome | None = None  # once its process has been reaped
        self._processes = Processes(
            task_id, child.pid, child.pidfd, entry, self._lock, self._event, self._all_ended
        )

    # Reading

    def begin(self) -> None:
        """Start the thread that reads.

        Raises:
            SpawnError: the system allows no more threads; the process has been killed.
        """
        try:
            start_thread(self._read, f"run-{self.task_id}")
        except RuntimeError as error:
            self._disown()
            raise SpawnError(f"cannot start a task: {error}") from error

    def _disown(self) -> None:
        """Kill a worker that failed to start, without a callback."""
        self._callbacks = WorkerCallbacks(lambda _: None, lambda _: None, lambda *_: None)
        self._processes.kill()
        self._reader_done()

    def _pipe(self, stream: str, fd: int) -> Pipe:
        # A driver's own on_output lacks them: see WorkerCallbacks.
        seen = self._callbacks.on_output if self._shown else None
        unfinished = getattr(seen, "unfinished", None)
        show = partial(unfinished, stream) if unfinished is not None else None
        raw = getattr(seen, "raw", None) if self._on_terminal else None
        if raw is not None and (mask := self._run.secrets.mask) is not None:
            raw = MaskedRaw(mask, raw)
        return Pipe(fd, self._run.splitter(), self._deliver, show, raw, stream, self._run.max_read)

    def _read(self) -> None:
        """Read all there is: from the beginning, or from where a thread stopped that hangs."""
        if self._run.announced is not None:
            self._run.announced.wait(_AFTER_STARTED_S)
        try:
            # A thread that is within a driver's own code, which may hold anything, is not replaced.
            with replaceable(self._read if self._ours else None):
                self._reader.run()
        except Replaced:
            return
        except BaseException:
            _log.exception("task %s: reading its output failed", self.task_id)
        self._reader_done()

    def _deliver(self, stream: str, groups: list[Lines]) -> None:
        if self._finishing or not self._shown:
            return  # without it
        at = now()
        while groups:
            lines, mark = groups.pop(0)
            if self._on_terminal:
                lines = drawn(lines)
            batch = OutputBatch(stream, at, lines)
            if mark:
                batch = OutputBatch(stream, at, lines, mark == "truncated", mark == "overwritten")
            batch.split = self._ours  # a driver may change lines where they are
            self.pass_on(batch)

    def _reader_done(self) -> None:
        self._reader.close()
        with self._lock:
            self._reading = False
            last = not self._finishing
            left_to_us = self._finished
            self._finishing = True
        if left_to_us:
            os.close(self._pidfd)
        if last:
            self._read_out.set()
            try:
                self._finish()
            except BaseException:
                _log.exception("task %s: the end of its process failed", self.task_id)

    # The end

    def _finish(self) -> None:
        """Called when all output is delivered; the leader may still live, with its pipes closed.

        Whatever fails, the end is announced: nothing else would do so, and the run would never be over.
        """
        try:
            if self._outcome is None:
                if not self._reader.dead_at:
                    poll = select.poll()
                    poll.register(self._pidfd, select.POLLIN)
                    poll.poll()
                self._processes.wait_for_stops(self._reader.dead_at)
                with standstill:  # only this process knows how it ended, once it is reaped
                    self._outcome = self._processes.reap()
            if self._outcome.survivors:
                self._processes.end_survivors()
            with standstill:  # what was measured is forgotten there
                if self.cpu is None and self._processes.rusage is not None:
                    self.cpu, self.max_rss = usage_meter.end(self._entry.run, self._processes.rusage)
        except BaseException:
            _log.exception("task %s: ending what its process left behind failed", self.task_id)
        outcome = self._outcome or LOST
        while True:
            with standstill:
                with self._lock:
                    stopping, intentional = self._processes.stopping_locked, self._intentional
                    end = None if stopping else self._exited_locked(outcome.code, outcome.signal)
                if end is not None:
                    self._tell_end(end, intentional)
                    return
            self._processes.wait_for_stops()

    def _tell_end(self, end: Exit, intentional: bool) -> None:
        """Give back what the run had, and announce its end."""
        try:
            with self._lock:
                self._finished = True
                unused = not self._reading
            if unused:
                os.close(self._pidfd)
            if self._input is not None:
                self._input.close()
            registry.leave(self._entry)
            guardian.forget(self._entry.run)
            if self._entry.cgroup:
                self.ran_out_of_memory = cgroup.ran_out_of_memory(self._entry.cgroup)
                cgroup.remove(self._entry.cgroup)
            if self._files is not None:
                if self._run.hands_on:
                    self.values = self._handed_on(self._files)
                self._files.remove()
        finally:
            self._announce(end, intentional)

    def _handed_on(self, files: PrivateFiles) -> Mapping[str, str]:
        try:
            data = files.tail(OUTPUT_VARIABLE, MOST + 1)
        except OSError as error:
            self._event(f"{OUTPUT_VARIABLE} cannot be read: {error.strerror}")
            return {}
        return {name: masked(value, self._run.secrets) for name, value in values_in(data).items()}

    @property
    def lives(self) -> bool:
        with self._lock:  # an exit is recorded under it, before the pidfd is closed
            return self._exit is None and self._processes.leader_lives_locked

    def stop(self, grace: float | None = None) -> None:
        alone = self._processes.leader_is_alone()
        with self._lock:
            if self._exit is not None:
                return
            self._intentional = True
            further = self._processes.stop_locked(grace, alone)
        if further is not None:
            further()

    def send_signal(self, number: int) -> bool:
        return self._processes.send_signal(number)

    def give_input(self, data: bytes, *, eof: bool = False) -> None:
        if self._input is None:
            super().give_input(data, eof=eof)
        else:
            self._input.put(data, eof=eof)

    def resize(self, rows: int, cols: int) -> bool:
        if self._input is None or not self._input.terminal:
            return super().resize(rows, cols)
        return self._input.resize(rows, cols)

    def resume(self) -> None:
        """Go on with a run that another program has handed over.

        Raises:
            OSError: out of memory or epoll watches.
            RuntimeError: the system allows no more threads.
        """
        if self._input is not None:
            self._input.begin()
        if self._reading:
            start_thread(self._read, f"run-{self.task_id}")
        else:
            self._read_out.set()
            start_thread(self._finish, f"run-{self.task_id}")
        self._processes.resume()

    @property
    def writing(self) -> threading.Lock | None:
        """While it is held, nothing is written to its input; None: it takes none."""
        return None if self._input is None else self._input.writing

    def export(self, out: Outgoing) -> dict[str, Any]:
        """What another program has to know to go on with a run that is not over; at a standstill, with the
        lock of ``writing``. Its process stays the server's child, and its pipes keep their descriptors."""
        with self._lock:
            said = {
                "pid": self.pid,
                "started_at": self.started_at.isoformat(),
                "intentional": self._intentional,
                "reading": self._reading,
                "outcome": self._outcome,
                "cpu": self.cpu,
                "max_rss": self.max_rss,
                "shown": self._shown,
            }
        return {
            **said,
            "pidfd": out.fd(self._pidfd),
            "streams": self._reader.streams,
            "entry": self._entry.export(),
            "reader": self._reader.export(out),
            "processes": self._processes.export(),
            "input": self._input and self._input.export_locked(out),
            "files": self._files and self._files.export(out),
            "surroundings": self.surroundings and self.surroundings.export(),
            "run": self._run.export(),
        }

    @classmethod
    def restored(
        cls, task_id: str, data: Mapping[str, Any], callbacks: WorkerCallbacks, given: Incoming
    ) -> OSWorker:
        """The run that another program has exported, which goes on with :meth:`resume`."""
        assert callbacks.run is not None
        entry = Entry.restored(data["entry"])
        fds = [given.fd(said["fd"]) for said in data["reader"]["pipes"]]
        stdin = data["input"] and TaskInput.restored(data["input"], given)
        files = data["files"] and PrivateFiles.restored(data["files"], given)
        pipes = dict(zip(data["streams"], fds, strict=True))
        child = Child(data["pid"], given.fd(data["pidfd"]), pipes)
        worker = cls(task_id, child, entry, callbacks.run, callbacks, files, stdin, data["shown"])
        worker.started_at = parse_timestamp(data["started_at"])
        worker._intentional, worker._reading = data["intentional"], data["reading"]
        worker._finishing = not worker._reading
        worker._outcome = data["outcome"] and Outcome(*data["outcome"])
        worker.cpu, worker.max_rss = data["cpu"], data["max_rss"]
        worker.surroundings = data["surroundings"] and Surroundings.restored(data["surroundings"])
        worker._reader.restore(data["reader"], given)
        worker._processes.restore(data["processes"])
        registry.enter(entry)
        registry.spawned(entry, entry.pid, entry.pipes)
        return worker

    def _all_ended(self) -> None:
        """Called when a stop has ended everything."""
        if self._read_out.wait(_READ_OUT_S):
            return
        with self._lock:
            if self._finishing:
                return
            self._finishing = True
        self._event("the rest of its output is dropped: it was not taken in time")
        try:
            self._finish()
        except BaseException:
            _log.exception("task %s: the end of its process failed", self.task_id)
