"""Reset and restart: start a task over, at a client's request or when the delay of a restart is over."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from overseer.errors import RequestError, TakenError
from overseer.supervisor.definitions import Current, Definitions, Terms
from overseer.supervisor.dependencies import Dependencies
from overseer.supervisor.intents import Intents
from overseer.supervisor.phases import Phase, StopRequest
from overseer.supervisor.pool.pool import PoolManager
from overseer.supervisor.queueing import Queueing
from overseer.supervisor.retry import RetryState
from overseer.supervisor.table import TAKEN, TaskTable
from overseer.supervisor.task import Requester, Task
from overseer.supervisor.transaction import Launch, Transaction
from overseer.util.locks import assert_held
from overseer.util.timestamps import now

_NOT_NOW = {
    Phase.QUEUED: "task is queued: it starts when its turn comes",
    Phase.STARTING: "task is being started",
    Phase.RESETTING: "task is being started",
}
_ENDING = {
    StopRequest.STOP: "task is being stopped",
    StopRequest.REQUEUE: "task is being stopped, to be queued again",
    StopRequest.RESTART: "task is already being restarted",
}


@dataclass(eq=False, repr=False)
class Restarts:
    """Starts tasks over with their id and policy, their parameters, and their action's current definition."""

    _table: TaskTable
    _pool: PoolManager
    _current: Current
    _queueing: Queueing
    _dependencies: Dependencies
    _intents: Intents

    def start_over(self, task_id: str, requester: Requester, *, errored: bool) -> None:
        """See :meth:`Hub.restart` and, for a task that must be ``errored``, :meth:`Hub.reset`."""
        while True:
            with self._table.begin(requester) as tx:
                task = self._find_locked(task_id, requester, errored)
                definitions = self._current.value
            terms = _terms(task, definitions, requester)
            with self._table.begin(requester) as tx:
                # A reload, or another task of that id, came between: try again.
                if self._current.value is not definitions:
                    continue
                if self._find_locked(task_id, requester, errored) is not task:
                    continue
                self._intents.started_locked(task_id)
                if task.phase is Phase.ERRORED:
                    self._reset_locked(tx, task, terms, requester)
                elif task.phase in (Phase.RUNNING, Phase.WAITING):
                    self._restart_locked(tx, task, terms, requester)
                else:
                    self._start_locked(tx, task, terms, requester)
                break
        tx.check()

    def due(self, task_id: str) -> None:
        """Called when the delay of a task's restart may be over."""
        with self._table.begin() as tx:
            task = self._table.get(task_id)
            if task is None or task.phase is not Phase.WAITING or self._table.closing:
                return
            if task.restart is None or task.restart.when > time.monotonic():  # of an earlier run or task
                return
            self._begin_waiting_locked(tx, task, Launch.RESTART)

    def _find_locked(self, task_id: str, requester: Requester, errored: bool) -> Task:
        assert_held(self._table.lock)
        task = self._table.find(task_id, requester.principal)
        self._table.refuse_closing()
        if errored:
            if task.phase is Phase.RESETTING:
                raise TakenError(TAKEN)
            if task.phase is not Phase.ERRORED:
                raise RequestError("task is not errored", code="conflict")
            return task
        problem = _NOT_NOW.get(task.phase) or (
            _ENDING.get(task.stop_request) if task.phase is Phase.RUNNING else None
        )
        if problem:
            raise RequestError(problem, code="conflict")
        return task

    def _reset_locked(self, tx: Transaction, task: Task, terms: Terms, requester: Requester) -> None:
        assert_held(self._table.lock)
        self._table.refuse_taken(task.id, terms.dedupe)
        self._pool.admit_over(task.id, task.action)
        self._begin_locked(tx, task, terms, requester)

    def _begin_locked(self, tx: Transaction, task: Task, terms: Terms, requester: Requester) -> None:
        """Begin a run of a task that was over and has its slot."""
        assert_held(self._table.lock)
        task.before_reset = task.terms, task.phase
        task.ask_for(requester)
        with task.lock:
            task.terms = terms
            task.move_locked(Phase.RESETTING)
        self._table.take(task)
        tx.launch(task, Launch.RESET)

    def _start_locked(self, tx: Transaction, task: Task, terms: Terms, requester: Requester) -> None:
        """Start or queue a task that is over, as a start would."""
        assert_held(self._table.lock)
        self._table.refuse_taken(task.id, terms.dedupe)
        at = now()
        if self._dependencies.missing(terms.standing):
            self._enter_locked(task, terms, requester)
            self._dependencies.hold_locked(tx, task, at, force=False)
            return
        position = self._queueing.acquire_locked(tx, task, requester, at)
        if not position:
            self._begin_locked(tx, task, terms, requester)
            return
        self._enter_locked(task, terms, requester)
        with task.lock:
            task.enter_queue_locked(at)
        self._queueing.enqueued_locked(tx, task, position)

    def _enter_locked(self, task: Task, terms: Terms, requester: Requester) -> None:
        """A task that is in use, perhaps again, goes on by other terms."""
        assert_held(self._table.lock)
        task.ask_for(requester)
        with task.lock:
            task.terms = terms
            task.retry_state = RetryState()
        self._table.take(task)

    def _restart_locked(self, tx: Transaction, task: Task, terms: Terms, requester: Requester) -> None:
        """Stop the current run, if there is one; its exit begins the next."""
        assert_held(self._table.lock)
        self._table.change_dedupe(task, terms.dedupe)
        self._enter_locked(task, terms, requester)
        if task.phase is Phase.WAITING:
            self._begin_waiting_locked(tx, task, Launch.AGAIN)
            return
        assert task.worker is not None
        task.stop_request = StopRequest.RESTART
        task.end_reason = task.end_reason or "stopped"
        tx.stop(task.worker)

    def _begin_waiting_locked(self, tx: Transaction, task: Task, why: Launch) -> None:
        """Begin the run of a task that awaits its restart."""
        assert_held(self._table.lock)
        with task.lock:
            task.move_locked(Phase.STARTING)
        tx.launch(task, why)


def _terms(task: Task, definitions: Definitions, requester: Requester) -> Terms:
    """The task's terms by the current definitions, which a reload may have repaired."""
    standing = definitions.config.tasks.get(task.id)
    if standing is not None and standing.action != task.action:  # which has another pool, and other readers
        raise RequestError(
            "in the configuration it now runs another action: stop it and start it again", code="conflict"
        )
    if (
        definitions.handlers.get(task.action) is task.terms.definition.handler
        and standing == task.terms.standing
    ):
        return task.terms
    params = task.params if standing is None else standing.params
    terms, _ = definitions.terms(task.action, params, requester.principal, task.asked_policy, standing)
    return replace(terms, hidden=terms.hidden | (task.terms.hidden & params.keys()))
