"""Schedules of standing tasks as the daemon has them: where the configuration has any, and only there."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from overseer.auth.rights import Principal
from overseer.config import Config
from overseer.daemon.audit import Audit
from overseer.daemon.runs import RunHistory
from overseer.errors import NotPermittedError, RequestError
from overseer.protocol import Pause, Paused, Resume, Resumed, SchedulesReply, SchedulesRequest, Start
from overseer.supervisor.clients import Client, DeferredFlush
from overseer.supervisor.hub import Hub

if TYPE_CHECKING:
    from overseer.schedules.scheduler import Scheduler


class TaskSchedules:
    """Starts the scheduler, and answers what is asked of it."""

    def __init__(self, hub: Hub, history: RunHistory, audit: Audit) -> None:
        self._hub = hub
        self._history = history
        self._audit = audit
        self.scheduler: Scheduler | None = None
        # A client may have the configuration reloaded before the server has come to :meth:`start`. Unranked:
        # nobody takes it with another lock held.
        self._starting = threading.Lock()
        self._started = False  # the server has

    def load(self, config: Config, given: Mapping[str, Any] | None = None) -> None:
        """Go on where an earlier server has come to, or this one's earlier program (``given``), if the
        configuration has a schedule."""
        if not any(task.schedule for task in config.tasks.values()):
            if self._history.history is not None:
                self._history.history.unscheduled()
            return
        from overseer.schedules.scheduler import Scheduler
        from overseer.schedules.store import ScheduleStore

        self.scheduler = Scheduler(self._hub, ScheduleStore(self._history.history), self._record)
        self.scheduler.load(config.tasks, given)

    def start(self) -> None:
        """Begin to start tasks.

        Raises:
            RuntimeError: the system allows no more threads.
        """
        with self._starting:
            self._started = True
            self._begin()

    def _begin(self) -> None:
        if self.scheduler is not None:
            self.scheduler.start(self._history.returning)

    def apply(self, config: Config) -> None:
        """Go over to a new configuration.

        Raises:
            RuntimeError: the system allows no more threads.
        """
        with self._starting:
            if self.scheduler is not None:
                self.scheduler.apply(config.tasks)
                return
            self.load(config)
            if not self._started:
                return
            try:
                self._begin()
            except RuntimeError:
                self.scheduler = None  # the next reload tries again
                raise

    def export(self) -> dict[str, Any] | None:
        """What another program has to know to go on; at a standstill."""
        return None if self.scheduler is None else self.scheduler.export()

    def tell(self, request: SchedulesRequest, client: Client) -> None:
        """Send a client the schedules that it asks for.

        Raises:
            RequestError: the task that is asked for has none.
        """
        if request.task_id:
            self._check(request.task_id, client.principal)
        with DeferredFlush() as out:
            if self.scheduler is None:
                out.send(client, SchedulesReply(request.id, ()))
                return
            from overseer.schedules.overview import overview_locked

            with self.scheduler.lock:
                out.send(client, overview_locked(self.scheduler, request, client.principal.sees))

    def pause(self, request: Pause | Resume, principal: Principal) -> Paused | Resumed:
        """Pause a task's schedules, or resume them.

        Raises:
            RequestError: the task has none.
        """
        scheduler = self._check(request.task_id, principal)
        scheduler.pause(request.task_id, isinstance(request, Pause))
        made = Paused if isinstance(request, Pause) else Resumed
        return made(request.id, request.task_id)

    def _check(self, task_id: str, principal: Principal) -> Scheduler:
        """The scheduler, which has the task."""
        standing = self._hub.definitions.config.tasks.get(task_id)
        if standing is None:
            raise RequestError("task not found", code="not_found")
        if not principal.sees(standing.action):
            raise NotPermittedError("task not found", code="not_found")
        if self.scheduler is None or task_id not in self.scheduler.tracks:
            raise RequestError(f"{task_id} has no schedule")
        return self.scheduler

    def _record(self, name: str, request: Start, error: str) -> None:
        """Have a start by the schedule of the task ``name`` in the audit, as if a person had asked for it."""
        self._audit.record_own(f"schedule:{name}", request, error=error)
