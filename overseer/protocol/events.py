"""What the server sends: answers, and news nobody asked for. Each class is one message."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, ClassVar, TypeAlias

from overseer.protocol.declare import Delivery, Object, Wire
from overseer.protocol.kinds import (
    BOOLEAN,
    DURATION,
    JSON_OBJECT,
    TASK_ID,
    TEXT,
    TIMESTAMP,
    Choice,
    Integer,
    ListOf,
)
from overseer.protocol.values import (
    COUNT,
    STREAM,
    ActionInfo,
    ActionMetrics,
    GlobalMetrics,
    PoolInfo,
    TaskInfo,
    TaskMetrics,
)

__all__ = [
    "DEQUEUE_REASONS",
    "EVENTS",
    "Actions",
    "Dequeued",
    "Error",
    "Errored",
    "Event",
    "Exited",
    "Gap",
    "ManifestReply",
    "MetricsReply",
    "Output",
    "Partial",
    "PoolInfoReply",
    "PoolUpdated",
    "Purged",
    "Queued",
    "Reloaded",
    "Restarting",
    "Started",
    "Subscribed",
    "Tasks",
    "Unsubscribed",
]

DEQUEUE_REASONS = ("stopped", "purged", "displaced", "expired", "shutdown")

_ID = "The request's"
_TASK = "The task"
_TS = "When it happened"


@dataclass(frozen=True, slots=True)
class Started:
    """A run of a task began; all output of the run follows."""

    type: ClassVar[str] = "started"
    delivery: ClassVar[Delivery] = Delivery.SUBSCRIBERS
    id: Annotated[str, Wire(TEXT, 'Of your start or reset that led to it; "" when it was not one of yours')]
    task_id: Annotated[str, Wire(TASK_ID, _TASK)]
    pid: Annotated[
        int, Wire(COUNT, "Its process, which leads a process group of its own; 0: it is not a process")
    ]
    restart_of: Annotated[int, Wire(COUNT, "The pid of the run it follows", omit=True)] = field(
        default=0, kw_only=True
    )
    ts: Annotated[datetime, Wire(TIMESTAMP, _TS)]


@dataclass(frozen=True, slots=True)
class Output:
    """A line of output."""

    type: ClassVar[str] = "output"
    delivery: ClassVar[Delivery] = Delivery.SUBSCRIBERS
    task_id: Annotated[str, Wire(TASK_ID, _TASK)]
    pid: Annotated[int, Wire(COUNT, "The process of its run")]
    stream: Annotated[str, Wire(STREAM, "Where it was written")]
    data: Annotated[str, Wire(TEXT, "The line without its end; bytes that are not UTF-8 are U+FFFD")]
    ts: Annotated[datetime, Wire(TIMESTAMP, "When it was read")]
    seq: Annotated[int, Wire(COUNT, "Counts the task's lines, from 1, over all its runs")]
    truncated: Annotated[
        bool, Wire(BOOLEAN, "Whether the line was too long and its end is missing", omit=True)
    ] = False
    overwritten: Annotated[
        bool,
        Wire(
            BOOLEAN,
            "Whether the line was long and redrew itself (with CR), and its beginning is missing",
            omit=True,
        ),
    ] = False


@dataclass(frozen=True, slots=True)
class Exited:
    """A run of a task ended; none of its output follows."""

    type: ClassVar[str] = "exited"
    delivery: ClassVar[Delivery] = Delivery.SUBSCRIBERS
    task_id: Annotated[str, Wire(TASK_ID, _TASK)]
    pid: Annotated[int, Wire(COUNT, "The process of its run")]
    exit_code: Annotated[int, Wire(Integer(None), "-1 when a signal ended it")]
    intentional: Annotated[
        bool, Wire(BOOLEAN, "Whether somebody asked for it: a stop, a lowered limit, a shutdown")
    ]
    ts: Annotated[datetime, Wire(TIMESTAMP, _TS)]
    signal: Annotated[str, Wire(TEXT, 'The signal that ended it, such as "SIGKILL"', omit=True)] = ""
    will_restart: Annotated[bool, Wire(BOOLEAN, "Whether the task goes on with another run", omit=True)] = (
        False
    )


@dataclass(frozen=True, slots=True)
class Restarting:
    """A task is to be started again."""

    type: ClassVar[str] = "restarting"
    delivery: ClassVar[Delivery] = Delivery.SUBSCRIBERS
    task_id: Annotated[str, Wire(TASK_ID, _TASK)]
    pid: Annotated[int, Wire(COUNT, "The process of the run that ended; 0: it could not be started")]
    restart_delay: Annotated[int, Wire(DURATION, "In how long, jitter included")]
    attempt: Annotated[int, Wire(COUNT, "Which restart it will be, from 1")]
    ts: Annotated[datetime, Wire(TIMESTAMP, _TS)]


@dataclass(frozen=True, slots=True)
class Errored:
    """A task failed too often and stays down until a reset."""

    type: ClassVar[str] = "errored"
    delivery: ClassVar[Delivery] = Delivery.SUBSCRIBERS
    task_id: Annotated[str, Wire(TASK_ID, _TASK)]
    pid: Annotated[int, Wire(COUNT, "The process of the run that ended; 0: it could not be started")]
    exit_count: Annotated[int, Wire(COUNT, "How many exits counted")]
    ts: Annotated[datetime, Wire(TIMESTAMP, _TS)]


@dataclass(frozen=True, slots=True)
class Queued:
    """A task waits for a place in its pool."""

    type: ClassVar[str] = "queued"
    delivery: ClassVar[Delivery] = Delivery.BROADCAST
    id: Annotated[str, Wire(TEXT, 'Of your start that led to it; "" when it was not one of yours')]
    task_id: Annotated[str, Wire(TASK_ID, _TASK)]
    action: Annotated[str, Wire(TEXT, "Its action")]
    position: Annotated[int, Wire(COUNT, "Its place in the queue, from 1")]
    ts: Annotated[datetime, Wire(TIMESTAMP, _TS)]


@dataclass(frozen=True, slots=True)
class Dequeued:
    """A task that waited, for its first start or for a restart, will not start."""

    type: ClassVar[str] = "dequeued"
    delivery: ClassVar[Delivery] = Delivery.BROADCAST
    task_id: Annotated[str, Wire(TASK_ID, _TASK)]
    reason: Annotated[str, Wire(Choice(*DEQUEUE_REASONS), "Why")]
    ts: Annotated[datetime, Wire(TIMESTAMP, _TS)]


@dataclass(frozen=True, slots=True)
class Tasks:
    """The tasks asked for."""

    type: ClassVar[str] = "tasks"
    delivery: ClassVar[Delivery] = Delivery.DIRECT
    id: Annotated[str, Wire(TEXT, _ID)]
    tasks: Annotated[tuple[TaskInfo, ...], Wire(ListOf(Object(TaskInfo)), "Never null")]
    next: Annotated[str, Wire(TEXT, "There are more: ask again with this as after", omit=True)] = ""


@dataclass(frozen=True, slots=True)
class Actions:
    """The actions asked for."""

    type: ClassVar[str] = "actions"
    delivery: ClassVar[Delivery] = Delivery.DIRECT
    id: Annotated[str, Wire(TEXT, _ID)]
    actions: Annotated[tuple[ActionInfo, ...], Wire(ListOf(Object(ActionInfo)), "Never null")]


@dataclass(frozen=True, slots=True)
class PoolInfoReply:
    """The pool asked for, or just changed."""

    type: ClassVar[str] = "pool_info"
    delivery: ClassVar[Delivery] = Delivery.DIRECT
    id: Annotated[str, Wire(TEXT, _ID)]
    action: Annotated[str, Wire(TEXT, "Whose pool; absent: the global one", omit=True)] = field(
        default="", kw_only=True
    )
    pool: Annotated[PoolInfo, Wire(Object(PoolInfo), "The pool as it is now")]


@dataclass(frozen=True, slots=True)
class Purged:
    """A queue was emptied."""

    type: ClassVar[str] = "purged"
    delivery: ClassVar[Delivery] = Delivery.DIRECT
    id: Annotated[str, Wire(TEXT, _ID)]
    action: Annotated[str, Wire(TEXT, "Whose queue; absent: every queue", omit=True)] = field(
        default="", kw_only=True
    )
    count: Annotated[int, Wire(COUNT, "How many tasks were waiting")]


@dataclass(frozen=True, slots=True)
class PoolUpdated:
    """Somebody changed a pool."""

    type: ClassVar[str] = "pool_updated"
    delivery: ClassVar[Delivery] = Delivery.BROADCAST
    action: Annotated[str, Wire(TEXT, "Whose pool; absent: the global one", omit=True)] = field(
        default="", kw_only=True
    )
    pool: Annotated[PoolInfo, Wire(Object(PoolInfo), "The pool as it is now")]


@dataclass(frozen=True, slots=True)
class Subscribed:
    """The task's events follow. The last three fields are there when the request had since_seq."""

    type: ClassVar[str] = "subscribed"
    delivery: ClassVar[Delivery] = Delivery.DIRECT
    id: Annotated[str, Wire(TEXT, _ID)]
    task_id: Annotated[str, Wire(TASK_ID, _TASK)]
    last_seq: Annotated[int | None, Wire(COUNT, "The seq of its latest line; 0: none yet", omit=True)] = None
    oldest_seq: Annotated[
        int | None, Wire(COUNT, "The seq of the oldest line stored; 0: none is", omit=True)
    ] = None
    created_at: Annotated[
        datetime | None,
        Wire(TIMESTAMP, "When its start was accepted; another time is another task", omit=True),
    ] = None


