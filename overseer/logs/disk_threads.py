"""Who touches the disk for all logs, so that nothing ever hangs there.

A call to a disk that does not respond cannot be cancelled. A thread that can be replaced
(``util.hung_threads``) reads and writes itself, since handing work over and back costs more than a write; if
it hangs, another goes on in its place. For all others one such thread writes, and they go on without it when
it hangs. A hanging thread ends when its call returns.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import suppress
from typing import TypeVar

from overseer.logs.trouble import Trouble
from overseer.util.hung_threads import Post, ReplaceableThreads, Replaced, post
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
    """Does what may hang: on the calling thread, or on one of its own, in order. Thread-safe."""

    def __init__(self) -> None:
        self.lost = 0  # lines that clients were sent but no log has
        self.trouble = Trouble()
        self._writer = ReplaceableThreads("log-writer", 1)
        self._lock = lock(Rank.LEAF, "disk threads")  # guards the fields below
        self._hung = 0  # replaced threads that have not returned
        self._closed = False
        self._calls: set[_Call] = set()  # under way; each operation on it is atomic
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
    ) -> bool:
        """Have ``work()``, which must not raise, done; False if it is not, or not within that time.

        Args:
            late: called by the successor of the calling thread, should it hang and have one.

        Raises:
            Replaced: ``late`` has been called, and the successor has gone on.
        """
        assert_none_held("writing to a log")
        if self._closed or self._hung >= _MOST_HUNG:
            return False
        if late is None or (call := self._begin(patience, late)) is None:
            return self._hand_over(work, patience)
        self._finish(work, call)
        return True

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
        return self._do_here(work, patience, late)

    def later(self, work: Callable[[], None]) -> None:
        """Have ``work()`` done later. It is dropped if no thread can be had, or if too many hang by then."""

        def job() -> None:
            if self._hung < _MOST_HUNG:
                self._do_here(work, PATIENCE_S, lambda: None)

        if not self._closed:
            with suppress(RuntimeError):
                self._writer.do(job)

    def close(self) -> None:
        """Accept no more work; what was accepted is still done, unless it hangs. Idempotent."""
        if not self._closed:
            self._closed = True
            self._writer.close(1.0)

    def _hand_over(self, work: Callable[[], None], patience: float) -> bool:
        """Have the writer do it."""
        done: Future[bool] = Future()

        def job() -> None:
            if done.set_running_or_notify_cancel():
                self._do_here(work, patience, lambda: done.set_result(False))
                done.set_result(True)

        try:
            self._writer.do(job)
            return done.result(max(patience, _STARVED_S))
        except RuntimeError as error:
            _log.warning("logs cannot be written: %s", error)
        except TimeoutError:
            done.cancel()  # unless it has begun
        return False

    def _do_here(self, work: Callable[[], _T], patience: float, late: Callable[[], None]) -> _T:
        """On the calling thread, watched if possible."""
        call = self._begin(patience, late)
        return work() if call is None else self._finish(work, call)

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

    def _finish(self, work: Callable[[], _T], call: _Call) -> _T:
        """Raises Replaced: the successor has gone on."""
        try:
            return work()
        finally:
            self._calls.discard(call)
            if not call.claim.acquire(blocking=False):
                with self._lock:
                    self._hung -= 1
                raise Replaced

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
            if not self._calls and (self._closed or now - self._latest > _WATCH_S):
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
