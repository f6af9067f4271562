"""A worker that is an OS process, the leader of a process group.

One thread reads each pipe (``process.pipe``). Each learns of the leader's exit itself and soon ends.
The last of them finishes the run::

    wait for the leader's death
    wait for a stop that is under way: it signals the group by its number, which is the group's own as long as
      the leader is not reaped
    reap; does the group have members still?  (hardly ever)  find and end them
    on_exited

A stop of a leader that is alone sends its signal and leaves the rest to the reader that finishes. Where
there is more to end, or the end does not come promptly, it has a thread of its own beside all this, so that
a callback that blocks cannot hold it up; the run is over only when that thread is done too. When a reader
does not come to an end soon after that, most likely for a client that takes nothing, the stop finishes the
run without it.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from overseer.errors import OverseerError, SpawnError
from overseer.process import (
    RUN_VARIABLE,
    SERVER_VARIABLE,
    Child,
    Ending,
    Entry,
    Process,
    StopPolicy,
    Tree,
    guardian,
    registry,
    signal_name,
    spawn,
)
from overseer.process.lines import Lines, LineSplitter
from overseer.process.pipe import DRAIN_MAX_S, PipeReader
from overseer.util.threads import run_on_thread, start_thread
from overseer.util.timers import Timer, Timers
from overseer.util.timestamps import now
from overseer.util.wakeup import Wakeup
from overseer.workers.base import OutputBatch, RunContext, Worker, WorkerCallbacks

_log = logging.getLogger(__name__)

overdue = Timers("stops")
"""Stops that get a thread unless they are over soon. Starts with the first; a server starts it in advance."""

_PROMPT_S = 0.2  # what has not ended by then after its signal gets a thread that sees to it
_READ_OUT_S = DRAIN_MAX_S + 1.0  # for what is still to be read and delivered when a stop has ended everything


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """An OS process to run.

    It ignores the signals that this program ignores, by the rules of exec; not those with a handler that does
    nothing, which is what the daemon makes of them.

    Attributes:
        command: found through PATH unless it has a slash; no shell is involved.
        args: not including the command itself.
        include_stdout, include_stderr: a stream that is not included goes to /dev/null.
        merge: stderr goes where stdout goes, so that their lines keep their order; all are of stdout then.
        env: added to the server's environment.
        cwd: None for the server's.
        stop: None for the run's own (:class:`RunContext`).
    """

    task_id: str
    command: str
    args: Sequence[str] = ()
    include_stdout: bool = True
    include_stderr: bool = True
    env: Mapping[str, str] | None = None
    cwd: str | None = None
    stop: StopPolicy | None = None
    merge: bool = False


def start_worker(config: WorkerConfig, callbacks: WorkerCallbacks) -> Worker:
    """Start an OS process; its output may be reported before this returns.

    Raises:
        SpawnError: it cannot be started, with one sentence that says why.
    """
    run = callbacks.run or RunContext(config.task_id)
    policy = config.stop if config.stop is not None else run.stop
    streams = [
        stream
        for stream, included in (
            ("stdout", config.include_stdout),
            ("stderr", config.include_stderr and not config.merge),
        )
        if included
    ]
    markers = {
        "OVERSEER_TASK_ID": config.task_id,
        RUN_VARIABLE: run.run_id,
        SERVER_VARIABLE: registry.server_id,
    }
    environment = {**(config.env or {}), **markers}
    entry = Entry(run.run_id, policy)
    registry.enter(entry)
    guardian.entered(entry)
    try:
        child = spawn(
            config.command,
            config.args,
            env=environment,
            cwd=config.cwd,
            streams=streams,
            merge=config.merge,
        )
    except BaseException:
        registry.leave(entry)
        guardian.left(entry)
        raise
    registry.spawned(entry, child.pid, child.links())
    guardian.spawned(entry)
    worker = OSWorker(config.task_id, child, entry, run.max_line, callbacks)
    worker.begin()
    worker._begun()
    return worker


class _Stop:
    """A stop under way; guarded by the worker's lock."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.timer: Timer | None = None  # for a thread, of which there has been no need so far
        self.done = threading.Event()
        self.wake: Wakeup | None = None  # while an ending waits on it


