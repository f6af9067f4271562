"""What all workers share: a run's values, its callbacks, its end.

A worker runs an OS process (``os_process``) or a Python function (``thread``). Either way it calls
``on_output`` for what is written and, exactly once and last, ``on_exited``; on its own threads, with no lock
held.
"""

from __future__ import annotations

import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any

from overseer.errors import OverseerError, SpawnError
from overseer.process.lines import LineSplitter, MaskedSplitter
from overseer.process.pipe import MOST_READ
from overseer.process.policy import StopPolicy
from overseer.process.registry import registry
from overseer.process.usage import Usage
from overseer.util.dataclass_json import from_plain, to_plain
from overseer.util.hung_threads import Replaced
from overseer.util.latch import Latch
from overseer.util.locks import CHECKED, Rank, assert_held, assert_none_held, lock
from overseer.util.masking import Secrets
from overseer.util.timestamps import now
from overseer.workers.surroundings import Surroundings

_log = logging.getLogger(__name__)
_RUN_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


@dataclass(slots=True)  # not frozen, for speed: a single line makes a batch
class OutputBatch:
    """Lines that arrived together, in order, without their line ends. Immutable by convention.

    Attributes:
        stream: "stdout" or "stderr".
        ts: when they arrived; aware, UTC.
        truncated: its only line was cut at the line limit.
        overwritten: the beginning of its only line, which redrew itself, was dropped.
        split: its lines were made by splitting at newlines, and have passed no code of a driver's own, so
            none holds one. ``dataclasses.replace`` drops this, since whoever changes lines may put one in.
    """

    stream: str
    ts: datetime
    lines: list[str]
    truncated: bool = False
    overwritten: bool = False
    split: bool = field(default=False, init=False, compare=False)


@dataclass(frozen=True, slots=True)
class WorkerCallbacks:
    """What a worker calls, always on its own threads; a driver may wrap them.

    Attributes:
        on_output: gets a stream's batches in order; may block, and the child then waits. The one passed to a
            driver also has the attributes ``unfinished``, which shows clients unfinished lines, and ``raw``,
            which shows them a terminal's raw output. A wrapper without these withholds both.
        log_event: gets a sentence for people about something unusual.
        on_exited: gets the worker, its exit code (-1: ended by a signal), whether a stop was requested, and
            the time; called exactly once, after the last ``on_output`` has returned.
        run: the run they belong to, for the worker; ``dataclasses.replace`` keeps it in a wrapper.
    """

    on_output: Callable[[OutputBatch], None]
    log_event: Callable[[str], None]
    on_exited: Callable[[Worker, int, bool, datetime], None]
    run: RunContext | None = field(default_factory=lambda: _context.get(), repr=False, compare=False)


def _no_secret(name: str) -> str:
    raise SpawnError(f"no such secret {name!r}")


