"""The messages to watchers."""

from __future__ import annotations

from datetime import datetime

from overseer.protocol.declare import Delivery, Event, Reply, event
from overseer.protocol.events import TaskEvent
from overseer.protocol.values import TaskInfo
from overseer.schema.fields import field, optional
from overseer.schema.objects import ListOf, Object
from overseer.schema.quantities import TIMESTAMP
from overseer.schema.types import TASK_ID, TEXT


@event("watching", Delivery.DIRECT)
class Watching(Event):
    """A snapshot of all tasks that you may see, followed by events. The server sends another,
    without an id, when you have fallen so far behind that the events in between are no longer kept."""

    id: str = optional(TEXT, "The request's; absent: the server sent it by itself", default="")
    tasks: tuple[TaskInfo, ...] | None = optional(
        ListOf(Object(TaskInfo)),
        "All tasks, replacing those that you knew; absent: yours are still right, and what has happened "
        "since your after follows",
        default=None,
    )
    cursor: str = field(TEXT, "Your position, for the after of a later watch", default="")


@event("unwatched", Delivery.DIRECT)
class Unwatched(Reply):
    """Your watch has ended."""


@event("changed", Delivery.WATCHERS)
class Changed(TaskEvent):
    """A task is new or has changed, and no other event of your watch shows it: it left its queue to be
    started, say, or you got the event itself as a subscriber of the task."""


@event("forgotten", Delivery.WATCHERS)
class Forgotten(TaskEvent):
    """The task is gone: it ended long ago, a client had it forgotten, a new one took its id, it left its
    queue without a run, or it could not be started."""

    id: str = optional(TEXT, "The request's; absent: it comes to those who watch", default="", kw_only=True)
    task_id: str = field(TASK_ID, "The task")
    ts: datetime = field(TIMESTAMP, "When it happened")
    error: str = optional(TEXT, "Why it could not be started", default="")
