"""Programs that print a secret: run like a task, but for what they print, and bounded in time and size."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Sequence

from overseer.errors import SpawnError
from overseer.process import (
    RUN_VARIABLE,
    SERVER_VARIABLE,
    Child,
    Entry,
    StopPolicy,
    guardian,
    registry,
    spawn,
)
from overseer.util.locks import Rank, assert_none_held, lock
from overseer.util.masking import masked
from overseer.workers.stopping import Processes

MOST = 64 << 10
"""Bytes that a secret may have."""

_PATIENCE_S = 10.0
_COMPLAINT = 300  # characters of what it writes to stderr that an error quotes
_READ = 65536


def output_of(argv: Sequence[str], name: str) -> bytes:
    """What a program writes to stdout; nothing of it is left when this returns.

    Raises:
        SpawnError: it cannot be started, fails, takes too long or writes too much. The text may quote what it
            writes to stderr, without what it wrote to stdout.
    """
    assert_none_held("run a program")
    entry = Entry(registry.new_run_id(), StopPolicy())
    registry.enter(entry)
    guardian.entered(entry)
    try:
        child = spawn(
            argv[0],
            argv[1:],
            env={RUN_VARIABLE: entry.run, SERVER_VARIABLE: registry.server_id},
            cwd=None,
            streams=("stdout", "stderr"),
        )
    except BaseException:
        registry.leave(entry)
        guardian.left(entry)
        raise
    registry.spawned(entry, child.pid, child.links())
    guardian.spawned(entry)
    program = _Program(child)
    fault = "it failed before it was read"
    try:
        fault = program.read()
    finally:
        code, signal = _end(name, child, entry)
        program.close()
    if not fault and (code or signal):
        fault = f"{argv[0]} ended with {signal or f'status {code}'}"
    if fault:
        raise SpawnError(fault + program.complaint())
    return bytes(program.written["stdout"])


class _Program:
    """A program that runs, and what it has written."""

    def __init__(self, child: Child) -> None:
        self._child = child
        self._open = {fd: stream for stream, fd in child.pipes.items()}
        self.written = {stream: bytearray() for stream in child.pipes}

    def read(self) -> str:
        """Read until it has ended; returns why it is not waited for any more, or ``""``.

        What others hold open after its end is not waited for.
        """
        deadline = time.monotonic() + _PATIENCE_S
        poll = select.poll()
        for fd in (*self._open, self._child.pidfd):
            poll.register(fd, select.POLLIN)
        ended = False
        while not ended:
            remaining = deadline - time.monotonic()
            ready = {fd for fd, _ in poll.poll(max(0.0, remaining) * 1000)}
            if not ready:
                return f"it takes longer than {_PATIENCE_S:g} s"
            ended = self._child.pidfd in ready
            for fd in self._open if ended else self._open.keys() & ready:  # what it wrote last may be newer
                if not self._take(fd) and not ended:
                    poll.unregister(fd)
            if len(self.written["stdout"]) > MOST:
                return f"it is larger than {MOST >> 10} KiB"
        return ""

    def _take(self, fd: int) -> bool:
        """Take what is in the pipe; whether more may come."""
        taken = self.written[self._open[fd]]
        while len(taken) <= MOST:
            try:
                data = os.read(fd, _READ)
            except BlockingIOError:
                return True
            if not data:
                break
            taken += data
        else:
            if self._open[fd] == "stderr":  # of which only the beginning is of use
                del taken[MOST:]
                return True
        return False

    def complaint(self) -> str:
        """What it wrote to stderr, as the end of an error."""
        said, secret = (bytes(self.written[each]).decode("utf-8", "replace") for each in ("stderr", "stdout"))
        said = " ".join(masked(said, [secret]).split())
        return f": {said[:_COMPLAINT]}" if said else ""

    def close(self) -> None:
        for fd in (*self._child.pipes.values(), self._child.pidfd):
            os.close(fd)


def _end(name: str, child: Child, entry: Entry) -> tuple[int, str]:
    """End it with all that it has started; its exit code and signal, if it had ended by itself."""
    title = f"secret {name}"
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
    guardian.left(entry)
    return code, signal
