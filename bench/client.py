"""A client that costs next to nothing, so that what is measured is the server."""

from __future__ import annotations

import base64
import json
import os
import re
import selectors
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

TIMEOUT_S = 60.0  # for anything to happen at all
_TAIL = 1024  # the end of a stream: the last output and the exit are in it
_SEQ = re.compile(rb'"seq":(\d+)')
_LINE = re.compile(rb'{"type":"output"[^{}]*"seq":(\d+)}')
_EXITED = b'{"type":"exited"'
_TEXT, _PING = 1, 9  # opcodes


class Connection:
    """One WebSocket. ``receive`` parses; :func:`drain`, which is for floods, only counts."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.sock = socket.create_connection(address, TIMEOUT_S)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray()
        key = base64.b64encode(os.urandom(16)).decode()
        self.sock.sendall(
            f"GET /ws HTTP/1.1\r\nHost: {address[0]}:{address[1]}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        while b"\r\n\r\n" not in self._buffer:
            self._fill()
        head, _, rest = bytes(self._buffer).partition(b"\r\n\r\n")
        if b" 101 " not in head.splitlines()[0]:
            raise ConnectionError(f"no WebSocket: {head.splitlines()[0]!r}")
        self._buffer = bytearray(rest)

    def close(self) -> None:
        self.sock.close()

    def send(self, **message: Any) -> None:
        payload = json.dumps(message).encode()
        size = len(payload)
        if size < 126:
            head = bytes((0x81, 0x80 | size))
        else:
            head = (
                b"\x81\xfe" + size.to_bytes(2, "big")
                if size < 65536
                else b"\x81\xff" + size.to_bytes(8, "big")
            )
        self.sock.sendall(head + bytes(4) + payload)  # a mask of zeros changes nothing

    def receive(self) -> bytes:
        """The next text message, not decoded."""
        while True:
            start, end = self._frame()
            while len(self._buffer) < end or end == 0:
                self._fill()
                start, end = self._frame()
            kind = self._buffer[0] & 0x0F
            payload = bytes(self._buffer[start:end])
            del self._buffer[:end]
            if kind == _TEXT:
                return payload
            if kind == _PING:
                self.show_life()

    def show_life(self) -> None:
        """Send a pong, without which a client that waits for long is closed."""
        self.sock.sendall(b"\x8a\x80" + bytes(4))

    def expect_lines(self, size: int) -> None:
        """Read at least so many bytes, all of them lines without braces in which no seq is left out.

        The last one may be read in part: what follows its seq stays in the buffer.
        """
        while len(self._buffer) < size:
            self._fill()
        end, last = 0, None
        for line in _LINE.finditer(self._buffer):
            end, seq = line.end(), int(line[1])
            if last is not None and seq != last + 1:
                raise AssertionError(f"{seq} came after {last}")
            last = seq
        if last is None:
            raise AssertionError("no line came")
        del self._buffer[:end]

    def wait_for(self, type: str) -> dict[str, Any]:
        """The next message of this type; what comes before it is dropped, but an error is raised."""
        mark = f'"type":"{type}"'.encode()
        while True:
            message = self.receive()
            if mark in message:
                parsed: dict[str, Any] = json.loads(message)
                return parsed
            if message.startswith(b'{"type":"error"'):
                raise RuntimeError(message.decode())

    def _frame(self) -> tuple[int, int]:
        """Where the first frame's payload starts and ends; (0, 0) while its header is not there."""
        buffer = self._buffer
        if len(buffer) < 10 and (len(buffer) < 2 or len(buffer) < {126: 4, 127: 10}.get(buffer[1], 2)):
            return 0, 0
        short = buffer[1]
        if short < 126:
            return 2, 2 + short
        size = 2 if short == 126 else 8
        return 2 + size, 2 + size + int.from_bytes(buffer[2 : 2 + size], "big")

    def _fill(self) -> None:
        data = self.sock.recv(1 << 18)
        if not data:
            raise ConnectionError("the server closed the connection")
        self._buffer += data


@dataclass
class Stream:
    """What one subscriber got of one run: bytes in all, and the end of them."""

    size: int = 0
    tail: bytes = b""

    @property
    def last_seq(self) -> int:
        """The seq of the last line; 0 when there was none."""
        found = _SEQ.findall(self.tail)
        return int(found[-1]) if found else 0

    @property
    def output_size(self) -> int:
        """Bytes before the frame of the exit."""
        exit_payload = len(self.tail) - self.tail.rfind(_EXITED)
        return self.size - exit_payload - (2 if exit_payload < 126 else 4)

    @property
    def envelope(self) -> int:
        """Bytes of the last output's JSON that are neither its data nor its seq."""
        last = json.loads(self.tail[self.tail.rfind(b'{"type":"output"') : self._last_end()])
        return len(json.dumps(last, separators=(",", ":"))) - len(last["data"]) - len(str(last["seq"]))

    def _last_end(self) -> int:
        return self.tail.rfind(b"}", 0, self.tail.rfind(_EXITED)) + 1


def drain(connections: Sequence[Connection]) -> list[Stream]:
    """Read everything until each of them has got an ``exited``, which must be the last thing they get."""
    streams = {connection.sock: Stream() for connection in connections}
    buffer = bytearray(1 << 20)
    view = memoryview(buffer)
    deadline = time.monotonic() + TIMEOUT_S
    with selectors.DefaultSelector() as selector:
        for sock in streams:
            selector.register(sock, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(deadline - time.monotonic())
            if not ready:
                raise TimeoutError("the run did not end in time")
            for key, _ in ready:
                readable: Any = key.fileobj  # the socket
                size = readable.recv_into(buffer)
                if not size:
                    raise ConnectionError("the server closed the connection")
                stream = streams[readable]
                stream.size += size
                stream.tail = (stream.tail + bytes(view[max(0, size - _TAIL) : size]))[-_TAIL:]
                if _EXITED in stream.tail:
                    selector.unregister(readable)
    return list(streams.values())
