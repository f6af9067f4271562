"""Replacement of a thread that hangs in a call, as on a dead disk, by another that continues in its place."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

_here = threading.local()


class Post(NamedTuple):
    """What a thread does that can be replaced; its successor calls ``go_on()``."""

    go_on: Callable[[], None]
    thread: threading.Thread


class Replaced(BaseException):
    """Raised to unwind a replaced thread once its call has returned."""


@contextmanager
def replaceable(go_on: Callable[[], None] | None) -> Iterator[None]:
    """While entered, another thread can replace the calling one by calling ``go_on()``; None: it cannot be
    replaced.

    The stack between the two is later unwound by :class:`Replaced`, perhaps after ``go_on()`` has ended.
    """
    _here.post = None if go_on is None else Post(go_on, threading.current_thread())
    try:
        yield
    finally:
        _here.post = None


def post() -> Post | None:
    """The calling thread's; None: it cannot be replaced."""
    mine: Post | None = getattr(_here, "post", None)
    return mine
