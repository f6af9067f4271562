"""Observers: parts of the server that hear what becomes of every task, and may start others for it."""

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
    """Something that became of a task.

    Attributes:
        event: what its subscribers are told of it.
        params: as they may be shown.
        trigger: what its latest start was asked for by.
        outcome: what became of it, if it is over with this and no restart follows: ``succeeded``, ``failed``
            or ``stopped``; else ``""``.
        by_person: whether a client asked for that end.
        exit_code, signal, reason: of its latest run that is over, or failed to start: ``start_failed``.
        error: why it was given up, or could not be started.
        values: what that run hands on.
    """

    event: Event
    task_id: str
    action: str
    params: Mapping[str, str]
    run_id: str
    trigger: Trigger
    outcome: str = ""
    by_person: bool = False
    exit_code: int | None = None
    signal: str = ""
    reason: str = ""
    error: str = ""
    values: Mapping[str, str] = field(default_factory=dict)


Observer = Callable[[Change], None]


class Observers:
    """Hands changes on to observers, in order, on a thread of its own; without observers it does nothing."""

    def __init__(self) -> None:
        self._observers: list[Observer] = []
        self._changes: SimpleQueue[Change | None] = SimpleQueue()  # None: the end
        self._thread: threading.Thread | None = None

    def add(self, observer: Observer) -> None:
        """Have an observer called from now on; before tasks are started, by one thread."""
        self._observers.append(observer)
        if len(self._observers) == 1:
            self._thread = start_thread(self._run, "observers")

    def note(self, task: Task, event: Event, outcome: str = "") -> None:
        """Something became of a task; the hub's lock is held, so that changes come in order."""
        if self._observers:
            params = without_hidden(task.params, task.terms.hidden)
            by_person = outcome == "stopped" and task.stopped_by_person
            ran = not task.start_failed
            self._changes.put(
                Change(
                    event,
                    task.id,
                    task.action,
                    params,
                    task.run_id,
                    task.trigger,
                    outcome,
                    by_person,
                    exit_code=task.last_exit_code if ran else None,
                    signal=task.last_signal if ran else "",
                    reason=task.last_reason if ran else "start_failed",
                    error=task.error_message,
                    values=task.last_values if ran else {},
                )
            )

    def note_skipped(self, event: Skipped, action: str) -> None:
        """A schedule has not started its task; the hub's lock is held."""
        if self._observers:
            trigger = Trigger("schedule", f"schedule:{event.task_id}")
            self._changes.put(Change(event, event.task_id, action, {}, "", trigger))

    def close(self) -> None:
        """Hand on what is left, for a second at most, and end."""
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
