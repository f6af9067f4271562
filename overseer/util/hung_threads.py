"""Replacement of a thread that hangs in a call, as on a dead disk, by another that continues in its place."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import NamedTuple

from overseer.util.locks import Rank, lock
from overseer.util.threads import start_thread

_log = logging.getLogger(__name__)
_here = threading.local()


class Post(NamedTuple):
    """What a thread does that can be replaced; its successor calls ``go_on()``."""

    go_on: Callable[[], None]
    thread: threading.Thread


class Replaced(BaseException):
    """Raised to unwind a replaced thread once its call has returned."""


class replaceable:
    """While entered, another thread can replace the calling one by calling ``go_on()``; None: it cannot be
    replaced.

    The stack between the two is later unwound by :class:`Replaced`, perhaps after ``go_on()`` has ended.
    """

    __slots__ = ("_go_on",)

    def __init__(self, go_on: Callable[[], None] | None) -> None:
        self._go_on = go_on

    def __enter__(self) -> None:
        _here.post = None if self._go_on is None else Post(self._go_on, threading.current_thread())

    def __exit__(self, *exc: object) -> None:
        _here.post = None


def post() -> Post | None:
    """The calling thread's; None: it cannot be replaced."""
    mine: Post | None = getattr(_here, "post", None)
    return mine


class ReplaceableThreads:
    """Does jobs in order of arrival, on at most so many threads, which can be replaced. Thread-safe.

    Args:
        name: of the threads, which are started when there is something to do.
    """

    def __init__(self, name: str, most: int) -> None:
        self._name = name
        self._most = most
        self._jobs: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        # Guards the fields below; notified when a thread has ended.
        self._ended = threading.Condition(lock(Rank.LEAF, f"{name} threads"))
        self._threads = 0
        self._closed = False

    def do(self, job: Callable[[], object]) -> None:
        """Have a job done, unless it comes after the end.

        Raises:
            RuntimeError: it has no threads, and none can be started.
        """
        with self._ended:
            begin = self._threads < self._most and not self._closed
            self._threads += begin
        if begin:
            try:
                start_thread(self._work, self._name)
            except RuntimeError:
                with self._ended:
                    self._threads -= 1
                    if not self._threads:
                        raise
        self._jobs.put(job)

    def close(self, timeout: float = 0.0) -> None:
        """End the threads, once they have done what came before, and wait for that so many seconds."""
        with self._ended:
            self._closed = True
            for _ in range(self._threads):
                self._jobs.put(None)
            self._ended.wait_for(lambda: not self._threads, timeout)

    def _work(self) -> None:
        with replaceable(self._work), suppress(Replaced):
            while (job := self._jobs.get()) is not None:
                try:
                    job()
                except Exception:
                    _log.exception("%s: a job failed", self._name)
            with self._ended:
                self._threads -= 1
                self._ended.notify_all()
