"""The threads of probes: few, however many tasks. A probe that has to wait for one is late, not failed."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Hashable
from functools import partial

from overseer.util.locks import Rank, lock
from overseer.util.thread_pool import ThreadPool

_log = logging.getLogger(__name__)

_MOST = 32  # probes at once
_LINGER_S = 5.0  # that an idle thread waits for the next

Job = Callable[[], object]


class Pool:
    """Runs jobs in order, never two of the same key at once; safe from any thread."""

    def __init__(self, most: int = _MOST) -> None:
        self._threads = ThreadPool("probe", most, _LINGER_S)
        self._lock = lock(Rank.LEAF, "probes")  # guards the rest
        self._going: dict[Hashable, deque[Job]] = {}  # those with a job, and what comes after that
        self._closed = False

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
        self._threads.do(partial(self._run, key, job))

    def close(self, seconds: float = 1.0) -> None:
        """Drop jobs that have not begun, and wait for the others, at most ``seconds``. Idempotent."""
        self._threads.close()
        with self._lock:
            self._closed = True
            for following in self._going.values():
                following.clear()
        self._threads.close(seconds)

    def _run(self, key: Hashable, job: Job | None) -> None:
        while job is not None:
            try:
                job()
            except BaseException:
                _log.exception("a probe of %s failed", key)
            with self._lock:
                following = self._going[key]
                job = following.popleft() if following else None
                if job is None:
                    del self._going[key]
