"""A request that waits for its answer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from overseer.client import frames
from overseer.client.errors import ClientError, RefusedError
from overseer.protocol import Error, Event, Request, encode


class PendingRequest:
    """Guarded by the client's lock.

    Args:
        messages: sent together. With several, the last one's answer is the answer: all are done by then. But
            an error to any of them is the answer as well.
        repeat: sent again after a reconnection, although it is not known whether it was carried out.
        answered: called with the answer to each message, under the lock, at its place among all that comes.
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
        # Made here: what cannot be written must not be found out with the lock held, in tables already.
        self.frames = [frames.text(encode(message)) for message in messages]
        self.repeat = repeat
        self.internal = internal
        self.sent = False  # on this connection
        self.reply: Event | None = None
        self.error: ClientError | None = None
        self._answered = answered
        self._done = threading.Condition(lock)  # notified once, when reply or error is there

    def part_locked(self, event: Event) -> None:
        """Here is the answer to one that is not the last."""
        if self._answered is not None:
            self._answered(event)

    def answer_locked(self, event: Event) -> None:
        """Here is the answer."""
        if isinstance(event, Error):
            self.error = RefusedError(event.message, event.existing_task_id)
        else:
            self.reply = event
        if self._answered is not None:
            self._answered(event)
        self._done.notify_all()

    def fail_locked(self, error: ClientError) -> None:
        """There will be none."""
        self.error = error
        self._done.notify_all()

    def lost_locked(self) -> None:
        """The connection is lost, and with it what was internal."""
        if self._answered is not None:
            self._answered(None)

    def wait_locked(self, timeout: float) -> bool:
        """Wait for either; False when the time (s) was up."""
        return self._done.wait_for(lambda: self.reply is not None or self.error is not None, timeout)
