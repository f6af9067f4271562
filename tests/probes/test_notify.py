"""NOTIFY_SOCKET: who may say READY=1, and what comes of anything else."""

from __future__ import annotations

import array
import errno
import os
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from overseer.errors import SpawnError
from overseer.probes.notify import NotifySocket, NotifySockets
from overseer.process.policy import StopPolicy
from overseer.process.registry import Entry, registry
from overseer.process.standalone.tree import RUN_VARIABLE, SERVER_VARIABLE

_SEND = """
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.sendto(sys.argv[2].encode(), "\\0" + sys.argv[1][1:])
print("sent", flush=True)
sys.stdin.read()
"""


class Run:
    """A run of this process whose processes are started by the test."""

    def __init__(self, sockets: NotifySockets) -> None:
        self.entry = Entry(registry.new_run_id(), StopPolicy())
        self.said = threading.Event()
        self.socket: NotifySocket = sockets.open(self.entry.run, self.said.set)
        registry.enter(self.entry)

    def send(self, text: str, *, member: bool = True, shell: str = "") -> None:
        """Have a process, of the run or not, send a message, and wait until that has been read."""
        own = {RUN_VARIABLE: self.entry.run, SERVER_VARIABLE: registry.server_id} if member else {}
        program = [sys.executable, "-c", _SEND, self.socket.address, text]
        with subprocess.Popen(
            ["sh", "-c", shell, "sh", *program] if shell else program,
            env={"PATH": os.environ["PATH"], **own},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        ) as process:
            if not self.entry.pid and member:
                registry.spawned(self.entry, process.pid, frozenset())
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stdout.readline() == b"sent\n"
            self.settle()
            process.stdin.close()

    def settle(self) -> None:
        """Until the message that is sent next, and all before it, have been read: the end of a barrier."""
        ours, theirs = os.pipe()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.connect("\0" + self.socket.address[1:])
            sender.sendmsg(
                [b"BARRIER=1"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [theirs]))]
            )
        os.close(theirs)
        poll = select.poll()
        poll.register(ours, select.POLLHUP)
        assert poll.poll(10_000), "the descriptor was not closed"
        os.close(ours)


@pytest.fixture
def sockets() -> Iterator[NotifySockets]:
    made = NotifySockets()
    yield made
    made.close()
    made.close()


@pytest.fixture
def run(sockets: NotifySockets) -> Iterator[Run]:
    made = Run(sockets)
    yield made
    sockets.discard(made.socket)
    registry.leave(made.entry)


@pytest.mark.parametrize("text", ["READY=1", "STATUS=up\nREADY=1\nMAINPID=1"])
def test_a_process_of_the_run_says_that_it_is_ready(run: Run, text: str) -> None:
    run.send(text)
    assert run.said.wait(30)


def test_so_may_one_that_has_left_its_session(run: Run) -> None:
    run.send("READY=1", shell='setsid "$@"')
    assert run.said.wait(30)


def test_so_may_one_that_shows_no_environment(run: Run) -> None:
    run.send("READY=1", shell='env -i "$@"')
    assert run.said.wait(30)


@pytest.mark.parametrize(
    "text", ["READY=0", "READY=11", "XREADY=1", "STATUS=READY=1", "", "\0" * 5000, "READY=1 "]
)
def test_nothing_else_counts(run: Run, text: str) -> None:
    run.send(text.replace("\0", "x"))
    assert not run.said.is_set()


def test_a_stranger_s_word_does_not_count(run: Run, sockets: NotifySockets) -> None:
    run.send("READY=1", member=False)
    assert not run.said.is_set()
    other = Run(sockets)
    try:
        # A process of another run of the same server.
        other.socket, own = run.socket, other.socket
        other.send("READY=1")
        assert not run.said.is_set()
        assert not other.said.is_set()
        sockets.discard(own)
    finally:
        registry.leave(other.entry)
    run.send("READY=1")
    assert run.said.wait(30)


def test_it_is_heard_once(sockets: NotifySockets) -> None:
    heard: list[int] = []
    run = Run(sockets)
    sockets.discard(run.socket)
    run.socket = sockets.open(run.entry.run, lambda: heard.append(1))
    for _ in range(3):
        run.send("READY=1")
    run.settle()
    assert heard == [1]
    registry.leave(run.entry)


def test_a_flood_for_one_run_does_not_hold_up_another(sockets: NotifySockets, run: Run) -> None:
    ended = threading.Event()

    def flood() -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.connect("\0" + run.socket.address[1:])
            while not ended.is_set():
                sender.send(b"READY=1\n" * 400)

    thread = threading.Thread(target=flood)
    thread.start()
    other = Run(sockets)
    try:
        other.send("READY=1")
        assert other.said.wait(30)
        assert not run.said.is_set()  # what floods is not of the run
    finally:
        ended.set()
        thread.join(30)
        registry.leave(other.entry)


def test_one_that_has_ended_is_told_of(
    run: Run, sockets: NotifySockets, caplog: pytest.LogCaptureFixture
) -> None:
    """The thread that reads is held up until the sender has gone."""
    held, going = threading.Event(), threading.Event()
    blocker = Run(sockets)
    sockets.discard(blocker.socket)
    blocker.socket = sockets.open(blocker.entry.run, lambda: (going.set(), held.wait(10)))
    with subprocess.Popen(
        [sys.executable, "-c", _SEND, blocker.socket.address, "READY=1"],
        env={RUN_VARIABLE: blocker.entry.run, SERVER_VARIABLE: registry.server_id},
        stdin=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        registry.spawned(blocker.entry, process.pid, frozenset())
        assert going.wait(30)
        assert process.stdin is not None
        process.stdin.close()
    subprocess.run(
        [sys.executable, "-c", _SEND, run.socket.address, "READY=1"], stdin=subprocess.DEVNULL, check=True
    )
    held.set()
    run.settle()
    assert not run.said.is_set()
    assert "which ended before its run could be identified" in caplog.text
    registry.leave(blocker.entry)


def test_what_is_discarded_is_gone(sockets: NotifySockets) -> None:
    run = Run(sockets)
    sockets.discard(run.socket)
    sockets.discard(run.socket)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender, pytest.raises(ConnectionRefusedError):
        sender.connect("\0" + run.socket.address[1:])
    registry.leave(run.entry)


def test_a_socket_that_nobody_can_listen_to_is_closed() -> None:
    class Full:
        """As an epoll instance is when the system allows no more watches."""

        def register(self, *about: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        def unregister(self, fd: int) -> None:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory")

    sockets = NotifySockets()
    sockets._epoll = Full()  # type: ignore[assignment]
    before = set(Path("/proc/self/fd").iterdir())
    with pytest.raises(SpawnError, match="cannot listen: "):
        sockets.open("run", lambda: None)
    assert set(Path("/proc/self/fd").iterdir()) <= before
    sockets.close()
