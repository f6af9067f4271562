"""Just enough HTTP/1.1 in front of the WebSocket: one request per connection, bounded in size and time.

h11 parses; this reads from a :class:`~overseer.net.bytestream.ByteStream` under one deadline, picks the route
and writes the response, which says ``Connection: close``.
"""

from __future__ import annotations

import base64
import binascii
import logging
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import unquote, urlsplit

import h11

from overseer.auth.peer import Peer
from overseer.net.bytestream import ByteStream, wait_for_room
from overseer.net.chunks import Buffer
from overseer.util.awake_clock import AwakeTime, awake

_log = logging.getLogger(__name__)

ENDPOINT = "/ws"
"""The path of the WebSocket."""
HEALTH = "/healthz"
HOOKS = "/hooks/"
"""What the path of each hook begins with."""
BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
)
"""The whole response to who is not served now, ready as there may be no thread to write it."""

_MAX_HEAD = 16 * 1024  # bytes of request line and headers
_RECEIVE = 8192
_METHODS = ("GET", "HEAD")
_FIRST_LINE = 1024  # bytes read of a stranger's request
_HEALTH_PATHS = (HEALTH, ENDPOINT)
# Answered to anybody, unless it turns out to be an upgrade: the answer reveals nothing.
_HEALTH_CHECK = re.compile(
    rf"(?:{'|'.join(_METHODS)}) (?:{'|'.join(_HEALTH_PATHS)})(?:\?[^ ]*)? HTTP/1\.[01]\r?\n".encode()
)
# Answered to anybody where there are hooks: its body will prove who has sent it.
_HOOK = re.compile(rf"POST {HOOKS}[^ ]+ HTTP/1\.[01]\r?\n".encode())


class Body:
    """The body of a request, which has not been read yet."""

    def __init__(self, parser: h11.Connection, stream: ByteStream) -> None:
        self._parser = parser
        self._stream = stream

    def read(self, limit: int, deadline: AwakeTime) -> bytes:
        """All of it, of at most ``limit`` bytes. To be called once.

        Raises:
            BadRequest: it is too long (413), too slow (408), or malformed or incomplete (400).
            OSError: the connection broke.
        """
        parts: list[bytes] = []
        size = 0
        while True:
            try:
                event = self._parser.next_event()
                if event is h11.NEED_DATA:
                    if self._parser.they_are_waiting_for_100_continue:
                        go_on = h11.InformationalResponse(status_code=100, headers=[])
                        self._stream.send_all(self._parser.send(go_on) or b"", deadline)
                    self._parser.receive_data(self._stream.receive(_RECEIVE, deadline))
                    continue
            except h11.RemoteProtocolError as error:
                raise BadRequest(error_response(400, f"bad request: {_said(error)}")) from None
            except TimeoutError:
                raise BadRequest(error_response(408, "the request took too long")) from None
            if not isinstance(event, h11.Data):
                return b"".join(parts)
            size += len(event.data)
            if size > limit:
                raise BadRequest(error_response(413, f"the body is longer than {limit} bytes"))
            parts.append(bytes(event.data))


@dataclass(frozen=True)
class Request:
    """A request.

    ``path`` is decoded and without the query, ``headers`` has names in lower case, repeated ones joined
    with commas, ``rest`` is what the client sent after the head (its first frames, if it did not wait).
    ``target`` is the path as it was sent. Who takes a ``body`` reads it before anything is answered.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    peer: Peer
    rest: bytes = b""
    target: str = ""
    body: Body | None = field(default=None, compare=False)

    @property
    def is_upgrade(self) -> bool:
        """Whether it asks for a WebSocket, correctly or not."""
        return self.method == "GET" and "websocket" in map(str.lower, self.listed("upgrade"))

    @property
    def is_health_check(self) -> bool:
        """Whether anybody may send it, as the answer reveals nothing."""
        known = self.path in _HEALTH_PATHS and self.method in _METHODS
        return known and not (self.path == ENDPOINT and self.is_upgrade)

    def listed(self, header: str) -> list[str]:
        """The items of a header that is a list; none where it is absent."""
        return [item.strip() for item in self.headers.get(header, "").split(",") if item]


@dataclass(frozen=True)
class Response:
    """A response; ``headers`` are in addition to length, type, date and connection."""

    status: int
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: Iterable[tuple[str, str]] = field(default=())


Route = Callable[[Request], Response]


class BadRequest(Exception):
    """The request is malformed, or not to be read any further; carries the response."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.body.decode().strip())
        self.response = response


def error_response(status: int, text: str, *headers: tuple[str, str]) -> Response:
    """A response of one plain line."""
    return Response(status, f"{text}\n".encode(), headers=headers)


