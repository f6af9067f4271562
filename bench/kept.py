"""What a long life costs: clients that lag far behind on a big log, and the removal of what is old."""

from __future__ import annotations

import json
import random
import shutil
import signal
import socket
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

from bench.cases import Case, Metric, Sample
from bench.lone import delays_of, start_silent, writing
from bench.servers import Server
from bench.stored import SEGMENT, TASK, make_log, make_runs

_SETTLE_S = 3.0  # in which laggards' readers fetch ahead what they may
_READ = 2**20  # bytes that each of them takes in a round
_BUFFER = 64 * 1024  # what their system takes for them, which would be megabytes
_ROUNDS = 3
_RATE = 200.0  # lone lines a second
_LINES = 1000  # of these before the removal
_RUNS = 10_000
# Nothing is compressed meanwhile, which would be another load.
_STORAGE = {
    "log_bytes": "100GiB",
    "task_log_bytes": "100GiB",
    "min_free": "0%",
    "runs": 1_000_000,
    "compress": "none",
}
_PLAIN = {"data_dir": "data", "storage": _STORAGE}


def kept_cases(clients: int, log: int, removed: int) -> Iterator[Case]:
    """The cases: so many clients on a log of so many bytes, and so many bytes of logs removed."""
    yield Case(
        "lagging",
        f"{clients} clients that lag on a log of {log / 2**30:.3g} GiB",
        (
            Metric("each", f"KiB of the server's memory for each that has read {_READ // 2**20} MiB", 1024.0),
            Metric("growth", f"KiB more for each after {_ROUNDS * _READ // 2**20} MiB more", 64.0),
        ),
        partial(_lag, clients, log),
        baseline=False,
        top_level=_PLAIN,
        runs=1,
    )
    yield Case(
        "retention",
        f"{_RUNS:,} runs with {removed / 2**30:.3g} GiB of logs removed during a flood",
        (
            Metric("median", "µs of a lone line to the client meanwhile, to those before", 1.5),
            Metric("high", "the same of the 99th percentile", 2.0),
            Metric("seconds", "s until all is gone"),
        ),
        partial(_remove, removed),
        baseline=False,
        top_level=_PLAIN,
        runs=1,
    )


def _lag(count: int, size: int, server: Server) -> Sample:
    lines = make_log(server, size, "")
    chance = random.Random(1)
    with ExitStack() as stack:
        boss = stack.enter_context(closing(server.connect()))
        script = {"script": "echo on; exec sleep 600"}
        boss.send(type="start", id="start", action="run", task_id=TASK, params=script)
        boss.wait_for("output")
        clients = [stack.enter_context(closing(server.connect())) for _ in range(count)]
        before = server.resident()
        for client in clients:
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
            seq = chance.randrange(1, lines // 2)
            client.send(type="subscribe", id="s", task_id=TASK, since_seq=seq, on_lag="catch_up")
        resident = []
        for _ in range(1 + _ROUNDS):
            for client in clients:
                client.expect_lines(_READ)
                for each in (boss, *clients):
                    each.show_life()
            time.sleep(_SETTLE_S)
            resident.append(server.resident())
        boss.send(type="stop", id="stop", task_id=TASK)
        boss.wait_for("exited")
    first, *_, last = resident
    values = {"each": (first - before) / 1024 / count, "growth": (last - first) / 1024 / count}
    return Sample(values, last)


def _remove(size: int, server: Server) -> Sample:
    config = server.directory / "config.yaml"
    bounded = {**_STORAGE, "runs": 100}
    old = _old_logs(server, size)
    with closing(server.connect()) as connection, closing(server.connect()) as other:
        pid = start_silent(connection, "lone")
        other.send(type="start", id="f", action="run", task_id="flood", params={"script": "exec seq inf"})
        other.send(type="unsubscribe", id="u", task_id="flood")
        with writing(10**9, _RATE, [pid]):
            delays_of(connection, 200)
            before = sorted(delays_of(connection, _LINES))
            config.write_text(json.dumps(json.loads(config.read_text()) | {"storage": bounded}))
            begun = time.monotonic()
            server.process.send_signal(signal.SIGHUP)
            during: list[float] = []
            while any(each.exists() for each in old) or len(during) < _LINES // 2:
                during += delays_of(connection, 50)
            took = time.monotonic() - begun
    during.sort()
    return Sample(
        {
            "median": statistics.median(during) / statistics.median(before),
            "high": during[len(during) * 99 // 100] / before[len(before) * 99 // 100],
            "seconds": took,
        },
        server.resident(),
    )


def _old_logs(server: Server, size: int) -> list[Path]:
    """Logs of so many bytes that ended runs have written, each on the disk; returns their first segments."""
    lines = make_log(server, SEGMENT, "")
    model = server.directory / "data" / "logs" / TASK
    (first,) = model.glob("*.log")
    count = size // SEGMENT
    found = []
    for number in range(count):
        directory = model.with_name(f"old-{number}")
        shutil.copytree(model, directory)
        found.append(directory / first.name)
    shutil.rmtree(model)
    each = _RUNS // count
    runs = (
        {
            "run_id": f"run-{task}-{number}",
            "task_id": f"old-{task}",
            "action": "run",
            "number": number + 1,
            "started": 1,
            "ended": 2,
            "first_seq": number * lines // each + 1,
            "last_seq": (number + 1) * lines // each,
        }
        for task in range(count)
        for number in range(each)
    )
    make_runs(server, runs)
    return found
