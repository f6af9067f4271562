"""The client: one connection, and what can be asked over it."""

from __future__ import annotations

import time
import uuid
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self, TypeVar

from overseer.client.address import parse_url
from overseer.client.core import Core, Settings
from overseer.client.errors import (
    ClientError,
    ConnectionLostError,
    RefusedError,
    ReplyTimeoutError,
)
from overseer.client.follower import Follower
from overseer.client.inbox import Inbox, Item, to_output
from overseer.client.lane import SharedChannel
from overseer.client.pending import Pending
from overseer.client.task import Task, iterate
from overseer.client.transport import connect
from overseer.messages import (
    ActionInfo,
    ActionMetrics,
    Actions,
    Describe,
    Event,
    Exited,
    GlobalMetrics,
    List,
    ManifestReply,
    ManifestRequest,
    MetricsReply,
    MetricsRequest,
    Output,
    PoolInfo,
    PoolInfoReply,
    PoolInfoRequest,
    Purge,
    Purged,
    Queued,
    Replay,
    Request,
    Reset,
    RetryPolicy,
    SetPool,
    Start,
    Started,
    Stop,
    Subscribe,
    Subscribed,
    TaskInfo,
    TaskMetrics,
    Tasks,
)

if TYPE_CHECKING:
    import ssl

__all__ = ["Client"]

_R = TypeVar("_R", bound=Event)
_NOTHING_STORED = 2**62  # since_seq for "tell me of the task, and send nothing again"
_JOIN_S = 5.0


