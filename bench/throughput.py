"""Lines a second: to many, to one, to nobody, long ones, through filters."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from bench.cases import Case, Metric, Sample
from bench.client import TIMEOUT_S, Connection, drain
from bench.servers import Server

_PILOT = 20_000
_SECONDS = 0.6  # that one run should take


@dataclass(frozen=True)
class Load:
    """What the child writes.

    Args:
        command: of the shell; ``{n}`` is the number of lines.
        passing: how many of so many lines the filter lets through.
        length: characters in the line with this seq; None: not plain, so its bytes are not foretold.
    """

    command: str
    passing: Callable[[int], int] = lambda n: n
    length: Callable[[int], int] | None = None


SEQ = Load("seq 1 {n}", length=lambda seq: len(str(seq)))
_HUNDRED = Load(f"yes {'x' * 100} | head -n {{n}}", length=lambda seq: 100)


def throughput_cases(most: int) -> Iterator[Case]:
    """The cases; ``most``: lines a run may have."""
    rate = Metric("rate", "lines/s", more_is_better=True)
    cpu = Metric("cpu", "µs of server CPU a line")
    for count, goal in ((1, 350_000), (10, 180_000), (50, 40_000)):
        yield Case(
            f"to-{count}",
            f"`seq 1 N` to {'one subscriber' if count == 1 else f'each of {count}'}",
            (rate.reach(goal), cpu.reach(3.0) if count == 1 else cpu),
            partial(streamed, "run", SEQ, count, most),
        )
    yield Case("nobody", "nobody subscribed", (rate.reach(4_000_000), cpu), partial(unwatched, most * 4))
    yield Case(
        "hundred",
        "100-byte lines to one subscriber",
        (rate.reach(200_000), cpu),
        partial(streamed, "run", _HUNDRED, 1, most),
    )
    contains = Load("seq 1 {n}", passing=_with_5_or_7)
    yield Case(
        "cel-contains",
        '`data.contains("5") || data.contains("7")`',
        (Metric("rate", "source lines/s", more_is_better=True).reach(200_000), cpu),
        partial(streamed, "contains", contains, 1, most),
        baseline=False,
    )
    over = Metric("over", "µs a line over no filter").reach(5.0)
    for name, title, load in (
        ("equal", '`data == "12345"`', Load("seq 1 {n}", passing=lambda n: int(n >= 12345))),
        ("matches", '`data.matches("^[0-9]*5$")`', Load("seq 1 {n}", passing=lambda n: (n + 5) // 10)),
        (
            "size",
            '`stream == "stdout" && size(data) > 5`',
            Load("seq 1 {n}", passing=lambda n: max(0, n - 99_999)),
        ),
        ("json", '`has(json.x) && json.x == "5"`, JSON lines', _json_lines()),
    ):
        yield Case(f"cel-{name}", title, (over, cpu), partial(_filtered, name, load, most), baseline=False)


def streamed(action: str, load: Load, count: int, most: int, server: Server) -> Sample:
    """The lines of one child to ``count`` subscribers."""
    connections = [server.connect() for _ in range(count)]
    try:
        pilot = _run(server, action, load, connections, _PILOT)
        lines = _adjusted(pilot, most)
        return _run(server, action, load, connections, lines)
    finally:
        for connection in connections:
            connection.close()


def _run(server: Server, action: str, load: Load, connections: list[Connection], lines: int) -> Sample:
    first, *others = connections
    with _gate(server) as (script, opened):
        first.send(
            type="start",
            id="start",
            action=action,
            task_id=(task := f"{action}-{os.urandom(4).hex()}"),
            params={"script": script + load.command.format(n=lines)},
        )
        first.wait_for("started")
        for connection in others:
            connection.send(type="subscribe", id="subscribe", task_id=task)
            connection.wait_for("subscribed")
        cpu, begun = server.cpu_s(), time.perf_counter()
        opened()
        streams = drain(connections)
        seconds, cpu = time.perf_counter() - begun, server.cpu_s() - cpu
    expected = load.passing(lines)
    for stream in streams:
        if stream.last_seq != expected:
            raise AssertionError(f"{server.kind.name}: {stream.last_seq} of {expected} lines came")
        if stream.size != streams[0].size:
            raise AssertionError(f"{server.kind.name}: not all subscribers got as many bytes")
        if not server.kind.foreign and load.length is not None:
            size = _frames_size(stream.envelope, lines, load.length)
            if stream.output_size != size:
                raise AssertionError(f"{server.kind.name}: {stream.output_size} of {size} bytes came")
    return Sample({"rate": lines / seconds, "cpu": cpu / lines * 1e6}, server.resident())


def unwatched(most: int, server: Server) -> Sample:
    """Nobody listens; when all lines are counted, it is over."""
    connection = server.connect()
    lines = most // 10 if server.kind.foreign else most
    try:
        with _gate(server) as (script, opened), _fifo(server, "end") as end_fd:
            task = f"run-{os.urandom(4).hex()}"
            script += (
                f"seq 1 {lines}; exec >&-; echo > {server.directory}/end; read x < {server.directory}/gate"
            )
            connection.send(type="start", id="start", action="run", task_id=task, params={"script": script})
            connection.wait_for("started")
            connection.send(type="unsubscribe", id="unsubscribe", task_id=task)
            connection.wait_for("unsubscribed")
            cpu, begun = server.cpu_s(), time.perf_counter()
            opened()
            os.read(end_fd, 1)
            counted, deadline = 0, time.monotonic() + TIMEOUT_S
            while counted < lines and time.monotonic() < deadline:
                connection.send(type="metrics", id="metrics", task_id=task)
                counted = connection.wait_for("metrics")["task"]["output_lines"]
            seconds, cpu = time.perf_counter() - begun, server.cpu_s() - cpu
            opened()
    finally:
        connection.close()
    if counted != lines:
        raise AssertionError(f"{server.kind.name}: {counted} of {lines} lines were counted")
    return Sample({"rate": lines / seconds, "cpu": cpu / lines * 1e6}, server.resident())


def _filtered(action: str, load: Load, most: int, server: Server) -> Sample:
    """CPU with a filter, over that of the same lines without one, one after the other."""
    plain = streamed("run", Load(load.command), 1, most, server)
    filtered = streamed(action, load, 1, most, server)
    filtered.values["over"] = filtered.values["cpu"] - plain.values["cpu"]
    return filtered


@contextmanager
def _gate(server: Server) -> Iterator[tuple[str, Callable[[], object]]]:
    """A script's beginning that waits, and what lets it go on: starting a process is not what is measured."""
    with _fifo(server, "gate") as fd:
        yield f"read x < {server.directory}/gate; ", lambda: os.write(fd, b"\n")


