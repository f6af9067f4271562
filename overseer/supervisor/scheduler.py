"""What may run and when: starts, stops, resets, queues and pools.

Each operation is a transaction: it decides under the hub's lock, where the table of tasks, the pools and the
messages change together.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from overseer.auth.principal import Principal
from overseer.drivers.api import describe_action, driver_failure
from overseer.errors import OverseerError, RequestError
from overseer.net.frames import Encoded
from overseer.net.outbox import TRY_AGAIN_LATER
from overseer.protocol import PoolInfo, PoolInfoReply, PoolUpdated, Purged, RetryPolicy, encode_pool
from overseer.supervisor.definitions import Definition, Definitions
from overseer.supervisor.pool.policy import Outcome
from overseer.supervisor.pool.pool import Rows
from overseer.supervisor.queueing import Queueing
from overseer.supervisor.retention import Retention
from overseer.supervisor.retry import effective_policy
from overseer.supervisor.starts import Starts
from overseer.supervisor.state import State
from overseer.supervisor.task import Ending, Phase, Requester, Task
from overseer.supervisor.transaction import Launch, Transaction
from overseer.util.locks import assert_held
from overseer.util.timestamps import now

_log = logging.getLogger(__name__)

# At a shutdown: what a SIGKILL may take to be done with, and then what may be left to do (seconds).
_KILL_S = 0.25
_LAST_S = 0.75


class Scheduler:
    """Admits, queues, stops and resets tasks on behalf of a hub."""

    def __init__(self, state: State, runs: Starts, queueing: Queueing, retention: Retention) -> None:
        self._state = state
        self._runs = runs
        self._queueing = queueing
        self._retention = retention

    def start(
        self,
        action: str,
        task_id: str,
        params: Mapping[str, str],
        retry_policy: RetryPolicy | None,
        force: bool,
        on_lag: str,
        partial: bool | None,
        requester: Requester,
    ) -> str:
        """See :meth:`overseer.supervisor.hub.Hub.start`."""
        while True:
            definitions = self._state.current.value
            definition, dedupe = _checked(definitions, action, params, requester.principal)
            task = Task(
                task_id or str(uuid.uuid4()),
                action,
                definition,
                params,
                effective_policy(retry_policy, definitions.config.retry_for(action)),
                dedupe,
                self._state.metrics,
                self._state.log,
                requester,
                retry_policy,
            )
            with self._state.begin(requester) as tx:
                if self._state.current.value is definitions:  # else it was reloaded meanwhile: once more
                    self._admit_locked(tx, task, force, on_lag, partial)
                    break
        if tx.problem:
            raise RequestError(tx.problem)
        return task.id

    def stop(self, task_id: str, requester: Requester) -> None:
        """See :meth:`overseer.supervisor.hub.Hub.stop`."""
        with self._state.begin(requester) as tx:
            task = self._state.table.find(task_id, requester.principal)
            self._stop_locked(tx, task, Ending.STOP, "stopped")
        if tx.problem:
            raise RequestError(tx.problem)

    def reset(self, task_id: str, requester: Requester) -> None:
        """See :meth:`overseer.supervisor.hub.Hub.reset`."""
        while True:
            with self._state.begin(requester) as tx:
                task = self._errored_locked(task_id, requester.principal)
                definitions = self._state.current.value
            # An action that was reloaded since is taken as it is now: who resets a task has mended it.
            definition, dedupe = task.definition, task.dedupe
            reloaded = definitions.handlers.get(task.action) is not definition.handler
            if reloaded:
                definition, dedupe = _checked(definitions, task.action, task.params, requester.principal)
            with self._state.begin(requester) as tx:
                if self._state.current.value is not definitions:
                    continue
                if self._errored_locked(task_id, requester.principal) is not task:
                    continue
                self._state.table.refuse_taken(task.id, dedupe)
                task.undo_reset = partial(_redefine, task, task.definition, task.dedupe, task.policy)
                if reloaded:
                    policy = definitions.config.retry_for(task.action)
                    with task.lock:
                        _redefine(task, definition, dedupe, effective_policy(task.asked_policy, policy))
                task.requester = requester
                self._runs.reset_locked(tx, task)
                break
        if tx.problem:
            raise RequestError(tx.problem)

    def pool_info(self, action: str, requester: Requester) -> PoolInfo:
        """See :meth:`overseer.supervisor.hub.Hub.pool_info`."""
        self._refuse_unknown(action, requester.principal)
        with self._state.begin(requester) as tx:
            self._refuse_unknown_locked(action, requester.principal)
            picture = self._state.pool.rows(action, requester.principal.scope)
            return self._tell_pool_locked(tx, action, requester, picture)

    def set_pool(
        self,
        action: str,
        limit: int | None,
        queue_size: int | None,
        excess: Mapping[str, object] | None,
        requester: Requester,
    ) -> PoolInfo:
        """See :meth:`overseer.supervisor.hub.Hub.set_pool`."""
        self._refuse_unknown(action, requester.principal)
        with self._state.begin(requester) as tx:
            self._refuse_unknown_locked(action, requester.principal)
            resized = self._state.pool.resize(action, limit, queue_size, excess)
            self._runs.admit_locked(tx, resized.admitted)
            for trim in resized.trimmed:
                task = self._state.table.find(trim.task_id)
                ending = Ending.REQUEUE if trim.requeue else Ending.STOP
                self._stop_locked(tx, task, ending, "stopped", trim.grace)
            self._queueing.watch_queues_locked()
            picture = self._state.pool.rows(action)
            self._announce_pool_locked(tx, action, picture)
            # Who may change a pool sees all of it.
            return self._tell_pool_locked(tx, action, requester, picture)

    def purge(self, action: str, requester: Requester) -> int:
        """See :meth:`overseer.supervisor.hub.Hub.purge`."""
        self._refuse_unknown(action, requester.principal)
        with self._state.begin(requester) as tx:
            self._refuse_unknown_locked(action, requester.principal)
            purged = self._state.pool.purge(action)
            self._queueing.dequeued_locked(tx, purged, "purged")
            requester.tell(tx, Purged(id=requester.request_id, action=action, count=len(purged)))
        return len(purged)

    def shutdown(self) -> bool:
        """Empty the queues, stop every task, wait for them; whether all were gone in time. Idempotent.

        :meth:`Starts.close_locked` came before.
        """
        with self._state.begin() as tx:
            self._queueing.dequeued_locked(tx, self._state.pool.drain(), "shutdown")
            for task in list(self._state.table):
                self._stop_locked(tx, task, Ending.STOP, "shutdown")
            longest = self._runs.longest_grace_locked()
        if self._runs.wait_for_the_end(longest + _KILL_S):
            return True
        # By now only those are left whose last output waits for a client that does not read, and those that
        # nobody wants to wait for any more.
        self._kill()
        for client in self._state.clients:
            if client.outbox.full:
                client.outbox.close(TRY_AGAIN_LATER, "not read from while the server shuts down", drop=True)
        return self._runs.wait_until_idle(_LAST_S)

    @property
    def longest_grace(self) -> float:
        """The longest ``stop_grace`` of the tasks there are, in seconds."""
        with self._state.lock:
            return self._runs.longest_grace_locked()

    def redefine(self, definitions: Definitions) -> None:
        """Go over to other definitions; see :meth:`overseer.supervisor.hub.Hub.redefine`."""
        config = definitions.config
        with self._state.begin() as tx:
            self._refuse_closing_locked()
            self._state.metrics.register(definitions.handlers)
            changed = self._state.pool.reconfigure(config.task_pool, definitions.pools)
            self._state.current.value = definitions
            self._state.table.history = config.history
            self._retention.prune_locked()
            self._runs.admit_locked(tx, changed.admitted)
            self._queueing.watch_queues_locked()
            for action in changed.changed:
                self._announce_pool_locked(tx, action, self._state.pool.rows(action))

    def _errored_locked(self, task_id: str, principal: Principal) -> Task:
        """The task, which can be reset.

        Raises:
            RequestError: it cannot.
        """
        assert_held(self._state.lock)
        task = self._state.table.find(task_id, principal)
        self._refuse_closing_locked()
        if task.phase is Phase.RESETTING:
            raise RequestError("task already running or starting")
        if task.phase is not Phase.ERRORED:
            raise RequestError("task is not errored")
        return task

    def hurry(self) -> None:
        """Have a shutdown kill what still runs, whatever its grace, and wait for no client."""
        self._runs.hurry()

    def _kill(self) -> None:
        self._runs.hurry()  # also for what is being started yet
        with self._state.begin() as tx:
            for worker in self._runs.workers_locked():
                tx.stop(worker, 0.0)

    def _tell_pool_locked(
        self, tx: Transaction, action: str, requester: Requester, picture: Rows
    ) -> PoolInfo:
        """Answer with a pool as it is now, as much of the global one as concerns the requester."""
        assert_held(self._state.lock)
        if requester.client is None:
            return self._state.pool.info(action)
        info, rows = picture
        reply = PoolInfoReply(id=requester.request_id, action=action, pool=info)
        tx.send_encoded(requester.client, Encoded([encode_pool(reply, rows)]))
        return info

    def _announce_pool_locked(self, tx: Transaction, action: str, picture: Rows) -> None:
        """Tell every client of a changed pool: of the global one, as much as concerns its actions."""
        assert_held(self._state.lock)
        told: dict[Principal | None, Encoded] = {}  # None: who sees all of it
        for client in self._state.clients:
            who = client.principal
            if action and not who.sees(action):
                continue
            view = None if action or who.scope is None else who
            if view not in told:
                info, rows = picture if view is None else self._state.pool.rows(action, view.scope)
                told[view] = Encoded([encode_pool(PoolUpdated(action=action, pool=info), rows)])
            tx.send_encoded(client, told[view])

    def _refuse_unknown(self, action: str, principal: Principal) -> None:
        """With a hint at the name that was meant."""
        if action:
            self._state.current.value.of(action, principal)

    def _refuse_unknown_locked(self, action: str, principal: Principal) -> None:
        assert_held(self._state.lock)
        # Under the lock, so that no reload takes the action away before its pool was asked.
        if action:
            self._state.current.value.refuse_unknown(action, principal)

    def _refuse_closing_locked(self) -> None:
        assert_held(self._state.lock)
        if self._runs.closing:
            raise RequestError("the overseer is shutting down")

    def _admit_locked(
        self, tx: Transaction, task: Task, force: bool, on_lag: str, partial: bool | None
    ) -> None:
        """Take the task in, running or queued, and subscribe its starter.

        Raises:
            RequestError: it is refused; nothing has changed.
        """
        assert_held(self._state.lock)
        self._refuse_closing_locked()
        self._state.table.refuse_taken(task.id, task.dedupe, task.requester.principal)
        at = now()
        admission = self._state.pool.acquire(task.id, task.action, force, at, task.requester.principal.scope)
        if admission.outcome is Outcome.REFUSED:
            self._state.metrics.count("starts_refused", task.action)
            raise RequestError(admission.reason)
        self._queueing.dequeued_locked(tx, admission.displaced, "displaced")
        self._state.table.add(task)
        requester = task.requester
        if requester.client is not None:
            if task.id not in requester.client.task_ids:
                task.requester = replace(requester, newly_subscribed=True)
            requester.client.task_ids.add(task.id)
            with task.lock:
                task.stream.subscribe_locked(requester.client, on_lag, partial)
        if admission.outcome is Outcome.RUNNING:
            self._runs.begin_locked(tx, task, Launch.FIRST)
            return
        with task.lock:
            task.enter_queue_locked(at)
        self._queueing.enqueued_locked(tx, task, admission.position)

    def _stop_locked(
        self, tx: Transaction, task: Task, ending: Ending, reason: str, grace: float | None = None
    ) -> None:
        """End a task as its phase allows."""
        assert_held(self._state.lock)
        if task.phase is Phase.QUEUED:
            if ending is Ending.STOP:
                self._state.pool.cancel(task.id)
                self._queueing.dequeued_locked(tx, (task.id,), reason)
        elif task.phase is Phase.WAITING:
            self._runs.end_waiting_locked(tx, task, ending, reason)
        elif task.phase.launching or task.phase is Phase.RUNNING:
            # A stop that was asked for outlasts a requeue: who said stop does not want it back.
            if task.ending is not Ending.STOP:
                task.ending = ending
            self._state.pool.leaving(task.id)
            if task.phase is Phase.RUNNING:
                assert task.worker is not None
                tx.stop(task.worker, grace)
            elif grace not in task.graces:
                task.graces.append(grace)  # for whoever starts it, who will stop it


def _redefine(
    task: Task, definition: Definition, dedupe: tuple[str, ...] | None, policy: RetryPolicy | None
) -> None:
    assert_held(task.lock)
    task.definition, task.dedupe, task.policy = definition, dedupe, policy


def _checked(
    definitions: Definitions, action: str, params: Mapping[str, str], principal: Principal
) -> tuple[Definition, tuple[str, ...] | None]:
    """The definition of an action, which takes these parameters, and what makes them the same as others: the
    action and the values of its dedupe_key; None: nothing does.

    Raises:
        RequestError: it does not, there is no such action, or ``principal`` may not know of it.
    """
    definition = definitions.of(action, principal)
    info = describe_action(definitions.config, action, definition.handler)
    if definition.config.strict_params:
        for name in params:
            if name not in info.params:
                known = ", ".join(info.params) or "none"
                raise RequestError(f"unknown parameter {name!r}; {action} has: {known}")
    try:
        definition.handler.validate(dict(params))
    except OverseerError as error:
        raise RequestError(driver_failure(error)) from None
    except BaseException as error:  # also SystemExit, which would end the client's thread
        _log.exception("action %s: the driver failed to validate parameters", action)
        raise RequestError(f"the driver failed: {driver_failure(error)}") from None
    if not info.dedupe_key:
        return definition, None
    defaults = {name: spec.default for name, spec in info.params.items() if spec is not None}
    return definition, (
        action,
        *(params.get(name) or defaults.get(name) or "" for name in info.dedupe_key),
    )
