"""How long everybody waits while a server is replaced by the program that is installed."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial

from bench.cases import Case, Metric, Sample
from bench.client import Connection
from bench.lone import delay_of, start_silent, writing
from bench.servers import Server

_RATE = 1000.0  # lines a second, of all tasks
_WARM_UP = 500
_TIMES = 3  # how often it is replaced, as a rule for good


def upgrade_cases(*counts: int) -> Iterator[Case]:
    """The cases; ``counts``: how many tasks are running."""
    for tasks in counts:
        yield Case(
            f"upgrade-{tasks}",
            f"replacing the server, {tasks:,} task{'s' * (tasks > 1)} running, {_RATE:,.0f} lines/s",
            (
                Metric("pause", "ms that a line waits, at most").reach(300 if tasks <= 100 else 1000),
                Metric("starts", "times what it takes to start Python"),
                Metric("cpu", "ms of CPU in all, its trial in a child aside"),
            ),
            partial(_upgrades, tasks),
            baseline=False,
            runs=5,
        )


def _upgrades(tasks: int, server: Server) -> Sample:
    """One client has subscribed to all of them, and has the server replaced several times over."""
    pauses, starts, cpu = [], [], []
    with closing(server.connect()) as connection:
        pids = [start_silent(connection, f"task-{number}") for number in range(tasks)]
        with writing(10**7, _RATE, pids):
            for _ in range(_TIMES):
                _longest(connection, _WARM_UP)
                before = server.cpu_s()
                connection.send(type="upgrade", id="upgrade")
                pauses.append(_longest(connection, _WARM_UP, until=b'"type":"upgraded"') / 1e3)
                cpu.append((server.cpu_s() - before) * 1e3)
                starts.append(pauses[-1] / _python_start())
    values = {"pause": min(pauses), "starts": min(starts), "cpu": min(cpu)}
    return Sample(values, server.resident())


def _longest(connection: Connection, count: int, until: bytes = b"") -> float:
    """Read so many lines, from ``until`` on; how many microseconds one took at most."""
    longest = 0.0
    while count > 0:
        message = connection.receive()
        if message.startswith(b'{"type":"error"'):
            raise RuntimeError(json.loads(message)["message"])
        if until and until in message[:100]:
            until = b""
        delay = delay_of(message)
        if delay is not None:
            longest = max(longest, delay)
            count -= not until
    return longest


def _python_start() -> float:
    """How many milliseconds it takes now to start Python."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", ""], check=True)
    return (time.perf_counter() - begun) * 1e3
