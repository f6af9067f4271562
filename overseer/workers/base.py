"""What all workers have in common: a run's values, its callbacks, its end.

A worker runs an OS process (``os_process``) or a Python function (``thread``). Either way it calls
``on_output`` for what is written and, once, as the very last thing, ``on_exited``; on threads of its own,
with no lock held.
"""

from __future__ import annotations

import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime

from overseer.errors import OverseerError, SpawnError
from overseer.process import StopPolicy, registry
from overseer.process.lines import LineSplitter, MaskedSplitter
from overseer.util.latch import Latch
from overseer.util.locks import CHECKED, Rank, assert_none_held, lock
from overseer.util.masking import Secrets
from overseer.util.timestamps import now
from overseer.workers.program import Surroundings

_log = logging.getLogger(__name__)


@dataclass(slots=True)  # not frozen: one is made for each line that comes alone
class OutputBatch:
    """Lines that came together, in order, without their line ends; not to be changed: make another.

    Attributes:
        stream: "stdout" or "stderr".
        ts: when they came; aware, UTC.
        truncated: the one line in it was cut at the limit for lines.
        overwritten: of the one line in it, which redrew itself, the beginning was dropped.
    """

    stream: str
    ts: datetime
    lines: list[str]
    truncated: bool = False
    overwritten: bool = False


@dataclass(frozen=True, slots=True)
class WorkerCallbacks:
    """What a worker calls, always on threads of its own; a driver may wrap them.

    Attributes:
        on_output: gets the batches of one stream one after another; it may block, and the child then waits.
            The one that a driver is given also has an attribute ``unfinished``, by which clients are shown
            lines in the making, and ``raw``, by which they are shown all that a terminal is sent; a wrapper
            without these keeps them from seeing what it might not let through.
        log_event: gets a sentence for people about something unusual.
        on_exited: gets the worker, its exit code (-1 when a signal ended it), whether a stop had been asked
            for, and when; exactly once, after the last ``on_output`` has returned.
        run: whose callbacks they are, for the worker; ``dataclasses.replace`` keeps it in a wrapper.
    """

    on_output: Callable[[OutputBatch], None]
    log_event: Callable[[str], None]
    on_exited: Callable[[Worker, int, bool, datetime], None]
    run: RunContext | None = field(default_factory=lambda: _context.get(), repr=False, compare=False)


def _no_secret(name: str) -> str:
    raise SpawnError(f"there is no secret {name!r}")


@dataclass(frozen=True, slots=True)
class RunContext:
    """What the hub knows of a run that its driver need not: taken for what :class:`WorkerConfig` leaves open.

    Attributes:
        run_id: unique, of letters, digits, ``-``, ``_`` and ``.``; in the environment of the run's processes.
        max_line: bytes a line may have before it is cut.
        exited: called like ``on_exited``, after it, should that fail: the end must become known.
        begun: called with each worker that has begun, which may be after its driver's ``start`` has failed.
        workers: those made for the run, so that none is lost when the driver fails after all.
        secrets: what its output and what is said of it must not show.
        read_secret: reads one of the server's own secrets, by name; see :meth:`secret`.
        probed: whether programs are to be run where its process is, so that its surroundings are kept.
        env: further variables for its process.
    """

    task_id: str
    run_id: str = field(default_factory=registry.new_run_id)
    stop: StopPolicy = StopPolicy()  # noqa: RUF009 (frozen)
    max_line: int = 10 << 20
    exited: Callable[[Worker, int, bool, datetime], None] | None = None
    begun: Callable[[Worker], None] | None = None
    workers: list[Worker] = field(default_factory=list)
    secrets: Secrets = field(default_factory=Secrets)
    read_secret: Callable[[str], str] = _no_secret
    probed: bool = False
    env: dict[str, str] = field(default_factory=dict)

    def secret(self, name: str) -> str:
        """The value of one of the server's secrets as it is now, which the run's output will not show.

        Raises:
            SpawnError: there is none, or it cannot be read.
        """
        value = self.read_secret(name)
        self.secrets.add(value)
        return value

    def splitter(self) -> LineSplitter:
        """For one stream of its output."""
        mask = self.secrets.mask
        return LineSplitter(self.max_line) if mask is None else MaskedSplitter(self.max_line, mask)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,128}", self.run_id):
            raise ValueError(f"not a run id: {self.run_id!r}")
        if self.max_line < 1:
            raise ValueError("max_line must be at least 1")


_context: ContextVar[RunContext | None] = ContextVar("overseer_run", default=None)


@contextmanager
def run_context(context: RunContext) -> Iterator[None]:
    """Within it, callbacks that a driver makes from nothing on this thread are that run's, too."""
    token = _context.set(context)
    try:
        yield
    finally:
        _context.reset(token)


@dataclass(frozen=True, slots=True)
class _Exit:
    code: int
    signal: str
    at: datetime


