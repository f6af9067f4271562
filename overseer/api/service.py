"""The service below ``/api/v1``: finds what is asked for, and answers."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

from overseer.api.call import Call, Operation, json_answer
from overseer.api.exchange import Exchange, GoneError
from overseer.api.problems import RefusedError, of_response, problem, refused
from overseer.api.routes import OPERATIONS
from overseer.auth.rights import Principal
from overseer.auth.throttle import RequestRates
from overseer.config import LimitsConfig
from overseer.errors import CLOSING
from overseer.net.endpoint import Service
from overseer.net.handler import Handler
from overseer.net.http import BadRequest, Reply, Request, Response
from overseer.net.readable_outbox import ReadableOutbox

_log = logging.getLogger(__name__)

PREFIX = "/api/v1"
_SAFE = ("GET", "HEAD")


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path) + r"\Z")


_ROUTES = [(_pattern(each.path), each) for each in OPERATIONS]


class Api(Service):
    """Serves all of it.

    Args:
        limits: on bodies, and on how often a client may ask.
        describe: makes the document that describes it, for a principal.
    """

    def __init__(
        self, limits: Callable[[], LimitsConfig], describe: Callable[[Principal], Mapping[str, Any]]
    ) -> None:
        self._limits = limits
        self._describe = describe
        self._rates = RequestRates()

    def serve(self, request: Request, handler: Handler, outbox: ReadableOutbox, reply: Reply) -> None:
        try:
            response = self._answer(request, Exchange(handler, outbox, reply), reply)
        except RefusedError as error:
            response = error.response
        except GoneError:
            if reply.begun:
                raise
            response = problem(503, CLOSING, ("Retry-After", "1"), code="unavailable")
        except (OSError, BadRequest):
            raise
        except Exception:  # a bug, which costs this request alone
            if reply.begun:
                raise
            _log.exception("answering %s %s failed", request.method, request.path)
            response = problem(500, "internal error; see the server's log")
        if response is not None and not reply.begun:
            reply.send(response)

    def refusal(self, response: Response) -> Response:
        return of_response(response)

    def _answer(self, request: Request, exchange: Exchange, reply: Reply) -> Response | None:
        limits = self._limits()
        if not self._rates.allows(request.peer, limits.requests_per_second):
            limit = f"{limits.requests_per_second} a second is the limit (limits.requests_per_second)"
            raise refused(429, f"too many requests: {limit}", ("Retry-After", "1"), code="too_many")
        path = request.target.removeprefix(PREFIX)
        if path == "/openapi.json" and request.method in _SAFE:
            return json_answer(self._describe(request.peer.principal))
        operation, names = _find(request.method, path)
        # A cookie comes along with whatever a browser sends, which then says where it comes from.
        if (
            request.peer.sign_in is not None
            and request.method not in _SAFE
            and "origin" not in request.headers
        ):
            raise refused(403, "a signed-in page's request must have an Origin", code="not_permitted")
        call = Call(operation, request, exchange, reply, names, limits=limits)
        return operation.answer(call)


def _find(method: str, path: str) -> tuple[Operation, Mapping[str, str]]:
    """The operation, and what stands in its path.

    Raises:
        RefusedError: there is none, or not by this method.
    """
    allowed = []
    for pattern, operation in _ROUTES:
        match = pattern.match(path)
        if match is None:
            continue
        if operation.method == ("GET" if method == "HEAD" else method):
            try:
                return operation, {
                    name: unquote(part, errors="strict") for name, part in match.groupdict().items()
                }
            except UnicodeDecodeError:
                raise refused(400, "the path is not UTF-8") from None
        allowed.append(operation.method)
    if allowed:
        methods = ", ".join(dict.fromkeys([*allowed, *(["HEAD"] if "GET" in allowed else [])]))
        raise refused(405, f"the method must be one of: {methods}", ("Allow", methods))
    raise refused(404, f"there is nothing at {PREFIX}{path}; see {PREFIX}/openapi.json", code="not_found")
