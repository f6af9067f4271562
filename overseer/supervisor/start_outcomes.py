"""What comes of a start: its run has begun, begins later, or has failed.

State, slot and message change together, under the hub's lock and the task's.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from overseer.drivers.api import driver_failure
from overseer.errors import CLOSING, OverseerError
from overseer.history.records import Owed, Recorder, Run
from overseer.net.frames import Encoded
from overseer.protocol import Errored, Event, Started, encode
from overseer.supervisor.exits import Exits, dequeued, errored
from overseer.supervisor.failed_starts import FailedStarts
from overseer.supervisor.metrics import Metrics
from overseer.supervisor.observers import change_of
from overseer.supervisor.owed_follow_ups import owed_after
from overseer.supervisor.phases import Phase, StopRequest
from overseer.supervisor.pool.pool import PoolManager
from overseer.supervisor.queueing import Queueing
from overseer.supervisor.retry import RetryState
from overseer.supervisor.starting_run import StartingRun, checked, surroundings_of
from overseer.supervisor.table import STOPPED, TaskTable
from overseer.supervisor.task import NOBODY, Requester, Task
from overseer.supervisor.timer_kinds import Due
from overseer.supervisor.transaction import Launch, Transaction
from overseer.supervisor.usage import UsageWatch
from overseer.util.locks import assert_held
from overseer.util.masking import log_failure, masked
from overseer.util.timers import Timers
from overseer.util.timestamps import now
from overseer.workers.base import Worker

_log = logging.getLogger(__name__)


@dataclass(eq=False, repr=False)
class StartOutcomes:
    """Announces runs that have begun, and sees to those that have not."""

    _table: TaskTable
    _pool: PoolManager
    _metrics: Metrics
    _timers: Timers
    _queueing: Queueing
    _exits: Exits
    _failed_starts: FailedStarts
    _usage: UsageWatch
    _recorder: Recorder

    def begins_later(self, starting: StartingRun, worker: Worker) -> None:
        """Accept a run whose worker begins later; its requester is answered by what comes first."""
        task = starting.task
        with self._table.begin() as tx:
            task.pending = worker
            if task.requester.client is None and starting.why.requested:
                starting.why = Launch.QUEUED  # it counts as accepted, since nobody would hear that it failed
            self._stop_if_asked(tx, task, worker)

    def waits(self, starting: StartingRun, worker: Worker) -> None:
        """Called on a worker's thread: it will be a while. Its requester is told so; from now on it fails as
        what was accepted does."""
        starting.returned.wait()
        task = starting.task
        with self._table.begin() as tx:
            if task.pending is not worker or starting.told:
                return
            starting.told = True
            with task.lock:
                if task.phase is Phase.RESETTING:
                    task.retry_state = RetryState()
                    task.move_locked(Phase.STARTING)
                task.waiting_on, task.queued_at = tuple(worker.waiting_on), now()
            if starting.record is not None:
                starting.record.queued = task.queued_at
                self._recorder.queued(starting.record)
            self._queueing.told_locked(tx, task, 0)
            task.requester, task.onlookers = NOBODY, set()
            if starting.why is not Launch.RESTART:
                starting.why = Launch.QUEUED

    def begins(self, starting: StartingRun, worker: Worker, error: OverseerError | None) -> None:
        """Called on a worker's thread: one that ``start`` has returned waiting runs now, or never will."""
        starting.returned.wait()
        if error is None:
            try:
                self.began(starting, worker)
            except BaseException as failure:
                self.failed(starting, failure, [worker])
        else:
            if not str(error):  # it was stopped: its requester is told as others are
                self.waits(starting, worker)
            self.failed(starting, error, [])

    def began(self, starting: StartingRun, given: object) -> None:
        """The run has begun: record and announce it, and let its callbacks pass."""
        gate, context, record = starting.gate, starting.context, starting.record
        worker, pid, at, stdin = checked(given)
        surroundings = None if gate.watch is None else surroundings_of(context)
        if record is not None:
            record.started, record.host = at, worker.host
            self._recorder.started(record)
        self._started(starting, worker, pid, at, stdin)
        if gate.watch is not None and surroundings is not None:
            gate.watch.begin(surroundings)
        gate.announced(pid, worker)

    def failed(self, starting: StartingRun, error: BaseException, left: Iterable[Worker]) -> str:
        """The run has not begun, whatever its driver has ``left``; returns the error."""
        task, record, secrets = starting.task, starting.record, starting.context.secrets
        message = driver_failure(error)
        if not isinstance(error, OverseerError):
            what = "action %s: the driver failed to start task %s"
            log_failure(_log, secrets, what, task.action, task.id)
            message = f"the driver failed: {message}"
        message = masked(message, secrets)
        starting.gate.failed()
        for made in left:
            self._failed_starts.end(task, made)
        with self._table.begin() as tx:
            task.record, task.run_id = record, starting.context.run_id
            with task.lock:
                task.pending, task.waiting_on = None, ()
            self.fail_locked(tx, task, starting.why, message, record)
        return message

    def _started(self, starting: StartingRun, worker: Worker, pid: int, at: datetime, stdin: str) -> None:
        """Announce a run; stop it at once if a stop came while it was being started."""
        task, record, run_id = starting.task, starting.record, starting.context.run_id
        with self._table.begin() as tx, task.lock:
            requester = task.requester
            started = partial(
                Started,
                task_id=task.id,
                pid=pid,
                restart_of=task.last_pid,
                ts=at,
                first_seq=0 if task.last_started_at else task.stream.first_seq,
                host=worker.host,
            )
            event = started(id="")
            mine = started(id=requester.request_id, warnings=requester.warnings)
            answer = Encoded([encode(mine)])  # the last step that can fail; what the others get is part of it
            tx.observe(task, event)
            if task.last_started_at is None:
                self._metrics.count("tasks_started", task.action)
            if starting.why is Launch.RESTART:
                task.restart_count += 1
            task.requester, task.onlookers, task.pending = NOBODY, set(), None
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
            called_off = task.stop_request is not StopRequest.NONE and task.end_reason != "shutdown"
            if called_off and record is not None:
                self._recorder.called_off(record)
            self._stop_if_asked(tx, task, worker)

    def _stop_if_asked(self, tx: Transaction, task: Task, worker: Worker) -> None:
        """A stop that came while there was no worker to stop."""
        if task.stop_request is not StopRequest.NONE:
            for grace in [0.0] if self._table.skip_graces else task.graces:
                tx.stop(worker, grace)

    def fail_locked(
        self, tx: Transaction, task: Task, why: Launch, message: str, record: Run | None = None
    ) -> None:
        """The start failed: roll the request back, or treat it as a run that failed at once."""
        assert_held(self._table.lock)
        requester, task.requester = task.requester, NOBODY
        if why.requested:
            if why is Launch.FIRST and requester.client is None and not self._table.closing:
                with task.lock:  # no client is told that it failed
                    task.error_message, task.start_failed = message, True
                event = errored(task)
                self._record_failure_locked(task, record, message, event, "failed")
                tx.observe(task, event, "failed")
            else:
                self._record_failure_locked(task, record, message)
            self._take_back_locked(tx, task, why, requester, message)
            requester.refuse(tx, message, code="failed")
            return
        with task.lock:
            if message:
                task.error_message = message
                task.start_failed = True
            if message or why is Launch.AGAIN:
                requester.refuse(tx, message or (CLOSING if self._table.closing else STOPPED))
            events = self._exits.decide_locked(task)
        self._record_failure_locked(task, record, message, events[-1] if events else None)
        self._exits.conclude_locked(tx, task, events)

    def _record_failure_locked(
        self, task: Task, record: Run | None, message: str, event: Event | None = None, outcome: str = ""
    ) -> None:
        """Record a failure to start, before it is announced; no message: it was called off.

        Args:
            event, outcome: what becomes of the task, if that is to be followed by something.
        """
        assert_held(self._table.lock)
        if record is None or not message:
            self._queueing.left_locked(task)
            return
        outcome = outcome or task.outcome
        owed: tuple[Owed, ...] = ()
        if event is not None and self._table.observers.owe:
            owed = owed_after(self._table.observers, change_of(task, event, outcome))
        again = task.phase.goes_on
        gave_up = event.exit_count if isinstance(event, Errored) else 0
        self._recorder.start_failed(record, message, again=again, owed=owed, gave_up=gave_up)

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
        self._queueing.admit_locked(tx, self._pool.release(task.id))
