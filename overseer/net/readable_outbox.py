"""An outbox whose messages are read by a thread of this process, which passes them on in its own way."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from overseer.net.limits import ConnectionLimits
from overseer.net.outbox import Outbox
from overseer.net.turns import Turn, Turns
from overseer.util.locks import assert_held, assert_none_held
from overseer.util.timers import Timers
from overseer.util.waiters import Waiters

_PIECE = 16 * 1024  # bytes taken at a time, which are no longer shared with other readers' outboxes
_BUFFERS = 64  # messages, at most, of which they are


class ReadableOutbox(Outbox):
    """Messages as lines of JSON, for one reading thread. It lags, and is closed for that, as any other."""

    def __init__(self, limits: ConnectionLimits, timers: Timers, cut: Callable[[], None]) -> None:
        """``cut`` ends the connection at once."""
        super().__init__(limits, timers, framed=False)
        self._for_work = Waiters(self._lock)  # the reader
        self._cut_connection = cut
        self._rest = bytearray()  # of a line, what take has had of it; it may come in thousands of pieces
        self.hastened = False  # its reader should come to an end
        self._woken = False  # it has been told so
        self._turn: Turn | None = None  # the reader's, if it takes turns with others

    def flush(self) -> None:
        assert_none_held("sending to a client")
        self._wake_reader()
        self._watch_stall()

    def fail(self) -> None:
        super().fail()
        self._wake_reader()

    def _wake_reader(self) -> None:
        with self._lock:
            self._for_work.wake()
        if self._turn is not None:
            self._turn.ask()

    def hasten(self) -> None:
        """Ask the reader to come to an end; a :meth:`wait` that goes on is over, once."""
        with self._lock:
            self.hastened = self._woken = True
            self._for_work.wake()

    @contextmanager
    def turn(self, turns: Turns, deadline: float) -> Iterator[bool]:
        """Wait for something to take, and for a turn to do so, until ``deadline`` (monotonic); whether there
        is one, which lasts as long as the context. For :meth:`take` without :meth:`wait`."""
        if self._turn is None:
            self._turn = Turn(turns)
        self._turn.begin()
        try:
            if self._queue.chunks or self._closing:  # without the lock: what comes later asks by itself
                self._turn.ask()
            yield self._turn.wait(deadline - time.monotonic())
        finally:
            self._turn.end()

    def wait(self, deadline: float | None = None) -> bool:
        """Wait for something to take until ``deadline`` (monotonic); False: time is up, or it is closed and
        was read to its end."""
        with self._lock:
            left = None if deadline is None else deadline - time.monotonic()
            self._for_work.wait_for(lambda: bool(self._queue.chunks) or self._closing or self._woken, left)
            self._woken = False
            return bool(self._queue.chunks) and not self._dead

    def take(self) -> bytes:
        """The first messages that have come, whole lines; nothing, if there is only part of a long one."""
        lines, end, rest = self.take_piece().rpartition(b"\n")
        if not end:
            self._rest += rest
            return b""
        whole, self._rest = bytes(self._rest) + lines + end, bytearray(rest)
        return whole

    def take_piece(self) -> bytes:
        """The first bytes that have come, wherever that ends."""
        with self._lock:
            if not self._queue.chunks or self._dead:
                return b""
            self._sending = True
        self._make_piece()
        with self._lock:
            taken = self._first_locked()
            self._sending = False
            callbacks = self._sent_locked(len(taken))
        self._call(callbacks)
        return taken

    def _first_locked(self) -> bytes:
        assert_held(self._lock)
        buffers, size = [], 0
        for each in self._take_locked(_BUFFERS):
            buffers.append(each[: _PIECE - size])
            size += len(buffers[-1])
            if size == _PIECE:
                break
        return b"".join(buffers)

    def _abort(self) -> None:
        self.fail()
        self._cut_connection()
