"""Finished tasks: remembered for a while, then forgotten."""

from __future__ import annotations

import time

from overseer.supervisor.state import State
from overseer.supervisor.task import Task
from overseer.util.locks import assert_held
from overseer.util.timers import Timer


class Retention:
    """Frees the ids of tasks that are over, and forgets those that are too old or too many."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._timer: Timer | None = None  # for the finished task that grows too old next; hub's lock

    def finish_locked(self, task: Task) -> None:
        """The task is over: its id is free, and it is remembered for a while."""
        assert_held(self._state.lock)
        self._state.table.finish(task)
        self._state.freed.notify_all()
        self.prune_locked()

    def prune_locked(self) -> None:
        """Forget what is to be forgotten, now and again when the next finished task grows too old."""
        assert_held(self._state.lock)
        wait = self._state.table.prune()
        if wait is not None:
            at = time.monotonic() + wait
            self._timer = self._state.timers.bring_forward(self._timer, at, self._prune)

    def _prune(self) -> None:
        with self._state.lock:
            self.prune_locked()
