"""Posting a body to an address: one attempt, with a deadline for all of it. Redirects are followed where they
stay with the host."""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import SplitResult, urljoin

from overseer.config.notices import split_url
from overseer.errors import OverseerError
from overseer.util.connecting import connect_first

_REDIRECTS = (301, 302, 307, 308)  # a notice is posted again, whatever browsers make of the first two
_HOPS = 3
_HEAD = 64 << 10  # bytes of a response that are read at most
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: [^\r\n]*)?\r?\n")
_PORTS = {"http": 80, "https": 443}


class PostError(OverseerError):
    """There was no answer; the text says why."""


class _Response(NamedTuple):
    status: int
    location: str


def post(url: str, headers: Mapping[str, str], body: bytes, patience: float) -> int:
    """Post a body; returns the status of the answer.

    Args:
        patience: seconds that all of it may take, looking up the host's name aside.

    Raises:
        PostError: there is no answer in time, or one that leads elsewhere.
    """
    deadline = time.monotonic() + patience
    target = split_url(url)
    for _ in range(_HOPS + 1):
        try:
            response = _exchange(target, headers, body, deadline)
        except TimeoutError:
            raise PostError(f"{target.hostname} does not answer within {patience:g} s") from None
        except ssl.SSLCertVerificationError as error:
            raise PostError(f"{target.hostname}: {error.verify_message}") from None
        except (OSError, ValueError) as error:
            said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise PostError(f"{target.hostname}: {said}") from None
        if response.status not in _REDIRECTS:
            return response.status
        target = _redirected(target, response)
    raise PostError(f"{target.hostname} redirects more than {_HOPS} times")


def _redirected(target: SplitResult, response: _Response) -> SplitResult:
    """Where a redirect leads, if that is the same host."""
    try:
        to = split_url(urljoin(target.geturl(), response.location))
    except ValueError:
        raise PostError(f"{target.hostname} redirects to no address ({response.status})") from None
    if to.hostname != target.hostname:
        raise PostError(f"{target.hostname} redirects to another host, {to.hostname}: put that into the file")
    if to.scheme == "http" and target.scheme == "https":
        raise PostError(f"{target.hostname} redirects to an address without encryption")
    upgraded = to.scheme != target.scheme and _port(to) == _PORTS[to.scheme]
    if _port(to) != _port(target) and not upgraded:
        raise PostError(f"{target.hostname} redirects to another port, {_port(to)}: put that into the file")
    return to


def _port(url: SplitResult) -> int:
    return url.port or _PORTS[url.scheme]


def _exchange(target: SplitResult, headers: Mapping[str, str], body: bytes, deadline: float) -> _Response:
    path = (target.path or "/") + (f"?{target.query}" if target.query else "")
    host = f"[{target.hostname}]" if target.hostname and ":" in target.hostname else str(target.hostname)
    if _port(target) != _PORTS[target.scheme]:
        host += f":{target.port}"
    lines = [
        f"POST {path} HTTP/1.1",
        f"host: {host}",
        f"content-length: {len(body)}",
        "connection: close",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    request = "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape") + body
    connection = _connected(target, deadline)
    try:
        connection.settimeout(_left(deadline))
        connection.sendall(request)
        return _response(connection, deadline)
    finally:
        connection.close()


def _connected(target: SplitResult, deadline: float) -> socket.socket:
    plain = connect_first(target.hostname, _port(target), deadline)
    if target.scheme == "http":
        return plain
    try:
        plain.settimeout(_left(deadline))
        return ssl.create_default_context().wrap_socket(plain, server_hostname=target.hostname)
    except BaseException:
        plain.close()
        raise


def _response(connection: socket.socket, deadline: float) -> _Response:
    """The status and Location of what is answered; the rest is left unread."""
    data = b""
    while len(data) < _HEAD:
        connection.settimeout(_left(deadline))
        chunk = connection.recv(4096)
        data += chunk
        while (end := re.search(rb"\r?\n\r?\n", data)) or not chunk:
            head = data if end is None else data[: end.end()]
            status = _STATUS.match(head)
            if status is None:
                raise ValueError("the answer is not HTTP" if data else "the connection was closed")
            if not status[1].startswith(b"1"):
                location = re.search(rb"^location:[ \t]*([^\r\n]*)", head, re.IGNORECASE | re.MULTILINE)
                return _Response(int(status[1]), location[1].decode("latin-1") if location else "")
            data = data[len(head) :]  # only the beginning of one, such as 103
            if not data and not chunk:
                raise ValueError("the connection was closed")
    raise ValueError("the answer is too long")


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
