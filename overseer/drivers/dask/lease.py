"""How long a runner's tasks outlive the last word from their overseer, as both of them see it.

The runner ends what it runs when its lease is over. The overseer gives those runs up only when that is
certain, so that nothing runs twice: a lease, and the time that killing takes, after the last word of its own
that may have renewed it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

_ENDING_S = 3.5  # that a runner takes to kill what it runs
_HEARD = 2 / 3  # of the lease: without an answer for so long, what is sent renews it no more
_TAKEOVER_S = 15.0  # by which a lease is longer while a program takes over, and imports the engine


class HeldLease:
    """A runner's end of it; times are monotonic.

    Args:
        seconds: that it lasts, from now and from each renewal.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._until = time.monotonic() + seconds

    def renew(self, seconds: float | None = None) -> None:
        """Have it last from now on, for longer this time with ``seconds``; it never gets shorter."""
        self._until = max(self._until, time.monotonic() + (seconds or self._seconds))

    def wait_for_end(self) -> None:
        while (left := self._until - time.monotonic()) > 0:
            time.sleep(left)


class GrantedLease:
    """The overseer's end of it, for one runner; times are monotonic. Guarded by the link's lock."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        # When the last question was asked that was answered, and the last that renewed the lease.
        self._heard = self._renewed = time.monotonic()
        self._prolonged = 0.0

    def answered(self, asked: float) -> None:
        """The question of this moment has been answered."""
        self._heard = asked

    def renews(self) -> bool:
        """Whether what is sent now renews it: not if nothing has been heard for long, since a runner may hear
        without being heard, and must not live on then when its tasks are given up."""
        moment = time.monotonic()
        renews = moment - self._heard < self.seconds * _HEARD
        if renews:
            self._renewed = max(self._renewed, moment)
        return renews

    def prolong(self) -> float | None:
        """Have it last longer this time, as nothing renews it while a program takes over; returns for how
        many seconds, or None if that has been done just now."""
        moment = time.monotonic()
        if moment < self._prolonged + 1.0:
            return None
        self._prolonged = moment
        self._renewed = moment + _TAKEOVER_S
        return self.seconds + _TAKEOVER_S

    @property
    def is_over(self) -> bool:
        """Whether the runner has certainly ended what it ran."""
        return time.monotonic() - self._renewed > self.seconds + _ENDING_S

    def export(self) -> dict[str, Any]:
        """What another program has to know to go on."""
        return {"lease": self.seconds, "heard": self._heard, "renewed": self._renewed}

    def restore(self, said: Mapping[str, Any]) -> None:
        """Be what another program's has been."""
        self._heard, self._renewed = said["heard"], said["renewed"]
