"""Routes each message of a connection to its request or followers: tables guarded by the client's lock."""

from __future__ import annotations

import itertools
import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from overseer.client import frames
from overseer.client.buffer import TASK_ID, Item, Line
from overseer.client.core import Core
from overseer.client.errors import ConnectionLostError
from overseer.client.follower import Follower
from overseer.client.pending_request import PendingRequest
from overseer.protocol import (
    ChainRefused,
    Data,
    Dequeued,
    Error,
    Errored,
    Event,
    Exited,
    Gap,
    Health,
    List,
    Moved,
    NotReady,
    Partial,
    PoolUpdated,
    Queued,
    Ready,
    Request,
    Restarting,
    Skipped,
    Started,
    Subscribe,
    Subscribed,
    Tasks,
    Unsubscribe,
    encode,
)
from overseer.util.locks import CHECKED, assert_held
from overseer.util.websocket_frame import CloseCode

_MAX_UNSENT = 16 << 20  # bytes of requests that wait to be sent
_NEWS = (
    Started, Exited, Restarting, Errored, Queued, Dequeued, Ready, NotReady, Health,
    Gap, Partial, Data,
)  # fmt: skip


class Sender(Protocol):
    unsent: int  # bytes that wait to be sent

    def send_locked(self, frame: bytes) -> None: ...


