"""One client's exchange with the server: its requests become messages, and the answers are read."""

from __future__ import annotations

import itertools
import json
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from overseer.api.problems import of_error, refused
from overseer.net.handler import Handler
from overseer.net.http import Reply
from overseer.net.readable import ReadableOutbox

Message = dict[str, Any]

_ANSWER_S = 60.0  # for an answer; a slow driver may take its time
_LOOK_S = 1.0  # between looks at whether the client is still there
_FAR = 2**62  # after any line

OUTPUT = b'{"type":"output"'
"""What every ``output`` message begins with: there may be too many of them to read each."""


class GoneError(OSError):
    """The client, or the server, has ended the connection."""


class Exchange:
    """For the thread of one request."""

    def __init__(self, handler: Handler, outbox: ReadableOutbox, reply: Reply) -> None:
        self._handler = handler
        self._outbox = outbox
        self._reply = reply
        self._ids = itertools.count(1)
        self._came: deque[bytes] = deque()  # messages that were taken and not looked at yet
        self._passed: deque[bytes] = deque()  # and those that came before an answer
        self.before_wait: Callable[[], None] = lambda: None
        """Called when all that has come was yielded, before more is waited for."""

    def send(self, type: str, **fields: object) -> str:
        """Send a message; fields that are None are left out. Returns its id."""
        request_id = str(next(self._ids))
        message: Message = {"type": type, "id": request_id}
        message |= {name: value for name, value in fields.items() if value is not None}
        self._handler.receive(json.dumps(message))
        return request_id

    def ask(self, type: str, **fields: object) -> Message:
        """Send a request and return the answer; what comes before it is read later.

        Raises:
            RefusedError: the answer is an ``error``, or none came.
            GoneError: the connection has ended.
        """
        return self.answer(self.send(type, **fields))

    def answer(self, request_id: str, earlier: str = "") -> Message:
        """The answer to a request that was sent; a refusal of the ``earlier`` one counts too. Raises as
        :meth:`ask`."""
        for line in self._come(time.monotonic() + _ANSWER_S):
            message = {} if line.startswith(OUTPUT) else json.loads(line)
            mine = message.get("id")
            if message.get("type") == "error" and mine in (request_id, earlier):
                raise of_error(message)
            if mine != request_id:
                self._passed.append(line)
            else:
                return dict(message)
        raise refused(504, "the server has not answered in time")

    def last_seq(self, task_id: str) -> int:
        """The seq of a task's latest line; 0: it has none. To be asked before anything is subscribed to.
        Raises as :meth:`ask`."""
        state = self.ask("subscribe", task_id=task_id, since_seq=_FAR)
        self.ask("unsubscribe", task_id=task_id)
        self._passed.clear()  # what came meanwhile comes again once it is subscribed to
        return int(state.get("last_seq", 0))

    @property
    def hastened(self) -> bool:
        """Whether a wait should end now: the server is being upgraded."""
        return self._outbox.hastened

    def messages(self, deadline: float) -> Iterator[bytes]:
        """Messages as lines of JSON, as they come, until ``deadline`` (monotonic). Empty ones say that none
        has come for a while. Raises GoneError when the connection has ended."""
        while self._passed:
            yield self._passed.popleft()
        yield from self._come(deadline, idle=True)

    def _come(self, deadline: float, *, idle: bool = False) -> Iterator[bytes]:
        look = time.monotonic() + _LOOK_S
        while True:
            while self._came:
                yield self._came.popleft()
            now = time.monotonic()
            if now >= deadline:
                return
            if now >= look:  # also while much comes
                look = now + _LOOK_S
                if self._reply.gone:
                    raise GoneError("the client has gone")
            self.before_wait()
            self._came.extend(self._outbox.read(min(deadline, look)))
            if not self._came:
                if self._outbox.closed:
                    raise GoneError("the connection has ended")
                if idle:
                    yield b""
