"""Dependencies of standing tasks: a task is held, without a slot, until the tasks it depends on allow its
start.

To clients, a held task is queued and shows what it waits for. Every step of a task notes its id in the table;
before a transaction releases the hub's lock, the tasks that wait for these ids are rechecked, and admitted to
their pools when nothing is missing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from overseer.config import StandingTask
from overseer.supervisor.intents import Intents
from overseer.supervisor.phases import Phase
from overseer.supervisor.pool.pool import PoolManager
from overseer.supervisor.queueing import Queueing
from overseer.supervisor.table import TaskTable
from overseer.supervisor.task import Task
from overseer.supervisor.transaction import Transaction
from overseer.util.locks import assert_held

# A dependency of this kind stays met, even if it no longer holds when the last of the others is met.
_LASTING = ("started", "succeeded", "ended")


def is_met(condition: str, task: Task | None) -> bool:
    """Whether a task (None: an id without one) meets ``condition``; the hub's lock is held."""
    if task is None:
        return False
    match condition:
        case "started":
            return task.phase is Phase.RUNNING
        case "ready":
            return task.phase is Phase.RUNNING and task.ready is not False
        case "healthy":
            return task.phase is Phase.RUNNING and task.health == "healthy"
        case "succeeded":
            return task.phase is Phase.ENDED and not task.failed
        case _:
            return task.phase in (Phase.ENDED, Phase.STOPPED, Phase.ERRORED)


class _Held(NamedTuple):
    """A held task, its unmet dependencies (names and conditions), and whether its start was forced."""

    task: Task
    left: dict[str, str]
    force: bool


@dataclass(eq=False, repr=False)
class Dependencies:
    """Holds tasks until their dependencies are met; guarded by the hub's lock."""

    _table: TaskTable
    _pool: PoolManager
    _queueing: Queueing
    _intents: Intents
    _held: dict[str, _Held] = field(default_factory=dict, init=False)
    # Ids of held tasks by what they need.
    _dependents: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set), init=False)
    returning: Collection[str] = field(default=(), init=False)  # tasks that the boot is yet to start

    def missing(self, standing: StandingTask | None) -> tuple[str, ...]:
        """The tasks that a start of this one must wait for; the hub's lock is held."""
        assert_held(self._table.lock)
        return () if standing is None else self._unmet(standing.depends_on)

    def _unmet(self, conditions: Mapping[str, str]) -> tuple[str, ...]:
        return tuple(
            name for name, condition in conditions.items() if not is_met(condition, self._table.get(name))
        )

    def hold_locked(self, tx: Transaction, task: Task, at: datetime, *, force: bool) -> None:
        """Queue a task that must wait for others."""
        assert_held(self._table.lock)
        held = _Held(task, dict(task.depends_on), force)
        self.keep_locked(held)
        with task.lock:
            task.enter_queue_locked(at)
            task.waiting_on = self._look_locked(held)
        self._queueing.enqueued_locked(tx, task, 0)

    def keep_locked(self, held: _Held) -> None:
        """Have it looked at whenever one of those changes that it depends on."""
        assert_held(self._table.lock)
        self._held[held.task.id] = held
        for name in held.task.depends_on:
            self._dependents[name].add(held.task.id)

    def _look_locked(self, held: _Held) -> tuple[str, ...]:
        """What it still waits for; dependencies that only need to be met once are removed when met."""
        assert_held(self._table.lock)
        unmet = self._unmet(held.left)
        for name in [name for name, condition in held.left.items() if condition in _LASTING]:
            if name not in unmet:
                del held.left[name]
        return unmet

    def settle_locked(self, tx: Transaction) -> None:
        """Recheck the tasks that wait for tasks that have changed."""
        assert_held(self._table.lock)
        moved = self._table.moved
        if moved:
            self._intents.moved_locked(moved)
        while moved and self._held:
            task_id = moved.pop()
            held = self._held.get(task_id)
            if held is not None and held.task.phase is not Phase.QUEUED:  # stopped, or forgotten
                self._drop_locked(held)
            for dependent in sorted(self._dependents.get(task_id, ())):
                self._recheck_locked(tx, self._held[dependent])
        moved.clear()

    def _recheck_locked(self, tx: Transaction, held: _Held) -> None:
        assert_held(self._table.lock)
        task, unmet = held.task, self._look_locked(held)
        if unmet == task.waiting_on or task.phase is not Phase.QUEUED:
            return
        with task.lock:
            task.waiting_on = unmet
        if unmet:
            self._queueing.told_locked(tx, task, 0)
            return
        self._drop_locked(held)
        assert task.queued_at is not None
        entered = self._pool.enter(task.id, task.action, task.queued_at, held.force)
        if task.id not in entered.admitted:
            self._queueing.told_locked(tx, task, entered.position)
        self._queueing.admit_locked(tx, entered.admitted)

    def _drop_locked(self, held: _Held) -> None:
        assert_held(self._table.lock)
        del self._held[held.task.id]
        for name in held.task.depends_on:
            dependents = self._dependents[name]
            dependents.discard(held.task.id)
            if not dependents:
                del self._dependents[name]

    # Starting dependencies

    def to_start(self, task_id: str) -> list[str]:
        """The dependencies of a held task that are over or have never run, and must be started for it, unless
        a person stopped them, or the boot starts them."""
        with self._table.lock:
            held = self._held.get(task_id)
            names = () if held is None else held.task.waiting_on
            stopped, returning = self._intents.stopped, self.returning
            names = tuple(name for name in names if name not in stopped and name not in returning)
            tasks = [(name, self._table.get(name)) for name in names]
            return [name for name, task in tasks if task is None or not task.phase.in_use]
