"""A non-blocking socket to a server, after the WebSocket handshake."""

from __future__ import annotations

import base64
import os
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from overseer.client.address import Address
from overseer.client.errors import ClientError, ConnectFailedError
from overseer.util.connecting import connect_first, connect_one, timeout_until
from overseer.util.hashes import sha1

if TYPE_CHECKING:
    import ssl

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_MAX_HEAD = 64 * 1024
_MAX_BODY = 4 * 1024  # of a refusal
_CHUNK = 256 * 1024
# What versions of OpenSSL say about a peer that does not speak TLS.
_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG", "HTTP_REQUEST")
_TLS_ALERT = b"\x15\x03"


@dataclass(slots=True)
class Transport:
    """A connected, non-blocking socket, for one thread. ``rest`` came along with the handshake's response."""

    socket: socket.socket
    rest: bytes
    _want: tuple[type[Exception], ...] = (BlockingIOError,)
    write_to_read: bool = False  # TLS has to write before it can go on reading

    def fileno(self) -> int:
        return self.socket.fileno()

    def receive(self) -> bytes | None:
        """The available bytes; None: nothing yet, b"": the end. Raises OSError."""
        try:
            self.write_to_read = False
            return self.socket.recv(_CHUNK)
        except self._want as error:
            self.write_to_read = type(error).__name__ == "SSLWantWriteError"
            return None

    def send(self, data: bytes | memoryview) -> int:
        """Send without waiting; returns how many bytes were taken. Raises OSError."""
        try:
            return self.socket.send(data)
        except self._want:
            return 0

    @property
    def pending(self) -> bool:
        """Whether TLS holds bytes that poll does not see."""
        pending = getattr(self.socket, "pending", None)
        return pending is not None and pending() > 0

    def close(self) -> None:
        self.socket.close()


def connect(
    address: Address, *, token: str = "", tls: ssl.SSLContext | None = None, timeout: float = 10.0
) -> Transport:
    """Connect and shake hands within ``timeout`` seconds (plus the resolver's own timeout).

    Raises:
        ConnectFailedError: it failed; the text says why.
        ClientError: the token cannot be sent.
    """
    deadline = time.monotonic() + timeout
    upgrade = _upgrade(address, token)
    connected = _open(address, tls, deadline, timeout)
    try:
        rest = _shake_hands(connected, address, upgrade, deadline, timeout)
        connected.settimeout(0)
    except BaseException:
        connected.close()
        raise
    if not address.tls:
        return Transport(connected, rest)
    import ssl

    return Transport(connected, rest, (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError))


class _Upgrade(NamedTuple):
    request: bytes
    accept: bytes  # the Sec-WebSocket-Accept that the server must answer
    has_token: bool


def _upgrade(address: Address, token: str) -> _Upgrade:
    key = base64.b64encode(os.urandom(16))
    lines = [
        f"GET {address.path} HTTP/1.1",
        f"Host: {address.host_header}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key.decode()}",
        "Sec-WebSocket-Version: 13",
    ]
    if token:
        if not (token.isascii() and token.isprintable()) or " " in token:
            raise ClientError("the token contains spaces, or characters other than ASCII")
        lines.append(f"Authorization: Bearer {token}")
    accept = base64.b64encode(sha1(key + _GUID, usedforsecurity=False).digest())
    return _Upgrade("\r\n".join([*lines, "", ""]).encode(), accept, bool(token))


def _shake_hands(
    connected: socket.socket, address: Address, upgrade: _Upgrade, deadline: float, timeout: float
) -> bytes:
    """Send the request, read the response, and return what came after it. Raises ConnectFailedError."""
    data = b""
    try:
        connected.settimeout(timeout_until(deadline))
        connected.sendall(upgrade.request)
        while b"\r\n\r\n" not in data and len(data) <= _MAX_HEAD and _may_be_http(data):
            connected.settimeout(timeout_until(deadline))
            more = connected.recv(_MAX_HEAD)
            if not more:
                break
            data += more
        if not data:
            raise ConnectFailedError(f"{address.url} closed the connection without an answer")
        if data.startswith(_TLS_ALERT):
            raise ConnectFailedError(_wants_tls(address))
        head, end, rest = data.partition(b"\r\n\r\n")
        if not end or not _may_be_http(data):
            raise ConnectFailedError(f"{address.url} is not a WebSocket server: it answered something else")
        status, headers = _read_head(head, address)
        if status == 101:
            if headers.get("sec-websocket-accept", "") != upgrade.accept.decode():
                raise ConnectFailedError(f"{address.url} is not a WebSocket server: it answers another key")
            return rest
        words = _words(connected, rest, headers, deadline)
    except TimeoutError:
        raise ConnectFailedError(
            f"{address.url} did not answer within {timeout:g} s; it hangs, or is not an overseer"
        ) from None
    except ConnectFailedError:
        raise
    except OSError as error:
        raise ConnectFailedError(f"{address.url} dropped the connection: {_why(error)}") from None
    raise ConnectFailedError(_refusal(address, status, words, upgrade.has_token), status)


