"""WebSocket frames as both the server and the client need them (RFC 6455, section 5)."""

from __future__ import annotations

import struct

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
FIN = MASKED = 0x80
MAX_CONTROL = 125  # bytes of payload that a control frame may carry


def frame_header(opcode: int, length: int, mask: int = 0) -> bytes:
    """The header of an unfragmented frame; ``mask`` is MASKED when the masking key follows."""
    if length < 126:
        return bytes((FIN | opcode, mask | length))
    if length < 65536:
        return struct.pack("!BBH", FIN | opcode, mask | 126, length)
    return struct.pack("!BBQ", FIN | opcode, mask | 127, length)
