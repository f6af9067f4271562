"""The values that messages are made of, and that the rest of the program works with."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import TypeAlias, TypeVar, dataclass_transform

from overseer.schema.fields import Declared, declared, field, fields_of
from overseer.schema.objects import ListOf, MapOf, Object
from overseer.schema.quantities import COUNT, DURATION, SECONDS, TIMESTAMP, Integer, Number
from overseer.schema.types import BOOLEAN, TASK_ID, TEXT, TEXT_MAP, Choice
from overseer.util.durations import nanoseconds

Duration: TypeAlias = int | str | timedelta
"""Whole nanoseconds, Go's text such as ``"5s"``, or a timedelta."""

ORDERS = ("first", "last")
EXCESS_ACTIONS = ("stop", "requeue")
DISPLACE_POLICIES = ("false", "true", "prohibit")

_TASK_STATE = Choice(
    "active", "stopped", "errored", "queued", ref="TaskState",
    description="active: running, awaiting a restart, or ended by itself; stopped: ended on request; "
    "errored: failed too often, waits for a reset; queued: waits for a slot in its pool",
)  # fmt: skip
_WORKER_STATE = Choice(
    "running", "exited", ref="WorkerState", description="Whether its latest run is still going on"
)
EXIT_REASON = Choice(
    "exited", "signal", "timeout", "stopped", "oom", "unhealthy", "start_failed", "lost", "shutdown",
    ref="ExitReason",
    description="Why a run ended: exited: by itself, with a code; signal: a signal ended it that nobody here "
    "asked for; timeout: it lasted longer than its action allows; stopped: it was asked to, by a stop, a "
    "restart or a lowered limit; shutdown: with the server; oom: it used more memory than it may; unhealthy: "
    "its health checks failed; start_failed: it could not be started; lost: nobody knows",
)  # fmt: skip
STREAM = Choice("stdout", "stderr", ref="Stream", description="Where a line of output came from")
_QUEUE_ORDER = Choice(
    *ORDERS, ref="QueueOrder", description="Which task starts next: the first that came, or the last"
)
_EXCESS_ACTION = Choice(
    *EXCESS_ACTIONS, ref="ExcessAction",
    description="What becomes of running tasks above a lowered limit: stopped for good, or queued again",
)  # fmt: skip
_KILL_ORDER = Choice(
    *ORDERS, ref="KillOrder", description="Which tasks go: those that have run longest (first), or shortest"
)
_DISPLACE = Choice(
    *DISPLACE_POLICIES, ref="DisplacePolicy", booleans=True,
    description="Whether a queued task yields its place in a full queue: false: only to a forced start; "
    "true: to any; prohibit: never",
)  # fmt: skip
_RESTART_ON = Choice("any", "failure")

CHOICES = (
    _TASK_STATE,
    _WORKER_STATE,
    EXIT_REASON,
    STREAM,
    _QUEUE_ORDER,
    _EXCESS_ACTION,
    _KILL_ORDER,
    _DISPLACE,
)
"""The words that the manifest lists as types of their own."""


VALUES: list[type[Declared]] = []
"""Every class below, in the order the documents list them."""

_T = TypeVar("_T", bound=Declared)


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def _value(*, init: bool = True, kw_only: bool = False) -> Callable[[type[_T]], type[_T]]:
    def register(cls: type[_T]) -> type[_T]:
        made = declared(init=init, kw_only=kw_only)(cls)
        VALUES.append(made)
        return made

    return register


@_value(init=False)
class RetryPolicy:
    """When and how a task is restarted after an exit that was not asked for."""

    # Durations are whole nanoseconds here.
    restart_delay: int = field(DURATION, "How long to wait before a restart", default=0, omit=True)
    restart_jitter: int = field(
        DURATION,
        "Up to this much is added to each delay, at random, so that many tasks do not restart at once",
        default=0,
        omit=True,
    )
    error_window: int = field(
        DURATION, "Only exits this recent count towards error_threshold; 0s counts all", default=0, omit=True
    )
    error_threshold: int = field(
        COUNT,
        "This many exits make the task errored, which is down until a reset; 0: it restarts without limit",
        default=0,
        omit=True,
    )
    restart_on: str = field(
        _RESTART_ON,
        "Which exits restart the task: failure (a code that is no success, a signal, a timeout), or any",
        default_text="`failure`",
        default="",
        omit=True,
    )
    restart_factor: float | None = field(
        Number(1),
        "Each delay is this many times the one before; absent: 1",
        default_text="`1`",
        default=None,
        omit=True,
    )
    restart_max_delay: int = field(
        DURATION, "No delay grows longer than this, jitter aside; 0s: any length", default=0, omit=True
    )
    restart_reset: int = field(
        DURATION,
        "A run that lasted this long makes the next delay the first again; 0s: none does",
        default=0,
        omit=True,
    )

    def __init__(
        self,
        restart_delay: Duration = 0,
        restart_jitter: Duration = 0,
        error_window: Duration = 0,
        error_threshold: int = 0,
        restart_on: str = "",
        restart_factor: float | None = None,
        restart_max_delay: Duration = 0,
        restart_reset: Duration = 0,
    ) -> None:
        # Durations may be given as "5s" or as a timedelta as well.
        for name, duration in (
            ("restart_delay", restart_delay),
            ("restart_jitter", restart_jitter),
            ("error_window", error_window),
            ("restart_max_delay", restart_max_delay),
            ("restart_reset", restart_reset),
        ):
            try:
                object.__setattr__(self, name, nanoseconds(duration))
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
        object.__setattr__(self, "error_threshold", error_threshold)
        object.__setattr__(self, "restart_on", restart_on)
        object.__setattr__(self, "restart_factor", restart_factor)

    @property
    def empty(self) -> bool:
        """Whether no field is set."""
        return self == _NO_RETRY

    @property
    def grows(self) -> bool:
        """Whether one delay is longer than the one before."""
        return self.restart_factor is not None and self.restart_factor > 1

    def merged_over(self, base: RetryPolicy) -> RetryPolicy:
        """This policy with what it leaves unset (zero, empty) taken from ``base``."""
        names = [each.name for each in fields_of(RetryPolicy)]
        return RetryPolicy(**{name: getattr(self, name) or getattr(base, name) for name in names})

    def delay_after(self, restarts: int) -> int:
        """The delay, in nanoseconds and without jitter, once there have been so many restarts."""
        delay = self.restart_delay
        if delay and self.grows:
            try:
                delay = round(delay * float(self.restart_factor or 1) ** restarts)
            except OverflowError:
                delay = _LONGEST_NS
        return min(delay, self.restart_max_delay or _LONGEST_NS)


