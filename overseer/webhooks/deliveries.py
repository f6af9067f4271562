"""Remembers which deliveries were accepted."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from hashlib import sha256

from overseer.util.locks import Rank, lock

_REMEMBERED = 10_000  # of each webhook, the latest


class Deliveries:
    """The ids of deliveries that have started a task; bounded. Thread-safe."""

    def __init__(self) -> None:
        self._lock = lock(Rank.LEAF, "deliveries")
        self._taken: dict[str, OrderedDict[bytes, None]] = {}

    def take(self, webhook: str, id: str) -> bool:
        """Take a delivery, unless it was taken before; one without an id always is."""
        if not id:
            return True
        with self._lock:
            taken = self._taken.setdefault(webhook, OrderedDict())
            if (digest := _digest(id)) in taken:
                return False
            taken[digest] = None
            if len(taken) > _REMEMBERED:
                taken.popitem(last=False)
            return True

    def export(self) -> dict[str, list[str]]:
        """All of them, for :meth:`restore`."""
        with self._lock:
            return {webhook: [digest.hex() for digest in taken] for webhook, taken in self._taken.items()}

    def restore(self, data: Mapping[str, Iterable[str]]) -> None:
        """Go on with those of the program before this one."""
        with self._lock:
            for webhook, taken in data.items():
                self._taken[webhook] = OrderedDict.fromkeys(map(bytes.fromhex, taken))

    def give_back(self, webhook: str, id: str) -> None:
        """Forget a delivery that has started nothing, so that it may come again."""
        with self._lock:
            self._taken.get(webhook, OrderedDict()).pop(_digest(id), None)


def _digest(id: str) -> bytes:
    return sha256(id.encode("latin-1")).digest()
