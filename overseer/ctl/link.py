"""One connection to a server, used by one thread: connect, send a message, wait for the next one.

It is wsproto over a plain socket, with no thread and no queue of its own: while the caller does not ask for
the next message nothing is read, so a terminal that is held up holds up the server and fills no memory here.
"""

from __future__ import annotations

import json
import os
import select
import socket
import ssl
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Self

from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    Pong,
    RejectConnection,
    Request,
    TextMessage,
)
from wsproto.utilities import ProtocolError

from overseer.client.address import Address
from overseer.errors import OverseerError

__all__ = ["CannotConnectError", "Link", "LinkLostError"]

_CONNECT_S = 10.0
_QUIET_S = 30.0  # after so long without a byte the server is asked whether it is there
_CHUNK = 1 << 16


class CannotConnectError(OverseerError):
    """No connection could be made; the text says why and what to do."""


class LinkLostError(OverseerError):
    """The connection has ended; the text says how."""


class Link:
    """A connection; a context manager that closes it. :meth:`wake` may be called from a signal handler.

    Args:
        token: presented as ``Authorization: Bearer``; ``""``: none is.
        tls: for ``wss``, in place of the system's certificates.
    """

    def __init__(self, address: Address, token: str = "", tls: ssl.SSLContext | None = None) -> None:
        self._address = address
        self._token = token
        self._ws = WSConnection(ConnectionType.CLIENT)
        self._messages: deque[dict[str, Any]] = deque()
        self._parts: list[bytes] = []  # of a message that is not complete yet
        self._asked = False  # a ping is out and nothing has come since
        self._lost: LinkLostError | None = None  # raised once the messages that came before are taken
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        try:
            self._socket = _connect(address, tls)
        except BaseException:
            self._close_pipe()
            raise
        try:
            self._shake_hands()
        except BaseException:
            self.close()
            raise

    def send(self, message: Mapping[str, Any]) -> None:
        """Send one message. Raises LinkLostError."""
        self._send_event(TextMessage(json.dumps(message)))

    @property
    def has_message(self) -> bool:
        """Whether :meth:`receive` has something to give at once."""
        return bool(self._messages)

    def receive(self) -> dict[str, Any] | None:
        """The next message, or None after :meth:`wake`. Raises LinkLostError."""
        while not self._messages:
            if self._lost is not None:
                raise self._lost
            if not self._wait_for_data():
                return None
            try:
                self._receive_more()
            except LinkLostError as error:
                self._lost = error
        return self._messages.popleft()

    def wake(self) -> None:
        """Make the :meth:`receive` that waits, or else the next one that would, return None."""
        with suppress(BlockingIOError):  # full: one more would make no difference
            os.write(self._wake_write, b"\0")

    def close(self) -> None:
        """Say goodbye if that can be done at once, and close. Idempotent."""
        if self._socket.fileno() >= 0:
            with suppress(OverseerError, ProtocolError):  # it is closed already
                self._socket.settimeout(1.0)
                self._send_event(CloseConnection(1000))
            self._socket.close()
            self._close_pipe()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _close_pipe(self) -> None:
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _shake_hands(self) -> None:
        deadline = time.monotonic() + _CONNECT_S
        headers = [(b"Authorization", b"Bearer " + self._token.encode())] if self._token else []
        request = Request(host=self._address.host_header, target=self._address.path, extra_headers=headers)
        try:
            self._socket.sendall(self._ws.send(request))
            while True:
                self._socket.settimeout(max(0.001, deadline - time.monotonic()))
                data = self._socket.recv(_CHUNK)
                self._ws.receive_data(data or None)
                for event in self._ws.events():
                    if isinstance(event, AcceptConnection):
                        self._socket.settimeout(None)
                        self._take_events()  # what came in one piece with the answer
                        return
                    raise CannotConnectError(self._refusal(event))
                if not data:
                    raise CannotConnectError(f"{self._address.url} closed the connection without an answer")
        except TimeoutError:
            raise CannotConnectError(
                f"{self._address.url} did not answer within {_CONNECT_S:g} s; is it an overseer?"
            ) from None
        except OSError as error:
            raise CannotConnectError(f"{self._address.url} broke off the connection: {error}") from None
        except ProtocolError as error:
            raise CannotConnectError(f"{self._address.url} is no WebSocket server: {error}") from None

    def _refusal(self, event: Event) -> str:
        if isinstance(event, RejectConnection):
            if event.status_code == 401:
                wanted = "does not know this token" if self._token else "wants a token"
                return f"{self._address.url} {wanted} (401): set OVERSEER_TOKEN, or give one with --token"
            if event.status_code == 403:
                return (
                    f"{self._address.url} refuses this machine or user (403): it is not in the server's "
                    "trusted_cidrs or auth.unix"
                )
            if event.status_code == 429:
                return f"{self._address.url} takes no token now (429): too many wrong ones came from here"
            return (
                f"{self._address.url} is no overseer's address: it answered {event.status_code}; "
                "an overseer listens at the path /ws"
            )
        return f"{self._address.url} is no overseer's address: it answered something else"

    def _wait_for_data(self) -> bool:
        """True when the socket has something to read, False when woken."""
        while True:
            if isinstance(self._socket, ssl.SSLSocket) and self._socket.pending():
                return True
            ready, _, _ = select.select([self._socket.fileno(), self._wake_read], [], [], _QUIET_S)
            if self._wake_read in ready:
                os.read(self._wake_read, _CHUNK)
                return False
            if ready:
                self._asked = False
                return True
            if self._asked:
                raise LinkLostError(f"{self._address.url} has been silent for {2 * _QUIET_S:g} s")
            self._send_event(Ping())
            self._asked = True

    def _receive_more(self) -> None:
        try:
            data = self._socket.recv(_CHUNK)
        except OSError as error:
            raise LinkLostError(f"the connection to {self._address.url} broke: {error}") from None
        if not data:
            raise LinkLostError(f"{self._address.url} closed the connection")
        try:
            self._ws.receive_data(data)
            self._take_events()
        except ProtocolError as error:
            raise LinkLostError(f"{self._address.url} does not speak WebSocket properly: {error}") from None

    def _take_events(self) -> None:
        for event in self._ws.events():
            if isinstance(event, TextMessage | BytesMessage):
                self._parts.append(event.data.encode() if isinstance(event.data, str) else bytes(event.data))
                if event.message_finished:
                    whole = b"".join(self._parts)
                    self._parts.clear()
                    self._take_message(whole)
            elif isinstance(event, Ping):
                self._send_event(event.response())
            elif isinstance(event, CloseConnection):
                self._send_event(event.response())
                why = f"{event.code} {event.reason or ''}".strip()
                raise LinkLostError(f"{self._address.url} closed the connection ({why})")
            elif not isinstance(event, Pong):
                raise LinkLostError(f"{self._address.url} sent something that is no message")

    def _take_message(self, data: bytes) -> None:
        try:
            message = json.loads(data)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            raise LinkLostError(f"{self._address.url} sent something that is no JSON object")
        self._messages.append(message)

    def _send_event(self, event: Event) -> None:
        try:
            self._socket.sendall(self._ws.send(event))
        except OSError as error:
            raise LinkLostError(f"the connection to {self._address.url} broke: {error}") from None