_NO_RETRY = RetryPolicy()
_LONGEST_NS = 2**63 - 1  # what a duration can say


@_value()
class QueueConfig:
    """How tasks wait when a pool is full."""

    enabled: bool = field(
        BOOLEAN, "Whether starts wait at all; if not, they are refused when the pool is full", default=False
    )
    size: int = field(COUNT, "How many may wait; 0: any number", default=0)
    order: str = field(_QUEUE_ORDER, "Which starts next: the first that came, or the last", default="first")
    max_age: float = field(
        SECONDS,
        "Seconds a task may wait before it is dropped (dequeued, reason expired); 0: no limit",
        default=0,
    )
    displace: str = field(
        _DISPLACE,
        "Which starts may displace the oldest waiting task from a full queue: any (true), only those with "
        "force (false), or none (prohibit); a forced task is never displaced",
        default="false",
    )


@_value()
class ExcessConfig:
    """What becomes of running tasks when a limit is lowered below their number."""

    action: str = field(
        _EXCESS_ACTION,
        "What becomes of them: stop, or requeue (stop, and put back into the queue)",
        default="stop",
    )
    order: str = field(_KILL_ORDER, "Which go: the first that were started, or the last", default="first")
    grace: float = field(SECONDS, "Seconds between the stop signal and SIGKILL", default=5)


@_value()
class PoolConfig:
    """How many tasks may run at once and what becomes of the others."""

    limit: int = field(COUNT, "How many may run at once; 0: any number", default=0)
    queue: QueueConfig | None = field(
        Object(QueueConfig),
        "How tasks wait when it is full; absent: as in the global pool",
        default=None,
        omit=True,
    )
    excess: ExcessConfig = field(
        Object(ExcessConfig), "What a lowered limit does to running tasks", default=ExcessConfig
    )


@_value()
class QueueItem:
    """A task that waits in a queue."""

    task_id: str = field(TASK_ID, "The task")
    action: str = field(TEXT, "Its action")
    queued_at: datetime = field(TIMESTAMP, "Since when it has waited")
    position: int = field(COUNT, "Its place in the queue, from 0")
    forced: bool = field(BOOLEAN, "Whether it was started with force", default=False)


@_value()
class PoolInfo:
    """A pool as it is now."""

    limit: int = field(COUNT, "How many may run at once; 0: any number")
    running: int = field(COUNT, "How many count as running, including those that wait for a restart")
    queue_depth: int = field(COUNT, "How many wait")
    queue_items: tuple[QueueItem, ...] = field(
        ListOf(Object(QueueItem)), "The waiting tasks, the next one first", default=(), omit=True
    )


@_value()
class ParamSpec:
    """A parameter of an action; it must be given if it is null on the wire or has no ``default``."""

    default: str | None = field(
        TEXT, "Its value when a start does not give it; without one it must be given", default=None, omit=True
    )
    validate: str = field(TEXT, "A CEL condition on value that must hold", default="", omit=True)


def _is_bare(spec: ParamSpec | None) -> bool:
    return spec is None or (spec.default is None and not spec.validate)


SUCCESS_CODES = (0,)
"""The exit codes of a success, where an action does not say otherwise."""


def failed(reason: str, exit_code: int | None, success_codes: Collection[int] = ()) -> bool:
    """Whether a run that ended for this ``reason`` ("": an older server does not say) with this code failed.

    ``success_codes`` are the action's; none: the usual one.
    """
    if reason in ("timeout", "oom", "unhealthy", "start_failed", "lost"):
        return True
    return exit_code is not None and exit_code not in (success_codes or SUCCESS_CODES)


