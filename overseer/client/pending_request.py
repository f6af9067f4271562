"""A request that awaits its answer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from overseer.client import frames
from overseer.client.errors import ClientError, RefusedError
from overseer.protocol import Error, Event, Request, encode
from overseer.util.locks import assert_held


class PendingRequest:
    """Guarded by the client's lock.

    Args:
        messages: sent together. The answer is the last one's, when all have been handled, or an error to any.
        every: whether each has an answer of its own that is waited for, in whatever order they come.
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
        every: bool = False,
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
        self._awaited = {message.id for message in (messages if every else messages[-1:])}
        self._lock = lock
        self._done = threading.Condition(lock)  # notified once, when reply or error is there

    def completed_locked(self, request_id: str) -> bool:
        """Whether, with the answer to this message, all that are waited for have come."""
        assert_held(self._lock)
        self._awaited.discard(request_id)
        return not self._awaited

    def part_locked(self, event: Event) -> None:
        """Take an answer that does not complete it."""
        assert_held(self._lock)
        if self._answered is not None:
            self._answered(event)

    def answer_locked(self, event: Event) -> None:
        assert_held(self._lock)
        if isinstance(event, Error):
            self.error = RefusedError(event.message, event.existing_task_id, event.param, event.code)
        else:
            self.reply = event
        if self._answered is not None:
            self._answered(event)
        self._done.notify_all()

    def fail_locked(self, error: ClientError) -> None:
        assert_held(self._lock)
        self.error = error
        self._done.notify_all()

    def lost_locked(self) -> None:
        """The connection, and with it this internal request, is lost."""
        assert_held(self._lock)
        if self._answered is not None:
            self._answered(None)

    def wait_locked(self, timeout: float) -> bool:
        """Wait for reply or error; False after ``timeout`` seconds."""
        assert_held(self._lock)
        return self._done.wait_for(lambda: self.reply is not None or self.error is not None, timeout)
