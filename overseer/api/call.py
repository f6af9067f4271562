"""One request to the API, read: its parameters, its body, and what answers it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from overseer import protocol
from overseer.api.exchange import Exchange
from overseer.api.media import JSON
from overseer.api.problems import refused
from overseer.config import LimitsConfig
from overseer.net.encoding import json_body
from overseer.net.http import Reply, Request, Response
from overseer.protocol.codec import load_strictly
from overseer.schema.fields import Declared, Field, fields_of
from overseer.util.awake_clock import awake

_LONGEST_WAIT = 3600.0  # seconds
_MOST = 10**9  # seconds or lines that a parameter may say
_YES = ("", "true", "1", "yes")
_NO = ("false", "0", "no")
OWN = {
    "wait": "Seconds to wait for the end; the answer then has it",
    "lines": "How many lines of output that answer has at most",
    "follow": "Go on with what is written from now on, until the task is over",
    "tail": "Only the last so many lines",
    "stream": "Only stdout, or stderr",
}
"""Query parameters that the API adds to the fields of messages."""


@dataclass(frozen=True, slots=True)
class Operation:
    """Something that a client can do.

    Attributes:
        name: what generated clients call it.
        path: below ``/api/v1``, with ``{name}`` for what may stand there.
        request: the message that it becomes, whose fields are its parameters; None: it has none.
        answer: answers it: returns the response, or None when it has sent one.
        status: of that response, usually.
        shows: what it answers with, where that is neither a task nor output.
        own: names of :data:`OWN` that it takes.
        media: the types of its answers, the first being the usual one.
        idempotent: whether it takes an Idempotency-Key.
    """

    name: str
    method: str
    path: str
    request: type[protocol.Request]
    summary: str
    answer: Callable[[Call], Response | None]
    status: int = 200
    shows: tuple[type[Declared], ...] = ()
    own: tuple[str, ...] = ()
    media: tuple[str, ...] = (JSON,)
    idempotent: bool = False
    only: tuple[str, ...] | None = None  # of its message's fields; None: all

    @property
    def fields(self) -> tuple[Field, ...]:
        """The fields of its message that a client gives in query or body."""
        return tuple(
            each
            for each in fields_of(self.request)
            if each.name not in _NOT_GIVEN
            and f"{{{each.name}}}" not in self.path
            and (self.only is None or each.name in self.only)
        )

    @property
    def takes_body(self) -> bool:
        return self.method in ("POST", "PUT")


# What says how messages are to be sent, which a client of the API says otherwise.
_NOT_GIVEN = {"id", "on_lag", "partial", "raw", "usage"}


class Call:
    """A request to an operation.

    Attributes:
        given: fields of the message: from path, query and body.
        own: the API's own parameters, as they were given.
    """

    def __init__(
        self,
        operation: Operation,
        request: Request,
        exchange: Exchange,
        reply: Reply,
        path: Mapping[str, str],
        *,
        limits: LimitsConfig,
    ) -> None:
        """Raises RefusedError when query or body are not as they should be."""
        self.operation = operation
        self.request = request
        self.exchange = exchange
        self.reply = reply
        self.path = path
        query = dict(parse_qsl(request.query, keep_blank_values=True))
        self.own = {name: query.pop(name) for name in operation.own if name in query}
        if request.method == "HEAD":
            self.own.pop("follow", None)  # there is nothing to send for as long as the task runs
        known = {each.name: each for each in operation.fields}
        self.given: dict[str, Any] = {}
        for name, text in query.items():
            if name not in known or operation.takes_body:
                expected = ", ".join([*(() if operation.takes_body else known), *operation.own]) or "none"
                raise refused(422, f"unknown parameter {name}; known here: {expected}", param=name)
            self.given[name] = _value(known[name], text)
        if operation.takes_body:
            self.given |= self._body(known, limits)
        self.given |= {name: value for name, value in path.items() if name in _names(operation.request)}

    def _body(self, known: Mapping[str, Field], limits: LimitsConfig) -> dict[str, Any]:
        assert self.request.body is not None
        data = self.request.body.read(limits.max_message, awake.after(limits.handshake_timeout))
        if not data:
            return {}
        # A page of another origin can send forms and plain text without being asked for leave.
        if self.request.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
            raise refused(415, f"a body must be {JSON} (curl --json)")
        try:
            body = load_strictly(data)
        except RecursionError:
            raise refused(400, "the body is nested too deeply") from None
        except ValueError as error:
            raise refused(400, f"the body is not JSON: {error}") from None
        if not isinstance(body, dict):
            raise refused(400, "the body must be an object")
        for name in body:
            if name not in known:
                raise refused(
                    422, f"unknown field {name}; known here: {', '.join(known) or 'none'}", param=name
                )
        return body

    @property
    def wait_until(self) -> float:
        """Until when to wait for an end (monotonic); 0: not at all."""
        wait = self.number("wait", 0.0)
        return time.monotonic() + min(wait, _LONGEST_WAIT) if wait > 0 else 0.0

    def number(self, name: str, default: float) -> float:
        """One of the operation's own parameters."""
        try:
            given = float(self.own.get(name) or default)
        except ValueError:
            given = math.nan
        if not 0 <= given <= _MOST:
            raise refused(
                422, f"{name} must be a number from 0 to {_MOST}, not {self.own[name]!r}", param=name
            )
        return given

    def count(self, name: str, default: int) -> int:
        """The same, of what can be counted."""
        return int(self.number(name, default))

    def flag(self, name: str) -> bool:
        """A flag among the operation's own parameters, which may stand without a value."""
        value = self.own.get(name, "false").lower()
        if value in _YES:
            return True
        if value not in _NO:
            raise refused(422, f"{name} must be true or false", code="invalid", param=name)
        return False

    def ask(self, **more: object) -> dict[str, Any]:
        """Send the operation's message; the answer, without what tells it from others."""
        return bare(self.exchange.ask(self.operation.request.type, **{**self.given, **more}))


def simply(call: Call) -> Response:
    """Answer with what the server answers."""
    return json_answer(call.ask(), call.operation.status)


def bare(answer: Mapping[str, Any]) -> dict[str, Any]:
    """An answer, without what tells it from other messages."""
    return {name: value for name, value in answer.items() if name not in ("type", "id")}


def first(rows: Sequence[dict[str, Any]], missing: str) -> dict[str, Any]:
    """The first of the rows; ``missing`` is what to say when there is none. Raises RefusedError."""
    if not rows:
        raise refused(404, missing, code="not_found")
    return rows[0]


def json_answer(document: Any, status: int = 200, *headers: tuple[str, str]) -> Response:
    return Response(status, json_body(document), JSON, headers)


def _names(request: type[protocol.Request]) -> set[str]:
    return {each.name for each in fields_of(request)}


def _value(spec: Field, text: str) -> Any:
    """A text of the query as the message has it; the server says what is wrong with it."""
    kind = spec.type.json_schema().get("type")
    if kind == "integer":
        return int(text) if text.removeprefix("-").isdecimal() and len(text) < 20 else text
    if kind == "boolean":
        return {"true": True, "1": True, "": True, "false": False, "0": False}.get(text.lower(), text)
    return text
