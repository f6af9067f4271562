"""Counters, in memory, from the server's start.

One lock for all counters: they are touched once per batch or lifecycle event, never once per line.
"""

from __future__ import annotations

import bisect
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields

from overseer.protocol import SKIP_REASON, ActionMetrics, GlobalMetrics
from overseer.util.locks import Rank, assert_held, lock

_ACTION = tuple(field.name for field in fields(ActionMetrics))
_WIRE = tuple(field.name for field in fields(GlobalMetrics))
# Starts for which the pool and its queue had no place; runs that lasted longer than they may; what tasks
# were given to read, and how often they took none; lines that a client missed, for each client that missed
# them; how often stored output gave way to other output; clients that were closed for not reading; looks at
# runs, those that failed, runs that were not ready in time, how often one was found unhealthy; and starts of
# schedules that were skipped.
_ALL = (
    *_WIRE,
    "starts_refused",
    "timeouts",
    "out_of_memory",
    "cpu_ms",
    "input_bytes",
    "inputs_refused",
    "dropped_lines",
    "outputs_evicted",
    "stalled_clients",
    *(f"skipped_{reason}" for reason in SKIP_REASON.words),
    "probes",
    "probe_failures",
    "ready_timeouts",
    "became_unhealthy",
)

# Seconds; waits in queues take minutes, runs up to days.
_WAIT_BOUNDS = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0)
_RUN_BOUNDS = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0)


@dataclass(frozen=True, slots=True)
class HistogramFigures:
    """A histogram of durations.

    ``counts[n]`` is the number of those above ``bounds[n - 1]`` and up to ``bounds[n]`` seconds; one more
    count is for those beyond all bounds. ``total`` is the sum of all in seconds.
    """

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total: float


@dataclass(frozen=True, slots=True)
class PoolFigures:
    """A pool; ``limit`` 0: unlimited."""

    limit: int
    running: int
    queued: int


class _Histogram:
    """A histogram under construction; guarded by its owner's lock."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._total = 0.0

    def observe(self, seconds: float) -> None:
        self._counts[bisect.bisect_left(self._bounds, seconds)] += 1
        self._total += seconds

    def figures(self) -> HistogramFigures:
        return HistogramFigures(self._bounds, tuple(self._counts), self._total)


class Metrics:
    """What has happened since start-up, in total and by action. Thread-safe.

    Events are counted before they are announced. So a reply that is built and appended with ``lock`` held is
    never older than the messages before it.
    """

    def __init__(self, actions: Iterable[str]) -> None:
        self.lock: threading.Lock = lock(Rank.METRICS, "metrics")
        self._global = dict.fromkeys(_ALL, 0)
        self._actions: dict[str, dict[str, int]] = {}
        self._waits: dict[str, _Histogram] = {}
        self._runs: dict[str, _Histogram] = {}
        self.register(actions)

    def register(self, actions: Iterable[str]) -> None:
        """Count for these actions, too; none is ever removed, since a counter must not go back."""
        with self.lock:
            for action in actions:
                if action not in self._actions:
                    self._actions[action] = dict.fromkeys(_ALL, 0)
                    self._waits[action] = _Histogram(_WAIT_BOUNDS)
                    self._runs[action] = _Histogram(_RUN_BOUNDS)

    def count(self, name: str, action: str, amount: int = 1) -> None:
        """Add to the counter ``name`` of the action, where actions have it, and of the server.

        Raises:
            KeyError: no such counter.
        """
        with self.lock:
            self._global[name] += amount
            counters = self._actions.get(action)
            if counters is not None:
                counters[name] += amount

    def snapshot_locked(self, sees: Callable[[str], bool] | None = None) -> GlobalMetrics:
        """All counters; with ``sees``, the sums over the actions that it admits."""
        assert_held(self.lock)
        if sees is None:
            return GlobalMetrics(**{name: self._global[name] for name in _WIRE})
        seen = [counters for action, counters in self._actions.items() if sees(action)]
        return GlobalMetrics(**{name: sum(each[name] for each in seen) for name in _WIRE})

    def action_snapshot_locked(self, action: str) -> ActionMetrics | None:
        """One action's counters, or None."""
        assert_held(self.lock)
        counters = self._actions.get(action)
        return None if counters is None else ActionMetrics(**{name: counters[name] for name in _ACTION})

    def observe_wait(self, action: str, seconds: float) -> None:
        """Record how long a task of this action was queued before its start."""
        with self.lock:
            self._waits[action].observe(seconds)

    def run_over(self, action: str, seconds: float, cpu_ms: int, *, out_of_memory: bool) -> None:
        """Count a run of this action that is over, and record how long it lasted."""
        with self.lock:
            self._runs[action].observe(seconds)
            for counters in (self._global, self._actions[action]):
                counters["tasks_completed"] += 1
                counters["cpu_ms"] += cpu_ms
                counters["out_of_memory"] += out_of_memory

    def counters(self) -> Mapping[str, Mapping[str, int]]:
        """Every counter by action and name; ``""`` has the server's."""
        with self.lock:
            return {"": dict(self._global), **{name: dict(each) for name, each in self._actions.items()}}

    def histograms(self) -> tuple[Mapping[str, HistogramFigures], Mapping[str, HistogramFigures]]:
        """Histograms, by action, of times spent in queues and of runs' durations."""
        with self.lock:
            return (
                {name: each.figures() for name, each in self._waits.items()},
                {name: each.figures() for name, each in self._runs.items()},
            )
