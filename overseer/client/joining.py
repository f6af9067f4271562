"""Starting tasks, and joining those that others have started."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, cast

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
from overseer.client.errors import (
    ClientError,
    ConnectionLostError,
    RefusedError,
    ReplyTimeoutError,
    TaskGoneError,
)
from overseer.client.finished import Finished
from overseer.client.follower import Follower
from overseer.client.requests import Requests
from overseer.client.task import Task
from overseer.client.words import OnLag, Stream
from overseer.errors import fresh
from overseer.protocol import (
    ActionInfo,
    Error,
    Event,
    Gap,
    List,
    MetricsReply,
    MetricsRequest,
    Output,
    Queued,
    Request,
    RetryPolicy,
    Start,
    Started,
    Subscribe,
    Subscribed,
    Tasks,
)
from overseer.protocol.words import ON_LAG

_NOTHING_STORED = 2**62  # since_seq for a subscription that replays nothing
_FIRST_S, _LAST_S = 0.05, 1.0  # between attempts to find room


class TaskRequests(Requests):
    """The requests that lead to a :class:`Task`."""

    def start(
        self,
        action: ActionInfo | str = "",
        params: Mapping[str, object] | None = None,
        /,
        *,
        task_id: TaskId | None = None,
        retry_policy: RetryPolicy | Mapping[str, Any] | None = None,
        force: bool = False,
        on_lag: OnLag = "catch_up",
        partial: bool = False,
        raw: bool = False,
        wait_for_room: Seconds = 0,
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
            wait_for_room: where the pool and its queue are full, how long to try again, rather than be
                refused at once.
            more: parameters of the action. They are strings; numbers and booleans are written as in JSON
                (``true``, ``1.5``), durations as in Go (``1m30s``), times as in RFC 3339, an enumeration's
                member as its value, paths and UUIDs as with ``str``. One that is None is left out.

        Raises:
            TypeError: a parameter is something else, such as a list or bytes.
        """
        until = time.monotonic() + (seconds_of(wait_for_room, "wait_for_room") or 0.0)
        given: TaskId = "" if task_id is None else task_id
        generated = given == ""
        request = Start(
            id="",
            action=action_name(action) if action else "",
            task_id=task_id_of(uuid.uuid4() if generated else given),
            params=params_of(params, more),
            retry_policy=policy_of(retry_policy),
            force=force,
            partial=partial or None,
            raw=raw or None,
        )
        delay = _FIRST_S
        while True:
            try:
                return self._start(request, on_lag, generated, timeout)
            except RefusedError as error:
                left = until - time.monotonic()
                if error.code != "full" or left <= 0:
                    raise
                self._pause(min(delay, left))
                delay = min(2 * delay, _LAST_S)

    def _pause(self, seconds: float) -> None:
        """Wait, or raise what has ended the client meanwhile."""
        core = self._core
        with core.lock:
            core.ending.wait_for(lambda: core.failure is not None, seconds)
            core.check_locked()

    def _start(self, request: Start, on_lag: OnLag, generated: bool, timeout: Seconds | None) -> Task:
        task_id, partial, raw = request.task_id, bool(request.partial), bool(request.raw)
        follower = self._follower(task_id, on_lag, partial=partial, raw=raw)

        def answered(event: Event | None) -> None:
            if isinstance(event, Started | Queued):
                follower.warnings = event.warnings
                follower.begin_locked()
            elif isinstance(event, Subscribed):
                follower.subscribed_locked(event, listed=False)
            else:
                self._router.unfollow_locked(follower)

        request = replace(request, on_lag=follower.on_lag, catch_up=follower.catch_up)
        # A start subscribes its sender; this gets created_at, which tells a task that takes over the id
        # during a lost connection from this one.
        look = Subscribe(id="", task_id=task_id, since_seq=_NOTHING_STORED)
        try:
            self._ask([request, look], timeout, answered=answered, follower=follower, every=True)
        except ReplyTimeoutError as error:
            raise ReplyTimeoutError(f"{error}; if it starts all the same, it is task {task_id}") from None
        except ConnectionLostError as error:
            if not generated:
                raise
            with suppress(RefusedError):  # the id is ours alone: it was carried out, or not
                return self.subscribe(task_id, 0, on_lag=on_lag, partial=partial, raw=raw, timeout=timeout)
            raise error from None
        return Task(self, follower)

    def run(
        self,
        action: ActionInfo | str = "",
        params: Mapping[str, object] | None = None,
        /,
        *,
        check: bool = False,
        task_id: TaskId | None = None,
        retry_policy: RetryPolicy | Mapping[str, Any] | None = None,
        force: bool = False,
        on_lag: OnLag = "catch_up",
        wait_for_room: Seconds = 0,
        timeout: Seconds | None = None,
        **more: object,
    ) -> Finished:
        """Start a task, wait for its end, and return how it ended and all that it said, which is kept in
        memory: ``client.run("build", branch="main", check=True).stdout``. An exception in between, Ctrl-C
        included, stops the task.

        Args:
            check: raise TaskFailedError if it failed.
            timeout: how long it may take, a wait in a queue included; then it is stopped. None: no limit.
            params, task_id, retry_policy, force, on_lag, wait_for_room, more: as for :meth:`start`.

        Raises:
            TaskFailedError: with ``check``: by its exit code, a signal, a timeout of its action.
            ReplyTimeoutError: it was not over in time.
            TaskNotRunError: it was removed from its queue, or could not be started again.
        """
        seconds = seconds_of(timeout)
        task = self.start(
            action,
            params_of(params, more),
            task_id=task_id,
            retry_policy=retry_policy,
            force=force,
            on_lag=on_lag,
            wait_for_room=wait_for_room,
        )
        expired = threading.Event()

        def expire() -> None:
            expired.set()
            with suppress(ClientError):
                task.stop()

        timer = None if seconds is None else threading.Timer(seconds, expire)
        if timer is not None:
            timer.daemon = True
            timer.start()
        lines: list[tuple[Stream, str]] = []
        missed = 0
        try:
            for events in task.batches():
                for event in events:
                    if isinstance(event, Output):
                        lines.append((cast(Stream, event.stream), event.data))
                    elif isinstance(event, Gap):
                        missed += event.to_seq - event.from_seq + 1
        except BaseException:
            with suppress(ClientError):
                task.stop()
            raise
        finally:
            if timer is not None:
                timer.cancel()
        if expired.is_set():
            raise ReplyTimeoutError(f"task {task.id} was not over after {seconds:g} s, and was stopped")
        exited = task.wait()
        codes = task._follower.success_codes
        finished = Finished(task.id, task.status, exited, tuple(lines), missed, codes)
        if check:
            finished.check()
        return finished

    def subscribe(
        self,
        task_id: TaskId,
        since_seq: int | None = None,
        *,
        on_lag: OnLag = "catch_up",
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
        task_id = task_id_of(task_id)
        follower = self._follower(task_id, on_lag, partial=partial, raw=raw, from_now=since_seq is None)
        follower.last_seq = seq_of(since_seq) or 0
        answered = self._joined(follower)
        # What is stored comes before the answer to the second, and narrows the list asked for below.
        after = MetricsRequest(id="", task_id=task_id)
        messages: list[Request] = [self._router.subscription(follower), after]
        self._ask(messages, timeout, repeat=True, answered=answered, follower=follower)
        if isinstance(follower.failure, TaskGoneError):
            raise fresh(follower.failure)
        if follower.created_at is None:
            raise RefusedError(f"task not found: {task_id}", code="not_found")
        with self._core.lock:
            touched = follower.created_at if follower.exit is None else follower.exit.ts
        self._ask([List(id="", since=touched, task_id=task_id)], timeout, repeat=True, answered=answered)
        return Task(self, follower)

    # -- inside

    def _follower(
        self,
        task_id: str,
        on_lag: OnLag,
        *,
        partial: bool = False,
        raw: bool = False,
        from_now: bool = False,
    ) -> Follower:
        lag = text_of(on_lag, "on_lag")
        if lag not in ON_LAG.words:
            raise ValueError(f"on_lag must be catch_up, block or drop, not {on_lag!r}")
        core = self._core
        return Follower(
            task_id,
            core.lock,
            core.settings.buffer,
            lossless=lag != "drop",
            catch_up=lag == "catch_up" and not raw,  # a log has no raw output
            partial=partial,
            raw=raw,
            from_now=from_now,
            tell=core.tell_listeners_locked,
        )

    def _joined(self, follower: Follower) -> Callable[[Event | None], None]:
        """Handles the answers to a subscription and to the list, which alone tells an errored task from one
        that ended. A follower whose id no task has is left without a created_at."""
        router = self._router

        def answered(event: Event | None) -> None:
            if isinstance(event, Subscribed):
                if event.created_at is None:
                    router.unfollow_locked(follower)
                    return
                if follower.over and follower.failure is None:
                    follower.revive_locked()
                follower.subscribed_locked(event)
            elif isinstance(event, MetricsReply):
                follower.caught_up_locked()
            elif isinstance(event, Tasks):
                if follower.created_at is not None:
                    router.listed_locked(follower, event)
            elif isinstance(event, Error):
                router.unfollow_locked(follower)

        return answered
