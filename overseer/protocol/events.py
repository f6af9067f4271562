"""What the server sends: answers to requests, and news of what happens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, TypeVar, dataclass_transform

from overseer.protocol.stored import LogLine, LogMatch, RunInfo
from overseer.protocol.values import (
    ActionInfo,
    ActionMetrics,
    GlobalMetrics,
    PoolInfo,
    TaskInfo,
    TaskMetrics,
    TaskUsage,
)
from overseer.protocol.words import EXIT_REASON, STREAM
from overseer.schema.binary import BASE64
from overseer.schema.fields import declared, field
from overseer.schema.objects import ListOf, Object
from overseer.schema.quantities import COUNT, DURATION, TIMESTAMP, Integer
from overseer.schema.types import BOOLEAN, DOCUMENT, TASK_ID, TEXT, Choice

DEQUEUE_REASONS = ("stopped", "purged", "displaced", "expired", "shutdown")

_ID = "The request's"
_TASK = "The task"
_TS = "When it happened"


class Delivery(StrEnum):
    """Who is sent a message."""

    DIRECT = "direct"
    BROADCAST = "broadcast"
    SUBSCRIBERS = "broadcast_subscribers"


@declared()
class Event:
    """Base of all messages from the server."""

    type: ClassVar[str]
    delivery: ClassVar[Delivery]


EVENTS: dict[str, type[Event]] = {}
"""Every message by its ``type``, in the order the documents list them."""

_E = TypeVar("_E", bound=Event)


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def _event(name: str, delivery: Delivery) -> Callable[[type[_E]], type[_E]]:
    """Makes the class the message that the wire calls ``name``."""

    def register(cls: type[_E]) -> type[_E]:
        made = declared()(cls)
        made.type = name
        made.delivery = delivery
        EVENTS[name] = made
        return made

    return register


@_event("started", Delivery.SUBSCRIBERS)
class Started(Event):
    """A run of a task began; all output of the run follows."""

    id: str = field(TEXT, 'The id of your start or reset that led to it; "" if it was not yours')
    task_id: str = field(TASK_ID, _TASK)
    pid: int = field(COUNT, "Its process, which leads a process group of its own; 0: it is not a process")
    restart_of: int = field(COUNT, "The pid of the previous run", default=0, kw_only=True, omit=True)
    ts: datetime = field(TIMESTAMP, _TS)
    first_seq: int = field(
        COUNT,
        "Where the seq of the task's lines begins, when an earlier task had its id; absent: at 1, or, for a "
        "later run, it goes on",
        default=0,
        omit=True,
    )


@_event("output", Delivery.SUBSCRIBERS)
class Output(Event):
    """A line of output."""

    task_id: str = field(TASK_ID, _TASK)
    pid: int = field(COUNT, "The process of its run")
    stream: str = field(STREAM, "Where it was written")
    data: str = field(TEXT, "The line without its end; bytes that are not UTF-8 are U+FFFD")
    ts: datetime = field(TIMESTAMP, "When it was read")
    seq: int = field(COUNT, "Counts the task's lines, from 1, over all its runs")
    truncated: bool = field(
        BOOLEAN, "Whether the line was too long and its end is missing", default=False, omit=True
    )
    overwritten: bool = field(
        BOOLEAN,
        "Whether the line was long and redrew itself (with CR), and its beginning is missing",
        default=False,
        omit=True,
    )


@_event("exited", Delivery.SUBSCRIBERS)
class Exited(Event):
    """A run of a task ended; none of its output follows."""

    task_id: str = field(TASK_ID, _TASK)
    pid: int = field(COUNT, "The process of its run")
    exit_code: int = field(Integer(None), "The exit code; -1 when a signal ended it")
    intentional: bool = field(BOOLEAN, "Whether it was asked for: a stop, a lowered limit, a shutdown")
    ts: datetime = field(TIMESTAMP, _TS)
    signal: str = field(TEXT, 'The signal that ended it, such as "SIGKILL"', default="", omit=True)
    will_restart: bool = field(BOOLEAN, "Whether the task goes on with another run", default=False, omit=True)
    reason: str = field(EXIT_REASON, "Why it ended", default="")
    duration_ms: int = field(COUNT, "Milliseconds from its start to its end", default=0)
    cpu_ms: int | None = field(
        COUNT, "Milliseconds of CPU that its processes used; absent: not known", default=None, omit=True
    )
    max_rss: int | None = field(
        COUNT,
        "The most memory that its processes had together, as far as was looked, in bytes; absent: not known",
        default=None,
        omit=True,
    )


@_event("signaled", Delivery.DIRECT)
class Signaled(Event):
    """A signal was sent to a task's run."""

    id: str = field(TEXT, _ID)
    task_id: str = field(TASK_ID, _TASK)
    signal: str = field(TEXT, "Its name; its number, if it has none")


