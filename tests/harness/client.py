"""A test's client: a few lines over a raw socket (or two pipes), quick enough to keep up with any server.

Everything received is kept in order in ``messages``. What a test has not asked for yet is pending:
``request`` takes its reply out of the pending messages, ``expect`` takes out the first that matches. All
waits are bounded. A client is used by one test thread at a time.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Collection
from typing import Any, BinaryIO, Self

__all__ = ["Closed", "MessageClient", "StdioClient", "WsClient"]

Message = dict[str, Any]
Run = tuple[Message, list[Message], Message]
_numbers = itertools.count(1)


class Closed(AssertionError):
    """The connection ended while a test waited for a message."""


class MessageClient:
    """The part of a client that is the same over every transport: sending, and waiting for messages."""

    def __init__(self) -> None:
        self.messages: list[Message] = []  # all of them, in the order they came
        self.close_code: int | None = None  # from the close frame; 1006 when the connection just ended
        self.close_reason = ""
        self._pending: list[Message] = []
        self._ended = False
        self._came = threading.Condition()  # guards all of the above; notified at messages and at the end
        self._reader: threading.Thread | None = None

    # -- for tests --

    def send(self, type: str, **fields: Any) -> str:
        """Send a request and return its id (``id=`` sets one; ``id=None`` leaves it out)."""
        fields.setdefault("id", f"r{next(_numbers)}")
        message = {"type": type, **{name: value for name, value in fields.items() if value is not None}}
        self.send_text(json.dumps(message))
        return str(fields["id"])

    def send_text(self, text: str) -> None:
        """Send a message as it is."""
        raise NotImplementedError

    def request(self, type: str, timeout: float = 30.0, **fields: Any) -> Message:
        """Send a request and return the first message that carries its id, ``error`` included."""
        id = self.send(type, **fields)
        return self._take(lambda message: message.get("id") == id, timeout, f"a reply to {type} {fields}")

    def expect(self, type: str, timeout: float = 30.0, **match: Any) -> Message:
        """Take out and return the first pending message of this type whose fields equal ``match``."""
        return self._take(_matcher(type, match), timeout, f"{type} {match}")

    def collect(self, type: str, timeout: float = 30.0, **match: Any) -> list[Message]:
        """Take out all pending messages up to and including the first of this type that matches."""
        last = self.expect(type, timeout, **match)
        with self._came:
            end = next(index for index, message in enumerate(self.messages) if message is last)
            before = {id(message) for message in self.messages[:end]}
            taken = [message for message in self._pending if id(message) in before]
            self._pending = [message for message in self._pending if id(message) not in before]
        return [*taken, last]

    def settle(self, timeout: float = 30.0) -> list[Message]:
        """Take out and return all that the server has sent up to now (the reply to a request comes after)."""
        reply_id = self.send("pool_info")
        return self.collect("pool_info", timeout, id=reply_id)[:-1]

    def wait_for_answers(self, ids: Collection[str], timeout: float = 30.0) -> None:
        """Wait until each of these requests has been answered; nothing is taken out."""

        def missing() -> set[str]:
            return set(ids) - {message.get("id", "") for message in self.messages}

        with self._came:
            assert self._came.wait_for(lambda: not missing(), timeout), f"no answers to {missing()}"

    def run(self, action: str, timeout: float = 30.0, **fields: Any) -> Run:
        """Start a task and follow its one run: ``(started, its outputs, exited)``."""
        started = self.request("start", timeout, action=action, **fields)
        assert started["type"] == "started", started
        exited = self.expect("exited", timeout, task_id=started["task_id"])
        return started, self.outputs(started["task_id"]), exited

    def info(self, task_id: str) -> Message:
        """What ``list`` says of a task."""
        (found,) = [task for task in self.request("list")["tasks"] if task["task_id"] == task_id]
        return found

    def outputs(self, task_id: str) -> list[Message]:
        """Take out the pending ``output`` messages of a task."""
        wanted = _matcher("output", {"task_id": task_id})
        with self._came:
            taken = [message for message in self._pending if wanted(message)]
            self._pending = [message for message in self._pending if not wanted(message)]
        return taken

    def pending(self, type: str = "", **match: Any) -> list[Message]:
        """A look at the messages not taken out yet, of one type or of all."""
        wanted = _matcher(type, match)
        with self._came:
            return [message for message in self._pending if wanted(message)]

    def wait_closed(self, timeout: float = 30.0) -> tuple[int | None, str]:
        """Wait for the server to end the connection; its close code (1006 without one) and reason."""
        with self._came:
            assert self._came.wait_for(lambda: self._ended, timeout), f"not closed in {timeout} s: {self!r}"
            return self.close_code, self.close_reason

    def __repr__(self) -> str:
        state = f"closed {self.close_code} {self.close_reason!r}" if self._ended else "open"
        pending = f"last pending: {self._pending[-8:]}"
        return f"<{type(self).__name__} {state}, {len(self.messages)} messages, {pending}>"

    # -- for transports --

    def _start(self, read: Callable[[], None]) -> None:
        def run() -> None:
            try:
                read()
            except OSError:
                pass  # closed from either side: the same as an end
            finally:
                with self._came:
                    self._ended = True
                    self._came.notify_all()

        self._reader = threading.Thread(target=run, name="test client", daemon=True)
        self._reader.start()

    def _received(self, payloads: list[bytes]) -> None:
        messages = [json.loads(payload) for payload in payloads]
        with self._came:
            self.messages += messages
            self._pending += messages
            self._came.notify_all()

    def _join(self) -> None:
        assert self._reader is not None
        self._reader.join(30)
        assert not self._reader.is_alive(), "the test client's reader does not end"

    def _take(self, wanted: Callable[[Message], bool], timeout: float, what: str) -> Message:
        deadline = time.monotonic() + timeout
        seen = 0  # pending messages looked at already, so that a flood is not scanned again for each arrival
        with self._came:
            while True:
                for index in range(seen, len(self._pending)):
                    if wanted(self._pending[index]):
                        return self._pending.pop(index)
                seen = len(self._pending)
                if self._ended:
                    raise Closed(f"closed while waiting for {what}: {self!r}")
                if not self._came.wait(deadline - time.monotonic()) and time.monotonic() >= deadline:
                    raise AssertionError(f"no {what} within {timeout} s: {self!r}")


class WsClient(MessageClient):
    """A WebSocket client; ``address`` is ``HOST:PORT`` or ``unix:PATH``."""

    def __init__(self, address: str, path: str = "/ws", timeout: float = 30.0) -> None:
        super().__init__()
        self._sock = _connect(address, timeout)
        self._sending = threading.Lock()  # a whole frame at a time
        try:
            rest = self._handshake(path, address)
            self._sock.settimeout(None)
        except BaseException:
            self._sock.close()
            raise
        self._start(lambda: self._read(rest))

    def send_text(self, text: str) -> None:
        self.send_frame(0x1, text.encode())

    def send_frame(self, opcode: int, payload: bytes, *, fin: bool = True) -> None:
        """Send one masked frame."""
        size = len(payload)
        head = bytes([(0x80 if fin else 0) | opcode])
        if size < 126:
            head += bytes([0x80 | size])
        elif size < 1 << 16:
            head += bytes([0x80 | 126]) + struct.pack("!H", size)
        else:
            head += bytes([0x80 | 127]) + struct.pack("!Q", size)
        mask = os.urandom(4)
        with self._sending:
            self._sock.sendall(head + mask + _masked(payload, mask))

    def close(self) -> None:
        """Close politely and end the reader. Idempotent."""
        if self._sock.fileno() >= 0:
            try:
                self._sock.settimeout(10.0)
                self.send_frame(0x8, struct.pack("!H", 1000))
                self._sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # the server was first
        self._join()
        self._sock.close()

    def abort(self) -> None:
        """Vanish with a reset, as a crashed client does."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.shutdown(socket.SHUT_RD)
        self._join()
        self._sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _handshake(self, path: str, address: str) -> bytes:
        key = base64.b64encode(os.urandom(16)).decode()
        host = "localhost" if address.startswith("unix:") else address
        self._sock.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        data = b""
        while b"\r\n\r\n" not in data:
            more = self._sock.recv(65536)
            if not more:
                raise Closed(f"the server ended the handshake: {data!r}")
            data += more
        head, _, rest = data.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101"), head.decode("latin-1")
        return rest

    def _read(self, data: bytes) -> None:
        buffer = bytearray(data)
        parts = bytearray()  # of a message in several frames
        self.close_code = 1006
        while True:
            payloads: list[bytes] = []
            position = 0
            while (frame := _frame(buffer, position)) is not None:
                first, start, position = frame
                payload = bytes(buffer[start:position])
                opcode = first & 0x0F
                if opcode == 0x8:
                    self._received(payloads)
                    self.close_code = struct.unpack("!H", payload[:2])[0] if payload else 1005
                    self.close_reason = payload[2:].decode()
                    return
                if opcode == 0x9:
                    self.send_frame(0xA, payload)
                elif opcode != 0xA:
                    parts += payload
                    if first & 0x80:
                        payloads.append(bytes(parts))
                        parts.clear()
            del buffer[:position]
            if payloads:
                self._received(payloads)
            more = self._sock.recv(1 << 18)
            if not more:
                return
            buffer += more


