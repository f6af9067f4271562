"""The values that messages are made of, and that the rest of the program works with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from overseer.messages.declare import MapOf, Object, wire
from overseer.messages.kinds import (
    BOOLEAN,
    DURATION,
    SECONDS,
    TASK_ID,
    TEXT,
    TEXT_MAP,
    TIMESTAMP,
    Choice,
    Integer,
    ListOf,
)

__all__ = [
    "CHOICES",
    "COUNT",
    "DISPLACE_POLICIES",
    "EXCESS_ACTIONS",
    "ORDERS",
    "STREAM",
    "VALUES",
    "ActionInfo",
    "ActionMetrics",
    "ExcessConfig",
    "GlobalMetrics",
    "ParamSpec",
    "PoolConfig",
    "PoolInfo",
    "QueueConfig",
    "QueueItem",
    "RetryPolicy",
    "TaskInfo",
    "TaskMetrics",
]

COUNT = Integer()
ORDERS = ("first", "last")
EXCESS_ACTIONS = ("stop", "requeue")
DISPLACE_POLICIES = ("false", "true", "prohibit")

_TASK_STATE = Choice(
    "active", "stopped", "errored", "queued", ref="TaskState",
    description="active: running, awaiting a restart, or ended by itself; stopped: ended on request; "
    "errored: failed too often, awaits a reset; queued: waits for a place in its pool",
)  # fmt: skip
_WORKER_STATE = Choice("running", "exited", ref="WorkerState", description="Whether its latest run goes on")
STREAM = Choice("stdout", "stderr", ref="Stream", description="Where a line of output came from")
_QUEUE_ORDER = Choice(*ORDERS, ref="QueueOrder", description="Who starts next: who came first, or last")
_EXCESS_ACTION = Choice(
    *EXCESS_ACTIONS, ref="ExcessAction",
    description="What becomes of running tasks above a lowered limit: stopped for good, or queued again",
)  # fmt: skip
_KILL_ORDER = Choice(*ORDERS, ref="KillOrder", description="Who goes: who runs longest (first), or shortest")
_DISPLACE = Choice(
    *DISPLACE_POLICIES, ref="DisplacePolicy",
    description="Whether a queued task yields its place in a full queue: false: only to a forced start; "
    "true: to any; prohibit: never",
)  # fmt: skip
_RESTART_ON = Choice("any", "failure")

CHOICES = (_TASK_STATE, _WORKER_STATE, STREAM, _QUEUE_ORDER, _EXCESS_ACTION, _KILL_ORDER, _DISPLACE)
"""The words that the manifest lists as types of their own."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When and how a task is started again after an exit that nobody asked for."""

    # Durations are whole nanoseconds here.
    restart_delay: int = wire(DURATION, "How long to wait before a restart", default=0, omit=True)
    restart_jitter: int = wire(
        DURATION, "Up to this much is added to the delay, at random", default=0, omit=True
    )
    error_window: int = wire(DURATION, "Only exits this recent count; 0 counts all", default=0, omit=True)
    error_threshold: int = wire(
        COUNT, "As many counted exits make the task errored; 0: never", default=0, omit=True
    )
    restart_on: str = wire(
        _RESTART_ON,
        "any: every unasked exit; failure: only one with a code other than 0",
        default="",
        omit=True,
    )

    @property
    def empty(self) -> bool:
        """Whether no field is set."""
        return self == _NO_RETRY

    def merged_over(self, base: RetryPolicy) -> RetryPolicy:
        """This policy with what it leaves unset (zero, empty) taken from ``base``."""
        return RetryPolicy(
            restart_delay=self.restart_delay or base.restart_delay,
            restart_jitter=self.restart_jitter or base.restart_jitter,
            error_window=self.error_window or base.error_window,
            error_threshold=self.error_threshold or base.error_threshold,
            restart_on=self.restart_on or base.restart_on,
        )


_NO_RETRY = RetryPolicy()


@dataclass(frozen=True, slots=True)
class QueueConfig:
    """How tasks wait when a pool is full."""

    enabled: bool = wire(BOOLEAN, "Whether tasks may wait at all", default=False)
    size: int = wire(COUNT, "How many may wait; 0: any number", default=0)
    order: str = wire(_QUEUE_ORDER, "Who starts next", default="first")
    max_age: float = wire(SECONDS, "Seconds a task may wait; 0: for ever", default=0)
    displace: str = wire(_DISPLACE, "Whether a waiting task may lose its place to a new one", default="false")


@dataclass(frozen=True, slots=True)
class ExcessConfig:
    """What becomes of running tasks when a limit is lowered below their number."""

    action: str = wire(_EXCESS_ACTION, "Stop them, or stop and queue them again", default="stop")
    order: str = wire(_KILL_ORDER, "Which of them go first", default="first")
    grace: float = wire(SECONDS, "Seconds between SIGTERM and SIGKILL", default=5)


@dataclass(frozen=True, slots=True)
class PoolConfig:
    """How many tasks may run at once and what becomes of the others."""

    limit: int = wire(COUNT, "How many may run at once; 0: any number", default=0)
    queue: QueueConfig | None = wire(
        Object(QueueConfig), "How others wait; absent: as the global pool says", default=None, omit=True
    )
    excess: ExcessConfig = wire(
        Object(ExcessConfig), "What a lowered limit does to those that run", factory=ExcessConfig
    )


@dataclass(frozen=True, slots=True)
class QueueItem:
    """A task that waits."""

    task_id: str = wire(TASK_ID, "The task")
    action: str = wire(TEXT, "Its action")
    queued_at: datetime = wire(TIMESTAMP, "Since when it waits")
    position: int = wire(COUNT, "Its place in the queue, from 0")
    forced: bool = wire(BOOLEAN, "Whether it was started with force", default=False)