@_event("input_accepted", Delivery.DIRECT)
class InputAccepted(Event):
    """A task will read what it was given, unless it ends first."""

    id: str = field(TEXT, _ID)
    task_id: str = field(TASK_ID, _TASK)
    bytes: int = field(COUNT, "How much it was given")


@_event("resized", Delivery.DIRECT)
class Resized(Event):
    """A task's terminal has another size."""

    id: str = field(TEXT, _ID)
    task_id: str = field(TASK_ID, _TASK)
    rows: int = field(COUNT, "Its height in characters")
    cols: int = field(COUNT, "Its width in characters")


@_event("restarting", Delivery.SUBSCRIBERS)
class Restarting(Event):
    """A task is to be started again."""

    task_id: str = field(TASK_ID, _TASK)
    pid: int = field(COUNT, "The process of the run that ended; 0: it could not be started")
    restart_delay: int = field(DURATION, "The time until then, jitter included")
    attempt: int = field(COUNT, "Which restart it will be, from 1")
    ts: datetime = field(TIMESTAMP, _TS)


@_event("errored", Delivery.SUBSCRIBERS)
class Errored(Event):
    """A task failed too often and stays down until a reset."""

    task_id: str = field(TASK_ID, _TASK)
    pid: int = field(COUNT, "The process of the run that ended; 0: it could not be started")
    exit_count: int = field(COUNT, "How many exits counted")
    ts: datetime = field(TIMESTAMP, _TS)


@_event("queued", Delivery.BROADCAST)
class Queued(Event):
    """A task waits for a place in its pool."""

    id: str = field(TEXT, 'The id of your start that led to it; "" if it was not yours')
    task_id: str = field(TASK_ID, _TASK)
    action: str = field(TEXT, "Its action")
    position: int = field(COUNT, "Its place in the queue, from 1")
    ts: datetime = field(TIMESTAMP, _TS)


@_event("dequeued", Delivery.BROADCAST)
class Dequeued(Event):
    """A task that was waiting, for its first start or for a restart, will not start."""

    task_id: str = field(TASK_ID, _TASK)
    reason: str = field(Choice(*DEQUEUE_REASONS), "Why")
    ts: datetime = field(TIMESTAMP, _TS)


@_event("tasks", Delivery.DIRECT)
class Tasks(Event):
    """The tasks asked for."""

    id: str = field(TEXT, _ID)
    tasks: tuple[TaskInfo, ...] = field(ListOf(Object(TaskInfo)), "Never null")
    next: str = field(TEXT, "There are more: ask again with this value as after", default="", omit=True)


@_event("runs", Delivery.DIRECT)
class RunsReply(Event):
    """The runs asked for."""

    id: str = field(TEXT, _ID)
    runs: tuple[RunInfo, ...] = field(ListOf(Object(RunInfo)), "The newest first; never null")
    next: str = field(TEXT, "There are more: ask again with this value as before", default="", omit=True)


