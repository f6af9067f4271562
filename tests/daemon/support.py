"""HTTP requests to a daemon, and its service manager."""

from __future__ import annotations

import http.client
import json
import socket
import struct
from typing import Any

from tests.harness import Daemon

__all__ = ["Manager", "get", "get_json"]


def get(daemon: Daemon, path: str, **headers: str) -> tuple[int, str, str]:
    """The status, content type and body that a path answers."""
    connection = http.client.HTTPConnection(daemon.address, timeout=30)
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, response.headers["Content-Type"], response.read().decode()
    finally:
        connection.close()


def get_json(daemon: Daemon, path: str) -> Any:
    status, content_type, body = get(daemon, path)
    assert (status, content_type) == (200, "application/json")
    return json.loads(body)


class Manager:
    """A service manager that hears what programs say to it.

    Attributes:
        sender: pid of who said the last thing; a real manager hears the main process alone.
    """

    def __init__(self, address: str, timeout: float = 10.0) -> None:
        self.address = address
        self.sender = 0
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self._socket.settimeout(timeout)

    def hear(self) -> dict[str, str]:
        data, said_by, _, _ = self._socket.recvmsg(4096, socket.CMSG_SPACE(struct.calcsize("3i")))
        self.sender, _, _ = struct.unpack("3i", said_by[0][2])
        return dict(line.split("=", 1) for line in data.decode().split("\n"))

    def hear_until(self, wanted: str) -> dict[str, str]:
        while wanted not in (said := self.hear()):
            pass
        return said

    def close(self) -> None:
        self._socket.close()
