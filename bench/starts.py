"""Starting tasks: how many a second, how soon each is announced, and a list of very many."""

from __future__ import annotations

import itertools
import json
import statistics
import time
from collections.abc import Iterator
from functools import partial

from bench.cases import Case, Metric, Sample
from bench.client import Connection
from bench.servers import Server

_IN_FLIGHT = 8
_LISTED = 10_000
_AHEAD = 200  # requests sent before their replies are read
_KEEP = {"history": {"tasks": 2 * _LISTED}}


def starts_cases(starts: int, listed_ended: int) -> Iterator[Case]:
    """The cases; ``starts``: in a run; ``listed_ended``: how many of the tasks listed have run."""
    yield Case(
        "starts",
        f"`sh -c 'exit 0'`, {_IN_FLIGHT} in flight",
        (
            Metric("rate", "starts/s", more_is_better=True).reach(550),
            Metric("cpu", "ms of server CPU a start").reach(1.4),
        ),
        partial(_starts, starts),
    )
    yield Case(
        "started",
        "`started` after the request, idle",
        (Metric("median", "ms, median").reach(3.0), Metric("high", "ms, 90th percentile")),
        partial(_started, 60),
    )
    yield Case(
        "list",
        f"`list` of {_LISTED:,} tasks ({listed_ended:,} have run, the others are queued)",
        (
            Metric("ms", "ms until the whole reply is there").reach(50),
            Metric("first", "ms for the first one after all have changed"),
            Metric("cpu", "ms of server CPU"),
        ),
        partial(_listed, listed_ended),
        baseline=False,
        top_level=_KEEP,
        runs=1,
    )


def _starts(count: int, server: Server) -> Sample:
    connection = server.connect()
    try:
        _run_all(connection, 50)
        cpu, begun = server.cpu_s(), time.perf_counter()
        _run_all(connection, count)
        seconds, cpu = time.perf_counter() - begun, server.cpu_s() - cpu
    finally:
        connection.close()
    return Sample({"rate": count / seconds, "cpu": cpu / count * 1e3}, server.resident())


def _run_all(connection: Connection, count: int) -> None:
    """Keep so many in flight until ``count`` have ended."""
    numbers = itertools.count()
    for _ in range(min(_IN_FLIGHT, count)):
        connection.send(type="start", id=str(next(numbers)), action="nothing")
    started = ended = sent = 0
    sent = min(_IN_FLIGHT, count)
    while ended < count:
        message = connection.receive()
        if message.startswith(b'{"type":"started"'):
            started += 1
        elif message.startswith(b'{"type":"exited"'):
            if b'"exit_code":0' not in message:
                raise AssertionError(message)
            ended += 1
            if sent < count:
                sent += 1
                connection.send(type="start", id=str(next(numbers)), action="nothing")
        elif message.startswith(b'{"type":"error"'):
            raise AssertionError(message)
    if started != count:
        raise AssertionError(f"{started} of {count} were started")


def _started(count: int, server: Server) -> Sample:
    connection = server.connect()
    delays = []
    try:
        for number in range(count):
            begun = time.perf_counter()
            connection.send(type="start", id=str(number), action="nothing")
            connection.wait_for("started")
            delays.append((time.perf_counter() - begun) * 1e3)
            connection.wait_for("exited")
            time.sleep(0.005)  # so that nothing of the last one is still going on
    finally:
        connection.close()
    delays.sort()
    return Sample(
        {"median": statistics.median(delays), "high": delays[len(delays) * 9 // 10]}, server.resident()
    )


def _queue(connection: Connection, count: int) -> None:
    """So many tasks of which only the first may run."""
    for first in range(0, count, _AHEAD):
        numbers = range(first, min(count, first + _AHEAD))
        for number in numbers:
            connection.send(type="start", id=str(number), action="waiting", params={"script": "sleep 1000"})
        replies = 0  # the first task's may come after those to tasks that are queued behind it
        while replies < len(numbers):
            message = connection.receive()
            if message.startswith(b'{"type":"error"'):
                raise AssertionError(message)
            replies += message.startswith((b'{"type":"queued"', b'{"type":"started"'))


def _listed(ended: int, server: Server) -> Sample:
    connection = server.connect()
    try:
        _run_all(connection, ended)
        _queue(connection, _LISTED - ended)
        delays, spent = [], []
        for _ in range(9):
            time.sleep(0.02)  # so that nothing of the last one is still going on
            cpu, begun = server.cpu_s(), time.perf_counter()
            connection.send(type="list", id="list")
            reply = connection.receive()
            delays.append((time.perf_counter() - begun) * 1e3)
            spent.append((server.cpu_s() - cpu) * 1e3)
    finally:
        connection.close()
    tasks = json.loads(reply)["tasks"]
    if len({task["task_id"] for task in tasks}) != _LISTED:
        raise AssertionError(f"{len(tasks)} of {_LISTED} tasks were listed")
    values = {"first": delays[0], "ms": statistics.median(delays), "cpu": statistics.median(spent)}
    return Sample(values, server.resident())
