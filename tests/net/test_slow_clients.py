"""Clients that do not read, hardly read, or flood, on real sockets."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path

from overseer.config.listen import Listen
from overseer.net.frames import Encoded
from tests.harness import allowed
from tests.net.conftest import Harness, RecordingHandler
from tests.net.rawclient import TEXT, RawClient, frame

Serve = Callable[..., Harness]

SMALL = 4096  # a receive buffer that makes the kernel take little


def fill(handler: RecordingHandler, size: int, chunk: int = 50_000) -> None:
    """Append output until that much is pending, whatever the kernel takes."""
    while handler.outbox.pending < size and not handler.outbox.closed:
        handler.outbox.append(Encoded([b"x" * chunk]), output=True)
        handler.outbox.flush()


def test_flushing_never_waits_for_a_client_that_does_not_read(serve: Serve) -> None:
    client, handler = serve(buffer=2**22, stall_timeout=60.0).pair(receive_buffer=SMALL)
    with client:
        begun = time.monotonic()
        fill(handler, 2**22)
        for _ in range(1000):
            handler.outbox.flush()
        assert time.monotonic() - begun < allowed(2)


def test_what_was_pending_arrives_whole_once_the_client_reads(serve: Serve) -> None:
    client, handler = serve(buffer=2**24, stall_timeout=60.0).pair(receive_buffer=SMALL)
    with client:
        total = 200
        for number in range(total):
            handler.outbox.append(Encoded([b"%d " % number + b"x" * 50_000]), output=True)
            handler.outbox.flush()
        assert handler.outbox.pending > 0
        for number in range(total):
            assert str(client.receive()).startswith(f"{number} x")
        assert client.is_quiet(0.01)
    assert handler.is_closed.wait(30)


def test_a_client_that_never_reads_is_closed_with_1013_and_who_waits_for_it_goes_on(serve: Serve) -> None:
    client, handler = serve(buffer=100_000, stall_timeout=0.3).pair(receive_buffer=SMALL)
    with client:
        fill(handler, 100_001)
        assert not handler.outbox.ask_for_room(1)
        assert handler.outbox.wait_for_room(timeout=30)
        assert handler.outbox.closed
        assert handler.outbox.close_code == 1013
        assert handler.is_closed.wait(30)
        # It can still read whole frames of what it was sent, if not a close frame: it was full to the brim.
        assert client.close_code() in (1013, None)


def test_a_client_that_reads_late_still_finds_the_close_frame(serve: Serve, tmp_path: Path) -> None:
    # A Unix socket: TCP takes its time to open a window that was shut.
    listen = Listen("unix", path=str(tmp_path / "socket"))
    client, handler = serve(listen, buffer=100_000, stall_timeout=0.2, close_timeout=3.0).pair()
    with client:
        fill(handler, 100_001)
        assert not handler.outbox.ask_for_room(1)
        assert handler.outbox.wait_for_room(timeout=30)
        assert client.close_code() == 1013
    assert handler.is_closed.wait(30)


def test_a_client_that_reads_a_byte_now_and_then_is_cut_like_one_that_reads_none(serve: Serve) -> None:
    client, handler = serve(buffer=100_000, stall_timeout=0.3).pair(receive_buffer=SMALL)
    with client:
        fill(handler, 100_001)
        begun = time.monotonic()
        while not handler.is_closed.wait(0.02):
            assert time.monotonic() - begun < allowed(5)
            client.sock.recv(1)
    assert handler.outbox.close_code == 1013


def test_a_client_that_reads_slowly_but_steadily_stays(serve: Serve, tmp_path: Path) -> None:
    listen = Listen("unix", path=str(tmp_path / "socket"))
    client, handler = serve(listen, buffer=400_000, stall_timeout=1.0).pair()
    stop = threading.Event()

    def produce() -> None:
        while not stop.is_set() and not handler.outbox.closed:
            if handler.outbox.ask_for_room(50_000):
                handler.outbox.append(Encoded([b"x" * 50_000]), output=True)
                handler.outbox.flush()
            else:
                handler.outbox.wait_for_room(timeout=30)

    producer = threading.Thread(target=produce)
    producer.start()
    with client:
        begun = time.monotonic()
        while time.monotonic() - begun < 2.2:  # more than twice the stall timeout
            client.buffer += client.sock.recv(20_000)
            stop.wait(0.005)
        assert not handler.outbox.closed
        stop.set()
        threading.Thread(target=handler.outbox.close, args=(1000, "")).start()
        client.close_code()
    producer.join(30)
    assert handler.is_closed.wait(30)


def test_a_client_that_floods_requests_without_reading_is_not_read_from(serve: Serve) -> None:
    client, handler = serve(buffer=50_000, stall_timeout=60.0).pair(receive_buffer=SMALL)
    request = frame(TEXT, b"x" * 1000)
    with client:
        client.sock.settimeout(0.3)
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < 50_000_000:
                sent += client.sock.send(request * 100)
        assert sent < 50_000_000
        assert not handler.outbox.closed
        assert handler.outbox.pending <= 50_000 + 2000
        handled = len(handler.received)
        assert handled * 1000 < sent
        # As soon as it reads, it is served again.
        client.sock.settimeout(5)
        for _ in range(handled + 10):
            assert len(client.receive()) == 1000
        assert len(handler.received) > handled


def test_one_client_that_does_not_read_delays_no_other(serve: Serve) -> None:
    harness = serve(buffer=2**20, stall_timeout=60.0)
    stuck, stuck_session = harness.pair(receive_buffer=SMALL)
    client, _ = harness.pair()
    with stuck, client:
        fill(stuck_session, 2**20)
        begun = time.monotonic()
        for number in range(200):
            client.send_text(str(number))
            assert client.receive() == str(number)
        assert time.monotonic() - begun < allowed(2)


def test_lifecycle_events_beyond_four_times_the_bound_close_with_1013(serve: Serve) -> None:
    client, handler = serve(buffer=20_000, stall_timeout=60.0).pair(receive_buffer=SMALL)
    with client:
        for _ in range(100_000):
            handler.outbox.append(Encoded([b"x" * 1000]))
            handler.outbox.flush()
            if handler.outbox.closed:
                break
        assert handler.is_closed.wait(30)
        assert handler.outbox.close_code == 1013


def test_a_client_that_vanishes_with_output_pending_frees_everything(serve: Serve) -> None:
    client, handler = serve(buffer=100_000, stall_timeout=60.0).pair(receive_buffer=SMALL)
    fill(handler, 100_001)
    waiter = threading.Thread(target=handler.outbox.wait_for_room)
    assert not handler.outbox.ask_for_room(1)
    waiter.start()
    client.reset()
    waiter.join(30)
    assert not waiter.is_alive()
    assert handler.is_closed.wait(30)
    assert handler.outbox.pending == 0


def test_shutdown_is_not_held_up_by_clients_that_do_not_read(serve: Serve) -> None:
    harness = serve(buffer=2**20, stall_timeout=60.0, close_timeout=0.3)
    pairs = [harness.pair(receive_buffer=SMALL) for _ in range(5)]
    for _, handler in pairs:
        fill(handler, 2**20)
    begun = time.monotonic()
    harness.server.shutdown()
    assert time.monotonic() - begun < allowed(2)
    for client, handler in pairs:
        assert handler.closes == 1
        client.drop()


def test_a_lone_message_arrives_at_once(serve: Serve) -> None:
    client, handler = serve().pair()
    message = Encoded([b'{"type":"output"}'])
    latencies = []
    with client:
        for _ in range(200):
            begun = time.perf_counter()
            handler.outbox.append(message, output=True)
            handler.outbox.flush()
            client.receive()
            latencies.append(time.perf_counter() - begun)
    assert sorted(latencies)[len(latencies) // 2] < 0.005


def test_many_clients_come_and_go_while_others_send_to_them(serve: Serve) -> None:
    harness = serve(buffer=50_000, stall_timeout=0.3, close_timeout=0.3)
    stop = threading.Event()
    handlers: list[RecordingHandler] = []
    message = Encoded([b"x" * 5000])

    def shout() -> None:
        while not stop.is_set():
            for handler in list(handlers):
                handler.outbox.append(message)
                handler.outbox.flush()
            stop.wait(0.001)

    def visit(number: int) -> None:
        for turn in range(10):
            client = RawClient(harness.address, receive_buffer=SMALL)
            handlers.append(harness.handler())
            for _ in range(3):
                assert len(client.receive()) == 5000
            if (number + turn) % 2:
                client.reset()
            client.drop()

    shouters = [threading.Thread(target=shout) for _ in range(2)]
    visitors = [threading.Thread(target=visit, args=(number,)) for number in range(6)]
    for thread in shouters + visitors:
        thread.start()
    for thread in visitors:
        thread.join(30)
    stop.set()
    for thread in shouters:
        thread.join(30)
    assert len(handlers) == 60
    assert all(handler.is_closed.wait(30) for handler in handlers)
    assert all(handler.closes == 1 for handler in handlers)