def _connect(address: Address, tls: ssl.SSLContext | None) -> socket.socket:
    """A connected socket, TLS done; raises CannotConnectError."""
    try:
        return _open_socket(address, tls)
    except ConnectionRefusedError:
        reason = "nothing listens there"
    except FileNotFoundError:
        reason = "there is no such socket"
    except TimeoutError:
        reason = f"no answer within {_CONNECT_S:g} s"
    except socket.gaierror:
        reason = f"no host {address.host} is known"
    except ssl.SSLError as error:
        reason = f"TLS failed: {error}"
    except OSError as error:
        reason = error.strerror or str(error)
    raise CannotConnectError(
        f"cannot connect to {address.url}: {reason}. "
        "Start a server (sticky-overseer, or make run), or name another one with --url or OVERSEER_URL."
    )


def _open_socket(address: Address, tls: ssl.SSLContext | None) -> socket.socket:
    if address.unix_path:
        connected = socket.socket(socket.AF_UNIX)
        try:
            connected.settimeout(_CONNECT_S)
            connected.connect(address.unix_path)
        except BaseException:
            connected.close()
            raise
        return connected
    connected = socket.create_connection((address.host, address.port), _CONNECT_S)
    try:
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if address.tls:
            context = tls or ssl.create_default_context()
            return context.wrap_socket(connected, server_hostname=address.host)
    except BaseException:
        connected.close()
        raise
    return connected
