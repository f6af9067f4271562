"""Connections that are no WebSocket yet: who has to go when there is no room for one more.

Whoever has most of them loses the oldest, so that nobody who holds many open keeps out others; and where
all come from one address, as behind a proxy, whoever takes longest makes room. Pure: the caller has a lock.
"""

from __future__ import annotations

from typing import Generic, TypeVar

_Guest = TypeVar("_Guest")


class Lobby(Generic[_Guest]):
    """Guests by where they come from, each place's oldest first."""

    def __init__(self) -> None:
        self._places: dict[str, dict[_Guest, int]] = {}
        self._entered = 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def enter(self, guest: _Guest, place: str) -> None:
        self._entered += 1
        self._count += 1
        self._places.setdefault(place, {})[guest] = self._entered

    def leave(self, guest: _Guest, place: str) -> bool:
        """Whether it was there still."""
        guests = self._places.get(place, {})
        if guests.pop(guest, None) is None:
            return False
        self._count -= 1
        if not guests:
            del self._places[place]
        return True

    def next_to_go(self) -> tuple[_Guest, str] | None:
        """The oldest guest of the place that has most, and that place; None when nobody is there."""
        if not self._places:
            return None

        def weight(place: str) -> tuple[int, int]:
            guests = self._places[place]
            return len(guests), -next(iter(guests.values()))

        place = max(self._places, key=weight)
        return next(iter(self._places[place])), place