@_event("logs", Delivery.DIRECT)
class LogsReply(Event):
    """Lines of a task's log. Where few of many are asked for, there may be fewer: go on at next_seq."""

    id: str = field(TEXT, _ID)
    lines: tuple[LogLine, ...] = field(ListOf(Object(LogLine)), "In order; never null")
    first_seq: int = field(COUNT, "The first line that the log has; 0: it has none")
    last_seq: int = field(COUNT, "The last one")
    next_seq: int = field(COUNT, "Where to go on, as from_seq")


@_event("matches", Delivery.DIRECT)
class Matches(Event):
    """The lines in which something was found. When the time for a search is over, there may be few of them,
    or none, and a next."""

    id: str = field(TEXT, _ID)
    matches: tuple[LogMatch, ...] = field(
        ListOf(Object(LogMatch)), "The newest parts of logs first, and of each the last lines; never null"
    )
    next: str = field(TEXT, "Not all was looked through: ask again with this as after", default="", omit=True)


@_event("actions", Delivery.DIRECT)
class Actions(Event):
    """The actions asked for."""

    id: str = field(TEXT, _ID)
    actions: tuple[ActionInfo, ...] = field(ListOf(Object(ActionInfo)), "Never null")


@_event("pool_info", Delivery.DIRECT)
class PoolInfoReply(Event):
    """The pool asked for, or just changed."""

    id: str = field(TEXT, _ID)
    action: str = field(TEXT, "Whose pool; absent: the global one", default="", kw_only=True, omit=True)
    pool: PoolInfo = field(Object(PoolInfo), "The pool as it is now")


@_event("purged", Delivery.DIRECT)
class Purged(Event):
    """A queue was emptied."""

    id: str = field(TEXT, _ID)
    action: str = field(TEXT, "Whose queue; absent: every queue", default="", kw_only=True, omit=True)
    count: int = field(COUNT, "How many tasks were waiting")


@_event("pool_updated", Delivery.BROADCAST)
class PoolUpdated(Event):
    """Somebody changed a pool."""

    action: str = field(TEXT, "Whose pool; absent: the global one", default="", kw_only=True, omit=True)
    pool: PoolInfo = field(Object(PoolInfo), "The pool as it is now")


@_event("subscribed", Delivery.DIRECT)
class Subscribed(Event):
    """The task's events follow. The other fields are there when the request had since_seq."""

    id: str = field(TEXT, _ID)
    task_id: str = field(TASK_ID, _TASK)
    last_seq: int | None = field(COUNT, "The seq of its latest line; 0: none yet", default=None, omit=True)
    oldest_seq: int | None = field(
        COUNT, "The seq of the oldest line stored; 0: none is", default=None, omit=True
    )
    created_at: datetime | None = field(
        TIMESTAMP, "When its start was accepted; another time is another task", default=None, omit=True
    )
    first_seq: int = field(
        COUNT,
        "Where the seq of its lines begins, when an earlier task had its id; absent: at 1",
        default=0,
        omit=True,
    )


@_event("unsubscribed", Delivery.DIRECT)
class Unsubscribed(Event):
    """No more of the task's events follow."""

    id: str = field(TEXT, _ID)
    task_id: str = field(TASK_ID, _TASK)


@_event("usage", Delivery.SUBSCRIBERS)
class Usage(Event):
    """What tasks use of the machine: the reply to usage, and every two seconds to those who asked a task's
    subscription for it."""

    id: str = field(TEXT, "The id of your request; absent from what comes unasked", default="", omit=True)
    tasks: tuple[TaskUsage, ...] = field(
        ListOf(Object(TaskUsage)),
        "Those that run, as processes",
        default=(),
    )


@_event("metrics", Delivery.DIRECT)
class MetricsReply(Event):
    """The counters asked for: one of the three, or none if no such action or task exists."""

    id: str = field(TEXT, _ID)
    global_: GlobalMetrics | None = field(
        Object(GlobalMetrics), "Of the whole server", default=None, name="global", omit=True
    )
    action: ActionMetrics | None = field(Object(ActionMetrics), "Of the action", default=None, omit=True)
    task: TaskMetrics | None = field(Object(TaskMetrics), "Of the task", default=None, omit=True)


