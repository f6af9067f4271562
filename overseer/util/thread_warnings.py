"""Collects what a thread is warned of. ``warnings.catch_warnings`` is for a process of one thread: it changes
what all of them share, and if two leave it in a different order than they entered, it stays changed."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

_Kind = TypeVar("_Kind", bound=Warning)

_here = threading.local()
_installing = threading.Lock()
_show: Callable[..., None] = warnings.showwarning  # for all that nobody collects


@contextmanager
def collected(kind: type[_Kind]) -> Iterator[list[_Kind]]:
    """Gives a list to which the block's warnings of this kind are added instead of being shown; only those
    that the calling thread gives with :func:`warnings.warn`."""
    _install(kind)
    before = getattr(_here, "collecting", None)
    said: list[_Kind] = []
    _here.collecting = kind, said
    try:
        yield said
    finally:
        _here.collecting = before


def _install(kind: type[Warning]) -> None:
    """Called each time, since a ``catch_warnings`` around the caller, such as a test's, undoes it."""
    global _show
    warnings.simplefilter("always", kind)
    with _installing:
        if warnings.showwarning is not _dispatch:
            _show, warnings.showwarning = warnings.showwarning, _dispatch


def _dispatch(message: Warning | str, *about: Any, **more: Any) -> None:
    kind, said = getattr(_here, "collecting", None) or (None, [])
    if kind is not None and isinstance(message, kind):
        said.append(message)
    else:
        _show(message, *about, **more)
