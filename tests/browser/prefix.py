"""A proxy as simple as can be: serves a server below a folder, and may refuse or spoil what passes."""

from __future__ import annotations

import re
import socket

from tests.browser.forwarder import Forwarder

__all__ = ["PrefixProxy"]


class PrefixProxy(Forwarder):
    """``with PrefixProxy(to, "/ov/") as proxy: ...``; each request has a connection of its own.

    Without ``upgrades`` the headers of a WebSocket's opening are lost on the way. ``answers`` are given for
    paths in place of the server's, as whole responses; tests may change them at any time.
    """

    def __init__(self, to: str, folder: str, *, upgrades: bool = True) -> None:
        super().__init__(to)
        self._folder = folder.encode()
        self.upgrades = upgrades
        self.answers: dict[str, bytes] = {}
        self.url = f"http://{self.address}{folder}"

    def serve(self, near: socket.socket) -> None:
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
        self.forward(near, method + b" /" + path[len(self._folder) :] + b" " + rest)
