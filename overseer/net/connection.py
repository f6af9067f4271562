"""One accepted socket, from its first byte to its last, on one thread."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace

from overseer.auth.peer import Peer
from overseer.net.bytestream import ByteStream
from overseer.net.http import (
    BadRequest,
    Request,
    Response,
    Route,
    begin_request,
    check_upgrade,
    error_response,
    read_request,
    respond,
    route,
)
from overseer.net.keepalive import Keepalive
from overseer.net.session import ConnectionLimits, OpenSession, Session
from overseer.net.websocket import run_websocket
from overseer.net.writer import SocketOutbox, Writer
from overseer.util.awake import awake
from overseer.util.locks import Rank, lock
from overseer.util.timers import Timers

_log = logging.getLogger(__name__)

_ENDPOINT = "/ws"
_HEALTH = "/healthz"
_DRAIN = 64 * 1024
_STRANGERS_TIME = 2.0  # seconds that a stranger has for a health check, TLS and all


class Service:
    """What all connections of a server share.

    Args:
        routes: path to what answers it; the WebSocket's own path needs none.
        trusted: whether an IP address may have more than the answers to health checks.
        authorize: asked for every request but a plain one to the WebSocket's path; says who the peer is, or
            refuses it with a response.
        admits: whether a peer that was let in before still is.
        refused: told of whom was refused, and why.
    """

    def __init__(
        self,
        open_session: OpenSession,
        routes: Mapping[str, Route],
        *,
        trusted: Callable[[str], bool],
        authorize: Callable[[Request], Response | Peer] | None,
        admits: Callable[[Peer], bool],
        refused: Callable[[Peer, str], None],
        limits: ConnectionLimits,
        writer: Writer,
        timers: Timers,
    ) -> None:
        self.open_session = open_session
        self.routes = {**routes, _ENDPOINT: _plain_request}
        self.trusted = trusted
        self.authorize = authorize
        self.admits = admits
        self.refused = refused
        self.limits = limits
        self.writer = writer
        self.timers = timers
        self._counting = lock(Rank.LEAF, "websockets")
        self._websockets = 0

    def is_stranger(self, peer: Peer) -> bool:
        """Whether a peer's address is not let in; who comes by a Unix socket has none."""
        return peer.kind == "tcp" and not self.trusted(peer.address)

    def enter(self) -> bool:
        """Count one more WebSocket, if there may be one."""
        with self._counting:
            if self._websockets >= self.limits.max_connections:
                return False
            self._websockets += 1
            return True

    def leave(self) -> None:
        with self._counting:
            self._websockets -= 1


