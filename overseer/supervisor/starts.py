"""Starting: admit or refuse a task, and call its driver.

The driver is called with no lock held, on the launcher's threads, since it may be slow.
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from overseer.errors import CLOSING, ClosingError, RequestError
from overseer.history.records import Recorder
from overseer.process.pipe import LITTLE_READ, MOST_READ
from overseer.process.policy import StopPolicy
from overseer.secrets.vault import Vault
from overseer.supervisor.clients import Client
from overseer.supervisor.definitions import Current
from overseer.supervisor.dependencies import Dependencies
from overseer.supervisor.exits import Exits
from overseer.supervisor.failed_starts import FailedStarts
from overseer.supervisor.intents import Intents
from overseer.supervisor.launch_threads import Launcher
from overseer.supervisor.output.subscription import Wishes
from overseer.supervisor.phases import StopRequest
from overseer.supervisor.probing import Probing
from overseer.supervisor.queueing import Queueing
from overseer.supervisor.start_gate import StartGate
from overseer.supervisor.start_outcomes import StartOutcomes
from overseer.supervisor.starting_run import StartingRun, run_of
from overseer.supervisor.table import TaskTable
from overseer.supervisor.task import Task
from overseer.supervisor.transaction import Launch, Transaction
from overseer.util.locks import assert_held, assert_none_held
from overseer.util.masking import Secrets
from overseer.util.timers import Timers
from overseer.util.timestamps import now
from overseer.workers.base import RunContext, Worker, run_context

if TYPE_CHECKING:
    from overseer.logs.store import Logs


@dataclass(eq=False, repr=False)
class Starts:
    """Admits tasks, and launches the runs that transactions decide on."""

    _table: TaskTable
    _current: Current
    _queueing: Queueing
    _exits: Exits
    _failed_starts: FailedStarts
    _dependencies: Dependencies
    _intents: Intents
    _outcomes: StartOutcomes
    _probing: Probing
    _vault: Vault
    _recorder: Recorder
    _logs: Logs | None
    timers: InitVar[Timers]
    launcher: Launcher = field(init=False)

    def __post_init__(self, timers: Timers) -> None:
        self.launcher = Launcher(timers, self.launch)

    def admit_locked(self, tx: Transaction, task: Task, force: bool, wishes: Wishes) -> None:
        """Admit the task, running or queued, and subscribe its starter.

        Raises:
            RequestError: it is refused, and nothing has changed.
        """
        assert_held(self._table.lock)
        requester = task.requester
        self._table.refuse_closing()
        self._table.refuse_taken(task.id, task.terms.dedupe, requester.principal)
        at = now()
        waits = bool(self._dependencies.missing(task.terms.standing))
        position = 0 if waits else self._queueing.acquire_locked(tx, task, requester, at, force=force)
        client = requester.client
        if client is not None and task.id not in client.task_ids:
            task.requester = replace(requester, newly_subscribed=True)
        if self._recorder.enabled:
            with task.lock:
                task.stream.continue_locked(self._recorder.last_seq(task.id))
        self._table.add(task)  # which hands over those who wait for it, and may be behind
        self._intents.started_locked(task.id)
        if client is not None:
            client.task_ids.add(task.id)
            with task.lock:
                task.stream.subscribe_locked(client, wishes)
        if waits:
            self._dependencies.hold_locked(tx, task, at, force=force)
        elif not position:
            # What the server starts by itself is as good as accepted: nobody would hear of a refusal.
            scheduled = requester.trigger.type == "schedule"  # also a run beside a standing task
            by_server = requester.client is None and (task.terms.standing is not None or scheduled)
            tx.launch(task, Launch.QUEUED if by_server else Launch.FIRST)
        else:
            with task.lock:
                task.enter_queue_locked(at)
            self._queueing.enqueued_locked(tx, task, position)

    def launch_for(self, task: Task, why: Launch, client: Client | None) -> str | RequestError:
        """Launch on another thread; the client is sent the outcome. A request without a client is launched
        here: returns "" or the error."""
        if why.requested and client is None:
            return self.launch(task, why)
        driver = task.terms.definition.config.type
        self.launcher.submit(driver, why if client is None else client, task, why)
        if client is not None:
            self.launcher.wait_for_room(driver, client)
        return ""

    def launch(self, task: Task, why: Launch) -> str | RequestError:
        """Have the driver start the task's latest run; returns "" or the error."""
        assert_none_held("launch")
        if self._called_off(task, why):
            return ClosingError()
        secrets = Secrets(task.secrets)
        gate = StartGate(task, secrets, self._exits.exited, self._failed_starts.heard_of)
        starting = StartingRun(task, why, gate)
        action, config = task.terms.definition.config, self._current.value.config
        context = RunContext(
            task.id,
            stop=StopPolicy(action.kill_mode, action.stop_signal, action.stop_grace),
            max_line=config.limits.max_line,
            # Short lines become some thirty times as long: no more than fits into a client's buffer.
            max_read=max(LITTLE_READ, min(config.clients.buffer // 32, MOST_READ)),
            exited=gate.on_exited,
            begun=gate.begun,
            secrets=secrets,
            read_secret=partial(self._vault.read, config.secrets),
            hands_on=action.then is not None,
            probed=action.probed,
            requested=why.requested and task.requester.client is not None,
            waits=partial(self._outcomes.waits, starting),
            begins=partial(self._outcomes.begins, starting),
            announced=starting.returned,
        )
        starting.context = context
        try:
            if self._logs is not None and task.stream.disk is None:
                self._open_log(task, self._logs)
            if self._recorder.enabled:
                starting.record = run_of(task, why, context.run_id)
            if action.probed:
                gate.watch = self._probing.watch(task, context.run_id, secrets)
            if gate.watch is not None:
                context.env.update(gate.watch.env)
            with run_context(context):
                given = task.terms.definition.handler.start(
                    task.id, dict(task.params), gate.for_driver(context)
                )
            if isinstance(given, Worker) and given.waiting_on:
                self._outcomes.begins_later(starting, given)
            else:
                self._outcomes.began(starting, given)
        except BaseException as error:  # even SystemExit: a requester may wait for this run
            return self._outcomes.failed(starting, error, context.workers)
        finally:
            starting.returned.set()
        return ""

    def _called_off(self, task: Task, why: Launch) -> bool:
        """Whether to skip the start: the server is shutting down, or the task was stopped in time."""
        with self._table.lock:
            # A requested run is announced as ``started`` even if it is stopped at once.
            if not self._table.closing and (why.requested or task.stop_request is not StopRequest.STOP):
                return False
        with self._table.begin() as tx:  # neither is ever taken back
            self._outcomes.fail_locked(tx, task, why, CLOSING if why.requested else "")
        return True

    def _open_log(self, task: Task, logs: Logs) -> None:
        """Open the task's log, and number its lines from the log's end on."""
        disk = logs.log_of(task.id)
        last_seq = disk.open()
        with task.lock:
            task.stream.disk = disk
            task.stream.continue_locked(max(last_seq, task.stream.last_seq))
