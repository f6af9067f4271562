"""Many tasks that write a line now and then: what such a line costs, and how long it takes to the client."""

from __future__ import annotations

import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from bench.cases import Case, Metric, Sample
from bench.client import Connection
from bench.servers import Server

_SETTLE_S = 0.3
_WARM_UP = 200  # lines before those that count


def lone_cases(seconds: float) -> Iterator[Case]:
    """The cases; ``seconds``: how long each writes."""
    for tasks, rate, logged in (
        (1, 200, False),
        (60, 25, False),
        (60, 25, True),
        (100, 20, False),
        (500, 3, False),
    ):
        yield Case(
            f"lone-{tasks}" + "-logged" * logged,
            f"a line now and then, {tasks} task{'s' * (tasks > 1)} x {rate} lines/s"
            + ", with a log" * logged,
            (
                Metric("cpu", "µs of server CPU each"),
                Metric("median", "µs to the client, median"),
                Metric("high", "µs to the client, 99th percentile"),
            ),
            partial(_lines, tasks, rate, seconds),
            top_level={"data_dir": "data"} if logged else {},
            runs=3,
        )


def _lines(tasks: int, rate: float, seconds: float, server: Server) -> Sample:
    """One client is subscribed to all of them; each line has the moment in it at which it was written."""
    connection = server.connect()
    try:
        pids = [start_silent(connection, f"lone-{number}") for number in range(tasks)]
        time.sleep(_SETTLE_S)
        count = int(tasks * rate * seconds)
        with writing(_WARM_UP + count, tasks * rate, pids):
            delays_of(connection, _WARM_UP)
            cpu = server.cpu_s()
            delays = sorted(delays_of(connection, count))
            cpu = server.cpu_s() - cpu
    finally:
        connection.close()
    return Sample(
        {
            "cpu": cpu / count * 1e6,
            "median": statistics.median(delays),
            "high": delays[len(delays) * 99 // 100],
        },
        server.resident(),
    )


def start_silent(connection: Connection, task: str) -> int:
    """Start a task that writes nothing by itself; its pid."""
    connection.send(type="start", id=task, action="run", task_id=task, params={"script": "exec sleep 1000"})
    pid: int = connection.wait_for("started")["pid"]
    return pid


@contextmanager
def writing(count: int, rate: float, pids: list[int]) -> Iterator[None]:
    """So many lines of these processes, with the moment in each, by another process."""
    writer = subprocess.Popen(
        [sys.executable, "-m", "bench.lone", str(count), str(rate), *map(str, pids)], process_group=0
    )
    try:
        yield
    finally:
        writer.kill()
        writer.wait()


def delay_of(message: bytes) -> float | None:
    """How many microseconds such a line took until now; None: it is something else."""
    now = time.monotonic_ns()
    if not message.startswith(b'{"type":"output"'):
        return None
    _, _, rest = message.partition(b'"data":"')
    return (now - int(rest[: rest.index(b'"')])) / 1e3


def delays_of(connection: Connection, count: int) -> list[float]:
    """How many microseconds the next lines take."""
    delays: list[float] = []
    while len(delays) < count:
        delay = delay_of(connection.receive())
        if delay is not None:
            delays.append(delay)
    return delays


def _write(count: int, rate: float, pids: list[str]) -> None:
    """Write into the stdout of idle processes, of one after the other, as many lines a second, unevenly.

    So one process stands for many that write, whose own switches would only blur what is measured.
    """
    pipes = [os.open(f"/proc/{pid}/fd/1", os.O_WRONLY) for pid in pids]
    chance = random.Random(1)
    moment = time.monotonic()
    for number in range(count):
        moment += chance.expovariate(rate)
        time.sleep(max(0.0, moment - time.monotonic()))
        os.write(pipes[number % len(pipes)], b"%d\n" % time.monotonic_ns())


if __name__ == "__main__":
    _write(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:])
