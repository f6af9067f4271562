"""Starting: admit or refuse a task, call its driver, announce ``started`` or the failure.

The driver is called with no lock held, on the launcher's threads, since it may be slow. State, slot and
message then change together, under the hub's lock and the task's.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from overseer.drivers.api import driver_failure
from overseer.errors import OverseerError, RequestError
from overseer.history.records import Recorder, Run
from overseer.net.frames import Encoded
from overseer.process.pipe import LITTLE_READ, MOST_READ
from overseer.process.policy import StopPolicy
from overseer.protocol import Started, encode
from overseer.secrets.vault import Vault
from overseer.supervisor.clients import Client
from overseer.supervisor.definitions import Current
from overseer.supervisor.dependencies import Dependencies
from overseer.supervisor.due import Due
from overseer.supervisor.exits import Exits, dequeued, errored
from overseer.supervisor.failed_starts import FailedStarts
from overseer.supervisor.intents import Intents
from overseer.supervisor.launcher import Launcher
from overseer.supervisor.launching import Launching, checked, surroundings_of
from overseer.supervisor.metrics import Metrics
from overseer.supervisor.output.subscription import Wishes
from overseer.supervisor.phases import Phase, StopRequest
from overseer.supervisor.pool.policy import Admission, Outcome
from overseer.supervisor.pool.pool import PoolManager
from overseer.supervisor.probing import Probing
from overseer.supervisor.queueing import Queueing
from overseer.supervisor.recording import run_of
from overseer.supervisor.retry import History
from overseer.supervisor.start_gate import StartGate
from overseer.supervisor.table import CLOSING, STOPPED, TaskTable
from overseer.supervisor.task import Requester, Task
from overseer.supervisor.transaction import Launch, Transaction
from overseer.supervisor.usage import UsageWatch
from overseer.util.locks import assert_held, assert_none_held
from overseer.util.masking import Secrets, log_failure, masked
from overseer.util.timers import Timers
from overseer.util.timestamps import now
from overseer.workers.base import RunContext, Worker, run_context

if TYPE_CHECKING:
    from overseer.logs.store import Logs

_log = logging.getLogger(__name__)


class Starts:
    """Admits tasks, and launches the runs that transactions decide on."""

    def __init__(
        self,
        table: TaskTable,
        pool: PoolManager,
        current: Current,
        metrics: Metrics,
        timers: Timers,
        queueing: Queueing,
        exits: Exits,
        orphans: FailedStarts,
        dependencies: Dependencies,
        intents: Intents,
        usage: UsageWatch,
        vault: Vault,
        recorder: Recorder,
        logs: Logs | None,
        probing: Probing,
    ) -> None:
        self._table = table
        self._pool = pool
        self._current = current
        self._metrics = metrics
        self._queueing = queueing
        self._exits = exits
        self._orphans = orphans
        self._dependencies = dependencies
        self._intents = intents
        self._usage = usage
        self._vault = vault
        self._timers = timers
        self._recorder = recorder
        self._logs = logs
        self._probing = probing
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
        if waits:
            admission = Admission(Outcome.QUEUED)
        else:
            admission = self._pool.acquire(task.id, task.action, force, at, requester.principal.scope)
        if admission.outcome is Outcome.REFUSED:
            self._metrics.count("starts_refused", task.action)
            raise RequestError(admission.reason, code="full")
        self._queueing.dequeued_locked(tx, admission.displaced, "displaced")
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
            return
        if admission.outcome is Outcome.RUNNING:
            # What the server starts by itself is as good as accepted: nobody would hear of a refusal.
            scheduled = requester.trigger.type == "schedule"  # also a run beside a standing task
            by_server = requester.client is None and (task.terms.standing is not None or scheduled)
            self._exits.begin_locked(tx, task, Launch.QUEUED if by_server else Launch.FIRST)
            return
        with task.lock:
            task.enter_queue_locked(at)
        self._queueing.enqueued_locked(tx, task, admission.position)

    def launch_for(self, task: Task, why: Launch, client: Client | None) -> str:
        """Launch on another thread; the client is sent the outcome. A request without a client is launched
        here: returns "" or the error."""
        if why.requested and client is None:
            return self.launch(task, why)
        driver = task.terms.definition.config.type
        self.launcher.submit(driver, why if client is None else client, task, why)
        if client is not None:
            self.launcher.wait_for_room(driver, client)
        return ""

    def launch(self, task: Task, why: Launch) -> str:
        """Have the driver start the task's latest run; returns "" or the error."""
        assert_none_held("launch")
        if self._called_off(task, why):
            return CLOSING
        secrets = Secrets(task.secrets)
        gate = StartGate(task, task.runs, secrets, self._exits.exited, self._orphans.heard_of)
        launching = Launching(task, why, gate, secrets)
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
            waits=partial(self._waits, launching),
            begins=partial(self._begins, launching),
        )
        launching.context = context
        try:
            if self._logs is not None and task.stream.disk is None:
                self._open_log(task, self._logs)
            if self._recorder.enabled:
                launching.record = run_of(task, why, context.run_id)
            if action.probed:
                gate.watch = self._probing.watch(task, context.run_id, secrets)
            if gate.watch is not None:
                context.env.update(gate.watch.env)
            with run_context(context):
                given = task.terms.definition.handler.start(
                    task.id, dict(task.params), gate.for_driver(context)
                )
            if isinstance(given, Worker) and given.waiting_on:
                self._pend(launching, given)
            else:
                self._announce(launching, given)
        except BaseException as error:  # even SystemExit: a requester may wait for this run
            return self._failed(launching, error, context.workers)
        finally:
            launching.returned.set()
        return ""

    def _pend(self, launching: Launching, worker: Worker) -> None:
        """Accept a run whose worker begins later; its requester is answered by what comes first."""
        task = launching.task
        with self._table.begin() as tx:
            task.pending = worker
            if task.requester.client is None and launching.why.requested:
                launching.why = Launch.QUEUED  # it counts as accepted, since nobody would hear that it failed
            if task.stop_request is not StopRequest.NONE:
                for grace in [0.0] if self._table.skip_graces else task.graces:
                    tx.stop(worker, grace)

    def _waits(self, launching: Launching, worker: Worker) -> None:
        """Called on a worker's thread: it will be a while. Its requester is told so; from now on it fails as
        what was accepted does."""
        launching.returned.wait()
        task = launching.task
        with self._table.begin() as tx:
            if task.pending is not worker or launching.told:
                return
            launching.told = True
            with task.lock:
                if task.phase is Phase.RESETTING:
                    task.history = History()
                    task.move_locked(Phase.STARTING)
                task.waiting_on, task.queued_at = tuple(worker.waiting_on), now()
            if launching.record is not None:
                launching.record.queued = task.queued_at
                self._recorder.queued(launching.record)
            self._queueing.told_locked(tx, task, 0)
            task.requester, task.onlookers = Requester(), set()
            if launching.why is not Launch.RESTART:
                launching.why = Launch.QUEUED

    def _begins(self, launching: Launching, worker: Worker, error: OverseerError | None) -> None:
        """Called on a worker's thread: one that ``start`` has returned waiting runs now, or never will."""
        launching.returned.wait()
        if error is None:
            try:
                self._announce(launching, worker)
            except BaseException as failure:
                self._failed(launching, failure, [worker])
        else:
            if not str(error):  # it was stopped: its requester is told as others are
                self._waits(launching, worker)
            self._failed(launching, error, [])

    def _announce(self, launching: Launching, given: object) -> None:
        """The run has begun: record and announce it, and let its callbacks pass."""
        gate, context, record = launching.gate, launching.context, launching.record
        worker, pid, at, stdin = checked(given)
        if record is not None:
            record.started, record.host = at, worker.host
            self._recorder.started(record)
        self._started(launching.task, launching.why, context.run_id, worker, pid, at, stdin, record)
        if gate.watch is not None:
            gate.watch.begin(surroundings_of(context))
        gate.announced(pid, worker)

    def _failed(self, launching: Launching, error: BaseException, left: Iterable[Worker]) -> str:
        """The run has not begun, whatever its driver has ``left``; returns the error."""
        task, record, secrets = launching.task, launching.record, launching.secrets
        message = driver_failure(error)
        if not isinstance(error, OverseerError):
            what = "action %s: the driver failed to start task %s"
            log_failure(_log, secrets, what, task.action, task.id)
            message = f"the driver failed: {message}"
        message = masked(message, secrets)
        launching.gate.failed()
        for made in left:
            self._orphans.end(task, made)
        with self._table.begin() as tx:
            task.record = record
            with task.lock:
                task.pending, task.waiting_on = None, ()
            self._fail_locked(tx, task, launching.why, message, record)
        return message

    def _called_off(self, task: Task, why: Launch) -> bool:
        """Whether to skip the start: the server is shutting down, or the task was stopped in time."""
        with self._table.begin() as tx:
            # A requested run is announced as ``started`` even if it is stopped at once.
            if not self._table.closing and (why.requested or task.stop_request is not StopRequest.STOP):
                return False
            self._fail_locked(tx, task, why, CLOSING if why.requested else "")
        return True

    def _open_log(self, task: Task, logs: Logs) -> None:
        """Open the task's log, and number its lines from the log's end on."""
        disk = logs.log_of(task.id)
        last_seq = disk.open()
        with task.lock:
            task.stream.disk = disk
            task.stream.continue_locked(max(last_seq, task.stream.last_seq))

    def _started(
        self,
        task: Task,
        why: Launch,
        run_id: str,
        worker: Worker,
        pid: int,
        at: datetime,
        stdin: str,
        record: Run | None,
    ) -> None:
        """Record and announce a run; stop it at once if a stop came while it was being started."""
        with self._table.begin() as tx, task.lock:
            requester = task.requester
            event = Started(
                id="",
                task_id=task.id,
                pid=pid,
                restart_of=task.last_pid,
                ts=at,
                first_seq=0 if task.last_started_at else task.stream.first_seq,
                host=worker.host,
            )
            answer = Encoded([encode(replace(event, id=requester.request_id))])
            tx.observe(task, event)
            tx.encode(event)  # the last step that can fail; from here on only memory changes
            if task.last_started_at is None:
                self._metrics.count("tasks_started", task.action)
            if why is Launch.RESTART:
                task.restart_count += 1
            task.requester, task.onlookers, task.pending = Requester(), set(), None
            task.begin_run_locked(worker, pid, at, stdin)
            task.run_id = run_id
            self._usage.began_locked()
            task.record = record
            if task.stream.disk is not None:
                task.stream.disk.begin_run(pid, run_id, task.action)
            if record is not None:
                task.stream.reserve_locked(partial(self._recorder.reserve, record))
            if limit := task.terms.definition.config.timeout:
                task.timeout = self._timers.schedule(limit, Due.TIMEOUT, task.id)
            if requester.client is not None:
                tx.send_encoded(requester.client, answer)
            task.stream.publish_locked(tx, event, excluding=requester.client)
            if task.stop_request is not StopRequest.NONE:
                if record is not None and task.end_reason != "shutdown":
                    self._recorder.called_off(record)
                for grace in [0.0] if self._table.skip_graces else task.graces:
                    tx.stop(worker, grace)

    def _fail_locked(
        self, tx: Transaction, task: Task, why: Launch, message: str, record: Run | None = None
    ) -> None:
        """The start failed: roll the request back, or treat it as a run that failed at once."""
        assert_held(self._table.lock)
        requester, task.requester = task.requester, Requester()
        if why.requested:
            if why is Launch.FIRST and requester.client is None and not self._table.closing:
                with task.lock:  # no client is told that it failed
                    task.error_message, task.start_failed = message, True
                event = errored(task)
                self._exits.start_failed_locked(task, record, message, event, "failed")
                tx.observe(task, event, "failed")
            else:
                self._exits.start_failed_locked(task, record, message)
            self._take_back_locked(tx, task, why, requester, message)
            requester.refuse(tx, message, code="failed")
            return
        with task.lock:
            if message:
                task.error_message = message
                task.start_failed = True
            if message or why is Launch.AGAIN:
                requester.refuse(tx, message or (CLOSING if self._table.closing else STOPPED))
            events = self._exits.decide_locked(task, None, failed=True, exit_code=-1, ran_for=0.0)
        self._exits.start_failed_locked(task, record, message, events[-1] if events else None)
        self._exits.conclude_locked(tx, task, events)

    def _take_back_locked(
        self, tx: Transaction, task: Task, why: Launch, requester: Requester, message: str
    ) -> None:
        """Restore what was before the request."""
        assert_held(self._table.lock)
        if why is Launch.FIRST:
            self._table.forget(task.id, error=message)
            if requester.client is not None and requester.newly_subscribed:  # by a start that is refused
                self._table.unsubscribe(task.id, requester.client)
                requester.client.task_ids.discard(task.id)
        else:
            assert task.before_reset is not None
            terms, phase = task.before_reset
            with task.lock:
                task.move_locked(phase)
            self._table.finish(task)
            with task.lock:
                task.terms = terms
                # Other clients never heard that it was anything but over.
                over = errored(task) if phase is Phase.ERRORED else dequeued(task)
                for client in task.onlookers & task.stream.subscribers.keys():
                    tx.send(client, over)
            task.onlookers = set()
        self._exits.admit_locked(tx, self._pool.release(task.id))