@dataclass(frozen=True, slots=True)
class RunContext:
    """A run's settings that its driver need not know; they fill in what :class:`WorkerConfig` leaves open.

    Attributes:
        run_id: unique; letters, digits, ``-``, ``_`` and ``.``; in the environment of the run's processes.
        max_line: bytes after which a line is cut.
        max_read: bytes of a process's output that are read, and passed on, at a time.
        exited: called like ``on_exited``, after it, in case that fails: the end must become known.
        begun: called with each worker that has begun, possibly after its driver's ``start`` has failed.
        workers: those created for the run, so that none is lost if the driver fails afterwards.
        secrets: masked in its output and in all messages about it.
        read_secret: reads one of the server's own secrets by name; see :meth:`secret`.
        hands_on: it is given a file, ``OVERSEER_OUTPUT``, for values that are handed on.
        probed: programs are to be run where its process is, so its surroundings are kept.
        env: further variables for its process.
        requested: a requester waits for the outcome of the start, and a failure is told to it alone.
        waits: called by a worker that ``start`` has returned with ``waiting_on``, from another thread: it
            will be a while before it begins, so its requester is told so now. May be repeated.
        announced: set once the start is over; until then its thread has nothing to do that is in a hurry.
        begins: called by a worker that ``start`` has returned with ``waiting_on``, from another thread: it
            runs now, or it never will, with the error; ``OverseerError("")``: it was stopped.
    """

    task_id: str
    run_id: str = field(default_factory=registry.new_run_id)
    stop: StopPolicy = StopPolicy()  # noqa: RUF009 (frozen)
    max_line: int = 10 << 20
    max_read: int = MOST_READ
    exited: Callable[[Worker, int, bool, datetime], None] | None = None
    begun: Callable[[Worker], None] | None = None
    workers: list[Worker] = field(default_factory=list)
    secrets: Secrets = field(default_factory=Secrets)
    read_secret: Callable[[str], str] = _no_secret
    hands_on: bool = False
    probed: bool = False
    env: dict[str, str] = field(default_factory=dict)
    requested: bool = False
    waits: Callable[[Worker], None] | None = None
    begins: Callable[[Worker, OverseerError | None], None] | None = None
    announced: Latch | None = None

    def secret(self, name: str) -> str:
        """The current value of one of the server's secrets, which is then masked in the run's output.

        Raises:
            SpawnError: it does not exist, or cannot be read.
        """
        value = self.read_secret(name)
        self.secrets.add(value)
        return value

    def splitter(self) -> LineSplitter:
        """A new splitter for one stream of the run's output."""
        mask = self.secrets.mask
        return LineSplitter(self.max_line) if mask is None else MaskedSplitter(self.max_line, mask)

    def export(self) -> dict[str, Any]:
        """What another program has to know to go on with the run."""
        return {
            "run_id": self.run_id,
            "stop": to_plain(self.stop),
            "max_line": self.max_line,
            "secrets": list(self.secrets),
            "hands_on": self.hands_on,
            "probed": self.probed,
        }

    @classmethod
    def restored(cls, task_id: str, data: Mapping[str, Any]) -> RunContext:
        """The settings that another program has exported."""
        return cls(
            task_id,
            data["run_id"],
            from_plain(StopPolicy, data["stop"]),
            data["max_line"],
            secrets=Secrets(data["secrets"]),
            hands_on=data["hands_on"],
            probed=data["probed"],
        )

    def __post_init__(self) -> None:
        if not _RUN_ID.fullmatch(self.run_id):
            raise ValueError(f"not a run id: {self.run_id!r}")
        if self.max_line < 1:
            raise ValueError("max_line must be at least 1")


_context: ContextVar[RunContext | None] = ContextVar("overseer_run", default=None)


@contextmanager
def run_context(context: RunContext) -> Iterator[None]:
    """Within it, callbacks that a driver creates from scratch on this thread belong to this run."""
    token = _context.set(context)
    try:
        yield
    finally:
        _context.reset(token)


@dataclass(frozen=True, slots=True)
class Exit:
    """How a run ended."""

    code: int
    signal: str
    at: datetime


