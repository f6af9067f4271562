"""Clients that are slow, dead or hostile: what they cost is bounded in time, threads and memory."""

from __future__ import annotations

import http.client
import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.api.conftest import Http
from tests.harness import Daemon, allowed, shell

ACTIONS = {"flood": shell("while :; do seq 1000; done"), "sleep": shell("echo up; exec sleep 1000"),
           "true": shell("true")}  # fmt: skip
HANDSHAKE_S = 1.0
STALL_S = 1.0


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with Daemon(
        actions=ACTIONS,
        allowed_hosts=["x"],
        limits={"handshake_timeout": f"{HANDSHAKE_S:g}s", "max_message": "64KiB"},
        clients={"stall_timeout": f"{STALL_S:g}s", "buffer": "256KiB", "on_lag": "drop"},
    ) as daemon:
        yield daemon


def connect(daemon: Daemon) -> socket.socket:
    host, _, port = daemon.address.rpartition(":")
    return socket.create_connection((host, int(port)), 20)


def threads(daemon: Daemon) -> int:
    return len(list(Path(f"/proc/{daemon.pid}/task").iterdir()))


def settled(daemon: Daemon) -> int:
    """How many threads there are once those of earlier requests have ended."""
    seen = [threads(daemon)]
    while len(seen) < 15 or len(set(seen[-15:])) > 1:
        assert len(seen) < 500
        time.sleep(0.02)
        seen.append(threads(daemon))
    return seen[-1]


