"""The server: its listening sockets, the thread that accepts, and every connection there is."""

from __future__ import annotations

import errno
import logging
import select
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from overseer.auth.peer import Peer
from overseer.config.listen import Listen
from overseer.net.bytestream import ByteStream, SocketStream
from overseer.net.connection import Connection, Service
from overseer.net.http import Request, Response, Route
from overseer.net.listeners import Listener, adopt_listener, open_listener
from overseer.net.lobby import Lobby
from overseer.net.outbox import TRY_AGAIN_LATER
from overseer.net.session import ConnectionLimits, OpenSession
from overseer.net.writer import Writer
from overseer.util.awake import Ticker, awake
from overseer.util.locks import Rank, lock
from overseer.util.threads import VitalThread
from overseer.util.timers import Timers
from overseer.util.wakeup import Wakeup

_log = logging.getLogger(__name__)

_HEADROOM = 64  # connections beyond max_connections: requests that are no WebSocket, and refusals
_STRANGERS = 16  # connections from addresses that are not let in: health checks
_SLOW = 2.0  # seconds after which who has said nothing whole makes room where descriptors or threads run out
_MAKING_ROOM = 0.5  # seconds to wait for one that was cut
_RETRY = 1.0  # seconds until accepting is tried again when descriptors ran out and none was given back
_SAID_AGAIN = 10.0  # seconds
_OUT_OF = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_NO_LISTENER = (errno.EBADF, errno.EINVAL, errno.ENOTSOCK)
_BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class _Broken(Exception):
    """There is nothing to accept from any more; to try again would be of no use."""


