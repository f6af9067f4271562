"""One connection, kept alive: a thread that reads, writes, reconnects and resumes.

The socket belongs to the thread alone, since SSL sockets are not thread-safe and no send may block a caller;
others hand it frames and wake it.
"""

from __future__ import annotations

import itertools
import random
import select
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from overseer.client import frames
from overseer.client.buffer import Item
from overseer.client.core import Core
from overseer.client.decoding import decode
from overseer.client.errors import ClientError, ClosedError, ConnectFailedError, ConnectionLostError
from overseer.client.router import Router
from overseer.client.transport import Transport, connect
from overseer.errors import fresh
from overseer.util.locks import assert_held
from overseer.util.wakeup import Wakeup, poll_timeout
from overseer.util.websocket_frame import CloseCode

_MAX_MESSAGE = 1 << 30  # a list of all tasks is one message
_FIRST_DELAY, _LAST_DELAY = 0.1, 5.0  # seconds between attempts to connect again
_GOODBYE_S = 0.5
_names = itertools.count(1)


class Owner(Protocol):
    """What a connection's thread calls."""

    def connected_locked(self) -> None: ...

    def received(self, items: Sequence[Item]) -> None:
        """Handle messages; called without locks. While it waits, nothing is read."""

    def before_connecting(self) -> None: ...

    def ended_locked(self, failure: ConnectionLostError) -> None:
        """The thread and the connection end."""


