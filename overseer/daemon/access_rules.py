"""The access rules as one value, read from the configuration: tokens, users, certificates, networks."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from overseer.auth.networks import AutomaticTrust, is_trusted
from overseer.auth.origins import BrowserRules
from overseer.auth.peer import Peer
from overseer.auth.rights import ANYONE, Principal
from overseer.auth.tokens import Tokens
from overseer.config import Config, Digest, ErrorCollector, parse_cidrs
from overseer.daemon.credentials import load_tokens, load_users
from overseer.net.bytestream import ByteStream, SocketStream

if TYPE_CHECKING:
    from overseer.net.tls import Certificates


@dataclass(frozen=True, slots=True)
class Access:
    """Who may connect, and how.

    ``users`` is None if a Unix socket asks for no identity: anyone who may open its file may do everything.
    ``trusts`` tells whether an IP address may connect at all.
    """

    config: Config
    tokens: Tokens
    users: Mapping[int, Principal] | None
    certificates: Certificates | None
    browsers: BrowserRules
    trusts: Callable[[str], bool]

    @property
    def encrypted(self) -> bool:
        """Whether clients speak TLS to the server itself."""
        return self.certificates is not None

    def asks(self, peer: Peer) -> bool:
        """Whether a peer over this transport must identify itself."""
        return bool(self.tokens) or (peer.kind == "unix" and self.users is not None)

    def admits(self, peer: Peer) -> bool:
        """Whether an authorized peer would be authorized again, with the same rights."""
        if peer.kind == "tcp" and not (peer.transport == self.transport and self.trusts(peer.address)):
            return False
        if peer.principal == ANYONE:
            return not self.asks(peer)
        return self.knows(peer.principal)

    def knows(self, principal: Principal) -> bool:
        """Whether a principal with this name, these rights and this token exists."""
        return principal in self.tokens.principals or principal in (self.users or {}).values()

    @property
    def transport(self) -> str:
        """How TCP connections are accepted; see :class:`Peer`."""
        return "" if self.certificates is None else self.certificates.transport

    def wrap(self, sock: socket.socket, peer: Peer) -> tuple[ByteStream, Peer]:
        """The stream of an accepted TCP connection, and its peer."""
        stream = SocketStream(sock) if self.certificates is None else self.certificates.wrap(sock)
        return stream, replace(peer, transport=self.transport)

    def differing(self, other: Access) -> tuple[str, ...]:
        """The top-level keys whose files or variables have other contents than in ``other``."""
        found = []
        if self.certificates != other.certificates:
            found.append("tls")
        if self.tokens != other.tokens or self.users != other.users:
            found.append("auth")
        return tuple(found)


def load_access(config: Config, variables: Mapping[str, Digest]) -> Access:
    """Read tokens, users and certificates.

    Args:
        variables: the tokens in the environment, by the variable's name.

    Raises:
        ConfigError: something cannot be read, or does not fit collector.
    """
    collector = ErrorCollector()
    with collector.step():
        tokens = load_tokens(config, variables)
    with collector.step():
        users = load_users(config)
    with collector.step():
        certificates = _certificates(config)
    collector.raise_errors()
    return Access(
        config=config,
        tokens=tokens,
        users=users if tokens or config.auth.unix else None,
        certificates=certificates,
        browsers=BrowserRules(
            origins=config.allowed_origins,
            hosts=config.allowed_hosts,
            own_names=_own_names(),
            check_host=not tokens,
            encrypted=certificates is not None,
        ),
        trusts=_trust(config),
    )


def _certificates(config: Config) -> Certificates | None:
    if not config.tls.cert:
        return None
    from overseer.net.tls import Certificates  # imported only if configured

    return Certificates.load(config)


def _trust(config: Config) -> Callable[[str], bool]:
    if config.trusted_cidrs is None:
        return AutomaticTrust()
    networks = parse_cidrs(config.trusted_cidrs)
    return lambda address: is_trusted(address, networks)


def _own_names() -> set[str]:
    name = socket.gethostname()
    return {name, name.partition(".")[0]}
