"""The values that messages are made of, and that the rest of the program works with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, TypeAlias

from overseer.protocol.declare import MapOf, Object, Wire
from overseer.protocol.kinds import (
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
from overseer.util.durations import nanoseconds

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
    "Duration",
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

Duration: TypeAlias = int | str | timedelta
"""Whole nanoseconds, Go's text such as ``"5s"``, or a timedelta."""

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


@dataclass(frozen=True, slots=True, init=False)
class RetryPolicy:
    """When and how a task is started again after an exit that nobody asked for."""

    # Durations are whole nanoseconds here.
    restart_delay: Annotated[int, Wire(DURATION, "How long to wait before a restart", omit=True)] = 0
    restart_jitter: Annotated[
        int, Wire(DURATION, "Up to this much is added to the delay, at random", omit=True)
    ] = 0
    error_window: Annotated[int, Wire(DURATION, "Only exits this recent count; 0 counts all", omit=True)] = 0
    error_threshold: Annotated[
        int, Wire(COUNT, "As many counted exits make the task errored; 0: never", omit=True)
    ] = 0
    restart_on: Annotated[
        str,
        Wire(_RESTART_ON, "any: every unasked exit; failure: only one with a code other than 0", omit=True),
    ] = ""

    def __init__(
        self,
        restart_delay: Duration = 0,
        restart_jitter: Duration = 0,
        error_window: Duration = 0,
        error_threshold: int = 0,
        restart_on: str = "",
    ) -> None:
        # Durations may be given as "5s" or as a timedelta as well.
        for name, duration in (
            ("restart_delay", restart_delay),
            ("restart_jitter", restart_jitter),
            ("error_window", error_window),
        ):
            try:
                object.__setattr__(self, name, nanoseconds(duration))
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
        object.__setattr__(self, "error_threshold", error_threshold)
        object.__setattr__(self, "restart_on", restart_on)

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

    enabled: Annotated[bool, Wire(BOOLEAN, "Whether tasks may wait at all")] = False
    size: Annotated[int, Wire(COUNT, "How many may wait; 0: any number")] = 0
    order: Annotated[str, Wire(_QUEUE_ORDER, "Who starts next")] = "first"
    max_age: Annotated[float, Wire(SECONDS, "Seconds a task may wait; 0: for ever")] = 0
    displace: Annotated[str, Wire(_DISPLACE, "Whether a waiting task may lose its place to a new one")] = (
        "false"
    )


@dataclass(frozen=True, slots=True)
class ExcessConfig:
    """What becomes of running tasks when a limit is lowered below their number."""

    action: Annotated[str, Wire(_EXCESS_ACTION, "Stop them, or stop and queue them again")] = "stop"
    order: Annotated[str, Wire(_KILL_ORDER, "Which of them go first")] = "first"
    grace: Annotated[float, Wire(SECONDS, "Seconds between SIGTERM and SIGKILL")] = 5


@dataclass(frozen=True, slots=True)
class PoolConfig:
    """How many tasks may run at once and what becomes of the others."""

    limit: Annotated[int, Wire(COUNT, "How many may run at once; 0: any number")] = 0
    queue: Annotated[
        QueueConfig | None,
        Wire(Object(QueueConfig), "How others wait; absent: as the global pool says", omit=True),
    ] = None
    excess: Annotated[
        ExcessConfig, Wire(Object(ExcessConfig), "What a lowered limit does to those that run")
    ] = field(default_factory=ExcessConfig)


@dataclass(frozen=True, slots=True)
class QueueItem:
    """A task that waits."""

    task_id: Annotated[str, Wire(TASK_ID, "The task")]
    action: Annotated[str, Wire(TEXT, "Its action")]
    queued_at: Annotated[datetime, Wire(TIMESTAMP, "Since when it waits")]
    position: Annotated[int, Wire(COUNT, "Its place in the queue, from 0")]
    forced: Annotated[bool, Wire(BOOLEAN, "Whether it was started with force")] = False


@dataclass(frozen=True, slots=True)
class PoolInfo:
    """A pool as it is now."""

    limit: Annotated[int, Wire(COUNT, "How many may run at once; 0: any number")]
    running: Annotated[int, Wire(COUNT, "How many count as running, those that await a restart included")]
    queue_depth: Annotated[int, Wire(COUNT, "How many wait")]
    queue_items: Annotated[
        tuple[QueueItem, ...],
        Wire(ListOf(Object(QueueItem)), "Those that wait, the next one first", omit=True),
    ] = ()


@dataclass(frozen=True, slots=True)
class ParamSpec:
    """What an action's parameter may be; null on the wire, or without ``default``, it must be given."""

    default: Annotated[str | None, Wire(TEXT, "What it is when not given", omit=True)] = None
    validate: Annotated[str, Wire(TEXT, "A CEL condition on value, which must hold", omit=True)] = ""


