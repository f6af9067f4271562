"""What outlives the server, as messages have it: runs, and lines of logs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from overseer.protocol.declare import value
from overseer.protocol.words import EXIT_REASON, RUN_STATUS, STREAM, TRIGGER
from overseer.schema.fields import field, optional
from overseer.schema.objects import Object
from overseer.schema.quantities import COUNT, TIMESTAMP, Integer
from overseer.schema.types import BOOLEAN, TASK_ID, TEXT, TEXT_MAP


@value()
class LogLine:
    """A line of a log."""

    seq: int = field(COUNT, "Its number among the task's lines")
    ts: datetime = field(TIMESTAMP, "When it was read")
    stream: str = field(STREAM, "Where it was written")
    data: str = field(TEXT, "The line without its end")
    truncated: bool = optional(BOOLEAN, "Whether it was too long and its end is missing", default=False)


@value()
class LogMatch:
    """A line in which something was found."""

    task_id: str = field(TASK_ID, "Its task")
    run_id: str = field(TEXT, "Its run")
    seq: int = field(COUNT, "Its number among the task's lines")
    ts: datetime = field(TIMESTAMP, "When it was read")
    stream: str = field(STREAM, "Where it was written")
    data: str = field(TEXT, "The line without its end")


@value()
class RunTrigger:
    """Why a run was started, and by whom."""

    type: str = field(TRIGGER, "Why")
    by: str = optional(TEXT, "Who: a token's name; chain:TASK; an action, of a service", default="")


@value(kw_only=True)
class RunInfo:
    """A run in the history."""

    run_id: str = field(TEXT, "Its id, OVERSEER_RUN_ID in its environment")
    task_id: str = field(TASK_ID, "Its task")
    action: str = field(TEXT, "Its action")
    number: int = field(COUNT, "Counts the runs of its task's id, from 1")
    status: str = field(RUN_STATUS, "What became of it")
    reason: str = optional(EXIT_REASON, "Why it ended", default="")
    params: Mapping[str, str] = optional(
        TEXT_MAP, "The parameters of its start, secrets masked", default=dict
    )
    trigger: RunTrigger = field(Object(RunTrigger), "Why it was started, and by whom")
    queued: datetime | None = optional(TIMESTAMP, "Since when it had waited in a queue", default=None)
    started: datetime = field(TIMESTAMP, "When it began, or was to begin")
    ended: datetime | None = optional(
        TIMESTAMP, "When it ended; of a lost one, when that was found", default=None
    )
    duration_ms: int | None = optional(
        COUNT, "Milliseconds from its start to its end; of a lost one, at most this many", default=None
    )
    exit_code: int | None = optional(
        Integer(None),
        "The exit code; -1: a signal ended it, or there is none; absent: it goes on",
        default=None,
    )
    signal: str = optional(TEXT, "The signal that ended it, such as SIGKILL", default="")
    error: str = optional(TEXT, "Why it could not be started, if it could not", default="")
    gave_up: int = optional(
        COUNT, "After how many exits this one made its task errored; absent: it did not", default=0
    )
    cpu_ms: int | None = optional(COUNT, "Milliseconds of CPU time it used", default=None)
    max_rss: int | None = optional(COUNT, "Bytes of memory it had at most", default=None)
    first_seq: int = field(COUNT, "The seq of its first line")
    last_seq: int | None = optional(
        COUNT,
        "That of its last; less than first_seq: it wrote none; absent: it goes on, or is lost",
        default=None,
    )
    host: str = optional(TEXT, "The machine that it ran on; absent: the server's own", default="")
    definition: str = field(TEXT, "A hash of its action's definition, which changes with it")


@value(kw_only=True)
class RunStats:
    """What became of many runs."""

    action: str = optional(TEXT, "The action whose runs they are; absent: any", default="")
    start: datetime | None = optional(
        TIMESTAMP, "When their period begins; absent: there are no periods", default=None
    )
    runs: int = field(COUNT, "How many there were")
    running: int = field(COUNT, "How many of them go on")
    succeeded: int = field(COUNT, "How many succeeded")
    failed: int = field(COUNT, "How many failed")
    stopped: int = field(COUNT, "How many were stopped")
    lost: int = field(COUNT, "How many were lost")
    duration_ms: int = field(COUNT, "Milliseconds that those which ran took together, lost ones excluded")
    median_ms: int | None = optional(
        COUNT, "Half of these took at most this many milliseconds; absent: there are none", default=None
    )
    p95_ms: int | None = optional(
        COUNT, "19 in 20 of these took at most this many; absent: there are none", default=None
    )
