"""What all connections of a server share: who may connect, and what answers a request."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Protocol

from overseer.auth.peer import Peer
from overseer.net.bytestream import ByteStream, SocketStream
from overseer.net.handler import Handler, OpenHandler
from overseer.net.http import ENDPOINT, Reply, Request, Response, Route, error_response
from overseer.net.limits import ConnectionLimits
from overseer.net.readable_outbox import ReadableOutbox
from overseer.util.locks import Rank, lock
from overseer.util.timers import Timers


class Policy:
    """Who may connect, and as whom. This one admits everyone; called from any thread."""

    def trusts(self, address: str) -> bool:
        """Whether an IP address may do more than health checks."""
        return True

    def wrap(self, sock: socket.socket, peer: Peer) -> tuple[ByteStream, Peer]:
        """The stream of an accepted TCP connection, and its peer."""
        return SocketStream(sock), peer

    def authorize(self, request: Request) -> Response | Peer:
        """Who the peer is, or a response that refuses it; not called for plain requests to ``/ws``."""
        return request.peer

    def admits(self, peer: Peer) -> bool:
        """Whether a peer that was authorized earlier still would be."""
        return True

    def refused(self, peer: Peer, reason: str) -> None:
        """Report a refusal; strangers may cause any number of them."""


class Service(Protocol):
    """Answers requests that are more than a look at a document, on their connection's thread."""

    def serve(self, request: Request, handler: Handler, outbox: ReadableOutbox, reply: Reply) -> None:
        """Answer with ``reply``: ``handler`` takes messages of the client, whose answers come to ``outbox``.

        Raises:
            BadRequest: what came cannot be read.
            OSError: the connection broke.
        """

    def refusal(self, response: Response) -> Response:
        """The refusal of a request, in the service's own form."""


class Hooks(Protocol):
    """Answers requests that anybody may send: their contents prove who has sent them."""

    @property
    def enabled(self) -> bool:
        """Whether there is anything that takes such requests."""

    def takes(self, request: Request) -> bool:
        """Whether a request is one of these."""

    def answer(self, request: Request, *, stranger: bool) -> Response:
        """The response. Raises OSError: the connection broke."""


class Endpoint:
    """What all connections of a server share.

    Args:
        open_handler: called for each WebSocket, and each request to a service, on its own thread.
        routes: path to what answers a GET there; the WebSocket's own path needs none.
        services: what serves all paths that begin so.
        hooks: answers what is taken from anybody.
        limits: of the connections to come; may be replaced.
    """

    def __init__(
        self,
        open_handler: OpenHandler,
        routes: Mapping[str, Route],
        *,
        services: Mapping[str, Service] | None = None,
        hooks: Hooks | None = None,
        policy: Policy,
        limits: ConnectionLimits,
        timers: Timers,
    ) -> None:
        self.open_handler = open_handler
        self.routes = {**routes, ENDPOINT: _plain_request}
        self._services = services or {}
        self.hooks = hooks
        self.policy = policy
        self.limits = limits
        self.timers = timers
        self._counting = lock(Rank.LEAF, "admitted")
        self._admitted = 0

    def service(self, path: str) -> Service | None:
        """What serves this path, if anything does; it goes before a route."""
        return next((each for prefix, each in self._services.items() if path.startswith(prefix)), None)

    def is_stranger(self, peer: Peer) -> bool:
        """Whether a TCP peer's address is not trusted."""
        return peer.kind == "tcp" and not self.policy.trusts(peer.address)

    def enter(self) -> bool:
        """Take a place for a WebSocket, or a request to a service; False: there is none. :meth:`leave` gives
        it back."""
        with self._counting:
            if self._admitted >= self.limits.max_connections:
                return False
            self._admitted += 1
            return True

    def leave(self) -> None:
        with self._counting:
            self._admitted -= 1


def _plain_request(request: Request) -> Response:
    """The answer of the WebSocket's path to a request that does not ask for a WebSocket."""
    if request.method == "HEAD":
        return Response(200)
    return error_response(400, "this is a WebSocket endpoint: an upgrade is required")
