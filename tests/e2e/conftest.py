"""A client that leaves the server idle."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.harness import Daemon, MessageClient, WsClient


def end_all(client: MessageClient, timeout: float = 30.0) -> None:
    """Stop every task of the server and wait until none is left, so that the next test finds it idle."""
    deadline = time.monotonic() + timeout
    stopped = False  # whether each has been told to stop, so that no restart can follow what is seen
    while True:
        client.request("purge")
        tasks = client.request("list")["tasks"]
        for task in tasks:
            client.send("stop", task_id=task["task_id"])
        # Without a worker_state it is being started.
        busy = [
            task["task_id"]
            for task in tasks
            if task["state"] == "queued"
            or (task["state"] == "active" and task.get("worker_state") != "exited")
        ]
        client.settle()
        if stopped and not busy:
            return
        stopped = True
        assert time.monotonic() < deadline, f"still busy after {timeout} s: {busy}"


@pytest.fixture
def client(daemon: Daemon) -> Iterator[WsClient]:
    with daemon.connect() as client:
        yield client
        end_all(client)
