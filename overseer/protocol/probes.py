"""What is told of runs that probes look at."""

from __future__ import annotations

from datetime import datetime

from overseer.protocol.events import Delivery, Event, _event
from overseer.protocol.words import HEALTH
from overseer.schema.fields import field
from overseer.schema.quantities import COUNT, TIMESTAMP
from overseer.schema.types import TASK_ID, TEXT

_TASK = "The task"
_PID = "The process of its run"
_TS = "When that was found out"


@_event("ready", Delivery.SUBSCRIBERS)
class Ready(Event):
    """A run of a task is ready, as its action says what that takes."""

    task_id: str = field(TASK_ID, _TASK)
    pid: int = field(COUNT, _PID)
    ts: datetime = field(TIMESTAMP, _TS)


@_event("not_ready", Delivery.SUBSCRIBERS)
class NotReady(Event):
    """A run of a task is not ready in the time that its action allows. It goes on, and may be ready later."""

    task_id: str = field(TASK_ID, _TASK)
    pid: int = field(COUNT, _PID)
    detail: str = field(TEXT, "What it lacks, for people")
    ts: datetime = field(TIMESTAMP, _TS)


@_event("health", Delivery.SUBSCRIBERS)
class Health(Event):
    """A run of a task has become healthy or unhealthy."""

    task_id: str = field(TASK_ID, _TASK)
    status: str = field(HEALTH, "What it is now")
    detail: str = field(
        TEXT, "Why, for people; absent: there is no more to say", default="", kw_only=True, omit=True
    )
    ts: datetime = field(TIMESTAMP, _TS)
