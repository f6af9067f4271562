"""Which web pages may use the server, by Origin and Host; no I/O.

Browsers send Origin, the page's, with every WebSocket and every cross-site request, which keeps strangers'
pages out. A page can still make its own name resolve to this machine (DNS rebinding), and is then of the same
origin as the server; but its name is in Host, and is not ours.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

_PORTS = {"http": 80, "https": 443}
_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://([^/?#@\\\s]+)\Z", re.IGNORECASE)
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_.-]+?)\.?(?::([0-9]{1,5}))?\Z", re.IGNORECASE)

_LONGEST = 300  # characters of an origin, or of a Host; names have 253 at most

Place = tuple[str, int | None]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a page is refused, and the line of configuration that would admit it, if any."""

    reason: str
    remedy: str


class BrowserRules:
    """The rules of one server.

    Args:
        origins: ``allowed_origins`` of the configuration.
        hosts: ``allowed_hosts``.
        own_names: names of this machine.
        check_host: whether Host must be a name of ours; not needed where every client must present a token.
        encrypted: whether the server itself speaks TLS, so that its own pages are https.
    """

    def __init__(
        self,
        *,
        origins: Iterable[str] = (),
        hosts: Iterable[str] = (),
        own_names: Iterable[str] = (),
        check_host: bool = True,
        encrypted: bool = False,
    ) -> None:
        self._origins = {check_origin(origin) for origin in origins}
        self._hosts = {name.lower() for name in (*hosts, *own_names, "localhost")}
        self._check_host = check_host
        self._encrypted = encrypted

    def refusal(self, origin: str | None, host: str | None, *, by_any_name: bool = True) -> Refusal | None:
        """Why a request with these headers (None: absent) is refused; None when it is not.

        A request without Origin does not come from a page, or its response is hidden from the page, unless
        that has made its name resolve to this machine: such requests are admitted ``by_any_name``, or not.
        """
        if origin is None:
            return None if by_any_name or host is None else self._of_host(host)
        if len(origin) > _LONGEST:
            return Refusal(f"a page whose origin has {len(origin)} characters tried to connect", "")
        try:
            parsed = check_origin(origin)
        except ValueError:
            return Refusal(
                "a page without an origin, or a request made to look like one, tried to connect", ""
            )
        if parsed not in self._origins and not self._same(parsed, host or ""):
            return Refusal(f"a page from {parsed} tried to connect", f'allowed_origins: ["{parsed}"]')
        return self._of_host(host or "")

    def _of_host(self, host: str) -> Refusal | None:
        place = _place(host)
        if self._check_host and (place is None or not self._ours(place[0])):
            if place is None:
                return Refusal("a page tried to connect with a Host that is not a name", "")
            return Refusal(
                f"a page tried to connect as {place[0]}, which is not known to be a name of this machine",
                f'allowed_hosts: ["{place[0]}"]',
            )
        return None

    def _same(self, origin: str, host: str) -> bool:
        scheme, _, rest = origin.partition("://")
        if scheme not in _PORTS or (self._encrypted and scheme != "https"):
            return False
        # Without a port Host means the default of the page's scheme: a proxy may terminate TLS.
        return _place(rest, _PORTS[scheme]) == _place(host, _PORTS[scheme])

    def knows(self, host: str | None) -> bool:
        """Whether a request with this Host used a name of ours, which a stranger's page cannot do."""
        place = _place(host or "")
        return place is not None and self._ours(place[0])

    def _ours(self, name: str) -> bool:
        return name in self._hosts or _is_address(name)


def check_origin(text: str) -> str:
    """An origin (``https://app.example:8443``) as browsers write it: lower case, no default port.

    Raises:
        ValueError: it is not an origin; the text says what one looks like.
    """
    match = _ORIGIN.match(text.strip())
    scheme, rest = (match[1].lower(), match[2]) if match else ("", "")
    place = _place(rest)
    if place is None:
        raise ValueError(
            f'"{text[:80]}" is not an origin: write scheme, host and port (if it is not the default one), '
            "as in https://app.example or http://localhost:3000"
        )
    host, port = place
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}" + (f":{port}" if port not in (None, _PORTS.get(scheme)) else "")


def check_host_name(text: str) -> str:
    """A host's name without a port, in lower case. Raises ValueError."""
    place = _place(text.strip())
    if place is None or place[1] is not None:
        raise ValueError(
            f'"{text[:80]}" is not a host name: write its name alone, as in build.example, without a port'
        )
    return place[0]


def _place(text: str, default: int | None = None) -> Place | None:
    """Host and port of ``host[:port]``; None when it is malformed."""
    match = _HOST.match(text) if len(text) <= _LONGEST else None
    if match is None:
        return None
    name = match[1].lower()
    if name.startswith("["):
        try:
            name = str(ipaddress.IPv6Address(name[1:-1]))
        except ValueError:
            return None
    return name, int(match[2]) if match[2] else default


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
