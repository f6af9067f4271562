"""Back-pressure: a connection of its own for a task that is faster than its reader.

To let a task wait, one has to stop reading; and whoever stops reading a connection stops all tasks on it. So
the connection that tasks share is always read. When the buffer of a task fills up whose handle is being read
and that is not to lose lines (``on_lag="block"``), the task moves here, to a connection that carries nothing
else and is read only while there is room. Then the server's outbox fills, and the task's process waits when
it writes.

The move loses nothing and repeats nothing: the lane subscribes first; then the shared connection is asked
something, whose answer marks a place behind all that the lane has not got; from there on the lane delivers,
and the follower drops by seq what both have had.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Sequence

from overseer.client import frames
from overseer.client.buffer import Item
from overseer.client.connection import Connection
from overseer.client.core import Core
from overseer.client.errors import ConnectionLostError
from overseer.client.follower import Follower
from overseer.protocol import Event, Subscribe, Subscribed

# A server closes a connection from which nothing comes. One that is not read does not see its pings, so now
# and then it says unasked that it is there. (Seconds.)
_ALIVE_S = 5.0


class SharedConnection(Connection):
    """The connection of a client; gives way to dedicated."""

    dedicated: frozenset[DedicatedConnection] = frozenset()  # replaced, under the lock

    def hand_over_locked(self, follower: Follower, then: Callable[[], None]) -> None:
        """Stop following, and call ``then`` when all that came before now has been sorted."""

        def answered(_: Event | None) -> None:
            self.unfollow_locked(follower)
            then()

        if self._live:
            request = Subscribe(id=self.new_id(), task_id=follower.task_id)
            self._internal_locked(request, answered)
        else:
            answered(None)

    def take_back_locked(self, follower: Follower) -> None:
        """A lane cannot go on; here lines are lost rather than the task."""
        follower.lossless = False
        self.follow_locked(follower)
        if self._live:
            self.subscribe_locked(follower)
            self.check_locked(follower)

    def end_locked(self) -> None:
        super().end_locked()
        for lane in self.dedicated:
            lane.end_locked()

    def _lags(self, follower: Follower) -> None:
        with self._lock:
            if follower.moving or follower.created_at is None or self._ending:
                return
            try:
                lane = DedicatedConnection(self.core, self, follower)
                lane.start()  # which cannot do a thing before this lock is free
            except (OSError, RuntimeError):  # out of descriptors or threads: lines are lost rather than all
                follower.lossless = False
                return
            follower.moving = True
            self.dedicated |= {lane}

    def _over_locked(self, failure: ConnectionLostError) -> None:
        self.core.failure = self.core.failure or failure
        super()._over_locked(failure)
        for lane in self.dedicated:
            lane.end_locked()
        self.core.settle_listeners_locked()
        self.core.ending.notify_all()


class DedicatedConnection(Connection):
    """Carries one task, for as long as it lasts and its handle is there."""

    def __init__(self, core: Core, shared: SharedConnection, follower: Follower) -> None:
        super().__init__(core)
        self._tells_news = False
        self._shared = shared
        self._ref = weakref.ref(follower)
        self._buffer = follower.buffer
        self._moved = False  # the task is followed here, and not there any more
        self._handing_over = False  # it has been asked for
        self._done = False  # the task is over, and not followed here any more
        self._moving = threading.Condition(core.lock)  # notified when that has changed

    def end_locked(self) -> None:
        super().end_locked()
        self._moving.notify_all()
        self._buffer.room.notify_all()

    def _up_locked(self) -> None:
        follower = self._ref()
        if follower is None or follower.finished:
            self.end_locked()
        elif self._moved:
            super()._up_locked()
        else:
            self._live = True
            self._internal_locked(self.subscription(follower), self._has_subscribed_locked)

    def _has_subscribed_locked(self, answer: Event | None) -> None:
        follower = self._ref()
        if answer is None:
            return  # the connection was lost; it is asked again on the next one
        if (
            follower is None
            or follower.finished
            or not isinstance(answer, Subscribed)
            or answer.created_at != follower.created_at
        ):
            self.end_locked()
            return
        self._handing_over = True
        self._shared.hand_over_locked(follower, self._take_over_locked)

    def _take_over_locked(self) -> None:
        self._handing_over = False
        self._moving.notify_all()
        follower = self._ref()
        if follower is None or follower.finished:
            self.end_locked()
        elif self._ending:
            self._shared.take_back_locked(follower)
        else:
            self._moved = True
            follower.begin_locked()
            self.follow_locked(follower)

    def _take(self, items: Sequence[Item]) -> None:
        # One by one up to the answer that begins the move, since what is behind it has to wait for the other
        # connection.
        rest = list(items)
        while rest and not self._ending:
            with self._lock:
                count = len(rest) if self._moved else 1
                self._sort_locked(rest[:count])
            del rest[:count]
            self._wait_for(lambda: not self._handing_over, self._moving)
        self._wait_for(lambda: not self._buffer.full or not self._must_wait_locked(), self._buffer.room)

    def _must_wait_locked(self) -> bool:
        follower = self._ref()
        return follower is not None and follower.may_wait_locked()

    def _wait_to_connect(self, delay: float) -> bool:
        if self._moved:  # a server that cut us off for not reading would do so again
            self._wait_for(lambda: self._buffer.half_empty or not self._must_wait_locked(), self._buffer.room)
        return super()._wait_to_connect(delay)

    def _wait_for(self, ready: Callable[[], bool], notified: threading.Condition) -> None:
        """Do not read until it is so, or the lane is to end; meanwhile say that one is there."""
        while True:
            with self._lock:
                if notified.wait_for(lambda: ready() or self._ending, _ALIVE_S):
                    return
            if self._in_use is not None:
                self._send(frames.pong())
                self._flush(self._in_use)

    def retire_locked(self, follower: Follower) -> None:
        super().retire_locked(follower)
        if follower.finished and follower is self._ref():
            self._done = True
            follower.moving = False
            self.end_locked()

    def _prune_locked(self, task_id: str) -> None:
        self.end_locked()

    def _over_locked(self, failure: ConnectionLostError) -> None:
        self._shared.dedicated -= {self}
        follower = self._ref()
        if follower is None or self._done:  # it may be back by now, after a reset, on another connection
            return
        follower.moving = False
        if follower.over or self.core.failure is not None or self._shared._ending:
            super()._over_locked(failure)
        elif self._moved:
            self._shared.take_back_locked(follower)
        else:  # it stays where it was
            follower.lossless = False