class OSWorker(Worker):
    """See the module. Made by :func:`start_worker`."""

    def __init__(
        self,
        task_id: str,
        child: Child,
        entry: Entry,
        max_line: int,
        callbacks: WorkerCallbacks,
    ) -> None:
        super().__init__(task_id, child.pid, callbacks)
        self._pidfd = child.pidfd  # closed when the run is finished and no reader is left
        self._pipes = child.pipes
        self._entry = entry
        self._policy = entry.policy
        self._max_line = max_line
        self._readers = max(1, len(child.pipes))  # threads that have not ended
        self._read_out = threading.Event()  # all output is delivered
        self._finishing = False  # by one of the readers, or by a stop that waited long enough for them
        self._finished = False
        self._reaped = False
        self._stop: _Stop | None = None  # the last one begun
        # Used by one ending at a time: the stop, or, when there is none, the reader that finishes.
        self._tree = Tree(entry.run, child.pid, self._policy.kill_mode, os.getsid(0))

    # Reading

    def begin(self) -> None:
        """Start the threads that read.

        Raises:
            SpawnError: the system allows no more threads; the process has been killed.
        """
        jobs: list[tuple[str, Callable[[], None]]] = [
            (stream, partial(self._read, stream, fd)) for stream, fd in self._pipes.items()
        ]
        for number, (name, job) in enumerate(jobs or [("wait", self._reader_done)]):
            try:
                start_thread(job, f"{name}-{self.task_id}")
            except RuntimeError as error:
                self._disown(started=number)
                raise SpawnError(f"cannot start a task: {error}") from error

    def _disown(self, started: int) -> None:
        """Nobody gets to know of this worker: kill it, silently."""
        self._callbacks = WorkerCallbacks(lambda _: None, lambda _: None, lambda *_: None)
        self._strike(signal.SIGKILL)
        for fd in list(self._pipes.values())[started:]:
            os.close(fd)
        with self._lock:
            self._readers = self._readers - max(1, len(self._pipes)) + started
            alone = self._readers == 0
            self._finishing = alone
        if alone:
            self._finish()

    def _read(self, stream: str, pipe: int) -> None:
        try:
            splitter = LineSplitter(self._max_line)
            # Not of a driver's own on_output: see WorkerCallbacks.
            unfinished = getattr(self._callbacks.on_output, "unfinished", None)
            show = partial(unfinished, stream) if unfinished is not None else None
            PipeReader(pipe, self._pidfd, splitter, partial(self._deliver, stream), show).run()
        except BaseException:
            _log.exception("task %s: reading %s failed", self.task_id, stream)
        finally:
            os.close(pipe)
            self._reader_done()

    def _deliver(self, stream: str, groups: list[Lines]) -> None:
        if self._finishing:
            return  # without it
        at = now()
        for lines, mark in groups:
            batch = OutputBatch(stream, at, lines)
            if mark:
                batch = OutputBatch(stream, at, lines, mark == "truncated", mark == "overwritten")
            self._output(batch)

    def _reader_done(self) -> None:
        with self._lock:
            self._readers -= 1
            last = self._readers == 0 and not self._finishing
            left_to_us = self._readers == 0 and self._finished
            self._finishing = self._finishing or last
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
        """All output is delivered; the leader may still live, with its pipes closed.

        Whatever fails before it, the end is told: nobody else would, and the run would be there forever.
        """
        code, name = -1, ""
        try:
            poll = select.poll()
            poll.register(self._pidfd, select.POLLIN)
            poll.poll()
            self._wait_for_stops()
            code, name, survivors = self._reap()
            if survivors:
                self._end_survivors()
        except BaseException:
            _log.exception("task %s: ending what its process left behind failed", self.task_id)
        while True:
            self._wait_for_stops()
            with self._lock:
                if self._stop is None or self._stop.done.is_set():
                    end, intentional = self._exited_locked(code, name), self._intentional
                    break
        try:
            with self._lock:
                self._finished = True
                unused = self._readers == 0
            if unused:
                os.close(self._pidfd)
            registry.leave(self._entry)
            guardian.left(self._entry)
        finally:
            self._announce(end, intentional)

    def _wait_for_stops(self) -> None:
        """Until the thread of a stop under way is done; what is left of one that has none is done here."""
        with self._lock:
            stop = self._stop
            prompt = stop is not None and self._taken_locked(stop)
        if stop is None:
            return
        if not prompt:
            stop.done.wait()
        elif self._policy.kill_mode == "leader" or self._is_alone():
            stop.done.set()
        else:
            self._end_all(stop, struck=True)

    def _reap(self) -> tuple[int, str, bool]:
        """Exit code, signal, and whether processes are left in the group that must be ended."""
        with self._lock:
            try:
                status = os.waitid(os.P_PID, self.pid, os.WEXITED)
            except ChildProcessError:
                status = None
            self._reaped = self._tree.group_over = True
            # Asked at once: the number is free for others only when no member is left.
            survivors = self._policy.kill_mode != "leader" and _send_to_group(self.pid, 0)
        if status is None:
            self._event("its exit status is lost: other code in this program took it")
            return -1, "", survivors
        if status.si_code == os.CLD_EXITED:
            return status.si_status, "", survivors
        return -1, signal_name(status.si_status), survivors

    def _end_survivors(self) -> None:
        """The leader ended by itself and left others in its group."""
        deadline = time.monotonic() + self._policy.grace
        tree = Tree(self._entry.run, self.pid, "group", self._tree.home)
        tree.group_over = True
        ending = Ending(partial(self._find, tree), deadline=lambda: deadline)
        self._report(ending.run(look_first=True), ending)

    @property
    def lives(self) -> bool:
        with self._lock:  # whoever records the exit does it with the lock, before the descriptor is closed
            return self._exit is None and not self._reaped and not _is_readable(self._pidfd)

    # Stopping

    def stop(self, grace: float | None = None) -> None:
        deadline = time.monotonic() + max(0.0, self._policy.grace if grace is None else grace)
        alone = self._policy.kill_mode == "leader" or self._is_alone()
        struck = False
        with self._lock:
            if self._exit is not None:
                return
            self._intentional = True
            stop = self._stop
            if stop is None or stop.done.is_set():
                stop = self._stop = _Stop(deadline)
                if alone and not self._reaped:
                    self._strike_locked(None if deadline > time.monotonic() else signal.SIGKILL)
                    stop.timer = overdue.schedule(_PROMPT_S, partial(self._begin_stop, stop))
                    return
            elif deadline >= stop.deadline:
                return
            else:
                stop.deadline = deadline
                if stop.wake is not None:
                    stop.wake.set()
                if not self._taken_locked(stop):
                    return
                struck = True
        run_on_thread(partial(self._run_stop, stop, struck), f"stop-{self.task_id}")

    def send_signal(self, number: int) -> bool:
        with self._lock:
            if self._reaped:  # the group's number may be another's by now
                return False
            try:
                os.killpg(self.pid, number)
            except ProcessLookupError:
                return False
            except PermissionError:
                raise OverseerError(
                    "the task runs as a user whose processes the server may not signal"
                ) from None
        return True

    def _is_alone(self) -> bool:
        try:
            return registry.is_alone(self.pid, self._tree)
        except OSError:  # no file descriptor left
            return False

    def _taken_locked(self, stop: _Stop) -> bool:
        """Whether the stop had neither a thread nor an end so far; it is the caller's then."""
        if stop.timer is None:
            return False
        stop.timer.cancel()
        stop.timer = None
        return True

    def _begin_stop(self, stop: _Stop) -> None:
        """It takes longer than most."""
        with self._lock:
            taken = self._taken_locked(stop)
        if taken:
            run_on_thread(partial(self._run_stop, stop, struck=True), f"stop-{self.task_id}")

    def _run_stop(self, stop: _Stop, struck: bool) -> None:
        self._end_all(stop, struck)
        if not self._read_out.wait(_READ_OUT_S):
            self._finish_without_readers()

    def _end_all(self, stop: _Stop, struck: bool) -> None:
        """End the whole tree; ``struck``: it had its first signal."""
        try:
            wake = Wakeup()
        except OSError:  # no file descriptor left: this stop cannot be cut short
            wake = None
        try:
            with self._lock:
                stop.wake = wake
            ending = Ending(
                partial(self._find, self._tree),
                strike=self._strike,
                leader=self._pidfd,
                deadline=lambda: stop.deadline,
                wake=-1 if wake is None else wake.fileno(),
            )
            look_first = self._policy.kill_mode == "tree" and not struck
            self._report(ending.run(look_first=look_first, struck=struck), ending)
        except BaseException:
            _log.exception("task %s: its stop failed", self.task_id)
        finally:
            with self._lock:
                stop.wake = None
                stop.done.set()
            if wake is not None:
                wake.close()

    def _finish_without_readers(self) -> None:
        with self._lock:
            if self._finishing:
                return
            self._finishing = True
        self._event("the rest of its output is dropped: nobody took it in time")
        try:
            self._finish()
        except BaseException:
            _log.exception("task %s: the end of its process failed", self.task_id)

    def _find(self, tree: Tree) -> list[tuple[Process, int]]:
        if tree.mode == "leader":
            return []
        gentle = self._policy.signal_number
        return [(process, gentle) for process in registry.find(tree, self.pid, self._entry.pipes)]

    def _strike(self, number: int | None) -> set[int]:
        with self._lock:
            return self._strike_locked(number)

    def _strike_locked(self, number: int | None) -> set[int]:
        """Signal the leader and, unless the mode says otherwise, its group; returns the groups reached."""
        numbers = (number,) if number is not None else (self._policy.signal_number, signal.SIGCONT)
        if self._reaped:
            return set()
        if self._policy.kill_mode == "leader":
            for one in numbers:
                self._send_to_leader(one)
            return set()
        for one in numbers:
            _send_to_group(self.pid, one)
        if number is not None:
            self._send_to_leader(number)  # should it have left its own group
        return {self.pid}

    def _send_to_leader(self, number: int) -> None:
        with suppress(PermissionError):  # it runs as somebody else now; reported when the stop gives up
            signal.pidfd_send_signal(self._pidfd, number)

    def _report(self, ended: bool, ending: Ending) -> None:
        if not ended:
            pids = ", ".join(map(str, ending.left)) or str(self.pid)
            text = f"processes that SIGKILL does not end are left: {pids}"
            _log.warning("task %s: %s", self.task_id, text)
            self._event(text)


def _is_readable(pidfd: int) -> bool:
    """Whether the process has ended."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(0))


def _send_to_group(group: int, number: int) -> bool:
    """Whether the group has a member, zombies too."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
