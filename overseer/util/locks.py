"""Locks with a rank, by which the lock order is checked.

In a running server :func:`lock` gives a plain :class:`threading.Lock`, and :func:`assert_held` and
:func:`assert_none_held` do nothing. With ``OVERSEER_CHECK_LOCKS`` in the environment (the test suite sets it,
before import) every lock checks, at each acquire, that the thread holds only locks of a lower rank, and
yields at random after each release to shake races loose (seed: the variable's value); the two functions
raise when what they assert does not hold.

The order, highest first; two locks of one rank are never held together::

    SCHEDULES  >  HUB  >  POOL  >  TASK  >  WORKER  >  PROCESSES  >  INPUT  >  METRICS  >  LEAF
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Any


class Rank(IntEnum):
    """A thread that holds a lock may only take locks with a greater number."""

    SCHEDULES = 0  # held while the hub is asked whether a task is in use
    HUB = 1
    POOL = 2
    TASK = 3
    WORKER = 4
    PROCESSES = 5
    INPUT = 6  # held while the thread that writes what a full pipe did not take is asked to
    METRICS = 7  # held while a reply that shows counters is appended
    LEAF = 8  # outboxes, event log, timers, launcher: never take another lock


class LockOrderError(AssertionError):
    """A lock was taken out of order, or something slow was done under a lock."""


_seed = os.environ.get("OVERSEER_CHECK_LOCKS", "")
CHECKED = bool(_seed)
"""Whether the assertions here do anything; asked first where even calling them would cost too much."""
_random = random.Random(_seed)


class _Held(threading.local):
    """The calling thread's locks: ``stack`` in the order in which it took them, and those it has seized."""

    def __init__(self) -> None:
        self.stack: list[_CheckedLock] = []
        self.seized: list[Any] = []


_held = _Held()


class _CheckedLock:
    """A Lock that knows its rank; Condition accepts it as its lock."""

    def __init__(self, rank: Rank, name: str) -> None:
        self._inner = threading.Lock()
        self._rank = rank
        self._name = name

    def __repr__(self) -> str:
        return f"<{self._name} {self._rank.name}{' held' if self._inner.locked() else ''}>"

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        stack = _held.stack
        if blocking and stack and stack[-1]._rank >= self._rank:
            raise LockOrderError(f"{self!r} wanted while {stack!r} held")
        taken = self._inner.acquire(blocking, timeout)
        if taken:
            stack.append(self)
        return taken

    def release(self) -> None:
        _held.stack.remove(self)
        self._inner.release()
        if _random.random() < 0.1:
            time.sleep(0)  # a yield, not a wait: lets another thread in where it hurts most

    def locked(self) -> bool:
        return self._inner.locked()

    def _is_owned(self) -> bool:
        return self in _held.stack or self in _held.seized

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *exc: Any) -> None:
        self.release()


def lock(rank: Rank, name: str) -> threading.Lock:
    """A new lock of this rank; ``name`` is shown when the order is broken."""
    return _CheckedLock(rank, name) if _seed else threading.Lock()  # type: ignore[return-value]


def assert_none_held(what: str) -> None:
    """Called before I/O, a spawn or an upcall; raises LockOrderError in checked runs when a lock is held."""
    if _seed and _held.stack:
        raise LockOrderError(f"{what} while {_held.stack!r} held")


def assert_held(*needed: threading.Lock) -> None:
    """First line of a ``_locked`` method; raises LockOrderError in checked runs unless its lock is held, or
    one of them."""
    if _seed and not any(each in _held.stack or each in _held.seized for each in needed):  # type: ignore[comparison-overlap]
        raise LockOrderError(f"{' or '.join(map(repr, needed))} is not held")


@contextmanager
def seized(taken: threading.Lock, deadline: float) -> Iterator[None]:
    """Hold a lock whatever else is held, for a thread that brings all others to rest.

    Raises:
        TimeoutError: it is not free by ``deadline`` (monotonic).
    """
    inner: threading.Lock = getattr(taken, "_inner", taken)
    while not inner.acquire(blocking=False):
        if time.monotonic() >= deadline:
            raise TimeoutError(f"{taken!r} is held")
        time.sleep(0.0005)
    _held.seized.append(taken)
    try:
        yield
    finally:
        _held.seized.remove(taken)
        inner.release()
