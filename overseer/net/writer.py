"""Sends to sockets: at once on the flushing thread, the rest on one thread for all of them.

That thread waits (epoll) for sockets that were full. It never blocks on one client, and runs only sends and
the short callbacks of :meth:`Outbox.on_room`.
"""

from __future__ import annotations

import logging
import select
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from overseer.net.bytestream import ByteStream
from overseer.net.chunks import Buffer, Chunk
from overseer.net.frames import Message
from overseer.net.limits import ConnectionLimits
from overseer.net.outbox import Outbox
from overseer.util.awake_clock import awake
from overseer.util.handover_format import Incoming, Outgoing
from overseer.util.locks import CHECKED, Rank, assert_held, assert_none_held, lock, seized
from overseer.util.threads import start_thread
from overseer.util.timers import Timers
from overseer.util.waiters import Waiters
from overseer.util.wakeup import Wakeup

_log = logging.getLogger(__name__)

_BUFFERS = 64  # handed to the kernel in one call
_SENDS = 16  # calls in a row, before others get their turn
_MOST_HANDED_OVER = 64 * 2**20  # bytes that wait; with more, a client is not handed over


class Writer:
    """The thread that sends what full sockets did not take; started with the first one at the latest."""

    def __init__(self) -> None:
        # Guards the fields below, and is held over epoll_ctl (which does not block): a descriptor is
        # registered only while its outbox is known here, never after its number was given to another
        # connection.
        self._lock = lock(Rank.LEAF, "writer")
        self._outboxes: dict[int, SocketOutbox] = {}
        self._registered: set[int] = set()
        self._epoll = select.epoll()
        self._wake = Wakeup()
        self._epoll.register(self._wake, select.EPOLLIN)
        self._thread: threading.Thread | None = None
        self._closed = False

    def start(self) -> None:
        """Start the thread now, while there surely can be one, and not with the first full socket.

        Raises:
            RuntimeError: the system allows no more threads.
        """
        with self._lock:
            self._start_locked()

    def add(self, fd: int, outbox: SocketOutbox) -> None:
        """Register the outbox of an open descriptor."""
        with self._lock:
            self._outboxes[fd] = outbox

    def watch(self, fd: int, outbox: SocketOutbox) -> None:
        """Call ``outbox.resume()`` once when ``fd`` takes bytes again or is broken."""
        with self._lock:
            if self._closed or self._outboxes.get(fd) is not outbox:
                return
            if fd in self._registered:
                self._epoll.modify(fd, select.EPOLLOUT | select.EPOLLONESHOT)
            else:
                self._epoll.register(fd, select.EPOLLOUT | select.EPOLLONESHOT)
                self._registered.add(fd)
            self._start_locked()

    def forget(self, fd: int) -> None:
        """Unregister a descriptor that is about to be closed."""
        with self._lock:
            self._outboxes.pop(fd, None)
            if fd in self._registered:
                self._registered.discard(fd)
                self._epoll.unregister(fd)

    def close(self) -> None:
        """End the thread; what is pending stays unsent. Idempotent."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            thread = self._thread
        if thread is not None:
            self._wake.set()
            thread.join()
        self._epoll.close()
        self._wake.close()

    def _start_locked(self) -> None:
        assert_held(self._lock)
        if self._thread is None and not self._closed:
            self._thread = start_thread(self._run, "net-writer")

    def _run(self) -> None:
        try:
            self._resume_until_closed()
        except BaseException:
            _log.exception("sending has failed: the clients that wait for it are cut off")
            with self._lock:
                self._thread = None  # the next full socket starts another one
                known = [self._outboxes[fd] for fd in self._registered]
            for outbox in known:
                outbox.cut_if_waiting()

    def _resume_until_closed(self) -> None:
        while True:
            ready = self._epoll.poll()
            with self._lock:
                if self._closed:
                    return
                outboxes = [self._outboxes[fd] for fd, _ in ready if fd in self._outboxes]
            for outbox in outboxes:
                outbox.resume()


class SocketOutbox(Outbox):
    """The outbox of a WebSocket client."""

    __slots__ = ("_fd", "_finished", "_stream", "_until_idle", "_waiting", "_writer")

    def __init__(self, stream: ByteStream, writer: Writer, limits: ConnectionLimits, timers: Timers) -> None:
        super().__init__(limits, timers, framed=True)
        self._stream = stream
        self._writer = writer
        self._fd = stream.fileno()
        self._waiting = False  # the socket is full and the writer will resume
        self._finished = False  # the peer was told that nothing follows
        self._until_idle = Waiters(self._lock)  # for the end of a send
        writer.add(self._fd, self)

    def append_output(self, message: Message) -> bytes | None:
        data = message.websocket
        with self._lock:
            if self._closing:
                return None
            self._queue.size += len(data)
            if self._queue.size > self._half:
                self._look_at_half_locked()
            if self._queue.chunks or self._sending or self._waiting or self._stream.unsent:
                self._queue.chunks.append(Chunk(data, True))
                return None
            self._sending = True
            return data

    def send(self, data: bytes) -> None:
        if CHECKED:
            assert_none_held("sending to a client")
        try:
            sent = self._stream.send((data,))
        except OSError:
            self._abort()
            sent = 0
        except BaseException as error:
            self._failed(error)
            return
        with self._lock:
            more = self._queue.chunks or self._closing or self._over_since is not None or self._stream.unsent
            if sent == len(data) and not more:
                self._queue.size -= sent
                self._sending = False
                return
            if not self._dead:
                self._queue.chunks.appendleft(Chunk(data, True))
        self._send([data], sent)

    def flush(self) -> None:
        if CHECKED:
            assert_none_held("sending to a client")
        if not self._waiting:  # without the lock: resume looks at the queue under it
            self._send_pending()
        if self._over_since is not None:
            self._watch_stall()

    def resume(self) -> None:
        """Called by the writer when the socket takes bytes again."""
        with self._lock:
            self._waiting = False
        self._send_pending()

    def cut_if_waiting(self) -> None:
        """Cut the connection if it waits for the writer, which has failed."""
        if self._waiting:
            self._abort()

    def detach(self) -> None:
        """Wait until no thread uses the stream, and let none begin to. The connection's last call."""
        self.fail()
        with self._lock:
            # Sends do not block, so this is short.
            self._until_idle.wait_for(lambda: not self._sending)
        self._writer.forget(self._fd)

    # Upgrades

    @property
    def portable(self) -> bool:
        """Whether another program can go on sending what waits."""
        return not self._dead and self._queue.size <= _MOST_HANDED_OVER

    @contextmanager
    def frozen(self, deadline: float) -> Iterator[None]:
        """Keep what waits as it is: nothing is sent.

        Raises:
            TimeoutError: something is held until ``deadline`` (monotonic).
        """
        while True:
            with seized(self._lock, deadline):
                if not self._sending:
                    yield
                    return
            # Sends do not block, so this is short.
            if time.monotonic() >= deadline:
                raise TimeoutError("a client is being sent something")
            time.sleep(0.0005)

    def export_locked(self, out: Outgoing) -> dict[str, Any]:
        """What another program has to know to go on; while it is :meth:`frozen`."""
        assert_held(self._lock)
        chunks, offset, within = self._queue.export()
        since = self._over_since
        return {
            "closing": [self.close_code, self.close_reason] if self._closing else None,
            "chunks": [[out.blob(bytes(each.data)), each.output, each.more] for each in chunks],  # type: ignore[arg-type]
            "offset": offset,
            "within": within,
            "over_for": None if since is None else awake() - since,
            "full": self._full,
            "refused": self._refused,
        }

    def restore(self, data: Mapping[str, Any], given: Incoming) -> None:
        """Be what another program has exported; it goes on with :meth:`go_on`."""
        chunks = [Chunk(given.blob(number), output, more) for number, output, more in data["chunks"]]
        self._queue.restore(chunks, data["offset"], data["within"])
        self._full, self._refused = data["full"], data["refused"]
        if data["over_for"] is not None:
            self._over_since = awake() - data["over_for"]
        if data["closing"] is not None:
            self._closing = True
            self.close_code, self.close_reason = data["closing"]

    def go_on(self) -> None:
        """Send what was restored."""
        if self._closing:
            self._start_closing()
        else:
            self.flush()

    def _abort(self) -> None:
        self.fail()
        self._stream.abort()

    def _send_pending(self) -> None:
        """Become the sending thread, if there is anything to send and no other thread does."""
        with self._lock:
            idle = not (self._sending or self._waiting)
            buffers: list[Buffer] | None = None
            if idle and (self._queue.chunks or self._stream.unsent):
                self._sending = True
                buffers = self._take_locked(_BUFFERS)
        if buffers is not None or self._closing:
            self._send(buffers)

    def _send(self, buffers: list[Buffer] | None, sent: int | None = None) -> None:
        """Send the buffers, and what has been appended meanwhile; this is the sending thread.

        ``sent``: so many of their bytes have already left.
        """
        callbacks: list[Callable[[], None]] = []
        sends = 0
        try:
            while buffers is not None:
                if not buffers:
                    self._make_piece()
                    with self._lock:
                        buffers = self._take_locked(_BUFFERS)
                if sent is None:
                    sent = self._send_once(buffers)
                sends += 1
                goes_on = sends < _SENDS and sent == sum(map(len, buffers))
                with self._lock:
                    callbacks += self._sent_locked(sent)
                    buffers = self._next_locked(goes_on)
                    wait = self._waiting
                sent = None
                if wait:
                    self._writer.watch(self._fd, self)
            if self._closing:
                self._finish()
        except BaseException as error:
            self._failed(error)
        if callbacks:
            self._call(callbacks)
        if self._over_since is not None:
            self._watch_stall()

    def _send_once(self, buffers: Sequence[Buffer]) -> int:
        try:
            return self._stream.send(buffers)
        except OSError:
            self._abort()
            return 0

    def _next_locked(self, goes_on: bool) -> list[Buffer] | None:
        """What to send next; None: this is no longer the sending thread."""
        assert_held(self._lock)
        if self._queue.chunks and goes_on:
            return self._take_locked(_BUFFERS)
        self._waiting = not self._dead and (bool(self._queue.chunks) or self._stream.unsent)
        self._sending = False
        self._until_idle.wake()
        return None

    def _failed(self, error: BaseException) -> None:
        """Handle a failed send; called from the except block."""
        self._abort()
        with self._lock:
            self._sending = False  # else detach would wait forever
            self._until_idle.wake()
        if not isinstance(error, Exception):
            raise error
        _log.exception("sending to a client failed: %r", self)

    def _finish(self) -> None:
        """After a close, once everything has left, tell the peer that nothing follows."""
        with self._lock:
            if not self._closing or self._dead or self._queue.chunks or self._finished:
                return
            if self._sending or self._waiting:
                return
            self._finished = self._sending = True
        self._stream.finish()
        with self._lock:
            self._sending = False
            self._until_idle.wake()
