"""The server's own log: lines on stderr that begin with their level.

Whatever stderr is, a pipe that nobody reads or a journal that hangs, nothing here waits for it: what is to be
said is handed to a thread that writes it. What finds no room is dropped and counted, and the count is said
where the lines would have been.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import queue
import select
import signal
import sys
import threading
from typing import BinaryIO, TextIO

from overseer.util.threads import start_thread

# The journal takes `<N>` in front of a line for its priority, see sd-daemon(3).
_PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}

_PIECES = 1000  # that wait to be written; mostly a line each
_PIECE = 8 * 1024  # characters; of a longer one the rest goes
_STUCK_S = 0.5  # without a byte being taken, after which the end does not wait any more


def set_up_logging() -> Stderr:
    """Log to stderr, from INFO up. To be called once, by the program; see :class:`Stderr`."""
    stderr = Stderr()
    handler = logging.StreamHandler()
    handler.setFormatter(_Formatter(journal=_goes_to_the_journal()))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    return stderr


def lines_dropped() -> int:
    """How many lines found no room on their way to stderr."""
    return _current.dropped if _current is not None else 0


class Stderr(io.TextIOBase):
    """Takes the place of ``sys.stderr``, so that nobody who says something waits: logs, tracebacks, drivers.

    What is said before :meth:`start` is kept until then. Where something else than the process's own stderr
    is in that place already, it is left there.
    """

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self) -> None:
        global _current
        super().__init__()
        # May be put into from anywhere: a finalizer that complains interrupts whoever has whichever lock.
        self._pieces: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        # Guards the two below; for the same reason one that may be entered again.
        self._counting = threading.RLock()
        self._dropped = 0
        self._unsaid = 0
        self._written = 0  # bytes; the writer's own
        self._thread: threading.Thread | None = None
        self._closed = False
        self._before: TextIO | None = sys.stderr
        if sys.stderr is sys.__stderr__:
            sys.stderr = self
        _current = self

    @property
    def dropped(self) -> int:
        """How many pieces found no room."""
        return self._dropped

    def write(self, text: str) -> int:
        piece = text[:_PIECE].encode(self.encoding, self.errors)
        if self._closed or self._pieces.qsize() >= _PIECES:
            self._drop()
            return len(text)
        if unsaid := self._take_unsaid():
            self._pieces.put(unsaid)
        self._pieces.put(piece)
        return len(text)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return 2

    def isatty(self) -> bool:
        return os.isatty(2)

    @property
    def buffer(self) -> BinaryIO:
        """The process's own stderr, for whoever has bytes to write, and waits."""
        if self._before is None:
            raise AttributeError("stderr is closed")
        return self._before.buffer

    def start(self) -> None:
        """Begin to write, once there may be a second thread."""
        if self._thread is None and sys.stderr is self:
            with contextlib.suppress(RuntimeError):  # no more threads
                self._thread = start_thread(self._run, "stderr")

    def end(self) -> None:
        """Write what is left, unless nobody takes it, and put the former stderr back. Idempotent."""
        if self._closed:
            return
        if sys.stderr is self:
            self.start()
            self._closed = True
            self._pieces.put(None)
            if self._thread is None:
                self._run()
            elif self._wait():
                sys.stderr = self._before if self._before is not None else sys.__stderr__

    def _wait(self) -> bool:
        """Whether the writer came to its end; gives up when nothing is taken any more."""
        assert self._thread is not None
        before = -1
        while self._thread.is_alive() and self._written != before:
            before = self._written
            self._thread.join(_STUCK_S)
        return not self._thread.is_alive()

    def _run(self) -> None:
        # A terminal with `stty tostop` would stop a process in the background that writes to it.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
        while (piece := self._pieces.get()) is not None:
            self._write_all(piece)
            if self._pieces.empty() and (unsaid := self._take_unsaid()):
                self._write_all(unsaid)
        if unsaid := self._take_unsaid():
            self._write_all(unsaid)

    def _write_all(self, piece: bytes) -> None:
        rest = memoryview(piece)
        while rest:
            try:
                count = os.write(2, rest)
            except BlockingIOError:  # it came in non-blocking mode
                poll = select.poll()
                poll.register(2, select.POLLOUT)
                poll.poll()
                continue
            except OSError:  # nobody is there any more, or the disk is full
                self._drop()
                return
            rest = rest[count:]
            self._written += count

    def _drop(self) -> None:
        with self._counting:
            self._dropped += 1
            self._unsaid += 1

    def _take_unsaid(self) -> bytes:
        """The line that says how many were dropped, once; nothing where none was."""
        if not self._unsaid:
            return b""
        with self._counting:
            count, self._unsaid = self._unsaid, 0
        lines = "1 line" if count == 1 else f"{count} lines"
        return f"warning: {lines} found no room here and went unsaid\n".encode() if count else b""


_current: Stderr | None = None


class _Formatter(logging.Formatter):
    def __init__(self, *, journal: bool) -> None:
        super().__init__()
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        priority = f"<{_PRIORITIES.get(record.levelno, 6)}>" if self._journal else ""
        # What comes from clients must not look like another entry, nor do anything to a terminal.
        first, *rest = map(printable, super().format(record).split("\n"))
        entry = [f"{record.levelname.lower()}: {first}", *(f"  {line}" for line in rest)]
        return "\n".join(priority + line for line in entry)


def printable(line: str) -> str:
    """The line with what is not to be seen written as an escape, ``\\x1b``; tabs stay."""
    if line.isprintable():
        return line
    shown = (char if char.isprintable() or char == "\t" else _escaped(char) for char in line)
    return "".join(shown)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode()


def _goes_to_the_journal() -> bool:
    """Whether stderr is the stream that systemd has opened, and not something it was redirected to since."""
    try:
        found = os.fstat(sys.stderr.fileno())
    except (OSError, AttributeError, ValueError):  # closed, or replaced by what is no file
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"