def begin_request(stream: ByteStream, deadline: AwakeTime, *, hooks: bool = False) -> bytes | None:
    """Read just enough of a stranger's request to tell whether it is a health check or, where there are
    ``hooks``, may be for one of them; None: it is not.

    Raises:
        OSError: the connection broke, or ``deadline`` has come (TimeoutError).
    """
    begun = b""
    while b"\n" not in begun and len(begun) < _FIRST_LINE:
        data = stream.receive(_FIRST_LINE - len(begun), deadline)
        if not data:
            break
        begun += data
    return begun if _HEALTH_CHECK.match(begun) or (hooks and _HOOK.match(begun)) else None


def read_request(stream: ByteStream, peer: Peer, deadline: AwakeTime, begun: bytes = b"") -> Request | None:
    """Read a request's head; None when the peer went away without sending anything.

    Args:
        begun: the part that has been read already.
        deadline: by which it must be complete.

    Raises:
        BadRequest: too slow (408), too large (431), of another version (505), or not HTTP (400).
        OSError: the connection broke.
    """
    parser = h11.Connection(h11.SERVER, max_incomplete_event_size=_MAX_HEAD)
    if begun:
        parser.receive_data(begun)
    while True:
        try:
            event = parser.next_event()
        except h11.RemoteProtocolError as error:
            status = error.error_status_hint or 400
            raise BadRequest(error_response(status, f"bad request: {_said(error)}")) from None
        if isinstance(event, h11.Request):
            return _request(event, peer, parser.trailing_data[0], Body(parser, stream))
        if isinstance(event, h11.ConnectionClosed):  # of part of a request h11 has complained above
            return None
        try:
            data = stream.receive(_RECEIVE, deadline)
        except TimeoutError:
            raise BadRequest(error_response(408, "the request took too long")) from None
        try:
            parser.receive_data(data)
        except h11.RemoteProtocolError as error:
            raise BadRequest(error_response(400, f"bad request: {_said(error)}")) from None


def route(request: Request, routes: Mapping[str, Route]) -> Response:
    """The response of the request's route: 404 for an unknown path, 405 for an unknown method.

    A path alone is the route of GET and HEAD; other methods stand in front of it (``POST /path``). HEAD gets
    200 for any path, as old health checks expect. OPTIONS lists the methods, without any CORS header.
    """
    if request.method == "OPTIONS":
        return Response(204, headers=(("Allow", _allowed(request.path, routes)),))
    if request.method in _METHODS:
        # Only paths: `GET POST%20/session` must not find another method's route.
        answer = routes.get(request.path) if request.path.startswith("/") else None
    else:
        answer = routes.get(f"{request.method} {request.path}")
        if answer is None:
            allowed = _allowed(request.path, routes)
            return error_response(405, f"the method must be one of: {allowed}", ("Allow", allowed))
    if answer is None:
        return Response(200) if request.method == "HEAD" else error_response(404, "not found")
    try:
        return answer(request)
    except Exception:
        _log.exception("answering %s %s failed", request.method, request.path)
        return error_response(500, "internal error")


def _allowed(path: str, routes: Mapping[str, Route]) -> str:
    own = [name.partition(" ")[0] for name in routes if name.endswith(f" {path}")]
    # GET is answered for unknown paths as well, with 404.
    return ", ".join([*(_METHODS if path in routes or not own else ()), *own, "OPTIONS"])


def check_upgrade(request: Request) -> Response | None:
    """The response to a malformed WebSocket upgrade; None when it is well-formed."""
    if "upgrade" not in map(str.lower, request.listed("connection")):
        return error_response(400, "bad WebSocket handshake: Connection: Upgrade is missing")
    version = request.headers.get("sec-websocket-version", "").strip()
    if version != "13":
        return error_response(426, "only WebSocket version 13 is known", ("Sec-WebSocket-Version", "13"))
    key = request.headers.get("sec-websocket-key", "").strip()
    try:
        valid = len(base64.b64decode(key, validate=True)) == 16
    except (binascii.Error, ValueError):
        valid = False
    if not valid:
        return error_response(400, "bad WebSocket handshake: Sec-WebSocket-Key is not 16 bytes")
    return None


_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _http_date() -> str:
    """Now, as HTTP writes it. For ``email.utils`` the whole package ``email`` would be loaded."""
    at = time.gmtime()
    clock = f"{at.tm_hour:02}:{at.tm_min:02}:{at.tm_sec:02}"
    return f"{_DAYS[at.tm_wday]}, {at.tm_mday:02} {_MONTHS[at.tm_mon - 1]} {at.tm_year} {clock} GMT"


