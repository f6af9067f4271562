"""A transaction of the writer's connection, and what is done in it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

Statement = tuple[str, tuple[Any, ...] | Mapping[str, Any]]
"""SQL that writes, and the values for it: by place, or by name."""


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit what the block writes, or nothing of it if something raises."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            with suppress(sqlite3.Error):  # the cause is raised
                connection.execute("ROLLBACK")
        raise
