"""A network that can be cut, held up and made slow: a proxy between a client and a real server."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Self

__all__ = ["Proxy"]


class Proxy:
    """``with Proxy(daemon.address) as proxy: Client(proxy.url)``.

    ``budget``: connections are cut after so many bytes for the client, each connection anew; None: never.
    ``refuse``: new connections are closed at once. ``tls``: what the client is spoken to with. ``on_second``
    is called when the second connection is made, before anything passes over it; ``on_second_passed`` when
    some tens of lines have come over it. ``cut_between``: a connection is cut before the second of the two,
    once the first has come from the server.
    """

    def __init__(self, address: str, *, tls: ssl.SSLContext | None = None) -> None:
        host, _, port = address.rpartition(":")
        self.target = (host, int(port))
        self.budget: int | None = None
        self.cut_between: tuple[bytes, bytes] | None = None
        self.refuse = False
        self.connections = 0
        self.first = (
            threading.Event()
        )  # what the server says over the first connection passes while it is set
        self.first.set()
        self.on_second: Callable[[], None] = lambda: None
        self.on_second_passed: Callable[[], None] = lambda: None
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._flowing = threading.Event()
        self._flowing.set()
        self._open: dict[socket.socket, int] = {}  # and how many threads use it
        self._changed = threading.Condition()  # guards the two around it
        self._threads: list[threading.Thread] = []

    @property
    def url(self) -> str:
        scheme = "wss" if self._tls else "ws"
        host = "localhost" if self._tls else "127.0.0.1"
        return f"{scheme}://{host}:{self._listener.getsockname()[1]}/ws"

    def cut(self, *, oldest: bool = False) -> None:
        """Reset every connection, or the oldest."""
        with self._changed:
            for sock in list(self._open)[: 2 if oldest else None]:
                with suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    sock.shutdown(socket.SHUT_RDWR)

    def close(self, code: int) -> None:
        """Tell every client that its WebSocket is closed; nothing else may be on its way."""
        with self._changed:
            for sock in self._open:
                if sock.getsockname() == self._listener.getsockname():
                    sock.sendall(struct.pack("!BBH", 0x88, 2, code))

    def pause(self) -> None:
        """Pass nothing on."""
        self._flowing.clear()

    def resume(self) -> None:
        self._flowing.set()

    def wait_connections(self, count: int, timeout: float = 30.0) -> None:
        """Until so many have been made in all."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.connections >= count, timeout), self.connections

    def __enter__(self) -> Self:
        self._spawn(self._accept)
        return self

    def __exit__(self, *exc: object) -> None:
        self._flowing.set()
        self.first.set()
        self.refuse = True
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()

    def _spawn(self, run, *arguments) -> None:
        thread = threading.Thread(target=run, args=arguments, name="test proxy", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client = self._listener.accept()[0]
            except OSError:
                return
            if self.refuse:
                client.close()
                continue
            try:
                if self._tls is not None:
                    client = self._tls.wrap_socket(client, server_side=True)
                server = socket.create_connection(self.target, 10.0)
            except OSError:
                client.close()
                continue
            with self._changed:
                users = 1 if self._tls is not None else 2
                self._open |= {client: users, server: users}
                self.connections += 1
                self._changed.notify_all()
            flowing = self.first if self.connections == 1 else self._flowing
            passed = None
            if self.connections == 2:
                self.on_second()
                passed = self.on_second_passed
            if self._tls is not None:
                self._spawn(self._pump_tls, client, server)
            else:
                self._spawn(self._pump, client, server, None, self._flowing)
                self._spawn(self._pump, server, client, self.budget, flowing, passed)

    def _pump(
        self,
        source: socket.socket,
        sink: socket.socket,
        budget: int | None,
        flowing: threading.Event,
        passed: Callable[[], None] | None = None,
    ) -> None:
        total = 0
        seen = b""
        try:
            while data := source.recv(65536):
                flowing.wait()
                self._flowing.wait()
                if self.cut_between is not None:
                    seen += data
                    first, second = self.cut_between
                    at = seen.find(second, max(0, seen.find(first))) if first in seen else -1
                    if at >= 0:
                        self.cut_between = None
                        sink.sendall(data[: max(0, len(data) - (len(seen) - at))])
                        break
                if budget is not None:
                    data, budget = data[:budget], budget - len(data)
                sink.sendall(data)
                total += len(data)
                if passed is not None and total > 10_000:
                    passed()
                if budget is not None and budget <= 0:
                    break
        except OSError:
            pass
        self._end(source, sink)

    def _pump_tls(self, client: socket.socket, server: socket.socket) -> None:
        """Both ways in one thread, since an SSL socket is not for two."""
        client.settimeout(0.005)
        server.settimeout(0.005)
        try:
            while True:
                for source, sink in ((client, server), (server, client)):
                    with suppress(TimeoutError):
                        data = source.recv(65536)
                        if not data:
                            return
                        sink.settimeout(10.0)
                        sink.sendall(data)
                        sink.settimeout(0.005)
        except OSError:
            pass
        finally:
            self._end(client, server)

    def _end(self, *socks: socket.socket) -> None:
        with self._changed:
            for sock in socks:
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
                self._open[sock] -= 1
                if not self._open[sock]:  # a number that is closed too early is another socket's soon
                    del self._open[sock]
                    sock.close()
