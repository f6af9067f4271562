"""A server's logs: who writes them, who reads them, and who keeps them within their bounds."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import TypeVar
from weakref import WeakValueDictionary

from overseer.config.storage import StorageConfig
from overseer.logs.directory import name_of, task_of
from overseer.logs.hands import Hands
from overseer.logs.keeper import Keeper
from overseer.logs.reader import LogReader
from overseer.logs.tasklog import TaskLog
from overseer.util.locks import Rank, assert_none_held, lock
from overseer.util.threads import start_thread

_T = TypeVar("_T")

_READERS = 2
_READ_S = 10.0  # that somebody waits for a disk to read from


class Logs:
    """The logs in ``root``; safe from any thread. No thread is started before there is something to do.

    Args:
        root: need not be there yet; the directory it is in must be.
    """

    def __init__(self, root: str, settings: StorageConfig) -> None:
        self.root = os.path.abspath(root)  # noqa: PTH100
        self._hands = Hands()
        self._keeper = Keeper(self.root, settings, self._log_in)
        self._lock = lock(Rank.LEAF, "logs")  # guards what follows
        self._logs: WeakValueDictionary[str, TaskLog] = WeakValueDictionary()
        self._readers = 0
        self._reads: SimpleQueue[Callable[[], None] | None] = SimpleQueue()

    def start(self) -> None:
        """Begin to keep what is there within its bounds."""
        self._keeper.start()

    def close(self) -> None:
        """Nothing is written from now on, and nothing read."""
        with self._lock:
            logs, readers = list(self._logs.values()), self._readers
        for log in logs:
            log.rest()
        for _ in range(readers):
            self._reads.put(None)
        self._hands.close()
        self._keeper.close()

    @property
    def settings(self) -> StorageConfig:
        return self._keeper.settings

    @settings.setter
    def settings(self, settings: StorageConfig) -> None:
        self._keeper.settings = settings
        self._keeper.look_at_everything()

    @property
    def size(self) -> int:
        """Bytes of all logs, as far as is known."""
        return self._keeper.total

    @property
    def lost(self) -> int:
        """How many lines clients have and no log has."""
        return self._hands.lost

    def log_of(self, task_id: str) -> TaskLog:
        """The log of a task, for who writes it: the same one for all who ask, while one of them holds it."""
        return self._log(self.directory_of(task_id), lambda: task_id)

    def reader_of(self, task_id: str) -> LogReader:
        """For who reads it, on the readers' threads."""
        directory = self.directory_of(task_id)
        with self._lock:
            log = self._logs.get(directory)
        return LogReader(directory) if log is None else LogReader(directory, lambda: log.growing)

    def directory_of(self, task_id: str) -> str:
        return f"{self.root}/{name_of(task_id)}"

    def forget(self, task_id: str, last_seq: int) -> None:
        """Lines up to there are of no use any more. Never waits."""
        self._keeper.forget(self.directory_of(task_id), last_seq)

    def read(self, work: Callable[[], _T]) -> _T:
        """Have something read on a reader's thread.

        Raises:
            TimeoutError: the disk does not answer.
            Exception: whatever ``work`` raises.
        """
        assert_none_held("reading a log")
        results: list[_T] = []
        errors: list[BaseException] = []
        over = threading.Event()

        def job() -> None:
            try:
                results.append(work())
            except BaseException as error:
                errors.append(error)
            over.set()

        self.read_later(job)
        if not over.wait(_READ_S):
            raise TimeoutError("the disk that the logs are on does not answer")
        if errors:
            raise errors[0]
        return results[0]

    def read_later(self, job: Callable[[], None]) -> None:
        """Have ``job()``, which raises nothing, done on one of the readers' threads.

        Raises:
            RuntimeError: the system allows no more threads.
        """
        with self._lock:
            begin = self._readers < _READERS
            self._readers += begin
        if begin:
            try:
                start_thread(self._read, "log-reader")
            except RuntimeError:
                with self._lock:
                    self._readers -= 1
                if not self._readers:
                    raise
        self._reads.put(job)

    def _read(self) -> None:
        while (job := self._reads.get()) is not None:
            job()

    def _log_in(self, directory: str) -> TaskLog:
        return self._log(directory, lambda: task_of(directory))

    def _log(self, directory: str, task_id: Callable[[], str]) -> TaskLog:
        with self._lock:
            log = self._logs.get(directory)
        if log is not None:
            return log
        made = TaskLog(task_id(), directory, self._hands, self._keeper)
        with self._lock:
            return self._logs.setdefault(directory, made)
