"""The one thread that writes the database; it commits queued statements in groups.

Callers that need a row stored wait for it, but only briefly, and not at all while the disk is known to fail
or hang. Statements that could not be written are kept and retried until there are too many; then rows are
lost and counted, with a single message.
"""

from __future__ import annotations

import logging
import math
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from overseer.errors import OverseerError
from overseer.history.file import DatabaseFile
from overseer.history.transaction import Statement, transaction
from overseer.util.locks import Rank, assert_held, assert_none_held, lock
from overseer.util.threads import start_thread

_log = logging.getLogger(__name__)

_MOST = 20_000  # statements that may wait for the disk
_TOGETHER = 1000  # statements per transaction
_PATIENCE_S = 0.2  # how long a caller waits for a row to be stored
_HANGS_S = 1.0  # a disk that takes longer is reported as failing
_CALM_S = 10.0  # without delays before a disk is called well again, so that the log does not flap
_UNTIDY_S = 60.0  # without a failure before one of the housekeeping is logged again
_AGAIN_S = 1.0  # between tries of a disk that failed
_CHECKPOINT = 4 * 2**20  # size in bytes at which the write-ahead log is copied into the database

# Why something was announced before it was stored, or is not stored at all.
_CLOSED = "is closed already: what happens now is not recorded"
_FULL = f"is so slow or failing that {_MOST} changes wait for it: further ones are lost"
_SLOW = "is slow: runs go on, and are announced before they are recorded"

# Caused by a statement, not the disk, so a retry would be futile.
_UNSTORABLE = (
    sqlite3.IntegrityError,
    sqlite3.ProgrammingError,
    sqlite3.DataError,
    sqlite3.InterfaceError,
    ValueError,
    OverflowError,
)


