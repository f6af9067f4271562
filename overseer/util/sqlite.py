"""Opening an SQLite database, for the server's history and for drivers."""

from __future__ import annotations

import ctypes
import sqlite3
from pathlib import Path
from urllib.parse import quote

from overseer.errors import OverseerError

_BUSY_S = 5.0
# File systems that find space for a page when it is written, also for one that is mapped: Btrfs, bcachefs.
_COPYING = (0x9123683E, 0xCA451A4E)


def open_db(path: str | Path, *, survives_full_disk: bool = False) -> sqlite3.Connection:
    """Open the SQLite database at ``path``, created if missing; ``":memory:"`` is one in memory.

    It is in WAL mode, so that readers and the one writer do not wait for each other, and a statement that
    meets another connection's lock waits up to 5 seconds before :class:`sqlite3.OperationalError`. No tables
    are created.

    The connection may be used from any thread, one statement at a time; SQLite sees to that. A transaction
    belongs to the connection, not to a thread, so threads that need transactions of their own (or concurrent
    reads) open a connection each, or hold a lock around each transaction. The caller closes it.

    Args:
        survives_full_disk: where writing to a mapped file of a full disk would end this process (SIGBUS), no
            file is mapped. Then no other process can open the database while this one has it open.

    Raises:
        OverseerError: the directory does not exist, or the file cannot be opened or is not a database.
    """
    name = str(path)
    if name != ":memory:":
        if not name:
            raise OverseerError("cannot open a database: its path is empty")
        directory = Path(name).parent
        if not directory.is_dir():
            raise OverseerError(f"cannot open database {name}: no such directory {directory}")
    connection: sqlite3.Connection | None = None
    try:
        unmapped = survives_full_disk and file_system(Path(name).parent) in _COPYING
        target = f"file:{quote(bytes(Path(name).absolute()))}?vfs=unix-excl" if unmapped else name
        connection = sqlite3.connect(target, timeout=_BUSY_S, check_same_thread=False, uri=unmapped)
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    except (sqlite3.Error, ValueError) as error:  # ValueError: a NUL in the path
        if connection is not None:
            connection.close()
        raise OverseerError(f"cannot open database {name}: {error}") from error
    if mode not in ("wal", "memory"):
        connection.close()
        raise OverseerError(f"cannot open database {name}: its file system does not allow WAL mode")
    return connection


def file_system(directory: Path) -> int:
    """The number of the file system's kind (``f_type`` of statfs); 0: it cannot be told."""
    found = ctypes.create_string_buffer(256)
    if ctypes.CDLL(None).statfs(bytes(directory.absolute()), found) != 0:
        return 0
    return ctypes.c_long.from_buffer(found).value & 0xFFFFFFFF