class Reply:
    """The response to one request, sent whole or piece by piece.

    Args:
        timeout: how long the peer may take for each piece, in seconds.
        linger: how long it is waited for to close, once all was sent.
        head_only: whether the body stays unsent (HEAD).
    """

    def __init__(self, stream: ByteStream, *, timeout: float, linger: float, head_only: bool = False) -> None:
        self._stream = stream
        self._timeout = timeout
        self._linger = linger
        self._head_only = head_only
        self.begun = False
        self._unsent: Buffer = b""  # what offer has left

    def send(self, response: Response) -> None:
        """Send a whole response.

        Raises:
            OSError: the connection broke, or time ran out.
        """
        # On a 304 it would be the length of the client's copy, and a 204 must have none.
        length = () if response.status in (204, 304) else (("Content-Length", str(len(response.body))),)
        head = self._head(response, length)
        self._send(head if self._head_only else head + response.body)
        self._finish()

    def begin(self, response: Response) -> None:
        """Send the head of a response whose body follows by :meth:`write`. Raises as :meth:`send`."""
        self._send(self._head(response, (("Transfer-Encoding", "chunked"),)))

    def write(self, data: bytes) -> None:
        """Send some of the body. Raises as :meth:`send`."""
        if data and not self._head_only:
            self._send(b"%x\r\n%b\r\n" % (len(data), data))

    def end(self) -> None:
        """The body is complete. Raises as :meth:`send`."""
        if not self._head_only:
            self._send(b"0\r\n\r\n")
        self._finish()

    def offer(self, data: bytes) -> None:
        """Send some of the body without waiting, after a :meth:`wait_for_room`; what the peer does not take
        leaves before whatever is sent next. Raises as :meth:`send`."""
        assert not self._unsent
        if data and not self._head_only:
            chunk = b"%x\r\n%b\r\n" % (len(data), data)
            self._unsent = memoryview(chunk)[self._stream.send([chunk]) :]

    def wait_for_room(self) -> None:
        """Wait until the peer can be sent more. Raises as :meth:`send`."""
        self._send(b"")
        wait_for_room(self._stream, awake.after(self._timeout))

    def is_gone(self) -> bool:
        """Whether the peer has closed the connection: reads and drops some of what it has sent, without
        waiting."""
        try:
            return not self._stream.receive(_RECEIVE, awake())
        except TimeoutError:
            return False
        except OSError:
            return True

    def _head(self, response: Response, length: Iterable[tuple[str, str]]) -> bytes:
        own = tuple(response.headers)
        headers = [
            ("Date", _http_date()),
            ("Content-Type", response.content_type),
            *length,
            ("X-Content-Type-Options", "nosniff"),
            *(() if any(name == "Cache-Control" for name, _ in own) else (("Cache-Control", "no-cache"),)),
            ("Connection", "close"),
            *own,
        ]
        status = f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}"
        lines = [status, *(f"{name}: {value}" for name, value in headers), "", ""]
        return "\r\n".join(lines).encode("latin-1")

    def _send(self, data: bytes) -> None:
        self.begun = True
        if self._unsent:
            data, self._unsent = b"".join([self._unsent, data]), b""
        self._stream.send_all(data, awake.after(self._timeout))

    def _finish(self) -> None:
        self._stream.finish()
        deadline = awake.after(self._linger)
        # Closing with bytes unread would reset the connection, and the peer might lose the response.
        while self._stream.receive(_RECEIVE, deadline):
            pass


def _request(event: h11.Request, peer: Peer, rest: bytes, body: Body) -> Request:
    if not event.http_version.startswith(b"1."):
        raise BadRequest(error_response(505, "only HTTP/1.1 is spoken here"))
    headers: dict[str, str] = {}
    for raw_name, raw_value in event.headers:
        name, value = raw_name.decode("ascii"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    target = event.target.decode("ascii")
    if not target.startswith("/"):  # an absolute URL, as proxies send it
        try:
            parts = urlsplit(target)
        except ValueError:
            raise BadRequest(error_response(400, "bad request: no such path")) from None
        target = f"{parts.path or '/'}?{parts.query}"
    path, _, query = target.partition("?")
    if "content-length" in headers and "transfer-encoding" in headers:
        raise BadRequest(error_response(400, "bad request: Content-Length with Transfer-Encoding"))
    return Request(
        method=event.method.decode("ascii"),
        path=_below(unquote(path), headers),
        query=query,
        headers=headers,
        peer=peer,
        rest=rest,
        target=_below(path, headers),
        body=body,
    )


def _below(path: str, headers: Mapping[str, str]) -> str:
    """The path without the prefix that a proxy serves us under, if it names one and has left it there."""
    prefix = headers.get("x-forwarded-prefix", "").strip().rstrip("/")
    return path.removeprefix(prefix) if prefix and path.startswith(f"{prefix}/") else path


def _said(error: h11.RemoteProtocolError) -> str:
    """What is wrong, without the header concerned, which might be a secret."""
    return str(error).partition(":")[0]
