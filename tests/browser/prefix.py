"""A proxy as simple as can be: serves a server below a folder, and may refuse or spoil what passes."""

from __future__ import annotations

import re
import socket
import threading
from contextlib import suppress
from typing import Self

__all__ = ["PrefixProxy"]


class PrefixProxy:
    """``with PrefixProxy(to, "/ov/") as proxy: ...``; each request has a connection of its own.

    Without ``upgrades`` the headers of a WebSocket's opening are lost on the way. ``answers`` are given for
    paths in place of the server's, as whole responses; tests may change them at any time.
    """

    def __init__(self, to: str, folder: str, *, upgrades: bool = True) -> None:
        host, _, port = to.rpartition(":")
        self._to = (host, int(port))
        self._folder = folder.encode()
        self.upgrades = upgrades
        self.answers: dict[str, bytes] = {}
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listening.getsockname()[1]}"
        self.url = f"http://{self.address}{folder}"
        self._lock = threading.Lock()  # guards the sockets
        self._sockets: list[socket.socket] = []
        self._acceptor = threading.Thread(target=self._accept, name="prefix", daemon=True)

    def cut(self) -> None:
        """End every connection."""
        with self._lock:
            for sock in self._sockets:
                _end(sock)

    def __enter__(self) -> Self:
        self._acceptor.start()
        return self

    def __exit__(self, *exc: object) -> None:
        _end(self._listening)
        self._acceptor.join(30)
        self._listening.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(near,), name="prefixed", daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        with near, suppress(OSError):
            with self._lock:
                self._sockets.append(near)
            head = b""
            while b"\r\n\r\n" not in head:
                data = near.recv(65536)
                if not data:
                    return
                head += data
            method, path, rest = head.split(b" ", 2)
            answer = self.answers.get(path.decode())
            if answer is None and not path.startswith(self._folder):
                answer = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            if answer is not None:
                near.sendall(answer)
                return
            if not self.upgrades or b"\r\nupgrade: websocket" not in rest.lower():
                rest = re.sub(rb"(?im)^(connection|upgrade):.*\r\n", b"", rest)
                rest = rest.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
            with socket.create_connection(self._to) as far:
                with self._lock:
                    self._sockets.append(far)
                far.sendall(method + b" /" + path[len(self._folder) :] + b" " + rest)
                back = threading.Thread(target=_pass_on, args=(far, near), name="prefixed-back", daemon=True)
                back.start()
                _pass_on(near, far)
                back.join()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    _end(target)


def _end(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
