"""The daemon's main thread: waits for signals and acts on them one at a time."""

from __future__ import annotations

import logging
import os
import select
import signal
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

from overseer.errors import ClosingError, RequestError
from overseer.util.threads import run_on_thread
from overseer.util.wakeup import Wakeup, poll_timeout

_log = logging.getLogger(__name__)

_ENDING = (signal.SIGINT, signal.SIGTERM)
_HEARD = (*_ENDING, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCHLD)
# Python itself ignores the first two, and resets them for children. With a handler for the others, a
# background process that uses its terminal would loop: an interrupted call is made again.
_LEFT_IGNORED = {signal.SIGPIPE, signal.SIGXFSZ, signal.SIGTTIN, signal.SIGTTOU}
_RETRY_S = 1.0  # between tries of reaping after a failure
_REAP_S = 0.02  # between two looks for what has ended
_BUSY_S = 2.0  # for the main thread to come to a job


class _Job:
    """Work for the main thread, unless whoever asked for it has given up."""

    def __init__(self, work: Callable[[], None]) -> None:
        self.work = work
        self.over = threading.Event()
        self.error: Exception | None = None
        self._free = threading.Lock()

    def claim(self) -> bool:
        """True to the first who asks: the main thread, to do it, or the other, to give it up."""
        return self._free.acquire(blocking=False)


class SignalLoop:
    """Signals become bytes in a pipe (``signal.set_wakeup_fd``), which the loop reads.

    SIGINT and SIGTERM begin the shutdown, and a second one cuts it short. SIGHUP reloads, SIGUSR1 reopens log
    files, SIGUSR2 upgrades. SIGCHLD means that a process has ended, perhaps an adopted orphan.

    Other signals that were ignored (``nohup``, a shell's ``&``) get a no-op handler: children inherit an
    ignored signal, which then could not stop them, but not a handler.

    A context manager for the main thread, which restores the former handlers; but once the shutdown is over
    and the process about to exit, SIGINT and SIGTERM are ignored.

    Args:
        end: shuts down; called once, on its own thread. The loop ends with it.
        end_now: called when a shutdown under way is asked for again.
        reopen: called on SIGUSR1.
        reload: called on SIGHUP.
        upgrade: called on SIGUSR2.
        reap: called on SIGCHLD; returns in how many seconds to call it again anyway, or None.
        pipe: that of the program before this one, with the signals that it has not acted on.
    """

    def __init__(
        self,
        *,
        end: Callable[[], None],
        end_now: Callable[[], None],
        reopen: Callable[[], None],
        reload: Callable[[], None],
        upgrade: Callable[[], None],
        reap: Callable[[], float | None],
        pipe: tuple[int, int] | None = None,
    ) -> None:
        self._end = end
        self._end_now = end_now
        self._reopen = reopen
        self._reload = reload
        self._upgrade = upgrade
        self._reap = reap
        self._read, self._write = pipe or os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._job: _Job | None = None  # to be done on this thread
        self._wake = Wakeup()
        # Set by other threads, which then wake the loop.
        self._end_requested = False
        self._ended = False
        self._ending: threading.Thread | None = None
        self._before: dict[int, Any] = {}
        self._wakeup_before = -1

    def __enter__(self) -> SignalLoop:
        self._wakeup_before = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        ignored = {number for number in signal.valid_signals() if signal.getsignal(number) is signal.SIG_IGN}
        for number in {*_HEARD, *ignored - _LEFT_IGNORED}:
            self._before[number] = signal.signal(number, lambda *_: None)
        # A program that hands over to another blocks them until that one has its handlers.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signal.valid_signals())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            over = self._ended and number in _ENDING
            signal.signal(number, signal.SIG_IGN if over else handler)
        signal.set_wakeup_fd(self._wakeup_before)
        self._wake.close()
        os.close(self._read)
        os.close(self._write)

    def request_end(self) -> None:
        """Begin the shutdown as a signal would; from any thread."""
        self._end_requested = True
        self._wake.set()

    @property
    def pipe(self) -> tuple[int, int]:
        """Where signals come, for the program that follows."""
        return self._read, self._write

    def call(self, work: Callable[[], None]) -> None:
        """Have ``work()`` done on the main thread with no signal in between, and wait for it; from another
        thread. Signals that have not been acted on by then stay in the pipe.

        Raises:
            RequestError: the server is shutting down, or the main thread does not come to it.
            Exception: whatever the work raises.
        """
        job = _Job(work)
        self._job = job
        self._wake.set()
        if not job.over.wait(_BUSY_S) and job.claim():
            raise RequestError("the server is busy with a signal: try again", code="unavailable")
        job.over.wait()
        if job.error is not None:
            raise job.error

    def _do(self, job: _Job) -> None:
        if not job.claim():
            return
        try:
            if self._ending is not None or self._end_requested:
                raise ClosingError()
            self._alone(job.work)
        except Exception as error:
            job.error = error
        finally:
            job.over.set()

    def _alone(self, job: Callable[[], None]) -> None:
        """Do it with all signals blocked, and those ignored that were."""
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        ignored = [number for number, handler in self._before.items() if handler is signal.SIG_IGN]
        try:
            for number in ignored:
                signal.signal(number, signal.SIG_IGN)
            job()
        finally:  # it has not become another program
            for number in ignored:
                signal.signal(number, lambda *_: None)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def run(self) -> None:
        """Act on signals until the shutdown is complete."""
        poll = select.poll()
        poll.register(self._read, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        # Monotonic; None: once something ends. First at once, as an earlier program may have been about to.
        reap_at: float | None = time.monotonic()
        reaped = -_REAP_S
        while not self._ended:
            timeout = None if reap_at is None else poll_timeout(reap_at - time.monotonic())
            ready = {fd for fd, _ in poll.poll(timeout)}
            if self._wake.fileno() in ready:
                self._wake.clear()
            if (job := self._job) is not None:
                self._job = None
                self._do(job)
            said = os.read(self._read, 4096) if self._read in ready else b""
            # No failure may end this thread, which would end the server.
            for number in said:
                try:
                    self._act(number)
                except Exception:
                    _log.exception("acting on signal %d failed", number)
            if self._end_requested and self._ending is None:
                self._ask_to_end()
            if signal.SIGCHLD in said:
                at = reaped + _REAP_S  # so that many ends at once cost one look
                reap_at = at if reap_at is None else min(reap_at, at)
            if reap_at is not None and reap_at <= time.monotonic():
                try:
                    again = self._reap()
                except Exception:
                    _log.exception("reaping failed")
                    again = _RETRY_S
                reaped = time.monotonic()
                reap_at = None if again is None else reaped + again
        if self._ending is not None:
            self._ending.join()

    def _act(self, number: int) -> None:
        if number in _ENDING:
            self._ask_to_end()
        elif number == signal.SIGHUP:
            self._reload()
        elif number == signal.SIGUSR1:
            self._reopen()
        elif number == signal.SIGUSR2:
            self._upgrade()

    def _ask_to_end(self) -> None:
        if self._ended:
            return
        if self._ending is None:
            self._ending = run_on_thread(self._run_end, "shutdown")
        else:
            self._end_now()

    def _run_end(self) -> None:
        try:
            self._end()
        except Exception:
            _log.exception("the shutdown failed")
        finally:
            self._ended = True
            self._wake.set()


def has_terminal() -> bool:
    """Whether the process has a controlling terminal, and it is still there."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError:
        return False
    return True