class Connection:
    """A connection, and the router of its requests and followers.

    ``transport`` is the first connection, made by the caller; None: the thread makes it.
    """

    def __init__(self, core: Core, owner: Owner, transport: Transport | None = None) -> None:
        self.core = core
        self.router = Router(core, self)
        self._owner = owner
        self._lock = core.lock
        self._transport = transport
        # Guarded by the client's lock:
        self.ending = False  # the thread is to say goodbye and end, or has ended
        self.unsent = 0  # bytes that wait to be sent
        self._out: deque[bytes] = deque()
        self._wakeup = Wakeup()
        # The thread's own:
        self._in_use: Transport | None = None
        self._sending = memoryview(b"")  # handed to the socket, and not all of it taken
        self._was_up = transport is not None
        # A daemon: a program that ends without close() is not held up by a server that does not answer.
        self.thread = threading.Thread(target=self._run, name=f"overseer-client-{next(_names)}", daemon=True)

    def start(self) -> None:
        """Start the thread. Raises RuntimeError, with everything closed, when the system allows none."""
        try:
            self.thread.start()
        except RuntimeError:
            self._wakeup.close()
            if self._transport is not None:
                self._transport.close()
            raise

    def end_locked(self) -> None:
        """Have the thread end, so that it can be joined."""
        assert_held(self._lock)
        self.ending = True
        self._wakeup.set()
        self.core.ending.notify_all()

    def abandon(self) -> None:
        """Have the thread end; from anywhere, even from a finaliser in a locked section."""
        self.ending = True
        self._wakeup.set()

    # -- the thread

    def _run(self) -> None:
        failure: ConnectionLostError | None = None
        try:
            while True:
                transport, self._transport = self._transport, None
                if transport is None:
                    transport = self._connect()
                failure = None
                if transport is None:
                    return
                self._in_use = transport
                self._was_up = True
                try:
                    self._serve(transport)
                    return
                except ConnectionLostError as lost:
                    failure = fresh(lost)  # which is kept, and keeps no frames
                finally:
                    self._in_use = None
                    transport.close()
                    with self._lock:
                        self.router.down_locked(failure)
                if self.core.settings.reconnect <= 0:
                    return
                if failure.code != CloseCode.SERVICE_RESTART:
                    self.core.notice(f"{failure}; trying to connect again")
        except ClientError as error:
            failure = ConnectionLostError(f"{failure or 'the connection is lost'}, and {error}")
        except BaseException as error:
            failure = ConnectionLostError(f"the client failed: {error!r}")
            raise
        finally:
            with self._lock:
                self.ending = True
                # Where the client has ended, closed or lost, that is why: also for one that was told to end.
                self._owner.ended_locked(self.core.failure or failure or ClosedError())
            self._wakeup.close()

    def _connect(self) -> Transport | None:
        """Connect, again and again for as long as the settings say; None: the client is closed.

        Raises ClientError.
        """
        settings = self.core.settings
        deadline = time.monotonic() + (settings.reconnect if self._was_up else settings.timeout)
        delay = _FIRST_DELAY if self._was_up else 0.0
        while True:
            if not self._wait_to_connect(random.uniform(delay / 2, delay)):
                return None
            try:
                left = max(0.1, min(settings.timeout, deadline - time.monotonic()))
                transport = connect(settings.address, token=settings.token, tls=settings.tls, timeout=left)
            except ConnectFailedError as error:
                # A refusal is final; 429, 503 and a proxy's 5xx are temporary.
                if time.monotonic() >= deadline or (400 <= error.status < 500 and error.status != 429):
                    raise
            else:
                return transport
            delay = min(max(_FIRST_DELAY, delay * 2), _LAST_DELAY, max(0.01, deadline - time.monotonic()))

    def _wait_to_connect(self, delay: float) -> bool:
        """Wait between attempts; False: the client is closed."""
        self._owner.before_connecting()
        with self._lock:
            self.core.ending.wait_for(lambda: self.ending, delay)
            return not self.ending

    def _serve(self, transport: Transport) -> None:
        """Read and write until the client ends. Raises ConnectionLostError."""
        url = self.core.settings.address.url
        reader = frames.FrameReader(_MAX_MESSAGE)
        data: bytes | None = transport.rest
        self._sending = memoryview(b"")
        keepalive = self.core.settings.keepalive
        heard, due, asked = time.monotonic(), time.monotonic() + keepalive, False
        poller = select.poll()
        poller.register(self._wakeup, select.POLLIN)
        with self._lock:
            self._out.clear()
            self.unsent = 0
            self.router.up_locked()
            self._owner.connected_locked()
        try:
            while True:
                if data:
                    heard, due, asked = time.monotonic(), time.monotonic() + keepalive, False
                    self._received(reader.feed(data))
                data = None
                with self._lock:
                    ending = self.ending
                self._flush(transport)
                if ending:
                    self._say_goodbye(transport)
                    return
                writing = self._sending or transport.write_to_read
                poller.register(transport, select.POLLIN | (select.POLLOUT if writing else 0))
                wait = 0.0 if transport.pending else max(0.0, due - time.monotonic())
                ready = dict(poller.poll(poll_timeout(wait)))
                if self._wakeup.fileno() in ready:
                    self._wakeup.clear()
                if transport.pending or ready.get(transport.fileno(), 0) & ~select.POLLOUT:
                    data = transport.receive()
                    if data == b"":
                        raise ConnectionLostError(f"{url} ended the connection")
                elif time.monotonic() >= due:
                    # Only when there is nothing to read: time in which this process was stopped (Ctrl-Z, a
                    # sleeping laptop) must not count, so the answer's time begins here.
                    if asked:
                        silent = time.monotonic() - heard
                        raise ConnectionLostError(f"{url} has been silent for {silent:.0f} s")
                    due, asked = time.monotonic() + keepalive, True
                    self._send(frames.ping())
        except ConnectionLostError:  # an OSError as well
            raise
        except OSError as error:
            raise ConnectionLostError(f"the connection to {url} broke: {error.strerror or error}") from None
        except frames.ProtocolViolation as error:
            raise ConnectionLostError(f"{url} does not speak WebSocket properly: {error}") from None

    def _received(self, got: frames.Received) -> None:
        if got.messages:
            self._owner.received(decode(got.messages, self.core.notice))
        for payload in got.pings:
            self._send(frames.pong(payload))
        if got.close is not None:
            code, reason = got.close
            why = f"{code} {reason}".strip()
            raise ConnectionLostError(f"{self.core.settings.address.url} closed the connection ({why})", code)

    def _flush(self, transport: Transport) -> None:
        while True:
            if not self._sending:
                with self._lock:
                    self._sending = memoryview(b"".join(self._out))
                    self._out.clear()
                    self.unsent = 0
            if not self._sending:
                return
            sent = transport.send(self._sending)
            if not sent:
                return
            self._sending = self._sending[sent:]

    def show_alive(self) -> None:
        """Send an unsolicited pong, for an owner that keeps the thread waiting."""
        if self._in_use is not None:
            self._send(frames.pong())
            self._flush(self._in_use)

    def _send(self, frame: bytes) -> None:
        with self._lock:
            self.send_locked(frame)

    def _say_goodbye(self, transport: Transport) -> None:
        """Send a close frame, if that is possible at once."""
        try:
            if not self._sending:
                transport.socket.settimeout(_GOODBYE_S)
                transport.socket.sendall(frames.close_frame(1000))
        except OSError:
            pass  # the server was first

    def send_locked(self, frame: bytes) -> None:
        assert_held(self._lock)
        self._out.append(frame)
        self.unsent += len(frame)
        self._wakeup.set()
