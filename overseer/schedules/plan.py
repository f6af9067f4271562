"""The schedules of one task: which slots are due, and the decisions about them; pure.

Nothing here reads a clock: each call is passed the time, in seconds since 1970.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from overseer.config.schedules import Schedule
from overseer.schedules.slots import Slots
from overseer.schedules.spans import Spans

_IN_TURN = "in_turn"
LATE_S = 60  # a slot that is decided within this time has not been missed
MOST = 20  # missed slots that are made up for


class Offer(NamedTuple):
    """A slot to be run, if its schedule's ``overlap`` allows it."""

    slot: int
    overlap: str
    made_up: bool = False  # one of several missed slots, which are run one after another

    @property
    def how(self) -> str:
        """How it waits, in a word that can be stored, for :meth:`stored`."""
        return _IN_TURN if self.made_up else self.overlap

    @classmethod
    def stored(cls, slot: int, how: str) -> Offer:
        return cls(slot, how, how == _IN_TURN)


class Skip(NamedTuple):
    """The latest of ``number`` slots that are not run for this reason."""

    slot: int
    reason: str
    number: int = 1


class _Entry:
    """One schedule, its next undecided slot, and when that is due; None: there is none."""

    __slots__ = ("due", "slot", "slots")

    def __init__(self, slots: Slots) -> None:
        self.slots = slots
        self.slot: int | None = None
        self.due = 0.0

    def await_(self, slot: int | None) -> None:
        self.slot = slot
        self.due = 0.0 if slot is None else self.slots.due(slot)


