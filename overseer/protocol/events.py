"""The server's events, sent to a task's subscribers or to all clients."""

from __future__ import annotations

from datetime import datetime

from overseer.protocol.declare import Delivery, Event, event
from overseer.protocol.values import PoolInfo, TaskInfo, TaskUsage
from overseer.protocol.words import EXIT_REASON, HEALTH, SKIP_REASON, STREAM
from overseer.schema.binary import BASE64
from overseer.schema.fields import declared, field, optional
from overseer.schema.objects import ListOf, Object
from overseer.schema.quantities import COUNT, DURATION, TIMESTAMP, Integer
from overseer.schema.types import BOOLEAN, TASK_ID, TEXT, Choice

_TASK = "The task"
_TS = "When it happened"


@declared()
class TaskEvent(Event):
    """Base of a task's events, which also go to all watchers."""

    task: TaskInfo | None = optional(
        Object(TaskInfo),
        "The task as list has it from now on; only where you watch",
        default=None,
        kw_only=True,
        last=True,
    )
    cursor: str = optional(
        TEXT, "Where you are then, for the after of a watch", default="", kw_only=True, last=True
    )


@event("started", Delivery.SUBSCRIBERS)
class Started(TaskEvent):
    """A run of a task began; all output of the run follows."""

    id: str = field(TEXT, 'The id of your start or reset that led to it; "" if it was not yours')
    task_id: str = field(TASK_ID, _TASK)
    pid: int = field(COUNT, "Its process, the leader of its own process group; 0: it is not a process")
    restart_of: int = optional(COUNT, "The pid of the previous run", default=0, kw_only=True)
    ts: datetime = field(TIMESTAMP, _TS)
    first_seq: int = optional(
        COUNT,
        "Where the seq of the task's lines begins, when an earlier task had its id; absent: at 1, or, for a "
        "later run, it goes on",
        default=0,
    )
    host: str = optional(TEXT, "The machine that it runs on; absent: the server's own", default="")
    warnings: tuple[str, ...] = optional(
        ListOf(TEXT),
        "Probable mistakes in your start: parameters that its action does not have, and are ignored",
        default=(),
    )


@event("output", Delivery.SUBSCRIBERS)
class Output(Event):
    """A line of output."""

    task_id: str = field(TASK_ID, _TASK)
    pid: int = field(COUNT, "The process of its run")
    stream: str = field(STREAM, "Where it was written")
    data: str = field(TEXT, "The line without its end; bytes that are not UTF-8 are U+FFFD")
    ts: datetime = field(TIMESTAMP, "When it was read")
    seq: int = field(COUNT, "Counts the task's lines, from 1, over all its runs")
    truncated: bool = optional(BOOLEAN, "Whether the line was too long and its end is missing", default=False)
    overwritten: bool = optional(
        BOOLEAN,
        "Whether the line was long and redrew itself (with CR), and its beginning is missing",
        default=False,
    )


@event("exited", Delivery.SUBSCRIBERS)
class Exited(TaskEvent):
    """A run of a task ended; none of its output follows."""

    task_id: str = field(TASK_ID, _TASK)
    pid: int = field(COUNT, "The process of its run")
    exit_code: int = field(Integer(None), "The exit code; -1 when a signal ended it")
    intentional: bool = field(BOOLEAN, "Whether it was requested: a stop, a lowered limit, a shutdown")
    ts: datetime = field(TIMESTAMP, _TS)
    signal: str = optional(TEXT, 'The signal that ended it, such as "SIGKILL"', default="")
    will_restart: bool = optional(BOOLEAN, "Whether the task goes on with another run", default=False)
    reason: str = field(EXIT_REASON, "Why it ended", default="")
    duration_ms: int = field(COUNT, "Milliseconds from its start to its end", default=0)
    cpu_ms: int | None = optional(
        COUNT, "Milliseconds of CPU that its processes used; absent: unknown", default=None
    )
    max_rss: int | None = optional(
        COUNT,
        "Peak memory of all its processes together, as far as measured, in bytes; absent: unknown",
        default=None,
    )
    host: str = optional(TEXT, "The machine that it ran on; absent: the server's own", default="")


@event("restarting", Delivery.SUBSCRIBERS)
class Restarting(TaskEvent):
    """A task will be started again."""

    task_id: str = field(TASK_ID, _TASK)
    pid: int = field(COUNT, "The process of the run that ended; 0: it could not be started")
    restart_delay: int = field(DURATION, "The time until then, jitter included")
    attempt: int = field(COUNT, "Which restart it will be, from 1")
    ts: datetime = field(TIMESTAMP, _TS)


@event("errored", Delivery.SUBSCRIBERS)
class Errored(TaskEvent):
    """A task failed too often and stays down until a reset."""

    task_id: str = field(TASK_ID, _TASK)
    pid: int = field(COUNT, "The process of the run that ended; 0: it could not be started")
    exit_count: int = field(COUNT, "How many exits counted")
    ts: datetime = field(TIMESTAMP, _TS)


@event("ready", Delivery.SUBSCRIBERS)
class Ready(TaskEvent):
    """A run of a task is ready, by what its action requires."""

    task_id: str = field(TASK_ID, _TASK)
    pid: int = field(COUNT, "The process of its run")
    ts: datetime = field(TIMESTAMP, "When that was found")


@event("not_ready", Delivery.SUBSCRIBERS)
class NotReady(TaskEvent):
    """A run of a task was not ready in the time that its action allows. It goes on, and may become ready."""

    task_id: str = field(TASK_ID, _TASK)
    pid: int = field(COUNT, "The process of its run")
    detail: str = field(TEXT, "What is missing, for people")
    ts: datetime = field(TIMESTAMP, "When that was found")


