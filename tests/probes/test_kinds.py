"""Single looks at addresses, pages and programs, at targets of every kind."""

from __future__ import annotations

import errno
import os
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from overseer.config.targets import Http, Program, Tcp, parse_http, parse_tcp
from overseer.probes import resolver as resolver_module
from overseer.probes.attempt import Attempt, CancelledError, NotProbedError, ProbeFailedError
from overseer.probes.connections import probe_target
from overseer.probes.programs import probe_by_program
from overseer.probes.resolver import Resolver
from overseer.process.registry import registry
from overseer.workers.surroundings import Surroundings
from tests.harness import allowed
from tests.probes.targets import OK, Target
from tests.workers.support import gone


def look(target: Tcp | Http | Program, seconds: float = 5.0, resolver: Resolver | None = None) -> str:
    """How a look ends: "" when the target is well, else why not."""
    try:
        with Attempt(seconds) as attempt:
            if isinstance(target, Program):
                probe_by_program(target, "t", attempt, Surroundings())
            else:
                probe_target(target, attempt, resolver or Resolver())
    except ProbeFailedError as error:
        return str(error)
    return ""


def sh(script: str, *arguments: str) -> Program:
    return Program(("sh", "-c", script, "sh", *arguments))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (OK, ""),
        (b"HTTP/1.0 204 No Content\r\n\r\n", ""),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n", ""),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", ""),
        (b"HTTP/1.1 200\r\n\r\n", ""),
        (b"HTTP/1.1 200 OK\r\n", ""),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 10_000_000, ""),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\nbusy", "HTTP 503 Service Unavailable"),
        (b"HTTP/1.1 404 " + b"n" * 5000 + b"\r\n\r\n", "HTTP 404 " + "n" * 60),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + b"HTTP/1.1 500\r\n\r\n", "HTTP 500"),
        (b"", "the connection ended without an answer"),
        (b"HTTP/1.1 2", "half an answer"),
        (b"SSH-2.0-OpenSSH\r\n", "the answer is not HTTP"),
        (b"HTTP/2 200 OK\r\n\r\n", "the answer is not HTTP"),
        (b"HTTP/1.1 200OK\r\n\r\n", "the answer is not HTTP"),
        (b"HTTP/1.1 " + b"x" * 100_000, "the answer has no status"),
        (b"HTTP/1.1 100 Continue\r\nA: " + b"x" * 100_000, "the answer has no status"),
    ],
)
def test_a_page_is_well_by_its_status(answer: bytes, expected: str) -> None:
    with Target(answer) as target:
        assert look(parse_http(target.url)) == expected
        (request,) = target.requests
        assert request.startswith(b"GET /health?x=1 HTTP/1.1\r\nHost: %b\r\n" % target.address.encode())


def test_a_page_that_does_not_answer_costs_its_time_and_no_more() -> None:
    with Target(None) as target:
        began = time.monotonic()
        assert look(parse_http(target.url), 0.2) == "no answer within 0.2 s"
        assert time.monotonic() - began < allowed(2)


def test_a_page_that_drips_does_not_hold_a_look_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            with server.accept()[0] as stream:
                try:
                    for byte in b"HTTP/1.1 200 " + b"O" * 1000:
                        stream.send(bytes([byte]))
                        time.sleep(0.01)
                except OSError:
                    pass

        thread = threading.Thread(target=drip)
        thread.start()
        target = Http("127.0.0.1", server.getsockname()[1], "/", encrypted=False)
        assert look(target, 0.3) == "no answer within 0.3 s"
        thread.join(30)


def test_a_page_may_be_encrypted_with_any_certificate(tmp_path: Path) -> None:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-keyout", tmp_path / "key", "-out", tmp_path / "cert", "-subj", "/CN=somebody.else"],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with server.accept()[0] as plain, context.wrap_socket(plain, server_side=True) as stream:
                stream.recv(4096)
                stream.sendall(OK)

        thread = threading.Thread(target=serve)
        thread.start()
        assert look(parse_http(f"https://127.0.0.1:{server.getsockname()[1]}/")) == ""
        thread.join(30)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def speak_plainly() -> None:
            with server.accept()[0] as stream:
                stream.sendall(OK)
                stream.recv(4096)

        thread = threading.Thread(target=speak_plainly)
        thread.start()
        assert (
            look(parse_http(f"https://127.0.0.1:{server.getsockname()[1]}/")) == "TLS: WRONG_VERSION_NUMBER"
        )
        thread.join(30)
    with Target(None) as target:
        assert look(parse_http(f"https://{target.address}/"), 0.2) == "no answer within 0.2 s"


