"""What a client may ask for. Each class is one request; its ``type`` is what the wire calls it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, TypeAlias

from overseer.messages.declare import Object, Partial, wire
from overseer.messages.kinds import BOOLEAN, REQUEST_ID, TASK_ID, TEXT_MAP, TIMESTAMP, Choice, Name
from overseer.messages.values import COUNT, ExcessConfig, RetryPolicy

__all__ = [
    "REQUESTS",
    "Describe",
    "List",
    "ManifestRequest",
    "MetricsRequest",
    "PoolInfoRequest",
    "Purge",
    "Replay",
    "Request",
    "Reset",
    "SetPool",
    "Start",
    "Stop",
    "Subscribe",
    "Unsubscribe",
]

_ACTION = Name()
_ON_LAG = Choice("block", "drop")
_ID = "Repeated in the answer; any text that tells this request from your others"
_LAG = "When you read too slowly: block: the task waits for you; drop: you are told of a gap"


@dataclass(frozen=True, slots=True)
class Start:
    """Start an action as a new task, or queue it. The sender is subscribed to the task."""

    type: ClassVar[str] = "start"
    id: str = wire(REQUEST_ID, _ID)
    action: str = wire(_ACTION, "The action to start")
    task_id: str = wire(TASK_ID, "A name for the task; a UUID is made up when absent", default="", omit=True)
    params: Mapping[str, str] = wire(
        TEXT_MAP, "The action's parameters, names to strings", factory=dict, omit=True, hint="json-editor"
    )
    retry_policy: RetryPolicy | None = wire(
        Object(RetryPolicy),
        "In place of the action's own; {} restarts at once, without limit",
        default=None,
        omit=True,
        hint="json-editor",
    )
    force: bool = wire(
        BOOLEAN,
        "In a full queue, take the place of the oldest task that is not forced",
        default=False,
        omit=True,
    )
    on_lag: str = wire(_ON_LAG, _LAG, default="", omit=True)


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop a task, whatever it is doing. What follows is exited, or dequeued when it was waiting."""

    type: ClassVar[str] = "stop"
    id: str = wire(REQUEST_ID, _ID)
    task_id: str = wire(TASK_ID, "The task")


@dataclass(frozen=True, slots=True)
class Reset:
    """Start an errored task again, with an empty exit history, even over its pool's limit."""

    type: ClassVar[str] = "reset"
    id: str = wire(REQUEST_ID, _ID)
    task_id: str = wire(TASK_ID, "The task")


@dataclass(frozen=True, slots=True)
class List:
    """List the tasks the server knows."""

    type: ClassVar[str] = "list"
    id: str = wire(REQUEST_ID, _ID)
    since: datetime | None = wire(
        TIMESTAMP,
        "Only those that started or exited then or later, and all that are queued",
        default=None,
        omit=True,
    )


@dataclass(frozen=True, slots=True)
class Replay:
    """Send the stored output and exited events of a task to the sender; nothing marks the end."""

    type: ClassVar[str] = "replay"
    id: str = wire(REQUEST_ID, _ID)
    task_id: str = wire(TASK_ID, "The task")
    since: datetime | None = wire(TIMESTAMP, "Only events of then or later", default=None, omit=True)
    since_seq: int | None = wire(COUNT, "Only events after the output with this seq", default=None, omit=True)


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Send everything that happens to a task to the sender from now on."""

    type: ClassVar[str] = "subscribe"
    id: str = wire(REQUEST_ID, _ID)
    task_id: str = wire(TASK_ID, "The task")
    since_seq: int | None = wire(
        COUNT,
        "First send the stored events after the output with this seq; 0: all of them",
        default=None,
        omit=True,
    )
    on_lag: str = wire(_ON_LAG, _LAG, default="", omit=True)


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """Send no more events of a task to the sender."""

    type: ClassVar[str] = "unsubscribe"
    id: str = wire(REQUEST_ID, _ID)
    task_id: str = wire(TASK_ID, "The task")


@dataclass(frozen=True, slots=True)
class Describe:
    """Describe the actions there are."""

    type: ClassVar[str] = "describe"
    id: str = wire(REQUEST_ID, _ID)
    action: str = wire(_ACTION, "Only this one", default="", omit=True)


@dataclass(frozen=True, slots=True)
class PoolInfoRequest:
    """Show how full a pool is and who waits."""

    type: ClassVar[str] = "pool_info"
    id: str = wire(REQUEST_ID, _ID)
    action: str = wire(_ACTION, "This action's pool; absent: the global one", default="", omit=True)


@dataclass(frozen=True, slots=True)
class SetPool:
    """Change a pool while it works. What is absent stays as it is."""

    type: ClassVar[str] = "set_pool"
    id: str = wire(REQUEST_ID, _ID)
    action: str = wire(_ACTION, "This action's pool; absent: the global one", default="", omit=True)
    limit: int | None = wire(
        COUNT,
        "How many may run at once; 0: any number (size means the same)",
        default=None,
        alias="size",
        omit=True,
    )
    queue_size: int | None = wire(
        COUNT,
        "How many may wait; 0: any number; more than 0 gives a pool without a queue one",
        default=None,
        omit=True,
    )
    excess: Mapping[str, Any] | None = wire(
        Partial(ExcessConfig),
        "What becomes of those that run above a lowered limit; any of its fields",
        default=None,
        omit=True,
        hint="json-editor",
    )


@dataclass(frozen=True, slots=True)
class Purge:
    """Empty a queue."""

    type: ClassVar[str] = "purge"
    id: str = wire(REQUEST_ID, _ID)
    action: str = wire(_ACTION, "This action's queue; absent: every queue", default="", omit=True)


@dataclass(frozen=True, slots=True)
class MetricsRequest:
    """Show counters: of one action, of one task, or of the whole server."""

    type: ClassVar[str] = "metrics"
    id: str = wire(REQUEST_ID, _ID)
    action: str = wire(_ACTION, "This action's", default="", omit=True)
    task_id: str = wire(TASK_ID, "This task's (not together with action)", default="", omit=True)


@dataclass(frozen=True, slots=True)
class ManifestRequest:
    """Send the description of this protocol for programs."""

    type: ClassVar[str] = "manifest"
    id: str = wire(REQUEST_ID, _ID)


Request: TypeAlias = (
    Start
    | Stop
    | Reset
    | List
    | Replay
    | Subscribe
    | Unsubscribe
    | Describe
    | PoolInfoRequest
    | SetPool
    | Purge
    | MetricsRequest
    | ManifestRequest
)

REQUESTS: Mapping[str, type[Request]] = {
    cls.type: cls
    for cls in (
        Start,
        Stop,
        Reset,
        List,
        Replay,
        Subscribe,
        Unsubscribe,
        Describe,
        PoolInfoRequest,
        SetPool,
        Purge,
        MetricsRequest,
        ManifestRequest,
    )
}
"""Every request by its ``type``, in the order the documents list them."""