class Client:
    """A connection to a server, for any number of threads and tasks; a context manager that closes it.

    Every method that asks the server something takes ``timeout`` (seconds; None: the client's) and raises

    - RefusedError when the server refuses, with its own words,
    - ReplyTimeoutError when no answer came in time,
    - ConnectionLostError when the connection is lost for good, or while a request was under way that cannot
      be repeated safely (``start``, ``reset``, ``purge``).

    A connection that is lost is made again, and every task goes on where it was.

    Args:
        url: ``ws://HOST:PORT/ws``, ``wss://...``, ``http(s)://...`` or ``unix:PATH``.
        token: sent as ``Authorization: Bearer``.
        tls: for ``wss``, in place of the system's certificates.
        timeout: seconds for the connection and for each answer.
        reconnect: for so many seconds a lost connection is tried again; 0: it is not.
        keepalive: after so many seconds of silence the server is asked whether it is there; after as many
            more the connection counts as lost.
        buffer: bytes of events that may wait for each task's reader; when one falls behind, what is on its
            way is taken as well (up to 32 MiB).
        on_notice: called with a sentence about a lost or regained connection, on a thread of the client's.

    Raises:
        ConnectFailedError: there is no such server, or it lets nobody in.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str = "",
        tls: ssl.SSLContext | None = None,
        timeout: float = 10.0,
        reconnect: float = 60.0,
        keepalive: float = 30.0,
        buffer: int = 4 << 20,
        on_notice: Callable[[str], None] | None = None,
    ) -> None:
        address = parse_url(url)
        notice = on_notice or (lambda text: None)
        settings = Settings(address, token, tls, timeout, reconnect, keepalive, buffer, notice)
        transport = connect(address, token=token, tls=tls, timeout=timeout)
        self._core = Core(settings)
        self._channel = SharedChannel(self._core, transport)
        self._channel.thread.start()

    def __repr__(self) -> str:
        return f"<Client {self._core.settings.address.url} {self._channel!r}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection; tasks go on. Whoever still waits gets ConnectionLostError. Idempotent."""
        with self._core.lock:
            self._core.failure = self._core.failure or ConnectionLostError("this client was closed", 1000)
            threads = [self._channel.thread, *(lane.thread for lane in self._channel.lanes)]
            self._channel.end_locked()
        deadline = time.monotonic() + _JOIN_S
        for thread in threads:
            # One that is just connecting may take longer; it ends by itself.
            thread.join(max(0.0, deadline - time.monotonic()))

    # -- tasks

    def start(
        self,
        action: str,
        params: Mapping[str, str] | None = None,
        /,
        *,
        task_id: str = "",
        retry_policy: RetryPolicy | None = None,
        force: bool = False,
        on_lag: str = "block",
        timeout: float | None = None,
        **more: str,
    ) -> Task:
        """Start a task, or queue it: ``client.start("build", branch="main")``.

        Args:
            params: parameters whose names would be taken for one of the arguments here.
            task_id: a name for the task; made up when empty.
            retry_policy: in place of the action's own; ``RetryPolicy()`` restarts at once, without limit.
            force: in a full queue, take the place of another.
            on_lag: what happens when a handle is read too slowly: ``block``: the task waits, as for a pipe;
                ``drop``: lines are lost, and a ``Gap`` says which. A task that nobody reads does not wait
                for that (but for ten seconds in which one may begin); its oldest lines are lost.
            more: parameters of the action.
        """
        made_up = not task_id
        task_id = task_id or str(uuid.uuid4())
        follower = self._follower(task_id, on_lag)

        def answered(event: Event | None) -> None:
            if isinstance(event, Started | Queued):
                follower.begin_locked()
            elif isinstance(event, Subscribed):
                follower.subscribed_locked(event)
            else:
                self._channel.unfollow_locked(follower)

        request = Start(
            id=self._channel.new_id(),
            action=action,
            task_id=task_id,
            params={**(params or {}), **more},
            retry_policy=retry_policy,
            force=force,
            on_lag=on_lag,
        )
        # The sender is subscribed; this is for its created_at, without which a task that takes over the id
        # while the connection is lost could be taken for this one.
        look = Subscribe(id=self._channel.new_id(), task_id=task_id, since_seq=_NOTHING_STORED)
        try:
            self._ask([request, look], timeout, answered=answered, follower=follower)
        except ConnectionLostError as error:
            if not made_up:
                raise
            return self._find_started(task_id, on_lag, error, timeout)
        return Task(self, follower)

    def subscribe(
        self,
        task_id: str,
        since_seq: int | None = None,
        *,
        on_lag: str = "block",
        timeout: float | None = None,
    ) -> Task:
        """Join a task, whoever started it.

        Args:
            since_seq: first what is stored after the line with this seq (0: all that is stored); a ``Gap``
                says what is not stored any more. None: only what happens from now on.
            on_lag: as for :meth:`start`.

        Raises:
            RefusedError: there is no such task.
        """
        follower = self._follower(task_id, on_lag, from_now=since_seq is None)
        follower.last_seq = since_seq or 0

        def answered(event: Event | None) -> None:
            if isinstance(event, Subscribed) and event.created_at is not None:
                follower.subscribed_locked(event)
                self._channel.check_locked(follower)
            else:
                self._channel.unfollow_locked(follower)

        request = Subscribe(
            id=self._channel.new_id(), task_id=task_id, since_seq=since_seq or 0, on_lag=on_lag
        )
        answer = self._ask([request], timeout, repeat=True, answered=answered, follower=follower)
        if not isinstance(answer, Subscribed) or answer.created_at is None:
            raise RefusedError(f"task not found: {task_id}")
        return Task(self, follower)

    def stop(self, task_id: str, *, timeout: float | None = None) -> None:
        """Ask for the end of a task; silent when it is over already."""
        stop = Stop(id=self._channel.new_id(), task_id=task_id)
        # A stop has no answer but an error; this one's says that there was none.
        after = MetricsRequest(id=self._channel.new_id())
        self._ask([stop, after], timeout, repeat=True)

    def reset(self, task_id: str, *, timeout: float | None = None) -> Started:
        """Start an errored task again."""
        request = Reset(id=self._channel.new_id(), task_id=task_id)
        return self._expect(Started, [request], timeout)

    def tasks(self, since: datetime | None = None, *, timeout: float | None = None) -> tuple[TaskInfo, ...]:
        """The tasks that the server knows; with ``since`` (aware) those that started or ended since, and all
        that are queued."""
        request = List(id=self._channel.new_id(), since=since)
        return self._expect(Tasks, [request], timeout, repeat=True).tasks

    def replay(
        self,
        task_id: str,
        since_seq: int | None = None,
        *,
        since: datetime | None = None,
        timeout: float | None = None,
    ) -> list[Output | Exited]:
        """What the server has stored of a task (the last 100 lines and exits), oldest first."""
        items: list[Item] = []
        request = Replay(id=self._channel.new_id(), task_id=task_id, since=since, since_seq=since_seq)
        after = MetricsRequest(id=self._channel.new_id())
        with self._core.lock:
            self._channel.collect_locked(task_id, items)
        try:
            self._ask([request, after], timeout, repeat=True)
        finally:
            with self._core.lock:
                self._channel.end_collecting_locked(items)
        # What is live at the same time, or was sent twice, is among it.
        found: dict[tuple[int, datetime | None], Output | Exited] = {}
        for item in items:
            if isinstance(item, tuple):
                found.setdefault((item[5], None), to_output(item))
            elif isinstance(item, Exited):
                found.setdefault((item.pid, item.ts), item)
        return list(found.values())

    # -- actions, pools, counters

    def actions(self, action: str = "", *, timeout: float | None = None) -> tuple[ActionInfo, ...]:
        """What can be started, or the one action of that name."""
        request = Describe(id=self._channel.new_id(), action=action)
        return self._expect(Actions, [request], timeout, repeat=True).actions

    def pool(self, action: str = "", *, timeout: float | None = None) -> PoolInfo:
        """How full an action's pool is, or the whole server's, and who waits."""
        request = PoolInfoRequest(id=self._channel.new_id(), action=action)
        return self._expect(PoolInfoReply, [request], timeout, repeat=True).pool

    def set_pool(
        self,
        action: str = "",
        *,
        limit: int | None = None,
        queue_size: int | None = None,
        excess: Mapping[str, Any] | None = None,
        timeout: float | None = None,
    ) -> PoolInfo:
        """Change a pool; what is None stays. ``excess``: any of the fields of ``ExcessConfig``."""
        request = SetPool(
            id=self._channel.new_id(),
            action=action,
            limit=limit,
            queue_size=queue_size,
            excess=excess,
        )
        return self._expect(PoolInfoReply, [request], timeout, repeat=True).pool

    def purge(self, action: str = "", *, timeout: float | None = None) -> int:
        """Empty an action's queue, or every queue; how many tasks were waiting."""
        request = Purge(id=self._channel.new_id(), action=action)
        return self._expect(Purged, [request], timeout).count

    def metrics(
        self, action: str = "", *, task_id: str = "", timeout: float | None = None
    ) -> GlobalMetrics | ActionMetrics | TaskMetrics | None:
        """The counters of an action, of a task, or of the whole server; None when there is no such thing."""
        request = MetricsRequest(id=self._channel.new_id(), action=action, task_id=task_id)
        reply = self._expect(MetricsReply, [request], timeout, repeat=True)
        return reply.global_ or reply.action or reply.task

    def manifest(self, *, timeout: float | None = None) -> Mapping[str, Any]:
        """The protocol's description for programs."""
        request = ManifestRequest(id=self._channel.new_id())
        return self._expect(ManifestReply, [request], timeout, repeat=True).manifest

    def events(self, timeout: float | None = None) -> Iterator[Event]:
        """Everything this client is told from now on: queues and pools, and the tasks it follows (also those
        whose handles are dropped while this is read). Answers to requests are not among it.

        Args:
            timeout: the most seconds to wait for each event; None: for ever.

        Raises:
            ReplyTimeoutError: nothing came for so long.
            ConnectionLostError: the connection is lost for good; a close by this program just ends it.
        """
        core = self._core
        inbox = Inbox(core.lock, core.settings.buffer)
        with core.lock:
            core.check_locked()
            core.listeners = (*core.listeners, weakref.ref(inbox))
        return self._events(inbox, timeout)

    def _events(self, inbox: Inbox, timeout: float | None) -> Iterator[Event]:
        for item in iterate(inbox, lambda: self._core.failure is not None, timeout, "this server"):
            yield to_output(item) if isinstance(item, tuple) else item
        failure = self._core.failure
        if failure is not None and failure.code != 1000:
            raise failure

    # -- inside

    def _follower(self, task_id: str, on_lag: str, *, from_now: bool = False) -> Follower:
        if on_lag not in ("block", "drop"):
            raise ValueError(f"on_lag must be block or drop, not {on_lag!r}")
        core = self._core
        return Follower(
            task_id, core.lock, core.settings.buffer, lossless=on_lag == "block", from_now=from_now
        )

    def _find_started(self, task_id: str, on_lag: str, error: ClientError, timeout: float | None) -> Task:
        """The connection was lost while a start was under way: was it carried out? The id is ours alone."""
        try:
            return self.subscribe(task_id, 0, on_lag=on_lag, timeout=timeout)
        except RefusedError:
            raise error from None

    def _reset(self, follower: Follower, timeout: float | None) -> None:
        channel = self._channel

        def subscribed(event: Event | None) -> None:
            if isinstance(event, Subscribed):
                follower.revive_locked()
                follower.subscribed_locked(event)

        ids = channel.new_id(), channel.new_id()
        join = Subscribe(id=ids[0], task_id=follower.task_id, since_seq=follower.last_seq)
        if follower.over and follower.failure is None:  # it was given up with the task
            self._ask([join], timeout, answered=subscribed, follower=follower)
        try:
            self._expect(Started, [Reset(id=ids[1], task_id=follower.task_id)], timeout)
        except RefusedError:
            with self._core.lock:
                channel.check_locked(follower)  # it is as it was
            raise

    def _expect(
        self, cls: type[_R], messages: Sequence[Request], timeout: float | None, *, repeat: bool = False
    ) -> _R:
        answer = self._ask(messages, timeout, repeat=repeat)
        if not isinstance(answer, cls):
            raise ClientError(f"the server answered {answer.type} where {cls.type} was due")
        return answer

    def _ask(
        self,
        messages: Sequence[Request],
        timeout: float | None,
        *,
        repeat: bool = False,
        answered: Callable[[Event | None], None] | None = None,
        follower: Follower | None = None,
    ) -> Event:
        core, channel = self._core, self._channel
        seconds = core.settings.timeout if timeout is None else timeout
        pending = Pending(messages, core.lock, repeat=repeat, answered=answered)
        with core.lock:
            if follower is not None:
                channel.follow_locked(follower)
            channel.ask_locked(pending)
            try:
                in_time = pending.wait_locked(seconds)
            finally:
                channel.forget_locked(pending)
        if pending.error is not None:
            raise pending.error
        if not in_time or pending.reply is None:
            raise ReplyTimeoutError(f"the server has not answered {messages[0].type} within {seconds:g} s")
        return pending.reply
