"""The messages to watchers."""

from __future__ import annotations

from datetime import datetime

from overseer.protocol.declare import Delivery, Event, event
from overseer.protocol.events import TaskEvent
from overseer.protocol.values import TaskInfo
from overseer.schema.fields import field
from overseer.schema.objects import ListOf, Object
from overseer.schema.quantities import TIMESTAMP
from overseer.schema.types import TASK_ID, TEXT


@event("watching", Delivery.DIRECT)
class Watching(Event):
    """What you watch, and where you are: all tasks that you may see, and from now on what happens to them.
    It also comes unasked, without an id, when you were so far behind that only a new start could help."""

    id: str = field(TEXT, "The request's; absent: it comes unasked", default="", omit=True)
    tasks: tuple[TaskInfo, ...] | None = field(
        ListOf(Object(TaskInfo)),
        "All tasks, in place of those that you knew; absent: those are right, and what has happened since "
        "your after follows",
        default=None,
        omit=True,
    )
    cursor: str = field(TEXT, "Where you are, for the after of a watch", default="")


@event("unwatched", Delivery.DIRECT)
class Unwatched(Event):
    """Your watch has ended."""

    id: str = field(TEXT, "The request's")


@event("changed", Delivery.WATCHERS)
class Changed(TaskEvent):
    """A task is new, or not as it was, and nothing else of your watch tells: it left its queue to be started,
    say, or you were sent the event because you are subscribed to the task."""


@event("forgotten", Delivery.WATCHERS)
class Forgotten(TaskEvent):
    """There is no task of this id any more: it was over long ago, a client had it forgotten, it has made room
    for a new one, left its queue without a run, or could not be started."""

    id: str = field(
        TEXT, "The request's; absent: it comes to those who watch", default="", omit=True, kw_only=True
    )
    task_id: str = field(TASK_ID, "The task")
    ts: datetime = field(TIMESTAMP, "When it happened")
    error: str = field(TEXT, "Why it could not be started", default="", omit=True)
