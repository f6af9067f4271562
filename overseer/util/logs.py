"""The server's own log: lines on stderr that begin with their level.

Even if stderr is a pipe without a reader or a journal that hangs, nobody who logs waits for it: a thread
writes. Lines that do not fit are dropped, and their number is logged in their place.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import queue
import signal
import sys
import threading
from collections import deque
from typing import BinaryIO, TextIO

from overseer.util.files import write_some
from overseer.util.threads import start_thread

# The journal takes `<N>` in front of a line for its priority, see sd-daemon(3).
_PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}

_PIECES = 1000  # that may wait to be written; mostly one per line
_PIECE = 8 * 1024  # characters; longer ones are cut
_STUCK_S = 0.5  # without progress, after which the end no longer waits


def set_up_logging() -> Stderr:
    """Log to stderr, from INFO up. To be called once, by the program; see :class:`Stderr`."""
    stderr = Stderr()
    handler = logging.StreamHandler()
    handler.setFormatter(_Formatter(journal=_goes_to_the_journal()))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    return stderr


def settle_log(seconds: float) -> None:
    """Wait until what was logged has been written, for at most so many seconds."""
    if _current is not None:
        _current.settle(seconds)


def lines_dropped() -> int:
    """How many lines were dropped on their way to stderr."""
    return _current.dropped if _current is not None else 0


class Stderr(io.TextIOBase):
    """Replaces ``sys.stderr``, so that nothing that writes to it waits: logs, tracebacks, drivers.

    What is written before :meth:`start` is kept until then. If ``sys.stderr`` is not the process's own, it is
    left alone.
    """

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self) -> None:
        global _current
        super().__init__()
        # Reentrant: a finalizer may write in the middle of anything, whichever lock is held.
        self._pieces: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        # Guards the two below; reentrant for the same reason.
        self._counting = threading.RLock()
        self._dropped = 0
        self._unsaid = 0
        self._written = 0  # bytes; the writer's own
        self._marks: deque[threading.Event] = deque()  # each set when the thread comes to an empty piece
        self._thread: threading.Thread | None = None
        self._closed = False
        self._before: TextIO | None = sys.stderr
        if sys.stderr is sys.__stderr__:
            sys.stderr = self
        _current = self

    @property
    def dropped(self) -> int:
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
        """The process's own stderr, for writing bytes, which waits."""
        if self._before is None:
            raise AttributeError("stderr is closed")
        return self._before.buffer

    def start(self) -> None:
        """Start the writer, once there may be a second thread."""
        if self._thread is None and sys.stderr is self:
            with contextlib.suppress(RuntimeError):  # no more threads
                self._thread = start_thread(self._run, "stderr")

    def settle(self, seconds: float) -> None:
        """Wait until what was logged has been written, for at most so many seconds."""
        over = threading.Event()
        if self._thread is not None and not self._closed:
            self._marks.append(over)
            self._pieces.put(b"")
            over.wait(seconds)

    def end(self) -> None:
        """Write what is left, as long as that makes progress, and restore the former stderr. Idempotent."""
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
        """Wait for the writer's end as long as it makes progress; returns whether it ended."""
        assert self._thread is not None
        before = -1
        while self._thread.is_alive() and self._written != before:
            before = self._written
            self._thread.join(_STUCK_S)
        return not self._thread.is_alive()

    def _run(self) -> None:
        # A terminal with `stty tostop` would stop a background process that writes to it.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
        while (piece := self._pieces.get()) is not None:
            if not piece and self._marks:
                self._marks.popleft().set()
            self._write_all(piece)
            if self._pieces.empty() and (unsaid := self._take_unsaid()):
                self._write_all(unsaid)
        if unsaid := self._take_unsaid():
            self._write_all(unsaid)

    def _write_all(self, piece: bytes) -> None:
        rest = memoryview(piece)
        while rest:
            try:
                count = write_some(2, rest)
            except OSError:  # the reader has gone, or the disk is full
                self._drop()
                return
            rest = rest[count:]
            self._written += count

    def _drop(self) -> None:
        with self._counting:
            self._dropped += 1
            self._unsaid += 1

    def _take_unsaid(self) -> bytes:
        """A line with the number of lines dropped since the last such line, if any were."""
        if not self._unsaid:
            return b""
        with self._counting:
            count, self._unsaid = self._unsaid, 0
        lines = "1 line" if count == 1 else f"{count} lines"
        return f"warning: {lines} did not fit here and were dropped\n".encode() if count else b""


_current: Stderr | None = None


class _Formatter(logging.Formatter):
    def __init__(self, *, journal: bool) -> None:
        super().__init__()
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        priority = f"<{_PRIORITIES.get(record.levelno, 6)}>" if self._journal else ""
        # Text from clients must neither look like another entry nor affect a terminal.
        first, *rest = map(printable, super().format(record).split("\n"))
        entry = [f"{record.levelname.lower()}: {first}", *(f"  {line}" for line in rest)]
        return "\n".join(priority + line for line in entry)


def printable(line: str) -> str:
    """The line with unprintable characters escaped (``\\x1b``), except tabs."""
    if line.isprintable():
        return line
    shown = (char if char.isprintable() or char == "\t" else _escaped(char) for char in line)
    return "".join(shown)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode()


def _goes_to_the_journal() -> bool:
    """Whether stderr is the stream that systemd opened, and has not been redirected since."""
    try:
        found = os.fstat(sys.stderr.fileno())
    except (OSError, AttributeError, ValueError):  # closed, or replaced by something that is not a file
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"
