"""Limits and slots: which tasks run at once and which wait, by the rules of ``policy``.

A task holds a *slot* from its admission until :meth:`PoolManager.release`, so through its restarts and its
stop as well.

Nothing here calls up: methods do the bookkeeping and return what the caller has to do (start these, stop
those, announce that). A task returned as admitted already holds its slot.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from overseer.protocol import ExcessConfig, PoolConfig, PoolInfo, QueueItem
from overseer.supervisor.metrics import PoolFigures
from overseer.supervisor.pool.policy import (
    Admission,
    Admit,
    Displace,
    MoveResult,
    Reconfigured,
    Refuse,
    Requeued,
    ResizeResult,
    Trim,
    Where,
    admit,
    count_excess,
    pick_excess,
)
from overseer.supervisor.pool.queues import Item, Queues
from overseer.supervisor.pool.slots import Scope, Slot, own_pools
from overseer.util.locks import Rank, assert_held, lock

Rows = tuple[PoolInfo, list[tuple[bytes, bytes]]]
"""A pool without its queue's items, and these as JSON; see :func:`overseer.protocol.queue_row`."""


class PoolManager:
    """Limits, queues and turns. Thread-safe.

    ``global_pool`` limits all tasks together, and each action's own config limits its tasks. An action
    without a config has no limit of its own and follows the global excess settings; without a queue config,
    it follows the global queue settings in a queue of its own. ``clock`` returns monotonic seconds.

    Task ids are the caller's; each is in at most one slot or queue at a time.
    """

    def __init__(
        self,
        global_pool: PoolConfig,
        action_pools: Mapping[str, PoolConfig | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._lock = lock(Rank.POOL, "pool")  # guards everything below
        self._all = Scope(global_pool.limit, global_pool.excess)
        pools = own_pools(global_pool, action_pools)
        # As configured, regardless of later changes.
        self._configured = (global_pool, pools)
        self._scopes = {action: Scope(config.limit, config.excess) for action, config in pools.items()}
        self._slots: dict[str, Slot] = {}  # in order of the starts
        self._queues = Queues(global_pool.queue, {action: config.queue for action, config in pools.items()})
        self._draining = False

    def __repr__(self) -> str:
        return f"<PoolManager {self._all.running} running, {len(self._queues)} queued>"

    def acquire(
        self,
        task_id: str,
        action: str,
        force: bool,
        queued_at: datetime,
        sees: Callable[[str], bool] | None = None,
    ) -> Admission:
        """Ask for a slot or a place in the queue; with ``sees``, only tasks of such actions are displaced.

        Raises:
            KeyError: no such action.
            ValueError: the task already has a slot or is queued.
        """
        with self._lock:
            scope = self._scopes[action]
            self._check_new_locked(task_id)
            if self._draining:
                return Admission(refusal="the server is shutting down")
            decision = admit(
                self._all.has_room and scope.has_room,
                self._queues.state(action),
                lambda: self._queues.states_but(action, sees),
                force,
            )
            place = action
            displaced: tuple[str, ...] = ()
            match decision:
                case Admit():
                    self._start_locked(task_id, action, force)
                    return Admission()
                case Refuse(reason):
                    return Admission(refusal=reason)
                case Displace(loser):
                    victim = self._queues.displace(loser)
                    place, displaced = victim.place, (victim.task_id,)
            position = self._queues.add(task_id, action, queued_at, self._clock(), force, place)
            return Admission(position, displaced)

    def admit_over(self, task_id: str, action: str) -> None:
        """Take a slot regardless of the limits (a reset). Raises like :meth:`acquire`."""
        with self._lock:
            if action not in self._scopes:
                raise KeyError(action)
            self._check_new_locked(task_id)
            self._start_locked(task_id, action, False)

    def mark_leaving(self, task_id: str) -> None:
        """Note that the task is being stopped, so a lowered limit need not trim another in its place.

        Its slot stays taken until :meth:`release`. No-op for a task without one.
        """
        with self._lock:
            self._mark_leaving_locked(task_id)

    def release(self, task_id: str) -> tuple[str, ...]:
        """Release a slot once the task's worker is gone; returns the ids admitted now, in order.

        Idempotent: no-op for a task without a slot.
        """
        with self._lock:
            if self._leave_locked(task_id) is None:
                return ()
            return self._admit_waiting_locked()

    def requeue(self, task_id: str, queued_at: datetime) -> Requeued:
        """Release a slot and queue its task as if it arrived now, in one step.

        This ignores the queue's size, and whether queueing is on: a task that ran is not lost to a full
        queue.

        Raises:
            KeyError: the task has no slot.
        """
        with self._lock:
            slot = self._leave_locked(task_id)
            if slot is None:
                raise KeyError(task_id)
            return self._enter_locked(task_id, slot.action, queued_at, slot.forced)

    def enter(self, task_id: str, action: str, queued_at: datetime, forced: bool) -> Requeued:
        """Put a task that has waited for others into its action's queue; it may be admitted at once.
        There is always room for it, as for one that is requeued."""
        with self._lock:
            self._check_new_locked(task_id)
            if action not in self._scopes:  # a reload has taken it away
                self._scopes[action] = Scope(0, ExcessConfig())
                self._queues.configure(action, None)
            return self._enter_locked(task_id, action, queued_at, forced)

    def cancel(self, task_id: str) -> bool:
        """Remove a task from its queue; False if it is not queued."""
        with self._lock:
            item = self._queues.get(task_id)
            if item is None:
                return False
            self._queues.remove(item)
            return True

    def move(
        self, task_id: str, where: Where, action: str = "", sees: Callable[[str], bool] | None = None
    ) -> MoveResult:
        """Move a queued task within the queue of its ``action``, whose turns stay as they are; or, with
        ``""``, within all queues together; with ``sees``, within those of actions that it admits, whose
        turns they exchange, so that no other task comes sooner or later for it.

        Raises:
            KeyError: this task does not wait there.
        """
        with self._lock:
            return self._queues.move(task_id, where, action, sees)

    def replayed(self) -> list[str]:
        """The queued tasks in an order in which they would have to arrive to wait as they do."""
        with self._lock:
            return self._queues.replayed()

    def purge(self, action: str = "") -> tuple[str, ...]:
        """Empty the queue of ``action``, or all of them; returns the ids, next to start first.

        Raises:
            KeyError: no such action.
        """
        with self._lock:
            return self._purge_locked(action)

    def expire(self) -> tuple[str, ...]:
        """Remove tasks queued for ``max_age`` or longer; returns their ids."""
        with self._lock:
            return tuple(item.task_id for item in self._queues.expire(self._clock()))

    def next_expiry(self) -> float | None:
        """When :meth:`expire` next has something to do, on the pool's clock; None: never."""
        with self._lock:
            return self._queues.next_expiry()

    def resize(
        self,
        action: str = "",
        limit: int | None = None,
        queue_size: int | None = None,
        excess: Mapping[str, Any] | None = None,
    ) -> ResizeResult:
        """Change the settings of ``action``, or the global ones; None keeps a setting.

        ``limit`` 0 is unlimited, and so is ``queue_size`` 0; a positive ``queue_size`` also turns queueing
        on. Queued items stay when a queue is made smaller. ``excess`` has new values of ExcessConfig's
        fields. A lowered limit trims the tasks beyond it, less those already being stopped; raising it again
        does not cancel that.

        Raises:
            KeyError: no such action.
            ValueError: a negative number.
        """
        if min(limit or 0, queue_size or 0) < 0:
            raise ValueError("a limit or queue size cannot be negative")
        with self._lock:
            scope = self._scope_locked(action)
            if excess is not None:
                scope.excess = replace(scope.excess, **excess)
            if queue_size is not None:
                self._queues.resize(action, queue_size)
            trimmed: tuple[Trim, ...] = ()
            if limit is not None:
                old_limit, scope.limit = scope.limit, limit
                trimmed = self._trim_locked(action, scope, old_limit)
            return ResizeResult(self._admit_waiting_locked(), trimmed)

    def reconfigure(
        self, global_pool: PoolConfig, action_pools: Mapping[str, PoolConfig | None]
    ) -> Reconfigured:
        """Switch to another configuration. Settings that it does not change stay as :meth:`resize` left them.

        A lowered limit trims nothing, and only applies to later starts. Actions that are gone keep their
        tasks, in slots and queues, and accept no new ones.
        """
        with self._lock:
            before, pools_before = self._configured
            pools = own_pools(global_pool, action_pools)
            self._configured = (global_pool, pools)
            changed = [""] if self._take_over_locked("", self._all, before, global_pool) else []
            for action, config in pools.items():
                scope = self._scopes.get(action)
                if scope is None:
                    self._scopes[action] = Scope(config.limit, config.excess)
                    self._queues.configure(action, config.queue)
                    changed.append(action)
                elif self._take_over_locked(action, scope, pools_before.get(action), config):
                    changed.append(action)
            for action in [action for action in self._scopes if action not in pools]:
                if not self._scopes[action].running and self._queues.remove_queue(action):
                    del self._scopes[action]
            return Reconfigured(tuple(changed), self._admit_waiting_locked())

    def drain(self) -> tuple[str, ...]:
        """Empty every queue and admit nothing more, for shutdown; returns the queued ids. Idempotent."""
        with self._lock:
            self._draining = True
            return self._purge_locked("")

    def info(self, action: str = "", sees: Callable[[str], bool] | None = None) -> PoolInfo:
        """Counts and queue of ``action``, or of all together; with ``sees``, of the actions it admits.

        Items are in the order in which they would start if their actions had room, positions from 0.

        Raises:
            KeyError: no such action.
        """
        with self._lock:
            limit, running, items = self._view_locked(action, sees)
        queue_items = tuple(
            QueueItem(item.task_id, item.action, item.queued_at, position, item.forced)
            for position, item in enumerate(items)
        )
        return PoolInfo(limit, running, len(items), queue_items)

    def rows(self, action: str = "", sees: Callable[[str], bool] | None = None) -> Rows:
        """The same as :meth:`info`, its items encoded."""
        with self._lock:
            limit, running, items = self._view_locked(action, sees)
            rows = [item.row for item in items]
        return PoolInfo(limit, running, len(rows)), rows

    def counts(self) -> tuple[PoolFigures, dict[str, PoolFigures]]:
        """Limit, running and queued, globally and by action; quicker than :meth:`info`."""
        with self._lock:
            every = PoolFigures(self._all.limit, self._all.running, len(self._queues))
            return every, {
                action: PoolFigures(scope.limit, scope.running, self._queues.count(action))
                for action, scope in self._scopes.items()
            }

    # Everything below needs the lock.

    def _take_over_locked(
        self, action: str, scope: Scope, before: PoolConfig | None, config: PoolConfig
    ) -> bool:
        """Apply what differs from ``before`` (None: everything); returns whether anything does."""
        assert_held(self._lock)
        if before is None or before.limit != config.limit:
            scope.limit = config.limit
        if before is None or before.excess != config.excess:
            scope.excess = config.excess
        if before is None or before.queue != config.queue:
            self._queues.configure(action, config.queue)
        return before != config

    def _view_locked(self, action: str, sees: Callable[[str], bool] | None) -> tuple[int, int, list[Item]]:
        """Limit, number running, and queued items, for :meth:`info`."""
        assert_held(self._lock)
        scope = self._scope_locked(action)
        if sees is None or action:
            return scope.limit, scope.running, self._queues.waiting(action)
        running = sum(each.running for name, each in self._scopes.items() if sees(name))
        return scope.limit, running, self._queues.waiting(sees=sees)

    def _scope_locked(self, action: str) -> Scope:
        assert_held(self._lock)
        return self._all if action == "" else self._scopes[action]

    def _check_new_locked(self, task_id: str) -> None:
        assert_held(self._lock)
        if task_id in self._slots or task_id in self._queues:
            raise ValueError(f"task {task_id!r} is already in the pool")

    def _start_locked(self, task_id: str, action: str, forced: bool) -> None:
        assert_held(self._lock)
        self._slots[task_id] = Slot(action, forced)
        for scope in (self._all, self._scopes[action]):
            scope.running += 1

    def _leave_locked(self, task_id: str) -> Slot | None:
        assert_held(self._lock)
        slot = self._slots.pop(task_id, None)
        if slot is not None:
            for scope in (self._all, self._scopes[slot.action]):
                scope.running -= 1
                scope.leaving -= slot.leaving
        return slot

    def _mark_leaving_locked(self, task_id: str) -> None:
        assert_held(self._lock)
        slot = self._slots.get(task_id)
        if slot is not None and not slot.leaving:
            slot.leaving = True
            for scope in (self._all, self._scopes[slot.action]):
                scope.leaving += 1

    def _enter_locked(self, task_id: str, action: str, queued_at: datetime, forced: bool) -> Requeued:
        assert_held(self._lock)
        if self._draining:
            return Requeued(0)
        position = self._queues.add(task_id, action, queued_at, self._clock(), forced, action)
        return Requeued(position, self._admit_waiting_locked())

    def _admit_waiting_locked(self) -> tuple[str, ...]:
        """Admit queued tasks while there is room, from the queue with the earliest turn each time."""
        assert_held(self._lock)
        if not self._queues or not self._all.has_room:
            return ()
        # Admitting one leaves the other queues' turns unchanged, so this heap stays valid.
        ready = self._queues.turns(action for action, scope in self._scopes.items() if scope.has_room)
        heapq.heapify(ready)
        admitted = []
        while ready and self._all.has_room:
            action = ready[0][1]
            item = self._queues.take(action)
            self._start_locked(item.task_id, action, item.forced)
            admitted.append(item.task_id)
            if self._scopes[action].has_room and (again := self._queues.turns([action])):
                heapq.heapreplace(ready, again[0])
            else:
                heapq.heappop(ready)
        return tuple(admitted)

    def _purge_locked(self, action: str) -> tuple[str, ...]:
        assert_held(self._lock)
        items = self._queues.waiting(action)
        for item in items:
            self._queues.remove(item)
        return tuple(item.task_id for item in items)

    def _trim_locked(self, action: str, scope: Scope, old_limit: int) -> tuple[Trim, ...]:
        assert_held(self._lock)
        count = count_excess(old_limit, scope.limit, scope.running, scope.leaving)
        if not count:
            return ()
        slots = [(task_id, slot) for task_id, slot in self._slots.items() if not slot.leaving]
        started = [task_id for task_id, slot in slots if action in ("", slot.action)]
        how = scope.excess
        picked = pick_excess(started, count, how.order)
        for task_id in picked:
            self._mark_leaving_locked(task_id)
        return tuple(Trim(task_id, how.action == "requeue", float(how.grace)) for task_id in picked)
