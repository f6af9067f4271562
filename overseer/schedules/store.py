"""Stores what schedules have decided in the history, if there is one."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable, Mapping

from overseer.errors import OverseerError
from overseer.history.slots import Schedules, Slot
from overseer.history.store import History

_log = logging.getLogger(__name__)

_TOGETHER = 1000


class ScheduleStore:
    """Stores decisions in a history; without one it keeps nothing."""

    def __init__(self, history: History | None) -> None:
        self._history = history

    def load(self) -> Mapping[str, Schedules]:
        """What earlier servers have decided, by task."""
        if self._history is None:
            return {}
        try:
            return self._history.schedules()
        except (OverseerError, sqlite3.Error) as error:
            _log.warning("cannot read earlier decisions of schedules: %s", error)
            return {}

    def keep(self, slots: Iterable[Slot], schedules: Iterable[Schedules], *, wait: bool = True) -> None:
        """Store decisions; ``wait``: until they are stored, but only briefly, as a failing disk stops no
        schedule."""
        if self._history is None:
            return
        left, more = list(slots), list(schedules)
        while left or more:
            self._history.decided(left[:_TOGETHER], more[:_TOGETHER], wait=wait)
            del left[:_TOGETHER], more[:_TOGETHER]