def memory(daemon: Daemon) -> int:
    """Its resident set, in bytes."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{daemon.pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def wait_for_threads(daemon: Daemon, most: int, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while threads(daemon) > most:
        assert time.monotonic() < deadline, (threads(daemon), most)
        time.sleep(0.02)


def read_all(connection: socket.socket) -> bytes:
    data = b""
    with suppress(ConnectionResetError):
        while more := connection.recv(65536):
            data += more
    return data


_FOLLOW = b"GET /api/v1/tasks/flood/output?follow HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n"
_POST = b"POST /api/v1/actions/true/start HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"", b"408"),
        (b"GET /api/v1/tasks HTTP/1.1\r\nX-A: ", b"408"),
        (_POST, b"408"),
        (_POST + b"Content-Length: 100000000000\r\n\r\n" + b"x" * 70_000, b"413"),
        (_POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"1ffff\r\n" + b"x" * 0x1FFFF + b"\r\n", b"413"),
        (_POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"1;" + b"e" * 70_000, b"400"),
        (b"GET /api/v1/tasks HTTP/1.1\r\n" + b"X-A: b\r\n" * 9_000, b"431"),
    ],
)  # fmt: skip
def test_half_a_request_is_answered_in_time(daemon: Daemon, sent: bytes, status: bytes) -> None:
    with connect(daemon) as connection:
        begun = time.monotonic()
        with suppress(ConnectionError):
            connection.sendall(sent)
        answer = read_all(connection)
        assert time.monotonic() - begun < allowed(HANDSHAKE_S + 6)
    assert not answer or answer.split()[1] == status


def test_half_a_body_is_answered_in_time(daemon: Daemon) -> None:
    with connect(daemon) as connection:
        begun = time.monotonic()
        connection.sendall(_POST + b"Content-Length: 10\r\n\r\n{")
        assert read_all(connection).split()[1] == b"408"
        assert time.monotonic() - begun < allowed(HANDSHAKE_S + 6)


def test_many_slow_requests_hold_nobody_up_and_are_cut_off(daemon: Daemon) -> None:
    before = threads(daemon)
    with ExitStack() as stack:
        slow = [stack.enter_context(connect(daemon)) for _ in range(100)]
        for number, each in enumerate(slow):
            each.sendall(b"G" if number % 2 else _POST + b"Content-Length: 10\r\n")
        assert Http(daemon.address)("POST", "/actions/true/start?wait=10").json["status"] == "succeeded"
        wait_for_threads(daemon, before + 2, HANDSHAKE_S + 10)


def test_a_connection_serves_one_request(daemon: Daemon) -> None:
    with connect(daemon) as connection:
        connection.sendall(b"GET /api/v1/tasks HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n" * 3)
        answer = read_all(connection)
        assert answer.count(b"HTTP/1.1 200") == 1
        assert b"connection: close" in answer.lower()


def test_readers_that_do_not_read_are_cut_off_and_cost_their_buffer_at_most(daemon: Daemon) -> None:
    http = Http(daemon.address)
    http("POST", "/actions/flood/start", {"task_id": "flood"})
    before, had = threads(daemon), memory(daemon)
    with ExitStack() as stack:
        readers = [stack.enter_context(connect(daemon)) for _ in range(20)]
        for each in readers:
            each.sendall(_FOLLOW)
        for each in readers:
            assert each.recv(12) == b"HTTP/1.1 200"
        assert http("POST", "/actions/true/start?wait=10").json["status"] == "succeeded"
        wait_for_threads(daemon, before + 2, STALL_S + 10)
        assert memory(daemon) - had < 20 * 2 * 2**20
    http("DELETE", "/tasks/flood?wait=10")


def test_many_readers_that_do_not_read_keep_nobody_waiting_and_share_what_waits_for_them() -> None:
    with (
        Daemon(
            actions=ACTIONS, allowed_hosts=["x"], clients={"on_lag": "drop", "buffer": "256KiB"}
        ) as daemon,
        ExitStack() as stack,
    ):
        http = Http(daemon.address)
        http("POST", "/actions/flood/start", {"task_id": "flood"})
        had, slowest = memory(daemon), 0.0
        for _ in range(10):
            for _ in range(10):
                reader = stack.enter_context(connect(daemon))
                reader.sendall(_FOLLOW)
                assert reader.recv(12) == b"HTTP/1.1 200"
            begun = time.monotonic()
            assert http("GET", "/tasks/flood").json["status"] == "running"
            assert http("POST", "/actions/true/start?wait=10").json["status"] == "succeeded"
            slowest = max(slowest, time.monotonic() - begun)
        grown = memory(daemon) - had
        http("DELETE", "/tasks/flood?wait=10")
    assert slowest < 20  # seconds; a fraction of one where nothing else runs
    assert grown < 60 * 2**20, f"{grown / 2**20:.0f} MiB"


def test_who_no_longer_waits_is_let_go_also_while_much_is_written(daemon: Daemon) -> None:
    http = Http(daemon.address)
    starts = [f"/actions/{action}/start" for action in ("flood", "sleep")]
    tasks = [http("POST", path, Idempotency_Key=path).headers["location"] for path in starts]
    before = settled(daemon)
    with ExitStack() as stack:
        for path in starts:  # the same start again, which waits for the end of the first
            head = f"POST /api/v1{path}?wait=600 HTTP/1.1\r\nHost: x\r\nIdempotency-Key: {path}\r\n\r\n"
            stack.enter_context(connect(daemon)).sendall(head.encode())
        deadline = time.monotonic() + 30
        while threads(daemon) < before + 2:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    wait_for_threads(daemon, before, 10)
    for task in tasks:
        assert http("DELETE", task.removeprefix("/api/v1")).status == 202


@pytest.mark.parametrize("accept", ["text/event-stream", "application/x-ndjson"])
def test_a_reader_that_lags_is_told_what_it_has_missed(daemon: Daemon, accept: str) -> None:
    http = Http(daemon.address)
    http("POST", "/actions/flood/start", {"task_id": accept.partition("/")[2]})
    with http.open("GET", f"/tasks/{accept.partition('/')[2]}/output?follow", Accept=accept) as response:
        begun = time.monotonic()
        while (b'"type":"gap"' not in response.readline()) and time.monotonic() - begun < 20:
            pass
        assert time.monotonic() - begun < allowed(20)
        response.close()
    http("DELETE", f"/tasks/{accept.partition('/')[2]}?wait=10")


@pytest.mark.parametrize(
    ("body", "status"), [(b'{"\\ud800": 1}', 422), (b'{"params":' * 982 + b"1" + b"}" * 982, (400, 422))]
)
def test_bodies_that_cannot_be_repeated_are_refused(daemon: Daemon, body: bytes, status: object) -> None:
    host, _, port = daemon.address.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    connection.request("POST", "/api/v1/actions/true/start", body, {"Content-Type": "application/json"})
    got = connection.getresponse().status
    connection.close()
    assert got in (status if isinstance(status, tuple) else (status,))
