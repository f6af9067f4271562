"""What the server is compared with: pipes to frames to sockets in threaded Python, and nothing else.

It speaks just enough of the protocol to be driven by the same client (``subscribe``, ``unsubscribe``,
``start``, ``stop``, ``metrics``), and has no limits, filters, queues, history, retries, no care for slow
clients or for what a child leaves behind. A line costs it one f-string; a batch, one send for each socket.
Run as ``python bench/baseline.py HOST:PORT``.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from datetime import UTC, datetime
from typing import Any

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def header(size: int) -> str:
    """A text frame's header, as Latin-1."""
    return f"\x81{chr(size)}" if size < 126 else f"\x81~{chr(size >> 8)}{chr(size & 255)}"


_HEADERS = [header(size) for size in range(4096)]


def timestamp() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")[:-6] + "Z"


class Client:
    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.lock = threading.Lock()

    def send(self, frames: bytes) -> None:
        with self.lock:
            self.sock.sendall(frames)


class Baseline:
    def __init__(self) -> None:
        self.clients: dict[str, list[Client]] = {}  # by task
        self.lines: dict[str, int] = {}
        self.groups: dict[str, int] = {}

    def serve(self, listener: socket.socket) -> None:
        while True:
            sock, _ = listener.accept()
            threading.Thread(target=self.talk, args=(sock,), daemon=True).start()

    def talk(self, sock: socket.socket) -> None:
        with sock, sock.makefile("rb") as stream:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            key = b""
            while (line := stream.readline().strip()) != b"":
                if line.lower().startswith(b"sec-websocket-key:"):
                    key = line.split(b":", 1)[1].strip()
            accept = base64.b64encode(hashlib.sha1(key + _GUID).digest()).decode()
            sock.sendall(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()
            )
            client = Client(sock)
            while len(head := stream.read(2)) == 2:
                size = head[1] & 0x7F
                if size == 126:
                    size = int.from_bytes(stream.read(2), "big")
                mask = stream.read(4)
                payload = stream.read(size)
                if mask != bytes(4):
                    payload = bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))
                if head[0] & 0x0F == 1:
                    self.handle(client, json.loads(payload))

    def handle(self, client: Client, request: dict[str, Any]) -> None:
        task = request.get("task_id") or os.urandom(8).hex()
        match request["type"]:
            case "subscribe":
                self.clients.setdefault(task, []).append(client)
                reply = {"type": "subscribed", "id": request["id"], "task_id": task}
            case "unsubscribe":
                self.clients[task].remove(client)
                reply = {"type": "unsubscribed", "id": request["id"], "task_id": task}
            case "metrics":
                counted = {"output_lines": self.lines.get(task, 0)}
                reply = {"type": "metrics", "id": request["id"], "task": counted}
            case "stop":
                os.killpg(self.groups[task], signal.SIGTERM)
                return
            case _:
                self.start(client, request, task)
                return
        client.send(frame(reply))

    def start(self, client: Client, request: dict[str, Any], task: str) -> None:
        process = subprocess.Popen(
            ["/bin/sh", "-c", request.get("params", {}).get("script", "exit 0")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )
        self.clients.setdefault(task, []).append(client)
        self.groups[task] = process.pid
        started = {
            "type": "started",
            "id": request["id"],
            "task_id": task,
            "pid": process.pid,
            "ts": timestamp(),
        }
        client.send(frame(started))
        threading.Thread(target=self.run, args=(process, task), daemon=True).start()

    def run(self, process: subprocess.Popen[bytes], task: str) -> None:
        assert process.stdout is not None
        pipe = process.stdout.fileno()
        clients = self.clients[task]
        head = f'{{"type":"output","task_id":"{task}","pid":{process.pid},"stream":"stdout","data":"'
        seq, held = 1, b""
        while data := os.read(pipe, 65536):
            text, end, held = (held + data).rpartition(b"\n")
            if not end:
                continue
            lines = text.decode("utf-8", "replace").split("\n")
            if clients:
                middle = f'","ts":"{timestamp()}","seq":'
                around = len(head) + len(middle) + 1
                frames = "".join(
                    [
                        f"{_HEADERS[around + len(line) + len(str(number))]}{head}{line}{middle}{number}}}"
                        for number, line in enumerate(lines, seq)
                    ]
                ).encode("latin-1")
                for client in clients:
                    client.send(frames)
            seq += len(lines)
            self.lines[task] = seq - 1
        process.stdout.close()
        code = process.wait()
        exited = {
            "type": "exited",
            "task_id": task,
            "pid": process.pid,
            "exit_code": code,
            "intentional": False,
            "ts": timestamp(),
        }
        for client in self.clients.pop(task):
            client.send(frame(exited))


def frame(message: dict[str, Any]) -> bytes:
    text = json.dumps(message, separators=(",", ":"))
    return (header(len(text)) + text).encode("latin-1")


if __name__ == "__main__":
    host, port = sys.argv[1].rsplit(":", 1)
    Baseline().serve(socket.create_server((host, int(port)), backlog=1024))