@dataclass(frozen=True, slots=True)
class PoolInfo:
    """A pool as it is now."""

    limit: int = wire(COUNT, "How many may run at once; 0: any number")
    running: int = wire(COUNT, "How many count as running, those that await a restart included")
    queue_depth: int = wire(COUNT, "How many wait")
    queue_items: tuple[QueueItem, ...] = wire(
        ListOf(Object(QueueItem)), "Those that wait, the next one first", default=(), omit=True
    )


@dataclass(frozen=True, slots=True)
class ParamSpec:
    """What an action's parameter may be; null on the wire, or without ``default``, it must be given."""

    default: str | None = wire(TEXT, "What it is when not given", default=None, omit=True)
    validate: str = wire(TEXT, "A CEL condition on value, which must hold", default="", omit=True)


def _is_bare(spec: ParamSpec | None) -> bool:
    return spec is None or (spec.default is None and not spec.validate)


@dataclass(frozen=True, slots=True)
class ActionInfo:
    """An action as ``describe`` shows it."""

    name: str = wire(TEXT, "What start calls it")
    type: str = wire(TEXT, "The driver behind it")
    description: str = wire(TEXT, "What it does, for people", default="", omit=True)
    params: Mapping[str, ParamSpec | None] = wire(
        MapOf(ParamSpec, _is_bare), "Its parameters by name; null: required", factory=dict, omit=True
    )
    task_pool: PoolConfig = wire(Object(PoolConfig), "Its own pool", factory=PoolConfig)
    retry: RetryPolicy | None = wire(
        Object(RetryPolicy), "The policy of runs whose start gives none", default=None, omit=True
    )
    dedupe_key: tuple[str, ...] = wire(
        ListOf(TEXT), "Two tasks with these parameters equal are not run at once", default=(), omit=True
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskInfo:
    """A task as ``list`` shows it."""

    task_id: str = wire(TASK_ID, "The task")
    action: str = wire(TEXT, "Its action")
    params: Mapping[str, str] = wire(TEXT_MAP, "The parameters of its start", factory=dict, omit=True)
    queued_at: datetime | None = wire(TIMESTAMP, "Since when it waits in a queue", default=None, omit=True)
    state: str = wire(_TASK_STATE, "Where in its life it is")
    retry_policy: RetryPolicy | None = wire(
        Object(RetryPolicy), "The policy it follows", default=None, omit=True
    )
    current_pid: int = wire(COUNT, "Its process while one runs", default=0, omit=True)
    worker_state: str = wire(_WORKER_STATE, "Absent until its first start", default="", omit=True)
    restart_count: int = wire(COUNT, "Restarts attempted so far", default=0)
    created_at: datetime = wire(TIMESTAMP, "When its start was accepted")
    last_started_at: datetime | None = wire(TIMESTAMP, "When its latest run began", default=None, omit=True)
    last_exited_at: datetime | None = wire(TIMESTAMP, "When its latest exit was", default=None, omit=True)
    last_exit_code: int | None = wire(
        Integer(None), "Of its latest exit; -1: ended by a signal; absent: none yet", default=None, omit=True
    )
    error_message: str = wire(TEXT, "Why it could not be started, when it could not", default="", omit=True)


@dataclass(frozen=True, slots=True)
class GlobalMetrics:
    """Counters since the server started, over all actions."""

    tasks_started: int = wire(COUNT, "First starts", default=0)
    tasks_completed: int = wire(COUNT, "Exits of runs, whatever their code", default=0)
    tasks_errored: int = wire(COUNT, "Tasks that became errored", default=0)
    tasks_restarted: int = wire(COUNT, "Restarts scheduled", default=0)
    total_output_lines: int = wire(COUNT, "Lines of output that passed the filters", default=0)
    enqueued: int = wire(COUNT, "Tasks that had to wait", default=0)
    dequeued: int = wire(COUNT, "Tasks that left a queue, to start or otherwise", default=0)
    displaced: int = wire(COUNT, "Waiting tasks that lost their place to another", default=0)
    expired: int = wire(COUNT, "Waiting tasks that waited too long", default=0)


@dataclass(frozen=True, slots=True)
class ActionMetrics:
    """Counters since the server started, of one action."""

    tasks_started: int = wire(COUNT, "First starts", default=0)
    tasks_completed: int = wire(COUNT, "Exits of runs, whatever their code", default=0)
    tasks_errored: int = wire(COUNT, "Tasks that became errored", default=0)
    tasks_restarted: int = wire(COUNT, "Restarts scheduled", default=0)
    total_output_lines: int = wire(COUNT, "Lines of output that passed the filters", default=0)


@dataclass(frozen=True, slots=True)
class TaskMetrics:
    """Counters of one task."""

    output_lines: int = wire(COUNT, "Lines of output that passed the filters", default=0)
    restart_count: int = wire(COUNT, "Restarts attempted so far", default=0)
    runtime_ms: int = wire(COUNT, "Milliseconds its processes have run, all runs together", default=0)
    last_exit_code: int | None = wire(Integer(None), "Of its latest exit; null: none yet", default=None)


VALUES = (
    RetryPolicy,
    QueueConfig,
    ExcessConfig,
    PoolConfig,
    QueueItem,
    PoolInfo,
    ParamSpec,
    ActionInfo,
    TaskInfo,
    TaskMetrics,
    ActionMetrics,
    GlobalMetrics,
)
"""Every class above, in the order the documents list them."""
