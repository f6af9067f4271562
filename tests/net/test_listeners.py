"""Listening: addresses, sockets in the way, errors of one line."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from overseer.config.listen import Listen
from overseer.errors import OverseerError
from overseer.net import listeners
from overseer.net.listeners import open_listener
from tests.net.conftest import Harness
from tests.net.rawclient import http_request

Serve = Callable[..., Harness]


def test_a_lock_that_is_never_given_back_does_not_keep_a_server_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(listeners, "_LOCK_TIMEOUT", 0.05)
    held = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        listener = open_listener(Listen("unix", path=str(tmp_path / "socket")))
        listener.close()
    finally:
        os.close(held)
    assert "going on without a lock" in caplog.text


def tcp(host: str, port: int = 0) -> Listen:
    return Listen("tcp", host, port)


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")


@needs_ipv6
@pytest.mark.parametrize("host", ["", "::"])
def test_no_host_means_every_interface_of_both_families(serve: Serve, host: str) -> None:
    harness = serve(tcp(host))
    port = harness.address[1]
    for address in ("127.0.0.1", "::1"):
        assert http_request((address, port), "/doc").status == 200


def test_without_ipv6_every_interface_means_ipv4(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.socket

    def without_ipv6(family: int = -1, *rest: object, **more: object) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(97, "Address family not supported by protocol")
        return real(family, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(listeners.socket, "socket", without_ipv6)
    harness = serve(tcp(""))
    monkeypatch.undo()
    assert http_request(harness.address, "/doc").status == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0"])
def test_a_host_is_listened_on(serve: Serve, host: str) -> None:
    assert http_request(("127.0.0.1", serve(tcp(host)).address[1]), "/doc").status == 200


@needs_ipv6
def test_an_ipv6_host_is_listened_on_and_ipv4_is_not(serve: Serve) -> None:
    harness = serve(tcp("::1"))
    assert harness.address[0] == "::1"
    assert http_request(harness.address, "/doc").status == 200
    with pytest.raises(ConnectionRefusedError):
        http_request(("127.0.0.1", harness.address[1]), "/doc")


@needs_ipv6
def test_an_ipv4_peer_on_a_socket_of_both_families_has_an_ipv4_address(serve: Serve) -> None:
    _, handler = (pair := serve(tcp("")).pair())
    with pair[0]:
        assert (handler.peer.kind, handler.peer.address, handler.peer.uid) == ("tcp", "127.0.0.1", None)


@pytest.mark.parametrize(
    ("listen", "message"),
    [
        (tcp("192.0.2.77", 80), "cannot listen on 192.0.2.77:80: this machine has no such address"),
        (tcp("no-such-host.invalid", 1), "cannot listen on no-such-host.invalid:1: .* is not a known host"),
        (tcp("a" * 70 + ".example", 1), "is not a known host"),
    ],
)
def test_what_cannot_be_listened_on_is_said_in_one_line(listen: Listen, message: str) -> None:
    with pytest.raises(OverseerError, match=message) as caught:
        open_listener(listen)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1", ""])
def test_a_port_in_use_is_said_so(serve: Serve, host: str) -> None:
    port = serve(tcp(host)).address[1]
    with pytest.raises(OverseerError, match=f"cannot listen on {host}:{port}: port {port} is in use"):
        open_listener(tcp(host, port))


def test_a_port_can_be_taken_again_at_once(serve: Serve) -> None:
    first = serve()
    client, _ = first.pair()
    client.send_text("x")
    first.server.shutdown()  # this side closes, so the connection stays in TIME_WAIT here
    client.drop()
    assert serve(tcp("127.0.0.1", first.address[1])).address == first.address


# -- Unix sockets --------------------------------------------------------------------------------------


def unix(path: Path) -> Listen:
    return Listen("unix", path=str(path))


def test_a_unix_socket_is_for_its_owner_and_goes_at_shutdown(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    harness = serve(unix(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert http_request(harness.address, "/doc").status == 200
    harness.server.shutdown()
    assert not path.exists()


def test_a_relative_path_is_removed_from_another_directory_too(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    harness = serve(Listen("unix", path="./socket"))
    monkeypatch.chdir("/")
    assert (tmp_path / "socket").exists()
    harness.server.shutdown()
    assert not (tmp_path / "socket").exists()


def leave_stale(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))


def test_a_stale_socket_is_replaced(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    leave_stale(path)
    assert http_request(serve(unix(path)).address, "/doc").status == 200


def test_a_live_socket_is_not_stolen(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    harness = serve(unix(path))
    with pytest.raises(OverseerError, match=f"cannot listen on {path}: another server listens there"):
        open_listener(unix(path))
    assert http_request(harness.address, "/doc").status == 200


def test_a_live_socket_with_a_full_backlog_is_not_stolen(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    clients = []
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen(0)
        try:
            for _ in range(3):
                client = socket.socket(socket.AF_UNIX)
                clients.append(client)
                client.setblocking(False)
                client.connect_ex(str(path))
            with pytest.raises(OverseerError, match="another server listens there"):
                open_listener(unix(path))
        finally:
            for client in clients:
                client.close()


@pytest.mark.parametrize("kind", ["file", "directory", "symlink", "fifo"])
def test_what_is_no_socket_stays(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "precious"
    if kind == "file":
        path.write_text("data")
    elif kind == "directory":
        path.mkdir()
    elif kind == "symlink":
        path.symlink_to("elsewhere")
    else:
        os.mkfifo(path)
    before = path.lstat()
    with pytest.raises(OverseerError, match="exists and is not a socket"):
        open_listener(unix(path))
    assert path.lstat().st_ino == before.st_ino


def test_a_missing_directory_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(OverseerError, match="no such directory"):
        open_listener(unix(tmp_path / "missing" / "socket"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_directory_is_said_so(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OverseerError, match="no permission to write"):
        open_listener(unix(tmp_path / "socket"))


def test_a_path_that_is_too_long_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(OverseerError, match="too long"):
        open_listener(unix(tmp_path / ("x" * 200)))


def test_a_socket_that_another_server_put_in_its_place_is_left_alone(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    harness = serve(unix(path))
    path.unlink()
    leave_stale(path)
    harness.server.shutdown()
    assert path.exists()


def test_of_many_that_find_a_stale_socket_exactly_one_gets_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "socket"
    leave_stale(path)
    unlink = Path.unlink

    def slow_unlink(path: Path) -> None:
        threading.Event().wait(0.05)  # gives the others time to find it stale as well
        unlink(path)

    monkeypatch.setattr(Path, "unlink", slow_unlink)
    barrier = threading.Barrier(8)
    won: list[listeners.Listener] = []

    def take() -> None:
        barrier.wait(5)
        with contextlib.suppress(OverseerError):
            won.append(open_listener(unix(path)))

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(won) == 1
    won[0].close()
    assert not path.exists()
