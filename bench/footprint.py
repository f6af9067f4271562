"""What a server costs that does nothing: launch, memory, CPU; and what idle tasks and clients add."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial

from bench.cases import Case, Metric, Sample
from bench.client import Connection
from bench.servers import Server

_SETTLE_S = 0.3
_SILENT_S = 6.0  # after which a client has no thread of its own any more


def footprint_cases(many: int, idle_s: float) -> Iterator[Case]:
    """The cases; ``many``: idle tasks and clients at once, ``idle_s``: how long its CPU is watched."""
    yield Case(
        "idle",
        "an idle server",
        (
            Metric("launch", "s from launch until it accepts").reach(0.8),
            Metric("resident", "MB resident").reach(50),
            Metric("cpu", "ms of CPU a second").reach(0.1),
        ),
        partial(_idle, idle_s),
    )
    yield Case(
        "many",
        f"{many:,} running idle tasks and {many:,} idle clients at once",
        (
            Metric("task", "kB resident a task").reach(150),
            Metric("client", "kB resident a client").reach(120),
            Metric("cpu", "ms of CPU a second"),
        ),
        partial(_many, many),
        top_level={"limits": {"max_connections": 2 * many}},
        runs=1,
    )


def _idle(seconds: float, server: Server) -> Sample:
    time.sleep(_SETTLE_S)
    cpu = server.cpu_s()
    time.sleep(seconds)
    values = {
        "launch": server.launch_s,
        "resident": server.resident() / 1e6,
        "cpu": (server.cpu_s() - cpu) / seconds * 1e3,
    }
    return Sample(values, server.resident())


def _many(many: int, server: Server) -> Sample:
    first = server.connect()
    connections = [first]
    try:
        # What the first of each costs is the server's own.
        _start(first, "first")
        time.sleep(_SETTLE_S)
        empty = server.resident()
        for number in range(many):
            _start(first, f"idle-{number}")
        time.sleep(_SETTLE_S)
        with_tasks = server.resident()
        for _ in range(many - 1):  # the first makes it so many
            connection = server.connect()
            connections.append(connection)
            connection.send(type="subscribe", id="subscribe", task_id="first")
            connection.wait_for("subscribed")
        time.sleep(_SILENT_S)
        with_clients = server.resident()
        cpu = server.cpu_s()
        time.sleep(1.0)  # what it spends meanwhile is measured
        cpu = server.cpu_s() - cpu
    finally:
        for connection in connections:
            connection.close()
    return Sample(
        {
            "task": (with_tasks - empty) / many / 1e3,
            "client": (with_clients - with_tasks) / (many - 1) / 1e3,
            "cpu": cpu * 1e3,
        },
        with_clients,
    )


def _start(connection: Connection, task: str) -> None:
    connection.send(type="start", id=task, action="run", task_id=task, params={"script": "exec sleep 1000"})
    connection.wait_for("started")