def _may_be_http(data: bytes) -> bool:
    return data[:5] == b"HTTP/"[: len(data)]


def _read_head(head: bytes, address: Address) -> tuple[int, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    _, _, status = first.partition(" ")
    if not status[:3].isdigit():
        raise ConnectFailedError(f"{address.url} is not a WebSocket server: it answered {first[:60]!r}")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return int(status[:3]), headers


def _words(connected: socket.socket, body: bytes, headers: dict[str, str], deadline: float) -> str:
    """The first line of a refusal's body, if that is plain text."""
    length = headers.get("content-length", "")
    wanted = min(int(length), _MAX_BODY) if length.isdigit() else 0
    while len(body) < wanted:
        connected.settimeout(timeout_until(deadline))
        more = connected.recv(wanted - len(body))
        if not more:
            break
        body += more
    if not headers.get("content-type", "").startswith("text/plain"):
        return ""
    line = body.decode("utf-8", "replace").strip().partition("\n")[0][:200]
    return line if line.isprintable() else ""


def _refusal(address: Address, status: int, words: str, had_token: bool) -> str:
    said = f": {words}" if words else ""
    if status == 401:
        return f"{address.url} {'does not accept this token' if had_token else 'requires a token'} (401)"
    if status == 403:
        reason = said or ": it is not in the server's trusted_cidrs or auth.unix"
        return f"{address.url} refuses this machine or user (403){reason}"
    if status == 429:
        return f"{address.url} accepts no tokens from here for now (429): too many were wrong"
    if status == 503:
        return f"{address.url} accepts no more connections for now (503){said}"
    if status == 400 and not address.tls and "speaks TLS" in words:  # as an overseer's TLS port does
        return _wants_tls(address)
    return f"{address.url} is not an overseer's address: it answered {status}; an overseer listens at /ws"


def _wants_tls(address: Address) -> str:
    return f"cannot connect to {address.url}: it speaks TLS: try {address.url.replace('://', 's://', 1)}"


def _open(address: Address, tls: Any, deadline: float, timeout: float) -> socket.socket:
    """A connected socket, after the TLS handshake. Raises ConnectFailedError."""
    try:
        return _open_socket(address, tls, deadline)
    except ConnectionRefusedError:
        reason = "nothing is listening there"
    except FileNotFoundError:
        reason = "no such socket"
    except TimeoutError:
        reason = f"no answer within {timeout:g} s"
    except socket.gaierror:
        reason = f"unknown host {address.host}"
    except OSError as error:  # ssl.SSLError too
        reason = _why(error)
        if getattr(error, "reason", "") in _NO_TLS:
            reason = f"it does not speak TLS: try {address.url.replace('s://', '://', 1)}"
        elif type(error).__module__ == "ssl":
            reason = f"TLS failed: {error}"
    except UnicodeError:  # a host name that IDNA does not know
        reason = f"{address.host!r} is not a host name"
    raise ConnectFailedError(f"cannot connect to {address.url}: {reason}")


def _why(error: OSError) -> str:
    return error.strerror or str(error)


def _open_socket(address: Address, tls: Any, deadline: float) -> socket.socket:
    if address.unix_path:
        return connect_one(socket.AF_UNIX, address.unix_path, deadline)
    connected = connect_first(address.host, address.port, deadline)
    try:
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if address.tls:
            import ssl

            context = tls or ssl.create_default_context()
            connected.settimeout(timeout_until(deadline))
            secured: socket.socket = context.wrap_socket(connected, server_hostname=address.host)
            return secured
    except BaseException:
        connected.close()
        raise
    return connected
