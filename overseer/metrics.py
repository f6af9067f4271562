"""Counters, in memory; they start from zero with the server.

One lock for all of them: each is touched once a batch or once a lifecycle event, never once a line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from overseer.locks import Rank, lock
from overseer.messages import ActionMetrics, GlobalMetrics

__all__ = ["Metrics"]

_ACTION = ("tasks_started", "tasks_completed", "tasks_errored", "tasks_restarted", "total_output_lines")
_QUEUE = ("enqueued", "dequeued", "displaced", "expired")


class Metrics:
    """What has happened since start-up, in all and by action; safe from any thread."""

    def __init__(self, actions: Iterable[str]) -> None:
        self._lock = lock(Rank.LEAF, "metrics")
        self._global = dict.fromkeys(_ACTION + _QUEUE, 0)
        self._actions = {action: dict.fromkeys(_ACTION + _QUEUE, 0) for action in actions}

    def count(self, name: str, action: str, amount: int = 1) -> None:
        """Add to the counter ``name`` of the action (where actions have it) and of the whole.

        Raises:
            KeyError: there is no such counter.
        """
        with self._lock:
            self._global[name] += amount
            counters = self._actions.get(action)
            if counters is not None:
                counters[name] += amount

    def count_output(self, action: str, lines: int) -> None:
        """Add lines of output that passed the filters."""
        self.count("total_output_lines", action, lines)

    def snapshot(self, sees: Callable[[str], bool] | None = None) -> GlobalMetrics:
        """All counters at one moment; with ``sees``, what the actions that it is true of add to them."""
        with self._lock:
            if sees is None:
                return GlobalMetrics(**self._global)
            seen = [counters for action, counters in self._actions.items() if sees(action)]
            return GlobalMetrics(**{name: sum(each[name] for each in seen) for name in self._global})

    def action_snapshot(self, action: str) -> ActionMetrics | None:
        """One action's counters, None when there is no such action."""
        with self._lock:
            counters = self._actions.get(action)
            return None if counters is None else ActionMetrics(**{name: counters[name] for name in _ACTION})
