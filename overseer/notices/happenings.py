"""Finds in the changes of tasks what rules may report."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from overseer.history.records import Trigger
from overseer.protocol import ChainRefused, Errored, Health, NotReady, Ready, Skipped
from overseer.supervisor.observers import Change

# The ids that clients generate for tasks without a name.
_MADE_UP = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)

FAILURE, ERRORED, UNHEALTHY, MISSED = "failure", "errored", "unhealthy", "missed"
SUCCESS, WELL = "success", "well"


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that happened to a task.

    Attributes:
        kind: failure, errored, unhealthy, missed or success, or "well": it runs as it should.
        task_id: "" if a task could not be started at all.
        detail: why, for people; "": the exit says it.
    """

    kind: str
    ts: datetime
    task_id: str
    action: str
    run_id: str = ""
    reason: str = ""
    exit_code: int | None = None
    signal: str = ""
    detail: str = ""
    params: Mapping[str, str] | None = None
    trigger: str = ""

    @property
    def is_end(self) -> bool:
        """Whether it is the end of a run, or of a task that could not be started."""
        return bool(self.run_id and self.reason)

    @property
    def subject(self) -> str:
        """Whose state changes: the task's or, if its id was generated, its action's."""
        return f"task {self.name}" if self._is_named else f"action {self.action}"

    @property
    def name(self) -> str:
        """The task's id, without the slot that a schedule has added."""
        name, at, _ = self.task_id.rpartition("@")
        return name if at and self.trigger == f"schedule:{name}" else self.task_id

    @property
    def title(self) -> str:
        """Its name for people."""
        return self.name if self._is_named else self.action

    @property
    def _is_named(self) -> bool:
        return bool(self.task_id) and _MADE_UP.fullmatch(self.task_id) is None

    @property
    def sentence(self) -> str:
        """What happened, for people."""
        match self.kind:
            case "failure" | "errored" if self.reason == "start_failed":
                return f"{self.title} could not be started: {self.detail}"
            case "failure":
                return f"{self.title} failed: {self.detail or self._how}"
            case "errored":
                return f"{self.title} is errored: {self.detail or self._how}"
            case "unhealthy":
                return f"{self.title} is unhealthy{': ' if self.detail else ''}{self.detail}"
            case "missed":
                return f"{self.title} missed a run: {self.detail}"
        return f"{self.title} succeeded"

    @property
    def _how(self) -> str:
        match self.reason:
            case "timeout":
                return "it lasted longer than its timeout"
            case "oom":
                return "it ran out of memory"
            case "unhealthy":
                return "it was unhealthy"
        return f"ended by {self.signal}" if self.signal else f"exit code {self.exit_code}"


def happening_of(change: Change) -> Happening | None:
    """What rules may report of a change; None: nothing."""
    event = change.event
    kind, detail = "", ""
    if isinstance(event, ChainRefused):
        text = f"it was to follow {change.task_id} and was refused: {event.message}"
        return Happening(FAILURE, event.ts, "", event.action, detail=text, trigger=f"chain:{change.task_id}")
    if isinstance(event, Skipped):
        kind = MISSED if event.reason == "missed" else ""
        detail = f"{event.slot:%Y-%m-%d %H:%M:%S} UTC"
    elif isinstance(event, NotReady):
        kind, detail = UNHEALTHY, f"not ready: {event.detail}"
    elif isinstance(event, Health):
        kind = {"healthy": WELL, "unhealthy": UNHEALTHY}.get(event.status, "")
        detail = event.detail
    elif isinstance(event, Ready):
        kind = WELL
    elif change.outcome == "succeeded":
        kind = SUCCESS
    elif change.outcome == "failed":
        kind = ERRORED if isinstance(event, Errored) else FAILURE
        detail = change.error
    ts = getattr(event, "ts", None)
    if not kind or not isinstance(ts, datetime):
        return None
    return Happening(
        kind,
        ts,
        change.task_id,
        change.action,
        run_id=change.run_id,
        reason=change.reason if change.outcome else "",
        exit_code=change.exit_code if change.outcome else None,
        signal=change.signal if change.outcome else "",
        detail=detail,
        params=change.params,
        trigger=_written(change.trigger),
    )


def _written(trigger: Trigger) -> str:
    """As one word: ``schedule:nightly``, ``client:ana``, ``boot``."""
    kind, by = trigger.type, trigger.by
    return by if by == kind or by.startswith(f"{kind}:") else ":".join(filter(None, (kind, by)))
