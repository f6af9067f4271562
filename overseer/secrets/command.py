<<<<<<< HEAD
"""Programs that print a secret."""
=======
"""Runs programs that print a secret, like tasks but with bounded time and output."""
>>>>>>> main

from __future__ import annotations

from collections.abc import Mapping, Sequence

from overseer.errors import SpawnError
from overseer.util.masking import masked
from overseer.workers.program import run_program

MOST = 64 << 10
"""The maximum size of a secret in bytes."""

_PATIENCE_S = 10.0
<<<<<<< HEAD
_COMPLAINT = 300  # characters of what it writes to stderr that an error quotes
=======
_COMPLAINT = 300  # characters of stderr that an error quotes
_READ = 65536
>>>>>>> main


def output_of(argv: Sequence[str], name: str) -> bytes:
    """A program's output. The program and all it started are gone when this returns.

    Raises:
        SpawnError: it cannot be started, fails, takes too long or writes too much. The text may quote its
            stderr, with any of its stdout masked.
    """
    too_large = f"it is larger than {MOST >> 10} KiB"
    done = run_program(argv, f"secret {name}", patience=_PATIENCE_S, most=MOST, overflow=too_large)
    fault = done.fault
    if not fault and (done.code or done.signal):
        fault = f"{argv[0]} ended with {done.signal or f'status {done.code}'}"
    if fault:
        raise SpawnError(fault + _complaint(done.written))
    return done.written["stdout"]


<<<<<<< HEAD
def _complaint(written: Mapping[str, bytes]) -> str:
    """What it wrote to stderr, as the end of an error."""
    said, secret = (written[each].decode("utf-8", "replace") for each in ("stderr", "stdout"))
    said = " ".join(masked(said, [secret]).split())
    return f": {said[:_COMPLAINT]}" if said else ""
=======
class _Program:
    """A running program and what it has written."""

    def __init__(self, child: Child) -> None:
        self._child = child
        self._open = {fd: stream for stream, fd in child.pipes.items()}
        self.written = {stream: bytearray() for stream in child.pipes}

    def read(self) -> str:
        """Read until it has ended; returns why it was given up, or ``""``.

        Pipes that other processes hold open after its end are not waited for.
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
                return f"it took longer than {_PATIENCE_S:g} s"
            ended = self._child.pidfd in ready
            for fd in self._open if ended else self._open.keys() & ready:  # read its last output, too
                if not self._take(fd) and not ended:
                    poll.unregister(fd)
            if len(self.written["stdout"]) > MOST:
                return f"it is larger than {MOST >> 10} KiB"
        return ""

    def _take(self, fd: int) -> bool:
        """Read what is in the pipe; returns whether more may come."""
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
            if self._open[fd] == "stderr":  # only the beginning is quoted
                del taken[MOST:]
                return True
        return False

    def complaint(self) -> str:
        """Its stderr, as the end of an error message."""
        said, secret = (bytes(self.written[each]).decode("utf-8", "replace") for each in ("stderr", "stdout"))
        said = " ".join(masked(said, [secret]).split())
        return f": {said[:_COMPLAINT]}" if said else ""

    def close(self) -> None:
        for fd in (*self._child.pipes.values(), self._child.pidfd):
            os.close(fd)


def _end(name: str, child: Child, entry: Entry) -> tuple[int, str]:
    """End it with all that it has started; returns its exit code and signal."""
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
>>>>>>> main
