"""Who is at the other end of a connection."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Literal

from overseer.auth.rights import ANYONE, Principal
from overseer.auth.sign_ins import SignIn


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end.

    ``kind`` is ``server`` for what the server does by itself. ``address`` is an IP address without port (IPv4
    even when it came in over IPv6), the path of a Unix socket, or ``""``. ``uid`` is the user at the other
    end of a Unix socket, ``certificate`` the names in the certificate presented. ``principal`` is who it
    was found to be, ``sign_in`` the sign-in used for that, if any. ``transport`` tells how a TCP connection
    was accepted: ``""`` in clear text, else by TLS and whose client certificates.
    """

    kind: Literal["tcp", "unix", "stdio", "server"]
    address: str
    uid: int | None = None
    certificate: tuple[str, ...] = ()
    principal: Principal = ANYONE
    sign_in: SignIn | None = None
    transport: str = ""

    @property
    def source(self) -> str:
        """What limits count by: IPv6 addresses by their /64, since a host has a whole one."""
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
