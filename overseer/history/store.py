"""A server's history: opened at start-up, records every run, serves pages, closed at shutdown."""

from __future__ import annotations

import errno
import json
import logging
import os
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from overseer.config import StorageConfig
from overseer.history import rows
from overseer.history.database import NewerDatabaseError, open_database, put_back
from overseer.history.directory import DataDirectory, DirectoryInUseError
from overseer.history.marks import Marks
from overseer.history.moments import stored
from overseer.history.pages import Pages, Query
from overseer.history.records import Intent, Owed, Recorder, Run, RunEnd
from overseer.history.retention import Removed, Retention
from overseer.history.slots import SETTLE, Schedules, Slot, keep_schedules, keep_slot, load
from overseer.history.stats import Division, sums
from overseer.history.writer import Statement, Writer
from overseer.protocol import RetryPolicy, RunInfo, RunStats
from overseer.util.sqlite import open_db
from overseer.util.timestamps import now

_log = logging.getLogger(__name__)

_FILE = "overseer.db"
_BLOCK = 10_000  # line numbers reserved at once, at least
_FRESH_S = 1.0  # how long a reader waits for what happened before its request to be stored
_SLOT_S = 2.0  # how long the start of a slot waits for the slot to be stored
_TRIM_S = 0.5  # how long there may be too many runs

_LOST = (
    "UPDATE runs SET status = 'lost', reason = 'lost', failed = 1, ended = max(started, ?1), exit_code = -1, "
    "duration_ms = max(0, ?1 - started) / 1000 WHERE ended IS NULL AND server <> ?2"
)
_RESUMABLE = (
    "SELECT run_id, server, task_id, action, params, complete, policy FROM runs AS it WHERE resume "
    "AND server <> ? AND id = (SELECT max(id) FROM runs WHERE task_id = it.task_id) ORDER BY id"
)
_SUPERSEDED = (
    "UPDATE runs SET resume = 0 WHERE resume AND server <> ? AND id < "
    "(SELECT max(id) FROM runs AS later WHERE later.task_id = runs.task_id)"
)
_NEVER = "the server ended before it could be started"
# A failing disk may recover; a wrong path stays wrong.
_PASSING = (errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO)


@dataclass(frozen=True, slots=True)
class Interrupted:
    """A task that was running when an earlier server ended, with its last run."""

    run_id: str
    server: str
    task_id: str
    action: str
    params: Mapping[str, str]
    complete: bool
    policy: RetryPolicy | None


