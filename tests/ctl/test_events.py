"""``overseerctl events``: tasks come, go and come back; it prints each line once, and is in nobody's way."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from overseer.client import Client
from overseer.ctl.events import Lookout
from overseer.protocol import Event, Exited, Gap, Output
from tests.ctl.conftest import ACTIONS as COMMON
from tests.harness import ROOT, Daemon, shell

WAIT_S = 20.0
ACTIONS = {
    **COMMON,
    # Far more than a pipe, two sockets and the buffers of both programs hold.
    "wide": shell("yes $(head -c 5000 /dev/zero | tr '\\0' x) | head -c 100000000"),
    "until": shell(
        "seq 5; if [ -e [[.file]] ]; then exit 0; else exit 9; fi",
        config={"parameters": {"file": {}}},
        retry={"restart_delay": "1ms", "error_threshold": 2},
    ),
}


@contextmanager
def printing(daemon: Daemon, *task_ids: str) -> Iterator[subprocess.Popen[bytes]]:
    """overseerctl events, at work: it has printed something to show that."""
    environment = {**os.environ, "OVERSEER_URL": daemon.url, "PYTHONPATH": str(ROOT)}
    argv = [sys.executable, "-m", "overseer.ctl", "events", *task_ids]
    with (
        subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE) as process,
        daemon.connect() as other,
    ):
        try:
            assert process.stdout is not None
            # An event that everybody is told of, again and again until this one is there to hear it.
            deadline = time.monotonic() + WAIT_S
            while not select.select([process.stdout], [], [], 0.05)[0]:
                assert time.monotonic() < deadline
                other.request("set_pool", action="one", limit=1)
            yield process
        finally:
            process.kill()


class Heard:
    """What a client's events tell of each task, run after run of its id."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._batches = client.batches(WAIT_S)
        self._last: dict[str, int] = {}
        self.lines: dict[str, list[int]] = {}
        self.missing: dict[str, int] = {}
        self.exits: dict[str, int] = {}

    def until(self, task_id: str, exits: int) -> None:
        while self.exits.get(task_id, 0) < exits:
            for event in next(self._batches):
                self._add(event)

    def _add(self, event: Event) -> None:
        if isinstance(event, Output):
            self.lines.setdefault(event.task_id, []).append(event.seq)
        elif isinstance(event, Gap):
            missing = event.to_seq - event.from_seq + 1
            self.missing[event.task_id] = self.missing.get(event.task_id, 0) + missing
        elif isinstance(event, Exited):
            self.exits[event.task_id] = self.exits.get(event.task_id, 0) + 1


@pytest.fixture
def watcher(daemon: Daemon) -> Iterator[Client]:
    with Client(daemon.url) as client:
        yield client


def test_a_task_never_waits_for_who_does_not_read_the_events(daemon: Daemon):
    with printing(daemon) as process, Client(daemon.url) as client:
        began = time.monotonic()
        assert client.start("wide", on_lag="drop", task_id="wide").wait(WAIT_S).exit_code == 0
        assert time.monotonic() - began < 8.0  # with a subscriber that may hold it up, more than ten
        last = client.metrics(task_id="wide").output_lines  # type: ignore[union-attr]
        seen, lines = 0, 0
        assert process.stdout is not None
        for text in process.stdout:
            event = json.loads(text)
            if event.get("task_id") != "wide":
                continue
            if event["type"] == "output":
                assert event["seq"] == seen + 1
                seen, lines = event["seq"], lines + 1
            elif event["type"] == "gap":
                assert event["from_seq"] == seen + 1
                seen = event["to_seq"]
            elif event["type"] == "exited":
                break
        assert seen == last
        assert 0 < lines < last


def test_tasks_that_come_and_go_between_two_looks_are_told_of_once(daemon: Daemon, watcher: Client):
    heard, lookout = Heard(watcher), Lookout(watcher)
    lookout.look()
    with Client(daemon.url) as other:
        for turn in range(1, 6):  # all of them take over the ids of the ones before
            names = ("short-1", "short-2")
            for name in names:
                other.start("count", task_id=name, n="70").wait(WAIT_S)
            other.start("count", task_id=f"long-{turn}", n="300").wait(WAIT_S)
            lookout.look()
            lookout.look()
            heard.until(f"long-{turn}", 1)
            for name in names:
                heard.until(name, turn)
    for name in names:
        assert heard.lines[name] == [*range(1, 71)] * 5
        assert name not in heard.missing
    assert heard.lines["long-3"] == [*range(202, 301)]
    assert heard.missing["long-3"] == 201  # what the server does not store


def test_a_task_that_is_given_up_and_reset_goes_on_where_it_was(
    daemon: Daemon, watcher: Client, tmp_path: Path
):
    go = tmp_path / "go"
    heard, lookout = Heard(watcher), Lookout(watcher)
    lookout.look()
    with Client(daemon.url) as other:
        task = other.start("until", task_id="until", file=str(go))
        assert task.wait(WAIT_S).exit_code == 9
        lookout.look()
        heard.until("until", 2)
        task.reset()  # which fails again before anybody looks
        assert task.wait(WAIT_S).exit_code == 9
        lookout.look()
        lookout.look()
        heard.until("until", 4)
        go.touch()
        task.reset()
        task.wait(WAIT_S)
        lookout.look()
        heard.until("until", 5)
    assert heard.lines["until"] == [*range(1, 26)]


def test_nothing_is_kept_of_tasks_that_are_over(daemon: Daemon, watcher: Client):
    heard, lookout = Heard(watcher), Lookout(watcher)
    lookout.look()
    with Client(daemon.url) as other:
        sleeper = other.start("sleep", task_id="sleeper")
        for _ in range(5):
            tasks = [other.start("count", n="2000") for _ in range(4)]
            lookout.look()
            for task in tasks:
                task.wait(WAIT_S)
                heard.until(task.id, 1)
        lookout.look()
        followed = lookout._followed
        assert [task_id for task_id, task in followed.items() if not task.over] == ["sleeper"]
        assert all(task._follower.buffer.empty for task in followed.values())
        assert all(task_id in ("until", "sleeper") for task_id in followed)
        sleeper.stop()
        sleeper.wait(WAIT_S)


def test_the_named_ones_alone(daemon: Daemon):
    with Client(daemon.url) as client:
        tasks = [client.start("sleep", task_id=name) for name in ("named", "other")]
        for task in tasks:
            assert next(task.lines(timeout=WAIT_S)) == "ready"
        with printing(daemon, "named") as process:
            for task in reversed(tasks):
                task.stop()
                task.wait(WAIT_S)
            assert process.stdout is not None
            events = []
            while not events or events[-1]["type"] != "exited":
                events.append(json.loads(process.stdout.readline()))
        told = [event["task_id"] for event in events if event["type"] != "pool_updated"]
        assert told == ["named"]
