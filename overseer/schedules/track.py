"""The record of a task's schedules: its plan, the slots run, and those skipped or refused, with reasons."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

from overseer.config import StandingTask
from overseer.history.slots import FIRED, FIRING, REFUSED, SKIPPED, WAITING, Schedules, Slot
from overseer.schedules.plan import Offer, Plan
from overseer.schedules.spans import Spans
from overseer.util.dataclass_json import from_plain, to_plain
from overseer.util.timestamps import now

_SHOWN = 10


class Track:
    """One standing task with a schedule.

    Attributes:
        standing: its configuration.
        last: the latest slot run, or None.
        refused: why the latest start was refused, or ``""``.
        skipped: the latest skipped slots, oldest first.
    """

    def __init__(self, standing: StandingTask, now: float, known: Schedules | None = None) -> None:
        self.standing = standing
        self.last: int | None = None
        self.refused = ""
        self.skipped: deque[Slot] = deque(maxlen=_SHOWN)
        known = known or Schedules(standing.name, 0, (), False, wanted=False)
        # Slots while it was not configured were not missed.
        self.plan = Plan(
            standing.name,
            standing.schedule,
            now,
            Spans(known.spans),
            since=known.since if known.wanted else None,
            decided=(slot.slot for slot in known.slots),
        )
        self.plan.paused = known.paused
        for slot in known.slots:
            if slot.outcome != FIRING:
                self.note(slot)
            if slot.outcome == WAITING:
                self.plan.waiting.append(Offer.stored(slot.slot, slot.reason))

    @property
    def task_id(self) -> str:
        return self.standing.name

    def note(self, slot: Slot) -> None:
        """Record a slot's outcome."""
        if slot.outcome == SKIPPED:
            self.skipped.append(slot)
        elif slot.outcome in (FIRING, FIRED):
            self.last = max(slot.slot, self.last or 0)
            self.refused = ""
        elif slot.outcome == REFUSED:
            self.refused = slot.detail

    def row(self, *, wanted: bool = True) -> Schedules:
        """Its progress, to be stored."""
        plan = self.plan
        return Schedules(self.task_id, plan.since, list(plan.spans), plan.paused, wanted)


def tracks_to(tracks: Iterable[Track]) -> list[Any]:
    """What another program has to know of them, see :func:`tracks_from`."""
    return [to_plain(_known(track)) for track in tracks]


def tracks_from(data: Mapping[str, Any]) -> dict[str, Schedules]:
    """What was written down, by task."""
    known = (from_plain(Schedules, each) for each in data["tracks"])
    return {each.task_id: each for each in known}


def _known(track: Track) -> Schedules:
    plan, at = track.plan, now()
    row = track.row()
    row.slots = list(track.skipped)
    if track.last is not None:
        row.slots.append(Slot(track.task_id, track.last, FIRED, at))
    if track.refused:
        row.slots.append(Slot(track.task_id, track.last or 0, REFUSED, at, detail=track.refused))
    row.slots += [Slot(track.task_id, offer.slot, WAITING, at, offer.how) for offer in plan.waiting]
    row.slots += [Slot(track.task_id, slot, "", at) for slot in plan.decided]
    return row
