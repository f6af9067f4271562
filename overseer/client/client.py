"""The client: one connection, and the requests that go over it."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Self

from overseer.client.address import parse_url
from overseer.client.arguments import Seconds, seconds_of, text_of
from overseer.client.buffer import EventBuffer, batches, take
from overseer.client.core import Core, Settings
from overseer.client.errors import ClosedError, ConnectFailedError
from overseer.client.joining import TaskRequests
from overseer.client.pools import PoolRequests
from overseer.client.schedules import ScheduleRequests
from overseer.client.stored import StoredRequests
from overseer.client.transport import connect
from overseer.client.upgrades import UpgradeRequests
from overseer.client.watch import Watch, WatchConnection
from overseer.errors import fresh
from overseer.protocol import Event
from overseer.protocol import Watch as WatchRequest

if TYPE_CHECKING:
    import ssl

_JOIN_S = 5.0


class Client(TaskRequests, PoolRequests, ScheduleRequests, StoredRequests, UpgradeRequests):
    """A connection to a server, for any number of threads and tasks; a context manager that closes it.

    Lengths of time are numbers of seconds, timedeltas or strings such as ``"1m30s"``; tasks are given by
    their id (a string or a UUID), their ``Task`` or a ``TaskInfo``. An invalid argument raises TypeError or
    ValueError, and nothing is sent. Every method that sends a request takes ``timeout`` (None: the client's)
    and raises

    - RefusedError when the server refuses, in its own words,
    - ReplyTimeoutError when no answer came in time,
    - ConnectionLostError when the connection is lost for good, or was lost during a request that cannot be
      repeated safely (``start``, ``reset``, ``purge``, ``input``).

    A lost connection is restored, and every task goes on where it was.

    Args:
        url: ``ws://HOST:PORT/ws``, ``wss://...``, ``http(s)://...`` or ``unix:PATH``; a ``Path`` is that of
            a socket.
        token: sent as ``Authorization: Bearer``.
        tls: for ``wss``, in place of the system's certificates.
        timeout: for the connection and for each answer.
        reconnect: how long to try to restore a lost connection; 0: not at all.
        keepalive: after this long without a word the server is pinged; after as long again the connection is
            lost.
        buffer: bytes of events that may wait for each task's reader; when one falls behind, up to 32 MiB in
            flight are added.
        on_notice: called with a sentence about a lost connection, on one of the client's threads, or about
            lost events (other than lines), on the thread that reads them. What it raises is logged.

    Raises:
        ConnectFailedError: the server cannot be reached, or refused the connection.
    """

    def __init__(
        self,
        url: str | os.PathLike[str],
        *,
        token: str | None = None,
        tls: ssl.SSLContext | None = None,
        timeout: Seconds = 10.0,
        reconnect: Seconds = 60.0,
        keepalive: Seconds = 30.0,
        buffer: int = 4 << 20,
        on_notice: Callable[[str], None] | None = None,
    ) -> None:
        if isinstance(url, os.PathLike):
            url = f"unix:{os.fspath(url)}"
        address = parse_url(text_of(url, "url", empty=True))
        if tls is not None and not hasattr(tls, "wrap_socket"):
            raise TypeError("tls must be an ssl.SSLContext, as ssl.create_default_context(cafile=...) makes")
        settings = Settings(
            address,
            "" if token is None else text_of(token, "token", empty=True),
            tls,
            seconds_of(timeout, "timeout") or 0.0,
            seconds_of(reconnect, "reconnect") or 0.0,
            seconds_of(keepalive, "keepalive") or 0.0,
            max(1, buffer),
            on_notice or (lambda text: None),
        )
        transport = connect(address, token=settings.token, tls=tls, timeout=settings.timeout)
        core = Core(settings)
        super().__init__(core, transport)
        try:
            self._shared.connection.start()
        except RuntimeError as error:
            raise ConnectFailedError(f"cannot connect to {url}: {error}") from None

    def __repr__(self) -> str:
        return f"<Client {self._core.settings.address.url} {self._router!r}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection; tasks go on. Pending calls raise ClosedError. Idempotent, and may be
        called from anywhere, even from ``on_notice``."""
        with self._core.lock:
            self._core.failure = self._core.failure or ClosedError()
            threads = [connection.thread for connection in self._shared.connections_locked()]
            self._shared.end_locked()
        deadline = time.monotonic() + _JOIN_S
        for thread in threads:
            if thread is threading.current_thread():
                continue  # called from on_notice
            # One that is connecting may take longer; it ends by itself.
            thread.join(max(0.0, deadline - time.monotonic()))

    # -- all tasks

    def watch(self, *, output: bool = False, usage: bool = False, timeout: Seconds | None = None) -> Watch:
        """Watch all tasks, present and future, over a connection of its own: see :class:`Watch`.
        No task ever waits for its reader.

        Args:
            output: also their output. A ``Gap`` stands for lines that were missed.
            usage: also the CPU and memory that they use, every two seconds.

        Raises:
            RefusedError: the server is too old to be watched.
        """
        link = WatchConnection(self._core, self._shared, WatchRequest(id="", output=output, usage=usage))
        link.begin(self._seconds(timeout))
        return Watch(link)

    def events(self, timeout: Seconds | None = None) -> Iterator[Event]:
        """Everything the server sends from now on, except answers to requests: queues, pools, and followed
        tasks (even if their handles are dropped while this is read).

        Args:
            timeout: the most seconds to wait for each event; None: no limit.

        Raises:
            ReplyTimeoutError: nothing came for so long. This iteration is over: call it again at once,
                or set no timeout.
            ConnectionLostError: the connection is lost for good; :meth:`close` just ends the iteration.
        """
        return (event for events in self.batches(timeout) for event in events)

    def batches(self, timeout: Seconds | None = None) -> Iterator[list[Event]]:
        """As :meth:`events`, in batches of what is available: for programs that flush after each."""
        core, seconds = self._core, seconds_of(timeout)
        buffer = EventBuffer(core.lock, core.settings.buffer)
        with core.lock:
            core.check_locked()
            core.listeners = (*core.listeners, weakref.ref(buffer))
        return self._batches(buffer, seconds)

    def _batches(self, buffer: EventBuffer, timeout: float | None) -> Iterator[list[Event]]:
        over, notice = (lambda: self._core.failure is not None), self._core.notice
        yield from batches(take(buffer, over, timeout, "this server", notice))
        failure = self._core.failure
        if failure is not None and not isinstance(failure, ClosedError):
            raise fresh(failure)