@_value()
class ActionInfo:
    """An action as ``describe`` shows it."""

    name: str = field(TEXT, "Its name in a start")
    type: str = field(TEXT, "The driver behind it")
    description: str = field(TEXT, "What it does, for people", default="", omit=True)
    params: Mapping[str, ParamSpec | None] = field(
        MapOf(Object(ParamSpec), is_null=_is_bare),
        "Its parameters by name; null: required",
        default=dict,
        omit=True,
    )
    task_pool: PoolConfig = field(Object(PoolConfig), "Its own pool", default=PoolConfig)
    retry: RetryPolicy | None = field(
        Object(RetryPolicy), "The policy of tasks whose start gives none", default=None, omit=True
    )
    dedupe_key: tuple[str, ...] = field(
        ListOf(TEXT),
        "Tasks with equal values of these parameters do not run at the same time",
        default=(),
        omit=True,
    )
    settings: Mapping[str, str] = field(
        TEXT_MAP,
        "How its processes are set up, by the keys of its config: cwd, env (names only), env_file, "
        "inherit_env, umask",
        default=dict,
        omit=True,
    )
    timeout_ms: int = field(
        COUNT, "Milliseconds after which a run is stopped, a failure; absent: never", default=0, omit=True
    )
    success_codes: tuple[int, ...] = field(
        ListOf(Integer(None)), "The exit codes of a success; absent: only 0", default=(), omit=True
    )


@_value(kw_only=True)
class TaskInfo:
    """A task as ``list`` shows it."""

    task_id: str = field(TASK_ID, "The task")
    action: str = field(TEXT, "Its action")
    params: Mapping[str, str] = field(TEXT_MAP, "The parameters of its start", default=dict, omit=True)
    queued_at: datetime | None = field(
        TIMESTAMP, "Since when it has waited in a queue", default=None, omit=True
    )
    state: str = field(_TASK_STATE, "Its state")
    retry_policy: RetryPolicy | None = field(
        Object(RetryPolicy), "The policy it follows", default=None, omit=True
    )
    current_pid: int = field(COUNT, "Its process while one runs", default=0, omit=True)
    worker_state: str = field(_WORKER_STATE, "Absent while it is being started", default="", omit=True)
    restart_count: int = field(COUNT, "Restarts attempted so far", default=0)
    created_at: datetime = field(TIMESTAMP, "When its start was accepted")
    last_started_at: datetime | None = field(TIMESTAMP, "When its latest run began", default=None, omit=True)
    last_exited_at: datetime | None = field(TIMESTAMP, "When its latest exit was", default=None, omit=True)
    last_exit_code: int | None = field(
        Integer(None),
        "The exit code of its latest exit; -1: ended by a signal; absent: none yet",
        default=None,
        omit=True,
    )
    error_message: str = field(TEXT, "Why it could not be started, if it could not", default="", omit=True)
    last_signal: str = field(
        TEXT, "The signal that ended its latest run, such as SIGKILL", default="", omit=True
    )
    output_evicted: bool = field(
        BOOLEAN,
        "Whether some of its stored output was dropped to keep the server within limits.memory",
        default=False,
        omit=True,
    )
    reason: str = field(EXIT_REASON, "Why its latest finished run ended", default="", omit=True)
    duration_ms: int | None = field(
        COUNT, "Milliseconds that its latest finished run took; absent: none yet", default=None, omit=True
    )
    success_codes: tuple[int, ...] = field(
        ListOf(Integer(None)), "The exit codes of a success; absent: only 0", default=(), omit=True
    )

    @property
    def failed(self) -> bool:
        """Whether its latest finished run failed."""
        return failed(self.reason, self.last_exit_code, self.success_codes)


@_value()
class TaskMetrics:
    """Counters of one task."""

    output_lines: int = field(COUNT, "Lines of output that passed the filters", default=0)
    restart_count: int = field(COUNT, "Restarts attempted so far", default=0)
    runtime_ms: int = field(COUNT, "Milliseconds its processes have run, all runs together", default=0)
    last_exit_code: int | None = field(
        Integer(None), "The exit code of its latest exit; null: none yet", default=None
    )


@_value()
class ActionMetrics:
    """Counters since the server started, of one action."""

    tasks_started: int = field(COUNT, "First starts", default=0)
    tasks_completed: int = field(COUNT, "Exits of runs, with any code", default=0)
    tasks_errored: int = field(COUNT, "Tasks that became errored", default=0)
    tasks_restarted: int = field(COUNT, "Restarts scheduled", default=0)
    total_output_lines: int = field(COUNT, "Lines of output that passed the filters", default=0)


@_value()
class GlobalMetrics(ActionMetrics):
    """Counters since the server started, over all actions."""

    enqueued: int = field(COUNT, "Tasks that had to wait", default=0)
    dequeued: int = field(COUNT, "Tasks that left a queue, to start or for another reason", default=0)
    displaced: int = field(COUNT, "Waiting tasks that lost their place to another", default=0)
    expired: int = field(COUNT, "Waiting tasks that waited too long", default=0)
