"""A TCP proxy whose connections can be cut."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Any


class Proxy:
    """Passes connections on to a cluster's program, until it is cut.

    Args:
        target: where to, as the engine writes it.
        scheme: of its ``address``.
    """

    def __init__(self, target: str, scheme: str = "tcp") -> None:
        self._target = target
        self._scheme = scheme
        self._pairs: list[socket.socket] = []
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._listen(0)

    def _listen(self, port: int) -> None:
        self._listener = socket.create_server(("127.0.0.1", port))
        self.address = f"{self._scheme}://127.0.0.1:{self._listener.getsockname()[1]}"
        self._go(self._accept, self._listener)

    def _go(self, target: Any, *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            host, _, port = self._target.rpartition("/")[2].rpartition(":")
            try:
                far_end = socket.create_connection((host, int(port)))
            except OSError:
                near.close()
                continue
            with self._lock:
                self._pairs += [near, far_end]
            self._go(self._pump, near, far_end)
            self._go(self._pump, far_end, near)

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut(self) -> None:
        """End all connections, and take no more."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            ends, self._pairs = self._pairs, []
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5.0)
        self._threads.clear()
        for end in ends:
            end.close()

    def mend(self) -> None:
        self._listen(int(self.address.rpartition(":")[2]))
