"""``overseerctl events``: tasks come, go and come back; it prints each line once, and is in nobody's way."""

from __future__ import annotations

import json
import os
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from overseer.client import Client
from tests.ctl.conftest import ACTIONS as COMMON
from tests.harness import ROOT, Daemon, allowed, shell
from tests.harness.forking import CTL, Forked

WAIT_S = 30
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
    argv = [*CTL, "events", *task_ids]
    with (
        Forked(argv, env=environment, stdout=subprocess.PIPE) as process,
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


def test_a_task_never_waits_for_who_does_not_read_the_events(daemon: Daemon):
    with printing(daemon) as process, Client(daemon.url) as client:
        began = time.monotonic()
        assert client.start("wide", on_lag="drop", task_id="wide").wait(WAIT_S).exit_code == 0
        assert time.monotonic() - began < allowed(8.0)  # with a subscriber that may hold it up, more than ten
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


def printed(process: subprocess.Popen[bytes], until: str) -> list[dict[str, Any]]:
    """What is printed up to the exit of a task."""
    assert process.stdout is not None
    events: list[dict[str, Any]] = []
    while not events or (events[-1]["type"], events[-1].get("task_id")) != ("exited", until):
        events.append(json.loads(process.stdout.readline()))
    return events


def test_tasks_that_come_and_go_are_told_of_once(daemon: Daemon):
    with printing(daemon) as process, Client(daemon.url) as client:
        for turn in range(1, 4):  # all of them take over the ids of the ones before
            names = ("short-1", "short-2", f"long-{turn}")
            for name in names:
                client.start("count", task_id=name, n="300").wait(WAIT_S)
            events = printed(process, names[-1])
            for name in names:
                mine = [each for each in events if each.get("task_id") == name]
                lines = [each["seq"] for each in mine if each["type"] == "output"]
                assert lines == [*range(1, 301)]
                others = [each["type"] for each in mine if each["type"] not in ("output", "forgotten")]
                assert others == ["started", "exited"]
            assert not {each["type"] for each in events} & {"watching", "changed"}


def test_a_task_that_is_given_up_and_reset_goes_on_where_it_was(daemon: Daemon, tmp_path: Path):
    go = tmp_path / "go"
    with printing(daemon) as process, Client(daemon.url) as client:
        task = client.start("until", task_id="until", file=str(go))
        assert task.wait(WAIT_S).exit_code == 9
        go.touch()
        task.reset()
        assert task.wait(WAIT_S).exit_code == 0
        events = [*printed(process, "until"), *printed(process, "until"), *printed(process, "until")]
        mine = [each for each in events if each.get("task_id") == "until"]
        assert [each["seq"] for each in mine if each["type"] == "output"] == [*range(1, 16)]
        assert [each["type"] for each in mine if each["type"] != "output"] == [
            *("started", "exited", "restarting", "started", "exited", "errored", "started", "exited"),
        ]


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
