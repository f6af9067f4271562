"""Keeping connections alive, and detecting peers that have vanished."""

from __future__ import annotations

from overseer.net.frames import ping_frame
from overseer.net.limits import ConnectionLimits
from overseer.net.outbox import Outbox
from overseer.util.awake_clock import awake
from overseer.util.timers import Timers
from overseer.util.websocket_frame import CloseCode


class Keepalive:
    """Pings a peer periodically, and closes it when nothing has come from it for too long.

    Pings go out whatever else is sent: proxies count idle time per direction, and a ping with its pong is
    traffic in both. A peer that has not answered the last one is not sent another.

    Only the time from :meth:`listen` to :meth:`heard` counts as silence, not that spent handling a message or
    holding back a client that does not read, nor time in which the process did not run.
    """

    def __init__(self, outbox: Outbox, limits: ConnectionLimits, timers: Timers) -> None:
        self._outbox = outbox
        self._limits = limits
        self._timers = timers
        # Plain attributes, written by the thread that receives and read by the timers': a stale value delays
        # the close by one interval at most.
        self._since = awake()  # when it was last listened to
        self._listening = False
        self._pinged = 0.0  # the value of _since that a ping was sent for
        self._stopped = False
        self._ping_at = awake() + limits.ping_interval
        self._timer = timers.schedule(limits.ping_interval, self._check)

    def listen(self) -> None:
        """From now on the peer could be heard, if it could not before."""
        if not self._listening:
            self._since = awake()
            self._listening = True

    def heard(self) -> None:
        """Something has come, and nothing more is received before the next :meth:`listen`."""
        self._listening = False

    def stop(self) -> None:
        self._stopped = True
        self._timer.cancel()

    def _check(self) -> None:
        if self._stopped or self._outbox.closed:
            return
        now, since = awake(), self._since
        silent = now - since if self._listening else 0.0
        longest = self._limits.ping_interval + self._limits.ping_timeout
        if silent >= longest:
            why = f"no sign of life for {silent:.0f} s"
            self._outbox.close(CloseCode.INTERNAL_ERROR, why, drop=True)
            return
        if now >= self._ping_at:
            self._ping_at = now + self._limits.ping_interval
            if self._pinged != since or not self._listening:
                self._pinged = since
                self._outbox.append_frame(ping_frame())
                self._outbox.flush()
        self._again(min(self._ping_at - now, longest - silent))

    def _again(self, delay: float) -> None:
        self._timer = self._timers.schedule(delay, self._check)
        if self._stopped:  # while this ran
            self._timer.cancel()
