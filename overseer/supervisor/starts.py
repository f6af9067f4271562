"""The runs of tasks: starting them, hearing of their end, bringing them back.

A run's life::

    launch (no locks: the driver may take its time)
      started    state, slot and message change together, under the hub's lock and the task's
      output     straight to the task's stream, under the task's lock alone
      exited     the retry policy decides: over, restart after a delay, or errored

Whatever is decided under locks is done after them, by the transaction; runs are launched on threads of the
launcher, since a driver's ``start`` may block.
"""

from __future__ import annotations

import logging
import operator
import time
import uuid
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from overseer.drivers.api import driver_failure
from overseer.errors import OverseerError
from overseer.net.frames import Encoded
from overseer.process.policy import StopPolicy
from overseer.protocol import Dequeued, Errored, Event, Exited, Restarting, Started, encode
from overseer.supervisor.clients import Client
from overseer.supervisor.launcher import Launcher
from overseer.supervisor.orphans import OrphanedWorkers
from overseer.supervisor.queueing import Queueing
from overseer.supervisor.retention import Retention
from overseer.supervisor.retry import End as NoRestart
from overseer.supervisor.retry import GiveUp, Restart, decide
from overseer.supervisor.start_gate import Callbacks, End
from overseer.supervisor.state import State
from overseer.supervisor.task import Ending, Phase, Requester, Task
from overseer.supervisor.transaction import Launch, Transaction
from overseer.util.locks import assert_held, assert_none_held
from overseer.util.timestamps import now
from overseer.workers.base import RunContext, Worker, run_context

_log = logging.getLogger(__name__)

_CLOSING = "the overseer is shutting down"


