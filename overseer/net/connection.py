"""One accepted socket, from its first byte to its last, on one thread at a time."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from typing import Any

from overseer.auth.peer import Peer
from overseer.auth.sign_ins import SignIn
from overseer.net.bytestream import ByteStream
from overseer.net.endpoint import Endpoint, Hooks, Service
from overseer.net.frames import SHUTTING_DOWN
from overseer.net.handler import Handler
from overseer.net.http import (
    BUSY,
    ENDPOINT,
    BadRequest,
    Reply,
    Request,
    Response,
    begin_request,
    check_upgrade,
    error_response,
    read_request,
    route,
)
from overseer.net.idle_connections import IdleConnections
from overseer.net.outbox import Outbox
from overseer.net.readable_outbox import ReadableOutbox
from overseer.net.receiver import opening
from overseer.net.websocket import WebSocket
from overseer.net.writer import Writer
from overseer.util.awake_clock import awake
from overseer.util.dataclass_json import to_plain
from overseer.util.handover_format import Incoming, Outgoing
from overseer.util.locks import Rank, lock
from overseer.util.standstill import standstill
from overseer.util.threads import start_thread
from overseer.util.websocket_frame import CloseCode

_log = logging.getLogger(__name__)

_STRANGERS_TIME = 2.0  # seconds that a stranger has for a health check, TLS included
_SILENCE_S = 5.0  # of a WebSocket's client, after which its thread ends


class Connection:
    """One socket: a request, then its response, or a WebSocket until that is closed.

    It is served by a thread of its own, but while its client is silent it has none: it is idle then.

    Args:
        idle: where it waits while it is idle.
        stranger: its address may only do health checks.
        admitted: called when it becomes a WebSocket, or a service is to answer, on the connection's thread.
        ended: called last, on the connection's thread.
    """

    def __init__(
        self,
        stream: ByteStream,
        peer: Peer,
        endpoint: Endpoint,
        writer: Writer,
        idle: IdleConnections,
        number: int,
        *,
        stranger: bool,
        admitted: Callable[[Connection], None],
        ended: Callable[[Connection], None],
    ) -> None:
        self.stream = stream
        self.peer = peer
        self.source = peer.source
        self.accepted_at = awake()
        self._endpoint = endpoint
        self._writer = writer
        self._idle = idle
        self._number = number
        self._stranger = stranger
        self._admitted = admitted
        self._ended = ended
        # Guards the three below: a stop and an upgrade at the same time must not miss each other.
        self._state = lock(Rank.LEAF, "connection")
        self.outbox: Outbox | None = None  # once it is admitted
        self._stopped: tuple[int, str] | None = None
        self._asked = False  # the request has been read, or refused: turn_away sends nothing any more
        self.websocket: WebSocket | None = None
        # Of the thread that serves it, as the rest of a WebSocket's state.
        self._entered = False  # it has a place of the endpoint's

    def __repr__(self) -> str:
        return f"<Connection {self._number} {self.peer} {self.outbox or 'http'}>"

    def start(self) -> None:
        """Start the thread. Raises RuntimeError when the system allows no more threads."""
        start_thread(lambda: self._run(_SILENCE_S), f"client-{self._number}")

    # What follows until stop is for IdleConnections.

    def fileno(self) -> int:
        return self.stream.fileno()

    def drop_pongs(self) -> bool:
        return self.websocket is not None and self.websocket.drop_pongs()

    def go_on(self) -> bool:
        try:
            self.start()
        except RuntimeError:
            return False
        return True

    def take_turn(self) -> None:
        self._run(0.0)

    def end(self) -> None:
        self.stop(*SHUTTING_DOWN)
        self.stream.abort()
        self._run(0.0)

    def stop(self, code: int, reason: str) -> None:
        """Close a WebSocket with this code, and a service's answer, after their pending output; cut anything
        else at once. Does not wait."""
        with self._state:
            self._stopped = (code, reason)
            outbox = self.outbox
        if outbox is None:
            self.stream.abort()
        else:
            outbox.close(code, reason)

    def turn_away(self, code: int, reason: str) -> None:
        """As :meth:`stop`; a client that has not sent all of its request is told to try again."""
        with self._state:
            self._stopped = (code, reason)  # no request is answered from here on
            asked = self._asked
        if not asked and self.stream.portable:
            with suppress(OSError):
                self.stream.send([BUSY])
        self.stop(code, reason)

    def close_if_revoked(self) -> bool:
        """Close it if it was admitted and its peer no longer would be; whether that was so."""
        with self._state:
            outbox = self.outbox
        if outbox is None or outbox.closed or self._endpoint.policy.admits(self.peer):
            return False
        outbox.close(CloseCode.POLICY_VIOLATION, "access has changed: connect again")
        return True

    def _run(self, patience: float) -> None:
        try:
            while self._serve(patience):
                if self._idle.add(self):
                    return  # another thread may have it already
                if not patience:  # nor is this thread there for it alone
                    self.stop(CloseCode.TRY_AGAIN_LATER, "the server can watch no more connections")
                patience = math.inf  # the system can watch no more, so it keeps this thread
        except OSError as error:
            _log.debug("%s: %s", self.peer, error)
        except BaseException:
            _log.exception("a connection failed: %r", self)
        with standstill:  # what is handed over stays whole
            if self._entered:
                self._endpoint.leave()
            try:
                self.stream.close()
            finally:
                self._ended(self)

    def _serve(self, patience: float) -> bool:
        """Serve it to its end, or until it is idle; whether it is."""
        if self.websocket is not None:  # it was idle, or handed over
            return self.websocket.serve(None, patience)
        request = self._admit()
        return request is not None and self._open_websocket(request, patience)

    def _admit(self) -> Request | None:
        """Read the request and answer it, unless it opens a WebSocket: that is returned."""
        hooks = self._endpoint.hooks
        try:
            request = self._read_request(hooks)
        except BadRequest as error:
            if self._begin_answer():
                self._respond(error.response)
            return None
        if not self._begin_answer() or request is None:
            return None
        if hooks is not None and hooks.takes(request):
            stranger = self._stranger or self._endpoint.is_stranger(self.peer)
            self._respond(hooks.answer(replace(request, peer=self.peer), stranger=stranger))
            return None
        service = self._endpoint.service(request.path)
        response = self._answer(request, service)
        if response is None:
            self._entered = self._endpoint.enter()
            response = None if self._entered else self._full()
        head_only = request.method == "HEAD"
        if response is not None:
            self._respond(service.refusal(response) if service else response, head_only=head_only)
            return None
        request = replace(request, peer=self.peer)
        if service is None:
            return opening(request)
        # Who reads slowly has as long as on a WebSocket.
        timeout = self._endpoint.limits.stall_timeout
        self._serve_by(service, request, self._reply(head_only=head_only, timeout=timeout))
        return None

    def _begin_answer(self) -> bool:
        """From here on only this thread sends; False: it sends nothing, as the connection was stopped."""
        with self._state:
            self._asked = True
            return self._stopped is None

    def _read_request(self, hooks: Hooks | None) -> Request | None:
        """The request; None: the peer went away without one. Raises BadRequest, OSError."""
        allowed = self._endpoint.limits.handshake_timeout
        deadline = awake.after(min(allowed, _STRANGERS_TIME) if self._stranger else allowed)
        self.peer = replace(self.peer, certificate=self.stream.open(deadline))
        if not self._stranger:
            return read_request(self.stream, self.peer, deadline)
        begun = begin_request(self.stream, deadline, hooks=hooks is not None and hooks.enabled)
        if begun is None:
            raise BadRequest(self._refused())
        return read_request(self.stream, self.peer, deadline, begun)

    def _respond(self, response: Response, *, head_only: bool = False) -> None:
        self._reply(head_only=head_only).send(response)

    def _reply(self, *, head_only: bool, timeout: float = 0.0) -> Reply:
        limits = self._endpoint.limits
        timeout = timeout or limits.handshake_timeout
        return Reply(self.stream, timeout=timeout, linger=limits.close_timeout, head_only=head_only)

    def _answer(self, request: Request, service: Service | None) -> Response | None:
        """The response; None: a WebSocket is to be opened, or the service to answer, if there is a place."""
        endpoint, policy = self._endpoint, self._endpoint.policy
        upgrade = request.path == ENDPOINT and request.is_upgrade
        # Asked again: the configuration may have changed since the connection was accepted.
        if not request.is_health_check and (self._stranger or endpoint.is_stranger(self.peer)):
            return self._refused()
        if upgrade or request.path != ENDPOINT:
            answer = policy.authorize(request)
            if isinstance(answer, Response):
                return answer
            self.peer = answer
            request = replace(request, peer=answer)
        if service is not None:
            return None
        return check_upgrade(request) if upgrade else route(request, endpoint.routes)

    def _full(self) -> Response:
        self._endpoint.policy.refused(self.peer, "too many clients are connected")
        return error_response(503, "too many clients are connected (limits.max_connections)")

    def _refused(self) -> Response:
        self._endpoint.policy.refused(self.peer, "not in trusted_cidrs")
        return error_response(403, "this address is not trusted (trusted_cidrs)")

    def _serve_by(self, service: Service, request: Request, reply: Reply) -> None:
        endpoint = self._endpoint
        outbox = ReadableOutbox(endpoint.limits, endpoint.timers, self.stream.abort)
        if not self._enter(outbox):
            return
        handler = endpoint.open_handler(outbox, self.peer)
        try:
            service.serve(request, handler, outbox, reply)
        except BadRequest as error:
            if not reply.begun:
                reply.send(service.refusal(error.response))
        finally:
            outbox.fail()
            handler.closed()

    def _enter(self, outbox: Outbox) -> bool:
        """Have the connection known by its outbox, which :meth:`close_if_revoked` finds from here on; False:
        it is to end at once."""
        with self._state:
            self.outbox = outbox
            stopped = self._stopped
        # What let it in may have been revoked since.
        if stopped is not None or not self._endpoint.policy.admits(self.peer):
            return False
        self._admitted(self)
        return True

    def _open_websocket(self, request: Request, patience: float) -> bool:
        websocket = WebSocket(self.stream, self._writer, self._endpoint, self.peer, request.rest)
        self.websocket = websocket
        if self._enter(websocket.outbox):
            return websocket.serve(request, patience)
        websocket.outbox.detach()
        return False

    # Upgrades

    @property
    def handler(self) -> Handler | None:
        """What takes a WebSocket's messages."""
        return None if self.websocket is None else self.websocket.handler

    @property
    def portable(self) -> bool:
        """Whether another program can go on with it: a WebSocket, at most."""
        return self.websocket is not None and self.websocket.portable

    def export(self, key_of: Callable[[SignIn], str], out: Outgoing) -> dict[str, Any]:
        """What another program has to know to go on with a portable one; within :func:`frozen`.

        Args:
            key_of: by what a sign-in is known there.
        """
        assert self.websocket is not None
        sign_in = self.peer.sign_in
        return {
            "fd": out.fd(self.stream.fileno()),
            "peer": to_plain(replace(self.peer, sign_in=None)) | {"sign_in": sign_in and key_of(sign_in)},
            **self.websocket.export(out),
        }

    def restore(self, data: Mapping[str, Any], given: Incoming) -> None:
        """Be the WebSocket that another program has exported; it goes on with :meth:`resume`.

        Raises:
            RuntimeError: there are too many connections.
        """
        self._entered = self._endpoint.enter()
        if not self._entered:
            raise RuntimeError("too many clients are connected")
        self.websocket = WebSocket(self.stream, self._writer, self._endpoint, self.peer)
        self.outbox = self.websocket.outbox
        self.websocket.restore(data, given)

    def resume(self) -> None:
        """Go on with what was restored. Raises RuntimeError when the system allows no more threads."""
        assert self.websocket is not None
        self.websocket.go_on()
        if self.websocket.has_received or not self._idle.add(self):
            self.start()


@contextmanager
def frozen(connections: Sequence[Connection], seconds: float) -> Iterator[None]:
    """Keep what waits for the clients of portable connections as it is: nothing is sent.

    Raises:
        TimeoutError: something is held for longer.
    """
    deadline = time.monotonic() + seconds
    with ExitStack() as stack:
        for each in connections:
            assert each.websocket is not None
            stack.enter_context(each.websocket.outbox.frozen(deadline))
        yield