class Connection:
    """The thread of one socket: a request, then its response, or a WebSocket until that is closed.

    Args:
        stranger: whether its address may have no more than the answers to health checks.
        upgraded: called when it becomes a WebSocket, on the connection's thread.
        ended: called last, on the connection's thread.
    """

    def __init__(
        self,
        stream: ByteStream,
        peer: Peer,
        service: Service,
        number: int,
        *,
        stranger: bool,
        upgraded: Callable[[Connection], None],
        ended: Callable[[Connection], None],
    ) -> None:
        self._stream = stream
        self._peer = peer
        self.source = peer.source
        self.accepted_at = awake()
        self._service = service
        self._stranger = stranger
        self._upgraded = upgraded
        self._ended = ended
        # Guards the two below, so that a stop and an upgrade at the same time do not miss each other.
        self._state = lock(Rank.LEAF, "connection")
        self._outbox: SocketOutbox | None = None
        self._stopped: tuple[int, str] | None = None
        # A daemon: the server joins it, but not for ever.
        self._thread = threading.Thread(target=self._run, name=f"client-{number}", daemon=True)

    def __repr__(self) -> str:
        return f"<Connection {self._thread.name} {self._peer} {self._outbox or 'http'}>"

    def start(self) -> None:
        """Start the thread; RuntimeError when there can be no more threads."""
        self._thread.start()

    def stop(self, code: int, reason: str) -> None:
        """Close it: a WebSocket with this code after its pending output, else at once. Does not wait."""
        with self._state:
            self._stopped = (code, reason)
            outbox = self._outbox
        if outbox is None:
            self._stream.abort()
        else:
            outbox.close(code, reason)

    def close_unwelcome(self) -> bool:
        """Close the WebSocket, if it is one, when its peer is not let in any more; whether that was so."""
        with self._state:
            outbox = self._outbox
        if outbox is None or outbox.closed or self._service.admits(self._peer):
            return False
        outbox.close(1008, "what let this client in has changed: connect again")
        return True

    def join(self, timeout: float) -> bool:
        """Wait for the thread's end; False when it did not come in ``timeout`` seconds."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._serve()
        except OSError as error:
            _log.debug("%s: %s", self._peer, error)
        except BaseException:
            _log.exception("a connection failed: %r", self)
        finally:
            try:
                self._stream.close()
            finally:
                self._ended(self)

    def _serve(self) -> None:
        limits = self._service.limits
        try:
            allowed = limits.handshake_timeout
            deadline = awake() + (min(allowed, _STRANGERS_TIME) if self._stranger else allowed)
            self._peer = replace(self._peer, certificate=self._stream.open(deadline))
            begun = begin_request(self._stream, deadline) if self._stranger else b""
            if begun is None:
                self._respond(self._refused(), head_only=False)
                return
            request = read_request(self._stream, self._peer, deadline, begun)
        except BadRequest as error:
            self._respond(error.response, head_only=False)
            return
        if request is None:
            return
        response = self._answer(request)
        if response is not None:
            self._respond(response, head_only=request.method == "HEAD")
            return
        try:
            self._websocket(request)
        finally:
            self._service.leave()

    def _respond(self, response: Response, *, head_only: bool) -> None:
        limits = self._service.limits
        respond(
            self._stream,
            response,
            timeout=limits.handshake_timeout,
            linger=limits.close_timeout,
            head_only=head_only,
        )

    def _answer(self, request: Request) -> Response | None:
        """The response, or None when a WebSocket is to be opened (and was counted)."""
        service = self._service
        upgrade = request.path == _ENDPOINT and request.is_upgrade
        known = request.path in (_ENDPOINT, _HEALTH) and request.method in ("GET", "HEAD")
        health_check = known and not upgrade
        # Asked again, for the configuration may have changed since it was accepted.
        if not health_check and (self._stranger or service.is_stranger(self._peer)):
            return self._refused()
        if service.authorize is not None and (upgrade or request.path != _ENDPOINT):
            answer = service.authorize(request)
            if isinstance(answer, Response):
                return answer
            self._peer = answer
            request = replace(request, peer=answer)
        if not upgrade:
            return route(request, service.routes)
        wrong = check_upgrade(request)
        if wrong is not None:
            return wrong
        if not service.enter():
            service.refused(self._peer, "too many clients are connected")
            return error_response(503, "too many clients are connected (limits.max_connections)")
        return None

    def _refused(self) -> Response:
        self._service.refused(self._peer, "not in trusted_cidrs")
        return error_response(403, "this address is not trusted (trusted_cidrs)")

    def _websocket(self, request: Request) -> None:
        service, limits = self._service, self._service.limits
        outbox = SocketOutbox(
            self._stream,
            service.writer,
            bound=limits.buffer,
            stall_timeout=limits.stall_timeout,
            close_timeout=limits.close_timeout,
            timers=service.timers,
        )
        keepalive = Keepalive(outbox, limits, service.timers)
        try:
            with self._state:
                self._outbox = outbox
                stopped = self._stopped
            # Who was let in by what has changed meanwhile is not: from here on it would be found and closed.
            if stopped is not None or not service.admits(self._peer):
                return
            self._upgraded(self)
            self._talk(request, outbox, keepalive)
            self._drain()
        finally:
            keepalive.stop()
            outbox.detach()

    def _talk(self, request: Request, outbox: SocketOutbox, keepalive: Keepalive) -> None:
        session: Session | None = None

        def opened() -> Callable[[str | bytes], None]:
            nonlocal session
            session = self._service.open_session(outbox, self._peer)
            return receive

        def receive(data: str | bytes) -> None:
            assert session is not None
            try:
                session.receive(data)
            except Exception:
                _log.exception("a message could not be handled: %r", self)
                outbox.close(1011, "internal error")

        try:
            run_websocket(
                request,
                self._stream,
                outbox,
                max_message=self._service.limits.max_message,
                keepalive=keepalive,
                opened=opened,
            )
        except Exception:
            _log.exception("a session failed: %r", self)
            outbox.close(1011, "internal error")
        finally:
            if session is not None:
                session.closed()

    def _drain(self) -> None:
        """Read to the peer's end: closing a socket with bytes unread would cut off what it has not read yet.

        Bounded: the outbox cuts the connection when its close timeout is over.
        """
        while self._stream.receive(_DRAIN):
            pass


def _plain_request(request: Request) -> Response:
    """What the WebSocket's path answers to a request that asks for no WebSocket."""
    if request.method == "HEAD":
        return Response(200)
    return error_response(400, "this is a WebSocket endpoint: an upgrade is required")