class Starts:
    """Starts and ends runs on behalf of a hub."""

    def __init__(self, state: State, queueing: Queueing, retention: Retention) -> None:
        self._state = state
        self._queueing = queueing
        self._retention = retention
        self.launcher = Launcher(state.timers)
        self.closing = False  # set by close_locked; guarded by the hub's lock
        self._orphans = OrphanedWorkers(state)
        self._hurried = False  # nobody has the time to wait for what is asked to end; hub's lock

    def close_locked(self) -> None:
        """From now on nothing is started any more."""
        assert_held(self._state.lock)
        self.closing = True

    def wait_until_idle(self, timeout: float | None = None) -> bool:
        """Wait until no id is in use and nothing runs; False when ``timeout`` seconds were not enough."""
        with self._state.lock:
            return self._state.freed.wait_for(self._idle_locked, timeout)

    def wait_for_the_end(self, timeout: float) -> bool:
        """The same, but no longer than until :meth:`hurry`."""
        with self._state.lock:
            self._state.freed.wait_for(lambda: self._hurried or self._idle_locked(), timeout)
            return self._idle_locked()

    def _idle_locked(self) -> bool:
        assert_held(self._state.lock)
        return not self._state.table.in_use and not self._orphans.any_locked

    def workers_locked(self) -> list[Worker]:
        """Everything that runs."""
        assert_held(self._state.lock)
        running = [task.worker for task in self._state.table if task.phase is Phase.RUNNING]
        return [*filter(None, running), *self._orphans.workers_locked()]

    def longest_grace_locked(self) -> float:
        """The longest ``stop_grace`` of what is in use or runs, in seconds."""
        assert_held(self._state.lock)
        tasks = [task for task in self._state.table if task.phase.in_use]
        tasks += self._orphans.tasks_locked()
        return max((task.definition.config.stop_grace for task in tasks), default=0.0)

    def hurry(self) -> None:
        """End :meth:`wait_for_the_end`; what begins only now is stopped without a grace."""
        with self._state.lock:
            self._hurried = self._orphans.hurried = True
            self._state.freed.notify_all()

    def begin_locked(self, tx: Transaction, task: Task, why: Launch) -> None:
        """Begin a run of the task, which is launching by now and has its slot."""
        assert_held(self._state.lock)
        task.runs += 1
        task.ending = Ending.NONE
        task.graces = []
        tx.launch(task, why)

    def admit_locked(self, tx: Transaction, task_ids: Iterable[str]) -> None:
        """Launch tasks from the queue: their slots are theirs already."""
        assert_held(self._state.lock)
        for task_id in task_ids:
            task = self._state.table.find(task_id)
            with task.lock:
                task.move_locked(Phase.STARTING)
            self.begin_locked(tx, task, Launch.QUEUED)
            self._state.metrics.count("dequeued", task.action)
            self._state.metrics.observe_wait(task.action, time.monotonic() - task.queued_since)

    def launch_for(self, task: Task, why: Launch, client: Client | None) -> str:
        """Launch on another thread; the client that requested it hears of it by a message. A request of no
        client is waited for: returns "" or, when it failed, what went wrong."""
        if why.requested and client is None:
            return self.launch(task, why)
        driver = task.definition.config.type
        self.launcher.submit(driver, why if client is None else client, partial(self.launch, task, why))
        if client is not None:
            self.launcher.wait_for_room(driver, client)
        return ""

    def launch(self, task: Task, why: Launch) -> str:
        """Have the driver start the run begun last; returns "" or, when it failed, what went wrong."""
        assert_none_held("launch")
        if self._called_off(task, why):
            return _CLOSING
        callbacks = Callbacks(
            task, task.runs, partial(self._exited, task, task.runs), partial(self._orphans.heard_of, task)
        )
        action = task.definition.config
        context = RunContext(
            task.id,
            uuid.uuid4().hex,
            StopPolicy(action.kill_mode, action.stop_signal, action.stop_grace),
            self._state.current.value.config.limits.max_line,
            callbacks.on_exited,
            callbacks.begun,
        )
        try:
            with run_context(context):
                given = task.definition.handler.start(
                    task.id, dict(task.params), callbacks.for_driver(context)
                )
            worker, pid, at = _checked(given)
            self._started(task, why, worker, pid, at)
        except BaseException as error:  # also SystemExit: whoever waits for this run must be told
            message = driver_failure(error)
            if not isinstance(error, OverseerError):
                _log.exception("action %s: the driver failed to start task %s", task.action, task.id)
                message = f"the driver failed: {message}"
            callbacks.failed()
            for made in context.workers:
                self._orphans.end(task, made)
            self._not_started(task, why, message)
            return message
        callbacks.announced(pid)
        return ""

    def _called_off(self, task: Task, why: Launch) -> bool:
        """Whether the run need not be started, since the server ends or the task was stopped in time."""
        with self._state.begin() as tx:
            # Whoever requested it is told ``started``, also when it is stopped at once.
            if not self.closing and (why.requested or task.ending is not Ending.STOP):
                return False
            if why.requested:
                self._refuse_locked(tx, task, why, _CLOSING)
            else:
                with task.lock:
                    events = self._decide_locked(task, None, exit_code=-1, ran_for=0.0)
                self._conclude_locked(tx, task, events)
        return True

    def _started(self, task: Task, why: Launch, worker: Worker, pid: int, at: datetime) -> None:
        """Record and announce a run; stop it at once, if it was asked to end while it was being started."""
        with self._state.begin() as tx, task.lock:
            requester = task.requester
            event = Started(id="", task_id=task.id, pid=pid, restart_of=task.last_pid, ts=at)
            answer = Encoded([encode(replace(event, id=requester.request_id))])
            tx.encode(event)  # what could fail is done; from here on only memory changes
            if task.last_started_at is None:
                self._state.metrics.count("tasks_started", task.action)
            if why is Launch.RESTART:
                task.restart_count += 1
            task.requester, task.onlookers = Requester(), set()
            task.begin_run_locked(worker, pid, at)
            if requester.client is not None:
                tx.send_encoded(requester.client, answer)
            task.stream.publish_locked(tx, event, excluding=requester.client)
            if task.ending is not Ending.NONE:
                for grace in [0.0] if self._hurried else task.graces:
                    tx.stop(worker, grace)

    def _not_started(self, task: Task, why: Launch, message: str) -> None:
        """A run could not be started: take the task back, or treat it as a run that failed at once."""
        with self._state.begin() as tx:
            if why.requested:
                self._refuse_locked(tx, task, why, message)
            else:
                requester, task.requester = task.requester, Requester()
                with task.lock:
                    task.error_message = message
                    requester.refuse(tx, message)
                    events = self._decide_locked(task, None, exit_code=-1, ran_for=0.0)
                self._conclude_locked(tx, task, events)

    def _refuse_locked(self, tx: Transaction, task: Task, why: Launch, message: str) -> None:
        """What was asked for is not to be: all is as it was before, and the requester is told so."""
        assert_held(self._state.lock)
        requester, task.requester = task.requester, Requester()
        if why is Launch.FIRST:
            self._state.table.forget(task.id)
            if requester.client is not None and requester.newly_subscribed:  # by a start that is refused
                self._state.table.unsubscribe(task.id, requester.client)
                requester.client.task_ids.discard(task.id)
            self._state.freed.notify_all()
        else:
            with task.lock:
                task.move_locked(Phase.ERRORED)
            self._retention.finish_locked(task)
            with task.lock:
                task.undo_reset()
                # Nobody else knows that it was anything but errored.
                for client in task.onlookers & task.stream.subscribers.keys():
                    tx.send(client, _errored(task))
            task.onlookers = set()
        self.admit_locked(tx, self._state.pool.release(task.id))
        requester.refuse(tx, message)

    def _exited(self, task: Task, run: int, end: End) -> None:
        """A run's worker is gone, with all its output delivered."""
        with self._state.begin() as tx:
            with task.lock:
                if run != task.runs or task.phase is not Phase.RUNNING:
                    return  # a driver that reports an exit twice
                event = Exited(
                    task_id=task.id,
                    pid=task.last_pid,
                    exit_code=end.exit_code,
                    intentional=end.intentional or task.ending is not Ending.NONE,
                    ts=end.at,
                    signal=end.signal,
                )
                ran_for = task.end_run_locked(end.exit_code, end.signal, end.at)
                self._state.metrics.count("tasks_completed", task.action)
                self._state.metrics.observe_run(task.action, ran_for)
                events = self._decide_locked(task, event, exit_code=end.exit_code, ran_for=ran_for)
            self._conclude_locked(tx, task, events)

    def _decide_locked(
        self, task: Task, exited: Exited | None, *, exit_code: int, ran_for: float
    ) -> list[Event]:
        """Move the task to what follows a run, or a failure to start one (no ``exited``).

        Returns what :meth:`_conclude_locked` is to announce: a message is true when it is sent, so the slot
        is freed first.
        """
        assert_held(self._state.lock)
        assert_held(task.lock)
        events: list[Event] = [exited] if exited is not None else []
        if task.ending is not Ending.NONE or self.closing or (exited is not None and exited.intentional):
            requeue = task.ending is Ending.REQUEUE and not self.closing
            if requeue:
                task.enter_queue_locked(now())
            else:
                task.move_locked(Phase.STOPPED)
            if exited is None and not requeue:
                reason = "shutdown" if self.closing else "stopped"
                events.append(Dequeued(task_id=task.id, reason=reason, ts=now()))
            return events
        decision, task.history = decide(
            task.policy,
            task.history,
            now_s=time.monotonic(),
            exit_code=exit_code,
            ran_for_s=ran_for,
            rng=self._state.rng,
        )
        if isinstance(decision, Restart):
            task.move_locked(Phase.WAITING)
            self._state.metrics.count("tasks_restarted", task.action)
            self._schedule_restart_locked(task, decision.delay_ns / 1e9)
            events = [replace(exited, will_restart=True)] if exited is not None else []
            return [
                *events,
                Restarting(
                    task_id=task.id,
                    pid=task.last_pid,
                    restart_delay=decision.delay_ns,
                    attempt=decision.attempt,
                    ts=now(),
                ),
            ]
        if isinstance(decision, NoRestart) and exited is not None:
            task.move_locked(Phase.ENDED)
            return events
        task.move_locked(Phase.ERRORED)
        self._state.metrics.count("tasks_errored", task.action)
        count = decision.exit_count if isinstance(decision, GiveUp) else task.history.total
        task.exit_count = count
        if not task.error_message:
            task.error_message = f"gave up after {count} exits, the last with exit code {exit_code}"
        return [*events, _errored(task)]

    def _conclude_locked(self, tx: Transaction, task: Task, events: list[Event]) -> None:
        """Free the slot of a task that keeps none, announce, and let others in. The task's lock is free."""
        assert_held(self._state.lock)
        admitted: tuple[str, ...] = ()
        position = 0
        if task.phase is Phase.QUEUED:
            assert task.queued_at is not None
            requeued = self._state.pool.requeue(task.id, task.queued_at)
            admitted, position = requeued.admitted, requeued.position
        elif not task.phase.in_use:
            self._retention.finish_locked(task)
            admitted = self._state.pool.release(task.id)
        with task.lock:
            for event in events:
                if isinstance(event, Dequeued):
                    self._queueing.broadcast_locked(tx, task, event)
                else:
                    task.stream.publish_locked(tx, event)
        if position:
            self._queueing.enqueued_locked(tx, task, position)
        self.admit_locked(tx, admitted)

    def _schedule_restart_locked(self, task: Task, delay: float) -> None:
        assert_held(self._state.lock)
        task.timer = self._state.timers.schedule(delay, partial(self._restart, task, task.runs))

    def _restart(self, task: Task, run: int) -> None:
        """The delay is over."""
        with self._state.begin() as tx:
            if self.closing or task.phase is not Phase.WAITING or task.runs != run:
                return
            with task.lock:
                task.timer = None
                task.move_locked(Phase.STARTING)
            self.begin_locked(tx, task, Launch.RESTART)

    def end_waiting_locked(self, tx: Transaction, task: Task, ending: Ending, reason: str) -> None:
        """End a task that awaits its restart, so has no run to stop."""
        assert_held(self._state.lock)
        with task.lock:
            if task.timer is not None:
                task.timer.cancel()
                task.timer = None
            events: list[Event] = []
            if ending is Ending.REQUEUE:
                task.enter_queue_locked(now())
            else:
                task.move_locked(Phase.STOPPED)
                events.append(Dequeued(task_id=task.id, reason=reason, ts=now()))
        self._conclude_locked(tx, task, events)

    def reset_locked(self, tx: Transaction, task: Task) -> None:
        """An errored task is to start over, whatever the pool says; until it has, its history stays."""
        assert_held(self._state.lock)
        with task.lock:
            task.move_locked(Phase.RESETTING)
        self._state.pool.admit_over(task.id, task.action)
        self._state.table.take(task)
        self.begin_locked(tx, task, Launch.RESET)


def _errored(task: Task) -> Errored:
    return Errored(task_id=task.id, pid=task.last_pid, exit_count=task.exit_count, ts=now())


def _checked(given: object) -> tuple[Worker, int, datetime]:
    """What a driver's ``start`` has returned, its pid and its start: of a type that clients can be told.

    Raises:
        TypeError: it is no worker, or its values are of another type.
        Exception: whatever a driver's own worker raises.
    """
    if not isinstance(given, Worker):
        raise TypeError(f"start() returned {given!r}, which is no Worker")
    pid, at = operator.index(given.pid), given.started_at  # missing if it has not called super().__init__()
    if not isinstance(given.task_id, str) or not isinstance(at, datetime):
        raise TypeError(f"a worker needs a text and a datetime: task_id {given.task_id!r}, started_at {at!r}")
    return given, int(pid), at.astimezone(UTC)
