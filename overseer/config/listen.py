"""Where the server listens and whom it trusts, as written in the config."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from overseer.auth.networks import Network
from overseer.schema.location import quoted

_SOCKET_PATH_MAX = 107  # bytes, what sockaddr_un takes on Linux
_FORMS = 'write ":8080", "host:8080", "[::1]:8080", a path, "unix:PATH" or "stdio"'


@dataclass(frozen=True, slots=True)
class Listen:
    """A place to listen.

    ``kind`` tells which of the others count: ``tcp`` has ``host`` (``""``: every interface, IPv4 and IPv6)
    and ``port`` (0: any free one), ``unix`` has ``path`` and the permissions of its file and, unless it is
    ``""``, the file's group by name or number. ``stdio`` has nothing.
    """

    kind: Literal["stdio", "unix", "tcp"]
    host: str = ""
    port: int = 0
    path: str = ""
    mode: int = 0o600
    group: str = ""

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches it."""
        if self.kind != "tcp":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def __str__(self) -> str:
        if self.kind == "tcp":
            return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
        if self.kind == "unix":
            return self.path if self.path.startswith(("/", "./")) else f"unix:{self.path}"
        return "stdio"


def parse_listen(text: str) -> Listen:
    """What a ``listen`` text means.

    Raises:
        ValueError: it is malformed; the text says what to write.
    """
    text = text.strip()
    if text.lower() == "stdio":
        return Listen("stdio")
    if text.startswith(("/", "./")):
        return _unix(text)
    if text.startswith("unix:"):
        return _unix(text.removeprefix("unix:").removeprefix("//"))
    if "://" in text:
        raise ValueError(f"a listen address is not a URL: {_FORMS}")
    if text.isascii() and text.isdigit():
        return Listen("tcp", port=_port(text))
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        raise ValueError(f"no port in it: {_FORMS}")
    return Listen("tcp", host=_host(host), port=_port(port))


def parse_cidrs(items: Iterable[str]) -> tuple[Network, ...]:
    """The networks that ``items`` name: CIDRs, or bare IPs for networks of one address.

    Bits past the prefix are dropped (``10.1.2.3/8`` is ``10.0.0.0/8``).

    Raises:
        ValueError: an item is neither; the text names it.
    """
    networks: list[Network] = []
    for item in items:
        try:
            networks.append(ipaddress.ip_network(item.strip(), strict=False))
        except ValueError:
            raise ValueError(
                f"{quoted(item)} is neither a network like 10.0.0.0/8 nor an IP address"
            ) from None
    return tuple(networks)


def _unix(path: str) -> Listen:
    if not path or path.endswith("/"):
        raise ValueError("the path of a socket must name a file")
    if "\0" in path:
        raise ValueError("a path cannot hold a NUL character")
    if len(path.encode("utf-8", "surrogateescape")) > _SOCKET_PATH_MAX:
        raise ValueError(f"the path of a socket is at most {_SOCKET_PATH_MAX} bytes long")
    return Listen("unix", path=path)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f'"{text[:20]}" is not a port number: {_FORMS}')
    if len(text) > 5 or int(text) > 65535:
        raise ValueError(f"{text[:20]} is not a port: they go up to 65535")
    return int(text)


def _host(text: str) -> str:
    if text.startswith("[") and text.endswith("]"):
        inner = text[1:-1]
        try:
            ipaddress.IPv6Address(inner)
        except ValueError:
            raise ValueError(f'"{inner[:60]}" is not an IPv6 address') from None
        return inner
    if ":" in text:
        raise ValueError("an IPv6 address goes into brackets, as in [::1]:8080")
    if text == "*":
        return ""
    if text and not re.fullmatch(r"[\w.-]{1,253}", text):
        raise ValueError(f'"{text[:60]}" is not a host name or address')
    return text
