"""Running totals of a hub's memory: output kept in rings, and parameters of queued tasks."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable

RING_BYTES = 16 * 1024 * 1024  # the maximum of one ring (100 lines of 10 MiB would be a gigabyte)


class MemoryUse:
    """Each task reports here what it holds, with its own lock held.

    Attributes:
        most: the maximum of one ring, in bytes.
        rings, params: what all hold together.
        tell: called when the rings grow beyond :meth:`tell_above`; with a task's lock held.
    """

    def __init__(self) -> None:
        self.most = RING_BYTES
        self.rings = 0
        self.params = 0
        self._lock = threading.Lock()  # unranked: no lock is taken under it
        self._above = sys.maxsize
        self.tell: Callable[[], object] = bool

    def tell_above(self, size: int) -> None:
        """Call it once when the rings hold more than ``size`` bytes."""
        with self._lock:
            self._above = size

    def ring_changed(self, by: int) -> None:
        """Note that a ring has grown or shrunk by so many bytes."""
        with self._lock:
            self.rings += by
            tell = by > 0 and self.rings > self._above
            if tell:
                self._above = sys.maxsize
        if tell:
            self.tell()

    def params_changed(self, by: int) -> None:
        """Note that a task whose parameters have so many characters has entered or left a queue."""
        with self._lock:
            self.params += by
