"""What outlives the server: what writing it costs, and how quickly it is found again."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from bench.cases import Case, Metric, Sample
from bench.client import Connection
from bench.servers import HERE, Server
from bench.throughput import SEQ, streamed, unwatched
from overseer.logs.sealing import finish, seal
from overseer.logs.standalone.segments import Block, Index, Run, Segment, beside, read_index, scan

SEGMENT = 16 * 2**20
TASK = "big"
_ASKED = 50  # times, each of another place
# Of floods with a log and without one. A single ratio is off by a fifth and more, however long each flood,
# as the machine's moods last longer: many short ones are worth more than a few long ones.
_ROUNDS = 7
KEPT = {
    "data_dir": "data",
    "storage": {"log_bytes": "100GiB", "task_log_bytes": "100GiB", "min_free": "0%", "runs": 1_000_000},
}


def stored_cases(lines: int, log: int, searched: int, runs: int) -> Iterator[Case]:
    """The cases, for floods of so many lines, logs of so many bytes of text, and so many runs."""
    yield Case(
        "logged",
        "floods with a log, to the same without one",
        (
            Metric("unwatched", "lines/s, nobody subscribed, of those without", 0.6, more_is_better=True),
            Metric("watched", "lines/s to one subscriber, of those without", 0.6, more_is_better=True),
        ),
        partial(_logged, lines),
        baseline=False,
        top_level={"data_dir": "data"},
        runs=2,
    )
    yield Case(
        "log-read",
        f"a log of {log / 2**30:.3g} GiB, compressed",
        (
            Metric("tail", "ms to its last 100 lines", 10.0),
            Metric("anywhere", "ms to 100 lines from a seq anywhere", 10.0),
            Metric("follow", "ms to the first line of a subscription since a seq anywhere", 10.0),
        ),
        partial(_read, log),
        baseline=False,
        top_level=KEPT,
        runs=2,
    )
    for packed, goal, size in (("", 300.0, searched), ("gz", None, searched // 4)):
        kind = "compressed" if packed else "plain"
        yield Case(
            f"log-search-{kind}",
            f"a search through {size / 2**20:.0f} MiB of {kind} logs, in vain",
            (Metric("rate", "MB of text a second", goal, more_is_better=True),),
            partial(_search, size, packed),
            baseline=False,
            top_level=KEPT,
            runs=2,
        )
    yield Case(
        "runs",
        f"a history of {runs:,} runs, 50 a page",
        (
            Metric("page", "ms a page, anywhere", 20.0),
            Metric("filtered", "ms a page of one action's failures", 20.0),
        ),
        partial(_runs, runs),
        baseline=False,
        top_level=KEPT,
        runs=3,
    )


def _logged(most: int, server: Server) -> Sample:
    ratios: dict[str, list[float]] = {"unwatched": [], "watched": []}
    cases: dict[str, Callable[[Server], Sample]] = {
        "unwatched": partial(unwatched, most * 2),
        "watched": partial(streamed, "run", SEQ, 1, most),
    }
    with Server(HERE) as plain:
        for _ in range(_ROUNDS):  # in turn, so that both get the same of the machine's moods
            for name, measure in cases.items():
                without, logged = measure(plain), measure(server)
                ratios[name].append(logged.values["rate"] / without.values["rate"])
    return Sample({name: statistics.median(each) for name, each in ratios.items()}, server.resident())


def _read(size: int, server: Server) -> Sample:
    lines = make_log(server, size, "gz")
    chance = random.Random(1)
    values = {}
    with closing(server.connect()) as connection:
        values["tail"] = _median_ms(lambda: _page(connection, tail=100))
        values["anywhere"] = _median_ms(lambda: _page(connection, from_seq=chance.randrange(1, lines - 100)))
        # A subscription needs a task: one that goes on in that log.
        connection.send(
            type="start", id="start", action="run", task_id=TASK, params={"script": "echo on; exec sleep 60"}
        )
        connection.wait_for("output")
        values["follow"] = _median_ms(lambda: _follow(server, chance.randrange(1, lines - 100)))
        connection.send(type="stop", id="stop", task_id=TASK)
        connection.wait_for("exited")
    return Sample(values, server.resident())


def _page(connection: Connection, **fields: int) -> None:
    connection.send(type="logs", id="logs", task_id=TASK, limit=100, **fields)
    if len(connection.wait_for("logs")["lines"]) != 100:
        raise AssertionError(f"not as many lines as there are: {fields}")


def _follow(server: Server, seq: int) -> float:
    with closing(server.connect()) as connection:
        begun = time.perf_counter()
        connection.send(type="subscribe", id="subscribe", task_id=TASK, since_seq=seq)
        first = connection.wait_for("output")["seq"]
        took = time.perf_counter() - begun
    if first != seq + 1:
        raise AssertionError(f"{first} came first, and not {seq + 1}")
    return took


def _search(size: int, packed: str, server: Server) -> Sample:
    make_log(server, size, packed)
    with closing(server.connect()) as connection:
        begun = time.perf_counter()
        connection.send(type="search", id="search", query="nowhere in it")
        found = connection.wait_for("matches")
        seconds = time.perf_counter() - begun
    if found.get("matches") or found.get("next"):
        raise AssertionError("it was not searched to its end")
    return Sample({"rate": size / seconds / 1e6}, server.resident())


def make_log(server: Server, size: int, packed: str) -> int:
    """A log of so much text under the server's eyes, whose segments are one file under many names; returns
    how many lines it has."""
    directory = server.directory / "data" / "logs" / TASK
    directory.mkdir(parents=True, mode=0o700)
    first = Segment(1)
    moment, chance = datetime(2026, 1, 1, tzinfo=UTC), random.Random(1)
    with (directory / first.name).open("wb") as file:
        while file.tell() < SEGMENT:
            moment += timedelta(milliseconds=3)
            took, worker = chance.random(), chance.randrange(8)
            text = f"request {chance.randrange(10**9)} took {took:.3f} s of worker {worker}"
            file.write(f"{moment:%Y-%m-%dT%H:%M:%S.%fZ} stdout F {text}\n".encode())
    descriptor = os.open(directory / first.name, os.O_RDONLY)
    blocks, end = scan(descriptor, Segment(1), times=True)
    os.close(descriptor)
    index = Index(blocks, [Run(1, 7, "bench", "run")], end)
    finish(str(directory), 1, index)
    if packed:
        seal(str(directory), first, "gzip")
    _multiply(directory, first._replace(packed=packed), size // SEGMENT)
    return (end - 1) * (size // SEGMENT)


def _multiply(directory: Path, first: Segment, count: int) -> None:
    index = read_index(str(directory), first)
    assert index is not None
    for number in range(1, count):
        shift = number * (index.end - 1)
        segment = first._replace(first=1 + shift)
        os.link(directory / first.name, directory / segment.name)
        blocks = [Block(block.first + shift, *block[1:]) for block in index.blocks]
        runs = [run._replace(first=run.first + shift) for run in index.runs]
        moved = {"packed": first.packed, "end": index.end + shift, "blocks": blocks, "runs": runs}
        (directory / beside(segment.first, "idx")).write_text(json.dumps(moved))


_RUN = {
    "status": "succeeded", "reason": "exited", "failed": 0, "params": "{}", "complete": 1,
    "trigger_type": "client", "trigger_by": "", "exit_code": 0, "duration_ms": 0, "first_seq": 1,
    "last_seq": 1, "definition": "", "server": "bench", "resume": 0,
}  # fmt: skip


def make_runs(server: Server, runs: Iterable[dict[str, Any]]) -> None:
    """Put runs into the server's history, which succeeded unless they say otherwise."""
    with closing(server.connect()) as connection:  # an answer tells that there is a database
        connection.send(type="runs", id="runs")
        connection.wait_for("runs")
    columns = ("run_id", "task_id", "action", "number", "started", "ended", *_RUN)
    insert = f"INSERT INTO runs ({', '.join(columns)}) VALUES (:{', :'.join(columns)})"
    with closing(sqlite3.connect(server.directory / "data" / "overseer.db")) as database, database:
        database.executemany(insert, ({**_RUN, **run} for run in runs))


