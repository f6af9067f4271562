"""Only monotonic time decides: with a wall clock that jumps by hours, everything takes as long as it should.

A real server with a mad clock, rather than one whose system calls are faked: the program asks for wall time
in one place (the second test sees to that), and a time namespace shifts every clock but this one.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.support import FaultDaemon, deaf
from tests.harness import ROOT, WsClient, allowed, shell


@pytest.fixture(scope="module")
def daemon() -> Iterator[FaultDaemon]:
    actions = {
        "once": shell("echo hi; exit 1"),
        "restarted": shell(
            "exit 1", retry={"restart_delay": "300ms", "error_window": "1h", "error_threshold": 3}
        ),
        "stubborn": shell("trap '' TERM; echo on; while :; do sleep 0.05; done", stop_grace="500ms"),
        "queued": {
            **shell("exec sleep 60"),
            "task_pool": {"limit": 1, "queue": {"enabled": True, "max_age": 0.6}},
        },
        "flood": shell("head -c 8000000 /dev/zero | tr '\\0' y | fold -w 4000"),
    }
    with FaultDaemon(
        actions=actions,
        clients={"stall_timeout": "500ms", "buffer": "256KiB"},
        program=Path(__file__).parent / "mad_clock.py",
        environment={"PYTHONPATH": str(ROOT)},
    ) as daemon:
        yield daemon


def test_the_clock_is_as_mad_as_it_should_be(client: WsClient) -> None:
    stamps = [message["ts"] for _ in range(3) for message in client.run("once")[1]]
    assert stamps != sorted(stamps) or len({stamp[:10] for stamp in stamps}) > 1


def test_no_other_module_looks_at_the_wall_clock() -> None:
    looks = re.compile(
        r"\btime\.time(_ns)?\(|\bdatetime\.(now|utcnow|today)\(|\bfrom time import\b|localtime\(|gmtime\("
    )
    found = {
        str(path.relative_to(ROOT / "overseer"))
        for path in (ROOT / "overseer").rglob("*.py")
        if looks.search(path.read_text())
    }
    # The others to say when the server was started, its configuration read, and an answer given.
    assert found <= {
        "util/timestamps.py",
        "daemon/daemon.py",
        "daemon/reload.py",
        "net/http.py",
        "logs/retention.py",  # by which wall clock a segment's lines are too old
        "logs/listing.py",  # whether a directory, by its own time stamp, has just changed
        "notices/channels.py",  # signs the time with the notice
        "webhooks/signatures.py",  # compares the time that was signed
    }


def test_restarts_come_after_their_delay_and_the_window_counts_them(client: WsClient) -> None:
    begun = time.monotonic()
    client.request("start", action="restarted", task_id="r")
    client.expect("errored", task_id="r", exit_count=3)
    assert 0.55 < time.monotonic() - begun < allowed(5)


def test_a_grace_is_as_long_as_it_should_be(client: WsClient) -> None:
    client.request("start", action="stubborn", task_id="s")
    client.expect("output", task_id="s")
    begun = time.monotonic()
    client.send("stop", task_id="s")
    client.expect("exited", task_id="s", signal="SIGKILL")
    assert 0.45 < time.monotonic() - begun < allowed(4)


def test_a_queued_task_expires_when_it_should(client: WsClient) -> None:
    client.request("start", action="queued", task_id="first")
    begun = time.monotonic()
    client.request("start", action="queued", task_id="second")
    assert client.expect("dequeued", task_id="second")["reason"] == "expired"
    assert 0.55 < time.monotonic() - begun < allowed(4)
    client.send("stop", task_id="first")
    client.expect("exited", task_id="first")


def test_a_stalled_client_is_closed_when_it_should_be(daemon: FaultDaemon, client: WsClient) -> None:
    with deaf(daemon) as stalled:
        begun = time.monotonic()
        stalled.request(id="s", type="start", action="flood", task_id="f")
        client.request("subscribe", task_id="f", since_seq=0)
        client.expect("exited", task_id="f", timeout=30)
        assert time.monotonic() - begun > 0.45


def test_finished_tasks_are_remembered(client: WsClient) -> None:
    client.run("once", task_id="remembered")
    assert "remembered" in [task["task_id"] for task in client.request("list")["tasks"]]
