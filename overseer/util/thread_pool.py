"""A small thread pool for slow jobs, without threads while there are no jobs."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from functools import partial

from overseer.util.locks import Rank, lock
from overseer.util.threads import start_thread

_log = logging.getLogger(__name__)


class ThreadPool:
    """Does jobs in order of arrival, ``most`` at a time. Thread-safe.

    Args:
        name: of its threads.
        linger: for how many seconds an idle thread waits for a job before it ends.
    """

    def __init__(self, name: str, most: int, linger: float = 0.0) -> None:
        self._name = name
        self._most = most
        self._linger = linger
        self._lock = lock(Rank.LEAF, f"thread pool {name}")  # guards the rest
        self._wanted = threading.Condition(self._lock)  # notified of a job for an idle thread, and at the end
        self._over = threading.Condition(self._lock)  # notified when the last thread ends
        self._jobs: deque[Callable[[], object]] = deque()
        self._threads = 0
        self._idle = 0
        self._closed = False

    def do(self, job: Callable[[], object]) -> bool:
        """Have a job done, on another thread if there is one or can be; False once closed."""
        with self._lock:
            if self._closed:
                return False
            self._jobs.append(job)
            if len(self._jobs) <= self._idle:
                self._wanted.notify()
                return True
            if self._threads == self._most:
                return True
            self._threads += 1
        try:
            start_thread(partial(self._work, self._linger), self._name)
        except RuntimeError:  # the system allows no more threads
            with self._lock:
                others = self._threads > 1
                self._threads -= others
            if not others:
                self._work(0.0)
        return True

    @property
    def busy(self) -> bool:
        """Whether jobs wait or are being done."""
        with self._lock:
            return bool(self._jobs) or self._threads > self._idle

    def close(self, timeout: float = 0.0, *, drop: bool = True) -> bool:
        """Accept no more jobs, and wait for running ones; returns whether they are over. Idempotent.

        Args:
            drop: drop jobs that have not begun, rather than do them.
        """
        with self._lock:
            self._closed = True
            if drop:
                self._jobs.clear()
            self._wanted.notify_all()
            return self._over.wait_for(lambda: not self._threads, timeout)

    def _work(self, linger: float) -> None:
        while True:
            with self._lock:
                if linger and not self._jobs:
                    self._idle += 1
                    self._wanted.wait_for(lambda: self._jobs or self._closed, linger)
                    self._idle -= 1
                if not self._jobs:
                    self._threads -= 1
                    self._over.notify_all()
                    return
                job = self._jobs.popleft()
            try:
                job()
            except Exception:
                _log.exception("%s: a job failed", self._name)
