"""The server: its listening sockets, the accepting thread, and all connections."""

from __future__ import annotations

import errno
import logging
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from overseer.auth.peer import Peer
from overseer.auth.sign_ins import SignIn
from overseer.net.bytestream import ByteStream, SocketStream
from overseer.net.connection import Connection
from overseer.net.endpoint import Endpoint
from overseer.net.frames import SHUTTING_DOWN
from overseer.net.http import BUSY
from overseer.net.idle_connections import IdleConnections
from overseer.net.listeners import Listener
from overseer.net.pending_connections import PendingConnections
from overseer.net.readable_outbox import ReadableOutbox
from overseer.net.writer import Writer
from overseer.util.awake_clock import Ticker, awake
from overseer.util.dataclass_json import from_plain
from overseer.util.handover_format import Incoming
from overseer.util.locks import Rank, assert_held, lock
from overseer.util.standstill import standstill
from overseer.util.threads import VitalThread
from overseer.util.wakeup import Wakeup
from overseer.util.websocket_frame import CloseCode

_log = logging.getLogger(__name__)

_HEADROOM = 64  # connections beyond max_connections, for plain requests and refusals
_STRANGERS = 16  # connections from untrusted addresses: health checks
_SLOW = 2.0  # seconds after which an incomplete request may be evicted for its descriptor or thread
_MAKING_ROOM = 0.5  # seconds to wait for the end of an evicted connection
_RETRY = 1.0  # seconds until accepting is tried again when descriptors ran out and none was given back
_WARN_AGAIN = 10.0  # seconds
_OUT_OF = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_NO_LISTENER = (errno.EBADF, errno.EINVAL, errno.ENOTSOCK)


class _Broken(Exception):
    """There is nothing left to accept from."""