@event("health", Delivery.SUBSCRIBERS)
class Health(TaskEvent):
    """A run of a task has become healthy or unhealthy."""

    task_id: str = field(TASK_ID, _TASK)
    status: str = field(HEALTH, "What it is now")
    detail: str = optional(TEXT, "Why, for people", default="", kw_only=True)
    ts: datetime = field(TIMESTAMP, "When that was found")


@event("queued", Delivery.BROADCAST)
class Queued(TaskEvent):
    """A task waits for a place in its pool."""

    id: str = field(TEXT, 'The id of your start that led to it; "" if it was not yours')
    task_id: str = field(TASK_ID, _TASK)
    action: str = field(TEXT, "Its action")
    position: int = field(
        COUNT, "Its place in the queue, from 1; 0: it waits for other tasks first, or for a cluster"
    )
    ts: datetime = field(TIMESTAMP, _TS)
    waiting_on: tuple[str, ...] = optional(
        ListOf(TEXT),
        'The tasks that it waits for; "cluster": a place to run on, in which its pool counts it as running',
        default=(),
    )
    warnings: tuple[str, ...] = optional(
        ListOf(TEXT),
        "Probable mistakes in your start: parameters that its action does not have, and are ignored",
        default=(),
    )


@event("dequeued", Delivery.BROADCAST)
class Dequeued(TaskEvent):
    """A task that was waiting, for its first start or for a restart, will not start."""

    task_id: str = field(TASK_ID, _TASK)
    reason: str = field(Choice("stopped", "purged", "displaced", "expired", "shutdown"), "Why")
    ts: datetime = field(TIMESTAMP, _TS)


@event("moved", Delivery.BROADCAST)
class Moved(TaskEvent):
    """A waiting task was moved to another place in its queue."""

    id: str = field(TEXT, 'The id of your move; "" if it was not yours')
    task_id: str = field(TASK_ID, _TASK)
    action: str = field(TEXT, "Its action")
    position: int = field(COUNT, "Its place in its action's queue, from 1")
    ts: datetime = field(TIMESTAMP, _TS)
    overall: int = optional(
        COUNT,
        "Its place among all waiting tasks that you may see, from 1; only in the answer to a move without an "
        "action",
        default=0,
    )


@event("skipped", Delivery.BROADCAST)
class Skipped(TaskEvent):
    """A standing task was not started when its schedule said so."""

    task_id: str = field(TASK_ID, _TASK)
    slot: datetime = field(TIMESTAMP, "The time at which it was to be started; of several, the latest")
    reason: str = field(SKIP_REASON, "Why")
    ts: datetime = field(TIMESTAMP, "When that was decided")
    number: int = optional(COUNT, "How many such times there were, up to 1000", default=1)


@event("pool_updated", Delivery.BROADCAST)
class PoolUpdated(Event):
    """A pool was changed."""

    action: str = optional(TEXT, "Whose pool; absent: the global one", default="", kw_only=True)
    pool: PoolInfo = field(Object(PoolInfo), "The pool as it is now")


@event("usage", Delivery.SUBSCRIBERS)
class Usage(Event):
    """The resource usage of tasks: the reply to usage, and a push every two seconds to clients whose
    subscription asked for it."""

    id: str = optional(TEXT, "The id of your request; absent from pushes", default="")
    tasks: tuple[TaskUsage, ...] = field(
        ListOf(Object(TaskUsage)),
        "Those that run, as processes",
        default=(),
    )


@event("gap", Delivery.SUBSCRIBERS)
class Gap(Event):
    """Output that this client misses: it read too slowly with on_lag drop, or the log does not have it."""

    task_id: str = field(TASK_ID, _TASK)
    from_seq: int = field(COUNT, "The first line missed")
    to_seq: int = field(COUNT, "The last line missed")
    ts: datetime = field(TIMESTAMP, "When it was sent")
    reason: str = optional(
        Choice("expired", "not_logged", "unreadable"),
        "Why the log does not have it: it was removed; it was never written, because the disk was full, slow "
        "or failed; or it cannot be read. Absent with on_lag drop",
        default="",
    )


@event("partial", Delivery.SUBSCRIBERS)
class Partial(Event):
    """An unfinished line as a terminal would show it; sent to those who asked for partial.
    The next partial or output of this stream replaces it. It is not stored and has no seq.
    """

    task_id: str = field(TASK_ID, _TASK)
    pid: int = field(COUNT, "The process of its run")
    stream: str = field(STREAM, "Where it was written")
    data: str = field(TEXT, "The line so far, at most its last 4096 bytes; colours included")
    ts: datetime = field(TIMESTAMP, "When it was sent")


@event("data", Delivery.SUBSCRIBERS)
class Data(Event):
    """A task's raw terminal output, cut anywhere; sent to those who asked for raw. The first one begins
    with the end of what its run has shown so far. Only the latest 64 KiB are stored: a client that lags with
    on_lag drop continues with those, and offset shows what is missing.
    """

    task_id: str = field(TASK_ID, _TASK)
    pid: int = field(COUNT, "The process of its run")
    offset: int = field(COUNT, "How many bytes of raw output came before these, over all runs of the task")
    data: bytes = field(BASE64, "The bytes")


@event("chain_refused", Delivery.SUBSCRIBERS)
class ChainRefused(TaskEvent):
    """A task that should have followed the end of another was not started. Where some clients are limited to
    some actions, only the audit and the server's log say which and why."""

    task_id: str = field(TASK_ID, "The task that is over")
    ts: datetime = field(TIMESTAMP, _TS)
    action: str = optional(TEXT, "The action that was not started", default="")
    message: str = optional(TEXT, "Why, for people", default="")
