"""Receives a WebSocket's messages: simple-websocket's server, run on one thread, and sending by the outbox.

By itself, simple-websocket reads on its own thread into an unbounded list, writes from any thread, and hangs
on a frame that announces more than ever comes. Here its hooks are given

- for a socket (``werkzeug.socket``), a :class:`_Socket`, which sends into the outbox, scans what it receives,
  and reads only while the client reads its replies;
- for a ``thread_class`` and an ``event_class``, the server itself: see :class:`Receiver`.

The hub's messages bypass it: they are framed by :mod:`overseer.net.frames`.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

from overseer.auth.peer import Peer
from overseer.net.bytestream import ByteStream
from overseer.net.frame_limit import FrameScanner
from overseer.net.frames import only_pongs, split_frames
from overseer.net.http import ENDPOINT, Request
from overseer.net.keepalive import Keepalive
from overseer.net.outbox import Outbox
from overseer.util.hashes import load_without_openssl
from overseer.util.standstill import standstill
from overseer.util.websocket_frame import CLOSE, CloseCode


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
_EVERY_UPGRADE = {"upgrade": "websocket", "connection": "Upgrade", "host": "localhost"}
_ACCEPTED = Request(
    "GET",
    ENDPOINT,
    "",
    {"sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==", "sec-websocket-version": "13"},
    Peer("server", ""),
)
"""Of a connection that is a WebSocket already."""


class Received:
    """The bytes received of a WebSocket that have not been handled.

    Args:
        first: what came with the request, or before this program.

    Attributes:
        first: the same, until it is parsed.
        data: has been parsed: a message's beginning, while its thread rests.
    """

    __slots__ = ("_before", "data", "first")

    def __init__(self, first: bytes) -> None:
        self.first = first
        self.data = bytearray()
        self._before = 0  # how many bytes have been dropped

    def handled(self, border: int) -> None:
        """So many of all bytes have been."""
        if border > self._before:
            del self.data[: border - self._before]
            self._before = border

    def unhandled(self) -> bytes:
        """All of them; at a standstill."""
        return bytes(self.data) + self.first

    def rewind(self) -> None:
        """Another receiver is to parse them."""
        self.first = self.unhandled()
        self.data.clear()
        self._before = 0


def opening(request: Request) -> Request:
    """The part of a checked upgrade that a :class:`Receiver` needs: its thread keeps it."""
    headers = {name: request.headers[name] for name in _NEEDED if name in request.headers}
    return replace(request, headers=headers, body=None)


class Receiver(simple_websocket.Server):  # type: ignore[misc, name-defined]
    """The server's side of one WebSocket, which answers a checked upgrade when it is made.

    It is its own thread and event. As a thread it starts nothing: the connection's thread calls :meth:`run`.
    As an event, which is set for each complete message, it handles that message at once.

    Args:
        request: None: the connection is a WebSocket already.
        max_message: bytes of all fragments together; a longer message closes the connection with 1009.
        received: has what has not been handled.
        patience: for how many seconds it waits for a message; 0: it takes what is there, once.
    """

    name = "websocket"  # of a thread, which simple-websocket edits
    ws: Any
    environ: Any

    def __init__(
        self,
        request: Request | None,
        stream: ByteStream,
        outbox: Outbox,
        *,
        max_message: int,
        keepalive: Keepalive,
        received: Received,
        patience: float,
    ) -> None:
        self._outbox = outbox
        self._received = received
        self._handle: Callable[[str | bytes], None] | None = None
        pipe = _Socket(received, stream, outbox, max_message, keepalive, patience, opened=request is None)
        self._pipe = pipe
        super().__init__(
            _environ(request or _ACCEPTED, pipe),
            subprotocols=[PROTOCOL],
            receive_bytes=_RECEIVE,
            thread_class=self._as_thread,
            event_class=lambda: self,
        )
        pipe.framed = True
        # What only the handshake needed takes 4 kB.
        self.ws = self.ws.connection
        self.environ = {}

    def _as_thread(self, target: Callable[[], None]) -> Receiver:
        self._loop = target
        return self

    def start(self) -> None:
        """Too early: the hub does not know the connection yet."""

    def run(self, handle: Callable[[str | bytes], None]) -> bool:
        """Call ``handle`` with each message until either side closes the connection, or the client has been
        silent for too long; whether it was that: another receiver can go on."""
        self._handle = handle
        self._loop()
        if self._pipe.idle:
            self._received.rewind()
            return True
        # Where the loop ended without a close frame, the connection broke.
        self._outbox.close_with(CloseCode.ABNORMAL, b"")
        return False

    def set(self) -> None:
        """A message is complete, or the connection has ended, or is idle."""
        while self._handle is not None and not self._pipe.idle:
            is_open = self._outbox.wait_until_bounded()
            try:
                message = self.receive(timeout=0)
            except simple_websocket.ConnectionClosed:
                return
            if message is None:
                return
            if is_open:
                self._handle(message)

    def wait(self, timeout: float | None = None) -> bool:
        """Called by ``receive`` when it has nothing: nothing will come before the next ``set``."""
        return False

    def clear(self) -> None:
        """Nothing is kept."""


def _environ(request: Request, pipe: _Socket) -> dict[str, Any]:
    """The upgrade as WSGI has it, with only what is needed, so that no extension (compression) is ever
    negotiated; the values were checked."""
    headers = {name: request.headers[name] for name in ("sec-websocket-key", "sec-websocket-version")}
    if PROTOCOL in request.listed("sec-websocket-protocol"):
        headers["sec-websocket-protocol"] = PROTOCOL
    headers |= _EVERY_UPGRADE
    words = {"HTTP_" + name.upper().replace("-", "_"): value for name, value in headers.items()}
    return {"werkzeug.socket": pipe, **words}


class _Socket:
    """Stands in for a socket.

    Attributes:
        framed: the handshake is over: what is sent are frames.
        idle: the client has been silent for too long, which ended the loop.
    """

    def __init__(
        self,
        received: Received,
        stream: ByteStream,
        outbox: Outbox,
        max_message: int,
        keepalive: Keepalive,
        patience: float,
        *,
        opened: bool,
    ) -> None:
        self._received = received
        self._stream = stream
        self._outbox = outbox
        self._scanner = FrameScanner(max_message)
        self._max_message = max_message
        self._too_long = False
        self._keepalive = keepalive
        self._patience = patience
        self._until = time.monotonic() + patience  # pongs alone do not put this off
        self._enough = False  # nothing more is received
        self._opened = opened  # before: the answer to the upgrade has been sent
        self.framed = False
        self.idle = False

    def recv(self, size: int) -> bytes:
        self._received.handled(self._scanner.border)
        if self._too_long:  # the messages before it have been handled
            self._outbox.close(CloseCode.MESSAGE_TOO_BIG, f"a message may be {self._max_message} bytes long")
        is_open = self._outbox.wait_until_bounded()
        data, self._received.first = self._received.first, b""
        if is_open and not data:
            data = self._receive(size)
        if self.idle or self._outbox.closed:  # ends the loop
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
            with standstill.rest():
                self._keepalive.listen()
                data = self._stream.receive(size)
                self._keepalive.heard()
            return data
        with standstill.rest():
            self._keepalive.listen()
            self.idle = not self._comes()
            if not self.idle:
                self._keepalive.heard()
        if self.idle:
            return b""
        # Whoever has no patience would never come back from a client that keeps talking.
        self._enough = not self._patience
        # What is received is handled before the thread rests again.
        data = self._stream.receive(size)
        if not only_pongs(data):
            self._until = time.monotonic() + self._patience
        return data

    def _comes(self) -> bool:
        """Wait for more; False: the client has been silent for too long."""
        if self._enough:
            return False
        # Mid-message the thread stays: a new receiver would parse the whole message again for each piece.
        within = self._received.data and self._patience
        until = math.inf if within else self._until
        while not self._stream.wait(until - time.monotonic()):
            if time.monotonic() >= until:
                return False
        return True

    def send(self, data: bytes) -> int:
        if not self.framed:
            if self._opened:
                return len(data)
            self._outbox.append_frame(bytes(data))
        else:
            for opcode, frame in split_frames(bytes(data)):
                if opcode == CLOSE:
                    code = int.from_bytes(frame[2:4], "big") or CloseCode.NO_STATUS
                    self._outbox.close_with(code, frame)
                else:
                    self._outbox.append_frame(frame)
        self._outbox.flush()
        return len(data)

    def close(self) -> None:
        """The connection closes its own stream."""

    def fileno(self) -> int:
        return self._stream.fileno()
