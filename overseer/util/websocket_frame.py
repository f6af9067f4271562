"""WebSocket frames as both the server and the client need them (RFC 6455, section 5)."""

from __future__ import annotations

import struct
from enum import IntEnum

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
FIN = MASKED = 0x80
MAX_CONTROL = 125  # bytes of payload that a control frame may carry


class CloseCode(IntEnum):
    """Why a connection was closed (section 7.4 and IANA's registry), as far as either side says or asks."""

    NORMAL = 1000
    GOING_AWAY = 1001
    NO_STATUS = 1005  # never sent: the close frame gave none
    ABNORMAL = 1006  # never sent: there was no close frame
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012  # the server is being upgraded, and there again at once
    TRY_AGAIN_LATER = 1013  # the client does not read


def frame_header(opcode: int, length: int, mask: int = 0) -> bytes:
    """The header of an unfragmented frame; ``mask`` is MASKED when the masking key follows."""
    if length < 126:
        return bytes((FIN | opcode, mask | length))
    if length < 65536:
        return struct.pack("!BBH", FIN | opcode, mask | 126, length)
    return struct.pack("!BBQ", FIN | opcode, mask | 127, length)