class StdioClient(MessageClient):
    """A client over a server's stdin and stdout, one JSON object a line."""

    def __init__(self, to_server: BinaryIO, from_server: BinaryIO) -> None:
        super().__init__()
        self._to, self._from = to_server, from_server
        self._start(self._read)

    def send_text(self, text: str) -> None:
        self._to.write(text.encode() + b"\n")
        self._to.flush()

    def end(self) -> None:
        """Close the server's stdin; what it says afterwards is still received."""
        self._to.close()

    def _read(self) -> None:
        for line in self._from:
            self._received([line])


def _connect(address: str, timeout: float) -> socket.socket:
    if address.startswith("unix:"):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(timeout)
        try:
            sock.connect(address.removeprefix("unix:"))
        except OSError:
            sock.close()
            raise
        return sock
    host, _, port = address.rpartition(":")
    return socket.create_connection((host.strip("[]"), int(port)), timeout)


def _frame(buffer: bytearray, position: int) -> tuple[int, int, int] | None:
    """``(first byte, payload's start, frame's end)`` of the frame at ``position``; None while incomplete."""
    have = len(buffer) - position
    if have < 2:
        return None
    size, start = buffer[position + 1], position + 2
    assert size < 0x80, "a server's frames are not masked"
    if size == 126:
        if have < 4:
            return None
        size, start = int.from_bytes(buffer[start : start + 2]), start + 2
    elif size == 127:
        if have < 10:
            return None
        size, start = int.from_bytes(buffer[start : start + 8]), start + 8
    if len(buffer) < start + size:
        return None
    return buffer[position], start, start + size


def _masked(payload: bytes, mask: bytes) -> bytes:
    size = len(payload)
    key = int.from_bytes((mask * (size // 4 + 1))[:size])
    return (int.from_bytes(payload) ^ key).to_bytes(size)


def _matcher(type: str, match: dict[str, Any]) -> Callable[[Message], bool]:
    def matches(message: Message) -> bool:
        return (not type or message.get("type") == type) and all(
            name in message and message[name] == value for name, value in match.items()
        )

    return matches
