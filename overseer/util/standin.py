"""Threads that may hang in a call, since a disk may, and another that goes on in their place."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_here = threading.local()


class Replaced(BaseException):
    """Another thread goes on in this one's place: raised to unwind this one, once its call has returned."""


@contextmanager
def replaceable(go_on: Callable[[], None] | None) -> Iterator[None]:
    """Within it, another thread can go on in the calling one's place, with ``go_on()``;
    None: none can.

    Whatever stands between the two on the stack is unwound by :class:`Replaced` at some time, perhaps after
    ``go_on()`` has ended.
    """
    _here.go_on = go_on
    try:
        yield
    finally:
        _here.go_on = None


def successor() -> Callable[[], None] | None:
    """What another thread calls to go on in the calling one's place; None: nobody can."""
    go_on: Callable[[], None] | None = getattr(_here, "go_on", None)
    return go_on
