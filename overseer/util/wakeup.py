"""Waiting in poll, and waking a thread from it."""

from __future__ import annotations

import os
import select
import threading
from contextlib import suppress

_LONGEST_S = 24 * 60 * 60.0  # poll takes 24.8 days at most; infinity is cut to this too


def poll_timeout(seconds: float) -> float:
    """Milliseconds for ``poll``, from seconds that may be negative or too many.

    A poll may therefore end early: check the clock when nothing has happened.
    """
    return min(max(0.0, seconds), _LONGEST_S) * 1000


class Wakeup:
    """A descriptor that is readable once it is set, until it is cleared. Safe from any thread."""

    def __init__(self) -> None:
        self._fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        # Held over the write (which does not wait), so that a late set cannot hit a reused descriptor.
        # Unranked: nothing is taken under it, so it may be taken under any lock.
        self._closing = threading.Lock()
        self._closed = False

    def fileno(self) -> int:
        return self._fd

    def set(self) -> None:
        """Wake the thread that polls it; does nothing once closed. May be called with any lock held."""
        with self._closing:
            if not self._closed:
                os.eventfd_write(self._fd, 1)

    def clear(self) -> None:
        """Reset it; for the thread that polls it."""
        with suppress(BlockingIOError):
            os.eventfd_read(self._fd)

    def wait(self, seconds: float) -> None:
        """Wait until it is set, for ``seconds`` at most."""
        poll = select.poll()  # select knows no descriptors above 1023
        poll.register(self._fd, select.POLLIN)
        poll.poll(poll_timeout(seconds))

    def close(self) -> None:
        """Close the descriptor, when it is no longer polled. Idempotent."""
        with self._closing:
            if not self._closed:
                self._closed = True
                os.close(self._fd)
