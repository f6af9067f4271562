"""The database: its schema, and how it is opened, migrated, or moved aside when damaged."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from overseer.errors import OverseerError
from overseer.util.sqlite import open_db
from overseer.util.timestamps import now

_log = logging.getLogger(__name__)

# Pages are found through one of three narrow covering indexes, sorted as pages are: the rows themselves, with
# their parameters, may be large. Times are microseconds since 1970. ``resume``: the task was running, as far
# as is known, so a boot may restart it. ``server``: the server that started the run. ``ids`` outlives the
# runs: an id's seq continues from there.
MIGRATIONS = (
    """
    CREATE TABLE runs (
        id INTEGER PRIMARY KEY,
        run_id TEXT NOT NULL UNIQUE,
        task_id TEXT NOT NULL,
        action TEXT NOT NULL,
        number INTEGER NOT NULL,
        status TEXT NOT NULL,
        reason TEXT NOT NULL,
        failed INTEGER NOT NULL,
        params TEXT NOT NULL,
        complete INTEGER NOT NULL,
        policy TEXT,
        trigger_type TEXT NOT NULL,
        trigger_by TEXT NOT NULL,
        queued INTEGER,
        started INTEGER NOT NULL,
        ended INTEGER,
        duration_ms INTEGER,
        exit_code INTEGER,
        signal TEXT NOT NULL DEFAULT '',
        error TEXT NOT NULL DEFAULT '',
        cpu_ms INTEGER,
        max_rss INTEGER,
        first_seq INTEGER NOT NULL,
        last_seq INTEGER,
        definition TEXT NOT NULL,
        server TEXT NOT NULL,
        resume INTEGER NOT NULL
    );
    CREATE INDEX runs_by_id ON runs (id, status, reason, action, started);
    CREATE INDEX runs_by_action ON runs (action, id, status, reason, started);
    CREATE INDEX runs_by_task ON runs (task_id, id, status, reason, action, started);
    CREATE INDEX runs_by_end ON runs (failed, ended);
    CREATE INDEX runs_open ON runs (server) WHERE ended IS NULL;
    CREATE INDEX runs_to_resume ON runs (server) WHERE resume;
    CREATE TABLE ids (
        task_id TEXT PRIMARY KEY,
        number INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        used INTEGER NOT NULL
    ) WITHOUT ROWID;
    """,
    # Of schedules: see history/slots. ``wanted``: the configuration has them.
    """
    CREATE TABLE schedules (
        task_id TEXT PRIMARY KEY,
        since INTEGER NOT NULL,
        spans TEXT NOT NULL,
        paused INTEGER NOT NULL,
        wanted INTEGER NOT NULL,
        used INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE slots (
        task_id TEXT NOT NULL,
        slot INTEGER NOT NULL,
        outcome TEXT NOT NULL,
        reason TEXT NOT NULL,
        number INTEGER NOT NULL,
        at INTEGER NOT NULL,
        detail TEXT NOT NULL,
        PRIMARY KEY (task_id, slot)
    ) WITHOUT ROWID;
    """,
    """
    CREATE TABLE notices (
        channel TEXT NOT NULL,
        id TEXT NOT NULL,
        notice TEXT NOT NULL,
        created INTEGER NOT NULL,
        attempts INTEGER NOT NULL,
        due INTEGER NOT NULL,
        holds_up INTEGER NOT NULL DEFAULT 1,
        PRIMARY KEY (channel, id)
    );
    CREATE TABLE told (
        rule TEXT NOT NULL,
        subject TEXT NOT NULL,
        kind TEXT NOT NULL,
        since INTEGER NOT NULL,
        count INTEGER NOT NULL,
        told INTEGER NOT NULL,
        notice TEXT NOT NULL,
        PRIMARY KEY (rule, subject, kind)
    ) WITHOUT ROWID;
    """,
    # Of standing tasks: see history/records.
    """
    CREATE TABLE intents (
        task_id TEXT PRIMARY KEY,
        intent TEXT NOT NULL
    ) WITHOUT ROWID;
    """,
    "ALTER TABLE runs ADD COLUMN host TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE intents ADD COLUMN place INTEGER NOT NULL DEFAULT 0",
    # ``queued``: tasks that wait for their run. ``owed``: what is still to follow the end of a run, see
    # history/records.
    """
    CREATE TABLE queued (
        id INTEGER PRIMARY KEY,
        task_id TEXT NOT NULL UNIQUE,
        run_id TEXT NOT NULL,
        action TEXT NOT NULL,
        params TEXT NOT NULL,
        complete INTEGER NOT NULL,
        policy TEXT,
        trigger_type TEXT NOT NULL,
        trigger_by TEXT NOT NULL,
        queued INTEGER NOT NULL,
        definition TEXT NOT NULL,
        server TEXT NOT NULL
    );
    CREATE TABLE owed (
        id INTEGER PRIMARY KEY,
        run_id TEXT NOT NULL,
        room TEXT NOT NULL,
        change TEXT NOT NULL,
        server TEXT NOT NULL,
        UNIQUE (run_id, room)
    );
    """,
    "ALTER TABLE runs ADD COLUMN gave_up INTEGER NOT NULL DEFAULT 0",
)
"""Each migrates a database from version N to N + 1. Append-only."""

_BROKEN = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class NewerDatabaseError(OverseerError):
    """The database was written by a newer server."""


def open_database(
    path: Path, migrations: Sequence[str] = MIGRATIONS, *, look_through: bool = True
) -> sqlite3.Connection:
    """Open the database for the writer; created if missing, migrated if older.

    A file that is damaged, or has other tables, is moved aside, and a new one created. ``look_through``: look
    for damage where a crash may have done some, which reads the whole file.

    Raises:
        NewerDatabaseError: a newer server has written it.
        OverseerError, sqlite3.Error, OSError: it cannot be opened for now.
    """
    try:
        return _open(path, migrations, look_through)
    except (sqlite3.DatabaseError, OverseerError) as error:
        if not is_broken(error):
            raise
        set_aside(path, error)
        return _open(path, migrations, look_through)


def _open(path: Path, migrations: Sequence[str], look_through: bool) -> sqlite3.Connection:
    wanted = _columns_of(migrations)  # first, as it raises if they are wrong themselves
    # A write-ahead log beside it means that the last server was killed, or the machine crashed.
    crashed = look_through and path.with_name(f"{path.name}-wal").exists()
    connection = open_db(path, survives_full_disk=True)
    try:
        connection.isolation_level = None  # transactions are explicit
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA wal_autocheckpoint = 0")  # the writer does that when idle
        if crashed:
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if found != "ok":
                raise _damage(found)
        try:
            _migrate(connection, path, migrations)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_ERROR:  # the disk's
                raise
            raise _damage(f"it has other tables: {error}") from None
        if missing := wanted - _columns(connection):
            raise _damage(f"it has no {', '.join(sorted(missing))}")
    except BaseException:
        connection.close()
        raise
    return connection


def _damage(what: str) -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError(what)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


@cache
def _columns_of(migrations: Sequence[str]) -> frozenset[str]:
    """The columns that these create."""
    connection = sqlite3.connect(":memory:")
    try:
        for script in migrations:
            connection.executescript(script)
        return _columns(connection)
    finally:
        connection.close()


def _columns(connection: sqlite3.Connection) -> frozenset[str]:
    """All columns, as ``table.column``."""
    found = connection.execute(
        "SELECT it.name || '.' || its.name FROM sqlite_master AS it, pragma_table_info(it.name) AS its "
        "WHERE it.type = 'table'"
    )
    return frozenset(name for (name,) in found)


def _migrate(connection: sqlite3.Connection, path: Path, migrations: Sequence[str]) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(migrations):
        raise NewerDatabaseError(
            f"{path} has version {version}, from a newer server; this one supports up to "
            f"{len(migrations)}: use the newer one, or another data_dir"
        )
    if 0 < version < len(migrations):
        kept = path.with_name(f"{path.name}.v{version}")
        kept.unlink(missing_ok=True)  # were it damaged, its error would look like one of the database itself
        backup = sqlite3.connect(kept)
        try:
            connection.backup(backup)
        finally:
            backup.close()
    for number, script in enumerate(migrations[version:], version + 1):
        connection.executescript(f"BEGIN;{script};PRAGMA user_version = {number};COMMIT")
    if 0 < version < len(migrations):
        _log.info("%s was migrated to version %d; the old one is kept as %s", path, len(migrations), kept)


def put_back(path: Path) -> None:
    """Undo the migration by a newer server that could not take over from this one: the copy that it made
    before is the database again.

    Raises:
        sqlite3.Error, OSError: that is impossible.
    """
    kept = path.with_name(f"{path.name}.v{len(MIGRATIONS)}")
    if not kept.exists():
        return
    connection = sqlite3.connect(path)
    try:
        (found,) = connection.execute("PRAGMA user_version").fetchone()
    finally:
        connection.close()
    if found > len(MIGRATIONS):
        for ending in ("-wal", "-shm"):
            path.with_name(path.name + ending).unlink(missing_ok=True)
        kept.replace(path)


def is_broken(error: BaseException) -> bool:
    """Whether the error means that the file is damaged, or not a database."""
    cause = error.__cause__ if isinstance(error, OverseerError) else error
    return (getattr(cause, "sqlite_errorcode", 0) & 0xFF) in _BROKEN


def set_aside(path: Path, damage: Exception) -> None:
    """Rename a damaged database and its companion files, and log it. Raises OSError."""
    stamp = now().strftime("%Y%m%dT%H%M%SZ")
    kept = path.with_name(f"{path.name}.broken-{stamp}")
    number = 1
    while kept.exists():
        number += 1
        kept = path.with_name(f"{path.name}.broken-{stamp}-{number}")
    path.rename(kept)
    for ending in ("-wal", "-shm"):
        beside = path.with_name(path.name + ending)
        if beside.exists():
            beside.rename(kept.with_name(kept.name + ending))
    _log.error("%s is damaged (%s): it is kept as %s, and a new history is started", path, damage, kept)
