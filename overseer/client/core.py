"""What a client's connections share: the lock, the settings, the listeners to everything."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from overseer.client.address import Address
from overseer.client.buffer import EventBuffer, Item
from overseer.client.errors import ConnectionLostError
from overseer.errors import fresh
from overseer.util.locks import Rank, assert_held, lock

if TYPE_CHECKING:
    import ssl


@dataclass(frozen=True, slots=True)
class Settings:
    """Times in seconds, ``buffer`` in bytes; :class:`overseer.client.Client` explains them."""

    address: Address
    token: str
    tls: ssl.SSLContext | None
    timeout: float
    reconnect: float
    keepalive: float
    buffer: int
    on_notice: Callable[[str], None]


class Core:
    """Shared by a client's connections. While the lock is held, nothing waits but on its conditions."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        # The client's one lock: it guards every buffer, follower, table and queue of all its connections.
        self.lock = lock(Rank.LEAF, "client")
        # Notified when the client ends, for threads that wait before they reconnect.
        self.ending = threading.Condition(self.lock)
        self.failure: ConnectionLostError | None = None  # why the client has ended
        # Weak: the buffer lives as long as its iteration.
        self.listeners: tuple[weakref.ref[EventBuffer], ...] = ()

    def notice(self, text: str) -> None:
        """Tell the program; called with no lock held."""
        try:
            self.settings.on_notice(text)
        except Exception:  # the program's own error, no reason to end the connection
            import logging  # slow to load and hardly ever needed

            logging.getLogger("overseer.client").exception("on_notice failed at %r", text)

    def check_locked(self) -> None:
        """Raise what ended the client, if something did."""
        assert_held(self.lock)
        if self.failure is not None:
            raise fresh(self.failure)

    def tell_listeners_locked(self, item: Item) -> None:
        assert_held(self.lock)
        for ref in self.listeners:
            if (buffer := ref()) is not None:
                buffer.put_locked(item)

    def settle_listeners_locked(self) -> None:
        """To be called after each batch, and when the client ends."""
        assert_held(self.lock)
        self.listeners = tuple(ref for ref in self.listeners if ref() is not None)
        for ref in self.listeners:
            if (buffer := ref()) is not None:
                buffer.settle_locked(lossless=False)
