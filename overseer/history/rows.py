"""Runs as rows: the statements that store them, and reading them back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from overseer.history.records import Intent, Owed, Run, RunEnd, Trigger
from overseer.history.transaction import Statement
from overseer.protocol import RetryPolicy, RunInfo, RunTrigger, dump, to_plain, utf8
from overseer.schema.objects import from_plain
from overseer.util.timestamps import from_micros, to_micros

_MARK = "INSERT OR REPLACE INTO ids (task_id, number, seq, used) VALUES (?, ?, ?, ?)"
_NOT_GIVEN_UP = "UPDATE runs SET gave_up = 0 WHERE run_id = ?"
_RESUME = "UPDATE runs SET resume = ? WHERE run_id = ?"

_DEQUEUE = "DELETE FROM queued WHERE task_id = ?"
_QUEUED = (
    "SELECT task_id, run_id, action, params, complete, policy, trigger_type, trigger_by, definition, queued "
    "FROM queued"
)
QUEUED_HERE = f"{_QUEUED} WHERE server = ?"
QUEUED_ELSEWHERE = f"{_QUEUED} WHERE server <> ? ORDER BY id"
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
    values = {
        **_asked(run, server),
        "number": run.number,
        "status": "running",
        "reason": "",
        "failed": 0,
        "queued": None if run.queued is None else to_micros(run.queued),
        "started": to_micros(run.started),
        "first_seq": run.first_seq,
        "resume": 1,
        "host": _clean(run.host),
    }
    return f"INSERT INTO {_into('runs', values)} ON CONFLICT (run_id) DO NOTHING", values


def end(run: Run, how: RunEnd, error: str = "") -> Statement:
    """Store how a stored run ended. A boot may restart what the server's own shutdown has ended."""
    values = {
        "status": how.status,
        "reason": how.reason,
        "failed": int(how.status in ("failed", "lost")),
        "ended": to_micros(how.at),
        "duration_ms": how.duration_ms,
        "exit_code": how.exit_code,
        "signal": _clean(how.signal),
        "error": _clean(error),
        "last_seq": how.last_seq,
        "cpu_ms": how.cpu_ms,
        "max_rss": how.max_rss,
        "resume": int(how.again or how.reason == "shutdown"),
        "gave_up": how.gave_up,
    }
    sets = ", ".join(f"{column} = :{column}" for column in values)
    return f"UPDATE runs SET {sets} WHERE run_id = :run_id", {**values, "run_id": run.run_id}


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
    values = {**_asked(run, server), "queued": queued}
    return f"INSERT OR REPLACE INTO {_into('queued', values)}", values


def dequeue(task_id: str) -> Statement:
    """Store that a task does not wait any more."""
    return _DEQUEUE, (task_id,)


def queued_run(row: Sequence[Any], first_seq: int) -> Run:
    """The run that a task has waited for, whose first line would have been ``first_seq``."""
    task_id, run_id, action, params, complete, policy, kind, by, definition, queued = row
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


def _asked(run: Run, server: str) -> dict[str, Any]:
    """What was asked for, whether it has begun or waits."""
    return {
        "task_id": run.task_id,
        "run_id": run.run_id,
        "action": run.action,
        "params": dump(dict(run.params)).decode(),
        "complete": int(run.complete),
        "policy": None if run.policy is None else dump(to_plain(run.policy)).decode(),
        "trigger_type": run.trigger.type,
        "trigger_by": run.trigger.by,
        "definition": run.definition,
        "server": server,
    }


def _into(table: str, values: Mapping[str, Any]) -> str:
    """What follows INSERT INTO, for values by column."""
    return f"{table} ({', '.join(values)}) VALUES (:{', :'.join(values)})"


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
