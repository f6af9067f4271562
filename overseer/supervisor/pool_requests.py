"""Clients' requests about pools: show one, change it, move what waits in it, purge its queue."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from overseer.auth.rights import Principal
from overseer.errors import RequestError
from overseer.net.frames import Encoded
from overseer.protocol import Move, Moved, PoolInfo, PoolInfoReply, PoolUpdated, Purged, encode_pool
from overseer.supervisor.clients import Clients
from overseer.supervisor.definitions import Current
from overseer.supervisor.intents import Intents
from overseer.supervisor.phases import Phase, StopRequest
from overseer.supervisor.pool.policy import LAST, Where
from overseer.supervisor.pool.pool import PoolManager, Rows
from overseer.supervisor.queueing import Queueing
from overseer.supervisor.stops import Stops
from overseer.supervisor.table import TaskTable
from overseer.supervisor.task import NOBODY, Requester
from overseer.supervisor.transaction import Transaction
from overseer.util.locks import assert_held
from overseer.util.timestamps import now


@dataclass(eq=False, repr=False)
class Pools:
    """The pools, as clients see and change them."""

    _table: TaskTable
    _pool: PoolManager
    _clients: Clients
    _current: Current
    _queueing: Queueing
    _stops: Stops
    _intents: Intents

    def info(self, action: str = "", requester: Requester = NOBODY) -> PoolInfo:
        """The state of an action's pool, or the global one; also sent to the requester.

        Raises:
            RequestError: no such action.
        """
        with self._begin_for(action, requester) as tx:
            picture = self._pool.rows(action, requester.principal.scope)
            return self._tell_locked(tx, action, requester, picture)

    def change(
        self,
        action: str = "",
        limit: int | None = None,
        queue_size: int | None = None,
        excess: Mapping[str, object] | None = None,
        requester: Requester = NOBODY,
    ) -> PoolInfo:
        """Change an action's pool or, with ``""``, the global one; None keeps a setting. Answers the
        requester.

        A raised limit admits queued tasks at once; a lowered one stops or requeues the excess.

        Raises:
            RequestError: no such action.
        """
        with self._begin_for(action, requester) as tx:
            resized = self._pool.resize(action, limit, queue_size, excess)
            self._queueing.admit_locked(tx, resized.admitted)
            for trim in resized.trimmed:
                task = self._table.find(trim.task_id)
                request = StopRequest.REQUEUE if trim.requeue else StopRequest.STOP
                self._stops.stop_locked(tx, task, request, "stopped", trim.grace)
            self._queueing.watch_queues_locked()
            picture = self._pool.rows(action)
            self.changed_locked(tx, action, picture)
            # Whoever may change a pool sees all of it.
            return self._tell_locked(tx, action, requester, picture)

    def move(self, request: Move, requester: Requester = NOBODY) -> Moved:
        """Move a waiting task within its queue; the requester is sent ``moved``.

        Raises:
            RequestError: no such task, it does not wait there, or it is not clear where to.
        """
        where, action = _where(request), request.action
        with self._table.begin(requester) as tx:
            task = self._table.find(request.task_id, requester.principal)
            sees = requester.principal.scope
            try:
                found = self._pool.move(task.id, where, action, sees)
            except KeyError as error:
                raise self._not_there_locked(error.args[0], request, requester) from None
            moved = Moved(
                requester.request_id, task.id, task.action, found.position, now(), overall=found.overall
            )
            if not found.changed:
                requester.tell(tx, moved)
                return moved
            self._intents.reordered_locked(self._pool.replayed())
            self._queueing.moved_locked(tx, task, requester, moved)
            if sees is not None and not action:
                # Its way may have led past tasks whose places others see change.
                self.changed_locked(tx, "", self._pool.rows(), but=task.action)
            return moved

    def _not_there_locked(self, task_id: str, request: Move, requester: Requester) -> RequestError:
        """Why a task is not where it would have to wait; it may have started just now."""
        assert_held(self._table.lock)
        name = "task" if task_id == request.task_id else task_id
        task = self._table.get(task_id)
        if task is None or not requester.principal.sees(task.action):
            return RequestError(f"{name} not found", code="not_found")
        if task.waiting_on:
            why = "it waits for other tasks"
        elif task.phase is Phase.QUEUED:
            why = f"its action is {task.action}"
        else:
            why = f"it is {task.status}"
        return RequestError(f"{name} does not wait in that queue: {why}", code="conflict")

    def purge(self, action: str = "", requester: Requester = NOBODY) -> int:
        """Empty an action's queue, or all queues; the requester is sent the number of tasks.

        Raises:
            RequestError: no such action.
        """
        with self._begin_for(action, requester) as tx:
            purged = self._pool.purge(action)
            self._queueing.dequeued_locked(tx, purged, "purged")
            requester.tell(tx, Purged(id=requester.request_id, action=action, count=len(purged)))
        return len(purged)

    def _tell_locked(self, tx: Transaction, action: str, requester: Requester, picture: Rows) -> PoolInfo:
        """Answer the requester with a pool's snapshot."""
        assert_held(self._table.lock)
        if requester.client is None:
            return self._pool.info(action)
        info, rows = picture
        reply = PoolInfoReply(id=requester.request_id, action=action, pool=info)
        tx.send_encoded(requester.client, Encoded([encode_pool(reply, rows)]))
        return info

    def changed_locked(
        self, tx: Transaction, action: str, picture: Rows, *, but: str | None = None
    ) -> None:
        """Broadcast a changed pool; of the global one, each client is shown the part about its own
        actions. Those who see the action ``but`` hear of the change in another way."""
        assert_held(self._table.lock)
        told: dict[Principal | None, Encoded] = {}  # None: the unrestricted view
        for client in self._clients:
            who = client.principal
            if (action and not who.sees(action)) or (but is not None and who.sees(but)):
                continue
            view = None if action or who.scope is None else who
            if view not in told:
                info, rows = picture if view is None else self._pool.rows(action, view.scope)
                told[view] = Encoded([encode_pool(PoolUpdated(action=action, pool=info), rows)])
            tx.send_encoded(client, told[view])

    @contextmanager
    def _begin_for(self, action: str, requester: Requester) -> Iterator[Transaction]:
        """A transaction on an action's pool or, with ``""``, on all; raises RequestError if there is none."""
        if action:
            # This refuses with a hint, which is slow to find.
            self._current.value.of(action, requester.principal)
        with self._table.begin(requester) as tx:
            if action:  # rechecked, as a reload may have removed it
                self._current.value.refuse_unknown(action, requester.principal)
            yield tx


def _where(request: Move) -> Where:
    """Where a task is to be moved. Raises RequestError."""
    given = (request.to, request.position, request.before, request.after)
    if sum(map(bool, given)) != 1:
        raise RequestError("move: one of to, position, before and after is required", code="invalid")
    if request.task_id in (request.before, request.after):
        raise RequestError("a task cannot be moved before or after itself", code="invalid")
    if request.to:
        return Where(1 if request.to == "first" else LAST)
    return Where(request.position, request.before, request.after)
