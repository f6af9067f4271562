"""Clients' subscriptions to tasks, and replays of stored output."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import TYPE_CHECKING

from overseer.errors import RequestError
from overseer.protocol import Subscribed, Unsubscribed
from overseer.supervisor.clients import Client, DeferredFlush
from overseer.supervisor.output.replay import RingReplay
from overseer.supervisor.output.subscription import Subscription, Wishes
from overseer.supervisor.phases import Phase
from overseer.supervisor.table import MAX_UNKNOWN, TaskTable
from overseer.supervisor.task import Requester, Task
from overseer.supervisor.transaction import Transaction
from overseer.supervisor.usage import UsageWatch
from overseer.util.locks import assert_held

if TYPE_CHECKING:
    from overseer.logs.store import Logs

_log = logging.getLogger(__name__)


class Subscriptions:
    """Subscribes clients and sends them stored output.

    It is encoded without a lock (``output.replay``), in rounds, each of which checks that the id still has
    the same task.
    """

    def __init__(self, table: TaskTable, usage: UsageWatch, logs: Logs | None = None) -> None:
        self._table = table
        self._usage = usage
        self._logs = logs

    def subscribe(
        self,
        client: Client,
        request_id: str,
        task_id: str,
        since_seq: int | None,
        wishes: Wishes,
    ) -> None:
        """Send ``subscribed``, then what is stored after ``since_seq``, if given, then everything live.

        Raises:
            RequestError: too many subscriptions to unknown tasks.
        """
        replay: RingReplay | None = None
        first_seq: int | None = None  # of the log
        requester = Requester(client, request_id)
        while True:
            with self._table.begin(requester) as tx:
                task = self._table.get(task_id)
                if task is None or not client.principal.sees(task.action):
                    if not self._table.wait(task_id, Subscription(client, wishes)):
                        raise RequestError(
                            f"too many subscriptions to unknown tasks; the limit is {MAX_UNKNOWN}"
                        )
                    tx.send(client, Subscribed(id=request_id, task_id=task_id))
                    return
                with task.lock:
                    logged = since_seq is not None and task.stream.only_logged(since_seq)
                    if logged:
                        ready = first_seq is not None
                    else:
                        if since_seq is not None:
                            replay = _replay_of(task, replay, client, None, since_seq)
                        ready = replay is None or replay.ready_locked()
                    if ready:
                        task.stream.subscribe_locked(client, wishes)
                        if wishes.usage:
                            self._usage.watched_locked()
                        self._answer_locked(
                            tx,
                            client,
                            request_id,
                            task,
                            None if logged else replay,
                            since_seq,
                            first_seq or 0,
                        )
                        task.stream.show_unfinished_locked(tx, client)
                        return
            if logged:
                first_seq = self._first_seq(task_id)
            elif replay is not None:
                replay.encode()

    def _first_seq(self, task_id: str) -> int:
        """The seq of the first line in a task's log, or 0."""
        assert self._logs is not None
        reader = self._logs.reader_of(task_id)
        try:
            return self._logs.read(lambda: reader.ends()[0])
        except (OSError, ValueError) as error:
            _log.warning("the log of task %s cannot be read: %s", task_id, error)
            return 0

    def _answer_locked(
        self,
        tx: Transaction,
        client: Client,
        request_id: str,
        task: Task,
        replay: RingReplay | None,
        since_seq: int | None,
        first_seq: int,
    ) -> None:
        """With a replay, what comes after ``since_seq`` is in the ring; without one, in the log."""
        assert_held(self._table.lock)
        assert_held(task.lock)
        client.task_ids.add(task.id)
        if task.phase is Phase.RESETTING:
            task.onlookers.add(client)
        stream = task.stream
        reply = Subscribed(id=request_id, task_id=task.id)
        if since_seq is None:
            tx.send(client, reply)
            stream.catch_up_locked(tx, client)
            return
        reply = Subscribed(
            id=request_id,
            task_id=task.id,
            last_seq=stream.last_seq,
            oldest_seq=stream.ring.oldest_seq if replay is not None else first_seq or stream.ring.oldest_seq,
            created_at=task.created_at,
            first_seq=stream.first_seq,
        )
        tx.send(client, reply)
        if replay is None:
            stream.resume_from_log_locked(tx, client, max(since_seq + 1, first_seq))
        else:
            stream.resume_locked(tx, client, replay, since_seq)

    def unsubscribe(self, client: Client, request_id: str, task_id: str) -> None:
        """End a subscription; nothing of the task follows ``unsubscribed``."""
        with self._table.begin() as tx:
            self._table.unsubscribe(task_id, client)
            client.task_ids.discard(task_id)
            tx.send(client, Unsubscribed(id=request_id, task_id=task_id))

    def drop_locked(self, client: Client) -> None:
        """End all subscriptions of a client that is gone."""
        assert_held(self._table.lock)
        for task_id in client.task_ids:
            self._table.unsubscribe(task_id, client)
        client.task_ids.clear()

    def replay(
        self, client: Client, request_id: str, task_id: str, since: datetime | None, since_seq: int | None
    ) -> None:
        """Send the task's stored events to this client.

        Raises:
            RequestError: there is no such task.
        """
        requester = Requester(client, request_id)
        if self._logs is not None and (since is not None or since_seq is not None):
            with self._table.begin(requester):
                task = self._table.find(task_id, client.principal)
            client.replaying = True
            try:
                since_seq = self._replay_log(self._logs, task, client, since, since_seq or 0)
            finally:
                client.replaying = False
        replay: RingReplay | None = None
        while True:
            with self._table.begin(requester):
                task = self._table.find(task_id, client.principal)
            replay = _replay_of(task, replay, client, since, since_seq)
            with DeferredFlush() as out, task.lock:
                # Nothing of a forgotten task may follow messages about the next one of its id.
                if task.phase is not Phase.FORGOTTEN and replay.ready_locked():
                    replay.send_locked(out)
                    return
            replay.encode()

    def _replay_log(
        self, logs: Logs, task: Task, client: Client, since: datetime | None, since_seq: int
    ) -> int:
        """Send what only the log has; returns the seq of its last line, after which the ring continues."""
        from overseer.supervisor.output.log_replay import LogReplay

        stream = task.stream
        replay = LogReplay(task.id, logs.reader_of(task.id), client, since, since_seq)
        last_seq = stream.last_seq  # read once, as a busy task would never be caught up with
        while True:
            with task.lock:
                to = min(stream.ring.oldest_seq or stream.last_seq + 1, last_seq + 1)
            try:
                if replay.seq + 1 >= to or not logs.read(lambda: replay.read(to)):  # noqa: B023
                    return max(since_seq, replay.seq)
            except (OSError, ValueError) as error:
                raise RequestError(f"the log cannot be read: {error}") from None
            if not replay.send():
                return last_seq


def _replay_of(
    task: Task, before: RingReplay | None, client: Client, since: datetime | None, seq: int | None
) -> RingReplay:
    """``before``, if it is of this very task."""
    ring = task.stream.ring
    if before is not None and before.ring is ring:
        return before
    return RingReplay(task.id, task.lock, ring, client, since=since, seq=seq)