def _runs(count: int, server: Server) -> Sample:
    begun = int(time.time() * 1e6) - count * 1_000_000

    def run(number: int) -> dict[str, Any]:
        at = begun + number * 1_000_000
        return {
            "run_id": f"run-{number}",
            "task_id": f"task-{number % 100}",
            "action": f"action-{number % 20}",
            "number": number // 100 + 1,
            **({"status": "failed", "failed": 1} if number % 7 == 0 else {}),
            "params": '{"branch":"main"}',
            "started": at,
            "ended": at + 5,
        }

    make_runs(server, map(run, range(count)))
    chance = random.Random(1)
    with closing(server.connect()) as connection:

        def page(**fields: Any) -> None:
            before = str(chance.randrange(count // 2, count))
            connection.send(type="runs", id="runs", limit=50, before=before, **fields)
            if not connection.wait_for("runs")["runs"]:
                raise AssertionError("a page is empty")

        values = {
            "page": _median_ms(page),
            "filtered": _median_ms(lambda: page(action="action-7", state="failed")),
        }
    return Sample(values, server.resident())


def _median_ms(ask: Callable[[], float | None]) -> float:
    """Of the first answers and later ones alike; ``ask`` may say itself how long it took."""
    took = []
    for _ in range(_ASKED):
        begun = time.perf_counter()
        said = ask()
        took.append(time.perf_counter() - begun if said is None else said)
    return statistics.median(took) * 1e3
