"""Back-pressure: a dedicated connection for a task that is faster than its reader.

To make a task wait, a client stops reading, which stops every task on that connection. So the shared
connection is always read. When a lossless task (not ``on_lag="drop"``) fills the buffer of a handle that is
being read, the task moves to a dedicated connection that is read only while there is room. Then the server's
outbox fills, and the task's process waits when it writes; or, if the server has a log and may, it sends from
there later what does not fit.

The move neither loses nor repeats anything: the dedicated connection subscribes first; then a request on the
shared one marks, by its answer, a point past everything that the dedicated one lacks; from there on the
dedicated connection delivers, and the follower drops duplicates by seq.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Sequence

from overseer.client.buffer import Item
from overseer.client.connection import Connection
from overseer.client.core import Core
from overseer.client.errors import ConnectionLostError
from overseer.client.follower import Follower
from overseer.client.transport import Transport
from overseer.protocol import Event, Subscribe, Subscribed
from overseer.util.locks import assert_held

# A server closes a silent connection. While its pings are not read, unsolicited pongs are sent this often.
ALIVE_S = 5.0


class SharedConnection:
    """The client's first connection, always read: for all requests and most tasks."""

    def __init__(self, core: Core, transport: Transport) -> None:
        self._core = core
        self.connection = Connection(core, self, transport)
        self.router = self.connection.router
        self.dedicated: frozenset[DedicatedConnection] = frozenset()  # replaced, under the lock
        self.watches: frozenset[Connection] = frozenset()  # each watch has its own; replaced, under the lock

    def connections_locked(self) -> list[Connection]:
        assert_held(self._core.lock)
        return [self.connection, *(each.connection for each in self.dedicated), *self.watches]

    def hand_over_locked(self, follower: Follower, then: Callable[[], None]) -> None:
        """Stop following, and call ``then`` once everything sent before now has been routed."""
        assert_held(self._core.lock)

        def answered(_: Event | None) -> None:
            self.router.unfollow_locked(follower)
            then()

        if self.router.live:
            request = Subscribe(id=self.router.new_id(), task_id=follower.task_id)
            self.router.request_locked(request, answered)
        else:
            answered(None)

    def take_back_locked(self, follower: Follower) -> None:
        """The dedicated connection cannot go on: follow the task here, at the risk of losing lines."""
        assert_held(self._core.lock)
        follower.lossless = False
        self.router.follow_locked(follower)
        if self.router.live:
            self.router.subscribe_locked(follower)
            self.router.check_locked(follower)

    def end_locked(self) -> None:
        assert_held(self._core.lock)
        self.connection.end_locked()
        for each in self.dedicated:
            each.end_locked()
        for watch in self.watches:
            watch.end_locked()

    # -- for the connection

    def connected_locked(self) -> None:
        pass

    def received(self, items: Sequence[Item]) -> None:
        with self._core.lock:
            for follower in self.router.route_locked(items):
                self._dedicate_locked(follower)

    def before_connecting(self) -> None:
        pass

    def ended_locked(self, failure: ConnectionLostError) -> None:
        assert_held(self._core.lock)
        self._core.failure = self._core.failure or failure
        self.router.fail_locked(failure)
        self.end_locked()
        self._core.settle_listeners_locked()

    def _dedicate_locked(self, follower: Follower) -> None:
        assert_held(self._core.lock)
        if follower.moving or follower.created_at is None or self.connection.ending:
            return
        try:
            dedicated = DedicatedConnection(self._core, self, follower)
            dedicated.connection.start()  # its thread waits for this lock first
        except (OSError, RuntimeError):  # out of descriptors or threads: lines may be lost
            follower.lossless = False
            return
        follower.moving = True
        self.dedicated |= {dedicated}


class DedicatedConnection:
    """Carries one task, until the task is over or its handle is dropped."""

    def __init__(self, core: Core, shared: SharedConnection, follower: Follower) -> None:
        self._core = core
        self._shared = shared
        self._ref = weakref.ref(follower)
        self._buffer = follower.buffer
        self.connection = Connection(core, self)
        self.router = self.connection.router
        self.router.broadcasts = False
        self.router.on_idle = self._unfollowed_locked
        self._moved = False  # the task is followed here, and no longer on the shared connection
        self._handing_over = False  # the shared connection has been asked to hand over
        self._done = False  # the task is over and no longer followed here
        self._moving = threading.Condition(core.lock)  # notified when one of these changes

    def end_locked(self) -> None:
        assert_held(self._core.lock)
        self.connection.end_locked()
        self._moving.notify_all()
        self._buffer.room.notify_all()

    def _live_follower(self) -> Follower | None:
        follower = self._ref()
        return None if follower is None or follower.finished else follower

    def _has_subscribed_locked(self, answer: Event | None) -> None:
        assert_held(self._core.lock)
        follower = self._live_follower()
        if answer is None:
            return  # the connection was lost; the next one asks again
        if follower is None or not isinstance(answer, Subscribed) or answer.created_at != follower.created_at:
            self.end_locked()
            return
        self._handing_over = True
        self._shared.hand_over_locked(follower, self._take_over_locked)

    def _take_over_locked(self) -> None:
        assert_held(self._core.lock)
        self._handing_over = False
        self._moving.notify_all()
        follower = self._live_follower()
        if follower is None:
            self.end_locked()
        elif self.connection.ending:
            self._shared.take_back_locked(follower)
        else:
            self._moved = True
            follower.begin_locked()
            self.router.follow_locked(follower)

    def _unfollowed_locked(self) -> None:
        assert_held(self._core.lock)
        if (follower := self._ref()) is not None:
            self._done = True
            follower.moving = False
        self.end_locked()

    # -- for the connection

    def connected_locked(self) -> None:
        assert_held(self._core.lock)
        if (follower := self._live_follower()) is None:
            self.end_locked()
        elif not self._moved:
            self.router.request_locked(self.router.subscription(follower), self._has_subscribed_locked)

    def received(self, items: Sequence[Item]) -> None:
        # One by one up to the answer that begins the move: what follows has to wait for the shared
        # connection.
        rest = list(items)
        while rest and not self.connection.ending:
            with self._core.lock:
                count = len(rest) if self._moved else 1
                self.router.route_locked(rest[:count])
            del rest[:count]
            self._wait_for(lambda: not self._handing_over, self._moving)
        self._wait_for(lambda: not self._buffer.full or not self._must_wait_locked(), self._buffer.room)

    def before_connecting(self) -> None:
        if self._moved:  # a server that closed the connection for not reading would do so again
            self._wait_for(lambda: self._buffer.half_empty or not self._must_wait_locked(), self._buffer.room)

    def ended_locked(self, failure: ConnectionLostError) -> None:
        assert_held(self._core.lock)
        self._shared.dedicated -= {self}
        follower = self._ref()
        if follower is None or self._done:  # after a reset it may already be on another connection
            return
        follower.moving = False
        if follower.over or self._core.failure is not None or self._shared.connection.ending:
            self.router.fail_locked(failure)
        elif self._moved:
            self._shared.take_back_locked(follower)
        else:  # it stays where it was
            follower.lossless = False

    def _must_wait_locked(self) -> bool:
        assert_held(self._core.lock)
        follower = self._ref()
        return follower is not None and follower.may_wait_locked()

    def _wait_for(self, ready: Callable[[], bool], notified: threading.Condition) -> None:
        """Pause reading until ``ready()`` or the end of this connection, and keep it alive meanwhile."""
        while True:
            with self._core.lock:
                if notified.wait_for(lambda: ready() or self.connection.ending, ALIVE_S):
                    return
            self.connection.show_alive()