class Writer:
    """Queues statements and commits them. Thread-safe.

    Args:
        tend: does a little housekeeping; returns in how many seconds to call it again.
    """

    def __init__(
        self, database: DatabaseFile, name: str, tend: Callable[[sqlite3.Connection], float]
    ) -> None:
        self._database = database
        self._name = name
        self._tend = tend
        self._thread: threading.Thread | None = None
        self._lock = lock(Rank.LEAF, "history")  # guards the fields below
        self._wanted = threading.Condition(self._lock)  # notified when there is something to do
        self._stored = threading.Condition(self._lock)  # notified when something is stored, or cannot be
        self._queue: deque[tuple[Statement, ...]] = deque()  # each is stored as a whole, or not at all
        self._put = 0  # statements queued so far
        self._done = 0  # of those, how many have been stored or given up
        self._busy_since = 0.0  # monotonic; 0: it is not writing
        self._failing = ""  # why nothing can be written; "" if it can
        self._told_failing = False
        self._failed_at = -math.inf  # the last time, monotonic
        self._well_at = -math.inf  # when it was last said to be well again, monotonic
        self._relapsed = False  # it failed soon after that: it is not called well at once again
        self._told: set[str] = set()  # what was logged since it was last well
        self._late_at = 0.0  # when a change was last not stored in time, monotonic
        self._closed = False
        self._tend_at = 0.0  # monotonic
        self.written = 0
        self.lost = 0
        self.unrecorded = 0  # how often a wait for a row timed out
        self._lost_before = 0  # when it was last well
        # Used by the thread alone.
        self._tidy_after = 0.0  # no housekeeping before, monotonic
        self._untidy_at = -math.inf  # when housekeeping last failed, monotonic
        self._checkpoint_at = _CHECKPOINT  # size of the log

    def start(self, fatal: tuple[type[Exception], ...] = ()) -> None:
        """Connect, and start the thread; a failed connection is retried later.

        Raises:
            fatal: these exceptions from connecting, which a retry would not mend.
            RuntimeError: the system allows no more threads.
        """
        try:
            self._database.connect()
        except fatal:
            raise
        except Exception as error:
            self._failed(error)
        self._thread = start_thread(self._run, "history")

    @property
    def failing(self) -> bool:
        """Whether nothing can be written now."""
        with self._lock:
            return bool(self._failing) or self._hangs_locked(_HANGS_S)

    @property
    def waiting(self) -> int:
        """The number of statements that wait."""
        with self._lock:
            return self._put - self._done

    def put(self, *statements: Statement) -> int:
        """Queue statements that are stored in one transaction; never blocks. Returns a ticket for
        :meth:`wait`, or 0 if they are lost."""
        with self._lock:
            if self._closed or self._put - self._done >= _MOST:
                self.lost += len(statements)
                return 0
            self._queue.append(statements)
            self._put += len(statements)
            self._wanted.notify()
            return self._put

    def wait(self, ticket: int, patience: float = _PATIENCE_S) -> bool:
        """Wait until the ticket's statements are stored; False if they are not, or not in time."""
        assert_none_held("waiting for the history")
        with self._lock:
            if ticket and self._wait_locked(ticket, patience):
                return True
            self.unrecorded += 1
            self._late_at = time.monotonic()
            news = self._news_locked(ticket)
        if news:
            _log.warning("%s %s", self._name, news)
        return False

    def _news_locked(self, ticket: int) -> str:
        """What is to be logged of a change that is not stored, or not in time."""
        assert_held(self._lock)
        news = _SLOW if ticket else _CLOSED if self._closed else _FULL
        if news in self._told or (ticket and self._failing):  # which was logged
            return ""
        self._told.add(news)
        return news

    def settle(self, patience: float) -> None:
        """Wait until everything queued so far is stored, if it can be."""
        with self._lock:
            self._wait_locked(self._put, patience)

    def _wait_locked(self, ticket: int, patience: float) -> bool:
        """Whether so many statements are stored, in time; for a disk that fails or hangs nobody waits."""
        assert_held(self._lock)
        if not self._hangs_locked(patience):
            self._stored.wait_for(lambda: self._done >= ticket or bool(self._failing), patience)
        return self._done >= ticket

    def _hangs_locked(self, patience: float) -> bool:
        assert_held(self._lock)
        return self._busy_since > 0 and time.monotonic() - self._busy_since > patience

    def tend_within(self, seconds: float) -> None:
        """Have ``tend`` called by then."""
        with self._lock:
            self._tend_at = min(self._tend_at, time.monotonic() + seconds)
            self._wanted.notify()

    def close(self, timeout: float = 2.0) -> None:
        """Write what is queued, for at most ``timeout`` seconds, and end the thread. Idempotent."""
        with self._lock:
            self._closed = True
            self._wanted.notify()
        if self._thread is not None:
            self._thread.join(timeout)
            if left := self.waiting:
                _log.error("%s: %d changes could not be written before the end", self._name, left)

    def _run(self) -> None:
        while (batch := self._next()) is not None:
            try:
                connection = self._write(batch)
            except Exception as error:
                self._failed(error)
                with self._lock:
                    if self._wanted.wait_for(lambda: self._closed, _AGAIN_S):
                        break
            else:
                self._keep_tidy(connection)
        try:
            self._database.close()
        except sqlite3.Error as error:
            _log.warning("%s: %s", self._name, error)

    def _next(self) -> list[tuple[Statement, ...]] | None:
        """The next batch to write; empty when housekeeping is due, None at the end."""
        with self._lock:
            while not self._queue:
                wait = self._tend_at - time.monotonic()
                if self._closed:
                    return None
                if wait <= 0:
                    return []
                self._wanted.wait(wait)
            # The batch stays queued until it is stored.
            batch, size = [], 0
            for together in self._queue:
                batch.append(together)
                size += len(together)
                if size >= _TOGETHER:
                    break
            return batch

    def _write(self, batch: list[tuple[Statement, ...]]) -> sqlite3.Connection:
        """Store a batch; returns the connection that has done so. Raises on disk errors."""
        dropped = 0
        with self._busy():
            connection = self._database.connect()
            if batch:
                dropped = _store(connection, batch, self._name)
        size = sum(map(len, batch))
        with self._lock:
            for _ in batch:
                self._queue.popleft()
            self._done += size
            self.written += size - dropped
            self.lost += dropped
            level, news = self._recovered_locked()
            self._stored.notify_all()
        if news:
            _log.log(level, "%s %s", self._name, news)
        return connection

    def _recovered_locked(self) -> tuple[int, str]:
        """Note that something was stored; returns a level and what is to be logged if all is well again."""
        assert_held(self._lock)
        self._failing = ""
        now = time.monotonic()
        failed = self._told_failing
        if failed and self._relapsed and now - self._failed_at <= _CALM_S:
            self._tend_at = min(self._tend_at, now + _CALM_S)
            return logging.NOTSET, ""
        if not failed and now - self._late_at <= _CALM_S:
            return logging.NOTSET, ""
        if failed:
            self._told_failing, self._well_at = False, now
        was_slow = not self._told.isdisjoint((_SLOW, _FULL))
        self._told -= {_SLOW, _FULL}
        lost, self._lost_before = self.lost - self._lost_before, self.lost
        if not failed and not was_slow:
            return logging.NOTSET, ""
        level = logging.WARNING if failed or lost else logging.INFO
        news = "can be written again" if failed else "is no longer slow"
        return level, f"{news}; {lost} changes were lost"

    def _keep_tidy(self, connection: sqlite3.Connection) -> None:
        """Between batches, do what is due. A failure stops no writing, and is tried again later."""
        if time.monotonic() < self._tidy_after:
            return
        try:
            self._between(connection)
        except Exception as error:
            now = time.monotonic()
            if now - self._untidy_at > _UNTIDY_S:  # on a full disk, every other try may succeed
                self._log_failure("%s: housekeeping failed, and is tried again: %s", error)
            self._untidy_at = now
            self._tidy_after = now + _AGAIN_S
            with suppress(sqlite3.Error):
                self._database.disconnect(error)
            with self._lock:
                self._tend_at = self._tidy_after

    def _between(self, connection: sqlite3.Connection) -> None:
        """Between batches: checkpoint the write-ahead log, and do housekeeping."""
        with self._busy():
            if self._database.measure() > self._checkpoint_at:
                # This empties the log unless it is being read; then it is tried again after as much growth.
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
                self._checkpoint_at = self._database.measure() + _CHECKPOINT
            with self._lock:
                due = time.monotonic() >= self._tend_at
                if due:
                    self._tend_at = math.inf  # unless tend_within asks for it sooner
            if due:
                self.tend_within(self._tend(connection))

    @contextmanager
    def _busy(self) -> Iterator[None]:
        """Around whatever may wait for the disk: callers do not wait when it has taken too long already."""
        with self._lock:
            self._busy_since = time.monotonic()
        try:
            yield
        finally:
            with self._lock:
                self._busy_since = 0.0

    def _failed(self, error: Exception) -> None:
        with suppress(sqlite3.Error):  # already known to fail
            self._database.disconnect(error)
        with self._lock:
            self._tend_at = 0.0  # so that it is retried even with nothing to write
            self._failing = str(error) or type(error).__name__
            self._failed_at = time.monotonic()
            first = not self._told_failing
            if first:
                self._told_failing = True
                self._relapsed = self._failed_at - self._well_at <= _CALM_S
            self._stored.notify_all()
        if first:
            self._log_failure("%s: %s; runs go on, and will be recorded when it can be written", error)

    def _log_failure(self, message: str, error: Exception) -> None:
        expected = isinstance(error, sqlite3.Error | OverseerError | OSError)
        _log.warning(message, self._name, error, exc_info=not expected)


def _store(connection: sqlite3.Connection, batch: list[tuple[Statement, ...]], name: str) -> int:
    """Commit a batch; returns how many of its statements can never be stored.

    Raises:
        sqlite3.Error: nothing of it has been stored.
    """
    try:
        with transaction(connection):
            for together in batch:
                for statement in together:
                    connection.execute(*statement)
    except _UNSTORABLE:
        return _store_each(connection, batch, name)
    return 0


def _store_each(connection: sqlite3.Connection, batch: list[tuple[Statement, ...]], name: str) -> int:
    """Commit those of a batch that can be stored."""
    dropped = 0
    with transaction(connection):
        for together in batch:
            connection.execute("SAVEPOINT together")
            try:
                for statement in together:
                    connection.execute(*statement)
            except _UNSTORABLE as error:
                connection.execute("ROLLBACK TO together")
                dropped += len(together)
                _log.error("%s: a change cannot be stored: %s", name, error)
            connection.execute("RELEASE together")
    return dropped
