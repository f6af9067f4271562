"""One client's WebSocket, from its upgrade to its end, which another thread or program may go on with."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from overseer.auth.peer import Peer
from overseer.net.bytestream import ByteStream
from overseer.net.endpoint import Endpoint
from overseer.net.frames import only_pongs
from overseer.net.handler import Handler
from overseer.net.http import Request
from overseer.net.keepalive import Keepalive
from overseer.net.receiver import Received, Receiver
from overseer.net.writer import SocketOutbox, Writer
from overseer.util.handover_format import Incoming, Outgoing
from overseer.util.standstill import standstill
from overseer.util.websocket_frame import CloseCode

_log = logging.getLogger(__name__)

_DRAIN = 64 * 1024
_PONGS = 256  # bytes that are looked at: more than a client sends that only answers pings


class WebSocket:
    """See the module.

    Args:
        received: what came with the request.

    Attributes:
        outbox: what the client is sent.
        handler: takes its messages, once it is open.
    """

    __slots__ = ("_endpoint", "_keepalive", "_peer", "_received", "_stream", "handler", "outbox")

    def __init__(
        self, stream: ByteStream, writer: Writer, endpoint: Endpoint, peer: Peer, received: bytes = b""
    ) -> None:
        self._stream = stream
        self._endpoint = endpoint
        self._peer = peer
        self._received = Received(received)
        self.outbox = SocketOutbox(stream, writer, endpoint.limits, endpoint.timers)
        self.handler: Handler | None = None
        self._keepalive: Keepalive | None = None  # before it is opened, or goes on

    def __repr__(self) -> str:
        return f"<WebSocket {self._peer} {self.outbox}>"

    def serve(self, request: Request | None, patience: float) -> bool:
        """Serve it until its client has been silent for too long, or to its end; whether it was that.

        Args:
            request: None: it has been opened before.
            patience: for how many seconds its client may be silent between messages; 0: only what is there is
                received, and once.
        """
        if self._keepalive is None:
            self._keepalive = Keepalive(self.outbox, self._endpoint.limits, self._endpoint.timers)
        idle = False
        try:
            idle = self._take_messages(request, self._keepalive, patience)
            # Read to the peer's end: closing a socket with bytes unread would cut off what it has not read
            # yet. The outbox cuts the connection when its close timeout is over.
            while not idle and self._stream.receive(_DRAIN):
                pass
        finally:
            if not idle:
                with standstill:  # what is handed over stays whole
                    self._keepalive.stop()
                    self.outbox.detach()
        return idle

    def _take_messages(self, request: Request | None, keepalive: Keepalive, patience: float) -> bool:
        idle = False
        with standstill:
            try:
                if request is None and self.outbox.closed:  # nothing more is handled
                    return False
                receiver = Receiver(
                    request,
                    self._stream,
                    self.outbox,
                    max_message=self._endpoint.limits.max_message,
                    keepalive=keepalive,
                    received=self._received,
                    patience=patience,
                )
                if self.handler is None:
                    self.handler = self._endpoint.open_handler(self.outbox, self._peer)
                idle = receiver.run(self._handle)
            except Exception:
                _log.exception("a WebSocket failed: %r", self)
                self.outbox.close(CloseCode.INTERNAL_ERROR, "internal error")
            finally:
                if self.handler is not None and not idle:
                    self.handler.closed()
        return idle

    # While it is idle

    def drop_pongs(self) -> bool:
        """Drop what has come if it is pongs; whether it was."""
        assert self._keepalive is not None
        self._keepalive.heard()
        try:
            data = self._stream.peek(_PONGS)
            # What has come of a message may end within a frame, whose rest may look like a pong.
            if not self.has_received and only_pongs(data):
                self._stream.receive(len(data))
                self._keepalive.listen()
                return True
        except OSError:  # whoever serves it finds out
            pass
        return False

    @property
    def has_received(self) -> bool:
        """Whether anything was received that has not been handled."""
        return bool(self._received.first)

    def _handle(self, message: str | bytes) -> None:
        assert self.handler is not None
        try:
            self.handler.receive(message)
        except Exception:
            _log.exception("a message could not be handled: %r", self)
            self.outbox.close(CloseCode.INTERNAL_ERROR, "internal error")

    # Upgrades

    @property
    def portable(self) -> bool:
        """Whether another program can go on with it: not if it is encrypted, is not open yet, is being
        answered from a log, or too much waits."""
        ready = self.outbox.closed or (self.handler is not None and not self.handler.busy)
        return ready and self._stream.portable and self.outbox.portable

    def export(self, out: Outgoing) -> dict[str, Any]:
        """What another program has to know to go on: what was sent of a message that is not complete, and
        what was not sent to it; at a standstill, while its outbox is frozen."""
        return {
            "received": out.blob(self._received.unhandled()),
            "unanswered": [] if self.handler is None else self.handler.unanswered(),
            **self.outbox.export_locked(out),
        }

    def restore(self, data: Mapping[str, Any], given: Incoming) -> None:
        """Be what another program has exported; it goes on with :meth:`serve`."""
        self._received = Received(given.blob(data["received"]))
        self.outbox.restore(data, given)
        if not self.outbox.closed:  # otherwise nothing of it is handled
            self.handler = self._endpoint.open_handler(self.outbox, self._peer)

    def go_on(self) -> None:
        """Go on with what was restored, idle until it is served."""
        self._keepalive = Keepalive(self.outbox, self._endpoint.limits, self._endpoint.timers)
        self._keepalive.listen()
        self.outbox.go_on()
