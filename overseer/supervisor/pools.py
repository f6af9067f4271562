"""Clients' requests about pools: show one, change it, purge its queue."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from overseer.protocol import PoolInfo, Purged
from overseer.supervisor.definitions import Current
from overseer.supervisor.exits import Exits
from overseer.supervisor.phases import StopRequest
from overseer.supervisor.pool.pool import PoolManager
from overseer.supervisor.queueing import Queueing
from overseer.supervisor.stops import Stops
from overseer.supervisor.table import TaskTable
from overseer.supervisor.task import Requester
from overseer.supervisor.transaction import Transaction


class Pools:
    """The pools, as clients see and change them."""

    def __init__(
        self,
        table: TaskTable,
        pool: PoolManager,
        current: Current,
        queueing: Queueing,
        exits: Exits,
        stops: Stops,
    ) -> None:
        self._table = table
        self._pool = pool
        self._current = current
        self._queueing = queueing
        self._exits = exits
        self._stops = stops

    def info(self, action: str = "", requester: Requester | None = None) -> PoolInfo:
        """The state of an action's pool, or the global one; also sent to the requester.

        Raises:
            RequestError: no such action.
        """
        requester = requester or Requester()
        with self._begin_for(action, requester) as tx:
            picture = self._pool.rows(action, requester.principal.scope)
            return self._queueing.tell_pool_locked(tx, action, requester, picture)

    def change(
        self,
        action: str = "",
        limit: int | None = None,
        queue_size: int | None = None,
        excess: Mapping[str, object] | None = None,
        requester: Requester | None = None,
    ) -> PoolInfo:
        """Change an action's pool or, with ``""``, the global one; None keeps a setting. Answers the
        requester.

        A raised limit admits queued tasks at once; a lowered one stops or requeues the excess.

        Raises:
            RequestError: no such action.
        """
        requester = requester or Requester()
        with self._begin_for(action, requester) as tx:
            resized = self._pool.resize(action, limit, queue_size, excess)
            self._exits.admit_locked(tx, resized.admitted)
            for trim in resized.trimmed:
                task = self._table.find(trim.task_id)
                request = StopRequest.REQUEUE if trim.requeue else StopRequest.STOP
                self._stops.stop_locked(tx, task, request, "stopped", trim.grace)
            self._queueing.watch_queues_locked()
            picture = self._pool.rows(action)
            self._queueing.pool_changed_locked(tx, action, picture)
            # Whoever may change a pool sees all of it.
            return self._queueing.tell_pool_locked(tx, action, requester, picture)

    def purge(self, action: str = "", requester: Requester | None = None) -> int:
        """Empty an action's queue, or all queues; the requester is sent the number of tasks.

        Raises:
            RequestError: no such action.
        """
        requester = requester or Requester()
        with self._begin_for(action, requester) as tx:
            purged = self._pool.purge(action)
            self._queueing.dequeued_locked(tx, purged, "purged")
            requester.tell(tx, Purged(id=requester.request_id, action=action, count=len(purged)))
        return len(purged)

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
