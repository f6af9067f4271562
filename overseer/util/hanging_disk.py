"""Waiting at start-up for a disk that may not respond, where a call cannot be cancelled."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

from overseer.errors import OverseerError
from overseer.util.threads import answer, start_thread

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
    found: Future[_T] = Future()

    def job() -> None:
        try:
            answer(found, work)
        except BaseException as error:  # such as SystemExit, for which nobody would wait here
            found.set_exception(error)

    start_thread(job, "start-up")
    if not wait([found], _SAY_S).done:
        _log.warning("%s; the start waits for it", problem)
        if not wait([found], None if patience is None else patience - _SAY_S).done:
            raise HangingError(problem)
    return found.result()
