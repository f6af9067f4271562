"""All tasks by id: which ids are taken, which tasks are duplicates, which finished ones are remembered."""

from __future__ import annotations

import bisect
import math
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping

from overseer.auth.rights import ANYONE, Principal
from overseer.config import HistoryConfig
from overseer.errors import ClosingError, NotPermittedError, RequestError, TakenError
from overseer.supervisor.clients import Client
from overseer.supervisor.journal import Journal
from overseer.supervisor.observers import Observers
from overseer.supervisor.output.subscription import Subscription
from overseer.supervisor.phases import Phase
from overseer.supervisor.task import Requester, Task
from overseer.supervisor.timer_kinds import Due
from overseer.supervisor.transaction import Launch, Transaction
from overseer.util.locks import Rank, assert_held, lock
from overseer.util.timers import Timer, Timers
from overseer.util.waiters import Waiters

TAKEN = "task already running or starting"
STOPPED = "the task was stopped meanwhile"

# Every finished task is remembered at least this long (seconds), as clients are about to ask for it.
_YOUNGEST = 60.0
# Errored tasks wait for a reset at least this long (seconds), whatever the configured age.
_ERRORED_AGE = 24 * 3600.0
# And at least so many of them, however small the configured number.
_ERRORED_KEPT = 1000
# The maximum number of ids without a task that one client may subscribe to.
MAX_UNKNOWN = 1000


