"""The hub: every request of every client, and the tasks that service drivers submit, come together here.

Lock order: the hub's, then the pool's, then one task's, then a worker's, then leaves
(``overseer.util.locks``). The hub's lock guards the table of tasks, every change of a task's state, and who
is subscribed to what; output never needs it.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime

from overseer.auth.principal import ANYONE, Principal
from overseer.config import Config
from overseer.drivers.api import ActionHandler, describe_action
from overseer.errors import RequestError, SubmitError
from overseer.net.frames import Encoded
from overseer.net.outbox import TRY_AGAIN_LATER
from overseer.protocol import (
    ActionInfo,
    Event,
    List,
    MetricsReply,
    PoolInfo,
    RetryPolicy,
    TaskInfo,
    encode,
)
from overseer.protocol.kinds import TASK_ID, TEXT, TEXT_MAP, Unreadable
from overseer.supervisor.clients import Client, Clients, DeferredFlush
from overseer.supervisor.definitions import Current, Definitions
from overseer.supervisor.listing import Listing
from overseer.supervisor.metrics import ClientFigures, Figures, Metrics
from overseer.supervisor.pool.pool import PoolManager
from overseer.supervisor.queueing import Queueing
from overseer.supervisor.retention import Retention
from overseer.supervisor.runs import Runs
from overseer.supervisor.scheduler import Scheduler
from overseer.supervisor.services import Services
from overseer.supervisor.state import State
from overseer.supervisor.subscriptions import Subscriptions
from overseer.supervisor.table import TaskTable
from overseer.supervisor.task import Phase, Requester
from overseer.util.jsonlog import EventLog
from overseer.util.locks import Rank, lock
from overseer.util.timers import Timers
from overseer.workers import os_process


class Hub:
    """Runs the tasks of a configuration for any number of clients; safe from any thread.

    Args:
        config: as loaded.
        handlers: one for each action of the configuration, by name.
        log: the event log, started by the caller.
        rng: for restart jitter.
    """

    def __init__(
        self,
        config: Config,
        handlers: Mapping[str, ActionHandler],
        log: EventLog | None = None,
        rng: random.Random | None = None,
    ) -> None:
        definitions = Definitions(config, handlers)
        self._lock = lock(Rank.HUB, "hub")
        self._state = State(
            current=Current(definitions),
            lock=self._lock,
            freed=threading.Condition(self._lock),
            table=TaskTable(config.history),
            pool=PoolManager(config.task_pool, definitions.pools),
            clients=Clients(),
            metrics=Metrics(handlers),
            timers=Timers(),
            log=log or EventLog(),
            rng=rng or random.Random(),
            launch=lambda task, why, client: self._runs.launch_for(task, why, client),
        )
        retention = Retention(self._state)
        queueing = Queueing(self._state, retention)
        self._runs = Runs(self._state, queueing, retention)
        self._scheduler = Scheduler(self._state, self._runs, queueing, retention)
        self._subscriptions = Subscriptions(self._state)
        self._listing = Listing(self._state)
        self._services = Services(self, lambda: self.definitions.handlers)

    def __repr__(self) -> str:
        table, clients = self._state.table, self._state.clients
        return f"<Hub {len(table)} tasks, {table.in_use} in use, {len(clients)} clients>"

    # Clients

    def connect(self, client: Client) -> None:
        """A client is there: it hears what is broadcast from now on."""
        self._state.clients.add(client)

    def disconnect(self, client: Client) -> None:
        """A client is gone; its tasks go on."""
        self._state.clients.remove(client)
        with self._lock:
            # At a shutdown, who holds up the end is closed with that code however short its stall.
            if client.outbox.close_code == TRY_AGAIN_LATER and not self._runs.closing:
                self._state.metrics.count("stalled_clients", "")
            self._subscriptions.drop_locked(client)

    def subscribe(
        self,
        client: Client,
        request_id: str,
        task_id: str,
        since_seq: int | None,
        on_lag: str,
        partial: bool | None = None,
    ) -> None:
        """Send ``subscribed``, then what is stored after ``since_seq`` if given, then everything live.

        Raises:
            RequestError: too many subscriptions to unknown tasks.
        """
        self._subscriptions.subscribe(client, request_id, task_id, since_seq, on_lag, partial)

    def unsubscribe(self, client: Client, request_id: str, task_id: str) -> None:
        """Nothing of the task follows ``unsubscribed``."""
        self._subscriptions.unsubscribe(client, request_id, task_id)

    def replay(
        self, client: Client, request_id: str, task_id: str, since: datetime | None, since_seq: int | None
    ) -> None:
        """Send the task's stored events to this client.

        Raises:
            RequestError: there is no such task.
        """
        self._subscriptions.replay(client, request_id, task_id, since, since_seq)

    # Tasks

    def start(
        self,
        action: str,
        task_id: str = "",
        params: Mapping[str, str] | None = None,
        *,
        retry_policy: RetryPolicy | None = None,
        force: bool = False,
        on_lag: str = "",
        partial: bool | None = None,
        requester: Requester | None = None,
    ) -> str:
        """Start a task or queue it; the requester is told ``started`` or ``queued``. Returns the task's id.

        Raises:
            RequestError: it was refused: unknown action, bad parameters, id taken, duplicate, no room, or its
                program could not be started.
        """
        return self._scheduler.start(
            action,
            task_id,
            dict(params or {}),
            retry_policy,
            force,
            on_lag,
            partial,
            requester or Requester(),
        )

    def submit(self, action: str, task_id: str = "", params: Mapping[str, str] | None = None) -> str:
        """Start or queue a task for a service driver; see :class:`overseer.TaskSubmitter`.

        Raises:
            SubmitError: it was refused.
        """
        try:
            return self.start(action, *self._checked(task_id, params))
        except RequestError as error:
            raise SubmitError(error.message) from None

    def _checked(self, task_id: str, params: Mapping[str, str] | None) -> tuple[str, dict[str, str]]:
        """A driver's task is held to what holds for a client's; else no client could be told of it."""
        limits = self._state.current.value.config.limits.message_limits()
        given = dict(params or {})
        try:
            for name in given:
                TEXT.read(name, "the name of a parameter", limits)
            return (
                TASK_ID.read(task_id, "task_id", limits) if task_id else "",
                TEXT_MAP.read(given, "params", limits),
            )
        except Unreadable as error:
            raise RequestError(str(error)) from None

    def stop(self, task_id: str, requester: Requester | None = None) -> None:
        """Stop a task, take it off its queue, or call off its restart; silent when it is over already.

        Raises:
            RequestError: there is no such task.
        """
        self._scheduler.stop(task_id, requester or Requester())

    def reset(self, task_id: str, requester: Requester | None = None) -> None:
        """Start an errored task over, even over the pool's limit; the requester is told ``started``.

        Raises:
            RequestError: there is no such task, it is not errored, or it could not be started.
        """
        self._scheduler.reset(task_id, requester or Requester())

    # What follows tells whoever asks only of what it may see; what it may not is unknown to it. A reply is
    # appended in the critical section that pictured what it says, so never older than what comes before it.

    def tasks(self, since: datetime | None = None) -> list[TaskInfo]:
        """All tasks, oldest first; with ``since`` those started or ended since, and all queued ones."""
        return self._listing.tasks(since)

    def tell_tasks(self, client: Client, request: List) -> None:
        """Send the client the same, or a page of them."""
        self._listing.tell(client, request)

    # Actions, pools, metrics

    def actions(self, name: str = "", principal: Principal = ANYONE) -> list[ActionInfo]:
        """What each action's handler says of it, in the configuration's order; or just the action ``name``.

        Raises:
            RequestError: there is no action of that name.
        """
        definitions = self.definitions
        names = [name] if name else [each for each in definitions.handlers if principal.sees(each)]
        return [
            describe_action(definitions.config, each, definitions.of(each, principal).handler)
            for each in names
        ]

    def tell_of_definitions(self, requester: Requester, reply: Callable[[], Event]) -> None:
        """Send a reply about the definitions, made without a lock; and again, when a reload replaces them."""
        while True:
            definitions = self.definitions
            encoded = Encoded([encode(reply())])
            with self._state.begin() as tx:
                if self.definitions is definitions:
                    if requester.client is not None:
                        tx.send_encoded(requester.client, encoded)
                    return

    def pool_info(self, action: str = "", requester: Requester | None = None) -> PoolInfo:
        """The state of an action's pool, or of all; the requester is told.

        Raises:
            RequestError: there is no such action.
        """
        return self._scheduler.pool_info(action, requester or Requester())

    def set_pool(
        self,
        action: str = "",
        limit: int | None = None,
        queue_size: int | None = None,
        excess: Mapping[str, object] | None = None,
        requester: Requester | None = None,
    ) -> PoolInfo:
        """Change an action's pool or, with ``""``, the global one; what is None stays. The requester is told.

        A raised limit lets queued tasks in at once, a lowered one stops or requeues the excess.

        Raises:
            RequestError: there is no such action.
        """
        return self._scheduler.set_pool(action, limit, queue_size, excess, requester or Requester())

    def purge(self, action: str = "", requester: Requester | None = None) -> int:
        """Take everything off an action's queue, or off all; the requester is told how many there were.

        Raises:
            RequestError: there is no such action.
        """
        return self._scheduler.purge(action, requester or Requester())

    def tell_metrics(self, requester: Requester, action: str = "", task_id: str = "") -> None:
        """Send the requester all counters since start-up, or those of an action or a task, if it is there."""
        if task_id:
            self._tell_task_metrics(requester, task_id)
            return
        who, metrics = requester.principal, self._state.metrics
        with DeferredFlush() as out, metrics.lock:
            if not action:
                reply = MetricsReply(id=requester.request_id, global_=metrics.snapshot_locked(who.scope))
            else:
                seen = metrics.action_snapshot_locked(action) if who.sees(action) else None
                reply = MetricsReply(id=requester.request_id, action=seen)
            requester.tell(out, reply)

    def _tell_task_metrics(self, requester: Requester, task_id: str) -> None:
        with self._state.begin() as tx:
            task = self._state.table.get(task_id)
            if task is None or not requester.principal.sees(task.action):
                requester.tell(tx, MetricsReply(id=requester.request_id))
                return
            with task.lock:
                requester.tell(tx, MetricsReply(id=requester.request_id, task=task.metrics_locked()))

    def figures(self) -> Figures:
        """Everything that can be counted or measured, of all actions that there are or were."""
        counters = self._state.metrics.counters()
        waits, runs = self._state.metrics.histograms()
        with self._lock:
            actions = self._state.current.value.handlers
            tasks = {action: counts.copy() for action, counts in self._state.table.phases.items()}
            pool, pools = self._state.pool.counts()
        outboxes = [client.outbox for client in self._state.clients]
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
            pool=pool,
            clients=ClientFigures(
                connected=len(outboxes),
                pending=sum(outbox.pending for outbox in outboxes),
                most_pending=max((outbox.pending for outbox in outboxes), default=0),
                lagging=sum(lag > 0 for lag in lags),
                longest_lag=max(lags, default=0.0),
            ),
            stalled_clients=counters[""]["stalled_clients"],
        )

    # Services and shutdown

    def start_services(self) -> None:
        """Start the thread of each handler that is a service, and those that everybody shares."""
        self._state.timers.start()
        os_process.overdue.start()
        self._runs.launcher.start()
        self._services.update()

    @property
    def definitions(self) -> Definitions:
        """What it runs by now."""
        return self._state.current.value

    def redefine(self, definitions: Definitions) -> None:
        """Go over to other definitions without stopping a task; one call at a time.

        From now on they count for what starts. Tasks that are there, queued ones too, keep what they were
        accepted with until they are reset. Pools: see :meth:`PoolManager.reconfigure`. Services of actions
        whose handler is another one, or none, are told to stop, and new ones are started.

        Raises:
            RequestError: the server is shutting down.
        """
        self._scheduler.redefine(definitions)
        self._services.update()

    def shutdown(self) -> bool:
        """Refuse new work, empty the queues, stop every task; whether all were gone in time.

        In order: nothing new is taken; services are told to stop; queued tasks and those awaiting restart
        end (``dequeued``, ``shutdown``); workers are stopped, after their grace killed. Idempotent.
        """
        with self._lock:
            self._runs.close_locked()  # first, so that a service that is told cannot submit any more
        self._services.stop()
        told = time.monotonic()
        idle = self._scheduler.shutdown()
        self._services.join(told)
        return idle

    @property
    def longest_grace(self) -> float:
        """How long the slowest task may take to stop, in seconds."""
        return self._scheduler.longest_grace

    def wait_until_idle(self, timeout: float | None = None) -> bool:
        """Wait until no task is queued, running or awaiting restart; False when time ran out."""
        return self._runs.wait_until_idle(timeout)

    def hurry(self) -> None:
        """During a shutdown: kill what has not ended yet, and wait for no client."""
        self._scheduler.hurry()

    def close(self) -> None:
        """After the shutdown, when the last client is gone: end the threads."""
        self._runs.launcher.close()
        self._state.timers.close()
