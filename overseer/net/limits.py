"""The limits of a connection."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Bounds of every connection; sizes in bytes, times in seconds.

    ``close_timeout`` bounds everything after a close from either side: pending output, close frames, the
    peer's end. A client is pinged every ``ping_interval``, and closed when nothing has come from it for
    ``ping_timeout`` more than that.
    """

    buffer: int = 8 * 2**20
    stall_timeout: float = 30.0
    max_message: int = 2**20
    max_connections: int = 2000
    handshake_timeout: float = 10.0
    close_timeout: float = 1.0
    ping_interval: float = 20.0
    ping_timeout: float = 60.0
