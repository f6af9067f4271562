"""Waking a thread that waits in poll."""

from __future__ import annotations

import os

from overseer.util.locks import Rank, lock

__all__ = ["Wakeup"]


class Wakeup:
    """A descriptor that becomes readable when it is set, and stays so."""

    def __init__(self) -> None:
        self._fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        # Held over the write (which does not wait), so that a late set does not hit a descriptor of others.
        self._closing = lock(Rank.LEAF, "wakeup")
        self._closed = False

    def fileno(self) -> int:
        return self._fd

    def set(self) -> None:
        """Wake who polls it; nothing once closed."""
        with self._closing:
            if not self._closed:
                os.eventfd_write(self._fd, 1)

    def close(self) -> None:
        """Give the descriptor back, when nobody polls it any more. Idempotent."""
        with self._closing:
            if not self._closed:
                self._closed = True
                os.close(self._fd)
