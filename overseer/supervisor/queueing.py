"""Tasks that wait in a queue: announced as they enter and leave it, and expired when they grow too old."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from overseer.protocol import Dequeued, Queued
from overseer.supervisor.clients import Client
from overseer.supervisor.retention import Retention
from overseer.supervisor.state import State
from overseer.supervisor.task import Phase, Task
from overseer.supervisor.transaction import Transaction
from overseer.util.locks import assert_held
from overseer.util.timers import Timer
from overseer.util.timestamps import now


class Queueing:
    """Announces what enters and leaves the pool's queues."""

    def __init__(self, state: State, retention: Retention) -> None:
        self._state = state
        self._retention = retention
        self._timer: Timer | None = None  # for the queued item that grows too old next; hub's lock

    def enqueued_locked(self, tx: Transaction, task: Task, position: int) -> None:
        """A task waits in the pool's queue since just now: tell its requester and everybody."""
        assert_held(self._state.lock)
        assert task.queued_at is not None
        self._state.metrics.count("enqueued", task.action)
        requester = task.requester
        queued = Queued(id="", task_id=task.id, action=task.action, position=position, ts=task.queued_at)
        with task.lock:
            if requester.client is not None:
                tx.send(requester.client, replace(queued, id=requester.request_id))
            self.broadcast_locked(tx, task, queued, excluding=requester.client)
        self.watch_queues_locked()

    def dequeued_locked(self, tx: Transaction, task_ids: Iterable[str], reason: str) -> None:
        """Tasks have left the queue, and will not run: say so. Those that never ran are forgotten."""
        assert_held(self._state.lock)
        for task_id in task_ids:
            task = self._state.table.find(task_id)
            self._state.metrics.count("dequeued", task.action)
            if reason in ("displaced", "expired"):
                self._state.metrics.count(reason, task.action)
            with task.lock:
                ran = task.last_started_at is not None
                if ran:
                    task.move_locked(Phase.STOPPED)
                event = Dequeued(task_id=task_id, reason=reason, ts=now())
                self.broadcast_locked(tx, task, event)
            if ran:
                self._retention.finish_locked(task)
            else:
                self._state.table.forget(task_id)
        self._state.freed.notify_all()

    def broadcast_locked(
        self, tx: Transaction, task: Task, event: Queued | Dequeued, *, excluding: Client | None = None
    ) -> None:
        """Tell every client that may know, ``excluding`` one that gets its own, and the event log."""
        assert_held(self._state.lock)
        assert_held(task.lock)
        tx.log(task.log, event)
        told = [
            client
            for client in self._state.clients
            if client is not excluding and client.principal.sees(task.action)
        ]
        tx.send_all(told, event)

    def watch_queues_locked(self) -> None:
        """See to it that queued items are expired when they grow too old."""
        assert_held(self._state.lock)
        at = self._state.pool.next_expiry()
        if at is not None:
            self._timer = self._state.timers.bring_forward(self._timer, at, self._expire)

    def _expire(self) -> None:
        with self._state.begin() as tx:
            self.dequeued_locked(tx, self._state.pool.expire(), "expired")
            self.watch_queues_locked()
