"""Finding peers that have vanished without a word."""

from __future__ import annotations

import time

from overseer.net.frames import ping_frame
from overseer.net.outbox import Outbox
from overseer.net.session import ConnectionLimits
from overseer.timers import Timers

__all__ = ["Keepalive"]


class Keepalive:
    """Pings a peer from which nothing comes, and closes it when nothing comes then either.

    A context manager around each receive: time spent otherwise (handling a message, or not reading from a
    client that does not read) does not count.
    """

    def __init__(self, outbox: Outbox, limits: ConnectionLimits, timers: Timers) -> None:
        self._outbox = outbox
        self._limits = limits
        self._timers = timers
        # Plain attributes, written by the connection's thread and read by the timers' one: a stale value
        # moves a ping by an interval, no more.
        self._since = time.monotonic()  # when the receive that is under way began
        self._receiving = False
        self._pinged = 0.0  # the value of _since that a ping was sent for
        self._stopped = False
        self._timer = timers.schedule(limits.ping_interval, self._check)

    def __enter__(self) -> None:
        self._since = time.monotonic()
        self._receiving = True

    def __exit__(self, *exc: object) -> None:
        self._receiving = False

    def stop(self) -> None:
        self._stopped = True
        self._timer.cancel()

    def _check(self) -> None:
        if self._stopped or self._outbox.closed:
            return
        since = self._since
        silent = time.monotonic() - since if self._receiving else 0.0
        interval, patience = self._limits.ping_interval, self._limits.ping_timeout
        if silent >= interval + patience:
            self._outbox.close(1011, f"no sign of life for {silent:.0f} s", drop=True)
            return
        if silent >= interval:
            if self._pinged != since:
                self._pinged = since
                self._outbox.append_frame(ping_frame())
                self._outbox.flush()
            self._again(min(interval, interval + patience - silent))
        else:
            self._again(interval - silent)

    def _again(self, delay: float) -> None:
        self._timer = self._timers.schedule(delay, self._check)
        if self._stopped:  # while this ran
            self._timer.cancel()
