"""Programs that are run to their end for what they say: bounded in time and size, nothing of them is left."""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from overseer.process.guardian import guardian
from overseer.process.policy import StopPolicy
from overseer.process.registry import Entry, registry
from overseer.process.setup import Setup
from overseer.process.spawn import Child, spawn
from overseer.process.standalone.tree import RUN_VARIABLE, SERVER_VARIABLE
from overseer.util.locks import Rank, assert_none_held, lock
from overseer.util.standstill import standstill
from overseer.util.wakeup import poll_timeout
from overseer.workers.stopping import Processes
from overseer.workers.surroundings import Surroundings

_READ = 65536
_WORDS = 300  # characters of what a program says that are quoted


@dataclass(frozen=True, slots=True)
class Finished:
    """What became of a program.

    Attributes:
        fault: why it was ended, "" if it ended by itself.
        code, signal: how it ended, if it did by itself.
        written: the beginning of what it wrote, by stream.
    """

    fault: str
    code: int
    signal: str
    written: Mapping[str, bytes]

    def failure(self, name: str) -> str:
        """Why the program of this name has not done what it was to do; "": it has."""
        if self.fault or not (self.code or self.signal):
            return self.fault
        return f"{name} ended with {self.signal or f'status {self.code}'}"


def with_words(fault: str, said: str | bytes) -> str:
    """A fault, followed by the beginning of what the program said about it."""
    text = said if isinstance(said, str) else said.decode("utf-8", "replace")
    words = " ".join(text.split())[:_WORDS]
    return f"{fault}: {words}" if words else fault


def run_program(
    argv: Sequence[str],
    title: str,
    *,
    patience: float,
    most: int,
    surroundings: Surroundings = Surroundings(),  # noqa: B008 (frozen)
    merge: bool = False,
    overflow: str = "",
    wake: int = -1,
    stdin: int = subprocess.DEVNULL,
) -> Finished:
    """Run a program like a task, but for what it writes; nothing of it is left when this returns.

    What others hold open after its end is not waited for.

    Args:
        title: what the log calls it.
        patience: seconds that it may take.
        most: bytes that are kept of each stream; it is ended when stdout has more and there is an
            ``overflow``, the fault, else the rest is dropped.
        merge: stderr goes where stdout goes.
        wake: a descriptor that becomes readable when it is to be ended; not closed here.
        stdin: a descriptor to read from; not closed here.

    Raises:
        SpawnError: it cannot be started.
    """
    assert_none_held("run a program")
    entry = Entry(registry.new_run_id(), StopPolicy(grace=0.0))  # also should the guardian have to end it
    with standstill:  # another program, which has nobody to read it, is told of it, and ends it
        child = _start(entry, argv, surroundings, stdin, merge=merge)
    program = _Program(child, most, overflow)
    fault = "it failed before it was read"
    try:
        fault = program.read(patience, wake)
    finally:
        code, signal = _end(title, child, entry)
        program.close()
    return Finished(fault, code, signal, {name: bytes(data) for name, data in program.written.items()})


def _start(
    entry: Entry,
    argv: Sequence[str],
    surroundings: Surroundings,
    stdin: int,
    *,
    merge: bool,
) -> Child:
    registry.enter(entry)
    guardian.tell(entry)
    own = {RUN_VARIABLE: entry.run, SERVER_VARIABLE: registry.server_id}
    try:
        child = spawn(
            argv[0],
            argv[1:],
            env={**surroundings.env, **own},
            cwd=surroundings.cwd,
            streams=["stdout"] if merge else ["stdout", "stderr"],
            merge=merge,
            inherit=surroundings.inherit,
            umask=surroundings.umask,
            setup=Setup(identity=surroundings.identity),
            stdin=stdin,
        )
    except BaseException:
        registry.leave(entry)
        guardian.forget(entry.run)
        raise
    registry.spawned(entry, child.pid, child.links())
    guardian.tell(entry)
    return child


class _Program:
    """A program that runs, and what it has written."""

    def __init__(self, child: Child, most: int, overflow: str) -> None:
        self._child = child
        self._most = most
        self._overflow = overflow
        self._open = {fd: stream for stream, fd in child.pipes.items()}
        self.written = {stream: bytearray() for stream in child.pipes}

    def read(self, patience: float, wake: int) -> str:
        """Read until it has ended; returns why it is not waited for any more, or ``""``."""
        deadline = time.monotonic() + patience
        late = f"it took longer than {patience:g} s"
        poll = select.poll()
        for fd in (*self._open, self._child.pidfd, *([wake] if wake >= 0 else [])):
            poll.register(fd, select.POLLIN)
        while True:
            remaining = deadline - time.monotonic()
            ready = {fd for fd, _ in poll.poll(poll_timeout(remaining))}
            if not ready:
                if remaining <= 0:
                    return late
                continue
            ended = self._child.pidfd in ready
            for fd in self._open if ended else self._open.keys() & ready:  # what it wrote last may be newer
                if not self._take(fd) and not ended:
                    poll.unregister(fd)
            if self._overflow and len(self.written["stdout"]) > self._most:
                return self._overflow
            if ended:
                return ""
            if wake in ready:
                return "it was called off"
            if remaining <= 0:
                return late

    def _take(self, fd: int) -> bool:
        """Take what is in the pipe, though no more than a flood has there; whether more may come."""
        stream = self._open[fd]
        taken = self.written[stream]
        most = self._most + (bool(self._overflow) and stream == "stdout")
        for _ in range(1 + most // _READ):
            try:
                data = os.read(fd, _READ)
            except BlockingIOError:
                return True
            if not data:
                return False
            taken += data[: max(0, most - len(taken))]
        return True

    def close(self) -> None:
        for fd in (*self._child.pipes.values(), self._child.pidfd):
            os.close(fd)


def _end(title: str, child: Child, entry: Entry) -> tuple[int, str]:
    """End it with all that it has started; its exit code and signal, if it had ended by itself."""
    guard = lock(Rank.WORKER, title)
    processes = Processes(title, child.pid, child.pidfd, entry, guard, lambda _: None, lambda: None)
    alone = processes.leader_is_alone()
    with guard:
        further = processes.stop_locked(0.0, alone)
    if further is not None:
        further()
    processes.wait_for_stops()
    code, signal, _ = processes.reap()
    registry.leave(entry)
    guardian.forget(entry.run)
    return code, signal
