"""The hub: where all requests of clients and all submissions of service drivers meet.

Each operation is a transaction: it decides under the hub's lock, where the task table, the pools and the
messages change together. A reply is appended in the critical section that read the state it shows, so it is
never older than the messages before it; and requesters see only what they may.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from overseer.auth.rights import ANYONE, Principal
from overseer.config import Config
from overseer.drivers.api import ActionHandler, describe_action
from overseer.errors import RequestError, SubmitError
from overseer.history.records import SERVICE, Recorder, Trigger
from overseer.net.frames import Encoded
from overseer.protocol import ActionInfo, Event, RetryPolicy, Skipped, encode
from overseer.schema.types import TASK_ID, TEXT, TEXT_MAP, Unreadable
from overseer.secrets.vault import Vault
from overseer.supervisor.clients import Client, Clients
from overseer.supervisor.definitions import Current, Definitions
from overseer.supervisor.dependencies import Dependencies
from overseer.supervisor.exits import Exits
from overseer.supervisor.failed_starts import FailedStarts
from overseer.supervisor.intents import Intents
from overseer.supervisor.interaction import Interaction
from overseer.supervisor.listing import Listing
from overseer.supervisor.memory import MemoryLimit
from overseer.supervisor.memory_use import MemoryUse
from overseer.supervisor.metrics import Metrics
from overseer.supervisor.metrics_view import MetricsView
from overseer.supervisor.observers import Change, Observer
from overseer.supervisor.output.subscription import NO_WISHES, Wishes
from overseer.supervisor.phases import StopRequest
from overseer.supervisor.pool.pool import PoolManager
from overseer.supervisor.pool_requests import Pools
from overseer.supervisor.probing import Probing
from overseer.supervisor.queueing import Queueing
from overseer.supervisor.restarts import Restarts
from overseer.supervisor.services import Services
from overseer.supervisor.standing import Standing
from overseer.supervisor.start_outcomes import StartOutcomes
from overseer.supervisor.starts import Starts
from overseer.supervisor.stops import Stops
from overseer.supervisor.subscriptions import Subscriptions
from overseer.supervisor.table import TaskTable
from overseer.supervisor.task import NOBODY, Requester, Task
from overseer.supervisor.timer_kinds import Due
from overseer.supervisor.usage import UsageWatch
from overseer.supervisor.watching import Watchers
from overseer.util.ids import new_uuid
from overseer.util.jsonlog import EventLog
from overseer.util.threads import run_on_thread
from overseer.util.timers import Timers
from overseer.util.websocket_frame import CloseCode
from overseer.workers.stopping import overdue

if TYPE_CHECKING:
    from overseer.logs.store import Logs


class Hub:
    """Runs the tasks of a configuration for any number of clients. Thread-safe.

    Args:
        config: as loaded.
        handlers: one for each action of the configuration, by name.
        log: the event log, started by the caller.
        vault: reads the configuration's secrets.
        recorder: keeps the history of runs.
        logs: keeps the output of tasks.
    """

    def __init__(
        self,
        config: Config,
        handlers: Mapping[str, ActionHandler],
        log: EventLog | None = None,
        vault: Vault | None = None,
        recorder: Recorder | None = None,
        logs: Logs | None = None,
    ) -> None:
        definitions = Definitions(config, handlers)
        timers = self._timers = Timers(fire=self._fire)
        table = self._table = TaskTable(config.history, timers)
        pool = self._pool = PoolManager(config.task_pool, definitions.pools)
        current = self._current = Current(definitions)
        clients = self._clients = Clients()
        metrics = self._metrics = Metrics(handlers)
        self._log = log or EventLog()
        recorder = self._recorder = recorder or Recorder()
        self._logs = logs
        failed = self._failed_starts = FailedStarts(table)
        queueing = self._queueing = Queueing(table, pool, clients, metrics, timers, recorder, current)
        exits = self._exits = Exits(table, pool, queueing, metrics, timers, recorder)
        usage = self.usage = UsageWatch(table, timers)
        probing = self.probing = Probing(table, metrics)
        intents = self._intents = Intents(table, current, recorder)
        dependencies = self._dependencies = Dependencies(table, pool, queueing, intents)
        self.standing = Standing(table, current, dependencies, intents, self.start)
        outcomes = self._outcomes = StartOutcomes(
            table, pool, metrics, timers, queueing, exits, failed, usage, recorder
        )
        self._starts = Starts(
            table, current, queueing, exits, failed, dependencies, intents, outcomes, probing,
            vault or Vault(), recorder, logs, timers,
        )  # fmt: skip
        self._stops = Stops(table, pool, clients, current, queueing, exits, failed, metrics, recorder)
        self.pools = Pools(table, pool, clients, current, queueing, self._stops, intents)
        self.interaction = Interaction(table, metrics)
        self._restarts = Restarts(table, pool, current, queueing, dependencies, intents)
        table.launch, table.settle = self._starts.launch_for, dependencies.settle_locked
        use = self._memory_use = MemoryUse()
        self._memory = MemoryLimit(use, current, table, clients, metrics, timers)
        self.subscriptions = Subscriptions(table, usage, logs)
        self.listing = Listing(table)
        self.watchers = Watchers(table, self.listing, usage, timers)
        self.metrics_view = MetricsView(
            table, pool, clients, metrics, current, use, self.watchers, probing.unhealthy
        )
        self.services = Services(self, lambda: self.definitions.handlers)

    def __repr__(self) -> str:
        table = self._table
        return f"<Hub {len(table)} tasks, {table.in_use} in use, {len(self._clients)} clients>"

    def _fire(self, due: Due, *ids: str) -> None:
        match due:
            case Due.RESTART:
                self._restarts.due(*ids)
            case Due.TIMEOUT:
                run_on_thread(lambda: self._stops.time_out(*ids), f"timeout-{ids[0]}")  # it calls the driver
            case Due.EXPIRE:
                self._queueing.expire()
            case Due.PRUNE:
                with self._table.lock:
                    self._table.prune()
            case Due.WATCH:
                self.watchers.send()
            case Due.USAGE:
                self.usage.look()
            case Due.MEMORY:
                self._memory.check()
            case Due.WIDEN:
                self._starts.launcher.widen()

    def observe(
        self, observer: Observer, room: str = "", concerned: Callable[[Change], bool] | None = None
    ) -> None:
        """Have ``observer`` hear of every change of every task; see :meth:`Observers.add`."""
        self._table.observers.add(observer, room, concerned)

    # Clients

    def connect(self, client: Client) -> None:
        """Register a client, which gets broadcasts from now on."""
        self._clients.add(client)

    def disconnect(self, client: Client) -> None:
        """Remove a client; its tasks go on."""
        self._clients.remove(client)
        with self._table.lock:
            # At shutdown, a client that holds up the end is closed with that code however short its stall.
            if client.outbox.close_code == CloseCode.TRY_AGAIN_LATER and not self._table.closing:
                self._metrics.count("stalled_clients", "")
            self.watchers.end_locked(client)
            self.subscriptions.drop_locked(client)

    # Tasks

    def start(
        self,
        action: str,
        task_id: str = "",
        params: Mapping[str, str] | None = None,
        *,
        retry_policy: RetryPolicy | None = None,
        force: bool = False,
        wishes: Wishes = NO_WISHES,
        requester: Requester = NOBODY,
    ) -> str:
        """Start or queue a task; the requester is sent ``started`` or ``queued``. Returns the task's id.

        The id of a standing task stands for its action and parameters.

        Raises:
            RequestError: refused: unknown action, bad parameters, id taken, duplicate, no room, or the
                program cannot be started.
        """
        while True:
            definitions = self.definitions
            named, given, standing = definitions.resolve(task_id, action, params or {}, requester.principal)
            terms, warnings = definitions.terms(named, given, requester.principal, retry_policy, standing)
            if warnings or requester.warnings:
                requester = replace(requester, warnings=warnings)
            task = Task(
                task_id or new_uuid(),
                named,
                terms,
                self._metrics,
                self._log,
                self._table.lock,
                requester,
                retry_policy,
                self._memory_use,
                self._logs,
            )
            with self._table.begin(requester) as tx:
                if self.definitions is definitions:  # otherwise a reload came between: try again
                    self._starts.admit_locked(tx, task, force, wishes)
                    break
        tx.check()
        if task.waiting_on:
            self.standing.start_needed(task.id, requester)
        return task.id

    def submit(
        self,
        action: str,
        task_id: str = "",
        params: Mapping[str, str] | None = None,
        cause: Trigger = SERVICE,
    ) -> str:
        """Start or queue a task for a service driver, see :class:`overseer.TaskSubmitter`, or for another
        ``cause`` whose parameters are nobody's.

        Raises:
            SubmitError: it was refused.
        """
        # A driver's task must pass the checks of a client's, or clients could not be told of it.
        limits = self.definitions.config.limits.message_limits()
        given = dict(params or {})
        try:
            for name in given:
                TEXT.from_json(name, "the name of a parameter", limits)
            if task_id:
                task_id = TASK_ID.from_json(task_id, "task_id", limits)
            texts = TEXT_MAP.from_json(given, "params", limits)
            return self.start(action, task_id, texts, requester=Requester(cause=cause))
        except Unreadable as error:
            raise SubmitError(str(error), code="invalid") from None
        except RequestError as error:
            raise SubmitError(
                error.message, code=error.code, param=error.param, existing_task_id=error.existing_task_id
            ) from None

    def announce(self, task_id: str, event: Event, shown: Event) -> None:
        """Tell observers of something that others did about a task, and those who watch it of what may be
        ``shown`` to all of them; nobody, if the task is forgotten."""
        with self._table.begin() as tx:
            task = self._table.get(task_id)
            if task is not None:
                tx.observe(task, event)
                with task.lock:
                    task.stream.publish_locked(tx, shown)

    def stop(self, task_id: str, requester: Requester = NOBODY) -> None:
        """Stop a task, take it off its queue, or cancel its restart; no-op if it is over already.

        Raises:
            RequestError: no such task.
        """
        with self._table.begin(requester) as tx:
            task = self._table.find(task_id, requester.principal)
            if requester.client is not None:
                self.standing.stopped_by_person_locked(task)
            self._stops.stop_locked(tx, task, StopRequest.STOP, "stopped")
        tx.check()

    def reset(self, task_id: str, requester: Requester = NOBODY) -> None:
        """Start an errored task over, even beyond the pool's limit; the requester is sent ``started``.

        Raises:
            RequestError: no such task, it is not errored, or it cannot be started.
        """
        self._restarts.start_over(task_id, requester, errored=True)

    def restart(self, task_id: str, requester: Requester = NOBODY) -> None:
        """Stop a task and start it again in the same slot; the requester is sent ``started`` when it runs.

        A task that awaits its restart starts at once, an errored one as by a reset. One that is over needs a
        slot, as at its first start, so the requester may be sent ``queued`` first.

        Raises:
            RequestError: no such task; it is queued, being started or being stopped; it was stopped
                meanwhile; or it cannot be started.
        """
        self._restarts.start_over(task_id, requester, errored=False)
        self.standing.start_needed(task_id, requester)

    def in_use(self, task_id: str) -> bool:
        """Whether a task of that id is queued, being started, running or awaiting its restart."""
        with self._table.lock:
            task = self._table.get(task_id)
            return task is not None and task.phase.in_use

    def skip(self, event: Skipped, action: str) -> None:
        """Announce that a standing task, which runs ``action``, was not started when it was to be."""
        with self._table.begin() as tx:
            self._queueing.skipped_locked(tx, self._log, action, event)
            self._table.observers.note_skipped(event, action)

    # Actions

    @property
    def definitions(self) -> Definitions:
        """The definitions in force."""
        return self._current.value

    def actions(self, name: str = "", principal: Principal = ANYONE) -> list[ActionInfo]:
        """Descriptions of all actions, in the configuration's order, or only of the action ``name``.

        Raises:
            RequestError: no such action.
        """
        definitions = self.definitions
        names = [name] if name else [each for each in definitions.handlers if principal.sees(each)]
        described = (
            describe_action(definitions.config, each, definitions.of(each, principal).handler)
            for each in names
        )
        if principal.scope is None:
            return list(described)
        return [
            info if info.then is None else replace(info, then=info.then.seen_by(principal.sees))
            for info in described
        ]

    def tell_of_definitions(self, requester: Requester, reply: Callable[[], Event]) -> None:
        """Send a reply about the definitions; built without a lock, and rebuilt if a reload comes between."""
        while True:
            definitions = self.definitions
            encoded = Encoded([encode(reply())])
            with self._table.begin() as tx:
                if self.definitions is definitions:
                    if requester.client is not None:
                        tx.send_encoded(requester.client, encoded)
                    return

    # From start to end

    def start_services(self) -> None:
        """Start a thread for each service handler, and the shared threads."""
        self._timers.start()
        overdue.start()
        self._starts.launcher.start()
        self.services.update()

    def redefine(self, definitions: Definitions) -> None:
        """Go over to other definitions without stopping a task; one call at a time.

        From now on they count for what starts. Tasks that are there, queued ones too, keep what they were
        accepted with until they are reset. Pools: see :meth:`PoolManager.reconfigure`. Services of actions
        whose handler is another one, or none, are told to stop, and new ones are started.

        Raises:
            RequestError: the server is shutting down.
        """
        config, before = definitions.config, self.definitions.config
        with self._table.begin() as tx:
            self._table.refuse_closing()
            self._metrics.register(definitions.handlers)
            changed = self._pool.reconfigure(config.task_pool, definitions.pools)
            self._current.value = definitions
            self._table.history = config.history
            self._table.prune()
            self._queueing.admit_locked(tx, changed.admitted)
            self._queueing.watch_queues_locked()
            for action in changed.changed:
                self.pools.changed_locked(tx, action, self._pool.rows(action))
        self._memory.check()
        self.services.update()
        self.standing.start_added(before.tasks)

    def shutdown(self) -> bool:
        """Refuse new work, empty the queues, stop every task; returns whether all were gone in time.

        In order: starts are refused; services are told to stop; queued tasks and those awaiting restart end
        (``dequeued``, ``shutdown``); workers are stopped, and killed after their grace. Idempotent.
        """
        with self._table.lock:
            self._table.closing = True  # first, so that services cannot submit any more
        self.services.stop()
        told = time.monotonic()
        idle = self._stops.stop_all()
        self.services.join(told)
        self.watchers.send()  # the last ends, before connections are closed
        return idle

    @property
    def shutdown_budget(self) -> float:
        """How long a shutdown may take, in seconds, but for a little."""
        return self._stops.budget

    def wait_until_idle(self, timeout: float | None = None) -> bool:
        """Wait until no task is queued, running or awaiting restart; False on a timeout."""
        return self._stops.wait_until_idle(timeout)

    def skip_graces(self) -> None:
        """During a shutdown: kill what has not ended yet, and stop waiting for clients."""
        self._stops.skip_graces()

    def close(self) -> None:
        """End the threads; after the shutdown, when the last client is gone."""
        self.probing.close()
        self._starts.launcher.close()
        self._table.observers.close()
        self._timers.close()
