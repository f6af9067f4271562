"""A wire that can be cut: passes TCP connections on until a test ends them."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Self

__all__ = ["Forwarder"]


class Forwarder:
    """``with Forwarder(to) as wire: ...``; after ``wire.cut()`` nothing passes until ``wire.mend()``.

    After ``wire.hold()`` new connections are neither answered nor ended; ``held`` is set by the first.
    """

    def __init__(self, to: str) -> None:
        host, _, port = to.rpartition(":")
        self._to = (host, int(port))
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listening.getsockname()[1]}"
        self._lock = threading.Lock()  # guards what follows
        self._whole = True
        self._holds = False
        self._held: list[socket.socket] = []
        self.held = threading.Event()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._acceptor = threading.Thread(target=self._accept, name="forwarder", daemon=True)

    def cut(self) -> None:
        """End every connection, and refuse new ones."""
        with self._lock:
            self._whole = False
            for sock in self._sockets:
                _end(sock)

    def hold(self) -> None:
        """End every connection, and leave new ones without an answer."""
        self.cut()
        with self._lock:
            self._holds = True

    def mend(self) -> None:
        with self._lock:
            self._whole = True
            self._holds = False

    def change(self, first: bytes) -> bytes:
        """What becomes of the first bytes from a client; for those that do more than forward."""
        return first

    def serve(self, near: socket.socket) -> None:
        """Serve a connection, on a thread of its own; it is closed afterwards."""
        if first := near.recv(65536):
            self.forward(near, self.change(first))

    def forward(self, near: socket.socket, first: bytes) -> None:
        """Connect with the server, send it this first, and pass on what follows, both ways, until the end."""
        with socket.create_connection(self._to) as far:
            with self._lock:
                self._sockets.append(far)
            far.sendall(first)
            back = threading.Thread(target=_pass_on, args=(far, near), name="forward-back", daemon=True)
            back.start()
            _pass_on(near, far)
            back.join()

    def __enter__(self) -> Self:
        self._acceptor.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.cut()
        _end(self._listening)
        self._acceptor.join(30)
        self._listening.close()
        for thread in self._threads:
            thread.join(30)
        for sock in self._held:
            sock.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listening.accept()
            except OSError:
                return
            with self._lock:
                if self._holds:
                    self._held.append(near)
                    self.held.set()
                    continue
                if not self._whole:
                    near.close()
                    continue
                self._sockets.append(near)
                thread = threading.Thread(target=self._serve, args=(near,), name="forward", daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, near: socket.socket) -> None:
        with near, suppress(OSError):  # it is cut
            self.serve(near)


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):  # it is cut
        while data := source.recv(65536):
            target.sendall(data)
    _end(source)
    _end(target)


def _end(sock: socket.socket) -> None:
    with suppress(OSError):  # it may have ended already
        sock.shutdown(socket.SHUT_RDWR)
