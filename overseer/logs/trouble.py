"""Whether logs can be written, said once for all of them: a disk that is full concerns every task."""

from __future__ import annotations

import logging
import time

from overseer.util.locks import Rank, lock

_log = logging.getLogger(__name__)

_CALM_S = 5.0  # without a failure before trouble is called over: a full disk takes a line now and then


class Trouble:
    """Logs that cannot be written: a warning for each new reason, and one when it is over. Thread-safe."""

    def __init__(self) -> None:
        self._lock = lock(Rank.LEAF, "logs' trouble")  # guards the fields below
        self._reasons: set[str] = set()
        self._waiting: set[str] = set()  # tasks that write, and whose logs are suspended
        self._missing: dict[str, int] = {}  # lines, by task
        self._failed_at = 0.0  # the last time, monotonic

    def suspended(self, task_id: str, why: str) -> None:
        """A task's log cannot be written."""
        with self._lock:
            self._failed_at = time.monotonic()
            new = why not in self._reasons
            self._reasons.add(why)
            self._waiting.add(task_id)
        if new:
            _log.warning("the log of task %s: %s; lines are not logged until it can be written", task_id, why)

    def ended(self, task_id: str, missing: int) -> None:
        """A task whose log is suspended writes no more for now."""
        with self._lock:
            self._count(task_id, missing)

    def recovered(self, task_id: str, missing: int) -> None:
        """A log that was suspended has been written again."""
        with self._lock:
            self._count(task_id, missing)
        self.wrote()

    def wrote(self) -> None:
        """Some log has been written. Cheap while there is no trouble."""
        if not self._reasons:
            return
        with self._lock:
            if self._waiting or not self._reasons or time.monotonic() - self._failed_at < _CALM_S:
                return
            self._reasons = set()
            missing, self._missing = self._missing, {}
        lines = sum(missing.values())
        if len(missing) == 1:
            _log.warning("the log of task %s can be written again; %d lines are missing", *missing, lines)
        else:
            _log.warning("logs can be written again; %d lines of %d tasks are missing", lines, len(missing))

    def _count(self, task_id: str, missing: int) -> None:
        self._waiting.discard(task_id)
        self._missing[task_id] = self._missing.get(task_id, 0) + missing
