"""Handing over listening sockets and WebSockets: see :mod:`overseer.util.handover_format`.

A WebSocket goes on in the program that follows: what it has sent of a message that is not complete, and what
was not sent to it, go over with its socket. One that is encrypted cannot, nor can a request by HTTP.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

from overseer.auth.peer import Peer
from overseer.auth.sign_ins import SignIn
from overseer.net.chunks import Chunk
from overseer.net.connection import Connection
from overseer.net.handler import Handler
from overseer.net.listeners import Listener
from overseer.net.server import Server
from overseer.net.websocket import Received
from overseer.net.writer import SocketOutbox
from overseer.util.awake_clock import awake
from overseer.util.dataclass_json import from_plain, to_plain
from overseer.util.handover_format import Incoming, Outgoing
from overseer.util.locks import seized

_MOST = 64 * 2**20  # bytes that wait for one client, more of which is not handed over


def export_listener(listener: Listener, out: Outgoing) -> dict[str, Any]:
    address = listener.address
    return {
        "sockets": [out.fd(each.fileno()) for each in listener.sockets],
        "address": address if isinstance(address, str) else list(address),
        "own": listener._identity is not None,
    }


def restore_listener(data: Mapping[str, Any], given: Incoming) -> Listener:
    sockets = [given.socket(number) for number in data["sockets"]]
    for each in sockets:
        each.setblocking(False)
    address = data["address"]
    return Listener(
        sockets, address if isinstance(address, str) else (address[0], address[1]), own=data["own"]
    )


def is_portable(connection: Connection) -> bool:
    """Whether a connection is a WebSocket that can be handed over."""
    outbox = connection.outbox
    return (
        connection.stream.portable
        and connection.received is not None
        and isinstance(outbox, SocketOutbox)
        and not outbox._dead
        and outbox._queue.size <= _MOST
    )


@contextmanager
def freeze(connections: Sequence[Connection], seconds: float) -> Iterator[None]:
    """Keep what waits for these clients as it is: nothing is sent.

    Raises:
        TimeoutError: something is held for longer.
    """
    deadline = time.monotonic() + seconds
    with ExitStack() as stack:
        for each in connections:
            outbox = each.outbox
            assert isinstance(outbox, SocketOutbox)
            while True:
                hold = ExitStack()
                hold.enter_context(seized(outbox._lock, deadline))
                if not outbox._sending:
                    stack.enter_context(hold)
                    break
                hold.close()  # sends do not block, so this is short
                if time.monotonic() >= deadline:
                    raise TimeoutError("a client is being sent something")
                time.sleep(0.0005)
        yield


def export_connection(
    connection: Connection, key_of: Callable[[SignIn], str], out: Outgoing
) -> dict[str, Any]:
    """A WebSocket, within :func:`freeze`."""
    outbox = connection.outbox
    assert isinstance(outbox, SocketOutbox)
    assert connection.received is not None
    chunks, offset, within = outbox._queue.export()
    since, peer = outbox._over_since, connection.peer
    return {
        "fd": out.fd(connection.stream.fileno()),
        "peer": to_plain(replace(peer, sign_in=None)) | {"sign_in": peer.sign_in and key_of(peer.sign_in)},
        "received": out.blob(connection.received.unhandled()),
        "unanswered": [] if connection.handler is None else connection.handler.unanswered(),
        "closing": [outbox.close_code, outbox.close_reason] if outbox._closing else None,
        "chunks": [[out.blob(bytes(each.data)), each.output, each.more] for each in chunks],  # type: ignore[arg-type]
        "offset": offset,
        "within": within,
        "over_for": None if since is None else awake() - since,
        "full": outbox._full,
        "refused": outbox._refused,
    }


def restore_connection(
    server: Server, data: Mapping[str, Any], sign_in_of: Callable[[str], SignIn | None], given: Incoming
) -> tuple[Connection, Handler | None]:
    """The WebSocket again, and what handles its messages; it goes on with :func:`resume`."""
    said = data["peer"]
    peer = from_plain(Peer, {**said, "sign_in": said["sign_in"] and sign_in_of(said["sign_in"])})
    connection, writer = server.take_over(given.socket(data["fd"]), peer)
    outbox = SocketOutbox(connection.stream, writer, server.endpoint.limits, server.endpoint.timers)
    chunks = [Chunk(given.blob(number), output, more) for number, output, more in data["chunks"]]
    outbox._queue.restore(chunks, data["offset"], data["within"])
    outbox._full, outbox._refused = data["full"], data["refused"]
    if data["over_for"] is not None:
        outbox._over_since = awake() - data["over_for"]
    if data["closing"] is not None:
        outbox._closing = True
        outbox.close_code, outbox.close_reason = data["closing"]
    connection.take_over(outbox, Received(given.blob(data["received"])), closing=data["closing"] is not None)
    return connection, connection.handler


def resume(connection: Connection) -> None:
    """Go on with a connection that was restored. Raises RuntimeError: there are no more threads."""
    outbox = connection.outbox
    assert isinstance(outbox, SocketOutbox)
    connection.start()
    if outbox.closed:
        outbox._start_closing()
    else:
        outbox.flush()
