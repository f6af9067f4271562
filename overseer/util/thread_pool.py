"""A small thread pool for slow jobs, without threads while there are no jobs."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable

from overseer.util.locks import Rank, lock
from overseer.util.threads import run_on_thread

_log = logging.getLogger(__name__)


class ThreadPool:
    """Does jobs in order of arrival, ``most`` at a time. Thread-safe.

    Args:
        name: of its threads.
    """

    def __init__(self, name: str, most: int) -> None:
        self._name = name
        self._most = most
        self._lock = lock(Rank.LEAF, f"thread pool {name}")  # guards the rest
        self._idle = threading.Condition(self._lock)  # notified when the last thread ends
        self._jobs: deque[Callable[[], object]] = deque()
        self._threads = 0
        self._closed = False

    def do(self, job: Callable[[], object]) -> bool:
        """Have a job done, on another thread if one can be started; False once closed."""
        with self._lock:
            if self._closed:
                return False
            self._jobs.append(job)
            if self._threads == self._most:
                return True
            self._threads += 1
        run_on_thread(self._work, self._name)
        return True

    @property
    def busy(self) -> bool:
        """Whether jobs wait or are being done."""
        with self._lock:
            return self._threads > 0

    def close(self, timeout: float = 0.0, *, drop: bool = True) -> bool:
        """Accept no more jobs, and wait for running ones; returns whether they are over. Idempotent.

        Args:
            drop: drop jobs that have not begun, rather than do them.
        """
        with self._lock:
            self._closed = True
            if drop:
                self._jobs.clear()
            return self._idle.wait_for(lambda: not self._threads, timeout)

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._jobs:
                    self._threads -= 1
                    self._idle.notify_all()
                    return
                job = self._jobs.popleft()
            try:
                job()
            except Exception:
                _log.exception("%s: a job failed", self._name)
