"""Daemon threads, and what to do where the system allows no more of them.

All are daemons: a program that embeds a server and forgets to close it must still be able to end.
"""

from __future__ import annotations

import threading
from collections.abc import Callable


class VitalThread(threading.Thread):
    """A thread that serves everybody: when it fails the server ends, rather than stay deaf or blind.

    The daemon learns of it from ``threading.excepthook``; in another program it is a traceback.
    """

    def __init__(self, *, target: Callable[[], None], name: str) -> None:
        super().__init__(target=target, name=name, daemon=True)


def start_thread(target: Callable[[], object], name: str) -> threading.Thread:
    """Run ``target()`` on a daemon thread.

    Raises:
        RuntimeError: the system allows no more threads.
    """
    thread = threading.Thread(target=target, name=name, daemon=True)
    thread.start()
    return thread


def run_on_thread(target: Callable[[], object], name: str) -> threading.Thread | None:
    """Run ``target()`` on a daemon thread, or here where the system allows no more: late beats never."""
    try:
        return start_thread(target, name)
    except RuntimeError:
        target()
        return None
