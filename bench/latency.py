"""How long a lone line takes from the child's write to the client, in peace and beside a flood."""

from __future__ import annotations

import shlex
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

_PAUSE_S = 0.002
# The stamp is taken right before the write; the clock is the same for all processes.
_WRITER = """\
import os, time
for _ in range({count}):
    time.sleep({pause})
    os.write(1, b"%d\\n" % time.monotonic_ns())
"""


def latency_cases(count: int) -> Iterator[Case]:
    """The cases; ``count``: lines in a run."""
    median, high = Metric("median", "µs, median"), Metric("high", "µs, 99th percentile")
    yield Case(
        "lone-line",
        "a lone line, child's write to client",
        (median.reach(200), high.reach(600)),
        partial(_lone_lines, count),
    )
    yield Case(
        "beside-flood",
        "the same beside a flood from another task",
        (median, high.reach(20_000)),
        partial(_beside_flood, count),
    )


def _lone_lines(count: int, server: Server) -> Sample:
    script = f"exec {shlex.quote(sys.executable)} -c " + shlex.quote(
        _WRITER.format(count=count, pause=_PAUSE_S)
    )
    connection = server.connect()
    delays = []
    try:
        connection.send(type="start", id="start", action="run", task_id="lone", params={"script": script})
        connection.wait_for("started")
        while True:
            message = connection.receive()
            if message.startswith(b'{"type":"output"'):
                _, _, rest = message.partition(b'"data":"')
                delays.append((time.monotonic_ns() - int(rest[: rest.index(b'"')])) / 1e3)
            elif message.startswith(b'{"type":"exited"'):
                break
    finally:
        connection.close()
    if len(delays) != count:
        raise AssertionError(f"{len(delays)} of {count} lines came")
    delays.sort()
    return Sample(
        {"median": statistics.median(delays), "high": delays[len(delays) * 99 // 100]}, server.resident()
    )


def _beside_flood(count: int, server: Server) -> Sample:
    with _flood(server):
        return _lone_lines(count, server)


@contextmanager
def _flood(server: Server) -> Iterator[None]:
    """A task that writes without end, and a process that takes all of it."""
    host, port = server.address
    taker = subprocess.Popen(
        [sys.executable, "-m", "bench.latency", host, str(port)], stdout=subprocess.PIPE, process_group=0
    )
    try:
        assert taker.stdout is not None
        if not taker.stdout.readline():
            raise AssertionError("the flood did not begin")
        yield
    finally:
        taker.kill()
        taker.communicate()


def _take_flood(host: str, port: str) -> None:
    connection = Connection((host, int(port)))
    connection.send(
        type="start", id="flood", action="run", task_id="flood", params={"script": "exec seq 1 1000000000"}
    )
    connection.wait_for("started")
    buffer = bytearray(1 << 20)
    taken = 0
    while taken >= 0:
        size = connection.sock.recv_into(buffer)
        if not size:
            return
        if not taken:
            print("flooded", flush=True)
        taken += size


if __name__ == "__main__":
    _take_flood(*sys.argv[1:])
