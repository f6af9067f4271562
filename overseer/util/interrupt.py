"""Ctrl-C while a program is still loading: it just ends, as any other would, instead of with a traceback.

Python turns SIGINT into an exception wherever it happens to be, which nobody catches while half of the
modules are loaded. So the programs call this before they load what takes long.
"""

from __future__ import annotations

import signal
from collections.abc import Callable


def end_at_once(leave: Callable[[], None] | None = None) -> None:
    """From now on SIGINT ends the process, unless it is ignored. To be called on the main thread.

    Args:
        leave: called then, and has to end it; without one the signal does.
    """
    # A shell has what it starts in the background ignore SIGINT, and so it shall.
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL if leave is None else lambda number, frame: leave())
