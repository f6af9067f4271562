"""A WebSocket client made of a socket and nothing else, for tests: it can send any broken thing.

Not a good client: it checks nothing it is not asked to. Every wait is bounded by ``timeout`` seconds and
raises TimeoutError; a closed connection raises :class:`Closed`, which knows the close code if there was one.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import select
import socket
import struct
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any

__all__ = [
    "BINARY",
    "CLOSE",
    "CONTINUATION",
    "PING",
    "PONG",
    "TEXT",
    "Closed",
    "HttpReply",
    "RawClient",
    "RawSocket",
    "frame",
    "http_request",
    "mask_payload",
    "upgrade_request",
]

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

Address = tuple[str, int] | str  # (host, port) or the path of a Unix socket


class Closed(Exception):
    """The connection ended; ``code`` is None when no close frame came, 1005 when one without a code did."""

    def __init__(self, code: int | None, reason: str = "") -> None:
        super().__init__(f"closed: {code} {reason}".rstrip())
        self.code = code
        self.reason = reason


def mask_payload(payload: bytes, key: bytes) -> bytes:
    if not payload:
        return b""
    size = len(payload)
    stream = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(stream, "big")).to_bytes(size, "big")


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    masked: bool = True,
    key: bytes = b"\x01\x02\x03\x04",
    announce: int | None = None,
    length_bytes: int | None = None,
) -> bytes:
    """One client frame. ``announce`` lies about the length; ``length_bytes`` (0, 2, 8) forces its form."""
    length = len(payload) if announce is None else announce
    if length_bytes is None:
        length_bytes = 0 if length < 126 else 2 if length < 65536 else 8
    short = length if length_bytes == 0 else 126 if length_bytes == 2 else 127
    extended = b"" if length_bytes == 0 else struct.pack("!H" if length_bytes == 2 else "!Q", length)
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode, (0x80 if masked else 0) | short]) + extended
    return head + key + mask_payload(payload, key) if masked else head + payload


def upgrade_request(
    path: str = "/ws",
    *,
    host: str = "localhost",
    headers: Iterable[tuple[str, str]] = (),
    without: Iterable[str] = (),
) -> bytes:
    """The bytes of a correct upgrade, minus its headers named in ``without``, plus ``headers``."""
    dropped = {name.lower() for name in without}
    usual = [
        ("Host", host),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", base64.b64encode(os.urandom(16)).decode()),
        ("Sec-WebSocket-Version", "13"),
    ]
    lines = [f"GET {path} HTTP/1.1"]
    kept = [(name, value) for name, value in usual if name.lower() not in dropped]
    lines += [f"{name}: {value}" for name, value in [*kept, *headers]]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


class HttpReply:
    """Status, headers (names in lower case) and whatever of the body came."""

    def __init__(self, head: bytes, body: bytes) -> None:
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split(" ")[1])
        pairs = (line.partition(":") for line in lines[1:])
        self.headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        self.body = body

    def json(self) -> Any:
        return json.loads(self.body)


class RawSocket:
    """A connected socket with a read buffer and deadlines."""

    def __init__(self, address: Address, *, timeout: float = 30.0, receive_buffer: int | None = None) -> None:
        self.timeout = timeout
        self.buffer = bytearray()
        if isinstance(address, str):
            self.sock = socket.socket(socket.AF_UNIX)
        else:
            self.sock = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        try:
            if receive_buffer is not None:  # before connect, or the kernel has grown its window already
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            self.sock.settimeout(timeout)
            self.sock.connect(address)
        except OSError:
            self.sock.close()
            raise

    def __enter__(self) -> Any:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.drop()

    def send_raw(self, data: bytes) -> None:
        self.sock.sendall(data)

    def fill(self, deadline: float | None = None) -> bool:
        """Read once into the buffer; False at the end of the stream. A reset counts as the end."""
        remaining = self.timeout if deadline is None else deadline - time.monotonic()
        self.sock.settimeout(max(remaining, 0.001))
        try:
            data = self.sock.recv(1 << 18)
        except (ConnectionResetError, BrokenPipeError):
            return False
        finally:
            self.sock.settimeout(self.timeout)
        self.buffer += data
        return bool(data)

    def read_reply(self, *, timeout: float | None = None) -> HttpReply:
        """An HTTP reply; the body by its content-length, or to the end of the stream."""
        deadline = time.monotonic() + (timeout or self.timeout)
        while (end := self.buffer.find(b"\r\n\r\n")) < 0:
            if not self.fill(deadline):
                raise Closed(None, f"no reply, only {bytes(self.buffer)!r}")
        head = bytes(self.buffer[:end])
        del self.buffer[: end + 4]
        reply = HttpReply(head, b"")
        if reply.status == 101:
            return reply
        length = int(reply.headers.get("content-length", -1))
        while (length < 0 or len(self.buffer) < length) and self.fill(deadline):
            pass
        reply.body = bytes(self.buffer)
        self.buffer.clear()
        return reply

    def at_end(self, *, timeout: float | None = None) -> bool:
        """Read to the end of the stream; False when it does not come in time."""
        deadline = time.monotonic() + (timeout or self.timeout)
        try:
            while self.fill(deadline):
                pass
        except TimeoutError:
            return False
        return True

    def drop(self) -> None:
        """Close the socket without another word."""
        with contextlib.suppress(OSError):
            self.sock.close()

    def reset(self) -> None:
        """Close the socket with a RST in place of a FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.drop()


