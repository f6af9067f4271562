"""Readers slower than their tasks, where the server has a log: nothing is lost, and no task waits."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from overseer.client import Client
from tests.harness import Daemon, shell

WAIT_S = 30
_LINES = 100_000


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    count = shell(f"seq 1 {_LINES}")
    data = str(tmp_path_factory.mktemp("logged") / "data")
    with Daemon(actions={"count": count}, data_dir=data, clients={"buffer": "64KiB"}) as daemon:
        yield daemon


def ended(client: Client, task_id: str) -> bool:
    (task,) = [each for each in client.tasks() if each.task_id == task_id]
    return task.last_exit_code is not None


def wait_for_end(client: Client, task_id: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not ended(client, task_id):
        assert time.monotonic() < deadline, "the task waits"
        time.sleep(0.02)


@pytest.mark.parametrize("subscribes", [False, True])
def test_a_slow_reader_gets_all_of_it_after_the_task_has_ended(daemon: Daemon, subscribes: bool) -> None:
    with Client(daemon.url, buffer=50_000) as client, Client(daemon.url) as other:
        task = client.start("count")
        if subscribes:
            task = client.subscribe(task.id, 0)
        lines = task.lines(timeout=WAIT_S)
        assert next(lines) == "1"
        wait_for_end(other, task.id)
        assert list(lines) == [str(number) for number in range(2, _LINES + 1)]


def test_who_asks_for_block_or_for_raw_output_does_not_ask_for_the_log(daemon: Daemon) -> None:
    with Client(daemon.url) as client:
        for on_lag, raw, wanted in (
            ("catch_up", False, ("block", True)),
            ("catch_up", True, ("block", False)),
            ("block", False, ("block", False)),
            ("drop", False, ("drop", False)),
        ):
            request = client._router.subscription(client._follower("t", on_lag, raw=raw))
            assert (request.on_lag, request.catch_up) == wanted


def test_overseerctl_tail_that_is_not_read_holds_up_nobody(daemon: Daemon) -> None:
    """Its stdout is a pipe that nobody reads before the task has ended."""
    with Client(daemon.url) as client:
        client.start("count", task_id="tailed", on_lag="drop")
        tail = subprocess.Popen(
            [sys.executable, "-m", "overseer.ctl", "--url", daemon.url, "logs", "-f", "tailed"],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )
        assert tail.stdout is not None
        with tail, tail.stdout as out:
            assert out.readline() == b"1\n"
            wait_for_end(client, "tailed")
            assert [int(out.readline()) for _ in range(2, _LINES + 1)] == list(range(2, _LINES + 1))
            tail.terminate()
