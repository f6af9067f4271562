"""The runs of tasks: starting them, hearing of their end, bringing them back.

A run's life::

    launch (no locks: the driver may take its time)
      started    state, slot and message change together, under the hub's lock and the task's
      output     straight to the task's stream, under the task's lock alone
      exited     the retry policy decides: over, restart after a delay, or errored

Whatever is decided under locks is done after them: sockets are flushed, workers stopped, and tasks that a
freed slot let in are launched, each on a thread of its own, since a driver's ``start`` may block.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from functools import partial

from overseer.actions import driver_failure
from overseer.callbacks import Callbacks
from overseer.clients import Mail
from overseer.dormant import Dormant
from overseer.errors import OverseerError
from overseer.locks import assert_none_held
from overseer.messages import Dequeued, Error, Errored, Event, Exited, Restarting, Started
from overseer.retry import End, GiveUp, History, Restart, decide
from overseer.state import State
from overseer.task import Ending, Phase, Requester, Task
from overseer.timestamps import now
from overseer.worker import RunContext, StopPolicy, Worker, run_context

__all__ = ["Launch", "Runs", "stop_worker"]

_log = logging.getLogger(__name__)


class Launch(Enum):
    """Why a run is started, which decides what a failure to start it means."""

    FIRST = 1  # at a client's request: the request is refused and the task never was
    QUEUED = 2  # from the queue: it was accepted, so it fails like a run
    RESTART = 3  # by its retry policy: it fails like a run
    RESET = 4  # at a client's request: the request is refused and the task stays errored


@dataclass(frozen=True, eq=False, slots=True)
class _Stray:
    """A worker that is being ended, without being its task's: the start that made it failed after all."""

    worker: Worker
    task: Task