class Server:
    """Serves one listening address, TCP or a Unix socket.

    Args:
        open_session: called for each WebSocket, on its own thread.
        routes: path to what answers a GET there.
        trusted: whether an IP address is let in; not asked about a Unix socket's peers.
        authorize: if given, asked about each request: who the peer is, or a response that refuses it.
        admits: whether a peer that was let in before still is; see :meth:`close_unwelcome`.
        refused: told of whom was refused, and why; may be called for each request of a stranger.
        receive: makes the stream of a TCP connection, and tells its peer the door; TLS comes in here.
        sockets: those to serve, which listen already; then ``listen`` only says of which kind they are.

    Raises:
        OverseerError: it cannot listen there.
    """

    def __init__(
        self,
        listen: Listen,
        open_session: OpenSession,
        *,
        routes: Mapping[str, Route],
        trusted: Callable[[str], bool],
        timers: Timers,
        limits: ConnectionLimits | None = None,
        authorize: Callable[[Request], Response | Peer] | None = None,
        admits: Callable[[Peer], bool] = lambda peer: True,
        refused: Callable[[Peer, str], None] = lambda peer, reason: None,
        receive: Callable[[socket.socket, Peer], tuple[ByteStream, Peer]] | None = None,
        sockets: Sequence[socket.socket] = (),
    ) -> None:
        self._limits = limits or ConnectionLimits()
        self._listener: Listener = adopt_listener(sockets) if sockets else open_listener(listen)
        self._receive = receive
        self._writer = Writer()
        self._service = Service(
            open_session,
            routes,
            trusted=trusted,
            authorize=authorize,
            admits=admits,
            refused=refused,
            limits=self._limits,
            writer=self._writer,
            timers=timers,
        )
        # Guards what follows; notified when a connection ends (a descriptor is free again) and at shutdown.
        self._changed = threading.Condition(lock(Rank.LEAF, "server"))
        self._connections: set[Connection] = set()
        # Those that are no WebSocket yet and may be made to go, and which were and have not ended.
        self._lobby: Lobby[Connection] = Lobby()
        self._strangers: Lobby[Connection] = Lobby()
        self._going: set[Connection] = set()
        self._numbers = 0
        self._accepting = True
        self._warned = ("", 0.0)  # the acceptor's own: what it warned of last, and when
        # A daemon, but joined by shutdown.
        self._acceptor = VitalThread(target=self._run, name="net-accept")
        self._wake = Wakeup()
        self._timers = timers
        self._ticker: Ticker | None = None

    def __repr__(self) -> str:
        return f"<Server {self._listener.address} connections={len(self._connections)}>"

    @property
    def address(self) -> tuple[str, int] | str:
        """(host, port), with the port that was chosen for 0, or the Unix socket's path."""
        return self._listener.address

    @property
    def everywhere(self) -> bool:
        """Whether it listens on every interface."""
        return self._listener.everywhere

    def set_limits(self, limits: ConnectionLimits) -> None:
        """Bounds of the connections to come; those there are keep theirs."""
        self._limits = self._service.limits = limits

    def close_unwelcome(self) -> int:
        """Close the WebSockets whose peers are not let in any more; returns how many there were."""
        with self._changed:
            connections = list(self._connections)
        return sum(connection.close_unwelcome() for connection in connections)

    def start(self) -> None:
        """Begin to accept; the address is taken since construction.

        The threads that all clients share are started here: later there may be none to be had.
        """
        self._timers.start()
        self._ticker = Ticker(self._timers)
        self._writer.start()
        self._acceptor.start()

    def _stop_accepting(self) -> None:
        """Close the listening sockets; connections go on. Idempotent."""
        with self._changed:
            if not self._accepting:
                return
            self._accepting = False
            self._changed.notify_all()
        if self._acceptor.is_alive():
            self._wake.set()
            self._acceptor.join()
        self._listener.close()
        self._wake.close()

    def shutdown(self, code: int = 1001, reason: str = "the server is shutting down") -> None:
        """Stop accepting, close every client after its pending output, and join their threads.

        Takes a little over ``close_timeout`` seconds at most. Idempotent.
        """
        self._stop_accepting()
        deadline = time.monotonic() + self._limits.close_timeout + 0.5
        with self._changed:
            connections = list(self._connections)
        for connection in connections:
            connection.stop(code, reason)
        for connection in connections:
            if not connection.join(deadline - time.monotonic()):
                _log.warning("a client's thread is still busy: %r", connection)
        self._writer.close()
        if self._ticker is not None:
            self._ticker.stop()

    def _run(self) -> None:
        try:
            self._accept_all()
        except BaseException:
            self._listener.close()  # so that who comes is refused, and does not wait in vain
            raise

    def _accept_all(self) -> None:
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        sockets = {sock.fileno(): sock for sock in self._listener.sockets}
        for fd in sockets:
            poll.register(fd, select.POLLIN)
        while True:
            ready = poll.poll()
            if not self._accepting:
                return
            for fd, _ in ready:
                if fd not in sockets:
                    continue
                try:
                    self._accept(sockets[fd])
                except _Broken:
                    raise
                except Exception:
                    _log.exception("accepting a connection failed")

    def _accept(self, ready: socket.socket) -> None:
        try:
            sock, peer = self._listener.accept(ready)
        except (BlockingIOError, ConnectionError):
            return  # it is gone already
        except OSError as error:
            if error.errno in _NO_LISTENER:
                raise _Broken(f"the listening socket is broken: {error.strerror}") from None
            if error.errno not in _OUT_OF:
                raise
            # The connection stays where it is, and would be reported again at once: wait for a descriptor.
            self._warn(f"cannot accept connections: {error.strerror}")
            self._cut_one(self._lobby, idle=_SLOW)  # whose descriptor may be had
            with self._changed:
                self._changed.wait(_RETRY)
            return
        try:
            self._serve(sock, peer)
        except BaseException:
            sock.close()
            raise

    def _serve(self, sock: socket.socket, peer: Peer) -> None:
        # Before a byte is read: who is not let in has few places, and takes none from the others.
        stranger = self._service.is_stranger(peer)
        if not self._make_room(stranger):
            _refuse(sock)
            return
        with self._changed:
            self._numbers += 1
            stream, peer = self._received(sock, peer)
            connection = Connection(
                stream,
                peer,
                self._service,
                self._numbers,
                stranger=stranger,
                upgraded=self._upgraded,
                ended=self._ended,
            )
            self._connections.add(connection)
            (self._strangers if stranger else self._lobby).enter(connection, peer.source)
        try:
            connection.start()
        except RuntimeError:  # no more threads
            self._ended(connection)
            self._warn("cannot serve a connection: no more threads can be started")
            self._cut_one(self._lobby, idle=_SLOW)  # whose thread the next one may have
            _refuse(sock)

    def _make_room(self, stranger: bool) -> bool:
        """Have room for one more connection, if another has to be cut for it; False: there is none."""
        with self._changed:
            staying = len(self._connections) - len(self._going)
            lobby = self._strangers if stranger else self._lobby
            most = self._limits.max_connections + _HEADROOM + _STRANGERS
            full = len(lobby) >= _STRANGERS if stranger else staying >= most
        if full and not self._cut_one(lobby):
            return False
        with self._changed:  # what was cut has a thread and a descriptor until it has ended
            return self._changed.wait_for(lambda: len(self._going) < _HEADROOM, _MAKING_ROOM)

    def _cut_one(self, lobby: Lobby[Connection], idle: float = 0.0) -> bool:
        """Cut the connection that has to go first; False: there is none, or it is younger than ``idle`` s."""
        with self._changed:
            found = lobby.next_to_go()
            if found is None or found[0].accepted_at + idle > awake():
                return False
            connection, place = found
            lobby.leave(connection, place)
            self._going.add(connection)
        connection.stop(TRY_AGAIN_LATER, "there are too many connections")
        return True

    def _upgraded(self, connection: Connection) -> None:
        with self._changed:
            self._lobby.leave(connection, connection.source)

    def _warn(self, text: str) -> None:
        """Log what strangers can bring about, and so could say again and again."""
        now = time.monotonic()
        if text != self._warned[0] or now - self._warned[1] >= _SAID_AGAIN:
            self._warned = text, now
            _log.warning("%s", text)

    def _received(self, sock: socket.socket, peer: Peer) -> tuple[ByteStream, Peer]:
        if self._receive is None or peer.kind != "tcp":
            return SocketStream(sock), peer
        return self._receive(sock, peer)

    def _ended(self, connection: Connection) -> None:
        with self._changed:
            self._connections.discard(connection)
            self._going.discard(connection)
            for lobby in (self._lobby, self._strangers):
                lobby.leave(connection, connection.source)
            self._changed.notify_all()


def _refuse(sock: socket.socket) -> None:
    """Say 503, if the socket takes it, and close."""
    with sock:
        try:
            sock.send(_BUSY, socket.MSG_DONTWAIT)
            sock.shutdown(socket.SHUT_WR)
            sock.recv(1 << 16, socket.MSG_DONTWAIT)  # unread bytes would cut off what was sent
        except OSError:
            pass
