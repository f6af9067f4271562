"""What connections and the hub know of each other, and the figures that bound a connection."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from overseer.auth.principal import ANYONE, Principal
from overseer.auth.sign_ins import SignIn
from overseer.net.outbox import Outbox

__all__ = ["ConnectionLimits", "OpenSession", "Peer", "Session"]


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end.

    ``address`` is an IP address without port (an IPv4 one also when it came in over IPv6), for a Unix socket
    the socket's path, for stdio ``""``. ``uid`` is the user at the other end of a Unix socket,
    ``certificate`` the names in the certificate that it presented. Once it has been asked, ``principal`` is
    who it is, and ``sign_in`` the sign-in that it is by, if it is by one. ``door`` is what a TCP connection
    was accepted by: ``""`` in clear text, else by TLS, and by whose certificates.
    """

    kind: Literal["tcp", "unix", "stdio"]
    address: str
    uid: int | None = None
    certificate: tuple[str, ...] = ()
    principal: Principal = ANYONE
    sign_in: SignIn | None = None
    door: str = ""

    @property
    def source(self) -> str:
        """What it is counted by: IPv6 addresses by their /64, since a host has all of one."""
        if self.kind == "unix":
            return f"uid {self.uid}"
        try:
            address = ipaddress.ip_address(self.address)
        except ValueError:
            return self.address
        if isinstance(address, ipaddress.IPv6Address):
            return str(ipaddress.IPv6Network((address, 64), strict=False))
        return self.address

    def __str__(self) -> str:
        place = self.address if self.kind == "tcp" else self.kind
        if self.uid is not None:
            place = f"uid {self.uid}"
        name = self.principal.name
        return f"{place} ({name})" if name not in ("", place) else place


class Session(Protocol):
    """A client as the hub sees it; called on the connection's own thread, with no lock held."""

    def receive(self, data: str | bytes) -> None:
        """One message, text or binary, of at most ``max_message`` bytes (over stdio one more: too long)."""

    def closed(self) -> None:
        """Called exactly once, last; appends to the outbox are ignored by now."""


OpenSession = Callable[[Outbox, Peer], Session]


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Bounds of every connection; sizes in bytes, times in seconds.

    ``close_timeout`` bounds what is left to do after a close from either side: pending output, close frames,
    the peer's end. A client is pinged every ``ping_interval``, and closed when nothing came from it for
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
