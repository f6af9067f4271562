"""Makes the history's record of a run."""

from __future__ import annotations

from overseer.config.parameters import without_hidden
from overseer.history.records import RESTART, Run
from overseer.supervisor.task import Task
from overseer.supervisor.transaction import Launch
from overseer.util.timestamps import now


def run_of(task: Task, why: Launch, run_id: str) -> Run:
    """The record of a run about to be started."""
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
