"""One look at a run: until when it may take, and how its thread is woken."""

from __future__ import annotations

import errno
import select
import time
from types import TracebackType
from typing import Protocol, Self

from overseer.util.wakeup import Wakeup, poll_timeout


class FailedError(Exception):
    """The run did not pass; the text says why."""


class NotLookedError(Exception):
    """The server itself could not look, which says nothing of the run."""


class CalledOffError(Exception):
    """Nobody wants to know any more."""


# What the server runs out of, and the run has nothing to do with.
_OURS = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EAGAIN, errno.EADDRNOTAVAIL}


def is_ours(error: BaseException | None) -> bool:
    """Whether an error is a lack of the server's own."""
    return isinstance(error, OSError) and error.errno in _OURS


class _HasFileno(Protocol):
    def fileno(self) -> int: ...


class Attempt:
    """Used by the thread that looks, but for :meth:`call_off` and :meth:`wake`, which any thread may call.

    Raises:
        NotLookedError: there is no file descriptor left.
    """

    def __init__(self, seconds: float) -> None:
        try:
            self._wakeup = Wakeup()
        except OSError as error:
            raise NotLookedError(f"a look needs a file descriptor: {error.strerror}") from None
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds
        self._called_off = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._wakeup.close()

    def fileno(self) -> int:
        """Of what is readable once it has been called off or woken."""
        return self._wakeup.fileno()

    def call_off(self) -> None:
        self._called_off = True
        self._wakeup.set()

    def wake(self) -> None:
        """End the wait that goes on, or the next one."""
        self._wakeup.set()

    @property
    def remaining(self) -> float:
        """Seconds; less than 0 when they are over."""
        return self._deadline - time.monotonic()

    def check(self) -> None:
        """Raises CalledOffError if that was said."""
        if self._called_off:
            raise CalledOffError

    def late(self) -> FailedError:
        """What to raise when the time is over."""
        return FailedError(f"no answer within {self._seconds:g} s")

    def wait(
        self, source: _HasFileno | None = None, events: int = select.POLLIN, seconds: float | None = None
    ) -> bool:
        """Wait for events of a descriptor, ``seconds`` at most; False when these are over, or it was woken.

        What has happened by the end counts, also when that is over because the server did not run.

        Raises:
            FailedError: the time for the look is over.
            CalledOffError: it was called off.
        """
        poll = select.poll()
        poll.register(self._wakeup, select.POLLIN)
        if source is not None:
            poll.register(source.fileno(), events)
        end = self._deadline if seconds is None else min(self._deadline, time.monotonic() + seconds)
        while True:
            remaining = end - time.monotonic()
            ready = [fd for fd, _ in poll.poll(poll_timeout(remaining))]
            self.check()
            if self._wakeup.fileno() in ready:
                self._wakeup.clear()
                if source is None:
                    return False
            if source is not None and source.fileno() in ready:
                return True
            if remaining <= 0:
                if end == self._deadline:
                    raise self.late()
                return False
