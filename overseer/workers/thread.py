"""A worker that is a Python function on a thread.

A function that ignores its stop cannot be killed: after the grace its worker is declared exited (exit code
-1), whatever it still sends is dropped, and its thread is abandoned and counted. An ``on_output`` that does
not return holds up the end of a run that is stopped for eleven seconds, and then no longer.
"""

from __future__ import annotations

import logging
import operator
import threading
import time
from collections.abc import Callable

from overseer.errors import SpawnError
from overseer.util.locks import Rank, assert_held, lock
from overseer.util.masking import log_failure
from overseer.util.threads import run_on_thread, start_thread
from overseer.util.timestamps import now
from overseer.util.waiters import Waiters
from overseer.workers.base import OutputBatch, RunContext, Worker, WorkerCallbacks

_log = logging.getLogger(__name__)

_TAKEN_IN_S = 11.0  # what is under way when a run that is to stop has ended

Send = Callable[[str, str], None]
"""``send(stream, line)``, from any thread; blocks while clients lag (back-pressure)."""

_abandoned_lock = lock(Rank.LEAF, "abandoned threads")
_abandoned = 0


def abandoned_count() -> int:
    """How many abandoned threads still run."""
    with _abandoned_lock:
        return _abandoned


def _count_abandoned(change: int) -> None:
    global _abandoned
    with _abandoned_lock:
        _abandoned += change


class VirtualContext:
    """Passed to a virtual worker's function.

    Attributes:
        task_id: the task.
        stopped: set when the function should return.
    """

    def __init__(self, task_id: str) -> None:
        self.task_id = task_id
        self.stopped = threading.Event()

    def wait(self, seconds: float | None = None) -> bool:
        """Sleep for ``seconds``; returns True, early, when stopped."""
        return self.stopped.wait(seconds)


def start_virtual_worker(
    task_id: str, fn: Callable[[VirtualContext, Send], int | None], callbacks: WorkerCallbacks
) -> Worker:
    """Run ``fn(context, send)`` on a thread of its own; its result is the exit code, None is 0.

    An exception becomes exit code 1 and a line on stderr. A line that contains newlines is sent as several.

    Raises:
        SpawnError: the system allows no more threads.
    """
    run = callbacks.run or RunContext(task_id)
    worker = VirtualWorker(task_id, fn, callbacks, run)
    worker.begin()
    worker.begun()
    return worker


