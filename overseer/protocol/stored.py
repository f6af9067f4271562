"""What outlives the server, as messages have it: runs, and lines of logs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from overseer.protocol.declare import value as _value
from overseer.protocol.words import EXIT_REASON, RUN_STATUS, STREAM, TRIGGER
from overseer.schema.fields import field
from overseer.schema.objects import Object
from overseer.schema.quantities import COUNT, TIMESTAMP, Integer
from overseer.schema.types import BOOLEAN, TASK_ID, TEXT, TEXT_MAP


@_value()
class LogLine:
    """A line of a log."""

    seq: int = field(COUNT, "Its number among the task's lines")
    ts: datetime = field(TIMESTAMP, "When it was read")
    stream: str = field(STREAM, "Where it was written")
    data: str = field(TEXT, "The line without its end")
    truncated: bool = field(
        BOOLEAN, "Whether it was too long and its end is missing", default=False, omit=True
    )


@_value()
class LogMatch:
    """A line in which something was found."""

    task_id: str = field(TASK_ID, "Its task")
    run_id: str = field(TEXT, "Its run")
    seq: int = field(COUNT, "Its number among the task's lines")
    ts: datetime = field(TIMESTAMP, "When it was read")
    stream: str = field(STREAM, "Where it was written")
    data: str = field(TEXT, "The line without its end")


@_value()
class RunTrigger:
    """Why a run was started, and by whom."""

    type: str = field(TRIGGER, "Why")
    by: str = field(TEXT, "Who: a token's name; chain:TASK; an action, of a service", default="", omit=True)


@_value(kw_only=True)
class RunInfo:
    """A run in the history."""

    run_id: str = field(TEXT, "Its id, OVERSEER_RUN_ID in its environment")
    task_id: str = field(TASK_ID, "Its task")
    action: str = field(TEXT, "Its action")
    number: int = field(COUNT, "Counts the runs of its task's id, from 1")
    status: str = field(RUN_STATUS, "What became of it")
    reason: str = field(EXIT_REASON, "Why it ended", default="", omit=True)
    params: Mapping[str, str] = field(
        TEXT_MAP, "The parameters of its start, secrets masked", default=dict, omit=True
    )
    trigger: RunTrigger = field(Object(RunTrigger), "Why it was started, and by whom")
    queued: datetime | None = field(TIMESTAMP, "Since when it had waited in a queue", default=None, omit=True)
    started: datetime = field(TIMESTAMP, "When it began, or was to begin")
    ended: datetime | None = field(
        TIMESTAMP, "When it ended; of a lost one, when that was found", default=None, omit=True
    )
    duration_ms: int | None = field(
        COUNT,
        "Milliseconds from its start to its end; of a lost one, at most this many",
        default=None,
        omit=True,
    )
    exit_code: int | None = field(
        Integer(None),
        "The exit code; -1: a signal ended it, or there is none; absent: it goes on",
        default=None,
        omit=True,
    )
    signal: str = field(TEXT, "The signal that ended it, such as SIGKILL", default="", omit=True)
    error: str = field(TEXT, "Why it could not be started, if it could not", default="", omit=True)
    gave_up: int = field(
        COUNT,
        "After how many exits this one made its task errored; absent: it did not",
        default=0,
        omit=True,
    )
    cpu_ms: int | None = field(COUNT, "Milliseconds of CPU time it used", default=None, omit=True)
    max_rss: int | None = field(COUNT, "Bytes of memory it had at most", default=None, omit=True)
    first_seq: int = field(COUNT, "The seq of its first line")
    last_seq: int | None = field(
        COUNT,
        "That of its last; less than first_seq: it wrote none; absent: it goes on, or is lost",
        default=None,
        omit=True,
    )
    host: str = field(TEXT, "The machine that it ran on; absent: the server's own", default="", omit=True)
    definition: str = field(TEXT, "A hash of its action's definition, which changes with it")


@_value(kw_only=True)
class RunStats:
    """What became of many runs."""

    action: str = field(TEXT, "The action whose runs they are; absent: any", default="", omit=True)
    start: datetime | None = field(
        TIMESTAMP, "When their period begins; absent: there are no periods", default=None, omit=True
    )
    runs: int = field(COUNT, "How many there were")
    running: int = field(COUNT, "How many of them go on")
    succeeded: int = field(COUNT, "How many succeeded")
    failed: int = field(COUNT, "How many failed")
    stopped: int = field(COUNT, "How many were stopped")
    lost: int = field(COUNT, "How many were lost")
    duration_ms: int = field(COUNT, "Milliseconds that those which ran took together, lost ones excluded")
    median_ms: int | None = field(
        COUNT,
        "Half of these took at most this many milliseconds; absent: there are none",
        default=None,
        omit=True,
    )
    p95_ms: int | None = field(
        COUNT, "19 in 20 of these took at most this many; absent: there are none", default=None, omit=True
    )