@contextmanager
def _fifo(server: Server, name: str) -> Iterator[int]:
    path = server.directory / name
    os.mkfifo(path)
    fd = os.open(path, os.O_RDWR)  # so that neither side waits for the other to open it
    try:
        yield fd
    finally:
        os.close(fd)
        path.unlink()


def _adjusted(pilot: Sample, most: int) -> int:
    return int(min(most, max(_PILOT, pilot.values["rate"] * _SECONDS)))


def _frames_size(envelope: int, lines: int, length: Callable[[int], int]) -> int:
    """Bytes that the frames of all lines have together."""
    total, first = 0, 1
    while first <= lines:
        # All seqs with as many digits have lines of one length.
        digits = len(str(first))
        last = min(lines, 10**digits - 1)
        payload = envelope + length(first) + digits
        total += (last - first + 1) * (payload + (2 if payload < 126 else 4))
        first = last + 1
    return total


def _with_5_or_7(n: int) -> int:
    """How many of 1..n have a 5 or a 7 among their digits."""
    without, digits = 0, str(n + 1)  # count 0..n, less the 0
    for place, digit in enumerate(digits):
        smaller = sum(1 for other in range(int(digit)) if other not in (5, 7))
        without += smaller * 8 ** (len(digits) - place - 1)
        if digit in "57":
            break
    return n - (without - 1)


def _json_lines() -> Load:
    # Every tenth number ends with 5; the filter must parse each line to find "x".
    line = r'"{{\"x\":\"" i % 10 "\",\"text\":\"hello world\"}}"'
    return Load(f"awk 'BEGIN {{{{ for (i = 1; i <= {{n}}; i++) print {line} }}}}'", lambda n: (n + 5) // 10)