def _is_bare(spec: ParamSpec | None) -> bool:
    return spec is None or (spec.default is None and not spec.validate)


@dataclass(frozen=True, slots=True)
class ActionInfo:
    """An action as ``describe`` shows it."""

    name: Annotated[str, Wire(TEXT, "What start calls it")]
    type: Annotated[str, Wire(TEXT, "The driver behind it")]
    description: Annotated[str, Wire(TEXT, "What it does, for people", omit=True)] = ""
    params: Annotated[
        Mapping[str, ParamSpec | None],
        Wire(MapOf(ParamSpec, _is_bare), "Its parameters by name; null: required", omit=True),
    ] = field(default_factory=dict)
    task_pool: Annotated[PoolConfig, Wire(Object(PoolConfig), "Its own pool")] = field(
        default_factory=PoolConfig
    )
    retry: Annotated[
        RetryPolicy | None, Wire(Object(RetryPolicy), "The policy of runs whose start gives none", omit=True)
    ] = None
    dedupe_key: Annotated[
        tuple[str, ...],
        Wire(ListOf(TEXT), "Two tasks with these parameters equal are not run at once", omit=True),
    ] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskInfo:
    """A task as ``list`` shows it."""

    task_id: Annotated[str, Wire(TASK_ID, "The task")]
    action: Annotated[str, Wire(TEXT, "Its action")]
    params: Annotated[Mapping[str, str], Wire(TEXT_MAP, "The parameters of its start", omit=True)] = field(
        default_factory=dict
    )
    queued_at: Annotated[datetime | None, Wire(TIMESTAMP, "Since when it waits in a queue", omit=True)] = None
    state: Annotated[str, Wire(_TASK_STATE, "Where in its life it is")]
    retry_policy: Annotated[
        RetryPolicy | None, Wire(Object(RetryPolicy), "The policy it follows", omit=True)
    ] = None
    current_pid: Annotated[int, Wire(COUNT, "Its process while one runs", omit=True)] = 0
    worker_state: Annotated[str, Wire(_WORKER_STATE, "Absent while it is started", omit=True)] = ""
    restart_count: Annotated[int, Wire(COUNT, "Restarts attempted so far")] = 0
    created_at: Annotated[datetime, Wire(TIMESTAMP, "When its start was accepted")]
    last_started_at: Annotated[datetime | None, Wire(TIMESTAMP, "When its latest run began", omit=True)] = (
        None
    )
    last_exited_at: Annotated[datetime | None, Wire(TIMESTAMP, "When its latest exit was", omit=True)] = None
    last_exit_code: Annotated[
        int | None,
        Wire(Integer(None), "Of its latest exit; -1: ended by a signal; absent: none yet", omit=True),
    ] = None
    error_message: Annotated[str, Wire(TEXT, "Why it could not be started, when it could not", omit=True)] = (
        ""
    )
    last_signal: Annotated[
        str, Wire(TEXT, "The signal that its latest run ended by, such as SIGKILL", omit=True)
    ] = ""


@dataclass(frozen=True, slots=True)
class ActionMetrics:
    """Counters since the server started, of one action."""

    tasks_started: Annotated[int, Wire(COUNT, "First starts")] = 0
    tasks_completed: Annotated[int, Wire(COUNT, "Exits of runs, whatever their code")] = 0
    tasks_errored: Annotated[int, Wire(COUNT, "Tasks that became errored")] = 0
    tasks_restarted: Annotated[int, Wire(COUNT, "Restarts scheduled")] = 0
    total_output_lines: Annotated[int, Wire(COUNT, "Lines of output that passed the filters")] = 0


@dataclass(frozen=True, slots=True)
class GlobalMetrics(ActionMetrics):
    """Counters since the server started, over all actions."""

    enqueued: Annotated[int, Wire(COUNT, "Tasks that had to wait")] = 0
    dequeued: Annotated[int, Wire(COUNT, "Tasks that left a queue, to start or otherwise")] = 0
    displaced: Annotated[int, Wire(COUNT, "Waiting tasks that lost their place to another")] = 0
    expired: Annotated[int, Wire(COUNT, "Waiting tasks that waited too long")] = 0


@dataclass(frozen=True, slots=True)
class TaskMetrics:
    """Counters of one task."""

    output_lines: Annotated[int, Wire(COUNT, "Lines of output that passed the filters")] = 0
    restart_count: Annotated[int, Wire(COUNT, "Restarts attempted so far")] = 0
    runtime_ms: Annotated[int, Wire(COUNT, "Milliseconds its processes have run, all runs together")] = 0
    last_exit_code: Annotated[int | None, Wire(Integer(None), "Of its latest exit; null: none yet")] = None


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
