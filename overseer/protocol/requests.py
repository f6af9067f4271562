"""What a client may ask for. Each class is one request; its ``type`` is what the wire calls it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, ClassVar, TypeAlias

from overseer.protocol.declare import Object, PartOf, Wire
from overseer.protocol.kinds import BOOLEAN, REQUEST_ID, TASK_ID, TEXT_MAP, TIMESTAMP, Choice, Name
from overseer.protocol.values import COUNT, ExcessConfig, RetryPolicy

__all__ = [
    "REQUESTS",
    "Describe",
    "List",
    "ManifestRequest",
    "MetricsRequest",
    "PoolInfoRequest",
    "Purge",
    "Reload",
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
_PARTIAL = "Whether you are also sent lines that have no end yet (partial)"
_LAG = "When you read too slowly: block: the task waits for you; drop: you are told of a gap"


@dataclass(frozen=True, slots=True)
class Start:
    """Start an action as a new task, or queue it. The sender is subscribed to the task."""

    type: ClassVar[str] = "start"
    id: Annotated[str, Wire(REQUEST_ID, _ID)]
    action: Annotated[str, Wire(_ACTION, "The action to start")]
    task_id: Annotated[
        str, Wire(TASK_ID, "A name for the task; a UUID is made up when absent", omit=True)
    ] = ""
    params: Annotated[
        Mapping[str, str],
        Wire(TEXT_MAP, "The action's parameters, names to strings", omit=True, hint="json-editor"),
    ] = field(default_factory=dict)
    retry_policy: Annotated[
        RetryPolicy | None,
        Wire(
            Object(RetryPolicy),
            "In place of the action's own; {} restarts at once, without limit",
            omit=True,
            hint="json-editor",
        ),
    ] = None
    force: Annotated[
        bool,
        Wire(BOOLEAN, "In a full queue, take the place of the oldest task that is not forced", omit=True),
    ] = False
    on_lag: Annotated[str, Wire(_ON_LAG, _LAG, omit=True)] = ""
    partial: Annotated[bool | None, Wire(BOOLEAN, _PARTIAL, omit=True)] = None


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop a task, whatever it is doing. What follows is exited, or dequeued when it was waiting."""

    type: ClassVar[str] = "stop"
    id: Annotated[str, Wire(REQUEST_ID, _ID)]
    task_id: Annotated[str, Wire(TASK_ID, "The task")]


@dataclass(frozen=True, slots=True)
class Reset:
    """Start an errored task again, with an empty exit history, even over its pool's limit. When the driver
    cannot start it, the request is refused and the task's subscribers are told ``errored`` again."""

    type: ClassVar[str] = "reset"
    id: Annotated[str, Wire(REQUEST_ID, _ID)]
    task_id: Annotated[str, Wire(TASK_ID, "The task")]


@dataclass(frozen=True, slots=True)
class List:
    """List the tasks the server knows."""

    type: ClassVar[str] = "list"
    id: Annotated[str, Wire(REQUEST_ID, _ID)]
    since: Annotated[
        datetime | None,
        Wire(
            TIMESTAMP, "Only those that started or exited then or later, and all that are queued", omit=True
        ),
    ] = None
    limit: Annotated[
        int,
        Wire(
            COUNT,
            "A page of so many at most, in the order of their ids; 0: all",
            omit=True,
        ),
    ] = 0
    after: Annotated[
        str, Wire(TASK_ID, "Only those with ids after this one, which need not be there any more", omit=True)
    ] = ""


