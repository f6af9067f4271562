"""Observers: parts of the server that hear what becomes of every task, and may start others for it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from queue import SimpleQueue

from overseer.config.parameters import without_hidden
from overseer.history.records import Trigger
from overseer.protocol import Event, Skipped
from overseer.supervisor.task import Task
from overseer.util.threads import start_thread

_log = logging.getLogger(__name__)


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
    """

    event: Event
    task_id: str
    action: str
    params: Mapping[str, str]
    run_id: str
    trigger: Trigger
    outcome: str
    by_person: bool


Observer = Callable[[Change], None]


class Observers:
    """Hands changes on to observers, in order, on a thread of its own; without observers it does nothing."""

    def __init__(self) -> None:
        self._observers: list[Observer] = []
        self._changes: SimpleQueue[Change | None] = SimpleQueue()  # None: the end

    def add(self, observer: Observer) -> None:
        """Have an observer called from now on; before tasks are started, by one thread."""
        self._observers.append(observer)
        if len(self._observers) == 1:
            start_thread(self._run, "observers")

    def note(self, task: Task, event: Event, outcome: str = "") -> None:
        """Something became of a task; the hub's lock is held, so that changes come in order."""
        if self._observers:
            params = without_hidden(task.params, task.terms.hidden)
            by_person = outcome == "stopped" and task.stopped_by_person
            self._changes.put(
                Change(
                    event, task.id, task.action, params, task.run_id, task.trigger, outcome, by_person
                )
            )  # fmt: skip

    def note_skipped(self, event: Skipped, action: str) -> None:
        """A schedule has not started its task; the hub's lock is held."""
        if self._observers:
            trigger = Trigger("schedule", f"schedule:{event.task_id}")
            self._changes.put(Change(event, event.task_id, action, {}, "", trigger, "", False))

    def close(self) -> None:
        """Hand on what is left, and end."""
        self._changes.put(None)

    def _run(self) -> None:
        while (change := self._changes.get()) is not None:
            for observer in self._observers:
                try:
                    observer(change)
                except Exception:
                    _log.exception("what follows from a change of task %s failed", change.task_id)
