"""A real server with sessions that record and echo."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from overseer.auth.peer import Peer
from overseer.config.listen import Listen
from overseer.net.frames import Encoded
from overseer.net.http import Response, Route, json_response
from overseer.net.outbox import Outbox
from overseer.net.server import Server
from overseer.net.session import ConnectionLimits
from overseer.util.timers import Timers
from tests.net.rawclient import RawClient


class RecordingSession:
    """Keeps its outbox and peer, answers each message with itself, and says when it was closed."""

    def __init__(self, outbox: Outbox, peer: Peer) -> None:
        self.outbox = outbox
        self.peer = peer
        self.received: list[str | bytes] = []
        self.closes = 0
        self.is_closed = threading.Event()

    def receive(self, data: str | bytes) -> None:
        self.received.append(data)
        if data == "raise":
            raise OSError("a session that fails")
        text = data.encode() if isinstance(data, str) else data
        self.outbox.append(Encoded([text]))
        self.outbox.flush()

    def closed(self) -> None:
        self.closes += 1
        self.is_closed.set()


class Harness:
    """A server, started, and the sessions it opened."""

    def __init__(self, listen: Listen, limits: ConnectionLimits, **options: Any) -> None:
        self.sessions: queue.Queue[RecordingSession] = queue.Queue()
        self.timers = Timers("test-timers")
        routes: dict[str, Route] = {
            "/doc": lambda request: json_response({"path": request.path, "query": request.query}),
            "/big": lambda request: Response(200, b"x" * 1_000_000),
            "/fails": self._fail,
        }
        options.setdefault("trusted", lambda address: True)
        open_session = options.pop("open_session", self._open)
        self.server = Server(
            listen, open_session, routes=routes, timers=self.timers, limits=limits, **options
        )
        self.server.start()
        self.address = self.server.address

    def _open(self, outbox: Outbox, peer: Peer) -> RecordingSession:
        session = RecordingSession(outbox, peer)
        self.sessions.put(session)
        return session

    @staticmethod
    def _fail(request: object) -> Response:
        raise ValueError("a route that fails")

    def client(self, **options: Any) -> RawClient:
        return RawClient(self.address, **options)

    def session(self) -> RecordingSession:
        """The session of the client that connected first of those not asked for yet."""
        return self.sessions.get(timeout=5)

    def pair(self, **options: Any) -> tuple[RawClient, RecordingSession]:
        """A new client and its session."""
        client = self.client(**options)
        return client, self.session()

    def close(self) -> None:
        self.server.shutdown()
        self.timers.close()


QUICK = ConnectionLimits(handshake_timeout=0.5, close_timeout=0.5, stall_timeout=0.5)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Harness]]:
    """Starts servers: ``serve(listen=..., buffer=..., trusted=...)``; limits by name, quick by default."""
    harnesses: list[Harness] = []

    def start(listen: Listen | None = None, **options: Any) -> Harness:
        fields = {name: options.pop(name) for name in list(options) if hasattr(QUICK, name)}
        harness = Harness(listen or Listen("tcp", "127.0.0.1", 0), replace(QUICK, **fields), **options)
        harnesses.append(harness)
        return harness

    yield start
    for harness in harnesses:
        harness.close()
