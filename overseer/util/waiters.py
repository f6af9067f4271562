"""Threads that wait for a condition, under a lock that guards much else."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Waiters:
    """A condition that takes neither memory nor time while no thread waits.

    Every method expects the lock to be held.
    """

    __slots__ = ("_condition", "_count", "_lock")

    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock
        self._count = 0
        self._condition: threading.Condition | None = None  # while anybody waits

    def wait_for(self, predicate: Callable[[], bool], timeout: float | None = None) -> bool:
        """Wait, without the lock, until a :meth:`wake` finds it true; False when ``timeout`` (s) passed."""
        if self._condition is None:
            self._condition = threading.Condition(self._lock)
        self._count += 1
        try:
            return self._condition.wait_for(predicate, timeout)
        finally:
            self._count -= 1
            if not self._count:
                self._condition = None

    def wake(self) -> None:
        """Have them check their conditions."""
        if self._condition is not None:
            self._condition.notify_all()
