"""Runs as rows: the statements that store them, and reading them back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from overseer.history.records import Intent, Owed, Run, RunEnd, Trigger
from overseer.history.transaction import Statement
from overseer.protocol import RetryPolicy, RunInfo, RunTrigger, dump, to_plain, utf8
from overseer.schema.objects import from_plain
from overseer.util.timestamps import from_micros, to_micros

# What was asked for, whether it has begun or waits; rows of :func:`_asked`.
_ASKED = "task_id, run_id, action, params, complete, policy, trigger_type, trigger_by, definition, server"
_INSERT = (
    f"INSERT INTO runs ({_ASKED}, number, status, reason, failed, queued, started, first_seq, resume, host) "
    f"VALUES ({', '.join('?' * 19)}) ON CONFLICT (run_id) DO NOTHING"
)
_END = (
    "UPDATE runs SET status = ?, reason = ?, failed = ?, ended = ?, duration_ms = ?, exit_code = ?, "
    "signal = ?, error = ?, last_seq = ?, cpu_ms = ?, max_rss = ?, resume = ?, gave_up = ? WHERE run_id = ?"
)
_MARK = "INSERT OR REPLACE INTO ids (task_id, number, seq, used) VALUES (?, ?, ?, ?)"
_NOT_GIVEN_UP = "UPDATE runs SET gave_up = 0 WHERE run_id = ?"
_RESUME = "UPDATE runs SET resume = ? WHERE run_id = ?"

_QUEUE = f"INSERT OR REPLACE INTO queued ({_ASKED}, queued) VALUES ({', '.join('?' * 11)})"
_DEQUEUE = "DELETE FROM queued WHERE task_id = ?"
QUEUED_HERE = f"SELECT {_ASKED}, queued FROM queued WHERE server = ?"
QUEUED_ELSEWHERE = f"SELECT {_ASKED}, queued FROM queued WHERE server <> ? ORDER BY id"
"""The tasks that wait for their run on a server, or did on earlier ones; rows for :func:`queued_run`."""

_OWE = "INSERT OR IGNORE INTO owed (run_id, room, change, server) VALUES (?, ?, ?, ?)"
_PAY = "DELETE FROM owed WHERE run_id = ?"
OWED = "SELECT run_id, room, change FROM owed WHERE server <> ? ORDER BY id"
"""What earlier servers have owed; rows of :class:`Owed`."""

_INTEND = "INSERT OR REPLACE INTO intents (task_id, intent, place) VALUES (?, ?, ?)"
_FORGET_INTENT = "DELETE FROM intents WHERE task_id = ?"

SHOWN = (
    "id, run_id, task_id, action, number, status, reason, params, trigger_type, trigger_by, queued, started, "
    "ended, duration_ms, exit_code, signal, error, cpu_ms, max_rss, first_seq, last_seq, host, definition, "
    "gave_up"
)
"""The columns that :func:`shown` takes."""


def insert(run: Run, server: str) -> Statement:
    """Store a run that has begun, unless it is stored already."""
    values = (
        *_asked(run, server),
        run.number,
        "running",
        "",
        0,
        None if run.queued is None else to_micros(run.queued),
        to_micros(run.started),
        run.first_seq,
        1,
        _clean(run.host),
    )
    return _INSERT, values


def end(run: Run, how: RunEnd, error: str = "") -> Statement:
    """Store how a stored run ended. A boot may restart what the server's own shutdown has ended."""
    values = (
        how.status,
        how.reason,
        int(how.status in ("failed", "lost")),
        to_micros(how.at),
        how.duration_ms,
        how.exit_code,
        _clean(how.signal),
        _clean(error),
        how.last_seq,
        how.cpu_ms,
        how.max_rss,
        int(how.again or how.reason == "shutdown"),
        how.gave_up,
        run.run_id,
    )
    return _END, values


def mark(task_id: str, number: int, seq: int, used: int) -> Statement:
    """Store the highest numbers of an id."""
    return _MARK, (task_id, number, seq, used)


def not_given_up(run_id: str) -> Statement:
    """Store that a run's task was not given up with it."""
    return _NOT_GIVEN_UP, (run_id,)


def resume(run_id: str, wanted: bool) -> Statement:
    """Store whether a boot may restart a run's task."""
    return _RESUME, (int(wanted), run_id)


def intend(task_id: str, intent: Intent) -> Statement:
    """Store what is to become of a standing task."""
    return (_INTEND, (task_id, *intent)) if intent.word else (_FORGET_INTENT, (task_id,))


def queue(run: Run, queued: int, server: str) -> Statement:
    """Store that a task waits for its run."""
    return _QUEUE, (*_asked(run, server), queued)


def dequeue(task_id: str) -> Statement:
    """Store that a task does not wait any more."""
    return _DEQUEUE, (task_id,)


def queued_run(row: Sequence[Any], first_seq: int) -> Run:
    """The run that a task has waited for, whose first line would have been ``first_seq``."""
    task_id, run_id, action, params, complete, policy, kind, by, definition, _, queued = row
    at = from_micros(queued)
    trigger, given = Trigger(kind, by), json.loads(params)
    return Run(
        run_id, task_id, action, given, bool(complete), policy_of(policy), trigger, at, at, first_seq,
        definition,
    )  # fmt: skip


def owe(owed: Owed, server: str) -> Statement:
    """Store what is to follow a run's end."""
    return _OWE, (owed.run_id, owed.room, _clean(owed.change), server)


def pay(run_id: str, room: str = "") -> Statement:
    """Store that it has followed; "": that nothing is to follow at all."""
    return (f"{_PAY} AND room = ?", (run_id, room)) if room else (_PAY, (run_id,))


def _asked(run: Run, server: str) -> tuple[Any, ...]:
    return (
        run.task_id,
        run.run_id,
        run.action,
        dump(dict(run.params)).decode(),
        int(run.complete),
        None if run.policy is None else dump(to_plain(run.policy)).decode(),
        run.trigger.type,
        run.trigger.by,
        run.definition,
        server,
    )


def _clean(text: str) -> str:
    """The text without lone surrogates, as the database needs it and clients see it."""
    return utf8(text).decode()


def shown(row: Sequence[Any]) -> RunInfo:
    """The run in a row of :data:`SHOWN`."""
    run = dict(zip(SHOWN.split(", "), row, strict=True))
    del run["id"]
    for time in ("queued", "started", "ended"):
        run[time] = None if run[time] is None else from_micros(run[time])
    run["params"] = json.loads(run["params"])
    run["trigger"] = RunTrigger(run.pop("trigger_type"), run.pop("trigger_by"))
    return RunInfo(**run)


def policy_of(text: str | None) -> RetryPolicy | None:
    return None if text is None else from_plain(RetryPolicy, json.loads(text))
