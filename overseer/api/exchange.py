"""One client's exchange with the server: its requests become messages, and the answers are read."""

from __future__ import annotations

import itertools
import json
import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from overseer.api.media import OUTPUT
from overseer.api.problems import of_error, refused
from overseer.net.handler import Handler
from overseer.net.http import Reply
from overseer.net.readable_outbox import ReadableOutbox
from overseer.net.turns import Turns

Message = dict[str, Any]

_ANSWER_S = 60.0  # for an answer; a slow driver may take its time
_LOOK_S = 1.0  # between looks at whether the client is still there
_FAR = 2**62  # after any line
_TURNS = Turns(2)  # among those who pass on, who may be many and each have much to do


class GoneError(OSError):
    """The client, or the server, has ended the connection."""


class Exchange:
    """For the thread of one request.

    Attributes:
        passed: messages that came before an answer and are still to be read.
    """

    def __init__(self, handler: Handler, outbox: ReadableOutbox, reply: Reply) -> None:
        self._handler = handler
        self._outbox = outbox
        self._reply = reply
        self._ids = itertools.count(1)
        self._came: deque[bytes] = deque()  # messages that were taken and not looked at yet
        self.passed: deque[bytes] = deque()
        self._look_at = time.monotonic() + _LOOK_S  # for whether the client is still there

    def send(self, type: str, **fields: object) -> str:
        """Send a message; fields that are None are left out. Returns its id. Raises RefusedError."""
        request_id = str(next(self._ids))
        message: Message = {"type": type, "id": request_id}
        message |= {name: value for name, value in fields.items() if value is not None}
        try:
            text = json.dumps(message)
        except RecursionError:
            raise refused(400, "the body is nested too deeply", code="invalid") from None
        self._handler.receive(text)
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
        for message in self._answers(request_id, earlier, time.monotonic() + _ANSWER_S):
            if message is not None:
                return message
        raise refused(504, "the server has not answered in time")

    def task(self, task_id: str, after: str = "") -> Message:
        """What ``list`` says of a task; empty: there is none. Raises as :meth:`answer`, whose ``earlier``
        request is ``after``."""
        rows = self.answer(self.send("list", task_id=task_id), after)["tasks"]
        return rows[0] if rows else {}

    def answer_unless_hastened(self, request_id: str) -> Message | None:
        """The answer, however long that takes; None: the server is being upgraded. Raises as :meth:`ask`."""
        for message in self._answers(request_id, "", math.inf):
            if message is not None or self.hastened:
                return message
        return None

    def _answers(self, request_id: str, earlier: str, deadline: float) -> Iterator[Message | None]:
        """The answer, once it has come; until then now and again None."""
        for line in self._come(deadline):
            message = {} if not line or line.startswith(OUTPUT) else json.loads(line)
            mine = message.get("id")
            if message.get("type") == "error" and mine in (request_id, earlier):
                raise of_error(message)
            if mine == request_id:
                yield dict(message)
            if line:
                self.passed.append(line)
            yield None

    def last_seq(self, task_id: str) -> int:
        """The seq of a task's latest line; 0: it has none. To be asked before anything is subscribed to.
        Raises as :meth:`ask`."""
        state = self.ask("subscribe", task_id=task_id, since_seq=_FAR)
        self.ask("unsubscribe", task_id=task_id)
        self.passed.clear()  # what came meanwhile comes again once it is subscribed to
        return int(state.get("last_seq", 0))

    @property
    def hastened(self) -> bool:
        """Whether a wait should end now: the server is being upgraded."""
        return self._outbox.hastened

    def messages(self, deadline: float) -> Iterator[bytes]:
        """Messages as lines of JSON, as they come, until ``deadline`` (monotonic). Empty ones say that none
        has come for a while. Raises GoneError when the connection has ended."""
        while self.passed:
            yield self.passed.popleft()
        for line in self._come(deadline):
            yield line
            while self.passed:  # something was asked meanwhile
                yield self.passed.popleft()

    def drop(self, unwanted: Callable[[Message], bool]) -> None:
        """Do not read those of the messages that came before an answer."""
        lines = filter(None, self.passed)
        kept = (line for line in lines if line.startswith(OUTPUT) or not unwanted(json.loads(line)))
        self.passed = deque(kept)

    def read_again(self, lines: list[bytes]) -> None:
        """Have these messages, the last that were read, read again, before all others."""
        self._came.extendleft(reversed(lines))

    def pass_on(
        self, deadline: float, form: Callable[[bytes], bytes], write: Callable[[bytes], None]
    ) -> Iterator[bool]:
        """Write what ``form`` makes of messages, whole lines as they come, whenever the client takes more;
        after each step, whether any had come. Raises as :meth:`messages` and Reply.send."""
        while True:
            lines = b"\n".join([*self.passed, *self._came, b""])
            self.passed.clear()
            self._came.clear()
            if lines:
                write(form(lines))
                yield True
                continue  # something may have been asked meanwhile
            if time.monotonic() >= deadline:
                return
            self._reply.wait_for_room()
            self._look()
            with self._outbox.turn(_TURNS, min(deadline, self._look_at)) as granted:
                lines = self._outbox.take() if granted else b""
                if lines:
                    write(form(lines))
            # Nothing more comes; of a long message that has come in part, the rest is pending.
            if not lines and self._outbox.closed and not self._outbox.pending:
                raise GoneError("the connection has ended")
            yield granted

    def _come(self, deadline: float) -> Iterator[bytes]:
        while True:
            while self._came:
                yield self._came.popleft()
            if time.monotonic() >= deadline:
                return
            self._look()
            if self._outbox.wait(min(deadline, self._look_at)):
                self._came.extend(self._outbox.take().split(b"\n")[:-1])
            elif self._outbox.closed:
                raise GoneError("the connection has ended")
            else:
                yield b""

    def _look(self) -> None:
        """From time to time, also while much comes, look for whether there is still anybody to read it."""
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + _LOOK_S
            if self._reply.is_gone():
                raise GoneError("the client has gone")
