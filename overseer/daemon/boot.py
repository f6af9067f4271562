"""Restarts, at start-up, the tasks that were running when the previous server ended."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable

from overseer.config import ActionConfig
from overseer.daemon.audit import Audit
from overseer.errors import RequestError, TakenError
from overseer.history.inheritance import Interrupted
from overseer.history.records import BOOT, Run
from overseer.history.store import History
from overseer.process.registry import registry
from overseer.process.standalone.tree import Scanner
from overseer.protocol import Start
from overseer.supervisor.hub import Hub
from overseer.supervisor.intents import returns
from overseer.supervisor.task import Requester
from overseer.util.threads import run_on_thread
from overseer.util.timestamps import now

_log = logging.getLogger(__name__)

_PATIENCE_S = 6.0  # for leftovers of an old run, which its guardian may still be ending
_LOOK_S = 0.1


class Resumption:
    """Starts interrupted tasks again, each once its old run is gone: those whose actions say
    ``on_boot: resume``, and standing ones that are started with the server.

    Args:
        over: set when the server ends.

    Attributes:
        left: the ids of those that it has not started yet.
    """

    def __init__(self, hub: Hub, history: History, audit: Audit, over: threading.Event) -> None:
        self._hub = hub
        self._history = history
        self._audit = audit
        self._over = over
        self.left: set[str] = set()

    def begin(self, interrupted: Iterable[Interrupted]) -> set[str]:
        """Start a thread that does it; returns the ids of the tasks that it will start."""
        wanted: list[Interrupted] = []
        config = self._hub.definitions.config
        for task in interrupted:
            action = config.actions.get(task.action)
            if task.task_id in config.tasks:
                if returns(config, task.task_id):
                    wanted.append(task)
                else:
                    self._history.recalled(task)
            elif action is None or action.on_boot != "resume":
                self._history.recalled(task)
            elif not task.complete:
                self._refuse(task, action, "one of its parameters is secret, and secrets are not stored")
            else:
                wanted.append(task)
        ids = {task.task_id for task in wanted}
        self.left = set(ids)
        run_on_thread(lambda: self._resume([*wanted]), "boot")
        return ids

    def _resume(self, waiting: list[Interrupted]) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        scanners = {task.server: Scanner(task.server, 0) for task in waiting}
        while waiting:
            late = time.monotonic() >= deadline
            alive = _alive(scanners[server] for server in {task.server for task in waiting})
            for task in [task for task in waiting if late or task.run_id not in alive]:
                if self._over.is_set():
                    return
                waiting.remove(task)
                if task.run_id in alive:
                    _log.warning("task %s: processes of its old run still live", task.task_id)
                try:
                    self._start(task)
                finally:
                    self.left.discard(task.task_id)
            if waiting and self._over.wait(_LOOK_S):
                return
        self._hub.standing.start_waiting()

    def _start(self, task: Interrupted) -> None:
        before = self._history.number(task.task_id)
        request = Start("", task.action, task.task_id, task.params, task.policy)
        if task.task_id in self._hub.definitions.config.tasks:
            request = Start("", task_id=task.task_id, retry_policy=task.policy)
        try:
            self._hub.start(
                request.action,
                request.task_id,
                request.params,
                retry_policy=request.retry_policy,
                requester=Requester(cause=BOOT),
            )
        except Exception as error:  # whatever is wrong with one task, the others go on
            if isinstance(error, TakenError) and task.task_id in self._hub.definitions.config.tasks:
                self._history.recalled(task)  # a client was quicker
                return
            why = "internal error"
            if isinstance(error, RequestError):
                why = error.message
            else:
                _log.exception("task %s could not be resumed", task.task_id)
            self._audit.record_own(BOOT.by, request, error=why)
            action = self._hub.definitions.config.actions.get(task.action)
            # A failure in its driver is already recorded.
            known = self._history.number(task.task_id) > before
            self._refuse(task, None if known else action, why)
        else:
            self._audit.record_own(BOOT.by, request)
            self._history.recalled(task)
            _log.info("task %s is resumed: it was running when the server ended", task.task_id)

    def _refuse(self, task: Interrupted, action: ActionConfig | None, why: str) -> None:
        """Log and record why it is not resumed."""
        _log.warning("task %s cannot be resumed: %s", task.task_id, why)
        if action is not None:
            run = Run(
                registry.new_run_id(),
                task.task_id,
                task.action,
                task.params,
                task.complete,
                task.policy,
                BOOT,
                None,
                now(),
                self._history.last_seq(task.task_id) + 1,
                action.digest,
            )
            self._history.start_failed(run, f"not resumed: {why}")
        self._history.recalled(task)


def _alive(scanners: Iterable[Scanner]) -> set[str]:
    """The runs with live processes, from one scan of /proc per server."""
    alive: set[str] = set()
    for scanner in scanners:
        try:
            runs = scanner.scan().runs
        except OSError as error:
            _log.warning("cannot find processes of old runs: %s", error)
            continue
        alive |= {run for run, members in runs.items() if any(not each.zombie for each in members)}
    return alive
