"""Handing over tasks: what is known of each, and its run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from overseer.config import Config
from overseer.history.records import Run, trigger_of
from overseer.protocol import RetryPolicy
from overseer.supervisor.clients import Client
from overseer.supervisor.definitions import Definition, Terms
from overseer.supervisor.handover.streams import Numbers, export_stream, restore_stream
from overseer.supervisor.phases import LastRun, Phase, StopRequest
from overseer.supervisor.probing import Earlier
from overseer.supervisor.retry import RetryState
from overseer.supervisor.start_gate import StartGate
from overseer.supervisor.starting_run import StartingRun
from overseer.supervisor.task import Requester, Task
from overseer.supervisor.timer_kinds import Due
from overseer.supervisor.transaction import Launch
from overseer.util.dataclass_json import from_plain, to_plain
from overseer.util.handover_format import Incoming, Outgoing
from overseer.workers.base import RunContext, Worker, WorkerCallbacks
from overseer.workers.os_process import OSWorker

if TYPE_CHECKING:
    from overseer.supervisor.hub import Hub

# Fields as they are, and those that are moments.
_PLAIN = (
    "queued_since", "stdin", "last_pid", "ready", "health", "graces", "end_reason",
    "exit_count", "runs", "run_id", "restart_count", "start_failed", "error_message", "output_evicted",
    "began", "ran_for", "host",
)  # fmt: skip
_LAST = ("exit_code", "signal", "reason", "duration_ms", "cpu_ms", "max_rss")
_MOMENTS = ("created_at", "queued_at", "found_at", "last_started_at")

DefinitionOf = Callable[[int, str], Definition]
"""An action as one of the configurations handed over has it."""


class Origins:
    """The configurations that tasks' definitions are from, by number; the first is in force."""

    def __init__(self, current: Config) -> None:
        self.configs = [current]

    def number(self, config: Config) -> int:
        for number, known in enumerate(self.configs):
            if known is config:
                return number
        self.configs.append(config)
        return len(self.configs) - 1


def bound_to_this_program(task: Task) -> bool:
    """Whether the run of a task cannot go on in another program: it is no process of this server's nor one
    that its driver can hand over, or its driver has wrapped its callbacks and cannot do so again."""
    worker = task.live_worker
    if worker is None:
        return False
    gate = _gate_of(worker)
    portable = isinstance(worker, OSWorker) or worker.portable
    if not portable or gate is None or worker._callbacks.run is None:
        return True
    own = gate.for_driver(worker._callbacks.run)
    return worker._callbacks != own and task.terms.definition.handler.resume(task.id, own) is None


def _starting_of(worker: Worker) -> StartingRun | None:
    """That of a worker which waits to begin."""
    run = worker._callbacks.run
    arguments = getattr(None if run is None else run.begins, "args", ())
    return next((each for each in arguments if isinstance(each, StartingRun)), None)


def _gate_of(worker: Worker) -> StartGate | None:
    run = worker._callbacks.run
    gate = getattr(None if run is None else run.exited, "__self__", None)
    return gate if isinstance(gate, StartGate) else None


def export_task(task: Task, numbers: Numbers, origins: Origins, out: Outgoing) -> dict[str, Any]:
    """All that is known of it; the hub's lock and its own are held."""
    worker = task.live_worker
    said = {
        **{name: getattr(task, name) for name in _PLAIN},
        **{name: to_plain(getattr(task, name)) for name in _MOMENTS},
        "id": task.id,
        "action": task.action,
        "phase": task.phase.name,
        "stop_request": task.stop_request.name,
        "terms": _export_terms(task.terms, origins),
        "requester": _export_requester(task.requester, numbers),
        "asked_policy": to_plain(task.asked_policy),
        "trigger": to_plain(task.trigger),
        "record": to_plain(task.record),
        "waiting_on": list(task.waiting_on),
        "before_reset": task.before_reset
        and [_export_terms(task.before_reset[0], origins), task.before_reset[1].name],
        "onlookers": [numbers[client] for client in task.onlookers if client in numbers],
        "history": to_plain(task.retry_state),
        **{f"last_{name}": getattr(task.last, name) for name in _LAST},
        "last_exited_at": to_plain(task.last.at),
        "last_values": dict(task.last.values),
        "restart": task.restart and task.restart.when,
        "timeout": task.timeout and task.timeout.when,
        "stream": export_stream(task.stream, numbers, out),
        "run": None,
    }
    if worker is not None and not bound_to_this_program(task):
        said["run"] = _export_run(worker, out)
    return said


