"""The shared writing thread, and that nothing touches a descriptor after it was given back."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator, Sequence

import pytest

from overseer.net.bytestream import SocketStream
from overseer.net.frames import Encoded
from overseer.net.limits import ConnectionLimits
from overseer.net.outbox import Buffer
from overseer.net.writer import SocketOutbox, Writer
from overseer.util.timers import Timers

MESSAGE = Encoded([b"x" * 100_000])


@pytest.fixture
def timers() -> Iterator[Timers]:
    timers = Timers("writer-timers")
    yield timers
    timers.close()


@pytest.fixture
def writer() -> Iterator[Writer]:
    writer = Writer()
    yield writer
    writer.close()
    writer.close()


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    with (pair := socket.socketpair())[0], pair[1]:
        yield pair


LIMITS = ConnectionLimits(buffer=10**6, stall_timeout=60.0, close_timeout=60.0)


def new_outbox(stream: SocketStream, writer: Writer, timers: Timers) -> SocketOutbox:
    return SocketOutbox(stream, writer, LIMITS, timers)


class GatedStream(SocketStream):
    """Stays in ``send`` until it is let go."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self.entered = threading.Event()
        self.go_on = threading.Event()

    def send(self, buffers: Sequence[Buffer]) -> int:
        self.entered.set()
        assert self.go_on.wait(30)
        return super().send(buffers)


def test_a_descriptor_is_not_given_back_while_a_send_is_under_way(
    writer: Writer, timers: Timers, ends: tuple[socket.socket, socket.socket]
) -> None:
    stream = GatedStream(ends[0])
    outbox = new_outbox(stream, writer, timers)
    outbox.append(MESSAGE)
    sender = threading.Thread(target=outbox.flush)
    sender.start()
    assert stream.entered.wait(30)
    detached = threading.Event()
    detacher = threading.Thread(target=lambda: (outbox.detach(), detached.set()))
    detacher.start()
    assert not detached.wait(0.05)
    stream.go_on.set()
    assert detached.wait(30)
    for thread in (sender, detacher):
        thread.join(30)


def test_who_flushes_while_another_sends_leaves_and_its_bytes_are_sent_all_the_same(
    writer: Writer, timers: Timers, ends: tuple[socket.socket, socket.socket]
) -> None:
    stream = GatedStream(ends[0])
    outbox = new_outbox(stream, writer, timers)
    outbox.append(Encoded([b"first"]))
    sender = threading.Thread(target=outbox.flush)
    sender.start()
    assert stream.entered.wait(30)
    outbox.append(Encoded([b"second"]))
    outbox.flush()
    stream.go_on.set()
    sender.join(30)
    assert ends[1].recv(100) == b"\x81\x05first\x81\x06second"
    outbox.detach()


def test_output_to_an_idle_socket_is_the_callers_to_send_and_all_else_follows_it(
    writer: Writer, timers: Timers, ends: tuple[socket.socket, socket.socket]
) -> None:
    outbox = new_outbox(SocketStream(ends[0]), writer, timers)
    mine = outbox.append_output(Encoded([b"first"]))
    assert mine == b"\x81\x05first"
    # Before it is sent, others come: with output, a reply, a flush.
    assert outbox.append_output(Encoded([b"second"])) is None
    outbox.append(Encoded([b"third"]))
    outbox.flush()
    assert outbox.pending == 7 + 8 + 7
    outbox.send(mine)
    assert ends[1].recv(100) == b"\x81\x05first\x81\x06second\x81\x05third"
    assert outbox.pending == 0
    assert outbox.append_output(Encoded([b"next"])) == b"\x81\x04next"
    outbox.send(b"\x81\x04next")
    assert ends[1].recv(100) == b"\x81\x04next"
    outbox.detach()


def test_of_output_that_does_not_fit_the_writer_sends_the_rest(
    writer: Writer, timers: Timers, ends: tuple[socket.socket, socket.socket]
) -> None:
    outbox = new_outbox(SocketStream(ends[0]), writer, timers)
    long = Encoded([b"x" * 3_000_000])
    mine = outbox.append_output(long)
    assert mine is not None
    assert outbox.lag > 0  # more than half the bound, so the stall is watched
    outbox.send(mine)
    assert 0 < outbox.pending < len(mine)
    assert outbox.append_output(Encoded([b"after"])) is None
    came = b""
    while len(came) < len(mine) + 7:
        came += ends[1].recv(1 << 20)
    assert came == long.websocket + b"\x81\x05after"
    outbox.detach()


