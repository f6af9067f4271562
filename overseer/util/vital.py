"""Threads without which a server is of no use, although it would look alive."""

from __future__ import annotations

import threading
from collections.abc import Callable

__all__ = ["VitalThread"]


class VitalThread(threading.Thread):
    """A daemon thread that serves everybody: when it fails, the server ends rather than stay deaf or blind.

    The daemon learns so from ``threading.excepthook``; in another program it is a traceback.
    """

    def __init__(self, *, target: Callable[[], None], name: str) -> None:
        super().__init__(target=target, name=name, daemon=True)
