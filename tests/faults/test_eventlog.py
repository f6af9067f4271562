"""The event log's disk: full, gone, stuck. It costs log lines and one warning, never a task."""

from __future__ import annotations

import json
import os
import resource
import signal
import stat
import time
from pathlib import Path

import pytest

from tests.faults.support import wait_until
from tests.harness import Daemon, allowed, shell

ACTIONS = {"echo": shell("echo hi"), "many": shell("seq 1 5000")}


def test_a_full_disk_costs_one_warning() -> None:
    with Daemon(actions=ACTIONS, log_file="/dev/full") as daemon, daemon.connect() as client:
        for _ in range(20):
            client.run("echo")
        daemon.wait_stderr("No space left")
        assert daemon.stderr.count("/dev/full") == 1


def test_a_disk_that_was_full_for_a_while_leaves_whole_lines_only(tmp_path: Path) -> None:
    path = tmp_path / "events"
    with Daemon(actions=ACTIONS, log_file=str(path)) as daemon, daemon.connect() as client:
        client.run("echo")
        wait_until(lambda: path.exists() and path.stat().st_size > 0)
        _, hard = resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE)
        full = path.stat().st_size + 150  # within a line
        resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (full, hard))
        for _ in range(5):
            client.run("echo")
        daemon.wait_stderr("events are dropped until")
        assert path.stat().st_size == full
        resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (hard, hard))
        _, _, exited = client.run("echo", task_id="when there was room again")
        daemon.wait_stderr("events were dropped")
        wait_until(
            lambda: "exited" in path.read_text().rpartition("when there was room")[0].rpartition("\n")[2]
        )
        good = []
        torn = 0
        for line in path.read_text().splitlines():
            try:
                good.append(json.loads(line))
            except ValueError:
                torn += 1
        assert torn <= 1  # the one that the disk was full within
        last = [event["type"] for event in good if event["task_id"] == exited["task_id"]]
        assert last == ["started", "output", "exited"]
        assert good[-1] == exited
        assert daemon.stderr.count("events are dropped until") == 1


def test_a_log_that_vanished_comes_back_with_sigusr1(tmp_path: Path) -> None:
    directory = tmp_path / "logs"
    directory.mkdir()
    path = directory / "events"
    with Daemon(actions=ACTIONS, log_file=str(path)) as daemon, daemon.connect() as client:
        client.run("echo")
        path.unlink()
        client.run("echo", task_id="nowhere")
        daemon.process.send_signal(signal.SIGUSR1)
        wait_until(lambda: client.run("echo") and path.exists())
        client.run("echo", task_id="here")
        wait_until(lambda: "here" in path.read_text())
        # The directory as well: nothing to reopen.
        path.unlink()
        directory.rmdir()
        daemon.process.send_signal(signal.SIGUSR1)
        client.run("echo")
        client.run("echo")
        daemon.wait_stderr("events are dropped")
        directory.mkdir()
        client.run("echo", task_id="back")
        wait_until(lambda: path.exists() and "back" in path.read_text())
        assert daemon.stderr.count("No such file") == 1
        assert stat.S_IMODE(path.stat().st_mode) & 0o007 == 0
    daemon.stop()


def test_a_disk_that_never_answers_holds_up_no_task_and_hardly_the_end(tmp_path: Path) -> None:
    path = tmp_path / "events"
    os.mkfifo(path)
    stuck = os.open(path, os.O_RDWR)  # a reader that reads nothing
    try:
        with Daemon(actions=ACTIONS, log_file=str(path)) as daemon, daemon.connect() as client:
            for _ in range(3):  # far more than a pipe holds
                _, outputs, _ = client.run("many")
                assert len(outputs) == 5000
            client.close()
            begun = time.monotonic()
            daemon.stop()
            assert time.monotonic() - begun < allowed(5)
    finally:
        os.close(stuck)


@pytest.mark.parametrize("signals", [50])
def test_reopening_again_and_again_under_load_loses_nothing(tmp_path: Path, signals: int) -> None:
    path = tmp_path / "events"
    with Daemon(actions=ACTIONS, log_file=str(path)) as daemon, daemon.connect() as client:
        client.send("start", action="many", task_id="t")
        for number in range(signals):
            if path.exists():
                path.rename(tmp_path / f"events.{number}")
            daemon.process.send_signal(signal.SIGUSR1)
        client.expect("exited", task_id="t")
    seqs = []
    for file in tmp_path.glob("events*"):
        seqs += [event["seq"] for event in map(json.loads, file.read_text().splitlines()) if "seq" in event]
    assert sorted(seqs) == list(range(1, 5001))
