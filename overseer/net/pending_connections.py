"""Connections that have not been admitted yet, and which of them to evict when there are too many.

The source with the most connections loses its oldest, so no source can crowd out others by holding many open;
if all come from one address, as behind a proxy, the oldest goes. The caller holds a lock.
"""

from __future__ import annotations

from itertools import count
from typing import Generic, TypeVar

_C = TypeVar("_C")


class PendingConnections(Generic[_C]):
    """Connections by source, each source's oldest first."""

    def __init__(self) -> None:
        self._by_source: dict[str, dict[_C, int]] = {}
        self._ages = count(1)

    def __len__(self) -> int:
        return sum(map(len, self._by_source.values()))

    def add(self, connection: _C, source: str) -> None:
        self._by_source.setdefault(source, {})[connection] = next(self._ages)

    def discard(self, connection: _C, source: str) -> None:
        connections = self._by_source.get(source, {})
        if connections.pop(connection, None) is not None and not connections:
            del self._by_source[source]

    def victim(self) -> _C | None:
        """The oldest connection of the source that has the most."""

        def weight(connections: dict[_C, int]) -> tuple[int, int]:
            return len(connections), -next(iter(connections.values()))

        most = max(self._by_source.values(), key=weight, default={})
        return next(iter(most), None)
