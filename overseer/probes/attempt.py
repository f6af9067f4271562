"""One attempt of a probe: its deadline, and waking its thread."""

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
    """The server itself could not probe, which says nothing about the run."""


class CalledOffError(Exception):
    """The attempt was cancelled."""


# Resources that the server, not the run, has run out of.
_OURS = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EAGAIN, errno.EADDRNOTAVAIL}


def is_ours(error: BaseException | None) -> bool:
    """Whether an error means that the server lacks resources."""
    return isinstance(error, OSError) and error.errno in _OURS


class _HasFileno(Protocol):
    def fileno(self) -> int: ...


class Attempt:
    """Used by the probing thread, except :meth:`call_off` and :meth:`wake`, which any thread may call.

    Raises:
        NotLookedError: out of file descriptors.
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
        """A descriptor that is readable once the attempt is cancelled or woken."""
        return self._wakeup.fileno()

    def call_off(self) -> None:
        self._called_off = True
        self._wakeup.set()

    def wake(self) -> None:
        """End the current wait, or the next one."""
        self._wakeup.set()

    @property
    def remaining(self) -> float:
        """Seconds until the deadline; negative after it."""
        return self._deadline - time.monotonic()

    def check(self) -> None:
        """Raises CalledOffError if it was cancelled."""
        if self._called_off:
            raise CalledOffError

    def late(self) -> FailedError:
        """The error to raise after the deadline."""
        return FailedError(f"no answer within {self._seconds:g} s")

    def wait(
        self, source: _HasFileno | None = None, events: int = select.POLLIN, seconds: float | None = None
    ) -> bool:
        """Wait for events of a descriptor, for at most ``seconds``; False after that, or when woken.

        Events that have happened by the deadline count, even if the server was suspended past it.

        Raises:
            FailedError: the deadline has passed.
            CalledOffError: it was cancelled.
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
