"""Places for bodies in memory, of which a few senders cannot take all.

A source gets a further place only while it has fewer than are free: of 32, one alone has up to 16, two have
up to 11 each, three have 8. With a bound of its own for each, a few together would take all.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from overseer.util.locks import Rank, assert_held, lock


class Places:
    """Safe from any thread.

    Args:
        count: how many there are.
        patience: for how many seconds one is waited for.
    """

    def __init__(self, count: int, patience: float) -> None:
        self._count = count
        self._patience = patience
        self._lock = lock(Rank.LEAF, "places")
        self._freed = threading.Condition(self._lock)
        self._taken: Counter[str] = Counter()

    @contextmanager
    def one(self, source: str) -> Iterator[bool]:
        """Have a place meanwhile; False: there is none."""
        with self._lock:
            has = self._freed.wait_for(lambda: self._has_room_locked(source), self._patience)
            self._taken[source] += has
        try:
            yield has
        finally:
            with self._lock:
                self._taken[source] -= has
                if not self._taken[source]:
                    del self._taken[source]
                self._freed.notify_all()

    def _has_room_locked(self, source: str) -> bool:
        assert_held(self._lock)
        return self._taken[source] < self._count - self._taken.total()
