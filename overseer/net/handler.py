"""What a connection calls with its client's messages, and the limits that bound a connection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from overseer.auth.peer import Peer
from overseer.net.outbox import Outbox


class Handler(Protocol):
    """Takes one client's messages; called on the connection's own thread, with no lock held."""

    def receive(self, data: str | bytes) -> None:
        """One message, text or binary, of at most ``max_message`` bytes (over stdio one more: too long)."""

    def unanswered(self) -> list[str]:
        """The messages that other threads are to answer, and that may be received again."""

    def closed(self) -> None:
        """Called exactly once, last; appends to the outbox are ignored by now."""


OpenHandler = Callable[[Outbox, Peer], Handler]


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Bounds of every connection; sizes in bytes, times in seconds.

    ``close_timeout`` bounds everything after a close from either side: pending output, close frames, the
    peer's end. A client is pinged every ``ping_interval``, and closed when nothing has come from it for
    ``ping_timeout`` more than that.
    """

    buffer: int = 8 * 2**20
    stall_timeout: float = 30.0
    max_message: int = 2**20
    max_connections: int = 2000
    handshake_timeout: float = 10.0
    close_timeout: float = 1.0
    ping_interval: float = 20.0
    ping_timeout: float = 60.0