class TaskTable:
    """The tasks of a hub and its lock, which must be held for every method but :meth:`begin` and ``in``.

    Attributes:
        lock: the hub's.
        freed: those who wait for an id to fall free; a shutdown waits for the last one.
        history: how long finished tasks are remembered.
        closing: starts are refused.
        skip_graces: stops have no grace.
        launch: launches a transaction's runs; see :meth:`Starts.launch_for`.
        moved: ids of tasks whose phase or readiness has changed in this transaction.
        settle: looks at those that wait for these; see :meth:`Dependencies.settle_locked`.
        observers: hear what becomes of tasks.
        journal: has what has happened, for those who watch.
        on_new: called with each task that is added.
    """

    launch: Callable[[Task, Launch, Client | None], str | RequestError]
    settle: Callable[[Transaction], None]

    def __init__(self, history: HistoryConfig, timers: Timers) -> None:
        self.lock: threading.Lock = lock(Rank.HUB, "hub")
        self.freed = Waiters(self.lock)
        self.history = history
        self.closing = False
        self.skip_graces = False
        self.moved: set[str] = set()
        self.observers = Observers()
        self._timers = timers
        self.journal = Journal(self.lock, self.get)
        self.on_new: Callable[[Task], None] = lambda task: None
        self._pruning: Timer | None = None  # for the finished task that expires next
        self._tasks: dict[str, Task] = {}
        self._ids: list[str] = []  # sorted
        self._in_use: set[str] = set()
        self._duplicates: dict[tuple[str, ...], str] = {}  # dedupe key to the id in use that has it
        # Finished tasks and when they finished (monotonic), oldest first.
        self._finished: dict[str, float] = {}
        self._errored: dict[str, float] = {}
        # Subscriptions to ids without a task, or without one that the client may see.
        self._unknown: dict[str, dict[Client, Subscription]] = {}
        # Numbers of tasks by action and phase.
        self.phases: defaultdict[str, Counter[Phase]] = defaultdict(Counter)

    def __iter__(self) -> Iterator[Task]:
        return iter(self._tasks.values())

    def __contains__(self, task_id: str) -> bool:
        return task_id in self._tasks  # atomic, so the lock need not be held

    def __len__(self) -> int:
        return len(self._tasks)

    def begin(self, requester: Requester | None = None) -> Transaction:
        """A transaction; the requester is sent an ``error`` if its block raises a RequestError."""
        return Transaction(self.lock, self.launch, self.settle, self.observers, self.journal, requester)

    @property
    def in_use(self) -> int:
        """The number of ids taken: queued, starting, running or awaiting restart."""
        return len(self._in_use)

    def resetting(self, tasks: Iterable[Task]) -> list[Task]:
        """Those of these tasks that are being reset."""
        assert_held(self.lock)
        if not any(counts[Phase.RESETTING] for counts in self.phases.values()):
            return []
        return [task for task in tasks if task.phase is Phase.RESETTING]

    def after(self, task_id: str) -> Iterator[Task]:
        """The tasks whose ids sort after this one, sorted by id."""
        assert_held(self.lock)
        for index in range(bisect.bisect_right(self._ids, task_id), len(self._ids)):
            yield self._tasks[self._ids[index]]

    def refuse_closing(self) -> None:
        """Raises RequestError when starts are refused."""
        assert_held(self.lock)
        if self.closing:
            raise ClosingError()

    def get(self, task_id: str) -> Task | None:
        assert_held(self.lock)
        return self._tasks.get(task_id)

    def find(self, task_id: str, principal: Principal = ANYONE) -> Task:
        """The task of that id.

        Raises:
            RequestError: there is none that ``principal`` may see.
        """
        assert_held(self.lock)
        task = self._tasks.get(task_id)
        if task is None:
            raise RequestError("task not found", code="not_found")
        if not principal.sees(task.action):
            raise NotPermittedError("task not found", code="not_found")
        return task

    def refuse_taken(
        self, task_id: str, dedupe: tuple[str, ...] | None, principal: Principal = ANYONE
    ) -> None:
        """Check that ``principal`` may add a task.

        Raises:
            RequestError: its id is taken, or a duplicate is in use.
        """
        assert_held(self.lock)
        known = self._tasks.get(task_id)
        if known is not None and not principal.sees(known.action):
            # Ids are shared by all. Even a finished task's is unavailable to those who may not see it.
            raise NotPermittedError("this task_id cannot be used: take another one", code="conflict")
        if task_id in self._in_use:
            raise TakenError(TAKEN)
        self._refuse_duplicate(task_id, dedupe)

    def _refuse_duplicate(self, task_id: str, dedupe: tuple[str, ...] | None) -> None:
        other = None if dedupe is None else self._duplicates.get(dedupe)
        if other is not None and other != task_id:
            message = f"duplicate task: already running as {other}"
            raise RequestError(message, existing_task_id=other, code="conflict")

    def change_dedupe(self, task: Task, dedupe: tuple[str, ...] | None) -> None:
        """Free the dedupe key of a task in use, which :meth:`take` gives another one.

        Raises:
            RequestError: by the new key, a duplicate is in use.
        """
        assert_held(self.lock)
        self._refuse_duplicate(task.id, dedupe)
        before = task.terms.dedupe
        if before is not None and self._duplicates.get(before) == task.id:
            del self._duplicates[before]

    def add(self, task: Task) -> None:
        """Add a new task, replacing a finished one of that id, and attach the id's subscribers.

        Those that may not see it keep waiting.
        """
        assert_held(self.lock)
        self.forget(task.id, replaced=True)
        waiting = self._unknown.get(task.id, {})
        with task.lock:
            for client in [each for each in waiting if each.principal.sees(task.action)]:
                client.waiting.discard(task.id)
                task.stream.adopt_locked(waiting.pop(client))
        if not waiting:
            self._unknown.pop(task.id, None)
        self._attach(task)
        self.take(task)
        self.journal.touched(task, None)
        self.on_new(task)

    def restore(self, tasks: Iterable[Task], finished: Mapping[str, float]) -> None:
        """Add tasks as an earlier program had them; ``finished``: see :meth:`finished_at`."""
        assert_held(self.lock)
        for task in tasks:
            self._attach(task)
            if task.id not in finished:
                self.take(task)
        for task_id, at in finished.items():
            self._ended_as(self._tasks[task_id])[task_id] = at

    def _attach(self, task: Task) -> None:
        self._tasks[task.id] = task
        task.moved, task.noted = self.moved, self.journal.touched
        task.counted = self.phases[task.action]
        task.counted[task.phase] += 1
        bisect.insort(self._ids, task.id)

    def finished_at(self) -> dict[str, float]:
        """When tasks that are over were so (monotonic), the longest ago first; errored ones last, since they
        may be reset."""
        assert_held(self.lock)
        return {**self._finished, **self._errored}

    def waiting(self) -> Iterator[tuple[str, Subscription]]:
        """The subscriptions that wait for a task of their id, with it."""
        assert_held(self.lock)
        for task_id, waiting in self._unknown.items():
            for subscription in waiting.values():
                yield task_id, subscription

    def take(self, task: Task) -> None:
        """The task's id is in use (again)."""
        assert_held(self.lock)
        self._in_use.add(task.id)
        self._finished.pop(task.id, None)
        self._errored.pop(task.id, None)
        if task.terms.dedupe is not None:
            self._duplicates[task.terms.dedupe] = task.id

    def finish(self, task: Task) -> None:
        """Record that the task is over, at least for now: its id is free, and it is remembered for a
        while."""
        assert_held(self.lock)
        self._free(task)
        self._ended_as(task)[task.id] = time.monotonic()
        self.prune()

    def _ended_as(self, task: Task) -> dict[str, float]:
        return self._errored if task.phase is Phase.ERRORED else self._finished

    def _free(self, task: Task) -> None:
        self._in_use.discard(task.id)
        dedupe = task.terms.dedupe
        if dedupe is not None and self._duplicates.get(dedupe) == task.id:
            del self._duplicates[dedupe]
        self.freed.wake()

    def forget(self, task_id: str, *, replaced: bool = False, error: str = "") -> None:
        """Drop the task of that id, if there is one; its subscribers wait for the next one of that id.

        ``replaced``: that comes now. ``error``: why it could not be started, for those who watch.
        """
        assert_held(self.lock)
        task = self._tasks.get(task_id)
        if task is None:
            return
        self._free(task)
        with task.lock:
            task.move_locked(Phase.FORGOTTEN)
            orphans = task.stream.give_up_locked()
        del self._tasks[task_id]
        del self._ids[bisect.bisect_left(self._ids, task_id)]
        self._finished.pop(task_id, None)
        self._errored.pop(task_id, None)
        self.journal.forgotten_locked(task, error)
        for subscription in orphans:
            if replaced or not subscription.by_watch:
                self.wait(task_id, subscription)
            else:
                subscription.client.task_ids.discard(task_id)

    def prune(self) -> float | None:
        """Forget finished tasks that are too many or too old, and set a timer for the next one; returns in
        how many seconds that fires."""
        assert_held(self.lock)
        now = time.monotonic()
        age, keep = self.history.age, self.history.tasks
        wait = min(
            self._prune(self._finished, age, keep, now),
            self._prune(self._errored, max(age, _ERRORED_AGE), max(keep, _ERRORED_KEPT), now),
        )
        if wait == math.inf:
            return None
        self._pruning = self._timers.bring_forward(self._pruning, now + wait, Due.PRUNE)
        return wait

    def _prune(self, finished: dict[str, float], age: float, keep: int, now: float) -> float:
        while finished:
            task_id, at = next(iter(finished.items()))
            limit = _YOUNGEST if len(finished) > keep else max(age, _YOUNGEST)
            if now - at < limit:
                return limit - (now - at)
            if self._tasks[task_id].stream.laggards:  # a client is still being sent its end
                del finished[task_id]
                finished[task_id] = now
                continue
            self.forget(task_id)
        return math.inf

    def unsubscribe(self, task_id: str, client: Client) -> None:
        """End a client's subscription to an id, if it has one."""
        assert_held(self.lock)
        if task_id in client.waiting:
            client.waiting.discard(task_id)
            waiting = self._unknown[task_id]
            del waiting[client]
            if not waiting:
                del self._unknown[task_id]
        elif (task := self._tasks.get(task_id)) is not None:
            with task.lock:
                task.stream.unsubscribe_locked(client)

    def wait(self, task_id: str, subscription: Subscription) -> bool:
        """Keep a subscription until the id has a task that its client may see; False if the client has too
        many of these."""
        assert_held(self.lock)
        client = subscription.client
        if task_id not in client.waiting and len(client.waiting) >= MAX_UNKNOWN:
            client.task_ids.discard(task_id)
            return False
        client.task_ids.add(task_id)
        client.waiting.add(task_id)
        self._unknown.setdefault(task_id, {})[client] = subscription
        return True
