"""What earlier servers have left in the database, and how a server takes it over."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from overseer.history import rows
from overseer.history.records import Intent, Owed, Run
from overseer.history.slots import SETTLE
from overseer.history.transaction import transaction
from overseer.protocol import RetryPolicy
from overseer.util.timestamps import now, to_micros

_log = logging.getLogger(__name__)

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


@dataclass(frozen=True, slots=True)
class Interrupted:
    """A task that was running when an earlier server ended, or waited for its run, with that run."""

    run_id: str
    server: str
    task_id: str
    action: str
    params: Mapping[str, str]
    complete: bool
    policy: RetryPolicy | None


@dataclass(frozen=True, slots=True)
class Inheritance:
    """What a database held when it was opened.

    Attributes:
        to_resume: tasks that were running when an earlier server ended.
        intents: of standing tasks.
        queued: runs that tasks of this server wait for.
        unstarted: runs that tasks waited for when an earlier server ended.
        owed: what had not followed yet.
        marks: the highest numbers of ids: (id, number, seq).
    """

    to_resume: Sequence[Interrupted] = ()
    intents: Mapping[str, Intent] = field(default_factory=dict)
    queued: Sequence[Run] = ()
    unstarted: Sequence[Run] = ()
    owed: Sequence[Owed] = ()
    marks: Sequence[tuple[str, int, int]] = ()


def take_over(connection: sqlite3.Connection, server: str) -> Inheritance:
    """Close the runs that servers other than this one left open, and read what they have left.

    Raises:
        sqlite3.Error: nothing has changed.
    """
    with transaction(connection):
        lost = connection.execute(_LOST, (to_micros(now()), server)).rowcount
        resumable = connection.execute(_RESUMABLE, (server,)).fetchall()
        connection.execute(_SUPERSEDED, (server,))
        intents = connection.execute("SELECT task_id, intent, place FROM intents ORDER BY task_id").fetchall()
        here = connection.execute(rows.QUEUED_HERE, (server,)).fetchall()
        elsewhere = connection.execute(rows.QUEUED_ELSEWHERE, (server,)).fetchall()
        owed = connection.execute(rows.OWED, (server,)).fetchall()
        marks = connection.execute("SELECT task_id, number, seq FROM ids").fetchall()
        connection.execute(SETTLE)
    if lost:
        _log.warning("%d run%s lost: the server ended while they were running", lost, _were(lost))
    seqs = {task_id: seq for task_id, _, seq in marks}
    return Inheritance(
        to_resume=[_interrupted(row) for row in resumable],
        intents={task_id: Intent(*intent) for task_id, *intent in intents},
        queued=[rows.queued_run(row, seqs.get(row[0], 0) + 1) for row in here],
        unstarted=[rows.queued_run(row, seqs.get(row[0], 0) + 1) for row in elsewhere],
        owed=[Owed(*row) for row in owed],
        marks=marks,
    )


def _interrupted(row: tuple[Any, ...]) -> Interrupted:
    run_id, server, task_id, action, params, complete, policy = row
    return Interrupted(
        run_id, server, task_id, action, json.loads(params), bool(complete), rows.policy_of(policy)
    )


def _were(count: int) -> str:
    return " was" if count == 1 else "s were"
