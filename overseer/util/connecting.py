"""Connecting within a deadline, which :func:`time.monotonic` is to reach."""

from __future__ import annotations

import socket
import time
from typing import Any


def timeout_until(deadline: float) -> float:
    """A timeout for a socket: 0 would mean non-blocking, and months are too long."""
    return max(0.001, min(deadline - time.monotonic(), 1e6))


def connect_first(host: str | None, port: int, deadline: float) -> socket.socket:
    """Connect to the first of the host's addresses that accepts; each gets a share of the time, where
    socket.create_connection would give all of it to each.

    Raises:
        OSError: none accepts in time, or none is known.
        UnicodeError: the name cannot be that of a host.
    """
    failure: OSError | None = None
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for untried, (family, *_, address) in zip(range(len(found), 0, -1), found, strict=True):
        now = time.monotonic()
        try:
            return connect_one(family, address, now + (deadline - now) / untried)
        except OSError as error:
            failure = error
    raise failure or OSError(f"no address of {host} is known")


def connect_one(family: int, address: Any, deadline: float) -> socket.socket:
    """Connect to one address. Raises OSError."""
    connected = socket.socket(family)
    try:
        connected.settimeout(timeout_until(deadline))
        connected.connect(address)
    except BaseException:
        connected.close()
        raise
    return connected
