"""A cluster under load: very many tasks, and one that prints faster than anybody reads."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest

from tests.drivers.dask.conftest import far, run, start, thorough
from tests.faults.support import deaf
from tests.harness import Daemon
from tests.harness.cluster import Cluster, needs_distributed, wait_until

pytestmark = [pytest.mark.timeout(900), thorough]

_LINES = 10_000_000
_TASKS = 2000
_MIB = 1 << 20


def resident(pid: int) -> int:
    """Bytes of memory of a process that are resident now."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def test_memory_stays_bounded_while_a_client_does_not_read() -> None:
    needs_distributed()
    with Cluster(nannies=False) as cluster:
        flood, small = far(cluster.address, f"seq {_LINES}"), far(cluster.address, "true")
        actions: dict[str, Any] = {"flood": flood, "small": small}
        with Daemon(actions=actions) as daemon, daemon.connect() as client:
            run(client, "small")
            pids = {
                "overseer": daemon.pid,
                "scheduler": cluster.scheduler.process.pid,
                "worker": cluster.workers["w0"].process.pid,
            }
            before = {name: resident(pid) for name, pid in pids.items()}
            most = dict(before)
            with deaf(daemon) as reader:
                reader.send_json(type="start", id="s", action="flood", on_lag="block", task_id="flood")
                until = time.monotonic() + 20
                while time.monotonic() < until:  # the time is what is tried: nothing may grow meanwhile
                    for name, pid in pids.items():
                        most[name] = max(most[name], resident(pid))
                    time.sleep(0.1)
                written = client.info("flood")
                assert written["state"] == "active", "back-pressure reaches the process"
                grown = {name: (most[name] - before[name]) / _MIB for name in pids}
                print(f"\nMiB more with {_LINES:,} lines held up: {grown}")
                assert all(each < 64 for each in grown.values()), grown
            client.send("stop", task_id="flood")
            wait_until("it is stopped", lambda: client.info("flood")["status"] == "stopped")


def test_ten_million_lines_come_once_and_in_order_and_memory_stays() -> None:
    needs_distributed()
    with Cluster(nannies=False) as cluster:
        actions: dict[str, Any] = {"flood": far(cluster.address, f"seq {_LINES}")}
        with Daemon(actions=actions, data_dir="data") as daemon, daemon.connect() as client:
            started = start(client, "flood", task_id="flood")
            client.send("unsubscribe", task_id="flood")
            pids = {"overseer": daemon.pid, "scheduler": cluster.scheduler.process.pid}
            before = {name: resident(pid) for name, pid in pids.items()}
            begun = time.monotonic()
            wait_until("it is over", lambda: client.info("flood")["status"] == "succeeded", 600)
            seconds = time.monotonic() - begun
            grown = {name: (resident(pid) - before[name]) / _MIB for name, pid in pids.items()}
            (row,) = client.request("runs", task_id="flood")["runs"]
            assert row["last_seq"] - row["first_seq"] + 1 == _LINES
            lines = client.request("logs", task_id="flood", tail=3)["lines"]
            assert [line["data"] for line in lines] == [str(_LINES - n) for n in (2, 1, 0)]
            print(f"\n{_LINES / seconds:,.0f} lines/s to the log from {started['host']}, MiB more: {grown}")
            assert all(each < 128 for each in grown.values()), grown


def test_two_thousand_tasks_run_at_once_on_four_workers() -> None:
    needs_distributed()
    with Cluster(workers=4, threads=500, nannies=False) as cluster:
        actions = {"wait": far(cluster.address, "exec sleep 1000"), "small": far(cluster.address, "true")}
        with Daemon(actions=actions) as daemon, daemon.connect() as client:
            run(client, "small")
            before = resident(daemon.pid)
            workers = {name: resident(each.process.pid) for name, each in cluster.workers.items()}
            begun = time.monotonic()
            for number in range(_TASKS):
                client.send("start", action="wait", task_id=f"t{number}")
            for number in range(_TASKS):
                client.expect("started", timeout=600, task_id=f"t{number}")
            seconds = time.monotonic() - begun
            each = (resident(daemon.pid) - before) / _TASKS / 1024
            grown = sum(resident(w.process.pid) - workers[n] for n, w in cluster.workers.items())
            there = grown / _TASKS / 1024
            print(
                f"\n{_TASKS} tasks in {seconds:.1f} s; KiB for each: {each:.0f} here, {there:.0f} in workers"
            )
            (info,) = client.request("cluster")["clusters"]
            assert sum(len(worker["tasks"]) for worker in info["workers"]) == _TASKS
            for number in range(_TASKS):
                client.send("stop", task_id=f"t{number}")
            for number in range(_TASKS):
                client.expect("exited", timeout=300, task_id=f"t{number}")
