"""The event log: every task event as one line of JSON, in the order clients see them.

Events are appended to a queue under the task's lock; a thread of its own writes them, so that a slow or full
disk never holds up a task. What does not fit is dropped and counted, with one warning until it works again.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from pathlib import Path

from overseer.locks import Rank, lock
from overseer.net.frames import Message

__all__ = ["EventLog"]

_log = logging.getLogger(__name__)

# Bytes waiting for the disk before events are dropped.
_BUFFER = 32 * 1024 * 1024


class EventLog:
    """Appends to the file ``path``; an empty path makes a log that is off.

    Args:
        name: what warnings and the thread call it.
        mode: permissions of a file that is made.
    """

    def __init__(self, path: str = "", name: str = "event log", mode: int = 0o640) -> None:
        self.enabled = bool(path)
        self._path = Path(path)
        self._name = name
        self._mode = mode
        # Guards the fields below; notified when there is something to write, to reopen or to close.
        self._wanted = threading.Condition(lock(Rank.LEAF, name))
        self._queue: deque[bytes] = deque()
        self._queued = 0  # bytes in the queue
        self._dropped = 0  # events lost since the last successful write
        self._reopen = False
        self._closed = False
        self._thread: threading.Thread | None = None
        self._file: int | None = None  # the writer thread's own, once it runs
        # The writer thread's own as well: a warning has been given; the file ends within a line.
        self._failing = False
        self._torn = False

    def start(self) -> None:
        """Open the file and start the writer.

        Raises:
            OSError: the file cannot be opened for appending.
        """
        if not self.enabled:
            return
        self._file = self._open()
        self._thread = threading.Thread(target=self._run, name=self._name.replace(" ", "-"), daemon=True)
        self._thread.start()

    def write(self, message: Message) -> None:
        """Queue a message or a batch; never waits. Does nothing when the log is off."""
        if self.enabled:
            self.write_lines(message.lines)

    def write_lines(self, data: bytes) -> None:
        """Queue whole lines of JSON; never waits. Only when the log is on."""
        with self._wanted:
            if self._closed or self._queued + len(data) > _BUFFER:
                self._dropped += data.count(b"\n")
                return
            self._queue.append(data)
            self._queued += len(data)
            self._wanted.notify()

    def reopen(self) -> None:
        """Open the path anew before the next write, for log rotation."""
        with self._wanted:
            self._reopen = True
            self._wanted.notify()

    def close(self, timeout: float = 2.0) -> None:
        """Write what is queued, for at most ``timeout`` seconds, and end the thread. Idempotent."""
        with self._wanted:
            self._closed = True
            self._wanted.notify()
        if self._thread is not None:
            self._thread.join(timeout)

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, self._mode)

    def _run(self) -> None:
        while True:
            with self._wanted:
                self._wanted.wait_for(lambda: self._queue or self._reopen or self._closed)
                data = b"".join(self._queue)
                self._queue.clear()
                self._queued = 0
                reopen, self._reopen = self._reopen, False
                closed = self._closed
            if reopen and self._file is not None:
                os.close(self._file)
                self._file = None
            if data:
                self._write(data)
            if closed:
                if self._file is not None:
                    os.close(self._file)
                return

    def _write(self, data: bytes) -> None:
        written = 0
        try:
            if self._file is None:
                self._file = self._open()
                self._torn = self._torn and os.fstat(self._file).st_size > 0
            if self._torn:  # what follows must not become part of the line that the disk was full within
                os.write(self._file, b"\n")
                self._torn = False
            with memoryview(data) as view:
                while written < len(data):
                    written += os.write(self._file, view[written:])
        except OSError as error:
            self._torn = self._torn or (written > 0 and data[written - 1] != ord("\n"))
            with self._wanted:
                self._dropped += data.count(b"\n", written)
            if not self._failing:
                self._failing = True
                _log.warning(
                    "%s %s: %s; events are dropped until it can be written", self._name, self._path, error
                )
            return
        with self._wanted:
            dropped, self._dropped = self._dropped, 0
        if dropped:
            _log.warning("%s %s: %d events were dropped", self._name, self._path, dropped)
        self._failing = False