class Runs:
    """Starts and ends runs on behalf of a hub."""

    def __init__(self, state: State, dormant: Dormant) -> None:
        self._state = state
        self._dormant = dormant
        self.closing = False  # set by close_locked; guarded by the hub's lock
        self._strays: set[_Stray] = set()  # hub's lock
        self._hurried = False  # nobody has the time to wait for what is asked to end; hub's lock

    def close_locked(self) -> None:
        """From now on nothing is started again by itself; hub's lock held."""
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
        return not self._state.table.in_use and not self._strays

    def workers_locked(self) -> list[Worker]:
        """Everything that runs; hub's lock held."""
        running = [task.worker for task in self._state.table if task.phase is Phase.RUNNING]
        return [*filter(None, running), *(stray.worker for stray in self._strays)]

    def longest_grace_locked(self) -> float:
        """The longest ``stop_grace`` of what is in use or runs, in seconds; hub's lock held."""
        tasks = [task for task in self._state.table if task.phase.in_use]
        tasks += [stray.task for stray in self._strays]
        return max((task.definition.config.stop_grace for task in tasks), default=0.0)

    def hurry(self) -> None:
        """End :meth:`wait_for_the_end`."""
        with self._state.lock:
            self._hurried = True
            self._state.freed.notify_all()

    def begin_locked(self, task: Task) -> int:
        """The task, now STARTING, is about to start a run; returns the run's number. Hub's lock held."""
        task.runs += 1
        task.ending = Ending.NONE
        return task.runs

    def launch_later(self, tasks: Iterable[Task]) -> None:
        """Launch tasks that were let in from a queue, each on its own thread; no locks held."""
        for task in tasks:
            self._on_thread(f"start-{task.id}", partial(self.launch, task, Launch.QUEUED))

    def admit_locked(self, task_ids: Iterable[str]) -> list[Task]:
        """Tasks leave the queue for slots that are theirs already; :meth:`launch_later` must follow."""
        tasks = [self._state.table.find(task_id) for task_id in task_ids]
        for task in tasks:
            with task.lock:
                task.move_locked(Phase.STARTING)
            self.begin_locked(task)
            self._state.metrics.count("dequeued", task.action)
            self._state.metrics.observe_wait(task.action, time.monotonic() - task.queued_since)
        return tasks

    def launch(self, task: Task, why: Launch) -> str:
        """Have the driver start the run begun last; returns "" or, when it failed, what went wrong."""
        assert_none_held("launch")
        callbacks = Callbacks(task, partial(self.exited, task, task.runs))
        action = task.definition.config
        context = RunContext(
            task.id,
            uuid.uuid4().hex,
            StopPolicy(action.kill_mode, action.stop_signal, action.stop_grace),
            self._state.current.value.config.limits.max_line,
            callbacks.on_exited,
        )
        try:
            with run_context(context):
                worker = task.definition.handler.start(task.id, dict(task.params), callbacks.for_driver())
            given: object = worker
            if not isinstance(given, Worker):
                raise TypeError(f"start() returned {given!r}, which is no Worker")
            _ = worker.pid, worker.started_at, worker.task_id  # it may have forgotten super().__init__()
        except BaseException as error:  # also SystemExit: whoever waits for this run must be told
            message = driver_failure(error)
            if not isinstance(error, OverseerError):
                _log.exception("action %s: the driver failed to start task %s", task.action, task.id)
                message = f"the driver failed: {message}"
            callbacks.failed()
            self._end_strays(task, context.workers)
            self._not_started(task, why, message)
            return message
        if self._started(task, why, worker):
            stop_worker(worker)
        callbacks.announced(worker.pid)
        return ""

    def _end_strays(self, task: Task, workers: Iterable[Worker]) -> None:
        """Stop what a driver started before it failed: no task has these workers, so nobody else can."""
        for worker in workers:
            if stop_worker(worker):
                continue  # it cannot be stopped, so neither waited for: a class whose own __init__ failed
            stray = _Stray(worker, task)
            with self._state.lock:
                self._strays.add(stray)
            self._on_thread(f"stray-{task.id}", partial(self._wait_for_stray, stray))

    def _wait_for_stray(self, stray: _Stray) -> None:
        try:
            stray.worker.wait()
        except Exception:
            _log.exception("task %s: the driver failed to wait for its worker", stray.task.id)
        with self._state.lock:
            self._strays.remove(stray)
            self._state.freed.notify_all()

    def _started(self, task: Task, why: Launch, worker: Worker) -> bool:
        """Record and announce a run; returns whether its stop was asked for meanwhile."""
        with Mail() as mail, self._state.lock, task.lock:
            if task.last_started_at is None:
                self._state.metrics.count("tasks_started", task.action)
            if why is Launch.RESTART:
                task.restart_count += 1
            before = task.begin_run_locked(worker)
            requester, task.requester = task.requester, Requester()
            event = Started(id="", task_id=task.id, pid=worker.pid, restart_of=before, ts=worker.started_at)
            if requester.client is not None:
                mail.send(requester.client, replace(event, id=requester.request_id))
            task.stream.publish_locked(mail, event, besides=requester.client)
            return task.ending is not Ending.NONE

    def _not_started(self, task: Task, why: Launch, message: str) -> None:
        """A run could not be started: take the task back, or treat it as a run that failed at once."""
        with Mail() as mail, self._state.lock:
            if why is Launch.FIRST:
                self._state.table.forget(task.id)
                starter = task.requester.client
                if starter is not None and task.requester.newly_subscribed:  # by a start that is refused
                    self._state.table.unsubscribe(task.id, starter)
                    starter.task_ids.discard(task.id)
                self._state.freed.notify_all()
                admitted = self.admit_locked(self._state.pool.release(task.id))
            else:
                with task.lock:
                    task.error_message = message
                    requester, task.requester = task.requester, Requester()
                    if requester.client is not None and why is Launch.QUEUED:
                        mail.send(requester.client, Error(id=requester.request_id, message=message))
                    if why is Launch.RESET:
                        task.move_locked(Phase.ERRORED)
                        # Whoever joined meanwhile found it starting, and waits for what becomes of that.
                        count = task.history.total
                        errored = Errored(task_id=task.id, pid=task.last_pid(), exit_count=count, ts=now())
                        events: list[Event] = [errored]
                    else:
                        events = self._decide_locked(task, None, exit_code=-1, ran_for=0.0)
                admitted = self._conclude_locked(mail, task, events)
        self.launch_later(admitted)

    def exited(self, task: Task, run: int, exit_code: int, intentional: bool, at: datetime) -> None:
        """A run's worker is gone, with all its output delivered."""
        with Mail() as mail, self._state.lock:
            with task.lock:
                worker = task.worker
                if run != task.runs or task.phase is not Phase.RUNNING or worker is None:
                    return  # a driver that reports an exit twice
                signal = worker.signal if exit_code == -1 else ""
                ran_for = task.end_run_locked(exit_code, signal, at)
                self._state.metrics.count("tasks_completed", task.action)
                self._state.metrics.observe_run(task.action, ran_for)
                event = Exited(
                    task_id=task.id,
                    pid=worker.pid,
                    exit_code=exit_code,
                    intentional=intentional or task.ending is not Ending.NONE,
                    ts=at,
                    signal=signal,
                )
                events = self._decide_locked(task, event, exit_code=exit_code, ran_for=ran_for)
            admitted = self._conclude_locked(mail, task, events)
        self.launch_later(admitted)

    def _decide_locked(
        self, task: Task, exited: Exited | None, *, exit_code: int, ran_for: float
    ) -> list[Event]:
        """Move the task to what follows a run, or a failure to start one (no ``exited``).

        Returns what :meth:`_conclude_locked` is to announce: a message is true when it is sent, so the slot
        is freed first.
        """
        events: list[Event] = [exited] if exited is not None else []
        if task.ending is not Ending.NONE or self.closing or (exited is not None and exited.intentional):
            requeue = task.ending is Ending.REQUEUE and not self.closing
            if requeue:
                task.enter_queue_locked(now())
            else:
                task.move_locked(Phase.STOPPED)
            if exited is None and not requeue:
                events.append(Dequeued(task_id=task.id, reason="stopped", ts=now()))
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
                    pid=task.last_pid(),
                    restart_delay=decision.delay_ns,
                    attempt=decision.attempt,
                    ts=now(),
                ),
            ]
        if isinstance(decision, End) and exited is not None:
            task.move_locked(Phase.ENDED)
            return events
        task.move_locked(Phase.ERRORED)
        self._state.metrics.count("tasks_errored", task.action)
        count = decision.exit_count if isinstance(decision, GiveUp) else task.history.total
        if not task.error_message:
            task.error_message = f"gave up after {count} exits, the last with exit code {exit_code}"
        return [*events, Errored(task_id=task.id, pid=task.last_pid(), exit_count=count, ts=now())]

    def _conclude_locked(self, mail: Mail, task: Task, events: list[Event]) -> list[Task]:
        """Free the slot of a task that keeps none, then announce; returns who was let in.

        The hub's lock is held, the task's is not.
        """
        admitted: tuple[str, ...] = ()
        position = 0
        if task.phase is Phase.QUEUED:
            assert task.queued_at is not None
            requeued = self._state.pool.requeue(task.id, task.queued_at)
            admitted, position = requeued.admitted, requeued.position
        elif not task.phase.in_use:
            self._dormant.finish_locked(task)
            admitted = self._state.pool.release(task.id)
        with task.lock:
            for event in events:
                if isinstance(event, Dequeued):
                    self._dormant.broadcast_locked(mail, task, event)
                else:
                    task.stream.publish_locked(mail, event)
        if position:
            self._dormant.enqueued_locked(mail, task, position)
        return self.admit_locked(admitted)

    def _schedule_restart_locked(self, task: Task, delay: float) -> None:
        run = task.runs
        task.timer = self._state.timers.schedule(
            delay, lambda: self._on_thread(f"restart-{task.id}", lambda: self._restart(task, run))
        )

    def _restart(self, task: Task, run: int) -> None:
        """The delay is over."""
        with self._state.lock:
            if self.closing or task.phase is not Phase.WAITING or task.runs != run:
                return
            with task.lock:
                task.timer = None
                task.move_locked(Phase.STARTING)
            self.begin_locked(task)
        self.launch(task, Launch.RESTART)

    def end_waiting_locked(self, mail: Mail, task: Task, ending: Ending, reason: str) -> list[Task]:
        """End a task that awaits its restart, so has no run to stop; returns who was let in."""
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
        return self._conclude_locked(mail, task, events)

    def reset_locked(self, task: Task) -> None:
        """An errored task starts over: its history is cleared and it runs whatever the pool says."""
        with task.lock:
            task.move_locked(Phase.STARTING)
            task.history = History()
        self._state.pool.admit_over(task.id, task.action)
        self._state.table.take(task)
        self.begin_locked(task)

    def _on_thread(self, name: str, call: Callable[[], object]) -> None:
        def run() -> None:
            try:
                call()
            except BaseException:
                _log.exception("%s failed", name)

        try:
            # A daemon: shutdown waits for tasks, not for threads, and a driver may block in start() for ever.
            threading.Thread(target=run, name=name, daemon=True).start()
        except RuntimeError:
            # No more threads to be had; late is better than never.
            run()


def stop_worker(worker: Worker, grace: float | None = None) -> str:
    """Stop a worker, which may be a driver's own; returns "" or, when it failed, what went wrong."""
    try:
        worker.stop(grace)
    except BaseException as error:  # whoever else is to be stopped must be, and whoever waits be told
        _log.exception("task %s: the driver failed to stop its worker", worker.task_id)
        return f"the driver failed: {driver_failure(error)}"
    return ""
