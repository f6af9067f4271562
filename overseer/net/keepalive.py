"""Keeping connections alive, and finding peers that have vanished without a word."""

from __future__ import annotations

from overseer.net.frames import ping_frame
from overseer.net.outbox import Outbox
from overseer.net.session import ConnectionLimits
from overseer.util.awake import awake
from overseer.util.timers import Timers


class Keepalive:
    """Pings a peer again and again, and closes it when nothing comes from it for long.

    The pings go out whatever else passes: proxies count idle time for each direction by itself, and a ping
    with its pong is something in both. Who has not answered the last one is not sent another.

    For the closing, a context manager around each receive: time spent otherwise (handling a message, or not
    reading from a client that does not read) does not count, nor does time in which this process did not run.
    """

    def __init__(self, outbox: Outbox, limits: ConnectionLimits, timers: Timers) -> None:
        self._outbox = outbox
        self._limits = limits
        self._timers = timers
        # Plain attributes, written by the connection's thread and read by the timers' one: a stale value
        # moves the end by an interval, no more.
        self._since = awake()  # when the receive that is under way began
        self._receiving = False
        self._pinged = 0.0  # the value of _since that a ping was sent for
        self._stopped = False
        self._ping_at = awake() + limits.ping_interval
        self._timer = timers.schedule(limits.ping_interval, self._check)

    def __enter__(self) -> None:
        self._since = awake()
        self._receiving = True

    def __exit__(self, *exc: object) -> None:
        self._receiving = False

    def stop(self) -> None:
        self._stopped = True
        self._timer.cancel()

    def _check(self) -> None:
        if self._stopped or self._outbox.closed:
            return
        now, since = awake(), self._since
        silent = now - since if self._receiving else 0.0
        longest = self._limits.ping_interval + self._limits.ping_timeout
        if silent >= longest:
            self._outbox.close(1011, f"no sign of life for {silent:.0f} s", drop=True)
            return
        if now >= self._ping_at:
            self._ping_at = now + self._limits.ping_interval
            if self._pinged != since or not self._receiving:
                self._pinged = since
                self._outbox.append_frame(ping_frame())
                self._outbox.flush()
        self._again(min(self._ping_at - now, longest - silent))

    def _again(self, delay: float) -> None:
        self._timer = self._timers.schedule(delay, self._check)
        if self._stopped:  # while this ran
            self._timer.cancel()