def _export_run(worker: Worker, out: Outgoing) -> dict[str, Any]:
    gate = _gate_of(worker)
    assert gate is not None
    if isinstance(worker, OSWorker):
        said: dict[str, Any] = {"worker": worker.export(out)}
    else:
        assert worker._callbacks.run is not None
        said = {
            "worker": {"run": worker._callbacks.run.export()},
            "own": out.with_blobs(worker.hand_over()),
        }
    starting = _starting_of(worker)
    if not gate._settled.is_set() and starting is not None:
        pending = {"why": starting.why.name, "told": starting.told}
        return {**said, "pending": {**pending, "record": to_plain(starting.record)}}
    watch = gate.watch
    said["reads"], said["watch"] = gate._read_by_watch, None if watch is None else watch.export(out)
    return said


def _export_requester(requester: Requester, numbers: Numbers) -> dict[str, Any]:
    client = requester.client
    return {
        # Nobody is told whose connection is gone; its runs stay a client's.
        "client": None if client is None else numbers.get(client),
        "request_id": requester.request_id,
        "newly_subscribed": requester.newly_subscribed,
        "cause": to_plain(requester.cause if client is None else requester.trigger),
    }


def _restore_requester(data: Mapping[str, Any], clients: Mapping[int, Client]) -> Requester:
    client = clients.get(data["client"])
    cause = trigger_of(data["cause"]) if client is None and data["cause"] is not None else None
    return Requester(client, data["request_id"], data["newly_subscribed"], cause)


def _export_terms(terms: Terms, origins: Origins) -> dict[str, Any]:
    return {
        "origin": origins.number(terms.definition.origin),
        "action": terms.definition.config.name,
        "dedupe": terms.dedupe and list(terms.dedupe),
        "policy": to_plain(terms.policy),
        "hidden": sorted(terms.hidden),
        "standing": terms.standing and terms.standing.name,
        "params": dict(terms.params),
    }


def _restore_terms(data: Mapping[str, Any], definition_of: DefinitionOf) -> Terms:
    definition = definition_of(data["origin"], data["action"])
    standing = data["standing"] and definition.origin.tasks[data["standing"]]
    return Terms(
        definition,
        None if data["dedupe"] is None else tuple(data["dedupe"]),
        data["policy"] and from_plain(RetryPolicy, data["policy"]),
        frozenset(data["hidden"]),
        standing,
        data["params"],
    )


def _restore_record(data: Mapping[str, Any] | None) -> Run | None:
    if data is None:
        return None
    record = from_plain(Run, {**data, "trigger": {"type": ""}})
    record.trigger = trigger_of(data["trigger"])
    return record


