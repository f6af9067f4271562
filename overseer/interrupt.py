"""Ctrl-C while a program is still loading: it just ends, as any other would, instead of with a traceback.

Python turns SIGINT into an exception wherever it happens to be, which nobody catches while half of the
modules are loaded. So the programs call this before they load what takes long.
"""

from __future__ import annotations

import signal

__all__ = ["end_at_once", "raise_again"]


def end_at_once() -> None:
    """From now on SIGINT ends the process, unless it is ignored. To be called on the main thread."""
    if _is_heard():
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def raise_again() -> None:
    """From now on SIGINT is a KeyboardInterrupt, as Python has it, unless it is ignored."""
    if _is_heard():
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _is_heard() -> bool:
    """A shell has what it starts in the background ignore SIGINT, and so it shall."""
    return signal.getsignal(signal.SIGINT) != signal.SIG_IGN
