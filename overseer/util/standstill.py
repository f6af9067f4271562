"""Bringing a process to a standstill: every thread rests where nothing is half done.

What must not be torn apart is a *step*: a change and what follows from it, or what was read until it has been
passed on. A thread within a step may begin further ones. While it is closed, no other thread begins one, and
once those under way are over, all that the process knows is in its objects.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from threading import get_ident
from types import TracebackType


class Standstill:
    """A context manager: its block is a step. Thread-safe; no lock may be held where a thread's first begins.

    It takes no lock while it is open: a thread enters its step first and looks whether it is closed then, and
    whoever closes it does so first and looks for steps then, so that one of the two sees the other.

    Attributes:
        closed: no step begins; those under way should not wait for clients.
    """

    def __init__(self) -> None:
        self.closed = False
        # Unranked: nothing is taken under it.
        self._changed = threading.Condition(threading.Lock())
        self._depths: dict[int, int] = {}  # of the threads within a step: how many, one within the other

    def __enter__(self) -> None:
        thread = get_ident()
        depth = self._depths.get(thread, 0)
        self._depths[thread] = depth + 1
        if self.closed and not depth:
            self._begin_when_open(thread)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        thread = get_ident()
        depth = self._depths[thread]
        if depth > 1:
            self._depths[thread] = depth - 1
            return
        del self._depths[thread]
        if self.closed:
            with self._changed:
                self._changed.notify_all()

    def _begin_when_open(self, thread: int) -> None:
        with self._changed:
            del self._depths[thread]
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self.closed)
            self._depths[thread] = 1

    @contextmanager
    def rest(self) -> Iterator[None]:
        """A block that is no part of the step that the thread is within, if any: it waits for something."""
        within = get_ident() in self._depths
        if within:
            self.__exit__(None, None, None)
        try:
            yield
        finally:
            if within:
                self.__enter__()

    def close(self) -> None:
        """Let no step begin; :meth:`wait` must follow."""
        with self._changed:
            self.closed = True

    def wait(self, seconds: float) -> bool:
        """Wait until no step is under way; False after so many seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._depths, seconds)

    def open(self) -> None:
        """Let steps begin again. Idempotent."""
        with self._changed:
            self.closed = False
            self._changed.notify_all()


standstill = Standstill()
"""This process's."""
