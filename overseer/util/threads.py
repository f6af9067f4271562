"""Starting threads, all of them daemons: a program that forgets to close a server must still end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import TypeVar

_T = TypeVar("_T")


_BEGINS_S = 5.0  # within which a thread begins


class _NotBegunError(RuntimeError):
    """A thread does not begin."""


class _Begun(threading.Event):
    """What :meth:`threading.Thread.start` waits for, without end: a thread that finds no memory for its first
    frame ends without a word (https://github.com/python/cpython/issues/140746)."""

    def wait(self, timeout: float | None = None) -> bool:
        with suppress(RuntimeError, MemoryError):  # there may be no memory to wait with
            super().wait(_BEGINS_S if timeout is None else timeout)
        if timeout is None and not self.is_set():
            raise _NotBegunError("can't start new thread: it does not begin")
        return self.is_set()


class DaemonThread(threading.Thread):
    """A daemon thread whose start fails if it cannot begin, for lack of memory too."""

    _started: threading.Event

    def __init__(self, *, target: Callable[[], object], name: str) -> None:
        super().__init__(name=name, daemon=True)
        self._work = target
        self._started = _Begun()
        self._claim = threading.Lock()  # whoever gets it decides whether the thread runs

    def start(self) -> None:
        """Start it.

        Raises:
            RuntimeError: the system allows no more threads, or has no memory for one, and it will not run; or
                it has been started before.
        """
        if self._claim.locked():  # also by a start that has failed
            raise RuntimeError("threads can only be started once")
        try:
            super().start()
        except _NotBegunError:
            if self._claim.acquire(blocking=False):
                del self._work  # threading keeps a thread that has not begun
                raise
            # It has begun after all.
        except MemoryError:
            raise RuntimeError("can't start new thread: out of memory") from None

    def run(self) -> None:
        if self._claim.acquire(blocking=False):  # otherwise its start has failed
            work = self._work
            del self._work  # most often a method of what has this thread: a cycle
            work()


class VitalThread(DaemonThread):
    """A thread whose failure ends the server, rather than leave it deaf or blind.

    The daemon hears of it by ``threading.excepthook``; in another program it is a traceback.
    """


def start_thread(target: Callable[[], object], name: str) -> threading.Thread:
    """Run ``target()`` on a daemon thread.

    Raises:
        RuntimeError: the system allows no more threads.
    """
    thread = DaemonThread(target=target, name=name)
    thread.start()
    return thread


def run_on_thread(target: Callable[[], object], name: str) -> threading.Thread | None:
    """Run ``target()`` on a daemon thread, or right here when the system allows no more threads."""
    try:
        return start_thread(target, name)
    except RuntimeError:
        target()
        return None


def answer(future: Future[_T], work: Callable[[], _T]) -> None:
    """Do ``work()`` for whoever waits for the future."""
    try:
        future.set_result(work())
    except Exception as error:
        future.set_exception(error)
