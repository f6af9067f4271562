"""Handing over the journal, so that cursors stay valid and watchers are sent no new snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from overseer.supervisor.journal import Journal, JournalEntry
from overseer.supervisor.output.encode import row_data
from overseer.util.handover_format import Incoming, Outgoing
from overseer.util.locks import assert_held


def export_journal(journal: Journal, out: Outgoing) -> dict[str, Any]:
    """All of it; the hub's lock is held."""
    return {
        "on": journal.on,
        "first": journal.first,
        "key": journal._key.hex(),
        "unsaid": [task.id for task in journal._unsaid],
        "entries": [
            [
                entry.action,
                out.blob(entry.head),
                None if entry.row is None else out.blob(row_data(entry.row)),
                list(entry.told),
                entry.cursor,
                list(entry.waits),
            ]
            for entry in journal._kept
        ],
    }


def restore_journal(journal: Journal, data: Mapping[str, Any], given: Incoming) -> None:
    """The table has its tasks."""
    assert_held(journal._lock)
    journal.on, journal.first = data["on"], data["first"]
    journal._key = bytes.fromhex(data["key"])
    for action, head, row, told, cursor, *more in data["entries"]:
        data_of_row = None if row is None else given.blob(row)
        waits = tuple((name, of) for name, of in (more[0] if more else ()))
        entry = JournalEntry(action, given.blob(head), data_of_row, frozenset(told), waits, cursor)
        journal._keep_locked(entry)
    for task_id in data["unsaid"]:
        if (task := journal._find(task_id)) is not None:
            journal._unsaid.setdefault(task, None)
