"""What is to become of standing tasks, which the history keeps for the next server: those that wait for their
run are to be started, and those that a person has stopped are to be left alone.

That a task was running, or awaited its restart, is known from its last run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from overseer.config import Config
from overseer.history.records import QUEUED, STOPPED, Intent, Recorder
from overseer.supervisor.definitions import Current
from overseer.supervisor.phases import Phase
from overseer.supervisor.table import TaskTable
from overseer.util.locks import assert_held

_NOTHING = Intent()


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
        self._kept: dict[str, Intent] = {}
        self._last = 0  # place

    def restore(self, kept: Mapping[str, Intent]) -> list[str]:
        """Take over what an earlier server has kept; returns the tasks that are to be started for it, in this
        order."""
        config = self._current.value.config
        queued = [name for name, intent in kept.items() if intent.word == QUEUED and returns(config, name)]
        queued.sort(key=lambda name: kept[name].place)
        with self._table.lock:
            self._last += max((intent.place for intent in kept.values()), default=0)
            self._kept = {**kept, **self._kept}
            for task_id in kept:
                if self._table.get(task_id) is not None:  # clients may have been quicker
                    self.moved_locked((task_id,))
                elif kept[task_id].word == STOPPED and task_id in config.tasks:
                    self.stopped.add(task_id)
                elif task_id not in queued:
                    self._keep(task_id, "")
        return queued

    def stopped_locked(self, task_id: str) -> None:
        """Note that a person has stopped a task, so only a person starts it again."""
        assert_held(self._table.lock)
        self.stopped.add(task_id)
        self._keep(task_id, STOPPED)

    def reordered_locked(self, waiting: Iterable[str]) -> None:
        """Keep the order in which tasks would have to enter their queues to wait as they do."""
        assert_held(self._table.lock)
        standing = [each for each in waiting if self._kept.get(each, _NOTHING).word == QUEUED]
        places = sorted(self._kept[task_id].place for task_id in standing)
        for task_id, place in zip(standing, places, strict=True):
            self._store(task_id, Intent(QUEUED, place))

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

    def _keep(self, task_id: str, word: str) -> None:
        if word != self._kept.get(task_id, _NOTHING).word and self._recorder.enabled:
            if word == QUEUED:
                self._last += 1
            self._store(task_id, Intent(word, self._last if word == QUEUED else 0))

    def _store(self, task_id: str, intent: Intent) -> None:
        if intent == self._kept.get(task_id, _NOTHING):
            return
        if intent.word:
            self._kept[task_id] = intent
        else:
            del self._kept[task_id]
        self._recorder.intend(task_id, intent)
