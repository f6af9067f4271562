"""What messages say of the schedules of standing tasks."""

from __future__ import annotations

from datetime import datetime

from overseer.protocol.declare import value
from overseer.protocol.words import SKIP_REASON
from overseer.schema.fields import field, optional
from overseer.schema.objects import ListOf, Object
from overseer.schema.quantities import COUNT, TIMESTAMP
from overseer.schema.types import BOOLEAN, TASK_ID, TEXT


@value()
class SkippedSlot:
    """A time at which a task should have been started, and was not."""

    slot: datetime = field(TIMESTAMP, "That time; of several, the latest")
    reason: str = field(SKIP_REASON, "Why")
    number: int = optional(COUNT, "How many such times there were, up to 1000", default=1)
    ts: datetime | None = optional(TIMESTAMP, "When that was decided", default=None)


@value(kw_only=True)
class ScheduleInfo:
    """The schedules of a standing task."""

    task_id: str = field(TASK_ID, "The task")
    action: str = field(TEXT, "Its action")
    when: tuple[str, ...] = field(ListOf(TEXT), "Its schedules, as the configuration has them")
    next: datetime | None = optional(
        TIMESTAMP, "The next time at which it is to be started; absent: there is none", default=None
    )
    due: datetime | None = optional(TIMESTAMP, "When that start comes, if jitter delays it", default=None)
    last: datetime | None = optional(
        TIMESTAMP, "The latest time for which it was started; absent: it never was", default=None
    )
    paused: bool = optional(
        BOOLEAN, "Whether somebody has paused them, so that each start is skipped", default=False
    )
    waiting: tuple[datetime, ...] = optional(
        ListOf(TIMESTAMP), "Times whose starts wait until its current run has ended", default=()
    )
    skipped: tuple[SkippedSlot, ...] = optional(
        ListOf(Object(SkippedSlot)), "The latest starts that were skipped, the last one first", default=()
    )
    error: str = optional(TEXT, "Why the latest start was refused, if it was", default="")
    upcoming: tuple[datetime, ...] = optional(
        ListOf(TIMESTAMP), "The next times, as many as were asked for", default=()
    )