@pytest.mark.parametrize("drop", [False, True])
def test_a_close_between_append_and_send_lets_that_go_first(
    writer: Writer, timers: Timers, ends: tuple[socket.socket, socket.socket], drop: bool
) -> None:
    outbox = new_outbox(SocketStream(ends[0]), writer, timers)
    mine = outbox.append_output(Encoded([b"last"]))
    assert mine is not None
    outbox.close(1001, drop=drop)
    assert outbox.append_output(Encoded([b"too late"])) is None
    outbox.send(mine)
    assert ends[1].recv(100) == b"\x81\x04last\x88\x02\x03\xe9"
    assert ends[1].recv(100) == b""
    outbox.detach()


def test_a_detach_waits_for_whoever_is_to_send(
    writer: Writer, timers: Timers, ends: tuple[socket.socket, socket.socket]
) -> None:
    outbox = new_outbox(SocketStream(ends[0]), writer, timers)
    mine = outbox.append_output(Encoded([b"last"]))
    assert mine is not None
    detached = threading.Event()
    detacher = threading.Thread(target=lambda: (outbox.detach(), detached.set()))
    detacher.start()
    assert not detached.wait(0.05)
    outbox.send(mine)
    assert detached.wait(30)
    detacher.join(30)
    assert outbox.pending == 0


def test_after_a_detach_a_late_flush_does_not_reach_who_has_the_number_now(
    writer: Writer, timers: Timers, ends: tuple[socket.socket, socket.socket]
) -> None:
    stream = SocketStream(ends[0])
    outbox = new_outbox(stream, writer, timers)
    while outbox.pending == 0:  # until the socket is full and the writer waits for it
        outbox.append(MESSAGE)
        outbox.flush()
    number = stream.fileno()
    outbox.detach()
    stream.close()
    os.dup2(ends[1].fileno(), number)  # somebody else gets the number
    try:
        writer.watch(number, outbox)  # as a sender would that was held up in between
        outbox.append(MESSAGE)
        outbox.flush()
        outbox.resume()
        assert writer._registered == set()
    finally:
        os.close(number)


def test_several_full_sockets_are_served_by_one_thread(writer: Writer, timers: Timers) -> None:
    pairs = [socket.socketpair() for _ in range(5)]
    outboxes = [new_outbox(SocketStream(near), writer, timers) for near, _ in pairs]
    for outbox in outboxes:
        for _ in range(20):
            outbox.append(MESSAGE)
            outbox.flush()
        assert outbox.pending > 0
    assert [thread.name for thread in threading.enumerate()].count("net-writer") == 1
    for _, far in pairs:
        far.settimeout(5)
        left = 20 * len(MESSAGE.websocket)
        while left:
            left -= len(far.recv(left))
    for outbox, (near, far) in zip(outboxes, pairs, strict=True):
        outbox.detach()
        near.close()
        far.close()


class BrokenStream(SocketStream):
    """Fails in a way that no stream should, when it is asked to send or to finish."""

    def __init__(self, sock: socket.socket, where: str) -> None:
        super().__init__(sock)
        self.where = where

    def send(self, buffers: Sequence[Buffer]) -> int:
        if self.where == "send":
            raise MemoryError("in send")
        return super().send(buffers)

    def finish(self) -> None:
        raise MemoryError("in finish")


@pytest.mark.parametrize("where", ["send", "finish"])
def test_whatever_a_send_fails_with_the_client_is_cut_off_and_nobody_waits_for_it(
    where: str,
    writer: Writer,
    timers: Timers,
    ends: tuple[socket.socket, socket.socket],
    caplog: pytest.LogCaptureFixture,
) -> None:
    outbox = new_outbox(BrokenStream(ends[0], where), writer, timers)
    told = threading.Event()
    outbox.append(MESSAGE)
    outbox.close(1000)  # flushes
    assert outbox.closed
    ends[1].settimeout(5)
    while ends[1].recv(1 << 20):
        pass
    detacher = threading.Thread(target=lambda: (outbox.detach(), told.set()))
    detacher.start()
    assert told.wait(30)
    detacher.join(30)
    assert f"in {where}" in caplog.text


def test_when_the_thread_fails_its_clients_are_cut_off_and_the_next_one_is_served(
    writer: Writer, timers: Timers, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(SocketOutbox):
        def resume(self) -> None:
            raise SystemExit("of all things")

    for kind in (Broken, SocketOutbox):
        near, far = socket.socketpair()
        with near, far:
            stream = SocketStream(near)
            outbox = kind(stream, writer, ConnectionLimits(stall_timeout=60.0), timers)
            for _ in range(20):
                outbox.append(MESSAGE)
                outbox.flush()
            assert outbox.pending > 0
            outbox.close_with(1000, b"")
            far.settimeout(5)
            received = 0
            while data := far.recv(1 << 20):
                received += len(data)
            assert (received == 20 * len(MESSAGE.websocket)) == (kind is SocketOutbox)
            outbox.detach()
    assert caplog.text.count("sending has failed") == 1
