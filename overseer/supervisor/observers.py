"""Observers: parts of the server that are notified of every task's changes, and may start others."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from queue import SimpleQueue

from overseer.config.parameters import without_hidden
from overseer.history.records import Trigger
from overseer.protocol import Event, Skipped
from overseer.supervisor.task import Task
from overseer.util.threads import start_thread

_log = logging.getLogger(__name__)

_PATIENCE_S = 1.0  # for observers, at the end


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a task.

    Attributes:
        event: as sent to its subscribers.
        params: secrets masked.
        trigger: of its latest requested start.
        outcome: ``succeeded``, ``failed`` or ``stopped`` if this ends the task and no restart follows;
            otherwise ``""``.
        exit_code, signal, reason: of its latest run that is over, or failed to start: ``start_failed``.
        error: why it was given up, or could not be started.
        values: that run's output values.
    """

    event: Event
    task_id: str
    action: str
    params: Mapping[str, str]
    run_id: str
    trigger: Trigger
    outcome: str = ""
    exit_code: int | None = None
    signal: str = ""
    reason: str = ""
    error: str = ""
    values: Mapping[str, str] = field(default_factory=dict)


Observer = Callable[[Change], None]


def change_of(task: Task, event: Event, outcome: str = "") -> Change:
    """A change of a task as it is now; the hub's lock is held."""
    ran = not task.start_failed
    return Change(
        event,
        task.id,
        task.action,
        without_hidden(task.params, task.terms.hidden),
        task.run_id,
        task.trigger,
        outcome,
        exit_code=task.last.exit_code if ran else None,
        signal=task.last.signal if ran else "",
        reason=task.last.reason if ran else "start_failed",
        error=task.error_message,
        values=task.last.values if ran else {},
    )


class Observers:
    """Passes changes to observers, in order, on a separate thread; without observers it does nothing."""

    def __init__(self) -> None:
        self._observers: list[Observer] = []
        self._rooms: dict[str, Callable[[Change], bool]] = {}
        self._changes: SimpleQueue[Change | None] = SimpleQueue()  # None: the end
        self._thread: threading.Thread | None = None
        self._noted = 0  # changes so far; hub's lock
        self._passed = 0  # of these; the thread's own

    def add(
        self, observer: Observer, room: str = "", concerned: Callable[[Change], bool] | None = None
    ) -> None:
        """Register an observer; one call at a time.

        Args:
            room: its name, if it owes something to ends of tasks.
            concerned: whether it does to this one; must not block.

        Raises:
            RuntimeError: the system allows no more threads.
        """
        if self._thread is None:
            self._thread = start_thread(self._run, "observers")
        self._observers.append(observer)
        if concerned is not None:
            self._rooms[room] = concerned

    @property
    def owe(self) -> bool:
        """Whether any room may owe something to the end of a task."""
        return bool(self._rooms)

    def concerned(self, change: Change) -> list[str]:
        """The rooms that owe something to the end of a task."""
        if change.outcome not in ("succeeded", "failed"):
            return []
        return [room for room, concerned in self._rooms.items() if concerned(change)]

    def note(self, task: Task, event: Event, outcome: str = "") -> None:
        """Note a change of a task; the hub's lock is held, so that changes come in order."""
        if self._observers:
            self._noted += 1
            self._changes.put(change_of(task, event, outcome))

    def note_skipped(self, event: Skipped, action: str) -> None:
        """Note a start that a schedule skipped; the hub's lock is held."""
        if self._observers:
            trigger = Trigger("schedule", f"schedule:{event.task_id}")
            self._noted += 1
            self._changes.put(Change(event, event.task_id, action, {}, "", trigger))

    @property
    def busy(self) -> bool:
        """Whether there are changes that have not been passed on."""
        return self._noted != self._passed

    def close(self) -> None:
        """Pass on what is left, for a second at most, and end."""
        self._changes.put(None)
        if self._thread is not None:
            self._thread.join(_PATIENCE_S)

    def _run(self) -> None:
        while (change := self._changes.get()) is not None:
            for observer in self._observers:
                try:
                    observer(change)
                except Exception:
                    _log.exception("what follows from a change of task %s failed", change.task_id)
            self._passed += 1
