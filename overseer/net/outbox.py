"""The queue of messages to one client, bounded in bytes: the rules, without the sending.

Everything a connection sends passes its outbox, in the order of the appends. The rules:

- Output asks for room first (:meth:`Outbox.ask_for_room`). The bound is soft: an empty outbox takes any
  batch, for the longest line must fit. Once there was no room, there is none until half the bound is free
  again, so that producers and client do not take turns by the byte.
- Replies and lifecycle events never ask. With more than four times the bound of them pending, the client is
  closed with 1013.
- A client that stays over half (the high watermark), or without room for output that waits, for
  ``stall_timeout`` is closed with 1013. After a third of that time output gets no more room, so that a client
  that does read, only slowly, gets below half in time.
- Long messages (a replay, a list) are streamed: encoded piece by piece as they leave, and until then almost
  free. They count as pending with their size, so no request is read meanwhile, but not as replies.
- A close lets what is pending go out first (1013 drops it, as far as whole frames allow), then the close
  frame; the connection is cut when that took longer than ``close_timeout``.
"""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial

from overseer.net.chunks import Buffer, ChunkQueue, Source
from overseer.net.frames import Message, Streamed, close_frame
from overseer.net.limits import ConnectionLimits
from overseer.util.awake_clock import awake
from overseer.util.locks import Rank, assert_held, assert_none_held, lock
from overseer.util.standstill import standstill
from overseer.util.timers import Timers
from overseer.util.waiters import Waiters
from overseer.util.websocket_frame import CloseCode

_log = logging.getLogger(__name__)

_REPLIES_FACTOR = 4
_READ_AHEAD = 256 * 1024  # bytes that are pending for a client, at most, when more is fetched for it


