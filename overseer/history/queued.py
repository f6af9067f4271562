"""The tasks that are stored as waiting for their run."""

from __future__ import annotations

from collections.abc import Iterable

from overseer.history.records import Run
from overseer.util.locks import Rank, assert_held, lock


class QueuedRuns:
    """Their runs, by task. Thread-safe; what is stored may be read while tasks come and go."""

    def __init__(self) -> None:
        self._lock = lock(Rank.LEAF, "history queued")  # guards the fields below
        self._runs: dict[str, Run] = {}
        # Ids that have come or gone since, as long as nothing has been read.
        self._changed: set[str] | None = set()

    def add(self, run: Run) -> None:
        with self._lock:
            self._runs[run.task_id] = run
            self._note_locked(run.task_id)

    def get(self, task_id: str) -> Run | None:
        with self._lock:
            return self._runs.get(task_id)

    def remove(self, task_id: str) -> bool:
        """The task waits no more; returns whether it may be stored as waiting."""
        with self._lock:
            self._note_locked(task_id)
            return self._runs.pop(task_id, None) is not None or self._changed is not None

    def _note_locked(self, task_id: str) -> None:
        assert_held(self._lock)
        if self._changed is not None:
            self._changed.add(task_id)

    def merge(self, runs: Iterable[Run]) -> None:
        """Add what is stored, unless it has changed meanwhile."""
        with self._lock:
            changed, self._changed = self._changed, None
            for run in runs:
                if changed is not None and run.task_id not in changed:
                    self._runs[run.task_id] = run
