"""The writer's database: the file now at the path, which may not be the same as before."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

from overseer.history.database import is_broken, open_database, set_aside
from overseer.history.directory import DataDirectory
from overseer.history.inheritance import Inheritance, take_over

_log = logging.getLogger(__name__)


class DatabaseFile:
    """Opens the database at ``path``, again where it has failed, was replaced or is damaged. Used by the
    writer's thread alone, once that runs.

    Args:
        server: this server's id.
        opened: called with a file that was not open before, and what was in it.
    """

    def __init__(
        self,
        path: Path,
        directory: DataDirectory,
        server: str,
        opened: Callable[[sqlite3.Connection, Inheritance], None],
    ) -> None:
        self._path = path
        self._log_path = path.with_name(f"{path.name}-wal")
        self._directory = directory
        self._server = server
        self._opened = opened
        self._connection: sqlite3.Connection | None = None
        self._file: os.stat_result | None = None  # the one last taken over
        self._damage: Exception | None = None  # found in it
        self.bytes = 0  # when it was measured last; whoever asks must not wait for the disk

    def connect(self) -> sqlite3.Connection:
        """The connection, (re)opened if necessary.

        Raises:
            OverseerError, sqlite3.Error, OSError: it cannot be opened for now.
        """
        if self._connection is not None:
            if self._is_known() and self._directory.intact:
                return self._connection
            _log.error("%s is missing or was replaced; reopening it", self._path)
            self.disconnect()
        self._directory.acquire()
        if self._damage is not None:
            if self._path.exists():
                set_aside(self._path, self._damage)
            self._damage = None
        known = self._is_known()
        connection = open_database(self._path, look_through=not known)
        try:
            # By now it may be a new one; and a new one may have the number of one that is gone.
            if not (known and self._is_known()):
                inheritance = take_over(connection, self._server)
                self._file = self._path.stat()
                self._opened(connection, inheritance)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _is_known(self) -> bool:
        """Whether the file at the path is the one that this server has taken over."""
        if self._file is None:
            return False
        try:
            return os.path.samestat(self._path.stat(), self._file)
        except OSError:
            return False

    def disconnect(self, error: Exception | None = None) -> None:
        """Close the connection, which may have failed with this error."""
        if error is not None and is_broken(error) and (self._file is None or self._is_known()):
            self._damage = error
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def close(self) -> None:
        """Close for good."""
        self.disconnect()
        self._directory.release()

    def measure(self) -> int:
        """The size of the write-ahead log in bytes."""
        log_bytes = _size(self._log_path)
        self.bytes = _size(self._path) + log_bytes
        return log_bytes


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
