"""The end, whatever goes on: exit status 0 within the longest grace and two seconds, nothing left."""

from __future__ import annotations

import contextlib
import fcntl
import signal
import struct
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import pytest

from tests.faults.support import deaf, gone, wait_until
from tests.harness import Daemon, WsClient, allowed, shell

GRACE = 0.5
PROMISED = 2.0
BUSY = 1.5  # what a machine that is busy with other things may add

_STUBBORN = "trap '' TERM; sh -c 'trap \"\" TERM; sleep 60' & echo $$; while :; do sleep 0.1; done"
ACTIONS = {
    "stubborn": shell(_STUBBORN, stop_grace=GRACE),
    "patient": shell(_STUBBORN, stop_grace="40s"),
    "flood": shell("yes", stop_grace=GRACE),
    "busy": shell("while :; do echo line; sleep 0.01; done", stop_grace=GRACE),
    "detached": shell(
        "env -i setsid -f sh -c 'echo $$; exec sleep 60 >/dev/null 2>&1' </dev/null; "
        "sleep 0.3; echo detached; sleep 60",
        stop_grace=GRACE,
    ),
    "waiting": shell("exit 1", retry={"restart_delay": "1h"}),
    "spinning": shell("exit 1", retry={"restart_delay": "1ms"}, stop_grace=GRACE),
    "queued": {**shell("sleep 60", stop_grace=GRACE), "task_pool": {"limit": 1, "queue": {"enabled": True}}},
}


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    daemon = Daemon(actions=ACTIONS, clients={"stall_timeout": "60s", "buffer": "256KiB"})
    daemon.start()
    try:
        yield daemon
    finally:
        daemon.process.kill()
        daemon.kill()


def starter(daemon: Daemon, number: int) -> None:
    """Starts and stops tasks until the server ends."""
    turn = 0
    with contextlib.suppress(AssertionError, OSError), daemon.connect() as client:
        while True:
            turn += 1
            reply = client.request("start", action="busy", task_id=f"{number}-{turn}")
            if reply["type"] == "started":
                client.send("stop", task_id=f"{number}-{turn}")


@contextlib.contextmanager
def turmoil(daemon: Daemon) -> Iterator[WsClient]:
    """Stuck children, clients that do not read, restarts to come, queues, and starters at work."""
    with ExitStack() as stack:
        client = stack.enter_context(daemon.connect())
        for number in range(5):
            client.request("start", action="stubborn", task_id=f"stubborn {number}")
        for number in range(3):
            stalled = stack.enter_context(deaf(daemon))
            stalled.request(id="s", type="start", action="flood", task_id=f"flood {number}", on_lag="block")
            client.request("start", action="queued", task_id=f"queued {number}")
            client.request("start", action="waiting", task_id=f"waiting {number}")
            client.request("start", action="spinning", task_id=f"spinning {number}")
        starters = [threading.Thread(target=starter, args=(daemon, number)) for number in range(4)]
        for thread in starters:
            thread.start()
        client.expect("output", task_id="stubborn 4")
        try:
            yield client
        finally:
            daemon.process.kill()
            for thread in starters:
                thread.join(30)


def test_under_load_with_everything_stuck_it_takes_no_longer_than_promised(daemon: Daemon) -> None:
    with turmoil(daemon) as client:
        pids = [int(output["data"]) for number in range(5) for output in client.outputs(f"stubborn {number}")]
        begun = time.monotonic()
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.process.wait(30) == 0
        took = time.monotonic() - begun
        assert client.wait_closed()[0] == 1001
        for number in range(5):
            assert len(client.pending("exited", task_id=f"stubborn {number}")) == 1
        assert gone(*pids, timeout=0)
    assert took < allowed(GRACE + PROMISED + BUSY)
    daemon.wait()


def test_a_second_signal_hurries_past_graces_and_clients_that_do_not_read(daemon: Daemon) -> None:
    with turmoil(daemon) as client:
        pid = client.request("start", action="patient", task_id="patient")["pid"]
        client.expect("output", task_id="patient")
        daemon.process.send_signal(signal.SIGTERM)
        daemon.wait_stderr("shutting down")
        begun = time.monotonic()
        for _ in range(20):  # and many are like two
            daemon.process.send_signal(signal.SIGINT)
        assert daemon.process.wait(30) == 0
        took = time.monotonic() - begun
        assert gone(pid, timeout=0)
    assert took < allowed(PROMISED + BUSY)
    daemon.wait()


def test_what_detached_itself_from_its_task_ends_with_the_server_at_the_latest(daemon: Daemon) -> None:
    """With no environment, no pipe and no parent nothing tells a stop whose it is."""
    with daemon.connect() as client:
        client.request("start", action="detached", task_id="t")
        pid = client.expect("output", task_id="t")["data"]
        client.expect("output", task_id="t", data="detached")
        client.send("stop", task_id="t")
        client.expect("exited", task_id="t")
    daemon.process.send_signal(signal.SIGTERM)
    daemon.wait()
    assert gone(pid, timeout=0)
    assert f"detached themselves from their tasks: {pid}" in daemon.stderr


def test_idle_it_ends_at_once(daemon: Daemon) -> None:
    with daemon.connect() as client:
        begun = time.monotonic()
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.process.wait(30) == 0
        assert time.monotonic() - begun < allowed(PROMISED)
        assert client.wait_closed()[0] == 1001
    daemon.wait()


def unread(pipe: IO[bytes] | None) -> int:
    """How many bytes wait in a pipe."""
    assert pipe is not None
    return struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))[0]  # type: ignore[no-any-return]


def test_over_stdio_with_nobody_reading_it_ends_all_the_same(tmp_path: Path) -> None:
    with Daemon(listen="stdio", actions=ACTIONS, clients={"stall_timeout": "60s"}) as daemon:
        assert daemon.process.stdin is not None
        daemon.process.stdin.write(b'{"type":"start","id":"1","action":"flood"}\n')
        daemon.process.stdin.flush()
        wait_until(lambda: unread(daemon.process.stdout) > 32 * 1024, what="a full pipe")
        begun = time.monotonic()
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.process.wait(30) == 0
        assert time.monotonic() - begun < allowed(GRACE + PROMISED + BUSY)
        daemon.wait()
