"""The bytes of one connection, below HTTP and WebSocket."""

from __future__ import annotations

import contextlib
import select
import socket
from collections.abc import Sequence
from typing import Protocol

from overseer.net.chunks import Buffer
from overseer.util.awake_clock import AwakeTime, awake
from overseer.util.locks import Rank, lock
from overseer.util.wakeup import poll_timeout

_LITTLE = 1024  # more than most requests have


class ByteStream(Protocol):
    """A connection's bytes, in clear text or encrypted.

    ``receive``, ``wait`` and ``peek`` are called by one thread at a time, ``send`` and ``finish`` by one
    thread at a time, ``abort`` by any thread at any time, ``close`` last, when no other call is under way.
    Socket timeouts are avoided, since they lose data that was half sent or half read.
    """

    def open(self, deadline: AwakeTime) -> tuple[str, ...]:
        """Called first; returns the names in the peer's certificate, if it has one.

        Raises OSError when that fails, TimeoutError at ``deadline``.
        """

    portable: bool
    """Whether another program can go on with its descriptor alone."""

    def wait(self, seconds: float) -> bool:
        """Wait until :meth:`receive` has something, or the end; False after so many seconds. Where it is
        portable."""

    def peek(self, size: int) -> bytes:
        """What :meth:`receive` would return, without taking or waiting for it; where it is portable. Raises
        OSError if there is nothing or it is broken."""

    @property
    def unsent(self) -> bool:
        """Whether ``send`` holds unsent bytes; it must then be called again, even with nothing."""

    def fileno(self) -> int:
        """The descriptor to wait on before sending more."""

    def receive(self, size: int, deadline: AwakeTime | None = None) -> bytes:
        """Wait for up to ``size`` bytes; ``b""`` at the end. TimeoutError at ``deadline``."""

    def send(self, buffers: Sequence[Buffer]) -> int:
        """Send without blocking; returns how many bytes were taken. Raises OSError if it is broken."""

    def send_all(self, data: bytes, deadline: AwakeTime) -> None:
        """Send everything, waiting where necessary. Raises TimeoutError at ``deadline``."""

    def finish(self) -> None:
        """Tell the peer that nothing more will be sent; receiving goes on."""

    def abort(self) -> None:
        """Cut the connection, which ends a ``receive``. Never waits."""

    def close(self) -> None:
        """Close the descriptor."""


class SocketStream:
    """A :class:`ByteStream` over a connected stream socket in blocking mode."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        # Held over shutdown and close (neither waits): abort must never hit a descriptor number that was
        # closed and reused.
        self._closing = lock(Rank.LEAF, "socket")
        self._closed = False
        self._more = False  # the last receive gave all that it asked for

    def open(self, deadline: AwakeTime) -> tuple[str, ...]:
        return ()

    unsent = False  # it takes no more than leaves
    portable = True

    def wait(self, seconds: float) -> bool:
        poll = select.poll()
        poll.register(self._sock.fileno(), select.POLLIN)
        return bool(poll.poll(poll_timeout(seconds)))

    def peek(self, size: int) -> bytes:
        return self._sock.recv(size, socket.MSG_PEEK | socket.MSG_DONTWAIT)

    def fileno(self) -> int:
        return self._sock.fileno()

    def receive(self, size: int, deadline: AwakeTime | None = None) -> bytes:
        if deadline is not None:
            _wait(self._sock.fileno(), select.POLLIN, deadline)
        # Python allocates the buffer before it waits, and most connections wait.
        asked = size if self._more else min(size, _LITTLE)
        data = self._sock.recv(asked)
        self._more = len(data) == asked
        return data

    def send(self, buffers: Sequence[Buffer]) -> int:
        try:
            if len(buffers) == 1:
                return self._sock.send(buffers[0], socket.MSG_DONTWAIT)
            return self._sock.sendmsg(buffers, (), socket.MSG_DONTWAIT)
        except (BlockingIOError, InterruptedError):
            return 0

    def send_all(self, data: bytes, deadline: AwakeTime) -> None:
        rest = memoryview(data)
        while rest:
            _wait(self._sock.fileno(), select.POLLOUT, deadline)
            rest = rest[self.send([rest]) :]

    def finish(self) -> None:
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)

    def abort(self) -> None:
        with self._closing:
            if not self._closed:
                with contextlib.suppress(OSError):
                    self._sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with self._closing:
            self._closed = True
            self._sock.close()


def wait_for_room(stream: ByteStream, deadline: AwakeTime) -> None:
    """Wait until more can be sent, or it is broken. Raises TimeoutError at ``deadline``."""
    _wait(stream.fileno(), select.POLLOUT, deadline)


def _wait(fd: int, event: int, deadline: AwakeTime) -> None:
    """Wait for a poll event; raises TimeoutError at ``deadline``."""
    poll = select.poll()
    poll.register(fd, event)
    while not poll.poll(poll_timeout(deadline - awake())):
        if awake() >= deadline:
            raise TimeoutError("the peer is too slow")