def test_an_address_is_well_if_it_takes_a_connection() -> None:
    with Target() as target:
        assert look(parse_tcp(target.address)) == ""
        assert look(parse_tcp(f":{target.port}")) == ""  # though localhost may be ::1 first
        port = target.port
    assert look(Tcp("127.0.0.1", port)) == "connection refused"


def test_a_socket_that_is_connected_to_itself_is_nobody_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the kernel may do it, where nobody listens on a port that it could give to whoever connects."""

    class Unlucky(socket.socket):
        def connect_ex(self, address: tuple[str, int]) -> int:
            self.bind(address)
            return super().connect_ex(address)

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    monkeypatch.setattr(socket, "socket", Unlucky)
    assert look(Tcp("127.0.0.1", port)) == "connection refused"


def test_a_backlog_that_is_full_counts_as_no_answer() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        target = Tcp("127.0.0.1", server.getsockname()[1])
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex((target.host, target.port))
        assert look(target, 0.2) == "no answer within 0.2 s"
        for each in waiting:
            each.close()


def test_a_look_up_that_hangs_is_abandoned_and_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    asked: list[str] = []

    def hang(host: str, port: int, flags: int = 0) -> list[resolver_module.Address]:
        if flags:
            raise OSError
        asked.append(host)
        assert released.wait(30)
        return [(socket.AF_INET, ("127.0.0.1", port))]

    monkeypatch.setattr(resolver_module, "_look_up", hang)
    resolver = Resolver()
    with Target() as target:
        for _ in range(3):
            assert look(Tcp("db", target.port), 0.05, resolver) == "no answer within 0.05 s"
        assert asked == ["db"]
        for number in range(7):
            assert look(Tcp(f"h{number}", 1), 0.01, resolver) == "no answer within 0.01 s"
        with pytest.raises(NotProbedError, match="8 look-ups of other names hang"):
            look(Tcp("one more", 1), 0.01, resolver)
        threading.Timer(0.05, released.set).start()
        assert look(Tcp("db", target.port), 5.0, resolver) == ""
        assert asked.count("db") == 1
    for thread in threading.enumerate():
        if thread.name == "probe-lookup":
            thread.join(30)


def test_a_name_that_nobody_has_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(host: str, port: int, flags: int = 0) -> list[resolver_module.Address]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(resolver_module, "_look_up", refuse)
    assert look(Tcp("nowhere", 80)) == "nowhere: Name or service not known"


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("exit 0", ""),
        ("echo no  disk >&2; exit 3", "ended with status 3: no disk"),
        ("kill -9 $$", "ended with SIGKILL"),
        ("echo half; exec sleep 60", "no answer within 0.3 s: half"),
        ("yes flood", "no answer within 0.3 s: " + "flood " * 50),
        ("yes flood | head -n 100000; exit 0", ""),
        ("trap '' TERM; exec sleep 60", "no answer within 0.3 s"),
    ],
)
def test_a_program_is_well_if_it_exits_with_0(script: str, expected: str) -> None:
    seconds = 0.3 if "within" in expected else 10.0
    assert look(sh(script), seconds).startswith(expected[:200])
    assert registry.entries() == []


def test_nothing_of_a_program_is_left(tmp_path: Path) -> None:
    daemon = """(setsid sh -c 'echo $$ >"$1"; exec sleep 60' sh "$1" &)"""
    assert look(sh(f'{daemon}; until [ -s "$1" ]; do :; done', str(tmp_path / "pid")), 10.0) == ""
    assert gone((tmp_path / "pid").read_text())


def test_a_program_that_cannot_be_started_is_named() -> None:
    assert look(Program(("/nowhere/check",))) == "cannot start '/nowhere/check': no such file"


@pytest.mark.parametrize("what", ["page", "program"])
def test_a_look_is_called_off_at_once(what: str) -> None:
    with Target(None) as target, Attempt(60.0) as attempt:
        looks: dict[str, Callable[[], None]] = {
            "page": lambda: probe_target(parse_http(target.url), attempt, Resolver()),
            "program": lambda: probe_by_program(sh("exec sleep 60"), "t", attempt, Surroundings()),
        }
        threading.Timer(0.1, attempt.cancel).start()
        began = time.monotonic()
        with pytest.raises(CancelledError):
            looks[what]()
        assert time.monotonic() - began < allowed(5)
    assert registry.entries() == []


def test_what_the_server_is_out_of_says_nothing_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(socket, "socket", none_left)
    with pytest.raises(NotProbedError, match="too many open files"):
        look(Tcp("127.0.0.1", 1))
    monkeypatch.undo()
    monkeypatch.setattr(os, "pipe2", none_left)
    with pytest.raises(NotProbedError, match="the server has too many open files"):
        look(sh("exit 0"))
