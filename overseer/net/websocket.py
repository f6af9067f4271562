"""One WebSocket: simple-websocket's server, made to run on one thread and to send through the outbox.

By itself, simple-websocket reads on its own thread into an unbounded list, writes from any thread, and hangs
on a frame that announces more than ever comes. Through its documented hooks it is given

- a socket (``werkzeug.socket``), a :class:`_Pipe`, which sends into the outbox, scans what it receives, and
  reads only while the client reads its replies;
- a ``thread_class`` that starts nothing: the connection's own thread runs the loop;
- an ``event_class`` whose ``set()``, called for each complete message, delivers the message at once.

The hub's messages bypass it: they are framed by :mod:`overseer.net.frames`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

from overseer.auth.peer import Peer
from overseer.net.bytestream import ByteStream
from overseer.net.frame_limit import FrameScanner
from overseer.net.frames import split_frames
from overseer.net.http import Request
from overseer.net.keepalive import Keepalive
from overseer.net.outbox import Outbox
from overseer.util.frame_header import CLOSE
from overseer.util.hashes import load_without_openssl
from overseer.util.standstill import standstill


def _without_asyncio() -> Any:
    """simple-websocket without its half for asyncio, which would take 1.5 MB and 20 ms.

    That half can still be imported from ``simple_websocket.aiows``.
    """
    stand_in: Any = ModuleType("simple_websocket.aiows")
    stand_in.AioServer = stand_in.AioClient = None
    half = sys.modules.setdefault(stand_in.__name__, stand_in)
    try:
        return load_without_openssl("simple_websocket")
    finally:
        if half is stand_in:
            del sys.modules[stand_in.__name__]


simple_websocket = _without_asyncio()

PROTOCOL = "overseer.v1"
"""The only subprotocol; also spoken when a client asks for none."""

_NEEDED = ("sec-websocket-key", "sec-websocket-version", "sec-websocket-protocol")
_RECEIVE = 16 * 1024  # bytes asked for at once
_GOING_ON = {"upgrade": "websocket", "connection": "Upgrade", "host": "localhost"}


_ACCEPTED = Request(
    "GET",
    "/ws",
    "",
    {"sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==", "sec-websocket-version": "13"},
    Peer("server", ""),
)
"""Of a connection that is a WebSocket already."""


class Received:
    """The bytes received of a WebSocket that have not been handled: a message's beginning, while the thread
    rests.

    Attributes:
        over: nothing more is handled.
    """

    def __init__(self, data: bytes = b"") -> None:
        self.first = data
        self.data = bytearray()
        self._before = 0  # how many bytes have been dropped
        self.over = False

    def handled(self, border: int) -> None:
        """So many of all bytes have been."""
        if border > self._before:
            del self.data[: border - self._before]
            self._before = border

    def unhandled(self) -> bytes:
        """All of them; at a standstill."""
        return bytes(self.data) + self.first


def opening(request: Request) -> Request:
    """The part of a checked upgrade that :func:`run_websocket` needs: its thread keeps it for as long as it
    is connected."""
    headers = {name: request.headers[name] for name in _NEEDED if name in request.headers}
    return replace(request, headers=headers, body=None)


def run_websocket(
    request: Request | None,
    stream: ByteStream,
    outbox: Outbox,
    *,
    max_message: int,
    keepalive: Keepalive,
    received: Received,
    opened: Callable[[], Callable[[str | bytes], None]],
) -> None:
    """Answer a checked upgrade and take messages until either side closes the connection.

    Args:
        request: None: the connection is a WebSocket already.
        max_message: bytes of all fragments together; a longer message closes the connection with 1009.
        received: what came with the request, or before this program; has what has not been handled.
        opened: called when the response is in the outbox; returns what to call with each message.
    """
    pipe = _Pipe(received, stream, outbox, max_message, keepalive)
    inbox = _Inbox(outbox)
    loop = _Loop()
    with standstill:
        pipe.answers = request is not None
        inbox.server = _accept(request or _ACCEPTED, pipe, inbox, loop)
        pipe.answers = pipe.framed = True
        inbox.handle = opened()
        loop.run()
        # Where the loop ended without a close frame, the connection broke.
        outbox.close_with(1006, b"")
        received.over = True


def _accept(request: Request, pipe: _Pipe, inbox: _Inbox, loop: _Loop) -> Any:
    """Send the response; returns the server's side of the WebSocket.

    Apart from its caller, so that what is only needed here does not stay for as long as the connection.
    """
    # Only what is needed, so that no extension (compression) is ever negotiated; the values were checked.
    headers = {name: request.headers[name] for name in ("sec-websocket-key", "sec-websocket-version")}
    if PROTOCOL in request.listed("sec-websocket-protocol"):
        headers["sec-websocket-protocol"] = PROTOCOL
    environ: dict[str, Any] = {"werkzeug.socket": pipe}
    for name, value in {**headers, **_GOING_ON}.items():
        environ["HTTP_" + name.upper().replace("-", "_")] = value
    server = simple_websocket.Server.accept(
        environ,
        subprotocols=[PROTOCOL],
        receive_bytes=_RECEIVE,
        thread_class=loop.prepare,
        event_class=lambda: inbox,
    )
    # What only the handshake needed takes 4 kB.
    server.ws = server.ws.connection
    server.environ = {}
    return server


class _Loop:
    """Stands in for a thread, whose target the connection's own thread runs later."""

    def __init__(self) -> None:
        self.name = "websocket"  # simple-websocket edits its thread's name
        self._target: Callable[[], None] | None = None

    def prepare(self, target: Callable[[], None]) -> _Loop:
        self._target = target
        return self

    def start(self) -> None:
        """Too early: the hub does not know the connection yet."""

    def run(self) -> None:
        assert self._target is not None
        self._target()


