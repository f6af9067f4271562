"""Reads pages of runs, newest first, over connections of its own."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from overseer.errors import OverseerError, RequestError
from overseer.history.rows import SHOWN, shown
from overseer.protocol import RunInfo
from overseer.util.locks import Rank, assert_none_held, lock
from overseer.util.sqlite import open_db
from overseer.util.thread_pool import ThreadPool
from overseer.util.threads import answer
from overseer.util.timestamps import to_micros

_T = TypeVar("_T")
_READERS = 4  # threads; as many connections are kept for them
_READ_S = 10.0  # how long a reader is waited for
_HUNG_READ_S = 2.0  # the same while another has not returned in time
_ACTIONS = (
    "WITH RECURSIVE each(name) AS (SELECT min(action) FROM runs UNION ALL "
    "SELECT (SELECT min(action) FROM runs WHERE action > name) FROM each WHERE name IS NOT NULL) "
    "SELECT name FROM each WHERE name IS NOT NULL"
)


@dataclass(frozen=True, slots=True)
class Query:
    """The runs wanted: at most ``limit`` of those older than the cursor ``before``."""

    task_id: str = ""
    action: str = ""
    status: str = ""
    reason: str = ""
    since: datetime | None = None
    until: datetime | None = None
    limit: int = 100
    before: int | None = None
    run_id: str = ""


class Pages:
    """Reads the database at ``path``, on threads of its own, as a disk may hang. Thread-safe."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = lock(Rank.LEAF, "history readers")  # guards the fields below
        self._idle: list[sqlite3.Connection] = []
        self._generation = 0  # of the file, which may be replaced
        self._closed = False
        self._late: list[Future[Any]] = []  # a hint: answers that did not come in time
        self._pool = ThreadPool("history-reader", _READERS)

    def read(
        self, query: Query, sees: Callable[[str], bool] | None = None
    ) -> tuple[list[RunInfo], int | None]:
        """A page of the runs whose actions ``sees`` admits, and the cursor for the next page.

        Raises:
            RequestError: the database cannot be read now.
        """
        rows = self.ask(lambda connection: _rows(connection, query, sees))
        more = len(rows) > query.limit
        return [shown(row) for row in rows[: query.limit]], rows[query.limit - 1][0] if more else None

    def ask(self, question: Callable[[sqlite3.Connection], _T]) -> _T:
        """What ``question`` finds over a connection that can only read.

        Raises:
            RequestError: the database cannot be read now, or not in time.
        """
        assert_none_held("reading the history")
        found: Future[_T] = Future()
        if not self._pool.do(lambda: answer(found, lambda: self._answer(question))):
            raise RequestError("the history cannot be read: the server ends")
        late = [each for each in self._late if not each.done()]
        if not wait([found], _HUNG_READ_S if late else _READ_S).done:
            self._late = [*late, found]
            raise RequestError("the history cannot be read: the disk does not respond")
        return found.result()

    def _answer(self, question: Callable[[sqlite3.Connection], _T]) -> _T:
        """On a reader's thread."""
        connection: sqlite3.Connection | None = None
        with self._lock:
            generation = self._generation
            if self._idle:
                connection = self._idle.pop()
        try:
            if connection is None:
                connection = open_db(self._path, survives_full_disk=True)
                connection.execute("PRAGMA query_only = ON")
            found = question(connection)
        except BaseException as error:
            if connection is not None:
                connection.close()
            if isinstance(error, sqlite3.Error | OverseerError):
                raise RequestError(f"the history cannot be read: {error}") from None
            raise
        self._give_back(connection, generation)
        return found

    def _give_back(self, connection: sqlite3.Connection, generation: int) -> None:
        with self._lock:
            if generation == self._generation and len(self._idle) < _READERS and not self._closed:
                self._idle.append(connection)
                return
        connection.close()

    def renew(self) -> None:
        """Abandon all open connections, as the file may have been replaced."""
        with self._lock:
            self._generation += 1
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def close(self) -> None:
        """Close idle connections; those in use are closed by their readers."""
        self._pool.close()
        with self._lock:
            self._closed = True
        self.renew()


def _rows(
    connection: sqlite3.Connection, query: Query, sees: Callable[[str], bool] | None
) -> list[tuple[Any, ...]]:
    condition, values = where(connection, query, sees)
    index = f"INDEXED BY runs_by_{'task' if query.task_id else 'action' if query.action else 'id'}"
    if query.run_id:
        index = ""  # it is unique, and has one of its own
    found = f"SELECT id FROM runs {index} WHERE {condition} ORDER BY id DESC LIMIT ?"
    sql = f"SELECT {SHOWN} FROM runs WHERE id IN ({found}) ORDER BY id DESC"
    return connection.execute(sql, (*values, query.limit + 1)).fetchall()


def where(
    connection: sqlite3.Connection, query: Query, sees: Callable[[str], bool] | None
) -> tuple[str, list[Any]]:
    """What SQL demands of the rows that a query wants and ``sees`` admits, and the values in it."""
    conditions = ["1"]
    values: list[Any] = []

    def demand(condition: str, *what: Any) -> None:
        conditions.append(condition)
        values.extend(what)

    if query.task_id:
        demand("task_id = ?", query.task_id)
    if query.before is not None:
        demand("id < ?", query.before)
    for column in ("status", "reason", "action", "run_id"):
        if value := getattr(query, column):
            demand(f"{column} = ?", value)
    if query.since is not None:
        demand("started >= ?", to_micros(query.since))
    if query.until is not None:
        demand("started < ?", to_micros(query.until))
    if sees is not None:
        visible = [name for (name,) in connection.execute(_ACTIONS) if sees(name)]
        demand(f"action IN ({', '.join('?' * len(visible))})", *visible)
    return " AND ".join(conditions), values
