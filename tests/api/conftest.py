from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from tests.harness import Daemon, shell

EVENTS = "text/event-stream"

ACTIONS = {
    "hello": shell(
        'for i in 1 2 3; do echo "$i $1"; done; echo oops >&2; exit 3',
        config={
            "command": [
                "-c",
                'for i in 1 2 3; do echo "$i $1"; done; echo oops >&2; exit 3',
                "sh",
                "[[.who]]",
            ],
            "parameters": {"who": {"default": "you", "pattern": "[a-z]+"}},
        },
    ),
    "sleep": shell("echo ready; exec sleep 1000"),
    "echo": shell("exec cat", config={"stdin": "pipe"}),
    "broken": {"type": "exec", "config": {"entrypoint": "/nowhere/at/all"}},
    "one": shell("exec sleep 1000", task_pool={"limit": 1, "queue": {"enabled": True, "size": 1}}),
    "gives_up": shell("exit 9", retry={"restart_delay": "1ms", "error_threshold": 2}),
}


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


class Http:
    """``http("GET", "/tasks")``: one request to the API."""

    def __init__(self, address: str) -> None:
        self._address = address

    @contextmanager
    def open(
        self, method: str, path: str, body: object = None, timeout: float = 30.0, **headers: str
    ) -> Iterator[http.client.HTTPResponse]:
        """The response, whose body is read as it comes."""
        connection = http.client.HTTPConnection(self._address, timeout=timeout)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        data = None
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            given = {"Content-Type": "application/json", **given}
        try:
            connection.request(method, path if path.startswith("//") else f"/api/v1{path}", data, given)
            yield connection.getresponse()
        finally:
            connection.close()

    def __call__(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        with self.open(method, path, body, **headers) as response:
            return Answer(
                response.status,
                {name.lower(): value for name, value in response.getheaders()},
                response.read(),
            )


@pytest.fixture(scope="module")
def daemon(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    more = getattr(request.module, "TOP_LEVEL", {})
    data = tmp_path_factory.mktemp("data") / "here"
    with Daemon(actions=ACTIONS, data_dir=str(data), **more) as daemon:
        yield daemon


@pytest.fixture
def http_(daemon: Daemon) -> Http:
    return Http(daemon.address)


def events_of(response: http.client.HTTPResponse) -> Iterator[dict[str, str]]:
    """Server-sent events, as they come."""
    event: dict[str, str] = {}
    while line := response.readline():
        name, _, value = line.decode().rstrip("\n").partition(": ")
        if name:
            event[name] = value
        elif event:
            yield event
            event = {}
