"""Sums of what a hub holds: the output kept in rings, and the parameters of queued tasks."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable

RING_BYTES = 16 * 1024 * 1024  # what one ring holds at most (100 lines of 10 MiB would be a gigabyte)


class MemoryUse:
    """Told by each task of what it holds, with the task's lock held."""

    def __init__(self) -> None:
        self.most = RING_BYTES  # for each ring
        self.rings = 0  # bytes, in all
        self.params = 0
        self._lock = threading.Lock()  # unranked: nothing is taken under it
        self._above = sys.maxsize
        self._tell: Callable[[], object] = bool

    def watch(self, tell: Callable[[], object]) -> None:
        """Call ``tell`` when the rings grow beyond :meth:`tell_above`; with a task's lock held."""
        self._tell = tell

    def tell_above(self, size: int) -> None:
        """Tell, once, when the rings hold more than ``size`` bytes."""
        with self._lock:
            self._above = size

    def ring_changed(self, by: int) -> None:
        """A ring has grown, or shrunk, by so many bytes."""
        with self._lock:
            self.rings += by
            tell = by > 0 and self.rings > self._above
            if tell:
                self._above = sys.maxsize
        if tell:
            self._tell()

    def params_changed(self, by: int) -> None:
        """A task has entered a queue, or left it, whose parameters have so many characters."""
        with self._lock:
            self.params += by
