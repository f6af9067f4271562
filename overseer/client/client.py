"""The client: one connection, and the requests that go over it."""

from __future__ import annotations

import os
import threading
import time
import uuid
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from overseer.client.address import parse_url
from overseer.client.arguments import (
    Seconds,
    TaskId,
    action_name,
    params_of,
    policy_of,
    seconds_of,
    seq_of,
    task_id_of,
    text_of,
)
from overseer.client.buffer import EventBuffer, to_output
from overseer.client.core import Core, Settings
from overseer.client.errors import (
    ConnectFailedError,
    ConnectionLostError,
    RefusedError,
    ReplyTimeoutError,
    TaskGoneError,
)
from overseer.client.follower import Follower
from overseer.client.schedules import ScheduleRequests
from overseer.client.task import Task, take
from overseer.client.transport import connect
from overseer.client.watch import Watch, WatchConnection
from overseer.protocol import (
    ActionInfo,
    Error,
    Event,
    List,
    MetricsReply,
    MetricsRequest,
    Queued,
    Request,
    RetryPolicy,
    Start,
    Started,
    Subscribe,
    Subscribed,
    Tasks,
)
from overseer.protocol import Watch as WatchRequest

if TYPE_CHECKING:
    import ssl

_NOTHING_STORED = 2**62  # since_seq for a subscription that replays nothing
_JOIN_S = 5.0


