"""A run whose driver has been asked to start it, its record, and the checks of what the driver returns."""

from __future__ import annotations

import operator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from overseer.config.parameters import without_hidden
from overseer.history.records import RESTART, Run
from overseer.supervisor.start_gate import StartGate
from overseer.supervisor.task import Task
from overseer.supervisor.transaction import Launch
from overseer.util.latch import Latch
from overseer.util.timestamps import now
from overseer.workers.base import RunContext, Worker
from overseer.workers.surroundings import Surroundings


@dataclass(slots=True, eq=False)
class StartingRun:
    """A run on its way.

    Attributes:
        why: what a failure means; changes when its requester has been answered.
        record: of the history, if there is one.
        returned: set when its driver's start has returned, and what had to follow is done.
        told: it has been announced that it waits.
    """

    task: Task
    why: Launch
    gate: StartGate
    context: RunContext = field(init=False)
    record: Run | None = None
    returned: Latch = field(default_factory=Latch)
    told: bool = False


def run_of(task: Task, why: Launch, run_id: str) -> Run:
    """The history's record of a run about to be started."""
    terms = task.terms
    return Run(
        run_id,
        task.id,
        task.action,
        without_hidden(task.params, terms.hidden),
        not terms.hidden,
        task.asked_policy,
        RESTART if why is Launch.RESTART else task.trigger,
        task.queued_at if why is Launch.QUEUED else None,
        now(),
        task.stream.last_seq + 1,
        terms.definition.config.digest,
        logged=task.stream.disk is not None,
    )


def surroundings_of(context: RunContext) -> Surroundings:
    """Those of the run's process; where its driver has made none, a few variables of the server's own."""
    found = (worker.surroundings for worker in context.workers if worker.surroundings is not None)
    name = {"OVERSEER_TASK_ID": context.task_id}
    return next(found, None) or Surroundings(name, inherit="minimal")


def checked(given: object) -> tuple[Worker, int, datetime, str]:
    """Check what a driver's ``start`` returned; returns the worker, its pid, its start time, and how it takes
    input ("": not at all), all of types that can be sent.

    Raises:
        TypeError: it is not a worker, or its values have other types.
        Exception: whatever a driver's own worker raises.
    """
    if not isinstance(given, Worker):
        raise TypeError(f"start() returned {given!r}, which is not a Worker")
    pid, at = operator.index(given.pid), given.started_at  # missing if it has not called super().__init__()
    if not isinstance(given.task_id, str) or not isinstance(at, datetime):
        raise TypeError(f"a worker needs a text and a datetime: task_id {given.task_id!r}, started_at {at!r}")
    stdin = given.stdin if given.stdin in ("pipe", "pty") else ""
    bool(given.hides_secrets)  # asked again once it has been announced, when it must not fail
    return given, int(pid), at.astimezone(UTC), stdin
