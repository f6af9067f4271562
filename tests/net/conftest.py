"""A real server with handlers that record and echo."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from overseer.auth.peer import Peer
from overseer.config.listen import Listen
from overseer.net.encoding import json_response
from overseer.net.endpoint import Endpoint, Policy
from overseer.net.frames import Encoded
from overseer.net.http import Response, Route
from overseer.net.limits import ConnectionLimits
from overseer.net.listeners import open_listener
from overseer.net.outbox import Outbox
from overseer.net.server import Server
from overseer.util.timers import Timers
from tests.net.rawclient import RawClient


def wait_until(true: Callable[[], object]) -> None:
    """Wait until something is so, which others do."""
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.002)


class RecordingHandler:
    """Keeps its outbox and peer, answers each message with itself, and says when it was closed."""

    busy = False

    def __init__(self, outbox: Outbox, peer: Peer) -> None:
        self.outbox = outbox
        self.peer = peer
        self.received: list[str | bytes] = []
        self.closes = 0
        self.is_closed = threading.Event()

    def receive(self, data: str | bytes) -> None:
        self.received.append(data)
        if data == "raise":
            raise OSError("a handler that fails")
        text = data.encode() if isinstance(data, str) else data
        self.outbox.append(Encoded([text]))
        self.outbox.flush()

    def closed(self) -> None:
        self.closes += 1
        self.is_closed.set()


class Harness:
    """A server, started, and the handlers it opened."""

    def __init__(self, listen: Listen, limits: ConnectionLimits, **options: Any) -> None:
        self.handlers: queue.Queue[RecordingHandler] = queue.Queue()
        self.timers = Timers("test-timers")
        routes: dict[str, Route] = {
            "/doc": lambda request: json_response(request, {"path": request.path, "query": request.query}),
            "/big": lambda request: Response(200, b"x" * 1_000_000),
            "/fails": self._fail,
        }
        open_handler = options.pop("open_handler", self._open)
        policy = Policy()
        vars(policy).update(options)
        endpoint = Endpoint(open_handler, routes, policy=policy, limits=limits, timers=self.timers)
        self.server = Server(open_listener(listen), endpoint)
        self.server.start()
        self.address = self.server.address

    def _open(self, outbox: Outbox, peer: Peer) -> RecordingHandler:
        handler = RecordingHandler(outbox, peer)
        self.handlers.put(handler)
        return handler

    @staticmethod
    def _fail(request: object) -> Response:
        raise ValueError("a route that fails")

    def client(self, **options: Any) -> RawClient:
        return RawClient(self.address, **options)

    def handler(self) -> RecordingHandler:
        """The handler of the client that connected first of those not asked for yet."""
        return self.handlers.get(timeout=30)

    def pair(self, **options: Any) -> tuple[RawClient, RecordingHandler]:
        """A new client and its handler."""
        client = self.client(**options)
        return client, self.handler()

    def close(self) -> None:
        self.server.shutdown()
        self.timers.close()


QUICK = ConnectionLimits(handshake_timeout=0.5, close_timeout=0.5, stall_timeout=0.5)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Harness]]:
    """Starts servers: ``serve(listen=..., buffer=..., trusts=...)``: limits by name, quick by default, and
    methods of its policy."""
    harnesses: list[Harness] = []

    def start(listen: Listen | None = None, **options: Any) -> Harness:
        fields = {name: options.pop(name) for name in list(options) if hasattr(QUICK, name)}
        harness = Harness(listen or Listen("tcp", "127.0.0.1", 0), replace(QUICK, **fields), **options)
        harnesses.append(harness)
        return harness

    yield start
    for harness in harnesses:
        harness.close()
