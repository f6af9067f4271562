"""What goes: runs that are too old or too many, and ids that nobody has used for as long."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from overseer.config import StorageConfig
from overseer.history.moments import SteadyClock

_AT_ONCE = 200  # rows in a transaction, so that no run's start waits for long
_PERIOD_S = 3600.0
_IDS = 100_000  # ids without a run that are remembered at most
# Made up by the server, so nobody asks for it again once its runs are forgotten.
_MADE_UP = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")


class Removed(NamedTuple):
    """A run that is forgotten, with what belongs to it."""

    id: int
    task_id: str
    run_id: str
    first_seq: int
    last_seq: int | None


class Retention:
    """Removes a few rows at a time; used by the writer's thread alone, but for ``config``.

    Args:
        removed: told of runs that are gone.
        dropped: told of ids that are.
    """

    def __init__(
        self,
        config: StorageConfig,
        removed: Callable[[Sequence[Removed]], None],
        dropped: Callable[[Sequence[str]], None],
    ) -> None:
        self.config = config
        self._removed = removed
        self._dropped = dropped
        self._clock = SteadyClock()
        self._ids_at = 0.0  # when ids are looked through next, monotonic

    def step(self, connection: sqlite3.Connection) -> float:
        """Remove some of what is due; returns in how many seconds there may be more."""
        now = self._clock.now()
        due = self._too_many(connection) or self._too_old(connection, now)
        if due:
            self._remove(connection, due)
            return 0.0
        if time.monotonic() >= self._ids_at:
            if self._forget_ids(connection, now):
                return 0.0
            self._ids_at = time.monotonic() + _PERIOD_S
        return self._next_due(connection, now)

    def _too_many(self, connection: sqlite3.Connection) -> list[Removed]:
        (ended,) = connection.execute("SELECT count(*) FROM runs WHERE ended IS NOT NULL").fetchone()
        return self._oldest(connection, "ended IS NOT NULL", "id", ended - self.config.runs)

    def _too_old(self, connection: sqlite3.Connection, now: int) -> list[Removed]:
        found: list[Removed] = []
        for failed, age in self._ages():
            condition = f"failed = {failed} AND ended < {now - int(age * 1e6)}"
            found += self._oldest(connection, condition, "ended", _AT_ONCE)
        return found

    def _ages(self) -> tuple[tuple[int, float], ...]:
        return (0, self.config.age), (1, self.config.failed_age)

    def _oldest(self, connection: sqlite3.Connection, condition: str, order: str, most: int) -> list[Removed]:
        if most <= 0:
            return []
        sql = f"SELECT id, task_id, run_id, first_seq, last_seq FROM runs WHERE {condition} ORDER BY {order}"
        return [Removed(*row) for row in connection.execute(f"{sql} LIMIT {min(most, _AT_ONCE)}")]

    def _remove(self, connection: sqlite3.Connection, runs: Sequence[Removed]) -> None:
        gone: list[str] = []
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.executemany("DELETE FROM runs WHERE id = ?", [(run.id,) for run in runs])
            for task_id in {run.task_id for run in runs if _MADE_UP.match(run.task_id)}:
                query = "SELECT 1 FROM runs WHERE task_id = ? LIMIT 1"
                if connection.execute(query, (task_id,)).fetchone() is None:
                    connection.execute("DELETE FROM ids WHERE task_id = ?", (task_id,))
                    gone.append(task_id)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        self._removed(runs)
        self._dropped(gone)

    def _forget_schedules(self, connection: sqlite3.Connection, oldest: int) -> None:
        """Forget schedules that were taken out of the configuration long ago."""
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("DELETE FROM schedules WHERE NOT wanted AND used < ?", (oldest,))
        connection.execute("DELETE FROM slots WHERE task_id NOT IN (SELECT task_id FROM schedules)")
        connection.execute("COMMIT")

    def _forget_ids(self, connection: sqlite3.Connection, now: int) -> bool:
        """Forget some ids that have no run any more: long unused ones, and the oldest of too many."""
        unused = "NOT EXISTS (SELECT 1 FROM runs WHERE runs.task_id = ids.task_id)"
        oldest = now - int(max(age for _, age in self._ages()) * 1e6)
        self._forget_schedules(connection, oldest)
        gone = connection.execute(
            f"SELECT task_id FROM ids WHERE used < ? AND {unused} LIMIT ?", (oldest, _AT_ONCE)
        ).fetchall()
        if not gone:
            (count,) = connection.execute("SELECT count(*) FROM ids").fetchone()
            over = min(count - _IDS - self.config.runs, _AT_ONCE)
            if over > 0:
                sql = f"SELECT task_id FROM ids WHERE {unused} ORDER BY used LIMIT ?"
                gone = connection.execute(sql, (over,)).fetchall()
        if gone:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("DELETE FROM ids WHERE task_id = ?", gone)
            connection.execute("COMMIT")
            self._dropped([task_id for (task_id,) in gone])
        return bool(gone)

    def _next_due(self, connection: sqlite3.Connection, now: int) -> float:
        wait = _PERIOD_S
        for failed, age in self._ages():
            (ended,) = connection.execute(
                "SELECT min(ended) FROM runs WHERE failed = ?", (failed,)
            ).fetchone()
            if ended is not None:
                wait = min(wait, max(0.1, (ended - now) / 1e6 + age))
        return wait
