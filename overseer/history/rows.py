"""What runs are as rows: the statements that store them, and what is made of a row again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from overseer.history.moments import restored, stored
from overseer.history.records import Run, RunEnd
from overseer.history.writer import Statement
from overseer.protocol import RetryPolicy, RunInfo, RunTrigger, dump, to_plain, utf8
from overseer.schema.objects import from_plain

_STARTED = (
    "run_id, task_id, action, number, status, reason, failed, params, complete, policy, trigger_type, "
    "trigger_by, queued, started, first_seq, definition, server, resume"
)
_VALUES = ", ".join("?" * 18)
_INSERT = f"INSERT INTO runs ({_STARTED}) VALUES ({_VALUES}) ON CONFLICT (run_id) DO NOTHING"
_END = (
    "UPDATE runs SET status = ?, reason = ?, failed = ?, ended = ?, duration_ms = ?, exit_code = ?, "
    "signal = ?, error = ?, last_seq = ?, cpu_ms = ?, max_rss = ?, resume = ? WHERE run_id = ?"
)
_MARK = (
    "INSERT INTO ids (task_id, number, seq, used) VALUES (?, ?, ?, ?) ON CONFLICT (task_id) DO UPDATE SET "
    "number = excluded.number, seq = excluded.seq, used = excluded.used"
)
_RESUME = "UPDATE runs SET resume = ? WHERE run_id = ?"

SHOWN = (
    "id, run_id, task_id, action, number, status, reason, params, trigger_type, trigger_by, queued, started, "
    "ended, duration_ms, exit_code, signal, error, cpu_ms, max_rss, first_seq, last_seq, definition"
)
"""The columns of which :func:`shown` makes a run."""


def insert(run: Run, server: str) -> Statement:
    """Store a run that goes on, unless it is stored already."""
    policy = None if run.policy is None else dump(to_plain(run.policy)).decode()
    values = (
        run.run_id,
        run.task_id,
        run.action,
        run.number,
        "running",
        "",
        0,
        dump(dict(run.params)).decode(),
        int(run.complete),
        policy,
        run.trigger.type,
        run.trigger.by,
        None if run.queued is None else stored(run.queued),
        stored(run.started),
        run.first_seq,
        run.definition,
        server,
        1,
    )
    return _INSERT, values


def end(run: Run, how: RunEnd, error: str = "") -> Statement:
    """Store how a run that is stored ended. A boot brings back what the server itself has ended."""
    values = (
        how.status,
        how.reason,
        int(how.status in ("failed", "lost")),
        stored(how.at),
        how.duration_ms,
        how.exit_code,
        _clean(how.signal),
        _clean(error),
        how.last_seq,
        how.cpu_ms,
        how.max_rss,
        int(how.reason == "shutdown"),
        run.run_id,
    )
    return _END, values


def mark(task_id: str, number: int, seq: int, used: int) -> Statement:
    """Store how far an id's numbers have come."""
    return _MARK, (task_id, number, seq, used)


def resume(run_id: str, wanted: bool) -> Statement:
    """Store whether a boot may bring a run's task back."""
    return _RESUME, (int(wanted), run_id)


def _clean(text: str) -> str:
    """The text as the database can hold it, and as clients are shown it: without half surrogate pairs."""
    return utf8(text).decode()


def shown(row: Sequence[Any]) -> RunInfo:
    """The run that a row of :data:`SHOWN` is."""
    (
        _,
        run_id,
        task_id,
        action,
        number,
        status,
        reason,
        params,
        trigger_type,
        trigger_by,
        queued,
        started,
        ended,
        duration_ms,
        exit_code,
        signal,
        error,
        cpu_ms,
        max_rss,
        first_seq,
        last_seq,
        definition,
    ) = row
    return RunInfo(
        run_id=run_id,
        task_id=task_id,
        action=action,
        number=number,
        status=status,
        reason=reason,
        params=json.loads(params),
        trigger=RunTrigger(trigger_type, trigger_by),
        queued=None if queued is None else restored(queued),
        started=restored(started),
        ended=None if ended is None else restored(ended),
        duration_ms=duration_ms,
        exit_code=exit_code,
        signal=signal,
        error=error,
        cpu_ms=cpu_ms,
        max_rss=max_rss,
        first_seq=first_seq,
        last_seq=last_seq,
        definition=definition,
    )


def policy_of(text: str | None) -> RetryPolicy | None:
    return None if text is None else from_plain(RetryPolicy, json.loads(text))