class Worker(ABC):
    """A run, from its start to its exit.

    Attributes:
        task_id: the task it runs for.
        pid: of the leader; 0 for a virtual worker.
        started_at: aware, UTC.
        hides_secrets: it masks its run's secrets before it calls ``on_output``; otherwise the server masks
            them line by line.
        ran_out_of_memory: the OOM killer ended one of its processes; known once it has exited.
        cpu: CPU seconds of all its processes together; None while it runs, or if unknown.
        max_rss: peak memory of all its processes together, in bytes, as far as measured; None as for ``cpu``.
        values: what the run hands on to those that follow it, secrets masked; known once it has exited.
        surroundings: of its process, if the run is ``probed``.
        stdin: how it takes input: "none", "pipe" or "pty".
        host: the machine that it runs on, for people; "": this one.
        lost: why it is not known how it ended, for people; "": it is known. Known once it has exited.
        waiting_on: what it waits for before it begins; empty for most. See :class:`RunContext`, ``begins``.
        portable: another program can go on with it: see :meth:`hand_over`.
    """

    hides_secrets = False
    portable = False
    ran_out_of_memory = False
    stdin = "none"
    host = ""
    lost = ""
    waiting_on: tuple[str, ...] = ()
    cpu: float | None = None
    max_rss: int | None = None
    values: Mapping[str, str] = MappingProxyType({})
    surroundings: Surroundings | None = None

    def __init__(self, task_id: str, pid: int, callbacks: WorkerCallbacks) -> None:
        self.task_id = task_id
        self.pid = pid
        self.started_at = now()
        self._callbacks = callbacks
        run = callbacks.run
        self._if_on_exited_fails = run.exited if run is not None else None
        # Guards the next three and the subclasses' fields. Of system calls, only kill and waitid go under it.
        self._lock = lock(Rank.WORKER, f"worker {task_id}")
        self._intentional = False
        self._exit: Exit | None = None
        self._complained = False  # a callback raised, which is logged once
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
        """None while it runs; -1: ended by a signal."""
        return self._exit.code if self._exit is not None else None

    @property
    def signal(self) -> str:
        """The signal that ended it ("SIGKILL"), or ""."""
        return self._exit.signal if self._exit is not None else ""

    @property
    def intentional(self) -> bool:
        """Whether a stop was requested before it ended."""
        return self._intentional

    @property
    def lives(self) -> bool:
        """Whether what it runs still lives; its output may outlast that a little. Does not block."""
        return self._exit is None

    @abstractmethod
    def stop(self, grace: float | None = None) -> None:
        """Ask it to end, and kill it after ``grace`` seconds (None: its policy's).

        Does not block; ``on_exited`` is called at the end. Further calls can only shorten the grace; after
        the exit they do nothing.
        """

    def send_signal(self, number: int) -> bool:
        """Send a signal to its process group; False if the run is over.

        Raises:
            OverseerError: it cannot be sent.
        """
        raise OverseerError("the task has no process to send a signal to")

    def give_input(self, data: bytes, *, eof: bool = False) -> None:
        """Queue ``data`` for its stdin, all or nothing; ``eof`` ends the input. Does not block.

        Raises:
            OverseerError: it is not accepted.
        """
        raise OverseerError("the task takes no input (stdin: none)")

    def ask_usage(self) -> bool:
        """Have the usage of its processes measured, if they are on another machine; does not block.

        Returns:
            Whether they are: :meth:`usage` will tell.
        """
        return False

    def usage(self, since: float, until: float) -> Usage | None:
        """What its processes on another machine use, as last heard; None: not known.

        Args:
            since: monotonic; waits for what is newer...
            until: ... up to this moment.
        """
        return None

    def resize(self, rows: int, cols: int) -> bool:
        """Change the size of its terminal; False if the run is over.

        Raises:
            OverseerError: it cannot be changed.
        """
        raise OverseerError("the task has no terminal (stdin: pty)")

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until ``on_exited`` has returned; False after ``timeout`` seconds."""
        assert_none_held("wait for a worker")
        return self._over.wait(timeout)

    # Upgrades of the server; for workers that are ``portable``

    def hand_over(self) -> Any:
        """What another program needs to go on with it: values as JSON has them, and bytes. Meanwhile no step
        of :data:`overseer.util.standstill.standstill` is under way."""
        raise NotImplementedError

    def resume(self) -> None:
        """Go on, in the other program, where it was handed over: its handler's ``take_up`` has made it again.

        Raises:
            RuntimeError: the system allows no more threads.
        """
        raise NotImplementedError

    # For those who write a worker of their own make

    def begun(self) -> None:
        """To be called once, when it runs and can no longer fail to start."""
        run = self._callbacks.run
        if run is not None and run.begun is not None:
            run.begun(self)

    def pass_on(self, batch: OutputBatch) -> None:
        """Pass output on, which blocks while it is not taken; dropped once the end has been told."""
        if CHECKED:
            assert_none_held("on_output")
        if self._exit is not None:
            return
        try:
            self._callbacks.on_output(batch)
        except Replaced:
            raise
        except BaseException:  # whatever a driver raises: reading must go on, or the child would hang
            if not self._complained:
                self._complained = True
                _log.exception("task %s: on_output failed; further failures are not logged", self.task_id)

    def asked_to_stop(self) -> bool:
        """To be called first by :meth:`stop`: its end is asked for. False if it is over."""
        with self._lock:
            if self._exit is not None:
                return False
            self._intentional = True
            return True

    def ended(self, exit_code: int, signal: str = "") -> None:
        """Tell its end, which the first call does; to be called when all its output has been passed on.

        Args:
            exit_code: -1 for a death by ``signal`` ("SIGKILL").
        """
        with self._lock:
            if self._exit is not None:
                return
            end, intentional = self._exited_locked(exit_code, signal), self._intentional
        self._announce(end, intentional)

    def _event(self, text: str) -> None:
        try:
            self._callbacks.log_event(text)
        except BaseException:
            _log.exception("task %s: log_event failed", self.task_id)

    def _exited_locked(self, code: int, signal_name: str) -> Exit:
        """Record the end; :meth:`_announce` must follow, without the lock."""
        assert_held(self._lock)
        self._exit = Exit(code, signal_name, now())
        return self._exit

    def _announce(self, end: Exit, intentional: bool) -> None:
        assert_none_held("on_exited")
        try:
            self._callbacks.on_exited(self, end.code, intentional, end.at)
        except BaseException:
            _log.exception("task %s: on_exited failed", self.task_id)
            if self._if_on_exited_fails is not None:
                self._if_on_exited_fails(self, end.code, intentional, end.at)
        finally:
            self._over.set()
