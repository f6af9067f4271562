"""Shows a hub's numbers: counters to clients, and all figures to a scrape."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from overseer.protocol import MetricsReply
from overseer.supervisor.clients import Clients, DeferredFlush
from overseer.supervisor.definitions import Current
from overseer.supervisor.memory_use import MemoryUse
from overseer.supervisor.metrics import HistogramFigures, Metrics, PoolFigures
from overseer.supervisor.phases import Phase
from overseer.supervisor.pool.pool import PoolManager
from overseer.supervisor.table import TaskTable
from overseer.supervisor.task import Requester
from overseer.supervisor.watching import Watchers


@dataclass(frozen=True, slots=True)
class ClientFigures:
    """All connected clients together. ``lagging`` ones have more than half their buffer pending."""

    connected: int
    pending: int  # bytes, of all
    most_pending: int  # bytes, of the client with the most
    lagging: int
    watching: int
    longest_lag: float  # seconds


@dataclass(frozen=True, slots=True)
class MemoryFigures:
    """What ``limits.memory`` bounds apart from the clients' ``pending``; in bytes."""

    limit: int
    rings: int
    queued_params: int


@dataclass(frozen=True, slots=True)
class Figures:
    """A hub's figures, by action where they belong to one.

    Tasks and pools are a consistent snapshot; counters, durations and clients are read just before or after.
    """

    counters: Mapping[str, Mapping[str, int]]
    queue_waits: Mapping[str, HistogramFigures]
    run_times: Mapping[str, HistogramFigures]
    tasks: Mapping[str, Mapping[str, int]]  # action to phase's name to how many
    pools: Mapping[str, PoolFigures]
    pool: PoolFigures  # global
    clients: ClientFigures
    memory: MemoryFigures
    stalled_clients: int  # closed because they did not read, since start-up
    watches_renewed: int  # how often one who watches was so far behind that it was sent all tasks again
    unhealthy: Mapping[str, int]  # running tasks, of actions whose health is looked at


@dataclass(eq=False, repr=False)
class MetricsView:
    """Shows a hub's counters to clients, and all figures to a scrape."""

    _table: TaskTable
    _pool: PoolManager
    _clients: Clients
    _metrics: Metrics
    _current: Current
    _memory: MemoryUse
    _watchers: Watchers
    _unhealthy: Callable[[], Mapping[str, int]]

    def tell(self, requester: Requester, action: str = "", task_id: str = "") -> None:
        """Send the requester all counters since start-up, or those of an action or a task, if it exists."""
        who, reply = requester.principal, MetricsReply(id=requester.request_id)
        if task_id:
            with self._table.begin() as tx:
                task = self._table.get(task_id)
                if task is None or not who.sees(task.action):
                    requester.tell(tx, reply)
                    return
                with task.lock:
                    requester.tell(tx, replace(reply, task=task.metrics_locked()))
            return
        with DeferredFlush() as out, self._metrics.lock:
            if not action:
                reply = replace(reply, global_=self._metrics.snapshot_locked(who.scope))
            elif who.sees(action):
                reply = replace(reply, action=self._metrics.action_snapshot_locked(action))
            requester.tell(out, reply)

    def figures(self) -> Figures:
        """All figures, of all actions past and present."""
        counters = self._metrics.counters()
        waits, runs = self._metrics.histograms()
        with self._table.lock:
            actions = self._current.value.handlers
            tasks = {action: counts.copy() for action, counts in self._table.phases.items()}
            every, pools = self._pool.counts()
        outboxes = [client.outbox for client in self._clients]
        lags = [outbox.lag for outbox in outboxes]
        return Figures(
            counters={action: each for action, each in counters.items() if action},
            queue_waits=waits,
            run_times=runs,
            tasks={
                action: {phase.name: count for phase, count in each.items() if phase is not Phase.FORGOTTEN}
                for action, each in tasks.items()
            },
            pools={action: pools[action] for action in actions},
            pool=every,
            clients=ClientFigures(
                connected=len(outboxes),
                pending=sum(outbox.pending for outbox in outboxes),
                most_pending=max((outbox.pending for outbox in outboxes), default=0),
                watching=len(self._watchers),
                lagging=sum(lag > 0 for lag in lags),
                longest_lag=max(lags, default=0.0),
            ),
            memory=MemoryFigures(
                self._current.value.config.limits.memory, self._memory.rings, self._memory.params
            ),
            unhealthy=self._looked_at(),
            stalled_clients=counters[""]["stalled_clients"],
            watches_renewed=self._watchers.renewed,
        )

    def _looked_at(self) -> Mapping[str, int]:
        config = self._current.value.config
        found = self._unhealthy()
        looked_at = [name for name, action in config.actions.items() if action.health is not None]
        return {name: found.get(name, 0) for name in (*looked_at, *found)}
