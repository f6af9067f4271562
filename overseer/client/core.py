"""What the connections of one client share: one lock, the settings, who listens to everything."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from overseer.client.address import Address
from overseer.client.buffer import EventBuffer, Item
from overseer.client.errors import ConnectionLostError
from overseer.util.locks import Rank, lock

if TYPE_CHECKING:
    import ssl


@dataclass(frozen=True, slots=True)
class Settings:
    """Times in seconds, ``buffer`` in bytes; :class:`overseer.client.Client` tells what they mean."""

    address: Address
    token: str
    tls: ssl.SSLContext | None
    timeout: float
    reconnect: float
    keepalive: float
    buffer: int
    on_notice: Callable[[str], None]


class Core:
    """Shared by a client's connections. Nothing waits with the lock held but on its own conditions."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        # The client's one lock: it guards every buffer, follower, table and queue of all its connections.
        self.lock = lock(Rank.LEAF, "client")
        # Notified when the client ends, for whoever waits to try again.
        self.ending = threading.Condition(self.lock)
        self.failure: ConnectionLostError | None = None  # why the client is of no use any more
        # Weak: who does not iterate any more is not told any more.
        self.listeners: tuple[weakref.ref[EventBuffer], ...] = ()

    def notice(self, text: str) -> None:
        """Tell the program; called with no lock held."""
        try:
            self.settings.on_notice(text)
        except Exception:  # of its own making, and no reason to end the connection
            import logging  # which takes a while to load, and is hardly ever needed

            logging.getLogger("overseer.client").exception("on_notice failed at %r", text)

    def check_locked(self) -> None:
        """Raise what ended the client, if something did."""
        if self.failure is not None:
            raise self.failure

    def tell_listeners_locked(self, item: Item) -> None:
        for ref in self.listeners:
            if (buffer := ref()) is not None:
                buffer.put_locked(item)

    def settle_listeners_locked(self) -> None:
        """Call it when all of a batch was told, and when the client ends."""
        self.listeners = tuple(ref for ref in self.listeners if ref() is not None)
        for ref in self.listeners:
            if (buffer := ref()) is not None:
                buffer.settle_locked(lossless=False)
