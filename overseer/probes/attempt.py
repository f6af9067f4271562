"""One probe of a run: its deadline, and how its thread is woken or cancelled."""

from __future__ import annotations

import errno
import select
import time
from types import TracebackType
from typing import Protocol, Self

from overseer.util.wakeup import Wakeup, poll_timeout


class ProbeFailedError(Exception):
    """The probe failed; the text says why."""


class NotProbedError(Exception):
    """The server itself was unable to probe, which says nothing about the run."""


class CancelledError(Exception):
    """The probe was cancelled."""


# What the server itself may run out of.
_OURS = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EAGAIN, errno.EADDRNOTAVAIL}


def is_ours(error: BaseException | None) -> bool:
    """Whether the server itself lacks something, rather than the run."""
    return isinstance(error, OSError) and error.errno in _OURS


class _HasFileno(Protocol):
    def fileno(self) -> int: ...


class Attempt:
    """The deadline of one probe. :meth:`cancel` and :meth:`wake` may be called from any thread.

    Raises:
        NotProbedError: there is no file descriptor left.
    """

    def __init__(self, seconds: float) -> None:
        try:
            self._wakeup = Wakeup()
        except OSError as error:
            raise NotProbedError(f"a probe needs a file descriptor: {error.strerror}") from None
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds
        self._cancelled = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._wakeup.close()

    def fileno(self) -> int:
        """The descriptor that is readable once it was cancelled or woken."""
        return self._wakeup.fileno()

    def cancel(self) -> None:
        self._cancelled = True
        self._wakeup.set()

    def wake(self) -> None:
        """End the current wait, or the next one."""
        self._wakeup.set()

    @property
    def remaining(self) -> float:
        """Seconds until the deadline; negative after it."""
        return self._deadline - time.monotonic()

    def check(self) -> None:
        """Raises CancelledError if it was cancelled."""
        if self._cancelled:
            raise CancelledError

    def late(self) -> ProbeFailedError:
        """The error to raise at the deadline."""
        return ProbeFailedError(f"no answer within {self._seconds:g} s")

    def wait(
        self, source: _HasFileno | None = None, events: int = select.POLLIN, seconds: float | None = None
    ) -> bool:
        """Wait for events of a descriptor, at most ``seconds``; False after that, or when woken.

        Events that are there at the end count, even if the server was frozen beyond it.

        Raises:
            ProbeFailedError: the deadline is over.
            CancelledError: it was cancelled.
        """
        poll = select.poll()
        poll.register(self._wakeup, select.POLLIN)
        if source is not None:
            poll.register(source.fileno(), events)
        end = self._deadline if seconds is None else min(self._deadline, time.monotonic() + seconds)
        while True:
            remaining = end - time.monotonic()
            ready = [fd for fd, _ in poll.poll(poll_timeout(remaining))]
            woken = self._wakeup.fileno() in ready
            if woken:
                self._wakeup.clear()  # before it is checked, so that no later cancel is cleared with it
            self.check()
            if woken and source is None:
                return False
            if source is not None and source.fileno() in ready:
                return True
            if remaining <= 0:
                if end == self._deadline:
                    raise self.late()
                return False
