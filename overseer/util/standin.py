"""Replacement of a thread that hangs in a call, as on a dead disk, by another that continues in its place."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_here = threading.local()


class Replaced(BaseException):
    """Raised to unwind a replaced thread once its call has returned."""


@contextmanager
def replaceable(go_on: Callable[[], None] | None) -> Iterator[None]:
    """Within it, another thread can replace the calling one by calling ``go_on()``; None: it cannot be
    replaced.

    The stack between the two is later unwound by :class:`Replaced`, perhaps after ``go_on()`` has ended.
    """
    _here.go_on = go_on
    try:
        yield
    finally:
        _here.go_on = None


def successor() -> Callable[[], None] | None:
    """The function with which another thread can replace the calling one, or None."""
    go_on: Callable[[], None] | None = getattr(_here, "go_on", None)
    return go_on