@dataclass(frozen=True, slots=True)
class Unsubscribed:
    """No more of the task's events follow."""

    type: ClassVar[str] = "unsubscribed"
    delivery: ClassVar[Delivery] = Delivery.DIRECT
    id: Annotated[str, Wire(TEXT, _ID)]
    task_id: Annotated[str, Wire(TASK_ID, _TASK)]


@dataclass(frozen=True, slots=True)
class MetricsReply:
    """The counters asked for: one of the three, or none when there is no such action or task."""

    type: ClassVar[str] = "metrics"
    delivery: ClassVar[Delivery] = Delivery.DIRECT
    id: Annotated[str, Wire(TEXT, _ID)]
    global_: Annotated[
        GlobalMetrics | None, Wire(Object(GlobalMetrics), "Of the whole server", name="global", omit=True)
    ] = None
    action: Annotated[ActionMetrics | None, Wire(Object(ActionMetrics), "Of the action", omit=True)] = None
    task: Annotated[TaskMetrics | None, Wire(Object(TaskMetrics), "Of the task", omit=True)] = None


@dataclass(frozen=True, slots=True)
class ManifestReply:
    """The description of this protocol for programs."""

    type: ClassVar[str] = "manifest"
    delivery: ClassVar[Delivery] = Delivery.DIRECT
    id: Annotated[str, Wire(TEXT, _ID)]
    manifest: Annotated[Mapping[str, Any], Wire(JSON_OBJECT, "The same document as GET /ws/manifest gives")]


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What the configuration file says now is in effect; or, with dry_run, would be.

    A task keeps the definition of its action that it was accepted with, until it is reset.
    """

    type: ClassVar[str] = "reloaded"
    delivery: ClassVar[Delivery] = Delivery.DIRECT
    id: Annotated[str, Wire(TEXT, _ID)]
    dry_run: Annotated[bool, Wire(BOOLEAN, "Whether nothing was changed", omit=True)] = False
    added: Annotated[tuple[str, ...], Wire(ListOf(TEXT), "Actions that are new", omit=True)] = ()
    changed: Annotated[
        tuple[str, ...],
        Wire(ListOf(TEXT), "Actions that differ, in themselves or in what they take over", omit=True),
    ] = ()
    removed: Annotated[
        tuple[str, ...], Wire(ListOf(TEXT), "Actions that can no longer be started", omit=True)
    ] = ()
    settings: Annotated[
        tuple[str, ...],
        Wire(ListOf(TEXT), "Keys at the top that differ, in the file or in files that they name", omit=True),
    ] = ()
    restart_needed: Annotated[
        tuple[str, ...],
        Wire(ListOf(TEXT), "Keys that differ, and count only when the server is started anew", omit=True),
    ] = ()
    warnings: Annotated[
        tuple[str, ...], Wire(ListOf(TEXT), "What is probably not meant so, with file and line", omit=True)
    ] = ()


@dataclass(frozen=True, slots=True)
class Error:
    """A request was refused; the connection stays open."""

    type: ClassVar[str] = "error"
    delivery: ClassVar[Delivery] = Delivery.DIRECT
    id: Annotated[str, Wire(TEXT, 'The request\'s; "" when it had none that could be read')]
    message: Annotated[str, Wire(TEXT, "Why, for people")]
    existing_task_id: Annotated[
        str, Wire(TASK_ID, "The task that a refused start would have doubled", omit=True)
    ] = ""


@dataclass(frozen=True, slots=True)
class Gap:
    """Output that this client missed because it read too slowly and had asked for on_lag drop."""

    type: ClassVar[str] = "gap"
    delivery: ClassVar[Delivery] = Delivery.SUBSCRIBERS
    task_id: Annotated[str, Wire(TASK_ID, _TASK)]
    from_seq: Annotated[int, Wire(COUNT, "The first line missed")]
    to_seq: Annotated[int, Wire(COUNT, "The last line missed")]
    ts: Annotated[datetime, Wire(TIMESTAMP, "When it was sent")]


@dataclass(frozen=True, slots=True)
class Partial:
    """What stands in a line that has no end yet, as a terminal would show it; to those who asked for partial.
    The next partial or output of this stream takes its place. It is not stored, and has no seq.
    """

    type: ClassVar[str] = "partial"
    delivery: ClassVar[Delivery] = Delivery.SUBSCRIBERS
    task_id: Annotated[str, Wire(TASK_ID, _TASK)]
    pid: Annotated[int, Wire(COUNT, "The process of its run")]
    stream: Annotated[str, Wire(STREAM, "Where it was written")]
    data: Annotated[str, Wire(TEXT, "The line so far, at most its last 4096 bytes; colours as it has them")]
    ts: Annotated[datetime, Wire(TIMESTAMP, "When it was sent")]


Event: TypeAlias = (
    Started
    | Output
    | Exited
    | Restarting
    | Errored
    | Queued
    | Dequeued
    | Tasks
    | Actions
    | PoolInfoReply
    | Purged
    | PoolUpdated
    | Subscribed
    | Unsubscribed
    | MetricsReply
    | ManifestReply
    | Reloaded
    | Error
    | Gap
    | Partial
)

EVENTS: Mapping[str, type[Event]] = {
    cls.type: cls
    for cls in (
        Started,
        Output,
        Exited,
        Restarting,
        Errored,
        Queued,
        Dequeued,
        Tasks,
        Actions,
        PoolInfoReply,
        Purged,
        PoolUpdated,
        Subscribed,
        Unsubscribed,
        MetricsReply,
        ManifestReply,
        Reloaded,
        Error,
        Gap,
        Partial,
    )
}
"""Every message by its ``type``, in the order the documents list them."""
