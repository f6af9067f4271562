"""A server's address, as people write it."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from overseer.client.errors import ClientError

DEFAULT_URL = "ws://localhost:8080/ws"

# scheme: (TLS, default port)
_SCHEMES = {"ws": (False, 80), "http": (False, 80), "wss": (True, 443), "https": (True, 443)}


@dataclass(frozen=True)
class Address:
    """A server's address; ``unix_path`` is "" over TCP, ``url`` is what the user wrote."""

    url: str
    host: str = "localhost"
    port: int = 80
    tls: bool = False
    path: str = "/ws"
    unix_path: str = ""

    @property
    def host_header(self) -> str:
        if self.unix_path:
            return "localhost"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"


def parse_url(url: str) -> Address:
    """Read ``ws://``, ``wss://``, ``http://`` or ``https://`` HOST[:PORT][/PATH], or ``unix:PATH``.

    A URL without a path means ``/ws``.

    Raises:
        ClientError: it is malformed; the text shows the right form.
    """
    if url.startswith("unix:"):
        path = url.removeprefix("unix:")
        path = path.removeprefix("//") if path.startswith("///") else path
        if not path:
            raise ClientError("unix: needs the path of a socket, as in unix:/run/overseer.sock")
        return Address(url, unix_path=path)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:  # an invalid port, an unclosed bracket
        raise ClientError(f"cannot use the URL {url!r}: {error}") from None
    if parts.scheme not in _SCHEMES or not host:
        hint = f"ws://{url}/ws" if "/" not in url and url else DEFAULT_URL
        raise ClientError(f"cannot use the URL {url!r}: write it like {hint} or unix:/run/overseer.sock")
    tls, default_port = _SCHEMES[parts.scheme]
    path = parts.path if parts.path not in ("", "/") else "/ws"
    if port == 0:
        raise ClientError(f"cannot use the URL {url!r}: no server listens on port 0")
    return Address(url, host, port or default_port, tls, path + (f"?{parts.query}" if parts.query else ""))
