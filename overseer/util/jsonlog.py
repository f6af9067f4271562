"""A file of JSON lines: the event log (every task event, in the order in which clients see it) or the audit.

Events are queued, under the task's lock; a separate thread encodes and writes them, so that neither that nor
a slow or full disk holds up a task. Events that do not fit are dropped and counted, with one warning until
writing works again.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from pathlib import Path
from typing import Protocol

from overseer.util.files import open_to_append, write_some
from overseer.util.locks import Rank, lock
from overseer.util.threads import start_thread

_log = logging.getLogger(__name__)

_BUFFER = 32 * 1024 * 1024  # bytes, roughly, that may wait for the disk before events are dropped


class Loggable(Protocol):
    """One or more messages."""

    @property
    def lines(self) -> bytes:
        """As newline-delimited JSON."""


class EventLog:
    """Appends events to the file ``path``; off when the path is empty.

    Args:
        name: its name in warnings, and its thread's.
        mode: permissions of a new file.
    """

    def __init__(self, path: str = "", name: str = "event log", mode: int = 0o640) -> None:
        self.enabled = bool(path)
        self._path = Path(path)
        self._name = name
        self._mode = mode
        # Guards the fields below; notified when there is something for the writer to do.
        self._wanted = threading.Condition(lock(Rank.LEAF, name))
        self._queue: deque[Loggable] = deque()
        self._queued = 0  # its size in bytes, roughly
        self._dropped = 0  # events lost since the last successful write
        self._writing = False  # what was queued is being written
        self._reopen = False
        self._closed = False
        self._thread: threading.Thread | None = None
        self._file: int | None = None  # the writer thread's own, once it runs
        # The writer thread's own too: a warning has been given; the file ends in an incomplete line.
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
        self._thread = start_thread(self._run, self._name.replace(" ", "-"))

    def write(self, message: Loggable, size: int, count: int = 1) -> None:
        """Queue a message, or a batch of ``count``; never waits. Only when the log is on.

        Args:
            message: its lines are taken on the writer's thread.
            size: about how many bytes they have.
        """
        with self._wanted:
            if self._closed or self._queued + size > _BUFFER:
                self._dropped += count
                return
            self._queue.append(message)
            self._queued += size
            self._wanted.notify()

    def reopen(self) -> None:
        """Reopen the path before the next write, for log rotation."""
        with self._wanted:
            self._reopen = True
            self._wanted.notify()

    def settle(self, timeout: float) -> None:
        """Wait until what is queued has been written, for at most so many seconds."""
        if self._thread is not None:
            with self._wanted:
                self._wanted.wait_for(lambda: not (self._queue or self._writing), timeout)

    def close(self, timeout: float = 2.0) -> None:
        """Write what is queued, for at most ``timeout`` seconds, and end the thread. Idempotent."""
        with self._wanted:
            self._closed = True
            self._wanted.notify()
        if self._thread is not None:
            self._thread.join(timeout)

    def _open(self) -> int:
        return open_to_append(str(self._path), self._mode)

    def _run(self) -> None:
        try:
            self._write_until_closed()
        except BaseException:
            _log.exception("%s %s: writing has failed for good", self._name, self._path)
            with self._wanted:
                self._closed = True
                self._queue.clear()
            self._close_file()

    def _write_until_closed(self) -> None:
        while True:
            with self._wanted:
                self._wanted.wait_for(lambda: self._queue or self._reopen or self._closed)
                queue, self._queue = self._queue, deque()
                self._queued = 0
                self._writing = True
                reopen, self._reopen = self._reopen, False
                closed = self._closed
            if reopen:
                self._close_file()
            if queue:
                self._write_all(queue)
            with self._wanted:
                self._writing = False
                self._wanted.notify_all()
            if closed:
                self._close_file()
                return

    def _write_all(self, messages: deque[Loggable]) -> None:
        try:
            data = b"".join([message.lines for message in messages])
        except Exception as error:  # most likely out of memory, so later ones may succeed
            with self._wanted:
                self._dropped += len(messages)
            self._warn(error)
            return
        self._write(data)

    def _close_file(self) -> None:
        if self._file is None:
            return
        file, self._file = self._file, None  # closed even when close fails
        try:
            os.close(file)
        except OSError as error:  # a late write error, from a network or a quota
            self._warn(error)

    def _write(self, data: bytes) -> None:
        written = 0
        try:
            if self._file is None:
                self._file = self._open()
                self._torn = self._torn and os.fstat(self._file).st_size > 0
            if self._torn:  # the next line must not continue the one during which the disk filled up
                write_some(self._file, b"\n")
                self._torn = False
            with memoryview(data) as view:
                while written < len(data):
                    written += write_some(self._file, view[written:])
        except OSError as error:
            self._torn = self._torn or (written > 0 and data[written - 1] != ord("\n"))
            with self._wanted:
                self._dropped += data.count(b"\n", written)
            self._warn(error)
            return
        with self._wanted:
            dropped, self._dropped = self._dropped, 0
        if dropped:
            _log.warning("%s %s: %d events were dropped", self._name, self._path, dropped)
        self._failing = False

    def _warn(self, error: Exception) -> None:
        if not self._failing:
            self._failing = True
            _log.warning(
                "%s %s: %s; events are dropped until it can be written",
                self._name,
                self._path,
                str(error) or type(error).__name__,
                exc_info=not isinstance(error, OSError),
            )
