"""A server's history: opened at start-up, records every run, serves pages, closed at shutdown."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from overseer.config import StorageConfig
from overseer.history import rows
from overseer.history.database import NewerDatabaseError, put_back
from overseer.history.directory import DataDirectory, DirectoryInUseError
from overseer.history.file import DatabaseFile
from overseer.history.high_water_marks import Marks
from overseer.history.inheritance import Inheritance, Interrupted
from overseer.history.pages import Pages, Query
from overseer.history.queued import QueuedRuns
from overseer.history.records import Intent, Owed, Recorder, Run, RunEnd
from overseer.history.retention import Removed, Retention
from overseer.history.slots import UNSCHEDULED, Schedules, Slot, keep_schedules, keep_slot, load
from overseer.history.stats import Division, sums
from overseer.history.transaction import Statement, transaction
from overseer.history.writer import Writer
from overseer.protocol import RunInfo, RunStats
from overseer.util.hanging_disk import patiently
from overseer.util.timestamps import now, to_micros

_FILE = "overseer.db"
_BLOCK = 10_000  # line numbers reserved at once, at least
_FRESH_S = 1.0  # how long a reader waits for what happened before its request to be stored
_SLOT_S = 2.0  # how long the start of a slot waits for the slot to be stored
_TRIM_S = 0.5  # how long there may be too many runs
_MARKS = 1000  # written in one transaction

_NEVER = "the server ended before it could be started"
# A failing disk may recover; a wrong path stays wrong.
_PASSING = (errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO)


class History(Recorder):
    """The history in ``directory``. Thread-safe.

    Args:
        server: this server's id.
        removed: called with runs that retention removes, on the writer's thread.
        in_use: whether there is a task of an id; asked on that thread, and must not wait.
    """

    enabled = True

    def __init__(
        self,
        directory: str,
        config: StorageConfig,
        server: str,
        removed: Callable[[Sequence[Removed]], None] = lambda runs: None,
        in_use: Callable[[str], bool] = lambda task_id: False,
    ) -> None:
        self._server = server
        self._marks = Marks()
        self.directory = DataDirectory(directory)
        self._path = self.directory.path / _FILE
        self._retention = Retention(config, removed, self._marks.drop, in_use)
        self._pages = Pages(self._path)
        self._database = DatabaseFile(self._path, self.directory, server, self._opened)
        self._writer = Writer(self._database, str(self._path), self._tend)
        self._queued = QueuedRuns()
        self._inherited: Inheritance | None = None

    def start(self) -> None:
        """Lock the directory, close the runs that an earlier server left open, and start the thread.

        If the disk fails, the server starts all the same, and it is tried again later.

        Raises:
            OverseerError: another server uses it, a newer one has written it, or its disk does not respond.
            OSError: the directory cannot be created.
            RuntimeError: the system allows no more threads.
        """
        directory = self.directory.path
        patiently(self._lock_directory, f"the disk of {directory} does not respond")
        # It may be looked through, which takes as long as its size demands.
        patiently(self._open, f"opening the database in {directory} takes long", None)

    def _lock_directory(self) -> None:
        try:
            self.directory.acquire()
        except OSError as error:
            if error.errno not in _PASSING:
                raise

    def _open(self) -> None:
        try:
            self._writer.start(fatal=(DirectoryInUseError, NewerDatabaseError))
        except BaseException:
            self.directory.release()
            raise

    def put_back(self) -> None:
        """Undo what a newer server has done that could not take over from this one; before :meth:`start`."""
        put_back(self._path)

    @property
    def inherited(self) -> Inheritance:
        """What earlier servers have left; nothing as long as the database cannot be opened."""
        return self._inherited or Inheritance()

    def has_directory(self) -> bool:
        """Whether the directory is still this server's; if not, it is looked for at once."""
        if self.directory.intact:
            return True
        self._writer.tend_within(0.0)
        return False

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

    # -- on the writer's thread, or before it runs

    def _opened(self, connection: sqlite3.Connection, found: Inheritance) -> None:
        """A database has been opened that was not open before."""
        self._pages.renew()
        self._marks.merge(found.marks)
        self._queued.merge(found.queued)
        if self._inherited is None:
            self._inherited = found
        while self._store_marks(connection):
            pass

    def _tend(self, connection: sqlite3.Connection) -> float:
        return 0.0 if self._store_marks(connection) else self._retention.step(connection)

    def _store_marks(self, connection: sqlite3.Connection) -> bool:
        """Store some of the numbers that the database lacks; returns whether there were any."""
        marks = self._marks.take_behind(_MARKS)
        if marks:
            used = to_micros(now())
            try:
                with transaction(connection):
                    for mark in marks:
                        connection.execute(*rows.mark(*mark, used))
            except sqlite3.Error:
                self._marks.not_stored(task_id for task_id, _, _ in marks)
                raise
        return bool(marks)

    # -- for monitoring

    def gauges(self) -> Mapping[str, tuple[str, float]]:
        """For monitoring: help text and value, by name."""
        return {
            "history_bytes": ("Size of the history's database", self._database.bytes),
            "history_waiting": ("Changes to the history that wait to be stored", self._writer.waiting),
            "history_failing": ("Whether the history cannot be written", float(self._writer.failing)),
        }

    def counters(self) -> Mapping[str, tuple[str, float]]:
        """The same for counters."""
        return {
            "history_written": ("Changes to the history that were stored", self._writer.written),
            "history_lost": (
                "Changes to the history that were lost because too many waited for the disk",
                self._writer.lost,
            ),
            "history_unrecorded": (
                "Starts and ends announced before they were stored, because the disk was slow or failing",
                self._writer.unrecorded,
            ),
        }

    # -- recording

    def last_seq(self, task_id: str) -> int:
        return self._marks.seq(task_id)

    def started(self, run: Run) -> None:
        self._writer.wait(self._writer.put(*self._begun(run, 0 if run.logged else _BLOCK)))

    def reserve(self, run: Run, seq: int) -> int:
        block = max(_BLOCK, seq - run.first_seq)
        self._mark(run, seq, block)
        return seq + block // 2

    def ended(self, run: Run, end: RunEnd, owed: Sequence[Owed] = ()) -> None:
        self._mark(run, end.last_seq)
        # Its row may be missing, if there was no room for it in the queue.
        self._writer.wait(self._over([rows.insert(run, self._server)], run, end, owed))

    def start_failed(
        self, run: Run, error: str, *, again: bool = False, owed: Sequence[Owed] = (), gave_up: int = 0
    ) -> None:
        self._not_begun(run, "start_failed", error, again=again, owed=owed, gave_up=gave_up)

    def paid(self, run_id: str, room: str = "") -> None:
        self._writer.put(rows.pay(run_id, room))

    def queued(self, run: Run) -> None:
        assert run.queued is not None
        self._queued.add(run)
        self._writer.put(rows.queue(run, to_micros(run.queued), self._server))

    def never_started(self, task_id: str, reason: str, error: str) -> None:
        if (run := self._queued.get(task_id)) is not None:
            self._not_begun(run, reason, error)
        elif self._queued.remove(task_id):  # it is stored, but the database has not been read yet
            self._writer.put(rows.dequeue(task_id))

    def lost_in_queue(self, run: Run) -> Interrupted:
        """Record one of those that were not started as lost; it counts as interrupted."""
        self._queued.add(run)
        self._not_begun(run, "lost", _NEVER, again=True)
        return Interrupted(
            run.run_id, self._server, run.task_id, run.action, run.params, run.complete, run.policy
        )

    def forget_queued(self, run: Run) -> None:
        """One of those that were not started is waited for again, so that nothing is lost."""
        self._writer.put(rows.dequeue(run.task_id))

    def _not_begun(
        self,
        run: Run,
        reason: str,
        error: str,
        *,
        again: bool = False,
        owed: Sequence[Owed] = (),
        gave_up: int = 0,
    ) -> None:
        """Record a run that never was: it ended as it began."""
        end = RunEnd(
            at=now(),
            exit_code=-1,
            signal="",
            reason=reason,
            duration_ms=0,
            failed=True,
            last_seq=run.first_seq - 1,
            again=again,
            gave_up=gave_up,
        )
        self._assign_number(run)
        never = replace(run, started=end.at)
        self._over(self._begun(never, 0), never, end, owed, error)

    def _over(
        self, begun: Sequence[Statement], run: Run, end: RunEnd, owed: Sequence[Owed], error: str = ""
    ) -> int:
        """Store an end with what it owes, after what says that the run has begun; returns the ticket."""
        owe = [rows.owe(each, self._server) for each in owed]
        ticket = self._writer.put(*begun, rows.end(run, end, error), *owe)
        self._trim()
        return ticket

    def goes_on(self, run: Run) -> None:
        self._writer.put(rows.resume(run.run_id, True))

    def not_given_up(self, run: Run) -> None:
        self._writer.put(rows.not_given_up(run.run_id))

    def called_off(self, run: Run) -> None:
        self._writer.put(rows.resume(run.run_id, False))

    def recalled(self, task: Interrupted) -> None:
        """An interrupted task has been restarted, or will not be."""
        self._writer.put(rows.resume(task.run_id, False))

    def intend(self, task_id: str, intent: Intent) -> None:
        self._writer.put(rows.intend(task_id, intent))

    def put(self, *statements: Statement) -> None:
        """Store what other rooms keep; returns at once."""
        self._writer.put(*statements)

    def _assign_number(self, run: Run) -> None:
        if not run.number:
            run.number = self._marks.next_number(run.task_id)

    def _begun(self, run: Run, block: int) -> list[Statement]:
        self._assign_number(run)
        self._mark(run, run.first_seq - 1, block)
        begun = [rows.insert(run, self._server)]
        if self._queued.remove(run.task_id):
            begun.append(rows.dequeue(run.task_id))
        return begun

    def _mark(self, run: Run, seq: int, block: int = 0) -> None:
        """Store that the run's lines have reached ``seq``, and that so many more may come. By itself: numbers
        are used whether or not their run can be stored."""
        self._marks.reached(run.task_id, seq, seq + block)
        if not self._writer.put(rows.mark(run.task_id, run.number, seq + block, to_micros(now()))):
            self._marks.not_stored([run.task_id])
            self._trim()

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

    def select(self, sql: str) -> list[tuple[Any, ...]]:
        """What other rooms have stored, as it is in the database.

        Raises:
            RequestError: it cannot be read now.
        """
        return self._pages.ask(lambda connection: connection.execute(sql).fetchall())

    def number(self, task_id: str) -> int:
        """The number of runs that an id has had."""
        return self._marks.number(task_id)

    # -- schedules

    def schedules(self) -> dict[str, Schedules]:
        """What was decided so far, by task.

        Raises:
            RequestError: it cannot be read now.
        """
        self._writer.settle(_FRESH_S)
        return self._pages.ask(load)

    def unscheduled(self) -> None:
        """Store that the configuration has no schedules; returns at once."""
        self._writer.put(*UNSCHEDULED)

    def decided(self, slots: Iterable[Slot], schedules: Iterable[Schedules], *, wait: bool = True) -> bool:
        """Store what was decided, and wait for that; False when it is not stored, or not in time."""
        at = now()
        statements = [statement for slot in slots for statement in keep_slot(slot)]
        statements += [keep_schedules(each, at) for each in schedules]
        ticket = self._writer.put(*statements)
        return not wait or self._writer.wait(ticket, _SLOT_S)