class Server:
    """Serves an endpoint on one listening address, TCP or a Unix socket."""

    def __init__(self, listener: Listener, endpoint: Endpoint) -> None:
        self.listener = listener
        self.endpoint = endpoint
        self._writer = Writer()
        self._idle = IdleConnections()
        self._lock = lock(Rank.LEAF, "server")  # guards the fields below
        # Notified when a connection was accepted or has ended (its descriptor is free again), and when
        # accepting may go on or ends.
        self._changed = threading.Condition(self._lock)
        self._connections: set[Connection] = set()
        # Not admitted yet, and so open to eviction; and those that were evicted and have not ended.
        self._pending: PendingConnections[Connection] = PendingConnections()
        self._strangers: PendingConnections[Connection] = PendingConnections()
        self._evicted: set[Connection] = set()
        self._numbers = 0
        self._accepting = True
        self._held = False  # no connection is accepted for now
        self._busy = False  # one is being accepted
        self._warned = ("", 0.0)  # the acceptor's own: its last warning, and when it gave it
        self._acceptor = VitalThread(target=self._run, name="net-accept")
        self._wake = Wakeup()
        self._ticker: Ticker | None = None

    def __repr__(self) -> str:
        return f"<Server {self.listener.address} connections={len(self._connections)}>"

    @property
    def address(self) -> tuple[str, int] | str:
        """(host, port), with the port that was chosen for 0, or the Unix socket's path."""
        return self.listener.address

    @property
    def everywhere(self) -> bool:
        """Whether it listens on every interface."""
        return self.listener.everywhere

    def close_revoked(self) -> int:
        """Close what was admitted for peers that no longer would be; returns how many there were."""
        return sum(connection.close_if_revoked() for connection in self.connections())

    def start(self) -> None:
        """Begin to accept.

        Starts the threads that all clients share, while there are threads to be had.
        """
        self.endpoint.timers.start()
        self._ticker = Ticker(self.endpoint.timers, lambda: bool(self._connections))
        self._writer.start()
        self._idle.start()
        self._acceptor.start()

    def connections(self) -> list[Connection]:
        """All that there are."""
        with self._changed:
            return list(self._connections)

    def drain(self, seconds: float) -> None:
        """Accept nothing, until :meth:`accept_again`, and let what is not portable come to its end.

        Args:
            seconds: what is left then is closed, with code 1012.
        """
        with self._changed:
            self._held = True
        for connection in self.connections():
            if isinstance(outbox := connection.outbox, ReadableOutbox):
                outbox.hasten()
        with self._changed:
            self._changed.wait_for(lambda: not (self._busy or self._leaving_locked()), seconds)
        self.turn_away()

    def turn_away(self) -> None:
        """Close what is not portable, with code 1012."""
        with self._changed:
            leaving = self._leaving_locked()
        for connection in leaving:
            connection.turn_away(CloseCode.SERVICE_RESTART, "the server is being upgraded: connect again")

    def _leaving_locked(self) -> list[Connection]:
        assert_held(self._lock)
        return [connection for connection in self._connections if not connection.portable]

    def accept_again(self) -> None:
        """Go on accepting."""
        with self._changed:
            self._held = False
            self._changed.notify_all()

    def restore_connection(
        self, data: Mapping[str, Any], sign_in_of: Callable[[str], SignIn | None], given: Incoming
    ) -> Connection:
        """The connection that another program has exported, which goes on with :meth:`Connection.resume`.

        Args:
            sign_in_of: the sign-in that is known by a key there.

        Raises:
            OSError: its socket is not there.
            RuntimeError: there are too many connections.
        """
        said = data["peer"]
        peer = from_plain(Peer, {**said, "sign_in": said["sign_in"] and sign_in_of(said["sign_in"])})
        with self._changed:
            connection = self._add_locked(SocketStream(given.socket(data["fd"])), peer)
        connection.restore(data, given)
        return connection

    def _add_locked(self, stream: ByteStream, peer: Peer, *, stranger: bool = False) -> Connection:
        assert_held(self._lock)
        self._numbers += 1
        connection = Connection(
            stream,
            peer,
            self.endpoint,
            self._writer,
            self._idle,
            self._numbers,
            stranger=stranger,
            admitted=self._admitted,
            ended=self._ended,
        )
        self._connections.add(connection)
        return connection

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
        self.listener.close()
        self._wake.close()

    def shutdown(self) -> None:
        """Stop accepting, close every client after its pending output, and wait for their ends.

        Takes a little over ``close_timeout`` seconds at most. Idempotent.
        """
        self._stop_accepting()
        deadline = time.monotonic() + self.endpoint.limits.close_timeout + 0.5
        for connection in self.connections():
            connection.stop(*SHUTTING_DOWN)
        with self._changed:
            self._changed.wait_for(lambda: not self._connections, deadline - time.monotonic())
        self._idle.close()
        for connection in self.connections():
            _log.warning("a client's thread is still busy: %r", connection)
        self._writer.close()
        if self._ticker is not None:
            self._ticker.stop()

    def _run(self) -> None:
        try:
            self._accept_all()
        except BaseException:
            self.listener.close()  # new clients are refused rather than left waiting
            raise

    def _accept_all(self) -> None:
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        sockets = {sock.fileno(): sock for sock in self.listener.sockets}
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
                    with self._turn(), standstill:
                        self._accept(sockets[fd])
                except _Broken:
                    raise
                except Exception:
                    _log.exception("accepting a connection failed")

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """One connection may be accepted; while none may, they wait where they are."""
        with self._changed:
            self._changed.wait_for(lambda: not (self._held and self._accepting))
            self._busy = True
        try:
            yield
        finally:
            with self._changed:
                self._busy = False
                self._changed.notify_all()

    def _accept(self, ready: socket.socket) -> None:
        try:
            sock, peer = self.listener.accept(ready)
        except (BlockingIOError, ConnectionError):
            return  # the client is gone already
        except OSError as error:
            if error.errno in _NO_LISTENER:
                raise _Broken(f"the listening socket is broken: {error.strerror}") from None
            if error.errno not in _OUT_OF:
                raise
            # The connection stays where it is, and would be reported again at once: wait for a descriptor.
            self._warn(f"cannot accept connections: {error.strerror}")
            self._evict(self._pending, idle=_SLOW)  # for its descriptor
            with self._changed:
                self._changed.wait(_RETRY)
            return
        try:
            self._serve(sock, peer)
        except BaseException:
            sock.close()
            raise

    def _serve(self, sock: socket.socket, peer: Peer) -> None:
        # Before a byte is read: strangers have few places of their own, and take none from the others.
        stranger = self.endpoint.is_stranger(peer)
        if not self._make_room(stranger):
            _refuse(sock)
            return
        # Should the TLS settings change from here on, authorize will find its peer's to be others.
        stream, peer = (
            self.endpoint.policy.wrap(sock, peer) if peer.kind == "tcp" else (SocketStream(sock), peer)
        )
        with self._changed:
            connection = self._add_locked(stream, peer, stranger=stranger)
            (self._strangers if stranger else self._pending).add(connection, peer.source)
        if self._ticker is not None:
            self._ticker.begin()
        try:
            connection.start()
        except RuntimeError:  # no more threads
            self._ended(connection)
            self._warn("cannot serve a connection: no more threads can be started")
            self._evict(self._pending, idle=_SLOW)  # for its thread
            _refuse(sock)

    def _make_room(self, stranger: bool) -> bool:
        """Make room for one more connection, evicting one if necessary; False if there is no room."""
        with self._changed:
            staying = len(self._connections) - len(self._evicted)
            pending = self._strangers if stranger else self._pending
            most = self.endpoint.limits.max_connections + _HEADROOM + _STRANGERS
            full = len(pending) >= _STRANGERS if stranger else staying >= most
        if full and not self._evict(pending):
            return False
        with self._changed:  # an evicted connection keeps its thread and descriptor until it has ended
            return self._changed.wait_for(lambda: len(self._evicted) < _HEADROOM, _MAKING_ROOM)

    def _evict(self, pending: PendingConnections[Connection], idle: float = 0.0) -> bool:
        """Cut a connection to make room; False if there is none that is at least ``idle`` seconds old."""
        with self._changed:
            connection = pending.victim()
            if connection is None or connection.accepted_at + idle > awake():
                return False
            pending.discard(connection, connection.source)
            self._evicted.add(connection)
        connection.stop(CloseCode.TRY_AGAIN_LATER, "there are too many connections")
        return True

    def _admitted(self, connection: Connection) -> None:
        with self._changed:
            self._pending.discard(connection, connection.source)

    def _warn(self, text: str) -> None:
        """Log, at a limited rate, what strangers can cause."""
        now = time.monotonic()
        if text != self._warned[0] or now - self._warned[1] >= _WARN_AGAIN:
            self._warned = text, now
            _log.warning("%s", text)

    def _ended(self, connection: Connection) -> None:
        with self._changed:
            self._connections.discard(connection)
            self._evicted.discard(connection)
            self._pending.discard(connection, connection.source)
            self._strangers.discard(connection, connection.source)
            self._changed.notify_all()


def _refuse(sock: socket.socket) -> None:
    """Say 503, if the socket takes it, and close."""
    with sock:
        try:
            sock.send(BUSY, socket.MSG_DONTWAIT)
            sock.shutdown(socket.SHUT_WR)
            sock.recv(1 << 16, socket.MSG_DONTWAIT)  # unread bytes would cut off what was sent
        except OSError:
            pass