class VirtualWorker(Worker):
    """See the module. Created by :func:`start_virtual_worker`."""

    hides_secrets = True

    def __init__(
        self,
        task_id: str,
        fn: Callable[[VirtualContext, Send], int | None],
        callbacks: WorkerCallbacks,
        run: RunContext,
    ) -> None:
        super().__init__(task_id, 0, callbacks)
        self._fn = fn
        self._run_context = run
        self.context = VirtualContext(task_id)
        # The worker's lock guards the rest.
        self._for_turn = Waiters(self._lock)  # to call on_output
        self._until_closed = Waiters(self._lock)  # the stop
        self._sending: int | None = None  # the thread whose turn it is to call on_output
        self._closed = False  # the end is decided; further output is dropped
        self._abandoned = False
        self._give_up_at: float | None = None  # a stop is under way
        self._drop_at: float | None = None  # the end will not wait longer for an on_output

    def begin(self) -> None:
        """Start the thread. Raises SpawnError."""
        try:
            start_thread(self._run, f"virtual-{self.task_id}")
        except RuntimeError as error:
            self._closed = True
            self._over.set()
            raise SpawnError(f"cannot start a task: {error}") from error

    def stop(self, grace: float | None = None) -> None:
        give_up_at = time.monotonic() + max(0.0, self._run_context.stop.grace if grace is None else grace)
        with self._lock:
            if self._closed:
                self._hurry_locked()
                return
            self._intentional = True
            if self._give_up_at is not None:
                self._give_up_at = min(self._give_up_at, give_up_at)
                self._until_closed.wake()
                return
            self._give_up_at = give_up_at
        self.context.stopped.set()
        run_on_thread(self._wait_to_give_up, f"stop-{self.task_id}")

    def _run(self) -> None:
        try:
            code = self._call()
            with self._lock:
                if self._abandoned:
                    _count_abandoned(-1)
                    return
                self._close_locked()
            self._finish(code)
        except BaseException:
            _log.exception("task %s: the end of its function failed", self.task_id)

    def _call(self) -> int:
        """Call the function; returns an exit code, whatever it raises."""
        try:
            code = self._fn(self.context, self._send)
            return 0 if code is None else int(operator.index(code))
        except BaseException as error:  # SystemExit too: a thread's end must not go unnoticed
            secrets = self._run_context.secrets
            log_failure(_log, secrets, "task %s: its function failed", self.task_id, level=logging.INFO)
            try:
                self._send("stderr", _text(error))
            except BaseException:
                _log.exception("task %s: what its function failed with cannot be sent", self.task_id)
            return 1

    def _wait_to_give_up(self) -> None:
        """Wait until the function, which was asked to return, has done so, or the grace is over."""
        try:
            with self._lock:
                while not self._closed:
                    assert self._give_up_at is not None
                    at = self._give_up_at
                    if (remaining := at - time.monotonic()) > 0:
                        self._until_closed.wait_for(
                            lambda at=at: self._closed or self._give_up_at != at,  # type: ignore[misc]
                            min(remaining, threading.TIMEOUT_MAX),
                        )
                        continue
                    self._abandoned = True
                    _count_abandoned(1)
                    self._close_locked()
                if not self._abandoned:
                    return
            self._event("its function ignores its stop and is abandoned")
            self._finish(-1)
        except BaseException:
            _log.exception("task %s: its stop failed", self.task_id)

    def _close_locked(self) -> None:
        """The end is decided."""
        assert_held(self._lock)
        self._closed = True
        self._for_turn.wake()
        self._until_closed.wake()

    def _finish(self, code: int) -> None:
        """After this thread has set ``_closed``: wait for an on_output under way, then announce the end."""
        with self._lock:
            if self._give_up_at is not None:
                self._hurry_locked()
            while self._sending is not None:
                drop_at = self._drop_at
                remaining = None if drop_at is None else drop_at - time.monotonic()
                if remaining is not None and remaining <= 0:
                    break
                self._for_turn.wait_for(
                    lambda at=drop_at: self._sending is None or self._drop_at != at,  # type: ignore[misc]
                    remaining,
                )
            dropped = self._sending is not None
            end, intentional = self._exited_locked(code, ""), self._intentional
        if dropped:
            self._event("the rest of its output is dropped: it was not taken in time")
        self._announce(end, intentional)

    def _hurry_locked(self) -> None:
        """It is to stop: an on_output under way has a limited time to return."""
        assert_held(self._lock)
        if self._drop_at is None:
            self._drop_at = time.monotonic() + _TAKEN_IN_S
            self._for_turn.wake()

    def _send(self, stream: str, line: str) -> None:
        if stream not in ("stdout", "stderr"):
            raise ValueError(f"no such stream: {stream!r}")
        batches = self._batches(stream, line)
        me = threading.get_ident()
        with self._lock:
            if self._sending == me:
                raise RuntimeError("send() called from within on_output")
            self._for_turn.wait_for(lambda: self._sending is None or self._closed)
            if self._closed:
                return
            self._sending = me
        try:
            for batch in batches:
                self.pass_on(batch)
        finally:
            with self._lock:
                self._sending = None
                self._for_turn.wake()

    def _batches(self, stream: str, text: str) -> list[OutputBatch]:
        """The text's lines by the rules of a pipe; a line that is too long has its own batch."""
        data = text.encode("utf-8", "surrogatepass")  # a lone surrogate becomes bad bytes, as in a pipe
        splitter = self._run_context.splitter()
        groups = splitter.feed(data if data.endswith(b"\n") else data + b"\n")
        at = now()
        return [
            OutputBatch(stream, at, lines, mark == "truncated", mark == "overwritten")
            for lines, mark in groups
        ]


def _text(error: BaseException) -> str:
    """The exception's text, or its type if it has none or raises, which a driver's own may do."""
    try:
        return str(error) or type(error).__name__
    except Exception:
        return type(error).__name__
