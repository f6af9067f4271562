"""The threads of probes: few, however many tasks. A probe that has to wait for one is late, not failed."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable

from overseer.util.locks import Rank, assert_held, lock
from overseer.util.threads import start_thread

_log = logging.getLogger(__name__)

_MOST = 32  # probes at once
_LINGER_S = 5.0  # an idle thread ends after this long

Job = Callable[[], object]


class Pool:
    """Runs jobs in order, never two of the same key at once; safe from any thread."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._lock = lock(Rank.LEAF, "probes")  # guards the rest
        self._work = threading.Condition(self._lock)  # notified when there is a job, and at the end
        self._ready: deque[tuple[Hashable, Job]] = deque()
        self._going: dict[Hashable, deque[Job]] = {}  # those with a job, and what comes after that
        self._idle = 0
        self._threads: set[threading.Thread] = set()
        self._numbers = itertools.count(1)
        self._closed = False

    def __repr__(self) -> str:
        return f"<Pool {len(self._threads)} threads, {len(self._going)} going>"

    def submit(self, key: Hashable, job: Job) -> None:
        """Run a job once a thread is free and no other job of its key runs; never after :meth:`close`."""
        with self._lock:
            if self._closed:
                return
            following = self._going.get(key)
            if following is not None:
                following.append(job)
                return
            self._going[key] = deque()
            self._ready.append((key, job))
            if len(self._ready) <= self._idle:
                self._work.notify()
                return
            fault = len(self._threads) < self._most and self._add_thread_locked()
        if fault:
            _log.warning("probes are late: %s", fault)

    def _add_thread_locked(self) -> str:
        """Returns why none could be started; the job then waits for another thread, or the next job."""
        assert_held(self._lock)
        try:
            self._threads.add(start_thread(self._run, f"probe-{next(self._numbers)}"))
        except RuntimeError as error:
            return str(error)
        return ""

    def close(self, seconds: float = 1.0) -> None:
        """Drop jobs that have not begun, and wait for the others, at most ``seconds``. Idempotent."""
        with self._lock:
            self._closed = True
            self._ready.clear()
            self._work.notify_all()
            threads = list(self._threads)
        end = time.monotonic() + seconds
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))

    def _next(self) -> tuple[Hashable, Job] | None:
        """Wait for a job; None when the thread should end."""
        with self._lock:
            self._idle += 1
            in_time = self._work.wait_for(lambda: self._ready or self._closed, _LINGER_S)
            self._idle -= 1
            if not in_time or self._closed:
                self._threads.discard(threading.current_thread())
                return None
            return self._ready.popleft()

    def _run(self) -> None:
        while (found := self._next()) is not None:
            key, job = found
            try:
                job()
            except BaseException:
                _log.exception("a probe of %s failed", key)
            with self._lock:
                following = self._going[key]
                if following and not self._closed:
                    self._ready.append((key, following.popleft()))  # this thread or another takes it
                else:
                    del self._going[key]