class _Inbox:
    """Stands in for an event, and reads the message itself instead of waking a reader."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self.server: Any = None
        self.handle: Callable[[str | bytes], None] = lambda data: None

    def set(self) -> None:
        """A message is complete, or the connection has ended."""
        while self.server is not None:
            is_open = self._outbox.wait_until_bounded()
            try:
                message = self.server.receive(timeout=0)
            except simple_websocket.ConnectionClosed:
                return
            if message is None:
                return
            if is_open:
                self.handle(message)

    def wait(self, timeout: float | None = None) -> bool:
        """Called by ``receive`` when it has nothing: nothing will come before the next ``set``."""
        return False

    def clear(self) -> None:
        """There is no state."""


class _Pipe:
    """Stands in for a socket."""

    def __init__(
        self, received: Received, stream: ByteStream, outbox: Outbox, max_message: int, keepalive: Keepalive
    ) -> None:
        self._received = received
        self._stream = stream
        self._outbox = outbox
        self._scanner = FrameScanner(max_message)
        self._max_message = max_message
        self._too_long = False
        self._keepalive = keepalive
        self.framed = False  # the handshake is over, what is sent are frames
        self.answers = True  # what is sent goes out

    def recv(self, size: int) -> bytes:
        self._received.handled(self._scanner.border)
        if self._too_long:  # the messages before it have been handled
            self._outbox.close(1009, f"a message may be {self._max_message} bytes long")
        is_open = self._outbox.wait_until_bounded()
        data, self._received.first = self._received.first, b""
        if is_open and not data:
            data = self._receive(size)
        if self._outbox.closed:  # ends the loop
            return b""
        self._received.data += data
        good = self._scanner.scan(data)
        if good < len(data):
            self._too_long = True
            data = data[:good]
            if not data:
                return self.recv(size)
        return data

    def _receive(self, size: int) -> bytes:
        if not self._stream.portable:
            with standstill.rest(), self._keepalive:
                return self._stream.receive(size)
        # What is received is handled before the thread rests again.
        with standstill.rest(), self._keepalive:
            self._stream.wait()
        return self._stream.receive(size)

    def send(self, data: bytes) -> int:
        if not self.answers:
            return len(data)
        if not self.framed:
            self._outbox.append_frame(bytes(data))
        else:
            for opcode, frame in split_frames(bytes(data)):
                if opcode == CLOSE:
                    self._outbox.close_with(int.from_bytes(frame[2:4], "big") or 1005, frame)
                else:
                    self._outbox.append_frame(frame)
        self._outbox.flush()
        return len(data)

    def close(self) -> None:
        """The connection closes its own stream."""

    def fileno(self) -> int:
        return self._stream.fileno()
