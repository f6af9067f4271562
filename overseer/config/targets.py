"""What a probe checks, once the parameters of a task are known: an address, a page, a program."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from overseer.schema.location import quoted

_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_.])?|[0-9A-Fa-f:.]+(%[A-Za-z0-9._-]+)?")
_LONGEST = 4096  # characters of an address


@dataclass(frozen=True, slots=True)
class Tcp:
    """A connection can be made."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"tcp {authority(self.host, self.port)}"


@dataclass(frozen=True, slots=True)
class Http:
    """A GET is answered with a status from 200 to 399."""

    host: str
    port: int
    path: str
    encrypted: bool

    def __str__(self) -> str:
        scheme = "https" if self.encrypted else "http"
        return f"{scheme}://{authority(self.host, self.port)}{self.path}"


@dataclass(frozen=True, slots=True)
class Program:
    """It exits with 0."""

    argv: tuple[str, ...]

    def __str__(self) -> str:
        return f"exec {self.argv[0]}"


Target = Tcp | Http | Program


def authority(host: str, port: int) -> str:
    """``HOST:PORT`` as in an address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def parse_tcp(text: str) -> Tcp:
    """``HOST:PORT``; without a host, this machine.

    Raises:
        ValueError: it is something else.
    """
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f"expected HOST:PORT, found {quoted(text)}; an IPv6 address goes in brackets")
    if not colon or (host and not _HOST.fullmatch(host)):
        this_machine = f"; write :{text} for this machine" if text.isdecimal() else ""
        raise ValueError(f"expected HOST:PORT, found {quoted(text)}{this_machine}")
    return Tcp(host or "localhost", _port(port))


def parse_http(text: str) -> Http:
    """A URL of HTTP or HTTPS.

    Raises:
        ValueError: it is something else, or a URL that a probe cannot ask for.
    """
    if len(text) > _LONGEST:
        raise ValueError(f"the URL is longer than {_LONGEST} characters")
    if not all("!" <= each <= "~" for each in text):
        raise ValueError(f"a URL has no spaces, and nothing but ASCII: {quoted(text)}; write others as %20")
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        raise ValueError(f"not a URL: {quoted(text)}") from None
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ValueError(f"expected a URL such as http://127.0.0.1:8000/health, found {quoted(text)}")
    if url.username is not None or url.password is not None:
        raise ValueError("a probe does not sign in: the URL cannot have a user or password")
    if not _HOST.fullmatch(url.hostname):
        raise ValueError(f"not the name of a host: {quoted(url.hostname)}")
    if port == 0:
        raise ValueError('expected a port from 1 to 65535, found "0"')
    encrypted = url.scheme == "https"
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    return Http(url.hostname, port or (443 if encrypted else 80), path, encrypted)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 5 and 0 < int(text) < 65536):
        raise ValueError(f"expected a port from 1 to 65535, found {quoted(text)}")
    return int(text)
