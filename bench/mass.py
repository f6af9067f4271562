"""Very many tasks at once: started by one client, listed, and stopped in a row."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial

from bench.cases import Case, Metric, Sample
from bench.client import Connection
from bench.servers import Server


def mass_cases(counts: tuple[int, ...]) -> Iterator[Case]:
    """A case for each number of tasks."""
    for count in counts:
        yield Case(
            f"mass-{count}",
            f"{count:,} tasks started by one client without waiting, and stopped in a row",
            (
                Metric("starts", "ms until the last `started`"),
                Metric("start_cpu", "ms of server CPU a start"),
                Metric("stops", "ms until the last `exited`"),
                Metric("stop_cpu", "ms of server CPU a stop"),
            ),
            partial(_mass, count),
            runs=3,
        )
        yield Case(
            f"list-{count}",
            f"`list` of {count:,} running tasks",
            (Metric("first", "ms for the first one"), Metric("again", "ms for the next")),
            partial(_list, count),
            baseline=False,
            runs=3,
        )


def start_all(connection: Connection, count: int) -> list[str]:
    """Start so many tasks that sleep; returns their ids once all of them run."""
    for number in range(count):
        connection.send(type="start", id=str(number), action="run", params={"script": "exec sleep 1000"})
    return [connection.wait_for("started")["task_id"] for _ in range(count)]


def _mass(count: int, server: Server) -> Sample:
    connection = server.connect()
    try:
        cpu, begun = server.cpu_s(), time.perf_counter()
        tasks = start_all(connection, count)
        starts, start_cpu = time.perf_counter() - begun, server.cpu_s() - cpu
        resident = server.resident()
        cpu, begun = server.cpu_s(), time.perf_counter()
        for task in tasks:
            connection.send(type="stop", id="stop", task_id=task)
        ended = {connection.wait_for("exited")["task_id"] for _ in tasks}
        stops, stop_cpu = time.perf_counter() - begun, server.cpu_s() - cpu
    finally:
        connection.close()
    if ended != set(tasks):
        raise AssertionError(f"{len(ended)} of {count} tasks ended")
    return Sample(
        {
            "starts": starts * 1e3,
            "start_cpu": start_cpu / count * 1e3,
            "stops": stops * 1e3,
            "stop_cpu": stop_cpu / count * 1e3,
        },
        resident,
    )


def _list(count: int, server: Server) -> Sample:
    connection = server.connect()
    delays = []
    try:
        start_all(connection, count)
        time.sleep(0.1)  # so that the threads of the starts have come to rest
        for _ in range(5):
            begun = time.perf_counter()
            connection.send(type="list", id="list")
            connection.wait_for("tasks")
            delays.append((time.perf_counter() - begun) * 1e3)
    finally:
        connection.close()
    return Sample({"first": delays[0], "again": sorted(delays[1:])[2]}, server.resident())