@dataclass(frozen=True, slots=True)
class Replay:
    """Send the stored output and exited events of a task to the sender; nothing marks the end."""

    type: ClassVar[str] = "replay"
    id: Annotated[str, Wire(REQUEST_ID, _ID)]
    task_id: Annotated[str, Wire(TASK_ID, "The task")]
    since: Annotated[datetime | None, Wire(TIMESTAMP, "Only events of then or later", omit=True)] = None
    since_seq: Annotated[int | None, Wire(COUNT, "Only events after the output with this seq", omit=True)] = (
        None
    )


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Send everything that happens to a task to the sender from now on."""

    type: ClassVar[str] = "subscribe"
    id: Annotated[str, Wire(REQUEST_ID, _ID)]
    task_id: Annotated[str, Wire(TASK_ID, "The task")]
    since_seq: Annotated[
        int | None,
        Wire(COUNT, "First send the stored events after the output with this seq; 0: all of them", omit=True),
    ] = None
    on_lag: Annotated[str, Wire(_ON_LAG, _LAG, omit=True)] = ""
    partial: Annotated[bool | None, Wire(BOOLEAN, _PARTIAL, omit=True)] = None


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """Send no more events of a task to the sender."""

    type: ClassVar[str] = "unsubscribe"
    id: Annotated[str, Wire(REQUEST_ID, _ID)]
    task_id: Annotated[str, Wire(TASK_ID, "The task")]


@dataclass(frozen=True, slots=True)
class Describe:
    """Describe the actions there are."""

    type: ClassVar[str] = "describe"
    id: Annotated[str, Wire(REQUEST_ID, _ID)]
    action: Annotated[str, Wire(_ACTION, "Only this one", omit=True)] = ""


@dataclass(frozen=True, slots=True)
class PoolInfoRequest:
    """Show how full a pool is and who waits."""

    type: ClassVar[str] = "pool_info"
    id: Annotated[str, Wire(REQUEST_ID, _ID)]
    action: Annotated[str, Wire(_ACTION, "This action's pool; absent: the global one", omit=True)] = ""


@dataclass(frozen=True, slots=True)
class SetPool:
    """Change a pool while it works. What is absent stays as it is."""

    type: ClassVar[str] = "set_pool"
    id: Annotated[str, Wire(REQUEST_ID, _ID)]
    action: Annotated[str, Wire(_ACTION, "This action's pool; absent: the global one", omit=True)] = ""
    limit: Annotated[
        int | None,
        Wire(COUNT, "How many may run at once; 0: any number (size means the same)", alias="size", omit=True),
    ] = None
    queue_size: Annotated[
        int | None,
        Wire(
            COUNT, "How many may wait; 0: any number; more than 0 gives a pool without a queue one", omit=True
        ),
    ] = None
    excess: Annotated[
        Mapping[str, Any] | None,
        Wire(
            PartOf(ExcessConfig),
            "What becomes of those that run above a lowered limit; any of its fields",
            omit=True,
            hint="json-editor",
        ),
    ] = None


@dataclass(frozen=True, slots=True)
class Purge:
    """Empty a queue."""

    type: ClassVar[str] = "purge"
    id: Annotated[str, Wire(REQUEST_ID, _ID)]
    action: Annotated[str, Wire(_ACTION, "This action's queue; absent: every queue", omit=True)] = ""


@dataclass(frozen=True, slots=True)
class MetricsRequest:
    """Show counters: of one action, of one task, or of the whole server."""

    type: ClassVar[str] = "metrics"
    id: Annotated[str, Wire(REQUEST_ID, _ID)]
    action: Annotated[str, Wire(_ACTION, "This action's", omit=True)] = ""
    task_id: Annotated[str, Wire(TASK_ID, "This task's (not together with action)", omit=True)] = ""


@dataclass(frozen=True, slots=True)
class ManifestRequest:
    """Send the description of this protocol for programs."""

    type: ClassVar[str] = "manifest"
    id: Annotated[str, Wire(REQUEST_ID, _ID)]


@dataclass(frozen=True, slots=True)
class Reload:
    """Read the configuration file anew and put it into effect, without stopping a task."""

    type: ClassVar[str] = "reload"
    id: Annotated[str, Wire(REQUEST_ID, _ID)]
    dry_run: Annotated[bool, Wire(BOOLEAN, "Only say what would change", omit=True)] = False


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
    | Reload
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
        Reload,
    )
}
"""Every request by its ``type``, in the order the documents list them."""
