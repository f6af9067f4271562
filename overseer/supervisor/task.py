"""One task: its state, and the legal steps between phases.

What clients are shown of a task changes only with both the hub's lock and the task's held, so either suffices
to read it. Fields marked "hub's lock" are guarded by that alone; the stream (output and subscribers) by the
task's alone, since output never takes the hub's.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import InitVar, dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from overseer.auth.rights import ANYONE, Principal
from overseer.config.parameters import without_hidden
from overseer.history.records import Run, Trigger
from overseer.protocol import Error, Event, RetryPolicy, RunTrigger, TaskInfo, TaskMetrics, failed
from overseer.supervisor.clients import Client, DeferredFlush
from overseer.supervisor.definitions import Terms
from overseer.supervisor.memory_use import MemoryUse
from overseer.supervisor.metrics import Metrics
from overseer.supervisor.output.encode import TaskRow, task_row
from overseer.supervisor.output.publisher import Stream
from overseer.supervisor.phases import NEXT, LastRun, Phase, RunEnding, RunExit, StopRequest
from overseer.supervisor.retry import RetryState
from overseer.supervisor.waits import Waits, hidden_of
from overseer.util.jsonlog import EventLog
from overseer.util.locks import Rank, assert_held, lock
from overseer.util.timers import Timer
from overseer.util.timestamps import now
from overseer.workers.base import Worker

if TYPE_CHECKING:
    from overseer.logs.store import Logs


@dataclass(frozen=True, slots=True)
class Requester:
    """The origin of a request; its client, if any, gets the reply."""

    client: Client | None = None
    request_id: str = ""
    newly_subscribed: bool = False  # by this request; undone if it is refused after all
    cause: Trigger | None = None  # the origin, if not a client
    warnings: tuple[str, ...] = ()  # for the answer to its start

    @property
    def principal(self) -> Principal:
        return ANYONE if self.client is None else self.client.principal

    @property
    def trigger(self) -> Trigger:
        """The trigger that the history records for a run."""
        return self.cause or Trigger("client", self.principal.name)

    def tell(self, out: DeferredFlush, reply: Event) -> None:
        """Append the reply; call it in the critical section that read the state it shows."""
        if self.client is not None:
            out.send(self.client, reply)

    def refuse(
        self,
        out: DeferredFlush,
        message: str,
        existing_task_id: str = "",
        param: str = "",
        code: str = "refused",
    ) -> None:
        """Append the ``error`` reply; call it in the critical section that refuses."""
        self.tell(out, Error(self.request_id, message, existing_task_id, param, code))


NOBODY = Requester()
"""Gets no reply."""
_NONE_YET = LastRun()


@dataclass(eq=False, slots=True)
class Task:
    """The state of one task; see the module for what guards it."""

    # What list says; None: not known since the last change of anything.
    _encoded_info: TaskRow | None = field(default=None, init=False)
    id: str
    action: str
    terms: Terms
    metrics: InitVar[Metrics]
    log: EventLog
    hub_lock: threading.Lock
    requester: Requester = NOBODY  # hub's lock
    asked_policy: RetryPolicy | None = None  # given by its start
    memory: MemoryUse = field(default_factory=MemoryUse)  # shared by all tasks
    logs: InitVar[Logs | None] = None
    trigger: Trigger = field(init=False)  # of its latest requested start; hub's lock
    record: Run | None = None  # of its latest run, if runs are recorded; hub's lock
    phase: Phase = Phase.STARTING
    created_at: datetime = field(default_factory=now)
    queued_at: datetime | None = None
    queued_since: float = 0.0  # the same, monotonic
    worker: Worker | None = None
    pending: Worker | None = None  # its start was accepted, but it has not begun; see ``waiting_on``
    host: str = ""  # the machine that its latest run runs on; "": this one
    stdin: str = ""  # how its run takes input; "": not at all
    last_pid: int = 0  # of the latest run
    # The tasks that it waits for, while it is queued for that; or what a run waits for that is being started.
    waiting_on: tuple[str, ...] = ()
    ready: bool | None = None  # whether its run is ready; None: nothing says so
    health: str = ""  # of its run; "": nothing says so
    found_at: datetime | None = None  # when either was last found out
    stop_request: StopRequest = StopRequest.NONE  # hub's lock
    # The graces of stops that came while a run was being started; None: its policy's. Hub's lock.
    graces: list[float | None] = field(default_factory=list)
    end_reason: str = ""  # why the run is being stopped (the first cause), or "". Hub's lock.
    # The phase to return to if its reset, or its restart after its end, fails; hub's lock.
    before_reset: tuple[Terms, Phase] | None = None
    onlookers: set[Client] = field(default_factory=set)  # clients that heard of its reset; hub's lock
    exit_count: int = 0  # as in its ``errored``
    # Starts begun. The latest number is the generation that callbacks are checked against. Hub's lock.
    runs: int = 0
    run_id: str = ""  # of the latest run, or of a start since that failed; hub's lock
    restart_count: int = 0
    retry_state: RetryState = field(default_factory=RetryState)
    restart: Timer | None = None  # the one awaited, while it is WAITING
    timeout: Timer | None = None  # for the current run
    last_started_at: datetime | None = None
    last: LastRun = _NONE_YET
    start_failed: bool = False  # whether its latest run could not be started; hub's lock
    error_message: str = ""
    output_evicted: bool = False  # stored output was evicted for memory
    began: float = 0.0  # monotonic start of the current run
    ran_for: float = 0.0  # seconds, sum of all finished runs
    counted: Counter[Phase] | None = None  # counts its phase while it is in the table; hub's lock
    moved: set[str] | None = None  # the table's, of ids whose phase has changed
    noted: Callable[[Task, TaskRow], None] | None = None  # called when what list said may have changed
    lock: threading.Lock = field(init=False)
    stream: Stream = field(init=False)

    def __post_init__(self, metrics: Metrics, logs: Logs | None) -> None:
        self.trigger = self.requester.trigger
        self.lock = lock(Rank.TASK, f"task {self.id}")
        self.stream = Stream(self.id, self.action, self.lock, metrics, self.log, self.memory, logs)

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
        row = self._encoded_info
        if row is not None and name != "_encoded_info":
            object.__setattr__(self, "_encoded_info", None)
            if self.noted is not None:
                self.noted(self, row)

    def __repr__(self) -> str:
        return f"<Task {self.id} {self.action} {self.phase.name} run {self.runs}>"

    @property
    def params(self) -> Mapping[str, str]:
        """Its parameters, with their secrets."""
        return self.terms.params

    @property
    def params_size(self) -> int:
        """How many characters the names and values of its parameters have."""
        return sum(len(name) + len(value) for name, value in self.params.items())

    @property
    def secrets(self) -> list[str]:
        """The parameter values that are shown to nobody."""
        return [self.params[name] for name in self.terms.hidden]

    @property
    def depends_on(self) -> Mapping[str, str]:
        """The tasks that it waits for before it starts, and for what."""
        return self.terms.standing.depends_on if self.terms.standing is not None else {}

    def ask_for(self, requester: Requester) -> None:
        """Make ``requester`` the origin of its next run, to be sent the outcome; hub's lock."""
        self.requester = requester
        self.trigger = requester.trigger

    def next_run(self) -> None:
        """Go on to another run, which nobody has asked to end; hub's lock."""
        self.runs += 1
        self.stop_request = StopRequest.NONE
        self.graces = []
        self.end_reason = ""

    def move_locked(self, phase: Phase) -> None:
        """Step to another phase.

        Raises:
            RuntimeError: an illegal step, which is a bug.
        """
        assert_held(self.lock)
        if phase not in NEXT[self.phase]:
            raise RuntimeError(f"{self!r} cannot become {phase.name}")
        if self.counted is not None:
            self.counted[self.phase] -= 1
            self.counted[phase] += 1
        if self.moved is not None:
            self.moved.add(self.id)
        if Phase.QUEUED in (self.phase, phase):
            self.memory.params_changed(self.params_size if phase is Phase.QUEUED else -self.params_size)
        if self.restart is not None:
            self.restart.cancel()
            self.restart = None
        self.phase = phase

    def enter_queue_locked(self, at: datetime) -> None:
        """Record that it is queued from ``at`` (now) on."""
        assert_held(self.lock)
        self.move_locked(Phase.QUEUED)
        self.queued_at = at
        self.queued_since = time.monotonic()

    def begin_run_locked(self, worker: Worker, pid: int, at: datetime, stdin: str) -> None:
        """Record that ``worker`` runs it now; the other values were checked before."""
        assert_held(self.lock)
        if self.phase is Phase.RESETTING:
            self.retry_state = RetryState()
        self.move_locked(Phase.RUNNING)
        self.worker = worker
        self.host = worker.host
        self.waiting_on = ()
        self.stdin = stdin
        self.last_pid = pid
        self.last_started_at = at
        self.began = time.monotonic()
        self.error_message = ""
        self.start_failed = False
        if self.last.values:
            self.last = replace(self.last, values={})
        config = self.terms.definition.config
        self.ready = None if config.ready is None else False
        self.health = "" if config.health is None else "starting"
        self.stream.run = self.runs

    def ending_locked(self, end: RunExit) -> RunEnding:
        """How the run, which is over, ended; it accepts no more output."""
        assert_held(self.lock)
        self.stream.run = None
        forced = self.end_reason in ("timeout", "unhealthy")
        asked = not forced and (end.intentional or self.stop_request is not StopRequest.NONE)
        if end.lost:
            by_itself = "lost"
        elif end.ran_out_of_memory:
            by_itself = "oom"
        else:
            by_itself = "signal" if end.signal else "exited"
        reason = self.end_reason or ("stopped" if asked else by_itself)
        codes = self.terms.definition.config.success_codes
        ran_for = time.monotonic() - self.began
        return RunEnding(asked, reason, failed(reason, end.exit_code, codes), ran_for)

    def end_run_locked(self, end: RunExit, ending: RunEnding) -> None:
        """Record that the run is over."""
        assert_held(self.lock)
        if self.timeout is not None:
            self.timeout.cancel()
            self.timeout = None
        self.ready = None if self.ready is None else False
        self.health = ""
        self.ran_for += ending.ran_for
        self.last = LastRun(
            end.at,
            end.exit_code,
            end.signal,
            ending.reason,
            ending.duration_ms,
            end.cpu_ms,
            end.max_rss,
            end.values,
        )
        if ending.reason == "lost":
            self.error_message = end.lost

    def info_locked(self) -> TaskInfo:
        """Its row in ``list``."""
        assert_held(self.lock, self.hub_lock)
        running = self.phase is Phase.RUNNING
        last = self.last
        had_run = last.at is not None and not self.phase.launching
        return TaskInfo(
            task_id=self.id,
            action=self.action,
            params=without_hidden(self.params, self.terms.hidden),
            queued_at=self.queued_at if self.phase is Phase.QUEUED else None,
            state=self.phase.state,
            trigger=RunTrigger(self.trigger.type, self.trigger.listed)
            if self.trigger.type != "client"
            else None,
            status=self.status,
            waiting_on=self.waiting_on,
            host=self.host if running or had_run else "",
            retry_policy=self.terms.policy,
            current_pid=self.last_pid if running else 0,
            worker_state="running" if running else "exited" if had_run else "",
            restart_count=self.restart_count,
            created_at=self.created_at,
            last_started_at=self.last_started_at,
            last_exited_at=last.at,
            last_exit_code=last.exit_code,
            error_message=self.error_message,
            last_signal=last.signal,
            output_evicted=self.output_evicted,
            reason=last.reason,
            duration_ms=last.duration_ms,
            cpu_ms=last.cpu_ms,
            max_rss=last.max_rss,
            success_codes=self.terms.definition.config.success_codes,
            stdin=self.stdin if running else "",
            ready=self.ready,
            health=self.health,
        )

    @property
    def live_worker(self) -> Worker | None:
        """That of the run there is, or of one that waits to begin."""
        return self.worker if self.phase is Phase.RUNNING else self.pending

    @property
    def status(self) -> str:
        """What it is, in the word that clients are shown."""
        match self.phase:
            case Phase.RUNNING:  # first, as most are asked for
                return "ready" if self.ready else "running"
            case Phase.QUEUED:
                return "waiting" if self.waiting_on else "queued"
            case Phase.WAITING:
                return "restarting"
            case Phase.ENDED:
                return "failed" if self.failed else "succeeded"
            case Phase.STOPPED | Phase.ERRORED:
                return self.phase.state
            case Phase.STARTING if self.waiting_on:
                return "waiting"
            case _:
                return "running"

    @property
    def failed(self) -> bool:
        """Whether its latest run that is over failed."""
        codes = self.terms.definition.config.success_codes
        return failed(self.last.reason, self.last.exit_code, codes)

    @property
    def outcome(self) -> str:
        """What became of it, as :class:`Change` has it; "": it is not over, or will go on."""
        match self.phase:
            case Phase.ENDED:
                return "failed" if self.failed else "succeeded"
            case Phase.ERRORED:
                return "failed"
            case Phase.STOPPED:
                return "stopped"
        return ""

    @property
    def is_encoded(self) -> bool:
        """Whether :meth:`encoded_info_locked` has nothing to do."""
        return self._encoded_info is not None

    def encoded_info_locked(self) -> TaskRow:
        """The row as JSON, cached until something changes."""
        assert_held(self.lock, self.hub_lock)
        row = self._encoded_info
        if row is None:
            row = self._encoded_info = task_row(self.info_locked())
        return row

    @property
    def waits(self) -> Waits:
        """The tasks that it waits for, each with its action; "": the configuration no longer has it."""
        if not self.waiting_on or self.phase is not Phase.QUEUED:  # what a start waits for is no task
            return ()
        tasks = self.terms.definition.origin.tasks
        return tuple((name, tasks[name].action if name in tasks else "") for name in self.waiting_on)

    def waiting_on_for(self, principal: Principal) -> tuple[str, ...]:
        """What it waits for, as far as ``principal`` may see that."""
        hidden = hidden_of(self.waits, principal)
        return tuple(name for name in self.waiting_on if name not in hidden)

    def row_for_locked(self, principal: Principal) -> TaskRow:
        """:meth:`encoded_info_locked`, as far as ``principal`` may see it."""
        assert_held(self.lock, self.hub_lock)
        if not hidden_of(self.waits, principal):
            return self.encoded_info_locked()
        return task_row(replace(self.info_locked(), waiting_on=self.waiting_on_for(principal)))

    def touched_locked(self) -> datetime:
        """The latest of creation, last start, last exit, and what was found out of it since; a clock set back
        may have turned their order."""
        assert_held(self.lock, self.hub_lock)
        moments = (self.created_at, self.last_started_at, self.last.at, self.found_at)
        return max(moment for moment in moments if moment is not None)

    def metrics_locked(self) -> TaskMetrics:
        """Its ``metrics``; a current run counts."""
        assert_held(self.lock)
        seconds = self.ran_for
        if self.phase is Phase.RUNNING:
            seconds += time.monotonic() - self.began
        return TaskMetrics(
            output_lines=self.stream.last_seq - self.stream.base_seq,
            restart_count=self.restart_count,
            runtime_ms=int(seconds * 1000),
            last_exit_code=self.last.exit_code,
        )
