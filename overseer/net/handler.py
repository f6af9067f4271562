"""What a connection calls with its client's messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from overseer.auth.peer import Peer
from overseer.net.outbox import Outbox


class Handler(Protocol):
    """Takes one client's messages; called on the thread that serves its connection, with no lock held."""

    def receive(self, data: str | bytes) -> None:
        """One message, text or binary, of at most ``max_message`` bytes (over stdio one more: too long)."""

    @property
    def busy(self) -> bool:
        """Whether it is at work on an answer, as long as the client takes to read it."""

    def unanswered(self) -> list[str]:
        """The messages that other threads are to answer, and that may be received again."""

    def closed(self) -> None:
        """Called exactly once, last; appends to the outbox are ignored by now."""


OpenHandler = Callable[[Outbox, Peer], Handler]
