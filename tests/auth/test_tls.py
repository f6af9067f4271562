"""TLS: versions, certificates of clients, renewal, and streams that are read and written at once."""

from __future__ import annotations

import http.client
import json
import shutil
import signal
import socket
import ssl
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from overseer.config import load_config
from overseer.net.frames import Encoded
from overseer.net.limits import ConnectionLimits
from overseer.net.tls import Certificates as Certificates_
from overseer.net.tls import TlsStream
from overseer.net.writer import SocketOutbox, Writer
from overseer.util.timers import Timers
from tests.auth.conftest import Certificates
from tests.auth.support import ACTIONS, TOKENS, TlsRawClient, address_of, bearer, open_status, request
from tests.harness import Daemon, allowed, shell
from tests.net.rawclient import Closed, RawSocket, frame


def _context(certificates: Certificates, client: str = "") -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=certificates.path("ca.crt"))
    if client:
        context.load_cert_chain(certificates.path(f"{client}.crt"), certificates.path(f"{client}.key"))
    return context


def _tls(certificates: Certificates, **more: str) -> dict[str, str]:
    return {"cert": certificates.path("server.crt"), "key": certificates.path("server.key"), **more}


def test_the_context_takes_nothing_old(certificates: Certificates, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(json.dumps({"tls": _tls(certificates)}))
    loaded = Certificates_.load(load_config(tmp_path / "config.yaml", {}))
    near, far = socket.socketpair()
    with far:
        stream = loaded.wrap(near)
        assert stream._tls.context.minimum_version is ssl.TLSVersion.TLSv1_2
        stream.close()


def test_the_context_is_made_of_what_was_read_once(
    certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from overseer.net import tls

    files = _tls(certificates, client_ca=certificates.path("ca.crt"))
    (tmp_path / "config.yaml").write_text(json.dumps({"tls": {name: f"/none/{name}" for name in files}}))
    real = tls.read_small
    # The second look at each path would find nothing, as it might find something else, or a pipe.
    monkeypatch.setattr(tls, "read_small", lambda path, most: real(files[Path(path).name], most))
    loaded = Certificates_.load(load_config(tmp_path / "config.yaml", {}))
    assert loaded._context.verify_mode is ssl.CERT_REQUIRED


def test_old_versions_and_clear_text_are_refused(certificates: Certificates) -> None:
    with Daemon(actions=ACTIONS, tls=_tls(certificates)) as daemon:
        address = address_of(daemon)
        with TlsRawClient(address, _context(certificates)) as client:
            assert client.sock.version() == "TLSv1.3"
            assert request(client, "list")["type"] == "tasks"
            assert client.close() == 1000
        context = _context(certificates)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with TlsRawClient(address, context) as client:
            assert request(client, "list")["type"] == "tasks"
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.raises(OSError):  # noqa: PT011  (its kind depends on who is first to say no)
            TlsRawClient(address, context)
        assert open_status(daemon) == 400  # in clear text, and told so
        with RawSocket(address) as silent:  # and one that says nothing does not hold up others
            with TlsRawClient(address, _context(certificates)) as client:
                assert request(client, "list")["type"] == "tasks"
            silent.send_raw(b"\x16\x03\x01\x00\x05nonsense" * 3)
            assert silent.at_end()


def test_handshakes_that_nobody_goes_on_with_keep_nobody_out(certificates: Certificates) -> None:
    limits = {"max_connections": 1, "handshake_timeout": "60s"}
    with Daemon(actions=ACTIONS, tls=_tls(certificates), limits=limits) as daemon, ExitStack() as stack:
        address = address_of(daemon)
        silent = [stack.enter_context(RawSocket(address)) for _ in range(120)]
        silent[-1].send_raw(b"\x16\x03\x01")
        with TlsRawClient(address, _context(certificates)) as client:
            assert request(client, "list")["type"] == "tasks"
        assert silent[0].at_end()


def test_a_stranger_gets_health_checks_by_tls_and_nothing_else(certificates: Certificates) -> None:
    networks = ["192.0.2.0/24"]
    with Daemon(actions=ACTIONS, tls=_tls(certificates), trusted_cidrs=networks) as daemon:
        for path, status in (("/healthz", 200), ("/metrics", 403)):
            with TlsRawClient(address_of(daemon), _context(certificates), upgrade=False) as client:
                client.send_raw(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
                assert client.read_reply().status == status
        with RawSocket(address_of(daemon)) as silent:
            assert silent.at_end(timeout=allowed(4))


def test_certificates_of_clients_are_demanded_and_can_be_tokens(certificates: Certificates) -> None:
    tokens = [*TOKENS, {"name": "unused", "role": "viewer"}]  # a name alone will do for a certificate
    tls = _tls(certificates, client_ca=certificates.path("ca.crt"))
    with Daemon(actions=ACTIONS, tls=tls, auth={"tokens": tokens}) as daemon:
        address = address_of(daemon)
        for refused in ("", "stranger"):
            with pytest.raises((ssl.SSLError, Closed, ConnectionError)) as caught:
                TlsRawClient(address, _context(certificates, refused))
            assert "answered" not in str(caught.value)  # it never came as far as HTTP
        with TlsRawClient(address, _context(certificates, "by-name")) as client:
            assert request(client, "manifest")["manifest"]["session"]["name"] == "viewer-all"
        with TlsRawClient(address, _context(certificates, "by-san")) as client:
            assert request(client, "manifest")["manifest"]["session"]["name"] == "operator-mine"
        with pytest.raises(Closed, match="401"):
            TlsRawClient(address, _context(certificates, "nobody"))
        with TlsRawClient(address, _context(certificates, "nobody"), [bearer("admin-mine")]) as client:
            assert request(client, "manifest")["manifest"]["session"]["name"] == "admin-mine"


def test_sighup_reads_the_certificate_anew(certificates: Certificates, tmp_path: Path) -> None:
    def serial() -> str:
        with TlsRawClient(address, _context(certificates), upgrade=False) as client:
            return str(client.sock.getpeercert()["serialNumber"])

    for name in ("crt", "key"):
        shutil.copy(certificates.path(f"server.{name}"), tmp_path / f"live.{name}")
    tls = {"cert": str(tmp_path / "live.crt"), "key": str(tmp_path / "live.key")}
    with Daemon(actions=ACTIONS, tls=tls) as daemon:
        address = address_of(daemon)
        with TlsRawClient(address, _context(certificates)) as client:
            first = serial()
            (tmp_path / "live.crt").write_text("not a certificate")
            daemon.process.send_signal(signal.SIGHUP)
            assert "live.key cannot be used" in daemon.wait_stderr("the configuration was not reloaded")
            assert serial() == first
            for name in ("crt", "key"):
                shutil.copy(certificates.path(f"second.{name}"), tmp_path / f"live.{name}")
            daemon.process.send_signal(signal.SIGHUP)
            daemon.wait_stderr("reloaded: settings tls")
            assert serial() != first
            assert request(client, "list")["type"] == "tasks"  # connections go on


def test_a_flood_out_and_requests_in_at_the_same_time(certificates: Certificates) -> None:
    actions = {"flood": shell("seq 60000"), "echo": shell("echo hi")}
    with (
        Daemon(actions=actions, tls=_tls(certificates), clients={"buffer": "256KiB"}) as daemon,
        TlsRawClient(address_of(daemon), _context(certificates)) as client,
    ):
        client.send_json(type="start", id="start", action="flood", task_id="flood")
        lines = 0
        answered = 0
        asked = 0
        while True:
            message = client.receive_json(timeout=30)
            if message["type"] == "output":
                lines += 1
                assert message["seq"] == lines
                assert message["data"] == str(lines)
                if lines % 1000 == 0:
                    asked += 1
                    client.send_json(type="pool_info", id=f"p{asked}")
            elif message["type"] == "pool_info":
                answered += 1
            elif message["type"] == "exited":
                break
        assert lines == 60_000
        client.send_json(type="describe", id="end")
        rest = client.receive_until(lambda each: each.get("id") == "end")
        assert answered + sum(each["type"] == "pool_info" for each in rest) == asked


def test_an_outbox_sends_the_last_bytes_when_nothing_follows(certificates: Certificates) -> None:
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(certificates.path("server.crt"), certificates.path("server.key"))
    near, far = socket.socketpair()
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    ready, go = threading.Event(), threading.Event()
    received = bytearray()

    def client() -> None:
        with _context(certificates).wrap_socket(far, server_hostname="localhost") as wrapped:
            ready.set()
            go.wait(10)
            wrapped.settimeout(10)
            while data := wrapped.recv(1 << 16):
                received.extend(data)

    thread = threading.Thread(target=client)
    thread.start()
    writer, timers = Writer(), Timers("test-timers")
    stream = TlsStream(near, server_context)
    try:
        stream.open(time.monotonic() + 10)
        ready.wait(10)
        outbox = SocketOutbox(stream, writer, ConnectionLimits(close_timeout=10.0), timers)
        outbox.append(Encoded([b"x" * 100_000]))
        outbox.flush()
        # All of it is encrypted, little of it went, and there is nothing else that would push out the rest.
        assert (outbox.pending, stream.unsent) == (0, True)
        go.set()
        deadline = time.monotonic() + 30
        while len(received) < 100_000:
            assert time.monotonic() < deadline, len(received)
        outbox.close(1000, "over")
        thread.join(30)
        assert not thread.is_alive()
        outbox.detach()
    finally:
        go.set()
        writer.close()
        timers.close()
        stream.close()
        thread.join(30)
    assert bytes(received).count(b"x") == 100_000


def test_a_client_that_does_not_read_is_cut_and_others_go_on(certificates: Certificates) -> None:
    actions = {"flood": shell("seq 500000")}
    clients = {"buffer": "64KiB", "stall_timeout": "500ms"}
    with (
        Daemon(actions=actions, tls=_tls(certificates), clients=clients) as daemon,
        TlsRawClient(address_of(daemon), _context(certificates)) as stalled,
        TlsRawClient(address_of(daemon), _context(certificates)) as other,
    ):
        stalled.send_json(type="start", id="start", action="flood")
        deadline = time.monotonic() + 30
        while request(other, "metrics")["global"]["tasks_completed"] == 0:
            assert time.monotonic() < deadline
        # The code comes through only if there is room for it within a second.
        assert stalled.close_code(timeout=30) in (1013, None)


def test_a_stream_carries_any_amount_each_way_and_both_ends(certificates: Certificates) -> None:
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(certificates.path("server.crt"), certificates.path("server.key"))
    near, far = socket.socketpair()
    far_end: list[bytes] = []
    all_here = threading.Event()

    def client() -> None:
        with _context(certificates).wrap_socket(far, server_hostname="localhost") as wrapped:
            wrapped.sendall(b"up" * 500_000)
            while data := wrapped.recv(1 << 16):
                far_end.append(data)
                if sum(map(len, far_end)) == 700_010:
                    all_here.set()
            wrapped.sendall(b"still")

    thread = threading.Thread(target=client)
    thread.start()
    stream = TlsStream(near, server_context)
    try:
        deadline = time.monotonic() + 30
        assert stream.open(deadline) == ()
        received = b""
        while len(received) < 1_000_000:
            received += stream.receive(10_000, deadline)
        assert received == b"up" * 500_000
        chunks = [memoryview(b"a" * 300_000), b"b" * 10, b"c" * 400_000]
        for chunk in chunks:
            stream.send_all(bytes(chunk), deadline)
        assert not stream.unsent
        assert all_here.wait(30)  # the farewell goes as far as it goes without waiting
        stream.finish()
        assert stream.receive(100, deadline) == b"still"
        assert stream.receive(100, deadline) == b""
    finally:
        stream.close()
        thread.join(30)
    assert b"".join(far_end) == b"".join(chunks)


def test_what_was_encrypted_and_did_not_go_is_kept(certificates: Certificates) -> None:
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(certificates.path("server.crt"), certificates.path("server.key"))
    near, far = socket.socketpair()
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    ready, go = threading.Event(), threading.Event()
    received: list[bytes] = []

    def client() -> None:
        with _context(certificates).wrap_socket(far, server_hostname="localhost") as wrapped:
            ready.set()
            go.wait(10)
            while data := wrapped.recv(1 << 16):
                received.append(data)

    thread = threading.Thread(target=client)
    thread.start()
    stream = TlsStream(near, server_context)
    try:
        stream.open(time.monotonic() + 10)
        ready.wait(10)
        payload = frame(0x2, bytes(range(256)) * 800, masked=False)
        assert stream.send([payload]) == len(payload)
        assert stream.unsent
        assert stream.send([b"more"]) == 0
        go.set()
        deadline = time.monotonic() + 30
        while stream.unsent:
            assert time.monotonic() < deadline
            stream.send([])
        assert stream.send([b"more"]) == 4
        stream.finish()
    finally:
        go.set()
        thread.join(30)
        stream.close()
    assert b"".join(received) == payload + b"more"


def test_output_is_followed_by_tls_to_its_last_line(certificates: Certificates) -> None:
    with Daemon(actions={"many": shell("seq 50000; exec cat")}, tls=_tls(certificates)) as daemon:

        def ask(method: str, path: str) -> bytes:
            context = _context(certificates)
            connection = http.client.HTTPSConnection(daemon.address, timeout=30, context=context)
            connection.request(method, f"/api/v1{path}")
            with connection.getresponse() as response:
                return response.read()

        task_id = json.loads(ask("POST", "/actions/many/start"))["task_id"]
        lines = [*map(int, ask("GET", f"/tasks/{task_id}/output?follow").split())]
        assert lines == list(range(lines[0], 50_001))
