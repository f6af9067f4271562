"""Starting threads, all of them daemons: a program that forgets to close a server must still end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

_T = TypeVar("_T")


class VitalThread(threading.Thread):
    """A thread whose failure ends the server, rather than leave it deaf or blind.

    The daemon hears of it by ``threading.excepthook``; in another program it is a traceback.
    """

    def __init__(self, *, target: Callable[[], None], name: str) -> None:
        super().__init__(target=target, name=name, daemon=True)


def start_thread(target: Callable[[], object], name: str) -> threading.Thread:
    """Run ``target()`` on a daemon thread.

    Raises:
        RuntimeError: the system allows no more threads.
    """
    thread = threading.Thread(target=target, name=name, daemon=True)
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
