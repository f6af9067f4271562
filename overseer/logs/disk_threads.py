"""Who touches the disk for all logs, so that nothing ever hangs there.

A call to a disk that does not respond cannot be cancelled. A thread that can be replaced
(``util.hung_threads``) reads and writes itself, since handing work over and back costs more than a write; if
it hangs, another goes on in its place. For all others one thread writes, and its callers go on without it
when it hangs. A hanging thread ends when its call returns.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from enum import Enum
from queue import SimpleQueue
from typing import TypeVar

from overseer.logs.trouble import Trouble
from overseer.util.hung_threads import Post, Replaced, post
from overseer.util.locks import Rank, assert_none_held, lock
from overseer.util.threads import start_thread

_log = logging.getLogger(__name__)

_T = TypeVar("_T")

PATIENCE_S = 0.2
"""How long a caller waits for a write."""
_MOST_HUNG = 8  # hanging threads at once; beyond that nothing is written until one returns
_STARVED_S = 2.0  # a machine too busy to write for this long is as bad as a slow disk
_MOMENT_S = 0.02  # in which a thread that waits for the GIL looks for it: it does so every 5 ms
_LOOK_AGAIN_S = 0.05  # at a call that takes too long but does not hang
_WATCH_S = 5.0  # that nobody began anything before nobody is watched any more


class Outcome(Enum):
    """What became of a job."""

    DONE = 1
    LATE = 2  # it is still being done
    NEVER = 3  # it will not be done


class _Job:
    __slots__ = ("claim", "done", "work", "writer")

    def __init__(self, work: Callable[[], None]) -> None:
        self.work = work
        self.claim = threading.Lock()  # taken by the writer that does it, or by a caller that gives up on it
        self.done = threading.Lock()  # held until it has been done
        self.done.acquire()
        self.writer: _Writer | None = None


class _Writer:
    """One thread; ``since``: when its job began, or 0."""

    __slots__ = ("native_id", "since")

    def __init__(self) -> None:
        self.native_id = 0
        self.since = 0.0

    def hangs(self, patience: float) -> bool:
        """Whether its job has been blocked for that long, rather than merely waiting for a CPU."""
        since = self.since
        return bool(since) and time.monotonic() - since >= patience and bool(_blocked([self.native_id]))


class _Call:
    """Work that a thread does itself which can be replaced."""

    __slots__ = ("claim", "due", "late", "post")

    def __init__(self, patience: float, late: Callable[[], None], post: Post) -> None:
        self.late = late
        self.post = post
        self.claim = threading.Lock()  # taken by who goes on: the thread itself, or its successor
        self.due = time.monotonic() + patience


def _blocked(threads: Iterable[int]) -> set[int]:
    """Those of these threads, by native id, that wait for something other than a processor or the GIL."""
    before = {thread: _waits(thread) for thread in threads}
    time.sleep(_MOMENT_S)
    return {thread for thread, waits in before.items() if waits and _waits(thread) == waits}


def _waits(thread: int) -> str:
    """Changes whenever that thread has run; "" if it only wants a processor."""
    try:
        with open(f"/proc/self/task/{thread}/status", "rb") as file:  # noqa: PTH123
            status = file.read().decode("ascii", "replace")
    except OSError:
        return "unknown"
    return "" if "\nState:\tR" in status else status.partition("\nvoluntary_ctxt_switches:")[2]


class DiskThreads:
    """Does jobs; those of its own thread in order, one at a time unless one hangs. Thread-safe."""

    def __init__(self) -> None:
        self.lost = 0  # lines that clients were sent but no log has
        self.trouble = Trouble()
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        self._lock = lock(Rank.LEAF, "disk threads")  # guards the fields below
        self._writer: _Writer | None = None  # takes jobs; started by the first one
        self._hung = 0  # replaced threads that have not returned
        self._closed = False
        self._calls: set[_Call] = set()  # of threads that do their work themselves; each op on it is atomic
        self._latest = 0.0  # when the last of these began
        self._watching = False  # a thread looks at them

    @property
    def hang(self) -> bool:
        """Whether the disk does not respond, as far as is known."""
        return self._hung > 0

    def do(
        self,
        work: Callable[[], None],
        patience: float = PATIENCE_S,
        late: Callable[[], None] | None = None,
    ) -> Outcome:
        """Have ``work()``, which must not raise, done within that time.

        Args:
            late: called by the successor of the calling thread, should it hang and have one.

        Raises:
            Replaced: ``late`` has been called, and the successor has gone on.
        """
        assert_none_held("writing to a log")
        if self._closed:
            return Outcome.NEVER
        if late is not None and self._hung < _MOST_HUNG and (call := self._begin(patience, late)) is not None:
            return self._do_here(work, call)
        job = _Job(work)
        if not self._submit(job):
            return Outcome.NEVER
        starved = time.monotonic() + max(patience, _STARVED_S)
        while not job.done.acquire(timeout=patience):
            writer = job.writer or self._writer
            if writer is not None and writer.hangs(patience):
                replaced = self._replace(writer)
                if job.writer is writer:
                    return Outcome.LATE
                if not replaced and job.claim.acquire(blocking=False):
                    return Outcome.NEVER
            elif time.monotonic() > starved and job.claim.acquire(blocking=False):
                return Outcome.NEVER
        return Outcome.DONE

    def read(self, work: Callable[[], _T], patience: float, late: Callable[[], None]) -> _T:
        """Do ``work()`` on the calling thread.

        Args:
            late: as for :meth:`do`.

        Raises:
            OSError: so many threads hang that this one had better not begin.
            Replaced: ``late`` has been called, and the successor has gone on.
            Exception: whatever ``work`` raises.
        """
        assert_none_held("reading a log")
        if self._hung >= _MOST_HUNG:
            raise OSError("the logs' disk does not respond")
        call = self._begin(patience, late)
        if call is None:
            return work()
        results: list[_T] = []
        errors: list[Exception] = []

        def job() -> None:
            try:
                results.append(work())
            except Exception as error:
                errors.append(error)

        self._do_here(job, call)
        if errors:
            raise errors[0]
        return results[0]

    def _begin(self, patience: float, late: Callable[[], None]) -> _Call | None:
        """Have the calling thread watched; None: it cannot be replaced."""
        mine = post()
        if mine is None:
            return None
        call = _Call(patience, late, mine)
        self._calls.add(call)
        self._latest = call.due - patience
        if self._watching or self._watch():
            return call
        self._calls.discard(call)
        return None

    def _do_here(self, work: Callable[[], None], call: _Call) -> Outcome:
        try:
            work()
        except Exception:
            _log.exception("a job of a log failed")
        self._calls.discard(call)
        if call.claim.acquire(blocking=False):
            return Outcome.DONE
        with self._lock:
            self._hung -= 1
        raise Replaced

    def later(self, work: Callable[[], None]) -> None:
        """Have ``work()`` done later."""
        if not self._closed:
            self._submit(_Job(work))

    def close(self) -> None:
        """Accept no more jobs; those accepted are still done, unless one hangs. Idempotent."""
        self._latest = 0.0  # so nobody needs to look any more
        with self._lock:
            open_, self._closed = not self._closed, True
            writer = self._writer
        if open_ and writer is not None:
            last = _Job(lambda: None)
            self._queue.put(last)
            last.done.acquire(timeout=1.0)
            self._queue.put(None)

    def _submit(self, job: _Job) -> bool:
        if self._writer is None and not self._start():
            return False
        if self._hung >= _MOST_HUNG:
            writer = self._writer
            if writer is None or writer.hangs(PATIENCE_S):
                return False
        self._queue.put(job)
        return True

    def _start(self) -> bool:
        with self._lock:
            if self._writer is not None:
                return True
            writer = self._writer = _Writer()
        try:
            start_thread(lambda: self._run(writer), "log-writer")
        except RuntimeError as error:
            _log.warning("logs cannot be written: %s", error)
            with self._lock:
                self._writer = None
            return False
        return True

    def _replace(self, writer: _Writer) -> bool:
        """Replace a hanging thread; False if too many hang."""
        with self._lock:
            if self._writer is not writer:
                return True
            if self._hung >= _MOST_HUNG:
                return False
            self._hung += 1
            self._writer = None
        return self._start()

    def _run(self, writer: _Writer) -> None:
        writer.native_id = threading.get_native_id()
        while self._writer is writer:
            job = self._queue.get()
            if job is None:
                return
            if not job.claim.acquire(blocking=False):
                continue
            job.writer = writer
            writer.since = time.monotonic()
            try:
                job.work()
            except Exception:
                _log.exception("a log's job failed")
            writer.since = 0.0
            job.done.release()
        with self._lock:
            self._hung -= 1

    def _watch(self) -> bool:
        """See to it that somebody looks at those who work themselves."""
        with self._lock:
            if self._watching:
                return True
            self._watching = True
        try:
            start_thread(self._look_at_calls, "log-watch")
        except RuntimeError:
            self._watching = False
            return False
        return True

    def _look_at_calls(self) -> None:
        while True:
            now = time.monotonic()
            if now - self._latest > _WATCH_S and not self._calls:
                # Said first and looked at then: whoever begins a call adds it first and looks then.
                self._watching = False
                if not self._calls or not self._watch_on():
                    return
            calls = list(self._calls)
            if due := [call for call in calls if call.due <= now]:
                blocked = _blocked([call.post.thread.native_id or 0 for call in due])
                for call in due:
                    if call.post.thread.native_id in blocked:
                        self._replace_caller(call)
                    call.due = now + _LOOK_AGAIN_S
            look_again = min([now + PATIENCE_S, *(call.due for call in calls)])
            time.sleep(max(0.0, look_again - time.monotonic()))

    def _watch_on(self) -> bool:
        """Go on watching, unless another thread does."""
        with self._lock:
            watching, self._watching = self._watching, True
        return not watching

    def _replace_caller(self, call: _Call) -> None:
        self._calls.discard(call)
        try:
            start_thread(lambda: self._succeed(call), call.post.thread.name)
        except RuntimeError:
            self._calls.add(call)

    def _succeed(self, call: _Call) -> None:
        """On the new thread: go on where the other one hangs, unless it has just returned."""
        if not call.claim.acquire(blocking=False):
            return
        with self._lock:
            self._hung += 1
        try:
            call.late()
        except Exception:
            _log.exception("going on without a log failed")
        call.post.go_on()
