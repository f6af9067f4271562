"""The decisions of one moment, collected so that they are stored before they are carried out."""

from __future__ import annotations

from collections import deque
from datetime import datetime
from typing import NamedTuple

from overseer.history.records import Trigger
from overseer.history.slots import FIRING, SKIPPED, WAITING, Slot, beside
from overseer.schedules.plan import MOST, Offer, Skip
from overseer.schedules.track import Track


class Fire(NamedTuple):
    """A slot for which its task is started, as the id ``task_id``.

    Attributes:
        cause: the trigger of that start alone, by which what becomes of it is known.
    """

    track: Track
    offer: Offer
    task_id: str
    cause: Trigger | None = None


class Batch:
    """Decisions of a moment."""

    def __init__(self, at: datetime) -> None:
        self.at = at
        self.slots: list[Slot] = []
        self.tracks: dict[Track, None] = {}  # those that something was decided for
        self.skipped: list[tuple[Track, Slot]] = []
        self.fires: list[Fire] = []
        self.stops: list[Track] = []
        self._fired: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self.tracks or self.slots)

    def skip(self, track: Track, skip: Skip) -> None:
        slot = Slot(track.task_id, skip.slot, SKIPPED, self.at, skip.reason, skip.number)
        self._add(track, slot)
        self.skipped.append((track, slot))

    def skip_waiting(self, track: Track, reason: str) -> None:
        """Skip all slots that wait for the task to end."""
        while track.plan.waiting:
            self.skip(track, Skip(track.plan.waiting.popleft().slot, reason))

    def offer(self, track: Track, offer: Offer, in_use: bool) -> None:
        """Decide on a slot, according to whether the task is in use."""
        plan = track.plan
        in_use = in_use or track.task_id in self._fired
        if plan.waiting and not in_use:
            self.fire(track, plan.waiting.popleft())
            in_use = True
        if not in_use:
            self.fire(track, offer)
        elif offer.made_up:
            if len(plan.waiting) >= MOST:
                self.skip(track, Skip(plan.waiting.popleft().slot, "missed"))
            self._wait(track, offer)
        elif offer.overlap == "allow":
            self.fire(track, offer, beside(track.task_id, offer.slot))
        elif offer.overlap == "replace":
            self.skip_waiting(track, "overlap")
            self._wait(track, offer)
            self.stops.append(track)
        elif offer.overlap == "skip":
            self.skip(track, Skip(offer.slot, "overlap"))
        elif plan.waiting:
            self.skip(track, Skip(offer.slot, "queue_full"))
        else:
            self._wait(track, offer)

    def _wait(self, track: Track, offer: Offer) -> None:
        # Sorted, as it may be the first of several, whose task was started otherwise just then.
        track.plan.waiting = deque(sorted((*track.plan.waiting, offer)))
        self._add(track, Slot(track.task_id, offer.slot, WAITING, self.at, offer.how))

    def fire(self, track: Track, offer: Offer, task_id: str = "") -> None:
        """Have the task started for a slot; ``task_id``: as this id, not its own."""
        task_id = task_id or track.task_id
        self._add(track, Slot(track.task_id, offer.slot, FIRING, self.at))
        self._fired.add(task_id)
        self.fires.append(Fire(track, offer, task_id))

    def _add(self, track: Track, slot: Slot) -> None:
        track.note(slot)
        self.slots.append(slot)
        self.tracks[track] = None