class Outbox(ABC):
    """The pending output of one client. Thread-safe; methods do not block unless they say so.

    A subclass does the sending: it implements :meth:`flush` and :meth:`_abort`, takes from the front with
    :meth:`_take_locked`, and reports with :meth:`_sent_locked` what has left.

    Args:
        framed: messages leave as WebSocket frames, else as lines.
        limits: ``buffer``: bytes that may be pending (softly, see above); ``stall_timeout``: seconds that it
            may be over half; ``close_timeout``: seconds from a close to the end of the connection.
    """

    __slots__ = (
        "_bound", "_close_timeout", "_closing", "_cut_at", "_dead", "_drained_at", "_drop_then",
        "_for_room", "_framed", "_full", "_half", "_lock", "_on_drained", "_on_room", "_over_since",
        "_queue", "_refused", "_sending", "_spare_bound", "_stall_timeout", "_stall_watched", "_timers",
        "_until_bounded", "close_code", "close_reason",
    )  # fmt: skip

    def __init__(self, limits: ConnectionLimits, timers: Timers, *, framed: bool) -> None:
        self._bound = limits.buffer
        self._half = limits.buffer // 2
        self._drained_at = min(self._half // 2, _READ_AHEAD)
        self._spare_bound = self._half * 3 // 4  # what can wait is appended while no more is pending
        self._stall_timeout = limits.stall_timeout
        self._close_timeout = limits.close_timeout
        self._timers = timers
        self._framed = framed
        self._lock: threading.Lock = lock(Rank.LEAF, "outbox")  # guards all that follows
        self._for_room = Waiters(self._lock)
        self._until_bounded = Waiters(self._lock)
        self._queue = ChunkQueue(framed=framed)
        # A client is over when it is full or has more than half pending; otherwise the rest does not matter.
        self._full = False  # output found no room, and half the bound is not free yet
        self._refused = 0  # the largest output that found no room since then
        self._over_since: float | None = None  # since when full or more than half pending (awake)
        self._stall_watched = False  # a timer will look at _over_since
        self._sending = False  # a thread is sending what it took; only it may take
        self._drop_then: bytes | None = None  # drop when that send has ended, then send these bytes
        self._on_room: list[Callable[[], None]] = []
        self._on_drained: list[Callable[[], None]] = []
        self._closing = False  # nothing is accepted any more
        self._dead = False  # nothing leaves any more
        self._cut_at = 0.0  # once closed: when the connection is cut, whatever is left (awake)
        self.close_code = 0  # what it was closed with; 0: not closed, or the connection broke
        self.close_reason = ""

    def __repr__(self) -> str:
        state = "dead" if self._dead else f"closing {self.close_code}" if self._closing else "open"
        return f"<{type(self).__name__} {state} pending={self._queue.size} chunks={len(self._queue.chunks)}>"

    # -- for the hub -----------------------------------------------------------------------------------

    @property
    def pending(self) -> int:
        """Bytes that have not left."""
        return self._queue.size

    @property
    def taken(self) -> int:
        """How many bytes have left, of all that was ever pending."""
        return self._queue.gone

    @property
    def lag(self) -> float:
        """For how many seconds more than half the bound has been pending, or output has had no room; or 0."""
        since = self._over_since  # without the lock: a slightly stale answer will do
        return 0.0 if since is None else awake() - since

    @property
    def full(self) -> bool:
        """Whether output was refused and there is no room for it yet."""
        return self._full

    @property
    def closed(self) -> bool:
        """Whether appends are ignored from now on."""
        return self._closing

    def append(self, message: Message, *, output: bool = False) -> None:
        """Queue a message; :meth:`flush` sends it. Never blocks; may be called with locks held.

        ``output``: room was asked for, so the bytes do not count against the limit for replies.
        """
        self._append(self.framed(message), output)

    def append_output(self, message: Message) -> bytes | None:
        """Queue output that room was asked for. Never blocks; may be called with locks held.

        Returns bytes that the caller must :meth:`send` once it holds no lock, since no other thread sends
        until then; None: it must :meth:`flush`, as after any append.
        """
        self._append(self.framed(message), True)
        return None

    def send(self, data: bytes) -> None:
        """Send what :meth:`append_output` returned, with no lock held."""
        raise NotImplementedError

    def append_streamed(self, message: Streamed) -> None:
        """Queue a message that is encoded as it is sent; may be called with locks held."""
        source = Source(self.measure(message), message.pieces(framed=self._framed))
        with self._lock:
            if not self._closing:
                self._queue.push(source, output=True)
                self._look_at_half_locked()

    def measure(self, message: Streamed) -> int:
        """The number of bytes that :meth:`append_streamed` would queue."""
        return message.size(framed=self._framed)

    def framed(self, message: Message) -> bytes:
        """The bytes that :meth:`append` would queue; the message caches them."""
        return message.websocket if self._framed else message.lines

    def ask_for_room(self, size: int) -> bool:
        """Whether output of ``size`` bytes may be appended now; True once closed (it is ignored then).

        A refusal is remembered: from then on the client is :attr:`full`, and may be closed for its stall.
        """
        # Without the lock: as the bound is soft, a slightly stale answer will do.
        if self._over_since is None and self._queue.size + size <= self._bound:
            return True
        with self._lock:
            if self._closing or self._queue.size == 0:
                return True
            if not self._full:
                now = awake()
                lingers = self._over_since is not None and now - self._over_since > self._stall_timeout / 3
                if not lingers and self._queue.size + size <= self._bound:
                    return True
                self._full = True
                if self._over_since is None:  # little is pending, but too much for this output
                    self._over_since = now
            self._refused = max(self._refused, size)
            return False

    @property
    def spare(self) -> int:
        """How many bytes of what can wait may be appended, at least one: what cannot keeps its room."""
        return max(self._spare_bound - self._queue.size, 1)

    def has_spare(self, size: int) -> bool:
        """As :meth:`ask_for_room`, for what can wait; a refusal is not remembered."""
        return self._queue.size + size <= self._spare_bound or self._closing

    def is_drained(self) -> bool:
        """Whether so little is pending that more should be fetched for it, or it is closed."""
        return self._queue.size <= self._drained_at or self._closing

    def when_drained(self, callback: Callable[[], None], *, not_before: float = 0.0) -> None:
        """Call ``callback()`` once, with no locks held, when :meth:`is_drained`; if it is already, from the
        timers' thread, after ``not_before`` seconds. May be called with locks held."""
        with self._lock:
            if self._queue.size > self._drained_at and not self._closing:
                self._on_drained.append(callback)
                return
        self._timers.schedule(not_before, callback)

    def wait_for_room(
        self, timeout: float | None = None, *, unless: Callable[[], bool] = lambda: False
    ) -> bool:
        """Wait until :meth:`ask_for_room` may have changed or it is closed; False after ``timeout`` seconds.

        ``unless`` ends the wait as well; it is called at :meth:`recheck`, under a lock, so must take none.
        """
        assert_none_held("waiting for a client")
        self._watch_stall()
        with self._lock:
            return self._for_room.wait_for(lambda: not self._full or self._closing or unless(), timeout)

    def recheck(self) -> None:
        """Wake the threads that wait for room, as their ``unless`` may have changed."""
        with self._lock:
            self._for_room.wake()
            self._until_bounded.wake()

    def on_room(self, callback: Callable[[], None]) -> None:
        """Call ``callback()`` once, with no locks held, when at most half is pending and what was refused has
        room, or it is closed.

        May be called with locks held: if that is already so, the call comes from the timers' thread.
        """
        with self._lock:
            if (self._full or self._queue.size > self._half) and not self._closing:
                self._on_room.append(callback)
                return
        self._timers.schedule(0.0, callback)

    @abstractmethod
    def flush(self) -> None:
        """Send what can be sent without blocking, and arrange for the rest; called after appends, with no
        lock held.

        A thread that comes while another is sending returns at once: the other one sends its bytes, too.
        """

    def close(self, code: int, reason: str = "", *, drop: bool = False) -> None:
        """Close the connection, with no lock held; only the first call counts.

        Pending messages still go out, unless ``drop``, then the close frame, within the close timeout.
        """
        assert_none_held("closing a client")
        if self._close(code, reason, None, drop):
            self._start_closing()

    # -- for the connection ----------------------------------------------------------------------------

    def append_frame(self, frame: bytes) -> None:
        """Queue a ready control frame, or the handshake's reply."""
        self._append(frame, False)

    def close_with(self, code: int, frame: bytes) -> None:
        """Like :meth:`close`, with a ready close frame, or an empty one for none."""
        if self._close(code, "", frame, False):
            self._start_closing()

    def wait_until_bounded(self) -> bool:
        """Wait until at most the bound is pending; False if it is closed.

        Called before requests are read: a client that does not read its answers may send no more.
        """
        if self._queue.size > self._bound:  # without the lock: a stale answer only lets one more request in
            assert_none_held("waiting for a client")
            with self._lock:
                self._until_bounded.wait_for(
                    lambda: self._queue.size <= self._bound or self._closing or standstill.closed
                )
        return not self._closing

    def fail(self) -> None:
        """Drop everything and wake all waiters, as the connection is gone. Idempotent."""
        with self._lock:
            self._dead = True
            self._queue.clear()
            self._closing = True
            callbacks = self._ended_locked()
        self._call(callbacks)

    @abstractmethod
    def _abort(self) -> None:
        """Cut the connection at once; called with no lock held."""

    def _make_piece(self) -> None:
        """Encode a piece of the streamed message at the front; called by the sending thread, with no lock."""
        with self._lock:
            first = self._queue.chunks[0] if self._queue.chunks else None
        if first is None or not isinstance(first.data, Source):
            return
        piece = first.data.next()
        with self._lock:
            if self._queue.chunks and self._queue.chunks[0] is first:  # or all was dropped meanwhile
                self._queue.put_piece(piece)

    def _take_locked(self, buffers: int) -> list[Buffer]:
        """The first pending bytes, as at most so many buffers; they stay queued until :meth:`_sent_locked`.
        Empty if a piece has to be made first."""
        assert_held(self._lock)
        return self._queue.first(buffers)

    def _sent_locked(self, size: int) -> list[Callable[[], None]]:
        """Note that ``size`` of the first bytes have left; returns what to :meth:`_call` afterwards."""
        assert_held(self._lock)
        if self._dead:  # it failed while they were leaving
            return []
        self._queue.sent(size)
        if self._drop_then is not None:
            last, self._drop_then = self._drop_then, None
            self._queue.drop(last)
        drained: list[Callable[[], None]] = []
        if self._on_drained and self._queue.size <= self._drained_at:
            drained, self._on_drained = self._on_drained, []
        if self._over_since is None:
            return drained
        if self._queue.size <= self._half and (
            not self._queue.size or self._queue.size + self._refused <= self._bound
        ):
            return drained + self._freed_locked()
        self._until_bounded.wake()
        return drained

    def _call(self, callbacks: list[Callable[[], None]]) -> None:
        for callback in callbacks:
            try:
                callback()
            except Exception:
                _log.exception("a callback for room in an outbox failed")

    def _watch_stall(self) -> None:
        """Set a timer for the end of the stall timeout; called by flush, with no lock held."""
        if self._over_since is None or self._stall_watched:  # without the lock: the next flush looks again
            return
        with self._lock:
            if self._over_since is None or self._stall_watched or self._closing:
                return
            self._stall_watched = True
            delay = self._over_since + self._stall_timeout - awake()
        self._timers.schedule(delay, self._check_stall)

    def _append(self, data: bytes, output: bool) -> None:
        if not data:
            return
        with self._lock:
            if self._closing:
                return
            self._queue.push(data, output)
            # One reply alone may be of any size.
            flooded = self._queue.replies > _REPLIES_FACTOR * self._bound and len(self._queue.chunks) > 1
            if self._queue.size > self._half:
                self._look_at_half_locked()
        if flooded:
            why = "too many messages are waiting to be read"
            # On another thread, as the caller may hold locks.
            self._timers.schedule(0.0, partial(self.close, CloseCode.TRY_AGAIN_LATER, why, drop=True))

    def _look_at_half_locked(self) -> None:
        assert_held(self._lock)
        if self._queue.size > self._half and self._over_since is None:
            self._over_since = awake()

    def _freed_locked(self) -> list[Callable[[], None]]:
        assert_held(self._lock)
        self._full = False
        self._refused = 0
        self._over_since = None
        self._for_room.wake()
        self._until_bounded.wake()
        callbacks, self._on_room = self._on_room, []
        return callbacks

    def _ended_locked(self) -> list[Callable[[], None]]:
        assert_held(self._lock)
        drained, self._on_drained = self._on_drained, []
        return drained + self._freed_locked()

    def _check_stall(self) -> None:
        with self._lock:
            self._stall_watched = False
            since = self._over_since
        if since is None:
            return
        if awake() - since < self._stall_timeout:
            self._watch_stall()
            return
        self.close(CloseCode.TRY_AGAIN_LATER, f"has not read for {self._stall_timeout:g} s", drop=True)

    def _close(self, code: int, reason: str, frame: bytes | None, drop: bool) -> bool:
        """Enter the closing state; False if it was closed before."""
        last = b""
        if self._framed:
            last = close_frame(code, reason) if frame is None else frame
        with self._lock:
            if self._closing:
                return False
            self._closing = True
            self.close_code, self.close_reason = code, reason
            if not drop:
                self._queue.push(last, output=False)
            elif self._sending:
                self._drop_then = last
            else:
                self._queue.drop(last)
            callbacks = self._ended_locked()
        self._call(callbacks)
        return True

    def _start_closing(self) -> None:
        self._cut_at = awake() + self._close_timeout
        # Not cancelled when the closing goes well: cutting what is closed does nothing.
        self._timers.schedule(self._close_timeout, self._cut)
        self.flush()

    def _cut(self) -> None:
        left = self._cut_at - awake()
        if left > 0:  # this process did not run meanwhile
            self._timers.schedule(left, self._cut)
        else:
            self._abort()
