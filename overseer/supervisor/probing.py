"""The hub's side of probes: the interface to the prober, and its findings about runs.

Probing itself is done by the ``probes`` room, which is loaded for the first run that has probes.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from overseer.config import ActionConfig
from overseer.config.probes import Values, values_of_start
from overseer.drivers.api import said_of_action
from overseer.protocol import Health, NotReady, Ready
from overseer.supervisor.metrics import Metrics
from overseer.supervisor.phases import Phase, StopRequest
from overseer.supervisor.table import TaskTable
from overseer.supervisor.task import Task
from overseer.supervisor.transaction import lives
from overseer.util.handover_format import Incoming, Outgoing
from overseer.util.locks import Rank, assert_held, assert_none_held, lock
from overseer.util.masking import Secrets, masked
from overseer.util.timestamps import now
from overseer.workers.surroundings import Surroundings

_log = logging.getLogger(__name__)


class Earlier(NamedTuple):
    """What a program before this one has exported of a watch."""

    data: Mapping[str, Any]
    given: Incoming


class RunWatch(ABC):
    """Probes one run. Its methods are called with no lock held and do not block.

    Attributes:
        env: variables for the run's process.
        reads: it wants to see lines of output.
    """

    env: Mapping[str, str]
    reads: bool

    @abstractmethod
    def line(self, text: str) -> bool:
        """Take a line of output, perhaps unfinished; returns whether no more lines are wanted."""

    @abstractmethod
    def begin(self, surroundings: Surroundings) -> None:
        """Begin to probe the run; probe programs are run in these ``surroundings``."""

    @abstractmethod
    def end(self) -> None:
        """End probing, as the run is over or never began. Idempotent."""

    @abstractmethod
    def export(self, out: Outgoing) -> Mapping[str, Any]:
        """What another program has to know to go on; at a standstill."""

    @abstractmethod
    def resume(self) -> None:
        """Go on with what another program has exported."""


class Prober(ABC):
    """Probes runs."""

    @abstractmethod
    def watch(
        self, findings: Findings, config: ActionConfig, values: Values, earlier: Earlier | None = None
    ) -> RunWatch:
        """Create the watch of a run that is about to be started, or was by an ``earlier`` program.

        Raises:
            OverseerError: it cannot be probed.
        """

    @abstractmethod
    def close(self) -> None:
        """Look at nothing any more, and end the threads."""


class Findings:
    """Records and announces what is found out about one run. A method returns False if that is over or
    ending, so that probing can stop."""

    def __init__(self, table: TaskTable, metrics: Metrics, task: Task, run_id: str, secrets: Secrets) -> None:
        self._table = table
        self._metrics = metrics
        self._task = task
        self._run = task.runs
        self._secrets = secrets
        self._over = False  # hub's lock
        self.task_id = task.id
        self.run_id = run_id

    def probed(self, failed: bool) -> None:
        """Count a probe's result."""
        self._metrics.count("probes", self._task.action)
        if failed:
            self._metrics.count("probe_failures", self._task.action)

    def ready(self) -> bool:
        """The run is ready."""
        task = self._task
        with self._table.begin() as tx:
            if not self._goes_on_locked():
                return False
            with task.lock:
                if not task.ready:
                    event = Ready(task_id=task.id, pid=task.last_pid, ts=now())
                    task.ready, task.found_at = True, event.ts
                    task.stream.publish_locked(tx, event)
                    self._table.moved.add(task.id)
                    tx.observe(task, event)
        return True

    def not_ready(self, seconds: float, lacking: str) -> bool:
        """The run has not become ready in time."""
        task = self._task
        detail = masked(f"not ready after {seconds:g} s: {lacking}", self._secrets)
        with self._table.begin() as tx:
            if not self._goes_on_locked():
                return False
            with task.lock:
                if task.ready:
                    return True
                self._metrics.count("ready_timeouts", task.action)
                event = NotReady(task_id=task.id, pid=task.last_pid, detail=detail, ts=now())
                task.stream.publish_locked(tx, event)
                tx.observe(task, event)
        _log.warning("task %s: %s", task.id, detail)
        return True

    def health(self, status: str, why: str, *, stop: bool) -> bool:
        """The run has become ``healthy`` or ``unhealthy``; ``stop``: it must be stopped for that."""
        task, detail = self._task, masked(why, self._secrets)
        with self._table.lock:
            worker = task.worker if self._goes_on_locked() else None
        # A run that has ended, with output still to deliver, was not stopped for its health.
        if worker is None or not lives(worker):
            return False
        with self._table.begin() as tx:
            if not self._goes_on_locked():
                return False
            with task.lock:
                event = Health(task_id=task.id, status=status, detail=detail, ts=now())
                task.health, task.found_at = status, event.ts
                task.stream.publish_locked(tx, event)
            self._table.moved.add(task.id)
            tx.observe(task, event)
            if status == "unhealthy":
                self._metrics.count("became_unhealthy", task.action)
                if stop:
                    task.end_reason = "unhealthy"
                    tx.stop(worker)
        level = logging.WARNING if status == "unhealthy" else logging.INFO
        _log.log(level, "task %s: %s%s", task.id, status, f": {detail}" if detail else "")
        return True

    def trouble(self, what: str) -> None:
        """The server itself could not probe, which says nothing about the run."""
        _log.warning("task %s: cannot be probed: %s", self.task_id, masked(what, self._secrets))

    def over(self) -> None:
        """The run is over: findings still on their way are dropped."""
        with self._table.lock:
            self._over = True

    def _goes_on_locked(self) -> bool:
        """Whether this is the task's current run, and it is neither over nor being stopped."""
        assert_held(self._table.lock)
        task = self._task
        running = not self._over and task.phase is Phase.RUNNING and task.runs == self._run
        return running and not task.end_reason and task.stop_request is StopRequest.NONE


class Probing:
    """Has runs with probes watched.

    Attributes:
        make: creates the prober on first use; None: not available.
    """

    def __init__(self, table: TaskTable, metrics: Metrics) -> None:
        self.make: Callable[[], Prober] | None = None
        self._table = table
        self._metrics = metrics
        self._making = lock(Rank.LEAF, "probing")  # guards the next two
        self._prober: Prober | None = None
        self._closed = False

    def watch(
        self, task: Task, run_id: str, secrets: Secrets, earlier: Earlier | None = None
    ) -> RunWatch | None:
        """Create the watch of a task's latest run, whose action is probed; None without a prober.

        Args:
            earlier: of a run that goes on from another program.

        Raises:
            OverseerError: it cannot be probed.
        """
        prober = self._opened()
        if prober is None:
            return None
        definition = task.terms.definition
        values = values_of_start(said_of_action(task.action, definition.handler).params, task.params)
        findings = Findings(self._table, self._metrics, task, run_id, secrets)
        return prober.watch(findings, definition.config, values, earlier)

    def _opened(self) -> Prober | None:
        assert_none_held("making a prober")
        if self._prober is None and self.make is not None:
            made = self.make()
            with self._making:
                used = self._prober is None and not self._closed
                if used:
                    self._prober = made
            if not used:
                made.close()
        return self._prober

    def close(self) -> None:
        """Stop all probing. Idempotent."""
        with self._making:
            self._closed = True
            prober, self._prober = self._prober, None
        self.make = None
        if prober is not None:
            prober.close()

    def unhealthy(self) -> Mapping[str, int]:
        """The number of unhealthy running tasks, by action."""
        if self._prober is None:
            return {}
        with self._table.lock:
            return Counter(task.action for task in self._table if task.health == "unhealthy")
