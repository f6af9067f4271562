"""Requests to the API, one after the other, beside a bare HTTP server that is asked the same meanwhile."""

from __future__ import annotations

import http.client
import json
import shlex
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from bench.cases import Case, Metric, Sample
from bench.servers import Kind, Server

_BARE = Kind(
    "bare", shlex.join([sys.executable, str(Path(__file__).with_name("barehttp.py"))]) + " {address}"
)
_START = "/api/v1/actions/nothing/start"


def requests_cases(gets: int, starts: int) -> Iterator[Case]:
    """The case; so many requests of each kind in a run."""
    yield Case(
        "requests",
        "`GET tasks/ID`, and `POST start?wait` of `sh -c 'exit 0'`, one after the other",
        (
            Metric("get", "GET requests/s", more_is_better=True),
            Metric("get_bare", "of a bare `http.server`", more_is_better=True),
            Metric("get_cpu", "ms of server CPU a GET"),
            Metric("start", "POST requests/s", more_is_better=True),
            Metric("start_bare", "of a bare `http.server`", more_is_better=True),
            Metric("start_cpu", "ms of server CPU a POST"),
        ),
        partial(_requests, gets, starts),
        baseline=False,
        runs=3,
    )


def _requests(gets: int, starts: int, server: Server) -> Sample:
    wait = f"{_START}?wait=60"
    made = json.loads(_ask(server, "POST", wait))
    task = f"/api/v1/tasks/{made['task_id']}"
    with Server(_BARE) as bare:
        get, get_cpu = _rate(server, gets, "GET", task, b'"succeeded"')
        get_bare, _ = _rate(bare, gets, "GET", task, b'"succeeded"')
        start, start_cpu = _rate(server, starts, "POST", wait, b'"exit_code": 0')
        start_bare, _ = _rate(bare, starts, "POST", wait, b'"exit_code": 0')
    values = {
        **{"get": get, "get_bare": get_bare, "get_cpu": get_cpu},
        **{"start": start, "start_bare": start_bare, "start_cpu": start_cpu},
    }
    return Sample(values, server.resident())


def _rate(server: Server, count: int, method: str, path: str, expected: bytes) -> tuple[float, float]:
    """Requests a second, and milliseconds of the server's CPU for each."""
    for _ in range(count // 10):
        _ask(server, method, path)
    cpu, begun = server.cpu_s(), time.perf_counter()
    for _ in range(count):
        answer = _ask(server, method, path)
        if expected not in answer:
            raise AssertionError(answer)
    return count / (time.perf_counter() - begun), (server.cpu_s() - cpu) / count * 1e3


def _ask(server: Server, method: str, path: str) -> bytes:
    connection = http.client.HTTPConnection(*server.address, timeout=30)
    try:
        connection.request(method, path)
        return connection.getresponse().read()
    finally:
        connection.close()
