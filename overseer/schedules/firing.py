"""The starts that schedules have asked for and whose outcomes are not known yet."""

from __future__ import annotations

from collections.abc import Iterator

from overseer.history.slots import FIRED, REFUSED, Slot
from overseer.protocol import Dequeued, Started
from overseer.schedules.batch import Fire
from overseer.supervisor.observers import Change
from overseer.util.timestamps import now


class Firing:
    """Guarded by the scheduler's lock. Changes may be heard late, when the task has been started for another
    slot, so there may be several of a task."""

    def __init__(self) -> None:
        self._fires: dict[str, list[Fire]] = {}  # by task id

    def __iter__(self) -> Iterator[Fire]:
        return (fire for fires in self._fires.values() for fire in fires)

    def add(self, fire: Fire) -> None:
        self._fires.setdefault(fire.task_id, []).append(fire)

    def remove(self, fire: Fire) -> None:
        """Await its outcome no longer; no-op if it has come."""
        left = [each for each in self._fires.pop(fire.task_id, ()) if each is not fire]
        if left:
            self._fires[fire.task_id] = left

    def settle(self, change: Change) -> tuple[Fire, Slot] | None:
        """The start whose outcome a change tells, which is then awaited no longer, and that outcome."""
        if not (change.outcome or isinstance(change.event, Started)):
            return None
        for fire in self._fires.get(change.task_id, ()):
            # What was handed over has no cause; no change was on its way then.
            if fire.cause is None or fire.cause is change.trigger:
                self.remove(fire)
                return fire, _settled(fire, change)
        return None


def _settled(fire: Fire, change: Change) -> Slot:
    """The outcome of a requested start."""
    task_id, slot = fire.track.task_id, fire.offer.slot
    if isinstance(change.event, Started):
        return Slot(task_id, slot, FIRED, now())
    why = f"it was taken off its queue: {change.event.reason}" if isinstance(change.event, Dequeued) else ""
    return Slot(task_id, slot, REFUSED, now(), detail=why or "it could not be started")