class Plan:
    """When one task is to be started.

    Args:
        now: the time from which its slots count.
        spans: periods already decided.
        since: how far an earlier server had decided: later slots were missed. None: not scheduled before.
        decided: decided slots outside ``spans``.

    Attributes:
        since: all slots up to then are decided.
        paused: its schedules are paused.
        waiting: slots to be run as soon as the task is free, in order.
    """

    def __init__(
        self,
        task_id: str,
        schedules: Sequence[Schedule],
        now: float,
        spans: Spans | None = None,
        *,
        since: int | None = None,
        decided: Iterable[int] = (),
    ) -> None:
        self.task_id = task_id
        self.paused = False
        self.waiting: deque[Offer] = deque()
        self.spans = spans or Spans()
        self._decided = set(decided)  # slots later than ``since``
        if since is None:
            since = int(now)
        elif since > now:  # the clock was set back while no server was running
            since = self.spans.last_before(int(now)) or int(now)
        self.since = since
        self.spans.add(since, since)
        self._entries: list[_Entry] = []
        self.schedules: tuple[Schedule, ...] = ()
        self._set(schedules)

    def __repr__(self) -> str:
        return f"<Plan {self.task_id} {', '.join(map(str, self.schedules))}>"

    def _set(self, schedules: Sequence[Schedule]) -> None:
        kept = {entry.slots.schedule: entry for entry in self._entries}
        self.schedules = tuple(schedules)
        self._entries = []
        for schedule in dict.fromkeys(schedules):
            entry = kept.get(schedule)
            if entry is None:
                entry = _Entry(Slots(self.task_id, schedule))
                entry.await_(self._open_after(entry, self.since))
            self._entries.append(entry)

    def _open_after(self, entry: _Entry, moment: int) -> int | None:
        """The first undecided slot after a moment."""
        slot = entry.slots.after(moment)
        while slot is not None and (end := self._end_of(slot)) is not None:
            slot = entry.slots.after(end)
        return slot

    def _end_of(self, slot: int) -> int | None:
        return slot if slot in self._decided else self.spans.end_of(slot)

    @property
    def decided(self) -> list[int]:
        """The decided slots later than ``since``."""
        return sorted(self._decided)

    @property
    def due(self) -> float | None:
        """When the next of its slots is due; None: never."""
        return min((entry.due for entry in self._entries if entry.slot is not None), default=None)

    def due_of(self, slot: int) -> float:
        """When the next slot, which is this one, is due."""
        return min((entry.due for entry in self._entries if entry.slot == slot), default=slot)

    def upcoming(self, now: float, most: int) -> list[int]:
        """The next slots."""
        found: set[int] = set()
        for entry in self._entries:
            if entry.slot is not None and entry.slots.schedule.enabled:
                found.add(entry.slot)
                found.update(entry.slots.upcoming(max(entry.slot, int(now)), most))
        return sorted(found)[:most]

    def clock_set_back(self, now: float) -> None:
        """Adjust to a clock that was set back: await slots from now on, except those already decided."""
        self.since = min(self.since, int(now))
        for entry in self._entries:
            if entry.slot is None or entry.slot > now:
                entry.await_(self._open_after(entry, int(now)))

    def replace(self, schedules: Sequence[Schedule], now: float) -> list[Skip]:
        """Switch to other schedules. Returns the skipped slots: those put off that the new ones lack."""
        put_off = self._put_off(now)
        self._advance(now)
        self._set(schedules)
        kept = {entry.slot for entry in self._entries}
        return [Skip(slot, "disabled") for slot in sorted(put_off - kept)]

    def decide(self, now: float) -> tuple[list[Offer], list[Skip]]:
        """Decide on every slot that is due."""
        offers: list[Offer] = []
        skips: list[Skip] = []
        leap = False
        for entry in self._entries:
            if entry.slot is not None and entry.due <= now:
                leap |= now - entry.due > LATE_S
                self._decide(entry, entry.slot, now, offers, skips)
        self._advance(now, leap)
        return sorted(offers), sorted(skips)

    def _decide(self, entry: _Entry, first: int, now: float, offers: list[Offer], skips: list[Skip]) -> None:
        schedule = entry.slots.schedule
        latest, count = entry.slots.passed(first, int(now), MOST + 1)
        put_off = latest[-1] if entry.slots.due(latest[-1]) > now else None
        if put_off is not None:
            latest, count = latest[:-1], count - 1
        slots = [slot for slot in latest if self._end_of(slot) is None]
        count -= len(latest) - len(slots)
        if not schedule.enabled or self.paused:
            chosen = []
            reason = "paused" if schedule.enabled else "disabled"
        else:
            chosen = self._chosen(schedule.missed, entry.slots, slots, now)
            reason = "missed"
        offers += [Offer(slot, schedule.overlap, len(chosen) > 1) for slot in chosen]
        left = [slot for slot in slots if slot not in chosen]
        if left:
            skips.append(Skip(left[-1], reason, count - len(chosen)))
        self._decided.update(chosen, left[-1:])
        entry.await_(self._open_after(entry, int(now)) if put_off is None else put_off)

    def _chosen(self, missed: str, slots: Slots, passed: list[int], now: float) -> list[int]:
        """The passed slots that are to be run."""
        if missed == "all":
            return passed[-MOST:]
        if missed == "skip" and passed and now - slots.due(passed[-1]) > LATE_S:
            return []
        return passed[-1:]

    def _put_off(self, now: float) -> set[int]:
        """The slots that have come but are put off by their jitter."""
        return {entry.slot for entry in self._entries if entry.slot is not None and entry.slot <= now}

    def _advance(self, now: float, leap: bool = False) -> None:
        """Note that all slots up to now are decided, except those put off; after a leap, only those
        chosen."""
        put_off = sorted(self._put_off(now))
        until = put_off[0] - 1 if put_off else int(now)
        if leap:
            for slot in self._decided:
                self.spans.add(slot, slot)
            for slot, following in pairwise((*put_off, int(now) + 1)):
                self.spans.add(slot + 1, following - 1)
        else:
            self.spans.add(self.since, until)
        self.since = max(until, self.since)
        self._decided = {slot for slot in self._decided if slot > self.since}
