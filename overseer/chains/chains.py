"""The starts that follow from the ends of tasks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial

from overseer.config.chains import DEEPEST, FollowUpConfig
from overseer.config.probes import values_of_start
from overseer.drivers.api import said_of_action
from overseer.errors import OverseerError, SubmitError, TemplateError
from overseer.history.records import ChainTrigger
from overseer.protocol import ChainRefused, ParamSpec
from overseer.supervisor.hub import Hub
from overseer.supervisor.observers import Change
from overseer.templates import Value
from overseer.util.ids import derived_uuid
from overseer.util.locks import Rank, lock
from overseer.util.thread_pool import ThreadPool
from overseer.util.timestamps import now

_log = logging.getLogger(__name__)

_THREADS = 8  # for starts at the same time
_PATIENCE_S = 1.0  # for starts under way at the end

Recorded = Callable[[ChainTrigger, str, Mapping[str, str], str, str], None]


class Chains:
    """Starts what follows from the end of each task.

    Args:
        record: called with each start: what asked for it, the action and its parameters, the id of the task
            or why it was refused.
        started: whether a task of that id has been started or queued before.
        paid: called with the id of a run once everything has followed its end.
    """

    def __init__(
        self, hub: Hub, record: Recorded, started: Callable[[str], bool], paid: Callable[[str], None]
    ) -> None:
        self._hub = hub
        self._record = record
        self._started = started
        self._paid = paid
        self._threads = ThreadPool("chain", _THREADS)
        self._lock = lock(Rank.LEAF, "chains")  # guards the rest
        self.started = 0
        self.refused = 0

    def heard(self, change: Change) -> None:
        """Called with each change of a task, on one thread; does not block."""
        follow_ups = self._after(change)
        if follow_ups and not self._threads.do(partial(self._start_all, change, follow_ups)):
            _log.warning("nothing follows the end of task %s: the server is shutting down", change.task_id)

    def concerned(self, change: Change) -> bool:
        """Whether something is to follow a change."""
        return bool(self._after(change))

    def make_up(self, change: Change) -> None:
        """Start what should have followed a change on an earlier server, unless it has been started there."""
        if self.concerned(change):
            self.heard(change)
        else:
            self._paid(change.run_id)

    def _after(self, change: Change) -> tuple[FollowUpConfig, ...]:
        action = self._hub.definitions.config.actions.get(change.action)
        return () if action is None or action.then is None else action.then.after(change.outcome)

    @property
    def busy(self) -> bool:
        """Whether a start is under way."""
        return self._threads.busy

    def close(self) -> None:
        """Stop starting tasks. Idempotent."""
        self._threads.close(_PATIENCE_S)

    def counters(self) -> Mapping[str, tuple[str, float]]:
        """For monitoring: help text and value, by name."""
        refused = "Starts that should have followed the end of a task and were refused"
        return {
            "chain_starts": ("Starts that followed the end of a task", self.started),
            "chain_refused": (refused, self.refused),
        }

    def _start_all(self, change: Change, follow_ups: tuple[FollowUpConfig, ...]) -> None:
        before = change.trigger.depth if isinstance(change.trigger, ChainTrigger) else 0
        tokens = self._hub.definitions.config.auth.tokens
        discreet = any(token.actions is not None for token in tokens)
        cause = ChainTrigger("chain", f"chain:{change.task_id}", before + 1, discreet)
        definitions = self._hub.definitions
        handler = definitions.handlers.get(change.action)
        declared = {} if handler is None else said_of_action(change.action, handler).params
        values = values_of(change, declared)
        for number, follow_up in enumerate(follow_ups):
            # The next server knows by it what this one has started.
            task_id = derived_uuid(f"{change.run_id}/{number}")
            if not self._started(task_id):
                self._start(change, cause, follow_up, values, task_id)
        self._paid(change.run_id)

    def _start(
        self,
        change: Change,
        cause: ChainTrigger,
        follow_up: FollowUpConfig,
        values: Mapping[str, Value],
        task_id: str,
    ) -> None:
        params: dict[str, str] = {}
        refusal = ""
        try:
            for name, template in follow_up.params.items():
                params[name] = _rendered(name, template.render, values)
            if cause.depth > DEEPEST:
                raise SubmitError(f"a chain has at most {DEEPEST} starts")
            self._hub.submit(follow_up.action, task_id, params, cause=cause)
        except OverseerError as error:
            refusal = str(error)
        self._record(cause, follow_up.action, params, "" if refusal else task_id, refusal)
        with self._lock:
            self.refused += bool(refusal)
            self.started += not refusal
        if refusal:
            said = "task %s: %s, which follows, is not started: %s"
            _log.warning(said, change.task_id, follow_up.action, refusal)
            event = ChainRefused(change.task_id, now(), follow_up.action, refusal)
            shown = ChainRefused(change.task_id, event.ts) if cause.discreet else event
            self._hub.announce(change.task_id, event, shown)


def _rendered(name: str, render: Callable[[Mapping[str, Value]], str], values: Mapping[str, Value]) -> str:
    try:
        return render(values)
    except TemplateError as error:
        raise TemplateError(f"params.{name}: template: {error}") from None


def values_of(change: Change, declared: Mapping[str, ParamSpec | None]) -> dict[str, Value]:
    """The values of templates over the end of a task, whose action has these parameters."""
    shown = {name: spec for name, spec in declared.items() if spec is None or spec.type != "secret"}
    return {
        "exit_code": "" if change.exit_code is None else str(change.exit_code),
        "reason": change.reason,
        "task_id": change.task_id,
        "run_id": change.run_id,
        "params": values_of_start(shown, change.params),
        "output": change.values,
    }
