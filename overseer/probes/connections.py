"""Probes of addresses and pages. A socket never blocks: each step waits in an :class:`Attempt`."""

from __future__ import annotations

import errno
import os
import re
import select
import socket
import ssl
import time
from contextlib import suppress
from functools import cache
from typing import Any

from overseer.config.targets import Http, Tcp, authority
from overseer.probes.attempt import Attempt, NotProbedError, ProbeFailedError, is_ours
from overseer.probes.resolver import Resolver

_MOST = 16 << 10  # bytes that may come before the status is known
_REST = 64 << 10  # of what follows, which is taken so that the server can send it, and dropped
_REST_S = 0.25
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})(?: ([^\r\n]*))?\r?\n")


def probe_target(target: Tcp | Http, attempt: Attempt, resolver: Resolver) -> None:
    """Raises ProbeFailedError, NotProbedError or CancelledError unless it is well."""
    if isinstance(target, Tcp):
        _probe_address(target, attempt, resolver)
    else:
        _probe_page(target, attempt, resolver)


def _probe_address(target: Tcp, attempt: Attempt, resolver: Resolver) -> None:
    """Connect, and hang up."""
    _connect(target.host, target.port, attempt, resolver).close()


def _probe_page(target: Http, attempt: Attempt, resolver: Resolver) -> None:
    """Request a page. Redirects are not followed and certificates not verified: the question is whether the
    server answers."""
    with _connect(target.host, target.port, attempt, resolver) as plain:
        stream: socket.socket = plain
        try:
            if target.encrypted:
                stream = encrypted = _context().wrap_socket(
                    plain, server_hostname=target.host, do_handshake_on_connect=False
                )
                _shake_hands(encrypted, attempt)
            _send(stream, _request(target), attempt)
            status, reason = _status(stream, attempt)
            if 200 <= status < 400:
                _drop_rest(stream, attempt)
        except ssl.SSLError as error:
            raise ProbeFailedError(f"TLS: {error.reason or error}") from None
        except OSError as error:
            raise _error(error) from None
        finally:
            stream.close()
    if not 200 <= status < 400:
        raise ProbeFailedError(f"HTTP {status} {reason}".rstrip())


def _connect(host: str, port: int, attempt: Attempt, resolver: Resolver) -> socket.socket:
    """Connect to the first address that accepts; each gets a share of the time."""
    addresses = resolver.addresses(host, port, attempt)
    fault: Exception = ProbeFailedError("it has no address")
    for number, (family, address) in enumerate(addresses):
        share = attempt.remaining / (len(addresses) - number)
        try:
            return _connected(family, address, attempt, share)
        except (ProbeFailedError, NotProbedError) as error:
            fault = error  # of the last one
        except OSError as error:
            fault = _error(error)
    raise fault


def _connected(family: int, address: Any, attempt: Attempt, share: float) -> socket.socket:
    stream = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        code = stream.connect_ex(address)
        if code == errno.EINPROGRESS:
            if not attempt.wait(stream, select.POLLOUT, share):
                raise ProbeFailedError("no answer")
            code = stream.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        # Without a listener, a local port may have been assigned to this very socket (a self-connect).
        if not code and stream.getsockname() == stream.getpeername():
            code = errno.ECONNREFUSED
        if code:
            raise OSError(code, os.strerror(code))
    except BaseException:
        stream.close()
        raise
    return stream


def _error(error: OSError) -> Exception:
    said = (error.strerror or str(error)).lower()
    return NotProbedError(said) if is_ours(error) else ProbeFailedError(said)


@cache
def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _shake_hands(stream: ssl.SSLSocket, attempt: Attempt) -> None:
    while True:
        try:
            return stream.do_handshake()
        except ssl.SSLWantReadError:
            attempt.wait(stream, select.POLLIN)
        except ssl.SSLWantWriteError:
            attempt.wait(stream, select.POLLOUT)


def _request(target: Http) -> bytes:
    usual = 443 if target.encrypted else 80
    host = authority(target.host, target.port)
    host = host if target.port != usual else host.rpartition(":")[0]
    lines = (
        f"GET {target.path} HTTP/1.1",
        f"Host: {host}",
        "User-Agent: sticky-overseer",
        "Accept: */*",
        "Connection: close",
    )
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode("ascii")


def _send(stream: socket.socket, data: bytes, attempt: Attempt) -> None:
    while data:
        try:
            data = data[stream.send(data) :]
        except (BlockingIOError, ssl.SSLWantWriteError):
            attempt.wait(stream, select.POLLOUT)
        except ssl.SSLWantReadError:
            attempt.wait(stream, select.POLLIN)


def _receive(stream: socket.socket, attempt: Attempt, seconds: float | None = None) -> bytes | None:
    """The next bytes; ``b""`` at the end, None after ``seconds``."""
    end = None if seconds is None else time.monotonic() + seconds
    while True:
        try:
            return stream.recv(4096)
        except (BlockingIOError, ssl.SSLWantReadError):
            events = select.POLLIN
        except ssl.SSLWantWriteError:
            events = select.POLLOUT
        except ssl.SSLEOFError:
            return b""
        left = None if end is None else max(0.0, end - time.monotonic())
        if not attempt.wait(stream, events, left) and left is not None:
            return None


def _status(stream: socket.socket, attempt: Attempt) -> tuple[int, str]:
    """The final status and its reason; interim ones are skipped."""
    data = b""
    while True:
        answer = _STATUS.match(data)
        if answer is not None and answer[1][:1] != b"1":
            return int(answer[1]), (answer[2] or b"").decode("ascii", "replace")[:60]
        if answer is not None:
            blank = re.search(rb"\r?\n\r?\n", data)
            if blank is not None:
                data = data[blank.end() :]
                continue
        elif b"\n" in data or not b"HTTP/1.".startswith(data[:7]):
            raise ProbeFailedError("the answer is not HTTP")
        if len(data) > _MOST:
            raise ProbeFailedError("the answer has no status")
        attempt.check()
        more = _receive(stream, attempt)
        if not more:
            raise ProbeFailedError("the connection ended without an answer" if not data else "half an answer")
        data += more


def _drop_rest(stream: socket.socket, attempt: Attempt) -> None:
    """Read what follows the status, if it comes promptly: a server may log a client that hangs up."""
    end = time.monotonic() + _REST_S
    size = 0
    with suppress(ProbeFailedError, OSError):
        while size < _REST:
            more = _receive(stream, attempt, end - time.monotonic())
            if not more:
                return
            size += len(more)
