"""A server's logs: their writer, their readers, and their retention."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from typing import TypeVar
from weakref import WeakValueDictionary

from overseer.config.storage import StorageConfig
from overseer.logs.directory import name_of, task_of
from overseer.logs.disk_threads import DiskThreads
from overseer.logs.listing import Listings
from overseer.logs.reader import LogReader
from overseer.logs.retention import LogRetention
from overseer.logs.tasklog import TaskLog
from overseer.util.hung_threads import ReplaceableThreads
from overseer.util.locks import Rank, assert_none_held, lock
from overseer.util.threads import answer

_T = TypeVar("_T")

_READERS = 2
_READ_S = 10.0  # how long a read may take
_HUNG_READ_S = 2.0  # the same while the disk is known not to respond
_HANGS = "the logs' disk does not respond"


class Logs:
    """The logs in ``root``. Thread-safe; threads are started only when there is something to do.

    Args:
        root: need not exist yet, but its parent must.
        ours: whether its parent is this server's, and not one that another has made in its place.
    """

    def __init__(
        self, root: str, settings: StorageConfig, ours: Callable[[], bool] = lambda: True
    ) -> None:
        self.root = os.path.abspath(root)  # noqa: PTH100
        self._threads = DiskThreads()
        self._readers = ReplaceableThreads("log-reader", _READERS)
        self._retention = LogRetention(self.root, settings, self._log, ours)
        self._listings = Listings()
        self._lock = lock(Rank.LEAF, "logs")  # guards the fields below
        self._logs: WeakValueDictionary[str, TaskLog] = WeakValueDictionary()

    def start(self) -> None:
        """Begin to keep existing logs within their bounds."""
        self._retention.start()

    def close(self) -> None:
        """Stop all writing and reading."""
        with self._lock:
            logs = list(self._logs.values())
        for log in logs:
            log.rest()
        self._readers.close()
        self._threads.close()
        self._retention.close()

    @property
    def settings(self) -> StorageConfig:
        return self._retention.settings

    @settings.setter
    def settings(self, settings: StorageConfig) -> None:
        self._retention.settings = settings
        self._retention.look_at_everything()

    @property
    def size(self) -> int:
        """Bytes of all logs, as far as known."""
        return self._retention.total

    @property
    def lost(self) -> int:
        """The number of lines that clients were sent but no log has."""
        return self._threads.lost

    def gauges(self) -> Mapping[str, tuple[str, float]]:
        """For monitoring: help text and value, by name."""
        return {"log_bytes": ("Size of the logs of all tasks", self.size)}

    def counters(self) -> Mapping[str, tuple[str, float]]:
        """The same for counters."""
        lost = "Lines missing from logs because the disk was full, slow or failing"
        return {"log_lost_lines": (lost, self.lost)}

    def log_of(self, task_id: str) -> TaskLog:
        """A task's log, for writing: the same object for all callers while any of them keeps it."""
        return self._log(self.directory_of(task_id), task_id)

    def reader_of(self, task_id: str) -> LogReader:
        """A reader of a task's log, to be used on the readers' threads."""
        directory = self.directory_of(task_id)
        with self._lock:
            log = self._logs.get(directory)
        if log is None:
            return LogReader(directory, self._listings)
        return LogReader(directory, self._listings, lambda: log.growing)

    def directory_of(self, task_id: str) -> str:
        return f"{self.root}/{name_of(task_id)}"

    def forget(self, last_seqs: Mapping[str, int]) -> None:
        """Allow lines to be removed: each task's up to that seq. Never blocks."""
        self._retention.forget({self.directory_of(task): seq for task, seq in last_seqs.items()})

    def read(self, work: Callable[[], _T]) -> _T:
        """Do some reading on a reader's thread.

        Raises:
            TimeoutError: the disk does not respond.
            Exception: whatever ``work`` raises.
        """
        assert_none_held("reading a log")
        found: Future[_T] = Future()

        def hangs() -> None:
            found.set_exception(TimeoutError(_HANGS))

        self._readers.do(lambda: answer(found, lambda: self.read_here(work, hangs)))
        if not wait([found], _HUNG_READ_S if self._threads.hang else _READ_S).done:
            raise TimeoutError(_HANGS)
        return found.result()

    def read_here(self, work: Callable[[], _T], late: Callable[[], None]) -> _T:
        """Do some reading within a job of :meth:`read_later`.

        Args:
            late: called, should it hang, by the thread that does the next jobs instead.

        Raises:
            OSError: the disk does not respond.
            Replaced: ``late`` has been called.
            Exception: whatever ``work`` raises.
        """
        return self._threads.read(work, _READ_S, late)

    def read_later(self, job: Callable[[], None]) -> None:
        """Have a job done on one of the readers' threads.

        Raises:
            RuntimeError: the system allows no more threads.
        """
        self._readers.do(job)

    def _log(self, directory: str, task_id: str = "") -> TaskLog:
        with self._lock:
            log = self._logs.get(directory)
        if log is not None:
            return log
        made = TaskLog(task_id or task_of(directory), directory, self._threads, self._retention)
        with self._lock:
            return self._logs.setdefault(directory, made)
