"""Waiting at start-up for a disk that may not respond, where a call cannot be cancelled."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TypeVar

from overseer.errors import OverseerError
from overseer.util.threads import start_thread

_log = logging.getLogger(__name__)

_T = TypeVar("_T")
_SAY_S = 2.0
PATIENCE_S = 30.0
"""How long a disk is waited for that does not respond."""


class HangingError(OverseerError):
    """It has not returned in time."""


def patiently(work: Callable[[], _T], problem: str, patience: float | None = PATIENCE_S) -> _T:
    """Do ``work()`` on another thread.

    Args:
        problem: what is wrong when it takes long; a warning says so after two seconds.
        patience: how long to wait, in seconds; None: until it is over.

    Raises:
        HangingError: it is not over by then.
        RuntimeError: the system allows no more threads.
        Exception: whatever ``work`` raises.
    """
    over = threading.Event()
    results: list[_T] = []
    errors: list[BaseException] = []

    def do() -> None:
        try:
            results.append(work())
        except BaseException as error:
            errors.append(error)
        over.set()

    start_thread(do, "start-up")
    if not over.wait(_SAY_S):
        _log.warning("%s; the start waits for it", problem)
        if not over.wait(None if patience is None else patience - _SAY_S):
            raise HangingError(problem)
    if errors:
        raise errors[0]
    return results[0]
