"""What probes look at in tests: a server that answers as it is told, and counts who comes."""

from __future__ import annotations

import socket
import threading
from typing import Self

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Target:
    """Listens on a port of 127.0.0.1. Each connection is answered with ``answer``; None: with nothing, while
    it is held open.

    ``most``: the most connections that were open at once; ``requests``: what came, in order.
    """

    def __init__(self, answer: bytes | None = OK) -> None:
        self.answer = answer
        self.requests: list[bytes] = []
        self.most = 0
        self._open = 0
        self._held: list[socket.socket] = []  # those that got no answer
        self._changed = threading.Condition()
        self._ended = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port: int = self._socket.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.address}/health?x=1"

    def wait_for(self, number: int, timeout: float = 30.0) -> None:
        """Until so many have come."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.requests) >= number, timeout), self.requests

    def reply(self, answer: bytes) -> None:
        """Answer those that got no answer so far."""
        with self._changed:
            for stream in self._held:
                stream.sendall(answer)
            self._held.clear()

    def _accept(self) -> None:
        while True:
            try:
                stream, _ = self._socket.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(stream,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, stream: socket.socket) -> None:
        with self._changed:
            self._open += 1
            self.most = max(self.most, self._open)
        try:
            with stream:
                stream.settimeout(0.05)
                data = b""
                while not data.endswith(b"\r\n\r\n") and not self._ended.is_set():
                    try:
                        more = stream.recv(4096)
                    except TimeoutError:
                        continue
                    if not more:
                        break
                    data += more
                with self._changed:
                    self.requests.append(data)
                    self._changed.notify_all()
                if self.answer is not None:
                    stream.sendall(self.answer)
                    return
                with self._changed:
                    self._held.append(stream)
                while not self._ended.is_set():
                    try:
                        if not stream.recv(4096):
                            return
                    except TimeoutError:
                        continue
        except OSError:
            pass  # whoever looked has gone
        finally:
            with self._changed:
                self._open -= 1
