"""Connected clients, and the messages to them.

A message is *appended* to outboxes while the state that it announces is locked, so that every connection sees
events in order; sockets are touched only after all locks are released.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType

from overseer.auth.rights import ANYONE, Principal
from overseer.net.frames import Encoded, Message, Streamed
from overseer.net.outbox import Outbox
from overseer.protocol import Event, encode
from overseer.util.jsonlog import EventLog
from overseer.util.locks import Rank, assert_none_held, lock


class Client:
    """One connection, as the hub sees it; compared by identity.

    ``on_lag`` is the default of its subscriptions, see :class:`Wishes`. What ``principal`` may not see is
    never sent to it.
    """

    def __init__(self, outbox: Outbox, on_lag: str = "block", principal: Principal = ANYONE) -> None:
        self.outbox = outbox
        self.on_lag = on_lag
        self.principal = principal
        self.replaying = False  # its thread sends it what a log has, as fast as it takes that
        # Guarded by the hub's lock: what it is subscribed to, and which of that has no task.
        self.task_ids: set[str] = set()
        self.waiting: set[str] = set()
        self.watch = 0  # the number of its watch, which no other one has; 0: it does not watch


class Clients:
    """All connected clients. Reading takes no lock: the tuple is replaced, never changed."""

    def __init__(self) -> None:
        self._changing = lock(Rank.LEAF, "clients")
        self._clients: tuple[Client, ...] = ()

    def __iter__(self) -> Iterator[Client]:
        return iter(self._clients)

    def __len__(self) -> int:
        return len(self._clients)

    def add(self, client: Client) -> None:
        with self._changing:
            self._clients = (*self._clients, client)

    def remove(self, client: Client) -> None:
        with self._changing:
            self._clients = tuple(other for other in self._clients if other is not client)


class DeferredFlush:
    """Collects the outboxes that were appended to, and flushes them at the end of its ``with`` block.

    Enter it *before* taking locks, so that it is left after they are released.
    """

    def __init__(self) -> None:
        self._touched: dict[Outbox, None] = {}
        self._event: Event | None = None  # the last event encoded, as one event often goes to many clients
        self._encoded: Encoded | None = None

    def __enter__(self) -> DeferredFlush:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._touched:
            assert_none_held("flush")
            for outbox in self._touched:
                outbox.flush()

    def encode(self, event: Event) -> Encoded:
        """The event encoded; a repeated call for the same event reuses the result."""
        if self._encoded is None or self._event is not event:
            self._event = event
            self._encoded = Encoded([encode(event)])
        return self._encoded

    def log(self, log: EventLog, event: Event, told: Client | None = None) -> None:
        """Queue the event for the event log, when there is one; ``told`` is sent its own copy."""
        if log.enabled:
            message = self.encode(event)
            log.write(message, len(message.lines))

    def send(self, client: Client, event: Event) -> None:
        """Append the event to one client's outbox."""
        self.send_encoded(client, self.encode(event))

    def send_output(self, client: Client, message: Message) -> None:
        """Append stored output to one client's outbox; its size does not count as lag."""
        client.outbox.append(message, output=True)
        self._touched[client.outbox] = None

    def send_streamed(self, client: Client, message: Streamed) -> None:
        """Append a long message to one client's outbox, to be encoded as it is sent."""
        client.outbox.append_streamed(message)
        self._touched[client.outbox] = None

    def send_encoded(self, client: Client, message: Message) -> None:
        """Append an encoded message to one client's outbox."""
        client.outbox.append(message)
        self._touched[client.outbox] = None
