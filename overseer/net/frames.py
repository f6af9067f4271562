"""WebSocket frames on the server's side; no I/O.

A server's frames are not masked, so one encoding serves every client: the hub passes an :class:`Encoded` to
the outboxes. Clients' frames are read in :mod:`overseer.net.receiver`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from overseer.util.websocket_frame import (
    CLOSE,
    FIN,
    MASKED,
    MAX_CONTROL,
    PING,
    PONG,
    TEXT,
    CloseCode,
    frame_header,
)

SHUTTING_DOWN = CloseCode.GOING_AWAY, "the server is shutting down"
"""The code and reason of a close."""
TEXT_HEADERS = tuple(frame_header(TEXT, length) for length in range(1024))
"""By the payload's length: those of nearly every line. Longer ones are packed when they come."""


def text_header(length: int) -> bytes:
    """The header of an unfragmented text frame whose payload has ``length`` bytes."""
    return TEXT_HEADERS[length] if length < 1024 else frame_header(TEXT, length)


def text_frames(payloads: Sequence[bytes]) -> bytes:
    """One text frame for each payload (UTF-8), joined."""
    parts: list[bytes] = []
    for payload in payloads:
        parts.append(text_header(len(payload)))
        parts.append(payload)
    return b"".join(parts)


def ping_frame(payload: bytes = b"") -> bytes:
    return frame_header(PING, len(payload)) + payload


def only_pongs(frames: bytes) -> bool:
    """Whether these bytes of a client's are whole pongs, one at least, and nothing else."""
    end = 0
    while end + 2 <= len(frames) and frames[end] == FIN | PONG:
        length = frames[end + 1] - MASKED
        if not 0 <= length <= MAX_CONTROL:
            return False
        end += 6 + length  # the masking key has four bytes
    return 0 < end == len(frames)


def close_frame(code: int, reason: str = "") -> bytes:
    """A close frame; ``reason`` is cut, at a character's end, to what fits into 123 bytes."""
    text = reason.encode()[: MAX_CONTROL - 2].decode(errors="ignore").encode()
    return frame_header(CLOSE, 2 + len(text)) + struct.pack("!H", code) + text


def _next_frame(frames: bytes, start: int) -> int:
    """Where the unmasked frame at ``start`` ends."""
    short = frames[start + 1]
    if short < 126:
        return start + 2 + short
    size = 2 if short == 126 else 8
    return start + 2 + size + int.from_bytes(frames[start + 2 : start + 2 + size], "big")


def frame_end(frames: bytes, offset: int) -> int:
    """The end of the frame that contains the byte before ``offset``; ``frames`` are whole and unmasked."""
    end = 0
    while end < offset:
        end = _next_frame(frames, end)
    return end


def split_frames(frames: bytes) -> Iterator[tuple[int, bytes]]:
    """Each of some unmasked frames, as (opcode, whole frame)."""
    start = 0
    while start < len(frames):
        end = _next_frame(frames, start)
        yield frames[start] & 0x0F, frames[start:end]
        start = end


class Message(Protocol):
    """One or more messages, in each framing."""

    @property
    def websocket(self) -> bytes:
        """As text frames, joined."""

    @property
    def lines(self) -> bytes:
        """As newline-delimited JSON."""


class Piece(NamedTuple):
    """Part of a long message; ``more``: its frame or line continues in the next piece."""

    data: bytes
    more: bool


class Streamed(Protocol):
    """Messages too long to be kept as bytes, encoded piece by piece when there is room to send."""

    def size(self, *, framed: bool) -> int:
        """The size in bytes of all pieces together, known without making them."""

    def pieces(self, *, framed: bool) -> Iterator[Piece]:
        """The same bytes each time, as text frames or as newline-delimited JSON."""


class Encoded:
    """Messages encoded once for all clients; immutable.

    Args:
        payloads: the messages as JSON texts in UTF-8, in order.
    """

    __slots__ = ("_lines", "_websocket", "payloads")

    def __init__(self, payloads: Sequence[bytes]) -> None:
        self.payloads = payloads
        # Two threads may build one of these at the same time; the results are equal.
        self._websocket: bytes | None = None
        self._lines: bytes | None = None

    @property
    def websocket(self) -> bytes:
        """The messages as text frames, joined."""
        if self._websocket is None:
            if len(self.payloads) == 1 and len(self.payloads[0]) < 1024:
                self._websocket = TEXT_HEADERS[len(self.payloads[0])] + self.payloads[0]
            else:
                self._websocket = text_frames(self.payloads)
        return self._websocket

    @property
    def lines(self) -> bytes:
        """The messages as newline-delimited JSON."""
        if self._lines is None:
            self._lines = b"".join([payload + b"\n" for payload in self.payloads])
        return self._lines

    def __repr__(self) -> str:
        return f"<Encoded {len(self.payloads)} messages>"
