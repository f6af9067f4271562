"""What follows a run or a failed start: another run, a restart after a delay, the queue, or the end."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field, replace

from overseer.history.records import Owed, Recorder, Run, RunEnd
from overseer.protocol import Dequeued, Errored, Event, Exited, Restarting
from overseer.supervisor.metrics import Metrics
from overseer.supervisor.observers import change_of
from overseer.supervisor.owed_follow_ups import owed_after
from overseer.supervisor.phases import Phase, RunEnding, RunExit, StopRequest
from overseer.supervisor.pool.pool import PoolManager
from overseer.supervisor.queueing import Queueing
from overseer.supervisor.retry import Decision, GiveUp, NoRestart, Restart, RetryState, decide
from overseer.supervisor.table import TaskTable
from overseer.supervisor.task import Task
from overseer.supervisor.timer_kinds import Due
from overseer.supervisor.transaction import Launch, Transaction
from overseer.util.locks import assert_held
from overseer.util.timers import Timers
from overseer.util.timestamps import now

# How it ended, by reason.
_LAST = {"timeout": "by its timeout", "oom": "for lack of memory", "unhealthy": "since it was unhealthy"}


@dataclass(frozen=True, slots=True)
class _Foreseen:
    """What follows a run's end, unless its task is told to stop or restart before that is announced.

    Attributes:
        decided: None: it was told before.
        again: another run.
    """

    ending: RunEnding
    decided: tuple[Decision, RetryState] | None = None
    again: bool = False
    owed: tuple[Owed, ...] = ()

    @property
    def gave_up(self) -> int:
        """After how many exits its task is given up; 0: it is not."""
        decision = self.decided and self.decided[0]
        return decision.exit_count if isinstance(decision, GiveUp) else 0


@dataclass(eq=False, repr=False)
class Exits:
    """Moves tasks on when a run is over, or could not be started."""

    _table: TaskTable
    _pool: PoolManager
    _queueing: Queueing
    _metrics: Metrics
    _timers: Timers
    _recorder: Recorder
    # For restart jitter; hub's lock.
    _rng: random.Random = field(default_factory=random.Random, init=False)

    def exited(self, task: Task, run: int, end: RunExit) -> None:
        """Called when a run's worker is gone and all its output delivered."""
        foreseen = self._recorded(task, run, end) if self._recorder.enabled else None
        with self._table.begin() as tx:
            with task.lock:
                if run != task.runs or task.phase is not Phase.RUNNING:
                    return  # a driver that reports an exit twice
                foreseen = foreseen or _Foreseen(task.ending_locked(end))
                ending = foreseen.ending
                task.end_run_locked(end, ending)
                oom = ending.reason == "oom"
                self._metrics.run_over(task.action, ending.ran_for, end.cpu_ms or 0, out_of_memory=oom)
                following = self.decide_locked(task, foreseen)
                at_once = task.phase.launching
                event = Exited(
                    task_id=task.id,
                    pid=task.last_pid,
                    exit_code=end.exit_code,
                    intentional=ending.asked,
                    ts=end.at,
                    will_restart=task.phase.goes_on,
                    signal=end.signal,
                    reason=ending.reason,
                    duration_ms=ending.duration_ms,
                    cpu_ms=end.cpu_ms,
                    max_rss=end.max_rss,
                    host=task.host,
                )
            if task.record is not None:
                self._correct_locked(task, task.record, foreseen)
            self.conclude_locked(tx, task, [event, *following])
            if at_once:
                tx.launch(task, Launch.AGAIN)
        if task.stream.disk is not None:
            task.stream.disk.rest()

    def _recorded(self, task: Task, run: int, end: RunExit) -> _Foreseen | None:
        """Store the end of a run before anything follows from it, or a boot might take the run for one still
        running; and with it what is to follow, or a boot could not make up for it."""
        with self._table.lock, task.lock:
            if run != task.runs or task.phase is not Phase.RUNNING or task.record is None:
                return None
            record = task.record
            foreseen = self._foresee_locked(task, end)
            ending = foreseen.ending
            last_seq = task.stream.last_seq
        self._recorder.ended(
            record,
            RunEnd(
                at=end.at,
                exit_code=end.exit_code,
                signal=end.signal,
                reason=ending.reason,
                duration_ms=ending.duration_ms,
                failed=ending.failed,
                last_seq=last_seq,
                cpu_ms=end.cpu_ms,
                max_rss=end.max_rss,
                again=foreseen.again,
                gave_up=foreseen.gave_up,
            ),
            foreseen.owed,
        )
        return foreseen

    def _foresee_locked(self, task: Task, end: RunExit) -> _Foreseen:
        assert_held(self._table.lock)
        assert_held(task.lock)
        ending = task.ending_locked(end)
        if self._restarts_locked(task):
            return _Foreseen(ending, again=True)
        if ending.asked or task.stop_request is not StopRequest.NONE or self._table.closing:
            return _Foreseen(ending)
        decision, _ = decided = self._decision_locked(task, ending)
        if isinstance(decision, Restart):
            return _Foreseen(ending, decided, again=True)
        if not self._table.observers.owe:
            return _Foreseen(ending, decided)
        event: Event = Exited(task.id, task.last_pid, end.exit_code, False, end.at)
        error = end.lost if ending.reason == "lost" else task.error_message
        if isinstance(decision, GiveUp):
            event = Errored(task.id, task.last_pid, decision.exit_count, end.at)
            error = error or _gave_up(decision.exit_count, ending.reason, end.exit_code)
        failed = ending.failed or isinstance(decision, GiveUp)
        change = replace(
            change_of(task, event, "failed" if failed else "succeeded"),
            exit_code=end.exit_code,
            signal=end.signal,
            reason=ending.reason,
            error=error,
            values=end.values,
        )
        return _Foreseen(ending, decided, owed=owed_after(self._table.observers, change))

    def _correct_locked(self, task: Task, record: Run, foreseen: _Foreseen) -> None:
        """Store where what follows a run is not what was foreseen."""
        assert_held(self._table.lock)
        again = task.phase.goes_on
        if again and not foreseen.again:
            self._recorder.goes_on(record)
        elif foreseen.again and not again and not self._table.closing:
            self._recorder.called_off(record)
        if foreseen.gave_up and task.phase is not Phase.ERRORED:
            self._recorder.not_given_up(record)
        if foreseen.owed and task.outcome not in ("succeeded", "failed"):
            self._recorder.paid(record.run_id)

    def _decision_locked(self, task: Task, ending: RunEnding | None) -> tuple[Decision, RetryState]:
        """What follows a run or, with None, a failure to start one."""
        assert_held(self._table.lock)
        return decide(
            task.terms.policy,
            task.retry_state,
            now_s=time.monotonic(),
            failed=ending is None or ending.failed,
            ran_for_s=0.0 if ending is None else ending.ran_for,
            rng=self._rng,
        )

    def decide_locked(self, task: Task, foreseen: _Foreseen | None = None) -> list[Event]:
        """Move the task on after a run or, with None, after a failure to start one.

        Returns the events that :meth:`conclude_locked` announces, after that of the exit, once it has freed
        the slot, so that they are true when sent.
        """
        assert_held(self._table.lock)
        assert_held(task.lock)
        ending = None if foreseen is None else foreseen.ending
        if ending is not None and self._restarts_locked(task):
            task.move_locked(Phase.STARTING)
            return []
        closing = self._table.closing
        if closing or task.stop_request is not StopRequest.NONE or (ending is not None and ending.asked):
            _stop_locked(task, StopRequest.STOP if closing else task.stop_request)
            if ending is not None or task.phase is Phase.QUEUED:
                return []
            return [dequeued(task, "shutdown" if closing else "stopped")]
        decision, task.retry_state = (foreseen and foreseen.decided) or self._decision_locked(task, ending)
        if isinstance(decision, Restart):
            task.move_locked(Phase.WAITING)
            self._metrics.count("tasks_restarted", task.action)
            task.restart = self._timers.schedule(decision.delay_ns / 1e9, Due.RESTART, task.id)
            return [Restarting(task.id, task.last_pid, decision.delay_ns, decision.attempt, now())]
        if isinstance(decision, NoRestart) and ending is not None:
            task.move_locked(Phase.ENDED)
            return []
        task.move_locked(Phase.ERRORED)
        self._metrics.count("tasks_errored", task.action)
        task.exit_count = decision.exit_count if isinstance(decision, GiveUp) else task.retry_state.total
        if not task.error_message:
            exit_code = -1 if ending is None else task.last.exit_code
            task.error_message = _gave_up(task.exit_count, task.last.reason, exit_code)
        return [errored(task)]

    def _restarts_locked(self, task: Task) -> bool:
        """Whether the run was stopped for an immediate restart."""
        assert_held(self._table.lock)
        return task.stop_request is StopRequest.RESTART and not self._table.closing

    def conclude_locked(self, tx: Transaction, task: Task, events: list[Event]) -> None:
        """Free the slot, unless the task keeps it, announce, and admit others. The task's lock is not
        held."""
        assert_held(self._table.lock)
        admitted: tuple[str, ...] = ()
        position = 0
        if task.phase is Phase.QUEUED:
            assert task.queued_at is not None
            requeued = self._pool.requeue(task.id, task.queued_at)
            admitted, position = requeued.admitted, requeued.position
        elif not task.phase.in_use:
            self._table.finish(task)
            admitted = self._pool.release(task.id)
        for event in events:
            tx.observe(task, event, task.outcome if event is events[-1] else "")
        with task.lock:
            for event in events:
                if isinstance(event, Dequeued):
                    self._queueing.broadcast_locked(tx, task, event)
                else:
                    task.stream.publish_locked(tx, event)
        if position:
            self._queueing.enqueued_locked(tx, task, position)
        if admitted:
            self._queueing.admit_locked(tx, admitted)

    def end_waiting_locked(self, tx: Transaction, task: Task, request: StopRequest, reason: str) -> None:
        """End a task that awaits its restart, and so has no run to stop."""
        assert_held(self._table.lock)
        with task.lock:
            _stop_locked(task, request)
            events: list[Event] = [] if task.phase is Phase.QUEUED else [dequeued(task, reason)]
        if task.record is not None and reason != "shutdown":
            self._recorder.called_off(task.record)
        self.conclude_locked(tx, task, events)


def _gave_up(count: int, reason: str, exit_code: int | None) -> str:
    last = _LAST.get(reason, f"with exit code {exit_code}")
    return f"gave up after {count} exits, the last {last}"


def _stop_locked(task: Task, request: StopRequest) -> None:
    """Move a task whose run is over and that must not restart to its queue or its end."""
    assert_held(task.lock)
    if request is StopRequest.REQUEUE:
        task.enter_queue_locked(now())
    else:
        task.move_locked(Phase.STOPPED)


def dequeued(task: Task, reason: str = "stopped") -> Dequeued:
    """The event for a task that will not start after all."""
    return Dequeued(task_id=task.id, reason=reason, ts=now())


def errored(task: Task) -> Errored:
    """The event for a task that was given up on."""
    return Errored(task_id=task.id, pid=task.last_pid, exit_count=task.exit_count, ts=now())