class TaskRestorer:
    """Makes tasks again; nothing of them goes on before :meth:`resume`."""

    def __init__(
        self, hub: Hub, clients: Mapping[int, Client], definition_of: DefinitionOf, given: Incoming
    ) -> None:
        self._hub = hub
        self._clients = clients
        self._definition_of = definition_of
        self._given = given
        self._begin: list[Callable[[], None]] = []

    def restore(self, data: Mapping[str, Any]) -> Task:
        """The task, which the table does not have yet."""
        hub = self._hub
        task = Task(
            data["id"],
            data["action"],
            _restore_terms(data["terms"], self._definition_of),
            hub._metrics,
            hub._log,
            hub._table.lock,
            _restore_requester(data["requester"], self._clients),
            data["asked_policy"] and from_plain(RetryPolicy, data["asked_policy"]),
            hub._memory_use,
            hub._logs,
        )
        for name in _PLAIN:
            setattr(task, name, data[name])
        for name in _MOMENTS:
            setattr(task, name, data[name] and datetime.fromisoformat(data[name]))
        task.phase = Phase[data["phase"]]
        task.stop_request = StopRequest[data["stop_request"]]
        task.trigger = trigger_of(data["trigger"])
        task.record = _restore_record(data["record"])
        task.waiting_on = tuple(data["waiting_on"])
        if (before := data["before_reset"]) is not None:
            task.before_reset = _restore_terms(before[0], self._definition_of), Phase[before[1]]
        task.onlookers = {self._clients[number] for number in data["onlookers"] if number in self._clients}
        task.retry_state = replace(from_plain(RetryState, data["history"]))
        ended_at = data["last_exited_at"]
        task.last = LastRun(
            ended_at and datetime.fromisoformat(ended_at),
            values=data["last_values"],
            **{name: data[f"last_{name}"] for name in _LAST},
        )
        with task.lock:
            restore_stream(task.stream, data["stream"], self._clients, self._given)
            reserve_at = data["stream"]["reserve_at"]
            if reserve_at is not None and task.record is not None:
                task.stream.reserve_locked(partial(hub._recorder.reserve, task.record))
                task.stream._reserve_at = reserve_at
        if data["restart"] is not None:
            task.restart = hub._timers.schedule_at(data["restart"], Due.RESTART, task.id)
        if data["timeout"] is not None:
            task.timeout = hub._timers.schedule_at(data["timeout"], Due.TIMEOUT, task.id)
        if task.phase is Phase.QUEUED:
            task.memory.params_changed(task.params_size)
        if data["run"] is not None:
            self._restore_run(task, data["run"])
        return task

    def _restore_run(self, task: Task, data: Mapping[str, Any]) -> None:
        hub = self._hub
        context = RunContext.restored(task.id, data["worker"]["run"])
        gate = StartGate(task, context.secrets, hub._exits.exited, hub._failed_starts.heard_of)
        context = replace(context, exited=gate.on_exited, begun=gate.begun)
        if (pending := data.get("pending")) is not None:
            self._restore_pending(task, data, pending, gate, context)
            return
        if data["watch"] is not None:
            earlier = Earlier(data["watch"], self._given)
            gate.watch = hub.probing.watch(task, context.run_id, context.secrets, earlier)
        worker = task.worker = self._restore_worker(task, data, gate.for_driver(context))
        gate.announced(task.last_pid, worker, reads=data["reads"])
        self._begin.append(worker.resume)
        if gate.watch is not None:
            self._begin.append(gate.watch.resume)

    def _restore_pending(
        self,
        task: Task,
        data: Mapping[str, Any],
        pending: Mapping[str, Any],
        gate: StartGate,
        context: RunContext,
    ) -> None:
        """A run that waits to begin."""
        outcomes = self._hub._outcomes
        starting = StartingRun(task, Launch[pending["why"]], gate, told=pending["told"])
        starting.record = _restore_record(pending["record"])
        if context.probed:
            gate.watch = self._hub.probing.watch(task, context.run_id, context.secrets)
        waits, begins = partial(outcomes.waits, starting), partial(outcomes.begins, starting)
        starting.context = replace(context, waits=waits, begins=begins, announced=starting.returned)
        starting.returned.set()
        worker = task.pending = self._restore_worker(task, data, gate.for_driver(starting.context))
        self._begin.append(worker.resume)

    def _restore_worker(self, task: Task, data: Mapping[str, Any], own: WorkerCallbacks) -> Worker:
        handler = task.terms.definition.handler
        callbacks = handler.resume(task.id, own) or own
        if "own" in data:
            return handler.take_up(task.id, self._given.with_bytes(data["own"]), callbacks)
        return OSWorker.restored(task.id, data["worker"], callbacks, self._given)

    def resume(self) -> None:
        """Have all runs go on. Raises RuntimeError: the system allows no more threads."""
        for begin in self._begin:
            begin()