class Client(ScheduleRequests):
    """A connection to a server, for any number of threads and tasks; a context manager that closes it.

    Lengths of time are numbers of seconds, timedeltas or strings such as ``"1m30s"``; tasks are given by
    their id (a string or a UUID), their ``Task`` or a ``TaskInfo``. An invalid argument raises TypeError or
    ValueError, and nothing is sent. Every method that sends a request takes ``timeout`` (None: the client's)
    and raises

    - RefusedError when the server refuses, in its own words,
    - ReplyTimeoutError when no answer came in time,
    - ConnectionLostError when the connection is lost for good, or was lost during a request that cannot be
      repeated safely (``start``, ``reset``, ``purge``, ``input``).

    A lost connection is restored, and every task goes on where it was.

    Args:
        url: ``ws://HOST:PORT/ws``, ``wss://...``, ``http(s)://...`` or ``unix:PATH``; a ``Path`` is that of
            a socket.
        token: sent as ``Authorization: Bearer``.
        tls: for ``wss``, in place of the system's certificates.
        timeout: for the connection and for each answer.
        reconnect: how long to try to restore a lost connection; 0: not at all.
        keepalive: after this long without a word the server is pinged; after as long again the connection is
            lost.
        buffer: bytes of events that may wait for each task's reader; when one falls behind, up to 32 MiB in
            flight are added.
        on_notice: called with a sentence about a lost connection, on one of the client's threads, or about
            lost events (other than lines), on the thread that reads them. What it raises is logged.

    Raises:
        ConnectFailedError: the server cannot be reached, or refused the connection.
    """

    def __init__(
        self,
        url: str | os.PathLike[str],
        *,
        token: str | None = None,
        tls: ssl.SSLContext | None = None,
        timeout: Seconds = 10.0,
        reconnect: Seconds = 60.0,
        keepalive: Seconds = 30.0,
        buffer: int = 4 << 20,
        on_notice: Callable[[str], None] | None = None,
    ) -> None:
        if isinstance(url, os.PathLike):
            url = f"unix:{os.fspath(url)}"
        address = parse_url(text_of(url, "url", empty=True))
        if tls is not None and not hasattr(tls, "wrap_socket"):
            raise TypeError("tls must be an ssl.SSLContext, as ssl.create_default_context(cafile=...) makes")
        settings = Settings(
            address,
            "" if token is None else text_of(token, "token", empty=True),
            tls,
            seconds_of(timeout, "timeout") or 0.0,
            seconds_of(reconnect, "reconnect") or 0.0,
            seconds_of(keepalive, "keepalive") or 0.0,
            max(1, buffer),
            on_notice or (lambda text: None),
        )
        transport = connect(address, token=settings.token, tls=tls, timeout=settings.timeout)
        core = Core(settings)
        super().__init__(core, transport)
        try:
            self._shared.connection.start()
        except RuntimeError as error:
            raise ConnectFailedError(f"cannot connect to {url}: {error}") from None

    def __repr__(self) -> str:
        return f"<Client {self._core.settings.address.url} {self._router!r}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection; tasks go on. Pending calls raise ConnectionLostError. Idempotent, and may be
        called from anywhere, even from ``on_notice``."""
        with self._core.lock:
            self._core.failure = self._core.failure or ConnectionLostError("this client was closed", 1000)
            threads = [connection.thread for connection in self._shared.connections_locked()]
            self._shared.end_locked()
        deadline = time.monotonic() + _JOIN_S
        for thread in threads:
            if thread is threading.current_thread():
                continue  # called from on_notice
            # One that is connecting may take longer; it ends by itself.
            thread.join(max(0.0, deadline - time.monotonic()))

    # -- tasks

    def start(
        self,
        action: ActionInfo | str = "",
        params: Mapping[str, object] | None = None,
        /,
        *,
        task_id: TaskId | None = None,
        retry_policy: RetryPolicy | Mapping[str, Any] | None = None,
        force: bool = False,
        on_lag: str = "catch_up",
        partial: bool = False,
        raw: bool = False,
        timeout: Seconds | None = None,
        **more: object,
    ) -> Task:
        """Start a task, or queue it: ``client.start("build", branch="main")``.

        A standing task needs its name alone: ``client.start(task_id="web")``.

        Args:
            params: parameters whose names are also those of arguments here.
            task_id: a name for the task; generated when None or empty.
            retry_policy: in place of the action's own, also as a mapping of its fields:
                ``{"restart_delay": "5s"}``. ``RetryPolicy()`` restarts at once, without limit.
            force: in a full queue, displace another task.
            on_lag: when the handle is read too slowly, ``catch_up`` reads on later from the server's log;
                where it keeps none, with ``raw``, and with ``block``, the task waits, as for a pipe; ``drop``
                loses lines, and a ``Gap`` says which. A handle without a reader is waited for during
                ten seconds, in which one may begin; then its oldest lines are lost.
            partial: ``events`` and ``batches`` also give a ``Partial`` whenever an unfinished line has
                changed (a prompt, a progress bar); ten a second at most.
            raw: they also give, as ``Data``, the bytes that its terminal is sent, if it has one. Where the
                offset of one is not the end of the one before, some were lost.
            more: parameters of the action. They are strings; numbers and booleans are written as in JSON
                (``true``, ``1.5``), durations as in Go (``1m30s``), times as in RFC 3339, an enumeration's
                member as its value, paths and UUIDs as with ``str``. One that is None is left out.

        Raises:
            TypeError: a parameter is something else, such as a list or bytes.
        """
        generated = task_id is None or task_id == ""
        task_id = task_id_of(uuid.uuid4() if task_id is None or task_id == "" else task_id)
        on_lag = text_of(on_lag, "on_lag")
        follower = self._follower(task_id, on_lag, partial=partial, raw=raw)

        def answered(event: Event | None) -> None:
            if isinstance(event, Started | Queued):
                follower.begin_locked()
            elif isinstance(event, Subscribed):
                follower.subscribed_locked(event, listed=False)
            else:
                self._router.unfollow_locked(follower)

        request = Start(
            id=self._router.new_id(),
            action=action_name(action) if action else "",
            task_id=task_id,
            params=params_of(params, more),
            retry_policy=policy_of(retry_policy),
            force=force,
            on_lag="block" if follower.lossless else "drop",
            catch_up=follower.catch_up,
            partial=partial or None,
            raw=raw or None,
        )
        # A start subscribes its sender; this gets created_at, which tells a task that takes over the id
        # during a lost connection from this one.
        look = Subscribe(id=self._router.new_id(), task_id=task_id, since_seq=_NOTHING_STORED)
        try:
            self._ask([request, look], timeout, answered=answered, followers=[follower], every=True)
        except ReplyTimeoutError as error:
            raise ReplyTimeoutError(f"{error}; if it starts all the same, it is task {task_id}") from None
        except ConnectionLostError as error:
            if not generated:
                raise
            with suppress(RefusedError):  # the id is ours alone: it was carried out, or not
                return self.subscribe(task_id, 0, on_lag=on_lag, partial=partial, raw=raw, timeout=timeout)
            raise error from None
        return Task(self, follower)

    def subscribe(
        self,
        task_id: TaskId,
        since_seq: int | None = None,
        *,
        on_lag: str = "catch_up",
        partial: bool = False,
        raw: bool = False,
        timeout: Seconds | None = None,
    ) -> Task:
        """Join a task started by anyone.

        Args:
            since_seq: first replay what is stored after the line with this seq (0: everything); a ``Gap``
                says what is no longer stored. None: only what happens from now on.
            on_lag, partial, raw: as for :meth:`start`. The first ``Data`` has the end of what its run's
                terminal was sent so far.

        Raises:
            RefusedError: no such task.
            TaskGoneError: it has no line with that seq, which belonged to another task with this id.
        """
        task_id, on_lag = task_id_of(task_id), text_of(on_lag, "on_lag")
        follower = self._follower(task_id, on_lag, partial=partial, raw=raw, from_now=since_seq is None)
        follower.last_seq = seq_of(since_seq) or 0
        router, answered = self._router, self._joined([follower])
        # What is stored comes before the answer to the second, and narrows the list asked for below.
        after = MetricsRequest(id=router.new_id(), task_id=task_id)
        messages: list[Request] = [router.subscription(follower), after]
        self._ask(messages, timeout, repeat=True, answered=answered, followers=[follower])
        if isinstance(follower.failure, TaskGoneError):
            raise follower.failure
        if follower.created_at is None:
            raise RefusedError(f"task not found: {task_id}")
        with self._core.lock:
            touched = follower.created_at if follower.exit is None else follower.exit.ts
        self._ask([List(id=router.new_id(), since=touched)], timeout, repeat=True, answered=answered)
        return Task(self, follower)

    def watch(self, *, output: bool = False, usage: bool = False, timeout: Seconds | None = None) -> Watch:
        """Watch all tasks, present and future, over a connection of its own: see :class:`Watch`.
        No task ever waits for its reader.

        Args:
            output: also their output. A ``Gap`` stands for lines that were missed.
            usage: also the CPU and memory that they use, every two seconds.

        Raises:
            RefusedError: the server is too old to be watched.
        """
        link = WatchConnection(self._core, self._shared, WatchRequest(id="", output=output, usage=usage))
        link.begin(self._seconds(timeout))
        return Watch(link)

    def events(self, timeout: Seconds | None = None) -> Iterator[Event]:
        """Everything the server sends from now on, except answers to requests: queues, pools, and followed
        tasks (even if their handles are dropped while this is read).

        Args:
            timeout: the most seconds to wait for each event; None: no limit.

        Raises:
            ReplyTimeoutError: nothing came for so long. This iteration is over: call it again at once,
                or set no timeout.
            ConnectionLostError: the connection is lost for good; :meth:`close` just ends the iteration.
        """
        return (event for events in self.batches(timeout) for event in events)

    def batches(self, timeout: Seconds | None = None) -> Iterator[list[Event]]:
        """As :meth:`events`, in batches of what is available: for programs that flush after each."""
        core, seconds = self._core, seconds_of(timeout)
        buffer = EventBuffer(core.lock, core.settings.buffer)
        with core.lock:
            core.check_locked()
            core.listeners = (*core.listeners, weakref.ref(buffer))
        return self._batches(buffer, seconds)

    def _batches(self, buffer: EventBuffer, timeout: float | None) -> Iterator[list[Event]]:
        over, notice = (lambda: self._core.failure is not None), self._core.notice
        for items in take(buffer, over, timeout, "this server", notice):
            yield [to_output(item) if isinstance(item, tuple) else item for item in items]
        failure = self._core.failure
        if failure is not None and failure.code != 1000:
            raise failure

    # -- inside

    def _follower(
        self,
        task_id: str,
        on_lag: str,
        *,
        partial: bool = False,
        raw: bool = False,
        from_now: bool = False,
        buffer: int | None = None,
    ) -> Follower:
        if on_lag not in ("catch_up", "block", "drop"):
            raise ValueError(f"on_lag must be catch_up, block or drop, not {on_lag!r}")
        core = self._core
        return Follower(
            task_id,
            core.lock,
            core.settings.buffer if buffer is None else buffer,
            lossless=on_lag != "drop",
            catch_up=on_lag == "catch_up" and not raw,  # a log has no raw output
            partial=partial,
            raw=raw,
            from_now=from_now,
            tell=core.tell_listeners_locked,
        )

    def _joined(self, followers: Sequence[Follower]) -> Callable[[Event | None], None]:
        """Handles the answers to subscriptions and to the list, which alone tells an errored task from one
        that ended. Followers whose id no task has are left without a created_at."""
        router = self._router
        wanted = {follower.task_id: follower for follower in followers}

        def answered(event: Event | None) -> None:
            if isinstance(event, Subscribed):
                follower = wanted[event.task_id]
                if event.created_at is None:
                    router.unfollow_locked(follower)
                    return
                if follower.over and follower.failure is None:
                    follower.revive_locked()
                follower.subscribed_locked(event)
            elif isinstance(event, MetricsReply):
                for follower in followers:
                    follower.caught_up_locked()
            elif isinstance(event, Tasks):
                for follower in followers:
                    if follower.created_at is not None:
                        router.listed_locked(follower, event)
            elif isinstance(event, Error):
                for follower in followers:
                    router.unfollow_locked(follower)

        return answered
