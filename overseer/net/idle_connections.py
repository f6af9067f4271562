"""Where the WebSockets of silent clients wait: on one thread, rather than each on its own.

Most clients only watch, and say nothing but a pong now and then. A pong is dropped here; for anything else
that comes, the end included, a connection is given a thread again.
"""

from __future__ import annotations

import select
from typing import Protocol

from overseer.util.locks import Rank, lock
from overseer.util.threads import VitalThread
from overseer.util.wakeup import Wakeup

_END_S = 0.5  # for the thread to end, which may serve a client just then


class Idle(Protocol):
    """A connection that can be idle. All it needs to go on is in it, so that any thread can do so."""

    def fileno(self) -> int:
        """The descriptor, which nobody closes while it is idle."""

    def drop_pongs(self) -> bool:
        """Drop what has come if it is pongs; whether it was. Never waits."""

    def go_on(self) -> None:
        """Serve it again, as something has come: on another thread, or right here if the system allows no
        more threads. It may be idle again before this returns."""


class IdleConnections:
    """The idle connections, and the thread that waits for them. Thread-safe.

    A descriptor is registered with epoll only while its connection is here, and only the thread ends that. So
    none is closed that is registered, and what epoll reports is never about a reused number.
    """

    def __init__(self) -> None:
        # Guards the table, and is held over epoll_ctl, which does not wait.
        self._lock = lock(Rank.LEAF, "idle connections")
        self._connections: dict[int, Idle] = {}
        self._epoll = select.epoll()
        self._wake = Wakeup()
        self._epoll.register(self._wake, select.EPOLLIN)
        self._closed = False
        self._thread = VitalThread(target=self._run, name="net-idle")

    def start(self) -> None:
        """Start the thread. Raises RuntimeError when the system allows no more threads."""
        self._thread.start()

    def add(self, connection: Idle) -> bool:
        """Wait for a connection, which is not the caller's any more; False: it still is, as the system cannot
        watch more, or this is closed."""
        fd = connection.fileno()
        with self._lock:
            if self._closed:
                return False
            try:
                self._epoll.register(fd, select.EPOLLIN)
            except OSError:
                return False
            self._connections[fd] = connection
            return True

    def close(self) -> None:
        """Wait for none any more. Takes half a second at most. Idempotent."""
        with self._lock:
            self._closed = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(_END_S)
        if not self._thread.is_alive():
            self._epoll.close()
            self._wake.close()

    def _run(self) -> None:
        # What has come is reported until it is taken, so nothing is lost that came before a connection did.
        while True:
            for fd, _ in self._epoll.poll():
                if self._closed:
                    return
                with self._lock:
                    connection = self._connections.get(fd)
                if connection is None or connection.drop_pongs():
                    continue
                with self._lock:
                    del self._connections[fd]
                    self._epoll.unregister(fd)
                connection.go_on()