class History(Recorder):
    """The history in ``directory``. Thread-safe.

    Args:
        server: this server's id.
        removed: called with runs that retention removes, on the writer's thread.
    """

    enabled = True

    def __init__(
        self,
        directory: str,
        config: StorageConfig,
        server: str,
        removed: Callable[[Sequence[Removed]], None] = lambda runs: None,
    ) -> None:
        self._server = server
        self._marks = Marks()
        self._directory = DataDirectory(directory)
        self._path = self._directory.path / _FILE
        self._retention = Retention(config, removed, self._marks.drop)
        self._pages = Pages(self._path)
        self._database = _Database(self)
        self._writer = Writer(self._database, str(self._path))
        self.interrupted: list[Interrupted] = []
        self.intents: Mapping[str, Intent] = {}  # of standing tasks, as an earlier server has kept them
        self.unstarted: list[Run] = []  # runs that tasks waited for when an earlier server ended
        self.owed: list[Owed] = []  # what had not followed yet
        self._queued: dict[str, Run] = {}  # what is stored as waiting, by task

    def start(self) -> None:
        """Lock the directory, close the runs that an earlier server left open, and start the thread.

        If the disk fails, the server starts all the same, and it is tried again later.

        Raises:
            OverseerError: another server uses it, or a newer one has written it.
            OSError: the directory cannot be created.
            RuntimeError: the system allows no more threads.
        """
        try:
            self._directory.acquire()
        except OSError as error:
            if error.errno not in _PASSING:
                raise
        try:
            self._writer.start(hopeless=(DirectoryInUseError, NewerDatabaseError))
        except BaseException:
            self._directory.release()
            raise

    def put_back(self) -> None:
        """Undo what a newer server has done that could not take over from this one; before :meth:`start`."""
        put_back(self._path)

    @property
    def directory(self) -> DataDirectory:
        return self._directory

    def settle(self, seconds: float) -> None:
        """Wait until what is queued has been stored, for at most so many seconds."""
        self._writer.settle(seconds)

    def close(self) -> None:
        """Write what is queued, for a bounded time, and stop. Idempotent."""
        self._writer.close()
        self._pages.close()

    @property
    def config(self) -> StorageConfig:
        return self._retention.config

    @config.setter
    def config(self, config: StorageConfig) -> None:
        self._retention.config = config
        self._writer.tend_within(0.0)

    def figures(self) -> Mapping[str, float]:
        """For monitoring."""
        writer = self._writer
        return {
            "written": writer.written,
            "lost": writer.lost,
            "unrecorded": writer.unrecorded,
            "waiting": writer.waiting,
            "failing": float(writer.failing),
            "bytes": self._database.bytes,
        }

    # -- recording

    def last_seq(self, task_id: str) -> int:
        return self._marks.seq(task_id)

    def started(self, run: Run) -> None:
        self._writer.wait(self._writer.put(*self._begun(run, 0 if run.logged else _BLOCK)))

    def reserve(self, run: Run, seq: int) -> int:
        block = max(_BLOCK, seq - run.first_seq)
        self._marks.reached(run.task_id, seq)
        self._writer.put(self._mark(run, seq + block))
        return seq + block // 2

    def ended(self, run: Run, end: RunEnd, owed: Sequence[Owed] = ()) -> None:
        self._marks.reached(run.task_id, end.last_seq)
        ticket = self._writer.put(
            rows.insert(run, self._server),  # it may be missing, if there was no room for it in the queue
            rows.end(run, end),
            self._mark(run, end.last_seq),
            *(rows.owe(each, self._server) for each in owed),
        )
        self._trim()
        self._writer.wait(ticket)

    def start_failed(self, run: Run, error: str, **more: Any) -> None:
        self._not_begun(run, "start_failed", error, **more)

    def paid(self, run_id: str, room: str = "") -> None:
        self._writer.put(rows.pay(run_id, room))

    def queued(self, run: Run) -> None:
        assert run.queued is not None
        self._queued[run.task_id] = run
        self._writer.put(rows.queue(run, stored(run.queued), self._server))

    def dequeued(self, task_id: str) -> None:
        if self._queued.pop(task_id, None) is not None:
            self._writer.put(rows.dequeue(task_id))

    def never_started(self, task_id: str) -> None:
        if (run := self._queued.get(task_id)) is not None:
            self._not_begun(run, "shutdown", _NEVER)

    def lost_in_queue(self, run: Run) -> None:
        """Record one of :attr:`unstarted` as lost; it counts as interrupted."""
        self._queued[run.task_id] = run
        self._not_begun(run, "lost", _NEVER, again=True)
        self.interrupted.append(
            Interrupted(
                *(run.run_id, self._server, run.task_id, run.action),
                *(run.params, run.complete, run.policy),
            )
        )

    def forget_queued(self, run: Run) -> None:
        """One of :attr:`unstarted` is waited for again, so that nothing is lost."""
        self._writer.put(rows.dequeue(run.task_id))

    def _not_begun(self, run: Run, reason: str, error: str, owed: Sequence[Owed] = (), **more: Any) -> None:
        """Record a run that never was; ``more``: of its :class:`RunEnd`."""
        end = RunEnd(now(), -1, "", reason, 0, True, run.first_seq - 1, **more)
        run.started = end.at
        self._writer.put(
            *self._begun(run, 0),
            rows.end(run, end, error),
            *(rows.owe(each, self._server) for each in owed),
        )
        self._trim()

    def goes_on(self, run: Run) -> None:
        self._writer.put(rows.resume(run.run_id, True))

    def not_given_up(self, run: Run) -> None:
        self._writer.put(rows.not_given_up(run.run_id))

    def called_off(self, run: Run) -> None:
        self._writer.put(rows.resume(run.run_id, False))

    def intend(self, task_id: str, intent: Intent) -> None:
        self._writer.put(rows.intend(task_id, intent))

    def _begun(self, run: Run, block: int) -> list[Statement]:
        if not run.number:
            run.number = self._marks.next_number(run.task_id)
        self._marks.reached(run.task_id, run.first_seq - 1)
        begun = [rows.insert(run, self._server), self._mark(run, run.first_seq - 1 + block)]
        if self._queued.pop(run.task_id, None) is not None:
            begun.append(rows.dequeue(run.task_id))
        return begun

    def _mark(self, run: Run, seq: int) -> Statement:
        return rows.mark(run.task_id, run.number, seq, stored(now()))

    def _trim(self) -> None:
        self._writer.tend_within(_TRIM_S)

    # -- reading

    def page(
        self, query: Query, sees: Callable[[str], bool] | None = None
    ) -> tuple[list[RunInfo], int | None]:
        """A page of runs; includes everything that happened before the call, if the disk can be written.

        Raises:
            RequestError: the database cannot be read now.
        """
        self._writer.settle(_FRESH_S)
        return self._pages.read(query, sees)

    def sums(self, query: Query, sees: Callable[[str], bool] | None, division: Division) -> list[RunStats]:
        """Runs summed up; includes everything that happened before the call, if the disk can be written.

        Raises:
            RequestError: the database cannot be read now.
        """
        self._writer.settle(_FRESH_S)
        return self._pages.ask(lambda connection: sums(connection, query, sees, division))

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """What other rooms have stored, as it is in the database.

        Raises:
            RequestError: it cannot be read now.
        """
        return self._pages.ask(lambda connection: connection.execute(sql).fetchall())

    def put(self, *statements: Statement) -> None:
        """Store what other rooms keep; returns at once."""
        self._writer.put(*statements)

    def number(self, task_id: str) -> int:
        """The number of runs that an id has had."""
        return self._marks.number(task_id)

    def recalled(self, task: Interrupted) -> None:
        """An interrupted task has been restarted, or will not be."""
        self._writer.put(rows.resume(task.run_id, False))

    # -- schedules

    def schedules(self) -> dict[str, Schedules]:
        """What earlier servers have decided, by task.

        Raises:
            OverseerError, sqlite3.Error: it cannot be read now.
        """
        connection = open_db(self._path)
        try:
            return load(connection)
        finally:
            connection.close()

    def decided(self, slots: Iterable[Slot], schedules: Iterable[Schedules], *, wait: bool = True) -> bool:
        """Store what was decided, and wait for that; False when it is not stored, or not in time."""
        at = now()
        statements = [statement for slot in slots for statement in keep_slot(slot)]
        statements += [keep_schedules(each, at) for each in schedules]
        ticket = self._writer.put(*statements)
        return not wait or self._writer.wait(ticket, _SLOT_S)


