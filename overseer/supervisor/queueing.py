"""Tasks entering and leaving the pools' queues, announced to clients; those that wait too long expire."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from overseer.auth.rights import Principal
from overseer.errors import RequestError
from overseer.history.records import Recorder
from overseer.process.registry import registry
from overseer.protocol import Dequeued, Moved, Queued, Skipped
from overseer.supervisor.clients import Client, Clients
from overseer.supervisor.definitions import Current
from overseer.supervisor.intents import returns
from overseer.supervisor.metrics import Metrics
from overseer.supervisor.phases import Phase
from overseer.supervisor.pool.pool import PoolManager
from overseer.supervisor.starting_run import run_of
from overseer.supervisor.table import TaskTable
from overseer.supervisor.task import Requester, Task
from overseer.supervisor.timer_kinds import Due
from overseer.supervisor.transaction import Launch, Transaction
from overseer.util.jsonlog import EventLog
from overseer.util.locks import assert_held
from overseer.util.timers import Timer, Timers
from overseer.util.timestamps import now

_Queueing = Queued | Dequeued | Moved

# What the history says of a task that left its queue, by the reason.
_WHY = {
    "stopped": "stopped{by} while queued",
    "purged": "its queue was purged{by}",
    "displaced": "a newer task took its place in the queue",
    "expired": "it was queued for longer than the queue allows",
    "shutdown": "the server ended before it could be started",
}


@dataclass(eq=False, repr=False)
class Queueing:
    """Admits tasks to pools or queues, and announces what enters and leaves these."""

    _table: TaskTable
    _pool: PoolManager
    _clients: Clients
    _metrics: Metrics
    _timers: Timers
    _recorder: Recorder
    _current: Current
    # For the queued item that expires next; hub's lock.
    _expiring: Timer | None = field(default=None, init=False)

    def acquire_locked(
        self, tx: Transaction, task: Task, requester: Requester, at: datetime, *, force: bool = False
    ) -> int:
        """Get a task a slot or a place in its queue; returns the place, from 1, or 0 for a slot.

        Raises:
            RequestError: there is neither; nothing has changed.
        """
        assert_held(self._table.lock)
        admission = self._pool.acquire(task.id, task.action, force, at, requester.principal.scope)
        if admission.refusal:
            self._metrics.count("starts_refused", task.action)
            raise RequestError(admission.refusal, code="full")
        self.dequeued_locked(tx, admission.displaced, "displaced")
        return admission.position

    def admit_locked(self, tx: Transaction, task_ids: Iterable[str]) -> None:
        """Launch tasks from the queue, which already have their slots."""
        assert_held(self._table.lock)
        for task_id in task_ids:
            task = self._table.find(task_id)
            with task.lock:
                task.move_locked(Phase.STARTING)
            tx.launch(task, Launch.QUEUED)
            self._metrics.count("dequeued", task.action)
            self._metrics.observe_wait(task.action, time.monotonic() - task.queued_since)

    def enqueued_locked(self, tx: Transaction, task: Task, position: int) -> None:
        """Announce a task that has just entered its queue; position 0: it waits for other tasks first."""
        assert_held(self._table.lock)
        self._metrics.count("enqueued", task.action)
        if self._recorder.enabled:
            self._recorder.queued(run_of(task, Launch.QUEUED, registry.new_run_id()))
        self.told_locked(tx, task, position)

    def told_locked(self, tx: Transaction, task: Task, position: int) -> None:
        """Say that a task is queued, and at which place or for what it waits."""
        assert_held(self._table.lock)
        assert task.queued_at is not None
        requester = task.requester
        queued = Queued(
            id="",
            task_id=task.id,
            action=task.action,
            position=position,
            ts=task.queued_at,
            waiting_on=task.waiting_on,
        )
        tx.observe(task, queued)
        with task.lock:
            if requester.client is not None:
                mine = replace(queued, id=requester.request_id, warnings=requester.warnings)
                task.requester = replace(requester, warnings=())
                tx.send(requester.client, _seen(mine, task, requester.principal))
            self.broadcast_locked(tx, task, queued, excluding=requester.client)
        self.watch_queues_locked()

    def moved_locked(self, tx: Transaction, task: Task, requester: Requester, moved: Moved) -> None:
        """Announce a task that was moved within its queue; ``moved`` is the answer."""
        assert_held(self._table.lock)
        requester.tell(tx, moved)
        with task.lock:
            told = replace(moved, id="", overall=0)
            self.broadcast_locked(tx, task, told, excluding=requester.client)

    def dequeued_locked(self, tx: Transaction, task_ids: Iterable[str], reason: str) -> None:
        """Announce tasks that left the queue and will not run. Those that never ran are forgotten."""
        assert_held(self._table.lock)
        for task_id in task_ids:
            task = self._table.find(task_id)
            self._metrics.count("dequeued", task.action)
            if reason in ("displaced", "expired"):
                self._metrics.count(reason, task.action)
            with task.lock:
                ran = task.last_started_at is not None
                task.waiting_on = ()
                if ran:
                    task.move_locked(Phase.STOPPED)
                event = Dequeued(task_id=task_id, reason=reason, ts=now())
                tx.observe(task, event, "stopped")
                self.broadcast_locked(tx, task, event)
            self.left_locked(task, reason, tx.by)
            if ran:
                self._table.finish(task)
            else:
                self._table.forget(task_id)

    def left_locked(self, task: Task, reason: str = "stopped", by: str = "") -> None:
        """Record that a task, if it was queued, will not be started after all; ``by``: who saw to that."""
        assert_held(self._table.lock)
        returning = task.terms.standing is not None and returns(self._current.value.config, task.id)
        if not self._table.closing:
            why = _WHY[reason].format(by=f" by {by}" if by else "")
            self._recorder.never_started(task.id, "stopped", why)
        elif not returning:
            self._recorder.never_started(task.id, "shutdown", _WHY["shutdown"])

    def broadcast_locked(
        self,
        tx: Transaction,
        task: Task,
        event: _Queueing,
        *,
        excluding: Client | None = None,
    ) -> None:
        """Send an event to the event log and to every client that may see it, ``excluding`` one.

        Watchers get it with everything else that they watch, unless they are subscribed to the task.
        """
        assert_held(self._table.lock)
        assert_held(task.lock)
        tx.log(task.log, event, excluding)
        waits = task.waits
        for client in self._audience_locked(task.action, task):
            if client is not excluding:
                tx.send(client, _seen(event, task, client.principal) if waits else event)

    def skipped_locked(self, tx: Transaction, log: EventLog, action: str, event: Skipped) -> None:
        """Announce that a schedule has not started a task of an action."""
        assert_held(self._table.lock)
        self._metrics.count(f"skipped_{event.reason}", action, event.number)
        tx.log(log, event)
        for client in self._audience_locked(action, self._table.get(event.task_id)):
            tx.send(client, event)

    def _audience_locked(self, action: str, task: Task | None) -> list[Client]:
        """Who is sent a broadcast about a task of an action: watchers get it from the journal, where there is
        such a task, unless they are subscribed to it."""
        assert_held(self._table.lock)
        return [
            client
            for client in self._clients
            if client.principal.sees(action)
            and (not client.watch or task is None or client in task.stream.subscribers)
        ]

    def watch_queues_locked(self) -> None:
        """Set the timer for the next queued item that expires."""
        assert_held(self._table.lock)
        at = self._pool.next_expiry()
        if at is not None:
            self._expiring = self._timers.bring_forward(self._expiring, at, Due.EXPIRE)

    def expire(self) -> None:
        """Remove tasks that have been queued too long."""
        with self._table.begin() as tx:
            self.dequeued_locked(tx, self._pool.expire(), "expired")
            self.watch_queues_locked()


def _seen(event: _Queueing, task: Task, principal: Principal) -> _Queueing:
    """The event without what ``principal`` may not see."""
    if not isinstance(event, Queued):
        return event
    seen = task.waiting_on_for(principal)
    return event if seen == event.waiting_on else replace(event, waiting_on=seen)
