"""Daemons with tokens, and clients that present them in every way there is."""

from __future__ import annotations

import itertools
import ssl
from collections.abc import Iterable
from typing import Any

from tests.harness import Daemon, shell
from tests.net.rawclient import Address, HttpReply, RawClient, RawSocket, upgrade_request

__all__ = [
    "ACTIONS",
    "TOKENS",
    "Header",
    "TlsRawClient",
    "address_of",
    "bearer",
    "http",
    "open_status",
    "protocols",
    "request",
    "sign_in",
    "token_of",
]

Header = tuple[str, str]

ACTIONS = {"mine": shell("sleep 60"), "other": shell("sleep 60")}

# (role, scope): the token's name is "role-scope" and the token itself is made of it.
SCOPES = {"all": None, "mine": ["mi*"]}
_ids = itertools.count(1)


def token_of(name: str) -> str:
    return f"secret-{name}-0123456789abcdef"


TOKENS: list[dict[str, Any]] = [
    {
        "name": f"{role}-{scope}",
        "token": token_of(f"{role}-{scope}"),
        "role": role,
        **({"actions": actions} if actions else {}),
    }
    for role in ("viewer", "operator", "admin")
    for scope, actions in SCOPES.items()
]


def address_of(daemon: Daemon) -> Address:
    if daemon.address.startswith("unix:"):
        return daemon.address.removeprefix("unix:")
    host, _, port = daemon.address.rpartition(":")
    return host, int(port)


def bearer(name: str) -> Header:
    return ("Authorization", f"Bearer {token_of(name)}")


def protocols(*names: str) -> Header:
    return ("Sec-WebSocket-Protocol", ", ".join(names))


class TlsRawClient(RawClient):
    """A RawClient over TLS."""

    def __init__(
        self,
        address: Address,
        context: ssl.SSLContext,
        headers: Iterable[Header] = (),
        *,
        upgrade: bool = True,
    ) -> None:
        super().__init__(address, upgrade=False, timeout=30)
        try:
            self.sock = context.wrap_socket(self.sock, server_hostname="localhost")
            if upgrade:
                self.upgrade(headers=headers)
        except BaseException:
            self.drop()
            raise


def http(
    daemon: Daemon,
    path: str,
    headers: Iterable[Header] = (),
    *,
    method: str = "GET",
    host: str = "localhost",
) -> HttpReply:
    """One request."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in headers)]
    with RawSocket(address_of(daemon)) as connection:
        connection.send_raw("\r\n".join([*lines, "", ""]).encode("latin-1"))
        reply: HttpReply = connection.read_reply()
        return reply


def open_status(daemon: Daemon, headers: Iterable[Header] = (), host: str = "localhost") -> int:
    """What an upgrade is answered with."""
    with RawSocket(address_of(daemon)) as connection:
        connection.send_raw(upgrade_request(host=host, headers=headers))
        status: int = connection.read_reply().status
        return status


def sign_in(daemon: Daemon, name: str) -> Header:
    """The cookie that a browser would send from now on."""
    reply = http(daemon, "/session", [bearer(name)], method="POST")
    assert reply.status == 204, (reply.status, reply.body)
    return ("Cookie", reply.headers["set-cookie"].partition(";")[0])


def request(client: RawClient, type: str, **fields: Any) -> dict[str, Any]:
    """Send a request and return the first message with its id."""
    return client.request(type=type, id=f"r{next(_ids)}", **fields)
