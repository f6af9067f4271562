"""The slots of one schedule, and their jitter; pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count, islice
from typing import NamedTuple

from overseer.config.schedules import Schedule
from overseer.util.cron import cron_slots, time_zone
from overseer.util.hashes import sha256

_COUNTED = 1000  # missed slots are counted up to here
_SPANS = (3600, 86_400, 32 * 86_400, 366 * 86_400)  # seconds searched for the latest slots, in turn


def moment_of(seconds: float) -> datetime:
    """A slot as a time; aware, UTC."""
    return datetime.fromtimestamp(seconds, UTC)


class Passed(NamedTuple):
    """A schedule's slots between two moments.

    Attributes:
        latest: the latest slots of it, in order.
        number: how many there were in all; counted up to a thousand only.
    """

    latest: tuple[int, ...]
    number: int


class Slots:
    """The slots of a task's schedule.

    Args:
        task_id: determines a slot's jitter, together with the schedule.
    """

    def __init__(self, task_id: str, schedule: Schedule) -> None:
        self.schedule = schedule
        self._seed = f"{task_id}\0{schedule}\0".encode()
        self._zone = time_zone(schedule.timezone)

    def after(self, moment: int) -> int | None:
        """The first slot after a moment; None: there is none."""
        return next(self._from(moment), None)

    def upcoming(self, moment: int, most: int) -> list[int]:
        """The first slots after a moment."""
        return list(islice(self._from(moment), most))

    def due(self, slot: int) -> float:
        """When the slot's start is due: later by its jitter, but before the next slot."""
        jitter = self.schedule.jitter
        if not jitter:
            return slot
        following = self.after(slot)
        if following is not None:
            jitter = min(jitter, following - slot)
        digest = sha256(self._seed + str(slot).encode()).digest()
        return slot + jitter * (int.from_bytes(digest[:6], "big") / 2**48)

    def passed(self, first: int, until: int, most: int) -> Passed:
        """The slots from ``first`` up to ``until``, both included."""
        found = 0
        for slot in self._from(first - 1):
            if slot > until or found == _COUNTED:
                break
            found += 1
        return Passed(self._latest(first, until, most), found)

    def _latest(self, first: int, until: int, most: int) -> tuple[int, ...]:
        for span in _SPANS:
            latest = self._between(max(first, until - span), until, most)
            if len(latest) == most or until - span <= first:
                return latest
        return self._between(first, until, most)

    def _between(self, first: int, until: int, most: int) -> tuple[int, ...]:
        latest: deque[int] = deque(maxlen=most)
        for slot in self._from(first - 1):
            if slot > until:
                break
            latest.append(slot)
        return tuple(latest)

    def _from(self, moment: int) -> Iterator[int]:
        schedule = self.schedule
        if schedule.cron:
            yield from cron_slots(schedule.cron, self._zone, moment)
        elif schedule.every:
            yield from count((moment // schedule.every + 1) * schedule.every, schedule.every)
        elif schedule.at is not None:
            slot = int(schedule.at.timestamp())
            if slot > moment:
                yield slot
