"""The same on a worker of a Dask cluster on this machine, beside exec: what the way there costs."""

from __future__ import annotations

import contextlib
import importlib.util
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

from bench.cases import Case, Metric, Sample
from bench.client import Connection
from bench.servers import Server, free_port

_THREADS = 64
_IN_FLIGHT = 32


def cluster_cases(lines: int, starts: int) -> Iterator[Case]:
    """The case; ``lines``: of a run; ``starts``: how many follow one another, and how many run beside others.

    None where the extra ``dask`` is not installed.
    """
    if importlib.util.find_spec("distributed") is None:
        print("the case cluster needs the package distributed: left out", file=sys.stderr)
        return
    port = free_port()
    script = {"entrypoint": "/bin/sh", "command": ["-c", "[[.script]]"], "parameters": {"script": {}}}
    cluster = {"cluster": {"address": f"tcp://127.0.0.1:{port}"}}
    actions: dict[str, Any] = {
        "near": {"type": "exec", "config": script},
        "far": {"type": "dask", "config": {**script, **cluster}},
    }
    yield Case(
        "cluster",
        "a worker of a Dask cluster on the same machine (`far`), beside `exec` (`near`)",
        (
            Metric("far_rate", "lines/s far", more_is_better=True),
            Metric("near_rate", "lines/s near", more_is_better=True),
            Metric("far_ms", "ms to `started` far, median"),
            Metric("near_ms", "ms to `started` near, median"),
            Metric("far_starts", "starts/s far", more_is_better=True),
            Metric("near_starts", "starts/s near", more_is_better=True),
        ),
        partial(_beside, port, lines, starts),
        baseline=False,
        top_level={"actions": actions},
        runs=2,
    )


def _beside(port: int, lines: int, starts: int, server: Server) -> Sample:
    values: dict[str, float] = {}
    with _cluster(port, server):
        connection = server.connect()
        try:
            _first(connection)
            for action in ("far", "near"):
                values[f"{action}_ms"] = _latency(connection, action, starts)
                values[f"{action}_starts"] = _together(connection, action, starts * 5)
                values[f"{action}_rate"] = _flood(connection, action, lines)
        finally:
            connection.close()
    return Sample(values, server.resident())


@contextlib.contextmanager
def _cluster(port: int, server: Server) -> Iterator[None]:
    """A scheduler at this port, and a worker."""
    where = ["--host", "127.0.0.1", "--no-dashboard"]
    worker = [f"tcp://127.0.0.1:{port}", "--nthreads", str(_THREADS), "--no-nanny", "--memory-limit", "0"]
    programs: list[subprocess.Popen[bytes]] = []
    try:
        for module, arguments in (("scheduler", ["--port", str(port)]), ("worker", worker)):
            program = [sys.executable, "-m", f"distributed.cli.dask_{module}", *where, *arguments]
            quiet = subprocess.DEVNULL
            programs.append(subprocess.Popen(program, cwd=server.directory, stdout=quiet, stderr=quiet))
        yield
    finally:
        for each in reversed(programs):
            each.kill()
            each.wait(30.0)


def _ask(connection: Connection, action: str, script: str) -> None:
    connection.send(type="start", id="s", action=action, params={"script": script})


def _wait(connection: Connection, kind: bytes) -> bytes:
    """The next message of this type; output is counted by others, an error is one."""
    while True:
        message = connection.receive()
        if message.startswith(b'{"type":"' + kind + b'"'):
            return message
        if message.startswith(b'{"type":"error"'):
            raise AssertionError(message)


def _first(connection: Connection) -> None:
    """Wait until the cluster is there and has run something."""
    deadline = time.monotonic() + 60.0
    while True:
        _ask(connection, "far", "exit 0")
        with contextlib.suppress(AssertionError):
            _wait(connection, b"exited")
            return
        if time.monotonic() > deadline:
            raise AssertionError("the cluster does not come up")


def _latency(connection: Connection, action: str, count: int) -> float:
    """Milliseconds from a request to its ``started``, one after the other; the median."""
    took = []
    for _ in range(count):
        begun = time.perf_counter()
        _ask(connection, action, "exit 0")
        _wait(connection, b"started")
        took.append(time.perf_counter() - begun)
        _wait(connection, b"exited")
    return statistics.median(took) * 1e3


def _together(connection: Connection, action: str, count: int) -> float:
    """Starts a second with some in flight."""
    begun = time.perf_counter()
    for _ in range(_IN_FLIGHT):
        _ask(connection, action, "exit 0")
    for ended in range(count):
        _wait(connection, b"exited")
        if ended + _IN_FLIGHT < count:
            _ask(connection, action, "exit 0")
    return count / (time.perf_counter() - begun)


def _flood(connection: Connection, action: str, lines: int) -> float:
    """Lines a second to one subscriber; all must come."""
    _ask(connection, action, f"seq 1 {lines}")
    _wait(connection, b"started")
    begun, seen = time.perf_counter(), 0
    while True:
        message = connection.receive()
        if message.startswith(b'{"type":"output"'):
            seen += 1
        elif message.startswith(b'{"type":"exited"'):
            break
    if seen != lines:
        raise AssertionError(f"{seen} of {lines} lines came")
    return lines / (time.perf_counter() - begun)
