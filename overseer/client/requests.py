"""The client's requests, one method each."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal, TypeVar

from overseer import protocol
from overseer.client.arguments import (
    Moment,
    Seconds,
    TaskId,
    input_of,
    moment_of,
    name_of,
    optional_id,
    seconds_of,
    seq_of,
    side_of,
    signal_of,
    task_id_of,
    text_of,
)
from overseer.client.backpressure import SharedConnection
from overseer.client.buffer import SEQ, Item, to_output
from overseer.client.core import Core
from overseer.client.errors import ClientError, ReplyTimeoutError
from overseer.client.follower import Follower
from overseer.client.pending_request import PendingRequest
from overseer.client.transport import Transport
from overseer.client.words import Reason, RunStatus
from overseer.errors import fresh
from overseer.util.locks import assert_held

_R = TypeVar("_R", bound=protocol.Event)
_I = TypeVar("_I")
PAGE = 1000
"""Items that a server returns at once."""


class Requests:
    """The requests that are over with their answer."""

    def __init__(self, core: Core, transport: Transport) -> None:
        self._core = core
        self._shared = SharedConnection(core, transport)
        self._router = self._shared.router

    # -- tasks

    def stop(self, task_id: TaskId, *, timeout: Seconds | None = None) -> None:
        """Stop a task; no-op if it is already over."""
        # A stop is answered only by an error; the answer to the second request shows that there was none.
        both = protocol.Stop("", task_id_of(task_id)), protocol.MetricsRequest("")
        self._ask(both, timeout, repeat=True)

    def reset(self, task_id: TaskId, *, timeout: Seconds | None = None) -> protocol.Started:
        """Start an errored task again."""
        return self._expect(protocol.Started, protocol.Reset("", task_id_of(task_id)), timeout)

    def restart(
        self, task_id: TaskId, *, timeout: Seconds | None = None
    ) -> protocol.Started | protocol.Queued:
        """Stop a task, wait for its end, and start it again; returns once it has started or, since it needs a
        place in its pool again, is queued. ``timeout`` has to include the time that the stop takes."""
        answer = self._ask([protocol.Restart("", task_id_of(task_id))], timeout)
        if not isinstance(answer, protocol.Started | protocol.Queued):
            raise ClientError(f"the server answered {answer.type} instead of started")
        return answer

    def forget(self, task_id: TaskId, *, timeout: Seconds | None = None) -> None:
        """Take a task that is over off the server's list. Its history and its log are kept.

        Raises:
            RefusedError: it is not over.
        """
        self._expect(protocol.Forgotten, protocol.Forget("", task_id_of(task_id)), timeout)

    def signal(self, task_id: TaskId, signal: str | int, *, timeout: Seconds | None = None) -> None:
        """Send a signal, by name (``HUP``, ``SIGHUP``) or number, to a running task's process group."""
        request = protocol.Signal("", task_id_of(task_id), signal_of(signal))
        self._expect(protocol.Signaled, request, timeout)

    def input(
        self, task_id: TaskId, data: str | bytes = "", *, eof: bool = False, timeout: Seconds | None = None
    ) -> None:
        """Send input to a running task, all or nothing; at most 1 MiB may wait to be read. ``eof`` ends the
        input; a terminal gets its EOF character (Ctrl-D)."""
        text, binary = input_of(data)
        request = protocol.Input("", task_id_of(task_id), data=text, data_base64=binary, eof=eof)
        self._expect(protocol.InputAccepted, request, timeout)

    def resize(self, task_id: TaskId, rows: int, cols: int, *, timeout: Seconds | None = None) -> None:
        """Change the size of a running task's terminal, in characters."""
        request = protocol.Resize("", task_id_of(task_id), side_of(rows), side_of(cols))
        self._expect(protocol.Resized, request, timeout)

    def tasks(
        self,
        since: Moment | None = None,
        *,
        limit: int = 0,
        after: str = "",
        timeout: Seconds | None = None,
    ) -> tuple[protocol.TaskInfo, ...]:
        """A snapshot of the server's tasks, oldest first; with ``since`` those that started or ended since,
        and all that are queued. ``timedelta(minutes=5)``: in the last five minutes, by this machine's clock.

        With ``limit`` or ``after`` they come in the order of their ids: at most ``limit``, of those behind
        the id ``after``, which need no longer exist. Fewer than ``limit``: there are no more.
        """
        moment = moment_of(since)
        found: list[protocol.TaskInfo] = []
        while True:
            left = limit - len(found) if limit else 0
            request = protocol.List("", since=moment, limit=left, after=after)
            reply = self._expect(protocol.Tasks, request, timeout, repeat=True)
            found += reply.tasks
            after = reply.next  # the server shortens pages that are long in bytes
            if not limit or not after or len(found) >= limit:
                return tuple(found)

    def runs(
        self,
        task_id: TaskId | None = None,
        *,
        action: protocol.ActionInfo | str | None = None,
        state: RunStatus | Literal[""] = "",
        reason: Reason | Literal[""] = "",
        since: Moment | None = None,
        until: Moment | None = None,
        limit: int = 100,
        timeout: Seconds | None = None,
    ) -> tuple[protocol.RunInfo, ...]:
        """The server's history of runs, the newest first: current and ended ones, those of earlier servers
        included. At most ``limit`` of them; 0: all. ``since`` and ``until`` bound their starts.

        Raises:
            RefusedError: the server keeps no history (``data_dir``).
        """
        request = protocol.RunsRequest(
            "",
            task_id=optional_id(task_id),
            action=name_of(action),
            state=text_of(state, "state", empty=True),
            reason=text_of(reason, "reason", empty=True),
            since=moment_of(since),
            until=moment_of(until, "until"),
        )
        return self._pages(protocol.RunsReply, request, lambda reply: reply.runs, limit, timeout, "before")

    def replay(
        self,
        task_id: TaskId,
        since_seq: int | None = None,
        *,
        since: Moment | None = None,
        timeout: Seconds | None = None,
    ) -> list[protocol.Output | protocol.Exited]:
        """What the server stores of a task (the last 100 lines and exits), oldest first."""
        items: list[Item] = []
        task_id, since_seq = task_id_of(task_id), seq_of(since_seq)
        request = protocol.Replay("", task_id, since=moment_of(since), since_seq=since_seq)
        after = protocol.MetricsRequest("")
        with self._core.lock:
            self._router.collect_locked(task_id, items)
        try:
            self._ask([request, after], timeout, repeat=True)
        finally:
            with self._core.lock:
                self._router.end_collecting_locked(items)
        # Live messages and duplicates are among them.
        found: dict[tuple[int, datetime | None], protocol.Output | protocol.Exited] = {}
        for item in items:
            if isinstance(item, tuple):
                found.setdefault((item[SEQ], None), to_output(item))
            elif isinstance(item, protocol.Exited):
                found.setdefault((item.pid, item.ts), item)
        return list(found.values())

    # -- actions, pools, counters

    # An empty name is refused: it would mean all actions, but is usually a variable that was never set.

    def actions(
        self, action: protocol.ActionInfo | str | None = None, *, timeout: Seconds | None = None
    ) -> tuple[protocol.ActionInfo, ...]:
        """The actions that can be started, or the one of that name."""
        request = protocol.Describe("", name_of(action))
        return self._expect(protocol.Actions, request, timeout, repeat=True).actions

    def graph(self, *, timeout: Seconds | None = None) -> protocol.Graph:
        """The standing tasks, which the server's configuration declares, and what they wait for."""
        return self._expect(protocol.Graph, protocol.GraphRequest(""), timeout, repeat=True)

    def cluster(self, *, timeout: Seconds | None = None) -> tuple[protocol.ClusterInfo, ...]:
        """The clusters that tasks run on, with their workers; empty: all run on the server's machine."""
        return self._expect(protocol.ClusterReply, protocol.ClusterRequest(""), timeout, repeat=True).clusters

    def metrics(
        self,
        action: protocol.ActionInfo | str | None = None,
        *,
        task_id: TaskId | None = None,
        timeout: Seconds | None = None,
    ) -> protocol.GlobalMetrics | protocol.ActionMetrics | protocol.TaskMetrics | None:
        """The counters of an action, a task or the whole server; None for an unknown action or task."""
        request = protocol.MetricsRequest("", name_of(action), optional_id(task_id))
        reply = self._expect(protocol.MetricsReply, request, timeout, repeat=True)
        return reply.global_ or reply.action or reply.task

    def usage(
        self, task_id: TaskId | None = None, *, timeout: Seconds | None = None
    ) -> tuple[protocol.TaskUsage, ...]:
        """What the processes of each running task use, or of one; empty if that is not running.

        All clients share one pass over the processes, so a request every second or two is fine. ``cpu`` is
        None in a task's first pass.
        """
        request = protocol.UsageRequest("", optional_id(task_id))
        return self._expect(protocol.Usage, request, timeout, repeat=True).tasks

    def manifest(self, *, timeout: Seconds | None = None) -> Mapping[str, Any]:
        """The machine-readable description of the protocol."""
        request = protocol.ManifestRequest("")
        return self._expect(protocol.ManifestReply, request, timeout, repeat=True).manifest

    def reload(self, *, dry_run: bool = False, timeout: Seconds | None = None) -> protocol.Reloaded:
        """Have the server reload its configuration; with ``dry_run``, only report what would change."""
        return self._expect(protocol.Reloaded, protocol.Reload("", dry_run=dry_run), timeout)

    def notify_test(self, channel: str, *, timeout: Seconds | None = None) -> None:
        """Have the server send a test notice to a channel; RefusedError says why it was not delivered. A
        webhook has ten seconds to accept it, a program thirty."""
        request = protocol.NotifyTest("", text_of(channel, "channel"))
        self._expect(protocol.NotifyTested, request, timeout)

    # -- inside

    def _start_over(
        self, kind: type[protocol.Reset] | type[protocol.Restart], follower: Follower, timeout: Seconds | None
    ) -> None:
        router = self._router

        def joined(event: protocol.Event | None) -> None:
            if isinstance(event, protocol.Subscribed):
                follower.revive_locked()
                follower.subscribed_locked(event, listed=False)

        def answered(event: protocol.Event | None) -> None:
            if not isinstance(event, protocol.Started | protocol.Queued):
                router.check_locked(follower)  # nothing has changed
                self._end_reset_locked(follower)

        request = kind("", follower.task_id)
        deadline = time.monotonic() + self._seconds(timeout)
        with self._core.lock:
            # Even if the message that it is errored comes only now, it must stay followed.
            follower.resetting = True
            follower.buffer.room.notify_all()
            joins = follower.over and follower.failure is None  # no longer followed since the task was over
        asked = False
        try:
            if joins:
                self._ask([router.subscription(follower)], timeout, answered=joined, follower=follower)
            asked = True
            self._ask([request], timeout, answered=answered, late=True)
        except ClientError as error:
            if not (asked and isinstance(error, ReplyTimeoutError)):  # a late answer decides about the handle
                with self._core.lock:
                    self._end_reset_locked(follower)
            raise
        with self._core.lock:
            # On a dedicated connection the messages may come after this answer.
            left = max(0.0, deadline - time.monotonic())
            follower.changed.wait_for(
                lambda: not follower.resetting or follower.state == "queued" or follower.failure is not None,
                left,
            )

    def _end_reset_locked(self, follower: Follower) -> None:
        assert_held(self._core.lock)
        follower.resetting = False
        for connection in self._shared.connections_locked():
            connection.router.retire_locked(follower)

    def _expect(
        self, cls: type[_R], request: protocol.Request, timeout: Seconds | None, *, repeat: bool = False
    ) -> _R:
        answer = self._ask([request], timeout, repeat=repeat)
        if not isinstance(answer, cls):
            raise ClientError(f"the server answered {answer.type} instead of {cls.type}")
        return answer

    def _pages(
        self,
        cls: type[_R],
        request: Any,
        items: Callable[[Any], Sequence[_I]],
        limit: int,
        timeout: Seconds | None,
        cursor: str = "after",
    ) -> tuple[_I, ...]:
        """The items of as many answers as it takes to have ``limit``, or all with 0. The ``next`` of each is
        the ``cursor`` of the request that follows."""
        found: list[_I] = []
        following = ""
        while True:
            page = min(limit - len(found) if limit else PAGE, PAGE)
            request = replace(request, limit=page, **{cursor: following})
            reply: Any = self._expect(cls, request, timeout, repeat=True)
            found += items(reply)
            following = reply.next
            if not following or (limit and len(found) >= limit):
                return tuple(found)

    def _ask(
        self,
        messages: Sequence[protocol.Request],
        timeout: Seconds | None,
        *,
        repeat: bool = False,
        answered: Callable[[protocol.Event | None], None] | None = None,
        follower: Follower | None = None,
        late: bool = False,
        every: bool = False,
    ) -> protocol.Event:
        """Send messages, each with an id of its own, and return the answer.

        ``follower``: whom it opens. ``late``: ``answered`` is called even after the timeout. ``every``: the
        answers to all messages are waited for, in whatever order they come.
        """
        core, router = self._core, self._router
        seconds = self._seconds(timeout)
        messages = [replace(message, id=router.new_id()) for message in messages]
        pending = PendingRequest(messages, core.lock, repeat=repeat, answered=answered, every=every)
        with core.lock:
            if follower is not None:
                router.follow_locked(follower)
            router.ask_locked(pending)
            try:
                in_time = pending.wait_locked(seconds)
            finally:
                if not late:
                    router.forget_locked(pending)
        if pending.error is not None:
            raise fresh(pending.error)
        if not in_time or pending.reply is None:
            raise ReplyTimeoutError(f"the server has not answered {messages[0].type} within {seconds:g} s")
        return pending.reply

    def _seconds(self, timeout: Seconds | None) -> float:
        seconds = seconds_of(timeout)
        return self._core.settings.timeout if seconds is None else seconds