class Router:
    """The pending requests of a connection, and the followers of its tasks."""

    def __init__(self, core: Core, sender: Sender) -> None:
        self._core = core
        self._sender = sender
        self.live = False  # connected
        self.broadcasts = True  # listeners to everything also get messages without a follower
        self.on_idle: Callable[[], None] = lambda: None  # called when a task has lost its last follower
        self._pending: dict[str, PendingRequest] = {}
        # Weak: a task whose handle is dropped is no longer followed.
        self._followers: dict[str, list[weakref.ref[Follower]]] = {}
        self._dropped: deque[str] = deque()  # ids of tasks with a dropped handle
        self._collecting: list[tuple[str, list[Item]]] = []
        self._ids = itertools.count(1)
        self._counting = threading.RLock()  # a finaliser may come in between, on the same thread

    def __repr__(self) -> str:
        state = "live" if self.live else "down"
        return f"<Router {state}, {len(self._pending)} pending, {len(self._followers)} tasks>"

    def ask_locked(self, pending: PendingRequest) -> None:
        """Send a request; ``pending`` gets the answer. Raises ClientError."""
        assert_held(self._core.lock)
        self._prune_dropped_locked()
        self._core.check_locked()
        if self._sender.unsent > _MAX_UNSENT:
            raise ConnectionLostError(f"{self._core.settings.address.url} is too slow: its requests pile up")
        for message in pending.messages:
            self._pending[message.id] = pending
        self._send_pending_locked(pending)

    def collect_locked(self, task_id: str, into: list[Item]) -> None:
        """Add every message of a task to a list, for a request that is answered by several messages."""
        assert_held(self._core.lock)
        self._collecting.append((task_id, into))

    def end_collecting_locked(self, into: list[Item]) -> None:
        assert_held(self._core.lock)
        self._collecting = [each for each in self._collecting if each[1] is not into]

    def forget_locked(self, pending: PendingRequest) -> None:
        """Drop a request; its answer will be ignored."""
        assert_held(self._core.lock)
        for message in pending.messages:
            self._pending.pop(message.id, None)

    def new_id(self) -> str:
        """A unique id for a request; with or without the client's lock."""
        with self._counting:
            return f"c{next(self._ids)}"

    def follow_locked(self, follower: Follower) -> None:
        """Route the task's messages to this follower, once an answer has opened it."""
        assert_held(self._core.lock)
        task_id = follower.task_id
        # A finaliser may run anywhere, even in a locked section: it only leaves a note.
        ref = weakref.ref(follower, lambda _: self._dropped.append(task_id))
        self._followers.setdefault(task_id, []).append(ref)

    def unfollow_locked(self, follower: Follower) -> None:
        """Stop routing to this follower; the last one ends the subscription."""
        assert_held(self._core.lock)
        refs = self._followers.get(follower.task_id, ())
        self._keep_locked(follower.task_id, [ref for ref in refs if ref() not in (follower, None)])

    def subscription(self, follower: Follower) -> Subscribe:
        """The request for what a follower lacks and what follows."""
        return Subscribe(
            id=self.new_id(),
            task_id=follower.task_id,
            since_seq=follower.last_seq,
            on_lag=follower.on_lag,
            catch_up=follower.catch_up,
            partial=follower.partial or None,
            raw=follower.raw or None,
        )

    def subscribe_locked(self, follower: Follower) -> None:
        """Open a follower: request what it lacks and what follows."""
        assert_held(self._core.lock)
        request = self.subscription(follower)
        self.request_locked(request, lambda answer: self._subscribed_locked(follower, answer))

    def check_locked(self, follower: Follower) -> None:
        """Ask the server whether the task is over."""
        assert_held(self._core.lock)
        # An older server heeds ``since`` alone.
        request = List(id=self.new_id(), since=follower.unsure_since, task_id=follower.task_id)
        follower.in_doubt = False

        def listed(answer: Event | None) -> None:
            if isinstance(answer, Tasks):
                self.listed_locked(follower, answer)

        self.request_locked(request, listed)

    def listed_locked(self, follower: Follower, answer: Tasks) -> None:
        """Take the server's list. An older server's may lack an exit that came after it was asked for: then
        ask again."""
        assert_held(self._core.lock)
        if not follower.over and follower.in_doubt:
            self.check_locked(follower)
        elif not follower.over:
            info = next((task for task in answer.tasks if task.task_id == follower.task_id), None)
            follower.listed_locked(info)
            self.retire_locked(follower)

    def retire_locked(self, follower: Follower) -> None:
        """A task that is over is no longer followed: another one may take its id."""
        assert_held(self._core.lock)
        if follower.finished:
            self.unfollow_locked(follower)

    def _send_pending_locked(self, pending: PendingRequest) -> None:
        assert_held(self._core.lock)
        if self.live:
            pending.sent = True
            for frame in pending.frames:
                self._sender.send_locked(frame)

    def request_locked(self, request: Request, answered: Callable[[Event | None], None]) -> None:
        """Send without waiting; ``answered`` is called under the lock, with None when the connection is
        lost."""
        assert_held(self._core.lock)
        pending = PendingRequest([request], self._core.lock, answered=answered, internal=True)
        self._pending[request.id] = pending
        self._send_pending_locked(pending)

    def _keep_locked(self, task_id: str, refs: list[weakref.ref[Follower]]) -> None:
        """Keep only these followers of a task."""
        assert_held(self._core.lock)
        if refs:
            self._followers[task_id] = refs
        elif self._followers.pop(task_id, None) is not None:
            if self.live:
                request = Unsubscribe(id=self.new_id(), task_id=task_id)
                self._sender.send_locked(frames.text(encode(request)))
            self.on_idle()

    # -- for the connection

    def up_locked(self) -> None:
        """Connected: subscribe again, and repeat what is pending."""
        assert_held(self._core.lock)
        self.live = True
        # Followers first, so that they are up to date when the other requests are answered.
        for task_id in list(self._followers):
            for follower in self._live_followers_locked(task_id):
                if follower.began:
                    self.subscribe_locked(follower)
                    self.check_locked(follower)
        for pending in dict.fromkeys(self._pending.values()):
            if not pending.sent:
                self._send_pending_locked(pending)

    def down_locked(self, lost: ConnectionLostError | None) -> None:
        """The connection is lost; requests that cannot be repeated fail. None: it ends, and
        :meth:`fail_locked` follows."""
        assert_held(self._core.lock)
        self.live = False
        for pending in list(dict.fromkeys(self._pending.values())):
            if pending.internal:
                self.forget_locked(pending)  # up_locked asks again for what is still wanted
                pending.lost_locked()
            elif pending.sent and not pending.repeat and lost is not None:
                self.forget_locked(pending)
                pending.fail_locked(lost)
            pending.sent = False
        for task_id in list(self._followers):
            for follower in self._live_followers_locked(task_id):
                follower.interrupted_locked(shutdown=lost is not None and lost.code == CloseCode.GOING_AWAY)

    def fail_locked(self, failure: ConnectionLostError) -> None:
        """The connection has ended for good."""
        assert_held(self._core.lock)
        for pending in list(dict.fromkeys(self._pending.values())):
            self.forget_locked(pending)
            if pending.internal:
                pending.lost_locked()
            else:
                pending.fail_locked(failure)
        for task_id in list(self._followers):
            for follower in self._live_followers_locked(task_id):
                if not follower.over:
                    follower.fail_locked(failure)
        self._followers.clear()

    def _live_followers_locked(self, task_id: str) -> list[Follower]:
        assert_held(self._core.lock)
        return [follower for ref in self._followers.get(task_id, ()) if (follower := ref()) is not None]

    def route_locked(self, items: Sequence[Item]) -> list[Follower]:
        """Route the messages; returns the lossless followers whose buffers are full."""
        assert_held(self._core.lock)
        self._prune_dropped_locked()
        touched: dict[Follower, None] = {}
        for item in items:
            if isinstance(item, tuple):
                self._route_line_locked(item, touched)
            else:
                self._route_event_locked(item, touched)
        for follower in touched:
            follower.buffer.settle_locked(lossless=follower.may_wait_locked())
        if self._core.listeners:
            self._core.settle_listeners_locked()
        return [f for f in touched if f.buffer.full and not f.over and f.may_wait_locked()]

    def _route_line_locked(self, line: Line, touched: dict[Follower, None]) -> None:
        if CHECKED:
            assert_held(self._core.lock)
        task_id = line[TASK_ID]
        taken = False
        dropped = task_id in self._followers
        for ref in self._followers.get(task_id, ()):
            follower = ref()
            if follower is None:
                self._prune_locked(task_id)
                continue
            dropped = False
            if follower.open and follower.line_locked(line):
                touched[follower] = None
                taken = True
        if self._core.listeners and (taken or (dropped and self.broadcasts)):
            self._core.tell_listeners_locked(line)
        self._collect_locked(task_id, line)

    def _route_event_locked(self, event: Event, touched: dict[Follower, None]) -> None:
        assert_held(self._core.lock)
        self._answer_locked(event)
        if isinstance(event, _NEWS):
            task_id = event.task_id
            followers = self._live_followers_locked(task_id)
            dropped = not followers and task_id in self._followers
            heard = taken = False
            for follower in followers:
                heard = heard or follower.open
                if follower.open and follower.event_locked(event):
                    touched[follower] = None
                    taken = True
                if isinstance(event, Exited) and follower.must_ask:
                    self.check_locked(follower)
                self.retire_locked(follower)
            if isinstance(event, Queued | Dequeued):  # broadcast to every connection
                taken = (taken or not heard) and self.broadcasts
            if taken or (dropped and self.broadcasts):
                self._core.tell_listeners_locked(event)
            self._collect_locked(task_id, event)
        elif isinstance(event, PoolUpdated | ChainRefused | Moved | Skipped) and self.broadcasts:
            self._core.tell_listeners_locked(event)

    def _collect_locked(self, task_id: str, item: Item) -> None:
        if CHECKED:
            assert_held(self._core.lock)
        for wanted, into in self._collecting:
            if wanted == task_id and not isinstance(item, Partial | Data):
                into.append(item)

    def _answer_locked(self, event: Event) -> None:
        assert_held(self._core.lock)
        request_id = getattr(event, "id", "")
        pending = self._pending.get(request_id) if request_id else None
        if pending is None:
            return
        if not isinstance(event, Error) and not pending.completed_locked(request_id):
            pending.part_locked(event)
            return
        self.forget_locked(pending)
        pending.answer_locked(event)

    def _subscribed_locked(self, follower: Follower, answer: Event | None) -> None:
        assert_held(self._core.lock)
        if isinstance(answer, Subscribed):
            follower.subscribed_locked(answer)
            self.retire_locked(follower)

    def _prune_dropped_locked(self) -> None:
        assert_held(self._core.lock)
        while self._dropped:
            self._prune_locked(self._dropped.popleft())

    def _prune_locked(self, task_id: str) -> None:
        """A handle was dropped; only listeners to everything still get its events."""
        assert_held(self._core.lock)
        refs = self._followers.get(task_id)
        if refs is None:
            return
        left = [ref for ref in refs if ref() is not None]
        if left or not (self.broadcasts and self._core.listeners):
            self._keep_locked(task_id, left)