@_event("manifest", Delivery.DIRECT)
class ManifestReply(Event):
    """The description of this protocol for programs."""

    id: str = field(TEXT, _ID)
    manifest: Mapping[str, Any] = field(DOCUMENT, "The same document as at GET /ws/manifest")


@_event("reloaded", Delivery.DIRECT)
class Reloaded(Event):
    """What the configuration file now says is in effect or, with dry_run, would be.

    A task keeps the definition of its action that it was accepted with, until it is reset.
    """

    id: str = field(TEXT, _ID)
    dry_run: bool = field(BOOLEAN, "Whether nothing was changed", default=False, omit=True)
    added: tuple[str, ...] = field(ListOf(TEXT), "Actions that are new", default=(), omit=True)
    changed: tuple[str, ...] = field(
        ListOf(TEXT),
        "Actions that differ, themselves or in what they inherit from the top level",
        default=(),
        omit=True,
    )
    removed: tuple[str, ...] = field(
        ListOf(TEXT), "Actions that can no longer be started", default=(), omit=True
    )
    settings: tuple[str, ...] = field(
        ListOf(TEXT),
        "Keys at the top that differ, in the file or in files that they name",
        default=(),
        omit=True,
    )
    restart_needed: tuple[str, ...] = field(
        ListOf(TEXT),
        "Keys that differ and take effect only when the server is restarted",
        default=(),
        omit=True,
    )
    warnings: tuple[str, ...] = field(
        ListOf(TEXT), "Probable mistakes, with file and line", default=(), omit=True
    )


@_event("error", Delivery.DIRECT)
class Error(Event):
    """A request was refused; the connection stays open."""

    id: str = field(TEXT, 'The request\'s; "" if none could be read')
    message: str = field(TEXT, "Why, for people")
    existing_task_id: str = field(
        TASK_ID, "The task that a refused start would have duplicated", default="", omit=True
    )
    param: str = field(TEXT, "The parameter that a refused start is about", default="", omit=True)


@_event("gap", Delivery.SUBSCRIBERS)
class Gap(Event):
    """Output that this client misses: it read too slowly with on_lag drop, or the log does not have it."""

    task_id: str = field(TASK_ID, _TASK)
    from_seq: int = field(COUNT, "The first line missed")
    to_seq: int = field(COUNT, "The last line missed")
    ts: datetime = field(TIMESTAMP, "When it was sent")
    reason: str = field(
        Choice("expired", "not_logged", "unreadable"),
        "Why the log does not have it: it was removed; it was never written, as the disk was full, slow or "
        "failed; or it cannot be read. Absent with on_lag drop",
        default="",
        omit=True,
    )


@_event("partial", Delivery.SUBSCRIBERS)
class Partial(Event):
    """An unfinished line as a terminal would show it; sent to those who asked for partial.
    The next partial or output of this stream replaces it. It is not stored and has no seq.
    """

    task_id: str = field(TASK_ID, _TASK)
    pid: int = field(COUNT, "The process of its run")
    stream: str = field(STREAM, "Where it was written")
    data: str = field(TEXT, "The line so far, at most its last 4096 bytes; colours as it has them")
    ts: datetime = field(TIMESTAMP, "When it was sent")


@_event("data", Delivery.SUBSCRIBERS)
class Data(Event):
    """What a task's terminal was sent, cut anywhere; sent to those who asked for raw. The first one begins
    with the end of what its run has shown so far. Only the latest 64 KiB are stored: whoever lags behind with
    on_lag drop goes on with those, and offset tells what is missing.
    """

    task_id: str = field(TASK_ID, _TASK)
    pid: int = field(COUNT, "The process of its run")
    offset: int = field(COUNT, "How many bytes the task's terminal was sent before these, over all its runs")
    data: bytes = field(BASE64, "The bytes")
