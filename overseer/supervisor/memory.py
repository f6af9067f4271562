"""``limits.memory``: what rings, outboxes and the parameters of queued tasks may occupy together.

Rings report their growth, in steps, under their task's lock; outboxes and queued parameters are measured once
a second while the rings hold much. Above the limit, rings are evicted: those of finished tasks first, longest
finished before others; then the largest are cut down to a common size.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from overseer.supervisor.clients import Clients
from overseer.supervisor.definitions import Current
from overseer.supervisor.memory_use import RING_BYTES, MemoryUse
from overseer.supervisor.metrics import Metrics
from overseer.supervisor.table import TaskTable
from overseer.supervisor.timer_kinds import Due
from overseer.util.timers import Timer, Timers

_EVERY_S = 1.0
_WATCHED = 8  # checks begin at this fraction (1/8) of the limit
_RELIEF = 0.9  # how much of the rings' room is left in use, so that the next line does not exceed it again


@dataclass(eq=False, repr=False)
class MemoryLimit:
    """Keeps a hub within its limit."""

    _use: MemoryUse
    _current: Current
    _table: TaskTable
    _clients: Clients
    _metrics: Metrics
    _timers: Timers
    _next: Timer | None = field(default=None, init=False)  # for the next check while the rings hold much

    def __post_init__(self) -> None:
        self._use.tell = lambda: self._timers.schedule(0.0, Due.MEMORY)
        self._use.tell_above(self._current.value.config.limits.memory // _WATCHED)

    def check(self) -> None:
        """Make room if there is too little. Thread-safe; call with no lock held."""
        limit = self._current.value.config.limits.memory
        others = sum(client.outbox.pending for client in self._clients) + self._use.params
        room = max(0, limit - others)
        used = self._use.rings
        if used > room:
            self._relieve(int(room * _RELIEF))
            self._mark()
        elif self._use.most < RING_BYTES:
            self._mark()
            if used + others < limit // 2:
                self._use.most = RING_BYTES
        if self._use.rings > limit // _WATCHED:
            self._use.tell_above(room)
            self._next = self._timers.bring_forward(self._next, time.monotonic() + _EVERY_S, Due.MEMORY)
        else:
            self._use.tell_above(limit // _WATCHED)

    def _relieve(self, most: int) -> None:
        with self._table.lock:
            finished = [self._table.find(task_id) for task_id in self._table.finished_at()]
        for task in finished:
            if self._use.rings <= most:
                return
            with task.lock:
                task.stream.ring.shrink(0)
        with self._table.lock:
            tasks = list(self._table)
        self._use.most = level = _level([task.stream.ring.memory for task in tasks], most)
        for task in tasks:
            with task.lock:
                task.stream.ring.shrink(level)

    def _mark(self) -> None:
        """Mark the tasks whose stored output was evicted, or whose ring is below its usual size, for
        `list`."""
        with self._table.lock:
            tasks = [task for task in self._table if task.stream.ring.cut and not task.output_evicted]
            for task in tasks:
                with task.lock:
                    task.output_evicted = True
                self._metrics.count("outputs_evicted", task.action)


def _level(sizes: Iterable[int], most: int) -> int:
    """The size to which all larger ones must shrink so that the sum is ``most``."""
    left = sorted(sizes)
    for place, size in enumerate(left):
        share = most // (len(left) - place)
        if size > share:
            return share
        most -= size
    return RING_BYTES
