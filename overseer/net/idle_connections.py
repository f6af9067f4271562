"""Where the WebSockets of silent clients wait: on one thread, rather than each on its own.

Most clients only watch, and say nothing but a pong now and then. A pong is dropped here; for anything else
that comes, the end included, a connection is given a thread again, or a turn on one that is kept for when
the system allows no more.
"""

from __future__ import annotations

import select
import time
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Protocol

from overseer.util.locks import Rank, lock
from overseer.util.threads import VitalThread
from overseer.util.wakeup import Wakeup

_END_S = 0.5  # for each thread to end; the one in reserve may serve a client just then
_AGAIN_S = 1.0  # after the system has refused a thread, before it is asked for another


class Idle(Protocol):
    """A connection that can be idle. All it needs to go on is in it, so that any thread can do so."""

    def fileno(self) -> int:
        """The descriptor, which nobody closes while it is idle."""

    def drop_pongs(self) -> bool:
        """Drop what has come if it is pongs; whether it was. Never waits."""

    def go_on(self) -> bool:
        """Have it served by a thread of its own, as something has come; False: the system allows no more. It
        may be idle again before this returns."""

    def take_turn(self) -> None:
        """Serve what has come on this thread, which others wait for."""

    def end(self) -> None:
        """Cut it, and do on this thread what follows from its end."""


class IdleConnections:
    """The idle connections, the thread that waits for them, and one in reserve. Thread-safe.

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
        self._again_at = 0.0  # no thread is asked for before, monotonic; used by one thread
        self._in_turn = SimpleQueue[Idle | None]()  # waiting for the thread in reserve; None ends it
        self._threads = (
            VitalThread(target=self._run, name="net-idle"),
            VitalThread(target=self._serve_in_turn, name="net-reserve"),
        )

    def start(self) -> None:
        """Start the threads. Raises RuntimeError when the system allows no more threads."""
        for thread in self._threads:
            thread.start()

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
        """End those that are still here. Idempotent. Waits for a second at most."""
        with self._lock:
            self._closed = True
        self._wake.set()
        self._in_turn.put(None)
        for thread in self._threads:
            if thread.is_alive():
                thread.join(_END_S)
        with self._lock:
            left, self._connections = self._connections, {}
        if not self._threads[0].is_alive():
            self._epoll.close()
            self._wake.close()
        for connection in (*left.values(), *self._queued()):
            connection.end()
        self._in_turn.put(None)  # the first may have been among these

    def _queued(self) -> list[Idle]:
        """Takes all that wait for a turn."""
        queued: list[Idle] = []
        with suppress(Empty):
            while True:
                if (connection := self._in_turn.get_nowait()) is not None:
                    queued.append(connection)
        return queued

    def _run(self) -> None:
        # What has come is reported until it is taken, so nothing is lost that came before a connection did.
        while True:
            ready = self._epoll.poll(None if self._in_turn.empty() else _AGAIN_S)
            if not self._closed and time.monotonic() >= self._again_at:
                for queued in self._queued():  # perhaps there are threads again
                    self._have_served(queued)
            for fd, _ in ready:
                if self._closed:
                    return
                with self._lock:
                    connection = self._connections.get(fd)
                if connection is None or connection.drop_pongs():
                    continue
                with self._lock:
                    if self._connections.pop(fd, None) is None:  # closed meanwhile
                        return
                    self._epoll.unregister(fd)
                self._have_served(connection)

    def _have_served(self, connection: Idle) -> None:
        # A refusal may take its time, in which no pong is heard: one is enough for a while.
        if time.monotonic() >= self._again_at:
            if connection.go_on():
                return
            self._again_at = time.monotonic() + _AGAIN_S
        self._in_turn.put(connection)

    def _serve_in_turn(self) -> None:
        while (connection := self._in_turn.get()) is not None:
            connection.take_turn()
