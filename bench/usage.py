"""What it costs to see what very many tasks use, and to know it at their ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial

from bench.cases import Case, Metric, Sample
from bench.client import Connection
from bench.mass import start_all
from bench.servers import Server

_PUSHES = 5
_UNWATCHED_S = 11.0  # between two looks that nobody asked for


def usage_cases(count: int) -> Iterator[Case]:
    """The case, for so many tasks."""
    yield Case(
        f"usage-{count}",
        f"what {count:,} running tasks use, sent to one client every two seconds",
        (
            Metric("watched", "ms of server CPU a second", goal=count / 50),
            Metric("unwatched", "ms a second while nobody watches", goal=count / 200),
        ),
        partial(_usage, count),
        baseline=False,
        runs=2,
    )


def _usage(count: int, server: Server) -> Sample:
    connection = server.connect()
    try:
        tasks = start_all(connection, count)
        for task in tasks:
            connection.send(type="subscribe", id=task, task_id=task, usage=True)
        _push(connection, 3 * count)  # each subscription had a look of its own
        watched = _cpu_a_second(server, lambda: _push(connection, _PUSHES * count))
    finally:
        connection.close()
    unwatched = _cpu_a_second(server, lambda: time.sleep(_UNWATCHED_S))
    return Sample({"watched": watched * 1e3, "unwatched": unwatched * 1e3}, server.resident())


def _push(connection: Connection, rows: int) -> None:
    """Wait until so many rows have come; a push may tell of some of the tasks only."""
    while rows > 0:
        rows -= len(connection.wait_for("usage")["tasks"])


def _cpu_a_second(server: Server, while_that: Callable[[], object]) -> float:
    cpu, begun = server.cpu_s(), time.perf_counter()
    while_that()
    return (server.cpu_s() - cpu) / (time.perf_counter() - begun)