class Worker(ABC):
    """A run, from its start to its exit.

    Attributes:
        task_id: whose run it is.
        pid: of the leader; 0 for a virtual worker.
        started_at: aware, UTC.
        hides_secrets: whether those of its run are not in its output any more when it calls ``on_output``; of
            others the server replaces them line by line.
        ran_out_of_memory: whether a process of it was killed for lack of memory; known when it has exited.
        cpu: the seconds of CPU that its processes used together; None until it has exited, or not known.
        max_rss: the most memory they had together, in bytes, as far as was looked; None as for ``cpu``.
        surroundings: of its process, where the run is ``probed``.
    """

    hides_secrets = False
    ran_out_of_memory = False
    cpu: float | None = None
    max_rss: int | None = None
    surroundings: Surroundings | None = None

    def __init__(self, task_id: str, pid: int, callbacks: WorkerCallbacks) -> None:
        self.task_id = task_id
        self.pid = pid
        self.started_at = now()
        self._callbacks = callbacks
        run = callbacks.run
        self._if_on_exited_fails = run.exited if run is not None else None
        # Guards what the subclasses add, and the three below. kill and waitid are the only calls under it.
        self._lock = lock(Rank.WORKER, f"worker {task_id}")
        self._intentional = False
        self._exit: _Exit | None = None
        self._complained = False  # about a callback that raised; once is enough
        self._over = Latch()  # set when on_exited has returned
        if run is not None:
            run.workers.append(self)

    def __repr__(self) -> str:
        end = self._exit
        if end is None:
            what = "stopping" if self._intentional else "running"
        else:
            what = f"exited {end.signal or end.code}"
        return f"<{type(self).__name__} {self.task_id!r} pid {self.pid} {what}>"

    @property
    def state(self) -> str:
        """ "running", or "exited" from just before ``on_exited`` is called."""
        return "running" if self._exit is None else "exited"

    @property
    def exited_at(self) -> datetime | None:
        """Aware, UTC; None while it runs."""
        return self._exit.at if self._exit is not None else None

    @property
    def exit_code(self) -> int | None:
        """None while it runs; -1 when a signal ended it."""
        return self._exit.code if self._exit is not None else None

    @property
    def signal(self) -> str:
        """The signal that ended it ("SIGKILL"), or ""."""
        return self._exit.signal if self._exit is not None else ""

    @property
    def intentional(self) -> bool:
        """Whether a stop was asked for before it ended."""
        return self._intentional

    @property
    def lives(self) -> bool:
        """Whether what it runs has not ended; its output may go on for a little longer. Returns at once."""
        return self._exit is None

    stdin = "none"
    """How it takes input: "none", "pipe" or "pty"."""

    @abstractmethod
    def stop(self, grace: float | None = None) -> None:
        """Ask it to end, and see to it that it does when ``grace`` seconds are over (None: its policy's).

        Returns at once; ``on_exited`` tells when it is done. Calling it again can only shorten the
        grace; after the exit it changes nothing.
        """

    def send_signal(self, number: int) -> bool:
        """Send a signal to its process group; False when the run is over.

        Raises:
            OverseerError: it cannot be sent.
        """
        raise OverseerError("the task has no process that could be sent a signal")

    def give_input(self, data: bytes, *, eof: bool = False) -> None:
        """Have it read ``data``, all of it or nothing, and with ``eof`` the end. Returns at once.

        Raises:
            OverseerError: it is not taken, and why.
        """
        raise OverseerError("the task takes no input (stdin: none)")

    def resize(self, rows: int, cols: int) -> bool:
        """Change the size of its terminal; False when the run is over.

        Raises:
            OverseerError: it cannot be changed.
        """
        raise OverseerError("the task has no terminal (stdin: pty)")

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until ``on_exited`` has returned; False when ``timeout`` seconds were too few."""
        assert_none_held("wait for a worker")
        return self._over.wait(timeout)

    def _begun(self) -> None:
        """It runs; called once, when nothing can prevent that any more."""
        run = self._callbacks.run
        if run is not None and run.begun is not None:
            run.begun(self)

    def _output(self, batch: OutputBatch) -> None:
        if CHECKED:
            assert_none_held("on_output")
        try:
            self._callbacks.on_output(batch)
        except BaseException:  # whatever a driver raises, reading must go on, or the child would hang
            if not self._complained:
                self._complained = True
                _log.exception("task %s: on_output failed; further failures are not logged", self.task_id)

    def _event(self, text: str) -> None:
        try:
            self._callbacks.log_event(text)
        except BaseException:
            _log.exception("task %s: log_event failed", self.task_id)

    def _exited_locked(self, code: int, signal_name: str) -> _Exit:
        """Record the end; :meth:`_announce` must follow, without the lock."""
        self._exit = _Exit(code, signal_name, now())
        return self._exit

    def _announce(self, end: _Exit, intentional: bool) -> None:
        assert_none_held("on_exited")
        try:
            self._callbacks.on_exited(self, end.code, intentional, end.at)
        except BaseException:
            _log.exception("task %s: on_exited failed", self.task_id)
            if self._if_on_exited_fails is not None:
                self._if_on_exited_fails(self, end.code, intentional, end.at)
        finally:
            self._over.set()