class RawClient(RawSocket):
    """A connected and, unless ``upgrade=False``, upgraded WebSocket client."""

    def __init__(
        self,
        address: Address,
        *,
        path: str = "/ws",
        headers: Iterable[tuple[str, str]] = (),
        upgrade: bool = True,
        timeout: float = 30.0,
        receive_buffer: int | None = None,
    ) -> None:
        super().__init__(address, timeout=timeout, receive_buffer=receive_buffer)
        self.handshake: HttpReply | None = None
        if upgrade:
            try:
                self.upgrade(path, headers)
            except BaseException:
                self.drop()
                raise

    def upgrade(self, path: str = "/ws", headers: Iterable[tuple[str, str]] = ()) -> None:
        self.send_raw(upgrade_request(path, headers=headers))
        self.handshake = self.read_reply()
        if self.handshake.status != 101:
            raise Closed(None, f"upgrade answered {self.handshake.status}")

    # -- sending ---------------------------------------------------------------------------------------

    def send_frame(self, opcode: int, payload: bytes = b"", **how: Any) -> None:
        self.send_raw(frame(opcode, payload, **how))

    def send_text(self, text: str) -> None:
        self.send_frame(TEXT, text.encode())

    def send_json(self, **message: Any) -> None:
        self.send_text(json.dumps(message))

    def send_close(self, code: int | None = 1000, reason: str = "") -> None:
        self.send_frame(CLOSE, b"" if code is None else struct.pack("!H", code) + reason.encode())

    # -- receiving -------------------------------------------------------------------------------------

    def receive_frame(self, *, timeout: float | None = None) -> tuple[int, bytes]:
        """The next frame as (opcode, payload), control frames too; raises Closed at the end of the stream."""
        deadline = time.monotonic() + (timeout or self.timeout)
        while (found := self._take_frame()) is None:
            if not self.fill(deadline):
                raise Closed(None, "the stream ended without a close frame")
        return found

    def _take_frame(self) -> tuple[int, bytes] | None:
        data = self.buffer
        if len(data) < 2:
            return None
        short, head = data[1] & 0x7F, 2
        assert not data[1] & 0x80, "a server's frame must not be masked"
        assert not data[0] & 0x70, "no extension was agreed, so no reserved bit may be set"
        assert data[0] & 0x80, "the server does not fragment"
        if short == 126:
            head = 4
        elif short == 127:
            head = 10
        if len(data) < head:
            return None
        length = int.from_bytes(data[2:head], "big") if head > 2 else short
        if len(data) < head + length:
            return None
        opcode, payload = data[0] & 0x0F, bytes(data[head : head + length])
        del data[: head + length]
        return opcode, payload

    def receive(self, *, timeout: float | None = None) -> str | bytes:
        """The next data message. Pings are answered, pongs skipped; a close frame raises Closed."""
        deadline = time.monotonic() + (timeout or self.timeout)
        while True:
            opcode, payload = self.receive_frame(timeout=max(0.001, deadline - time.monotonic()))
            if opcode == TEXT:
                return payload.decode()
            if opcode == BINARY:
                return payload
            if opcode == PING:
                self.send_frame(PONG, payload)
            elif opcode == CLOSE:
                code = struct.unpack("!H", payload[:2])[0] if payload else 1005
                raise Closed(code, payload[2:].decode())

    def receive_json(self, *, timeout: float | None = None) -> Any:
        return json.loads(self.receive(timeout=timeout))

    def receive_until(
        self, wanted: Callable[[dict[str, Any]], bool] | str, *, timeout: float | None = None
    ) -> list[dict[str, Any]]:
        """Messages up to and including the first that ``wanted`` accepts (a str: whose type is that)."""
        accept = wanted if callable(wanted) else lambda message: message.get("type") == wanted
        deadline = time.monotonic() + (timeout or self.timeout)
        messages: list[dict[str, Any]] = []
        while True:
            messages.append(self.receive_json(timeout=max(0.001, deadline - time.monotonic())))
            if accept(messages[-1]):
                return messages

    def request(self, *, timeout: float | None = None, **message: Any) -> dict[str, Any]:
        """Send a message and return the first that carries its id; what comes before it is skipped."""
        self.send_json(**message)
        return self.receive_until(lambda reply: reply.get("id") == message["id"], timeout=timeout)[-1]

    def is_quiet(self, seconds: float) -> bool:
        """Whether nothing at all arrives within ``seconds``."""
        return not self.buffer and not select.select([self.sock], [], [], seconds)[0]

    def close_code(self, *, timeout: float | None = None) -> int | None:
        """Skip everything up to the close and return its code (None: the stream just ended)."""
        deadline = time.monotonic() + (timeout or self.timeout)
        try:
            while True:
                self.receive(timeout=max(0.001, deadline - time.monotonic()))
        except Closed as closed:
            return closed.code

    def close(self, code: int = 1000, *, timeout: float | None = None) -> int | None:
        """The whole closing handshake from this side; returns the code the server answers with."""
        self.send_close(code)
        answer = self.close_code(timeout=timeout)
        self.drop()
        return answer


def http_request(
    address: Address,
    path: str,
    *,
    method: str = "GET",
    headers: Iterable[tuple[str, str]] = (),
    timeout: float = 30.0,
) -> HttpReply:
    """One plain HTTP/1.1 request on a connection of its own."""
    assert re.fullmatch(r"\S+", path)
    with RawSocket(address, timeout=timeout) as connection:
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *(f"{n}: {v}" for n, v in headers), "", ""]
        connection.send_raw("\r\n".join(lines).encode("latin-1"))
        return connection.read_reply()  # type: ignore[no-any-return]
