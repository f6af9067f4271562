"""One client over pipes."""

from __future__ import annotations

import contextlib
import os
import queue
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from overseer.auth.peer import Peer
from overseer.net.frames import Encoded
from overseer.net.outbox import Outbox
from overseer.net.stdio import StdioServer
from overseer.util.timers import Timers
from tests.net.conftest import QUICK, RecordingHandler


class Pipes:
    """A server over two pipes, and the client's ends of them."""

    def __init__(self, **limits: Any) -> None:
        requests, self.to_server = os.pipe()
        self.from_server, replies = os.pipe()
        self.ended = threading.Event()
        self.ends = 0
        self.timers = Timers("stdio-timers")
        self.handlers: queue.Queue[RecordingHandler] = queue.Queue()
        self.server = StdioServer(
            requests,
            replies,
            self._open,
            timers=self.timers,
            ended=self._end,
            limits=replace(QUICK, **limits),
        )
        self.server.start()
        self.handler = self.handlers.get(timeout=30)
        self.buffer = b""

    def _open(self, outbox: Outbox, peer: Peer) -> RecordingHandler:
        handler = RecordingHandler(outbox, peer)
        self.handlers.put(handler)
        return handler

    def _end(self) -> None:
        self.ends += 1
        self.ended.set()

    def send(self, data: bytes) -> None:
        os.write(self.to_server, data)

    def line(self, timeout: float = 30.0) -> bytes:
        """The next line of the server's, without its end; b"" at the end."""
        deadline = time.monotonic() + timeout
        while b"\n" not in self.buffer:
            if not select.select([self.from_server], [], [], max(0, deadline - time.monotonic()))[0]:
                raise TimeoutError
            data = os.read(self.from_server, 1 << 16)
            if not data:
                return b""
            self.buffer += data
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line

    def close_requests(self) -> None:
        os.close(self.to_server)
        self.to_server = -1

    def close_replies(self) -> None:
        os.close(self.from_server)
        self.from_server = -1

    def close(self) -> None:
        self.server.shutdown()
        for fd in (self.to_server, self.from_server):
            if fd >= 0:
                os.close(fd)
        self.timers.close()


@pytest.fixture
def pipes() -> Iterator[Callable[..., Pipes]]:
    opened: list[Pipes] = []

    def start(**limits: Any) -> Pipes:
        opened.append(Pipes(**limits))
        return opened[-1]

    yield start
    for one in opened:
        one.close()


Start = Callable[..., Pipes]


def test_lines_are_messages_both_ways(pipes: Start) -> None:
    client = pipes()
    client.send(b'{"a":"\xc3\xa9"}\n{"b":1}\r\n\n  \n{"c":1}')
    assert client.line() == b'{"a":"\xc3\xa9"}'
    assert client.line().strip() == b'{"b":1}'
    client.send(b" \n")
    assert client.line().strip() == b'{"c":1}'
    assert len(client.handler.received) == 3
    assert client.handler.peer == Peer("stdio", "")


def test_when_the_requests_end_replies_still_go_out_until_the_shutdown(pipes: Start) -> None:
    client = pipes()
    client.send(b"last, without an end of line")
    client.close_requests()
    assert client.line() == b"last, without an end of line"
    assert client.ended.wait(30)
    assert client.handler.closes == 0
    client.handler.outbox.append(Encoded([b"still running"]))
    client.handler.outbox.flush()
    assert client.line() == b"still running"
    client.handler.outbox.append(Encoded([b"done"]))
    client.server.shutdown()
    assert client.line() == b"done"
    assert client.line() == b""
    assert (client.handler.closes, client.ends) == (1, 1)


def test_a_shutdown_before_the_requests_end_closes_the_session(pipes: Start) -> None:
    client = pipes()
    client.server.shutdown()
    client.server.shutdown()
    assert (client.handler.closes, client.ends) == (1, 1)
    assert client.line() == b""


def test_when_nobody_reads_the_replies_any_more_it_ends(pipes: Start) -> None:
    client = pipes()
    client.close_replies()
    client.send(b"hello?\n")
    assert client.ended.wait(30)
    assert client.handler.is_closed.wait(30)
    assert client.ends == 1


def test_a_line_that_is_too_long_arrives_one_byte_too_long_and_the_next_one_whole(pipes: Start) -> None:
    client = pipes(max_message=100)
    client.send(b"x" * 50_000)
    client.send(b"x" * 10 + b"\n" + b"y" * 100 + b"\n" + b"z" * 101 + b"\nnext\n")
    assert [client.line() for _ in range(4)] == [b"x" * 101, b"y" * 100, b"z" * 101, b"next"]


def test_much_output_arrives_whole_and_in_order(pipes: Start) -> None:
    client = pipes(buffer=2**24, stall_timeout=60.0)
    for number in range(2000):
        client.handler.outbox.append(Encoded([b"%d " % number + b"x" * (number % 700) * 10]), output=True)
        client.handler.outbox.flush()
    for number in range(2000):
        assert client.line() == b"%d " % number + b"x" * (number % 700) * 10


def test_a_reader_that_stalls_ends_it_and_frees_who_waits(pipes: Start) -> None:
    client = pipes(buffer=100_000, stall_timeout=0.2, close_timeout=0.2)
    client.handler.outbox.append(Encoded([b"x" * 300_000]), output=True)
    client.handler.outbox.flush()
    assert not client.handler.outbox.ask_for_room(1)
    assert client.handler.outbox.wait_for_room(timeout=30)
    assert client.ended.wait(30)
    assert client.handler.is_closed.wait(30)


def test_files_serve_as_well_as_pipes(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"one\ntwo\n")
    requests = os.open(tmp_path / "in", os.O_RDONLY)
    replies = os.open(tmp_path / "out", os.O_WRONLY | os.O_CREAT)
    ended = threading.Event()
    timers = Timers("stdio-timers")
    server = StdioServer(requests, replies, RecordingHandler, timers=timers, ended=ended.set, limits=QUICK)
    server.start()
    assert ended.wait(30)
    server.shutdown()
    timers.close()
    assert (tmp_path / "out").read_bytes() == b"one\ntwo\n"


def test_a_session_that_fails_ends_the_server_too(caplog: pytest.LogCaptureFixture) -> None:
    class Failing(RecordingHandler):
        def receive(self, data: str | bytes) -> None:
            raise RuntimeError("no luck")

    def refuse(*_: object) -> RecordingHandler:
        raise RuntimeError("no luck")

    for handler in (Failing, refuse):
        (requests, ours), replies = os.pipe(), os.open(os.devnull, os.O_WRONLY)
        ended = threading.Event()
        timers = Timers("stdio-timers")
        server = StdioServer(requests, replies, handler, timers=timers, ended=ended.set, limits=QUICK)
        server.start()
        with contextlib.suppress(BrokenPipeError):
            os.write(ours, b"one\n")
        assert ended.wait(30)
        server.shutdown()
        timers.close()
        os.close(ours)
    assert caplog.text.count("serving stdio failed") == 2


def test_taking_over_stdio_keeps_prints_and_children_away_from_the_protocol() -> None:
    program = (
        "import os, subprocess, sys\n"
        "from overseer.net.stdio import take_over_stdio\n"
        "requests, replies = take_over_stdio()\n"
        "print('stray', flush=True)\n"
        "subprocess.run(['cat'])\n"
        "os.write(replies, os.read(requests, 100))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], input=b"request\n", capture_output=True, timeout=30, check=True
    )
    assert result.stdout == b"request\n"
    assert result.stderr == b"stray\n"
