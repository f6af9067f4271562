"""Ctrl-C while a program is still loading, which must not end in a traceback: programs call this first."""

from __future__ import annotations

import signal
from collections.abc import Callable


def end_at_once(leave: Callable[[], None] | None = None) -> None:
    """From now on SIGINT ends the process, unless it is ignored. To be called on the main thread.

    Args:
        leave: called on SIGINT, and must end the process; by default the signal does.
    """
    # A shell has background jobs ignore SIGINT, and that stays so.
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL if leave is None else lambda number, frame: leave())
