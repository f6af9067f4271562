"""A request that awaits its answer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from overseer.client import frames
from overseer.client.errors import ClientError, RefusedError
from overseer.protocol import Error, Event, Request, encode


class PendingRequest:
    """Guarded by the client's lock.

    Args:
        messages: sent together. The answer is the last one's, when all have been handled, or an error to any.
        repeat: sent again after a reconnection, although it may have been carried out already.
        answered: called with the answer to each message, under the lock, in order with all other messages.
        internal: no thread waits; ``answered`` gets None when the connection is lost first.
    """

    def __init__(
        self,
        messages: Sequence[Request],
        lock: threading.Lock,
        *,
        repeat: bool = False,
        answered: Callable[[Event | None], None] | None = None,
        internal: bool = False,
    ) -> None:
        self.messages = messages
        # Encoded here: an error must not occur later, with the lock held and the request in tables.
        self.frames = [frames.text(encode(message)) for message in messages]
        self.repeat = repeat
        self.internal = internal
        self.sent = False  # on this connection
        self.reply: Event | None = None
        self.error: ClientError | None = None
        self._answered = answered
        self._done = threading.Condition(lock)  # notified once, when reply or error is there

    def part_locked(self, event: Event) -> None:
        """Take the answer to a message other than the last."""
        if self._answered is not None:
            self._answered(event)

    def answer_locked(self, event: Event) -> None:
        if isinstance(event, Error):
            self.error = RefusedError(event.message, event.existing_task_id, event.param, event.code)
        else:
            self.reply = event
        if self._answered is not None:
            self._answered(event)
        self._done.notify_all()

    def fail_locked(self, error: ClientError) -> None:
        self.error = error
        self._done.notify_all()

    def lost_locked(self) -> None:
        """The connection, and with it this internal request, is lost."""
        if self._answered is not None:
            self._answered(None)

    def wait_locked(self, timeout: float) -> bool:
        """Wait for reply or error; False after ``timeout`` seconds."""
        return self._done.wait_for(lambda: self.reply is not None or self.error is not None, timeout)
