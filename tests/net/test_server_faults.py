"""What the machine runs out of: descriptors and threads."""

from __future__ import annotations

import os
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest

from overseer.net import server as server_module
from overseer.net.bytestream import SocketStream
from overseer.net.connection import Connection
from tests.net.conftest import Harness, wait_until
from tests.net.rawclient import Closed, RawSocket, http_request

Serve = Callable[..., Harness]

REQUEST = b"GET /doc HTTP/1.1\r\nHost: a\r\n\r\n"


@contextmanager
def descriptors_to_spare(count: int) -> Iterator[None]:
    """No more than ``count`` new descriptors can be opened in here."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    filler: list[int] = []
    top = max(int(name) for name in os.listdir("/proc/self/fd")) + 1  # noqa: PTH208 - as few fds as can be
    resource.setrlimit(resource.RLIMIT_NOFILE, (top + count, before[1]))
    try:
        while True:
            try:
                filler.append(os.dup(0))
            except OSError:
                break
        for fd in filler[len(filler) - count :]:
            os.close(fd)
        del filler[len(filler) - count :]
        yield
    finally:
        for fd in filler:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_without_descriptors_clients_wait_and_are_served_when_there_are_some(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    harness = serve(handshake_timeout=30.0)
    clients = [socket.socket() for _ in range(3)]
    for client in clients:
        client.settimeout(5)
    with descriptors_to_spare(1):
        for client in clients:
            client.connect(harness.address)
        busy = time.process_time()
        time.sleep(0.3)  # nothing can happen; is anything spinning?
        assert time.process_time() - busy < 0.1
        clients[0].sendall(REQUEST)
        assert clients[0].recv(1000).startswith(b"HTTP/1.1 200 ")
        clients[0].shutdown(socket.SHUT_RDWR)
        # The first one's descriptor is free now, so the second one's turn comes, and so on.
        for client in clients[1:]:
            client.sendall(REQUEST)
            assert client.recv(1000).startswith(b"HTTP/1.1 200 ")
            client.shutdown(socket.SHUT_RDWR)
    for client in clients:
        client.close()
    assert "cannot accept connections" in caplog.text
    assert http_request(harness.address, "/doc").status == 200


def test_who_says_nothing_gives_its_descriptor_to_the_next_one(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "_SLOW", 0.1)
    monkeypatch.setattr(server_module, "_RETRY", 0.1)
    harness = serve(handshake_timeout=60.0)
    silent = [socket.socket() for _ in range(2)]
    client = socket.socket()
    client.settimeout(5)
    with descriptors_to_spare(2):
        for sock in (*silent, client):
            sock.connect(harness.address)
        client.sendall(REQUEST)
        assert client.recv(1000).startswith(b"HTTP/1.1 200 ")
    for sock in (*silent, client):
        sock.close()


def test_without_threads_a_client_is_refused_and_the_next_one_served(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(connection: Connection) -> None:
        raise RuntimeError("can't start new thread")

    harness = serve()
    monkeypatch.setattr(Connection, "start", fail)
    with pytest.raises(Closed):
        harness.client()
    monkeypatch.undo()
    client, _ = harness.pair()
    with client:
        client.send_text("served")
        assert client.receive() == "served"
    assert "no more threads" in caplog.text


def test_nobody_is_told_to_try_again_in_the_midst_of_another_answer(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    def send_all(stream: SocketStream, data: bytes, deadline: float) -> None:
        half = len(data) // 2
        whole(stream, data[:half], deadline)
        harness.server.drain(0.0)
        whole(stream, data[half:], deadline)

    harness = serve()
    whole = SocketStream.send_all
    monkeypatch.setattr(SocketStream, "send_all", send_all)
    with RawSocket(harness.address) as client:
        client.send_raw(b"nonsense\r\n\r\n")
        assert client.at_end()
        assert client.buffer.startswith(b"HTTP/1.1 400 ")
        assert client.buffer.count(b"HTTP/1.1") == 1


def test_who_was_told_to_try_again_gets_no_other_answer(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    def send(stream: SocketStream, buffers: Sequence[bytes]) -> int:
        sent = once(stream, buffers)
        if threading.current_thread() is threading.main_thread():  # before the connection is cut
            client.send_raw(b"nonsense\r\n\r\n")
            (turned_away,) = (each for each in harness.server.connections() if each.stream is stream)
            wait_until(lambda: turned_away not in harness.server.connections())
        return sent

    harness = serve(handshake_timeout=60.0)
    once = SocketStream.send
    monkeypatch.setattr(SocketStream, "send", send)
    with RawSocket(harness.address) as client:
        client.send_raw(b"GET /doc")
        assert http_request(harness.address, "/doc").status == 200  # the one before it was accepted, too
        harness.server.drain(0.0)
        assert client.at_end()
        assert client.buffer.count(b"HTTP/1.1") == 1
        assert client.buffer.startswith(b"HTTP/1.1 503 ")


def test_a_session_that_cannot_be_opened_closes_its_client(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*args: object) -> None:
        raise ValueError("no handler today")

    with serve(open_handler=refuse).client() as client:
        assert client.close_code() == 1011
        assert client.at_end()
    assert "a WebSocket failed" in caplog.text


def test_a_websocket_that_is_not_open_yet_is_not_handed_over(serve: Serve) -> None:
    portable: list[bool] = []

    def admits(peer: object) -> bool:  # asked once more when it is known as a WebSocket
        portable.extend(each.portable for each in harness.server.connections())
        return True

    harness = serve(admits=admits)
    client, _ = harness.pair()
    with client:
        client.send_text("open")
        assert client.receive() == "open"
        assert portable == [False]
        assert [each.portable for each in harness.server.connections()] == [True]
