"""The thread that touches the disk for all logs, so that no other ever hangs there.

A write to a disk that does not respond cannot be cancelled. Its caller then goes on without it, and the
hanging thread is replaced; it ends when its call returns.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from enum import Enum
from queue import SimpleQueue

from overseer.util.locks import Rank, assert_none_held, lock
from overseer.util.threads import start_thread

_log = logging.getLogger(__name__)

PATIENCE_S = 0.2
"""How long a caller waits for a write."""
_MOST_HUNG = 8  # hanging threads at once; beyond that nothing is written until one returns
_STARVED_S = (
    2.0  # a machine too busy to write for this long is as bad as a slow disk
)


class Outcome(Enum):
    """What became of a job."""

    DONE = 1
    LATE = 2  # it is still being done
    NEVER = 3  # it will not be done


class _Job:
    __slots__ = ("claim", "done", "hand", "work")

    def __init__(self, work: Callable[[], None]) -> None:
        self.work = work
        self.claim = threading.Lock()  # taken by the hand that does it, or by a caller that gives up on it
        self.done = threading.Lock()  # held until it has been done
        self.done.acquire()
        self.hand: _Hand | None = None


class _Hand:
    """One thread; ``since``: when its job began, or 0."""

    __slots__ = ("native_id", "since")

    def __init__(self) -> None:
        self.native_id = 0
        self.since = 0.0

    def hangs(self, patience: float) -> bool:
        """Whether its job has been blocked for that long, rather than merely waiting for a CPU."""
        since = self.since
        if not since or time.monotonic() - since < patience:
            return False
        try:
            with open(f"/proc/self/task/{self.native_id}/stat", "rb") as file:  # noqa: PTH123
                return file.read().rpartition(b") ")[2][:1] != b"R"
        except OSError:
            return True


class Hands:
    """Does jobs in order, one at a time unless one hangs. Thread-safe."""

    def __init__(self) -> None:
        self.lost = 0  # lines that clients were sent but no log has
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        self._lock = lock(Rank.LEAF, "hands")  # guards the fields below
        self._hand: _Hand | None = None  # takes jobs; started by the first one
        self._hung = 0  # replaced threads that have not returned

    def do(self, work: Callable[[], None], patience: float = PATIENCE_S) -> Outcome:
        """Have ``work()``, which must not raise, done within that time."""
        assert_none_held("writing to a log")
        job = _Job(work)
        if not self._submit(job):
            return Outcome.NEVER
        starved = time.monotonic() + max(patience, _STARVED_S)
        while not job.done.acquire(timeout=patience):
            hand = job.hand or self._hand
            if hand is not None and hand.hangs(patience):
                replaced = self._replace(hand)
                if job.hand is hand:
                    return Outcome.LATE
                if not replaced and job.claim.acquire(blocking=False):
                    return Outcome.NEVER
            elif time.monotonic() > starved and job.claim.acquire(blocking=False):
                return Outcome.NEVER
        return Outcome.DONE

    def later(self, work: Callable[[], None]) -> None:
        """Have ``work()`` done later."""
        self._submit(_Job(work))

    def close(self) -> None:
        """Accept no more jobs; those accepted are still done, unless one hangs."""
        with self._lock:
            hand = self._hand
        if hand is not None:
            self.do(lambda: None, 1.0)
            self._queue.put(None)

    def _submit(self, job: _Job) -> bool:
        if self._hand is None and not self._start():
            return False
        if self._hung >= _MOST_HUNG:
            hand = self._hand
            if hand is None or hand.hangs(PATIENCE_S):
                return False
        self._queue.put(job)
        return True

    def _start(self) -> bool:
        with self._lock:
            if self._hand is not None:
                return True
            hand = self._hand = _Hand()
        try:
            start_thread(lambda: self._run(hand), "log-writer")
        except RuntimeError as error:
            _log.warning("logs cannot be written: %s", error)
            with self._lock:
                self._hand = None
            return False
        return True

    def _replace(self, hand: _Hand) -> bool:
        """Replace a hanging thread; False if too many hang."""
        with self._lock:
            if self._hand is not hand:
                return True
            if self._hung >= _MOST_HUNG:
                return False
            self._hung += 1
            self._hand = None
        return self._start()

    def _run(self, hand: _Hand) -> None:
        hand.native_id = threading.get_native_id()
        while self._hand is hand:
            job = self._queue.get()
            if job is None:
                return
            if not job.claim.acquire(blocking=False):
                continue
            job.hand = hand
            hand.since = time.monotonic()
            try:
                job.work()
            except Exception:
                _log.exception("a log's job failed")
            hand.since = 0.0
            job.done.release()
        with self._lock:
            self._hung -= 1
