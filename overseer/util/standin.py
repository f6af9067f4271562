"""Threads that may hang in a call, since a disk may, and another that goes on in their place."""

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
    """Another thread goes on in this one's place: raised to unwind this one, once its call has returned."""


@contextmanager
def replaceable(go_on: Callable[[], None] | None) -> Iterator[None]:
    """Within it, another thread can go on in the calling one's place, with ``go_on()``;
    None: none can.

    Whatever stands between the two on the stack is unwound by :class:`Replaced` at some time, perhaps after
    ``go_on()`` has ended.
    """
    _here.post = None if go_on is None else Post(go_on, threading.current_thread())
    try:
        yield
    finally:
        _here.post = None


def post() -> Post | None:
    """The calling thread's, in which another can take its place; None: none can."""
    mine: Post | None = getattr(_here, "post", None)
    return mine
