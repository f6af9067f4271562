"""Who listens to what: subscriptions of clients to tasks, and what they are sent of the past."""

from __future__ import annotations

from datetime import datetime

from overseer.protocol import Subscribed, Unsubscribed
from overseer.supervisor.clients import Client, DeferredFlush
from overseer.supervisor.output.replay import RingReplay
from overseer.supervisor.output.subscription import Wishes
from overseer.supervisor.table import TaskTable
from overseer.supervisor.task import Phase, Requester, Task
from overseer.supervisor.transaction import Transaction
from overseer.supervisor.usage import UsageWatch
from overseer.util.locks import assert_held


class Subscriptions:
    """Subscribes clients and sends them what is stored.

    That is encoded without a lock (``output.replay``), in rounds; each checks that the id still has the same
    task.
    """

    def __init__(self, table: TaskTable, usage: UsageWatch) -> None:
        self._table = table
        self._usage = usage

    def subscribe(
        self,
        client: Client,
        request_id: str,
        task_id: str,
        since_seq: int | None,
        wishes: Wishes,
    ) -> None:
        """Send ``subscribed``, then what is stored after ``since_seq`` if given, then everything live.

        Raises:
            RequestError: too many subscriptions to unknown tasks.
        """
        replay: RingReplay | None = None
        requester = Requester(client, request_id)
        while True:
            with self._table.begin(requester) as tx:
                task = self._table.get(task_id)
                if task is None or not client.principal.sees(task.action):
                    self._table.subscribe_unknown(task_id, client, wishes)
                    tx.send(client, Subscribed(id=request_id, task_id=task_id))
                    return
                if since_seq is not None:
                    replay = _replay_of(task, replay, client, None, since_seq)
                with task.lock:
                    if replay is None or replay.ready_locked():
                        task.stream.subscribe_locked(client, wishes)
                        if wishes.usage:
                            self._usage.watched_locked()
                        self._answer_locked(tx, client, request_id, task, replay)
                        task.stream.show_unfinished_locked(tx, client)
                        return
            replay.encode()

    def _answer_locked(
        self, tx: Transaction, client: Client, request_id: str, task: Task, replay: RingReplay | None
    ) -> None:
        assert_held(self._table.lock)
        assert_held(task.lock)
        client.task_ids.add(task.id)
        if task.phase is Phase.RESETTING:
            task.onlookers.add(client)
        stream = task.stream
        reply = Subscribed(id=request_id, task_id=task.id)
        if replay is None:
            tx.send(client, reply)
            stream.catch_up_locked(tx, client)
            return
        reply = Subscribed(
            id=request_id,
            task_id=task.id,
            last_seq=stream.last_seq,
            oldest_seq=stream.ring.oldest_seq,
            created_at=task.created_at,
            first_seq=stream.first_seq,
        )
        tx.send(client, reply)
        stream.resume_locked(tx, client, replay)

    def unsubscribe(self, client: Client, request_id: str, task_id: str) -> None:
        """Nothing of the task follows ``unsubscribed``."""
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
        replay: RingReplay | None = None
        requester = Requester(client, request_id)
        while True:
            with self._table.begin(requester):
                task = self._table.find(task_id, client.principal)
            replay = _replay_of(task, replay, client, since, since_seq)
            with DeferredFlush() as out, task.lock:
                # Of a task that is forgotten nothing may follow what was said of the next of its id.
                if task.phase is not Phase.FORGOTTEN and replay.ready_locked():
                    replay.send_locked(out)
                    return
            replay.encode()


def _replay_of(
    task: Task, before: RingReplay | None, client: Client, since: datetime | None, seq: int | None
) -> RingReplay:
    """``before``, if it is one of this very task."""
    ring = task.stream.ring
    if before is not None and before.ring is ring:
        return before
    return RingReplay(task.id, ring, client, since=since, seq=seq)
