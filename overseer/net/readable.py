"""An outbox whose messages are read by a thread of this process, which passes them on in its own way."""

from __future__ import annotations

import time
from collections.abc import Callable

from overseer.net.handler import ConnectionLimits
from overseer.net.outbox import Outbox
from overseer.util.locks import assert_none_held
from overseer.util.timers import Timers
from overseer.util.waiters import Waiters

_PIECE = 64 * 1024  # bytes taken at a time, which are no longer shared with other readers' outboxes


class ReadableOutbox(Outbox):
    """Messages as lines of JSON, for one reading thread. It lags, and is closed for that, as any other."""

    def __init__(self, limits: ConnectionLimits, timers: Timers, cut: Callable[[], None]) -> None:
        """``cut`` ends the connection at once."""
        super().__init__(
            framing="lines",
            bound=limits.buffer,
            stall_timeout=limits.stall_timeout,
            close_timeout=limits.close_timeout,
            timers=timers,
        )
        self._for_work = Waiters(self._lock)  # the reader
        self._cut_connection = cut
        self._rest = b""  # of the last take: the beginning of a line
        self.hastened = False  # its reader should come to an end
        self._woken = False  # it has been told so

    def flush(self) -> None:
        assert_none_held("sending to a client")
        with self._lock:
            self._for_work.wake()
        self._watch_stall()

    def fail(self) -> None:
        super().fail()
        with self._lock:
            self._for_work.wake()

    def hasten(self) -> None:
        """Ask the reader to come to an end; a :meth:`read` that waits returns nothing, once."""
        with self._lock:
            self.hastened = self._woken = True
            self._for_work.wake()

    def read(self, deadline: float) -> list[bytes]:
        """Wait for messages until ``deadline`` (monotonic); what came, without line ends: nothing, if time
        is up or it is closed and read to its end."""
        while True:
            with self._lock:
                left = max(0.0, deadline - time.monotonic())
                self._for_work.wait_for(
                    lambda: bool(self._queue.chunks) or self._closing or self._woken, left
                )
                self._woken = False
                if not self._queue.chunks or self._dead:
                    return []
                self._sending = True
            self._make_piece()
            with self._lock:
                taken = b"".join(bytes(each[:_PIECE]) for each in self._take_locked(1))
                self._sending = False
                callbacks = self._sent_locked(len(taken))
            self._call(callbacks)
            *lines, self._rest = (self._rest + taken).split(b"\n")
            if lines:
                return lines

    def _abort(self) -> None:
        self.fail()
        self._cut_connection()
