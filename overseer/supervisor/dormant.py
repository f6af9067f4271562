"""Tasks that do not run: those that wait in a queue, and those that are over."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from overseer.protocol import Dequeued, Queued
from overseer.supervisor.clients import Client, Mail
from overseer.supervisor.state import State
from overseer.supervisor.task import Phase, Task
from overseer.util.timers import Timer
from overseer.util.timestamps import now

__all__ = ["Dormant"]


class Dormant:
    """Tells of tasks that enter and leave the pool's queues, and has them expire; forgets what is over.

    Every public method expects the hub's lock to be held.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        # Guarded by the hub's lock.
        self._expiry: Timer | None = None  # for the queued item that grows too old next
        self._pruning: Timer | None = None  # for the finished task that does

    def enqueued_locked(self, mail: Mail, task: Task, position: int) -> None:
        """A task waits in the pool's queue since just now: tell its requester and everybody."""
        assert task.queued_at is not None
        self._state.metrics.count("enqueued", task.action)
        requester = task.requester
        queued = Queued(id="", task_id=task.id, action=task.action, position=position, ts=task.queued_at)
        with task.lock:
            if requester.client is not None:
                mail.send(requester.client, replace(queued, id=requester.request_id))
            self.broadcast_locked(mail, task, queued, besides=requester.client)
        self.watch_queues_locked()

    def dequeued_locked(self, mail: Mail, task_ids: Iterable[str], reason: str) -> None:
        """Tasks have left the queue, and will not run: say so. Those that never ran are forgotten."""
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
                self.broadcast_locked(mail, task, event)
            if ran:
                self.finish_locked(task)
            else:
                self._state.table.forget(task_id)
        self._state.freed.notify_all()

    def broadcast_locked(
        self, mail: Mail, task: Task, event: Queued | Dequeued, *, besides: Client | None = None
    ) -> None:
        """Tell every client that may know, ``besides`` one that gets its own, and the event log.

        The task's lock is held too.
        """
        mail.log(task.log, event)
        told = [
            client
            for client in self._state.clients
            if client is not besides and client.principal.sees(task.action)
        ]
        mail.send_all(told, event)

    def watch_queues_locked(self) -> None:
        """See to it that queued items are expired when they grow too old."""
        at = self._state.pool.next_expiry()
        if at is not None:
            self._expiry = self._sooner(self._expiry, at, self._expire)

    def finish_locked(self, task: Task) -> None:
        """The task is over: its id is free, and it is remembered for a while."""
        self._state.table.finish(task)
        self._state.freed.notify_all()
        self.prune_locked()

    def prune_locked(self) -> None:
        """Forget what is to be forgotten, now and again when the next finished task grows too old."""
        wait = self._state.table.prune()
        if wait is not None:
            self._pruning = self._sooner(self._pruning, time.monotonic() + wait, self._prune)

    def _sooner(self, timer: Timer | None, at: float, callback: Callable[[], None]) -> Timer:
        """The timer, if it comes no later than ``at``, else another one in its place."""
        if timer is not None and timer.pending and timer.when <= at:
            return timer
        if timer is not None:
            timer.cancel()
        return self._state.timers.schedule_at(at, callback)

    def _expire(self) -> None:
        with Mail() as mail, self._state.lock:
            self._expiry = None
            self.dequeued_locked(mail, self._state.pool.expire(), "expired")
            self.watch_queues_locked()

    def _prune(self) -> None:
        with self._state.lock:
            self.prune_locked()