class _Database:
    """The writer's database: the file now at the path, which may not be the same as before."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._connection: sqlite3.Connection | None = None
        self._file: os.stat_result | None = None
        self._taken_over = False  # once
        self.bytes = 0  # of all its files, when they were measured last

    def connect(self) -> sqlite3.Connection:
        history = self._history
        if self._connection is not None:
            if self._is_there():
                return self._connection
            _log.error("%s is gone: a new history is started", history._path)
            self.disconnect()
        history._directory.acquire()
        connection = open_database(history._path)
        try:
            self._take_over(connection)
            self._file = history._path.stat()
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        history._pages.renew()
        return connection

    def _is_there(self) -> bool:
        try:
            there = self._history._path.stat()
        except OSError:
            return False
        assert self._file is not None
        return os.path.samestat(there, self._file) and self._history._directory.intact

    def _take_over(self, connection: sqlite3.Connection) -> None:
        """Close the runs that earlier servers left open, and load their highest numbers."""
        history = self._history
        connection.execute("BEGIN IMMEDIATE")
        lost = connection.execute(_LOST, (stored(now()), history._server)).rowcount
        interrupted = connection.execute(_RESUMABLE, (history._server,)).fetchall()
        connection.execute(_SUPERSEDED, (history._server,))
        kept = connection.execute("SELECT task_id, intent, place FROM intents ORDER BY task_id")
        intents = {task_id: Intent(*intent) for task_id, *intent in kept}
        here = connection.execute(rows.QUEUED_HERE, (history._server,)).fetchall()
        elsewhere = connection.execute(rows.QUEUED_ELSEWHERE, (history._server,)).fetchall()
        owed = connection.execute(rows.OWED, (history._server,)).fetchall()
        if not self._taken_over:
            connection.execute(SETTLE)
        history._marks.merge(connection.execute("SELECT task_id, number, seq FROM ids"))
        if self._taken_over:
            used = stored(now())
            for task_id, number, seq in history._marks.rows():
                connection.execute(*rows.mark(task_id, number, seq, used))
        connection.execute("COMMIT")
        if not self._taken_over:
            history.interrupted = [_interrupted(row) for row in interrupted]
            history.intents = intents
            seq_of = history._marks.seq
            history._queued = {row[0]: rows.waiting(row, seq_of(row[0]) + 1) for row in here}
            history.unstarted = [rows.waiting(row, seq_of(row[0]) + 1) for row in elsewhere]
            history.owed = [Owed(*row) for row in owed]
        self._taken_over = True
        if lost:
            _log.warning("%d run%s lost: the server ended while they were running", lost, _were(lost))

    def disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def close(self) -> None:
        self.disconnect()
        self._history._directory.release()

    def tend(self, connection: sqlite3.Connection) -> float:
        return self._history._retention.step(connection)

    def measure(self) -> int:
        path = self._history._path
        log_bytes = _size(path.with_name(f"{_FILE}-wal"))
        self.bytes = _size(path) + log_bytes
        return log_bytes


def _interrupted(row: tuple[Any, ...]) -> Interrupted:
    run_id, server, task_id, action, params, complete, policy = row
    return Interrupted(
        run_id, server, task_id, action, json.loads(params), bool(complete), rows.policy_of(policy)
    )


def _were(count: int) -> str:
    return " was" if count == 1 else "s were"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
