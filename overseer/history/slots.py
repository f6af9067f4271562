"""What schedules have decided, as rows: which slots were run or skipped, and how far each has come.

A slot is a moment in whole seconds since 1970. It is stored before its run is started, so whenever a server
is killed, the next one knows that it was; whether the run began is told by the history of runs.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from overseer.util.timestamps import from_micros, to_micros

if TYPE_CHECKING:
    import sqlite3

    from overseer.history.transaction import Statement

WAITING = "waiting"  # for the task to be over
FIRING = "firing"  # its start is asked for; nothing tells yet that it runs
FIRED = "fired"
SKIPPED = "skipped"
REFUSED = "refused"  # its start was asked for, and did not come to a run

UNSCHEDULED: tuple[Statement, ...] = (
    ("UPDATE slots SET outcome = 'skipped', reason = 'disabled' WHERE outcome IN ('waiting', 'firing')", ()),
    ("UPDATE schedules SET wanted = 0 WHERE wanted", ()),
)
"""The configuration has no schedules any more: nothing waits, and from now on nothing is missed."""

KEPT = 20
"""How many slots of each task are remembered, other than those that wait."""

_SLOT = (
    "INSERT OR REPLACE INTO slots (task_id, slot, outcome, reason, number, at, detail) "
    "VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_FORGET = (
    "DELETE FROM slots WHERE task_id = ?1 AND outcome NOT IN ('waiting', 'firing') AND slot <= (SELECT slot "
    f"FROM slots WHERE task_id = ?1 ORDER BY slot DESC LIMIT 1 OFFSET {KEPT})"
)
_SCHEDULE = (
    "INSERT OR REPLACE INTO schedules (task_id, since, spans, paused, wanted, used) VALUES (?, ?, ?, ?, ?, ?)"
)
# What the id of a task that is started beside has after the schedule's, for Python's strftime and SQLite's.
_BESIDE = "@%Y-%m-%dT%H:%M:%SZ"
# Of the start of a slot that an earlier server asked for, a run tells, of the task or of one beside it, be it
# one that is still waited for.
_ITS = (
    f"task_id IN (slots.task_id, slots.task_id || strftime('{_BESIDE}', slot, 'unixepoch')) "
    "AND trigger_type = 'schedule'"
)
SETTLE = (
    "UPDATE slots SET outcome = 'fired' WHERE outcome = 'firing' AND (EXISTS (SELECT 1 FROM runs WHERE "
    f"runs.{_ITS} AND started >= slots.at AND runs.reason <> 'start_failed') OR EXISTS (SELECT 1 FROM queued "
    f"WHERE queued.{_ITS} AND queued.queued >= slots.at))"
)


@dataclass(frozen=True, slots=True)
class Slot:
    """What became of a slot.

    Attributes:
        outcome: one of the words above.
        reason: why it was skipped; how it overlaps, while it waits.
        number: how many were skipped with it, itself included.
        detail: why its start was refused.
    """

    task_id: str
    slot: int
    outcome: str
    at: datetime
    reason: str = ""
    number: int = 1
    detail: str = ""


@dataclass(slots=True)
class Schedules:
    """How far the schedules of a task have come.

    Attributes:
        since: all slots up to then are decided.
        spans: the time that is decided, as pairs of a begin and an end.
        paused: whether somebody paused them.
        wanted: whether the configuration has them.
        slots: the latest, oldest first.
    """

    task_id: str
    since: int
    spans: Sequence[tuple[int, int]]
    paused: bool
    wanted: bool = True
    slots: list[Slot] = field(default_factory=list)


def keep_slot(slot: Slot) -> tuple[Statement, Statement]:
    """Store a slot, and forget the oldest ones of its task."""
    values = (
        slot.task_id,
        slot.slot,
        slot.outcome,
        slot.reason,
        slot.number,
        to_micros(slot.at),
        slot.detail,
    )
    return (_SLOT, values), (_FORGET, (slot.task_id,))


def keep_schedules(schedules: Schedules, at: datetime) -> Statement:
    """Store how far a task's schedules have come."""
    spans = json.dumps(list(schedules.spans), separators=(",", ":"))
    values = (
        schedules.task_id,
        schedules.since,
        spans,
        int(schedules.paused),
        int(schedules.wanted),
        to_micros(at),
    )
    return _SCHEDULE, values


def beside(task_id: str, slot: int) -> str:
    """The id of the task that is started for a slot beside the one that has its own id."""
    return task_id + datetime.fromtimestamp(slot, UTC).strftime(_BESIDE)


def load(connection: sqlite3.Connection) -> dict[str, Schedules]:
    """All that is stored, by task."""
    found: dict[str, Schedules] = {}
    for task_id, since, spans, paused, wanted in connection.execute(
        "SELECT task_id, since, spans, paused, wanted FROM schedules"
    ):
        pairs = [(int(begin), int(end)) for begin, end in json.loads(spans)]
        found[task_id] = Schedules(task_id, since, pairs, bool(paused), bool(wanted))
    for task_id, slot, outcome, at, *more in connection.execute(
        "SELECT task_id, slot, outcome, at, reason, number, detail FROM slots ORDER BY task_id, slot"
    ):
        if schedules := found.get(task_id):
            schedules.slots.append(Slot(task_id, slot, outcome, from_micros(at), *more))
    return found
