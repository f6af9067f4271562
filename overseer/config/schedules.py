"""``schedule`` of a standing task: when the server starts it by itself."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime

from overseer.config.key_hints import hints_at
from overseer.schema.fields import declared, field
from overseer.schema.location import Location, check_alternatives
from overseer.schema.nodes import Node, unexpected
from overseer.schema.objects import ListOf, Object
from overseer.schema.quantities import SECONDS, Seconds
from overseer.schema.types import BOOLEAN, Choice, FieldType, Text
from overseer.util.cron import local_moment, normalized_cron, time_zone

_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)?\Z", re.ASCII)
_LONGEST = 100 * 366 * 86_400


class _Period(Seconds):
    """Whole seconds, one or more."""

    def __init__(self) -> None:
        super().__init__(zero=False)

    def from_yaml(self, node: Node, location: Location) -> int:
        seconds = super().from_yaml(node, location)
        if seconds != int(seconds) or seconds < 1:
            raise ValueError("must be whole seconds, one or more")
        if seconds > _LONGEST:
            raise ValueError("is more than a hundred years")
        return int(seconds)


class _Moment(FieldType):
    """A time of day on a day; without an offset it is one of the schedule's time zone."""

    label = "time"

    def from_yaml(self, node: Node, location: Location) -> datetime:
        text = self.scalar(node, "a time").text
        if _TIME.match(text):
            try:
                return datetime.fromisoformat(text)
            except ValueError as error:
                raise ValueError(f"{text}: {error}") from None
        raise unexpected(node, "a time such as 2026-12-01T09:00")


@declared()
class Schedule:
    """``schedule``, or one of several: when a standing task is started; exactly one of the first three keys.

    Once read, ``at`` has its time zone.
    """

    cron: str = field(
        Text("cron expression", normalized_cron),
        "A cron expression of five fields, `30 2 * * *`, or `@hourly`, `@daily`, `@weekly`, `@monthly`, "
        "`@yearly`.",
        default="",
    )
    every: int = field(
        _Period(),
        "A period, such as `15m`: whole seconds, counted from the beginning of 1970 in UTC, so that `1h` "
        "means every full hour, whenever the server was started.",
        default=0,
        default_text="none",
    )
    at: datetime | None = field(
        _Moment(), "A time at which it is started once: `2026-12-01T09:00`, to which `+01:00` or `Z` may be "
        "added.",
        default=None,
    )  # fmt: skip
    timezone: str = field(
        Text("time zone", time_zone),
        "The time zone of `cron` and `at`, as the IANA database names it: `Europe/Berlin`.",
        default="UTC",
    )
    overlap: str = field(
        Choice("skip", "queue", "replace", "allow"),
        "What happens while the task is still in use: this start is skipped (`skip`), waits for it, one at "
        "most (`queue`), ends it and takes its place (`replace`), or is a task of its own, "
        "`NAME@TIME` (`allow`).",
        default="skip",
    )
    missed: str = field(
        Choice("once", "skip", "all"),
        "What happens to starts that were due while the server was down: the latest is made up for (`once`), "
        "none is (`skip`), or all are, one after another, the latest twenty at most (`all`).",
        default="once",
    )
    jitter: float = field(
        SECONDS,
        "Each start is delayed by up to this much: always the same for the same time, and never past the "
        "next start.",
        default=0,
        default_text="none",
    )
    enabled: bool = field(BOOLEAN, "Whether it starts anything; if not, each start is skipped.", default=True)

    def __str__(self) -> str:
        if self.cron:
            return self.cron
        if self.every:
            return f"every {SECONDS.shown(self.every).strip('`')}"
        return f"at {self.at.isoformat(timespec='minutes') if self.at else ''}"


def _schedule(read: Schedule, location: Location) -> Schedule:
    several = "are different schedules: make them a list of two"
    check_alternatives(read, ("cron", "every", "at"), location, "say when: cron, every or at", several)
    if read.timezone != "UTC" and read.every:
        location.warn("timezone does nothing: `every` is the same in all time zones")
    if 0 < read.every <= read.jitter:
        location.warn("jitter is as long as the period: a start comes at any time before the next")
    cron = normalized_cron(read.cron) if read.cron else ""
    at = read.at
    if at is not None:
        at = datetime.fromtimestamp(local_moment(at, zone := time_zone(read.timezone)), zone)
    return replace(read, cron=cron, at=at)


_SCHEDULE = Object(Schedule, _schedule, hint=hints_at("schedule", Schedule))
SCHEDULES = ListOf(_SCHEDULE, single=True, label="mapping or list of mappings")
