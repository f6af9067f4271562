"""What is to become of standing tasks, which the history keeps for the next server: those that wait for their
run are to be started, and those that a person has stopped are to be left alone.

That a task was running, or awaited its restart, is known from its last run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from overseer.config import Config
from overseer.history.records import QUEUED, STOPPED, Recorder
from overseer.supervisor.definitions import Current
from overseer.supervisor.phases import Phase
from overseer.supervisor.table import TaskTable
from overseer.util.locks import assert_held


def returns(config: Config, task_id: str) -> bool:
    """Whether a standing task that was wanted when a server ended is started with the next."""
    task = config.tasks.get(task_id)
    if task is None:
        return False
    action = config.actions.get(task.action)
    return task.autostart != "false" or (action is not None and action.on_boot == "resume")


class Intents:
    """Guarded by the hub's lock."""

    def __init__(self, table: TaskTable, current: Current, recorder: Recorder) -> None:
        self._table = table
        self._current = current
        self._recorder = recorder
        self.stopped: set[str] = set()  # by a person, and not started since
        self._kept: dict[str, str] = {}

    def restore(self, kept: Mapping[str, str]) -> list[str]:
        """Take over what an earlier server has kept; returns the tasks that are to be started for it."""
        config = self._current.value.config
        queued = [each for each, intent in kept.items() if intent == QUEUED and returns(config, each)]
        with self._table.lock:
            self._kept = {**kept, **self._kept}
            for task_id in kept:
                if self._table.get(task_id) is not None:  # clients may have been quicker
                    self.moved_locked((task_id,))
                elif kept[task_id] == STOPPED and task_id in config.tasks:
                    self.stopped.add(task_id)
                elif task_id not in queued:
                    self._keep(task_id, "")
        return queued

    def stopped_locked(self, task_id: str) -> None:
        """Note that a person has stopped a task, so only a person starts it again."""
        assert_held(self._table.lock)
        self.stopped.add(task_id)
        self._keep(task_id, STOPPED)

    def started_locked(self, task_id: str) -> None:
        """Note that a task has been started."""
        assert_held(self._table.lock)
        self.stopped.discard(task_id)

    def moved_locked(self, task_ids: Iterable[str]) -> None:
        """Keep what has changed with a step of these tasks."""
        assert_held(self._table.lock)
        tasks = self._current.value.config.tasks
        if not (tasks or self._kept) or self._table.closing:  # the server's end is nobody's intent
            return
        for task_id in task_ids:
            task = self._table.get(task_id)
            if task_id not in tasks and task_id not in self._kept:
                continue
            if task is not None and task.phase.launching:  # will there be a run?
                continue
            queued = task is not None and task.phase is Phase.QUEUED
            self._keep(task_id, QUEUED if queued else STOPPED if task_id in self.stopped else "")

    def _keep(self, task_id: str, intent: str) -> None:
        if intent == self._kept.get(task_id, "") or not self._recorder.enabled:
            return
        if intent:
            self._kept[task_id] = intent
        else:
            del self._kept[task_id]
        self._recorder.intend(task_id, intent)
