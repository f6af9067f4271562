"""The values in messages, which the rest of the program works with."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from overseer.protocol.chains import Then
from overseer.protocol.declare import value
from overseer.protocol.retry_policy import RetryPolicy
from overseer.protocol.stored import RunTrigger
from overseer.protocol.words import (
    CONDITION,
    DISPLACE,
    EXCESS_ACTION,
    EXIT_REASON,
    HEALTH,
    KILL_ORDER,
    PARAM_TYPE,
    QUEUE_ORDER,
    STATUS,
    STDIN,
    TASK_STATE,
    WORKER_STATE,
)
from overseer.schema.fields import field, optional
from overseer.schema.location import quoted
from overseer.schema.objects import ListOf, MapOf, Object
from overseer.schema.quantities import COUNT, NUMBER, SECONDS, TIMESTAMP, Integer
from overseer.schema.types import BOOLEAN, TASK_ID, TEXT, TEXT_MAP


@value()
class QueueConfig:
    """How tasks wait when a pool is full."""

    enabled: bool = field(
        BOOLEAN, "Whether starts wait at all; if not, they are refused when the pool is full", default=False
    )
    size: int = field(COUNT, "How many may wait; 0: any number", default=0)
    order: str = field(QUEUE_ORDER, "Which starts next: the first that came, or the last", default="first")
    max_age: float = field(
        SECONDS,
        "Seconds a task may wait before it is dropped (dequeued, reason expired); 0: no limit",
        default=0,
    )
    displace: str = field(
        DISPLACE,
        "Which starts may displace the oldest waiting task from a full queue: any (true), only those with "
        "force (false), or none (prohibit); a forced task is never displaced",
        default="false",
    )


@value()
class ExcessConfig:
    """What happens to running tasks when a limit is lowered below their number."""

    action: str = field(
        EXCESS_ACTION,
        "What happens to them: stop, or requeue (stop, and return to the queue)",
        default="stop",
    )
    order: str = field(KILL_ORDER, "Which go: the first that were started, or the last", default="first")
    grace: float = field(SECONDS, "Seconds between the stop signal and SIGKILL", default=5)


@value()
class PoolConfig:
    """How many tasks may run at once, and what happens to the others."""

    limit: int = field(COUNT, "How many may run at once; 0: any number", default=0)
    queue: QueueConfig | None = optional(
        Object(QueueConfig), "How tasks wait when it is full; absent: as in the global pool", default=None
    )
    excess: ExcessConfig = field(
        Object(ExcessConfig), "What a lowered limit does to running tasks", default=ExcessConfig
    )


@value()
class QueueItem:
    """A task that waits in a queue."""

    task_id: str = field(TASK_ID, "The task")
    action: str = field(TEXT, "Its action")
    queued_at: datetime = field(TIMESTAMP, "Since when it has waited")
    position: int = field(COUNT, "Its place in the queue, from 0")
    forced: bool = field(BOOLEAN, "Whether it was started with force", default=False)


@value()
class PoolInfo:
    """A pool as it is now."""

    limit: int = field(COUNT, "How many may run at once; 0: any number")
    running: int = field(COUNT, "How many count as running, including those that wait for a restart")
    queue_depth: int = field(COUNT, "How many wait")
    queue_items: tuple[QueueItem, ...] = optional(
        ListOf(Object(QueueItem)), "The waiting tasks, the next one first", default=()
    )


@value()
class ParamChoice:
    """A value that a parameter may have."""

    value: str = field(TEXT, "The value", missing="it is what the parameter is given")
    title: str = optional(TEXT, "Shown to people in its place", default="")


@value()
class ParamSpec:
    """A parameter of an action; it must be given if it is null on the wire or has no ``default``."""

    default: str | None = optional(
        TEXT, "Its value when a start does not give it; without one it must be given", default=None
    )
    validate: str = optional(TEXT, "A CEL condition on value that must hold", default="")
    description: str = optional(TEXT, "What it is for, for people", default="")
    type: str = optional(
        PARAM_TYPE, "Its type; other values are refused. With `choices`, a text is a choice", default="text"
    )
    choices: tuple[ParamChoice, ...] = optional(
        ListOf(Object(ParamChoice, short="value")),
        "The only values allowed: texts, or `{value, title}` to show people a title",
        default=(),
    )
    min: int | float | None = optional(NUMBER, "The least that an integer or number may be", default=None)
    max: int | float | None = optional(NUMBER, "The most that an integer or number may be", default=None)
    pattern: str = optional(TEXT, "A regular expression (RE2's) that must match the whole value", default="")
    message: str = optional(TEXT, "The message shown when the pattern or validate is not met", default="")
    multiline: bool = optional(BOOLEAN, "Whether forms have room for several lines of text", default=False)
    allow_in_argv: bool = optional(
        BOOLEAN,
        "Whether a secret may be part of a command line, which everyone on the machine can read",
        default=False,
    )

    @property
    def values(self) -> tuple[str, ...]:
        """The values of a choice or a boolean; empty where it cannot list them."""
        if self.choices:
            return tuple(each.value for each in self.choices)
        return ("true", "false") if self.type == "boolean" else ()

    @property
    def expected(self) -> str:
        """What a value must be, to follow "must be"; of choices the first ten."""
        if self.choices:
            shown = [quoted(value) for value in self.values[:10]]
            more = len(self.values) - len(shown)
            last = f"{more} others" if more else shown.pop()
            return f"{', '.join(shown)} or {last}" if shown else last
        expected = _EXPECTED.get(self.type, "text")
        if self.min is not None and self.max is not None:
            return f"{expected} from {self.min} to {self.max}"
        if self.min is not None:
            return f"{expected}, {self.min} or more"
        return expected if self.max is None else f"{expected}, {self.max} or less"


_EXPECTED = {
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "path": "a path",
    "secret": "a secret",
}  # fmt: skip


def _is_bare(spec: ParamSpec | None) -> bool:
    return spec is None or spec == ParamSpec()


SUCCESS_CODES = (0,)
"""The exit codes of a success, where an action does not say otherwise."""


def failed(reason: str, exit_code: int | None, success_codes: Collection[int] = ()) -> bool:
    """Whether a run that ended for this ``reason`` ("": an older server does not say) with this code failed.

    ``success_codes`` are the action's; none: the usual one.
    """
    if reason in ("timeout", "oom", "unhealthy", "start_failed", "lost"):
        return True
    return exit_code is not None and exit_code not in (success_codes or SUCCESS_CODES)


@value()
class ActionInfo:
    """An action as ``describe`` shows it."""

    name: str = field(TEXT, "Its name in a start")
    type: str = field(TEXT, "The driver that runs it")
    description: str = optional(TEXT, "What it does, for people", default="")
    params: Mapping[str, ParamSpec | None] = optional(
        MapOf(Object(ParamSpec), is_null=_is_bare), "Its parameters by name; null: required", default=dict
    )
    task_pool: PoolConfig = field(Object(PoolConfig), "Its own pool", default=PoolConfig)
    retry: RetryPolicy | None = optional(
        Object(RetryPolicy), "The policy of tasks whose start gives none", default=None
    )
    dedupe_key: tuple[str, ...] = optional(
        ListOf(TEXT), "Tasks with equal values of these parameters do not run at the same time", default=()
    )
    settings: Mapping[str, str] = optional(
        TEXT_MAP,
        "How its processes are set up, by the keys of its config: cwd, env and secret_files (names only), "
        "env_file, inherit_env, umask, nice, rlimits, user, group, cgroup, stdin, pty",
        default=dict,
    )
    timeout_ms: int = optional(
        COUNT, "Milliseconds after which a run is stopped, a failure; absent: never", default=0
    )
    success_codes: tuple[int, ...] = optional(
        ListOf(Integer(None)), "The exit codes of a success; absent: only 0", default=()
    )
    on_boot: str = optional(
        TEXT,
        "resume: a task that was running or queued when the server ended is started again by the next",
        default="",
    )
    ready: str = optional(TEXT, "When a run counts as ready, in words; absent: not configured", default="")
    health: str = optional(
        TEXT, "How the health of its runs is probed, in words; absent: it is not", default=""
    )
    then: Then | None = optional(Object(Then), "What is started when one of its tasks is over", default=None)
    title: str = optional(TEXT, "What people see instead of its name", default="")
    icon: str = optional(TEXT, "Its sign: an emoji, or a name that the page knows", default="")
    group: str = optional(TEXT, "The heading that it is listed under", default="")
    confirm: str = optional(TEXT, "What to ask people, not programs, before a start", default="")
    hidden: bool = optional(BOOLEAN, "Whether it is left out of lists for people", default=False)


@value(kw_only=True)
class TaskInfo:
    """A task as ``list`` shows it."""

    task_id: str = field(TASK_ID, "The task")
    action: str = field(TEXT, "Its action")
    params: Mapping[str, str] = optional(TEXT_MAP, "The parameters of its start", default=dict)
    queued_at: datetime | None = optional(TIMESTAMP, "Since when it has waited in a queue", default=None)
    state: str = field(TASK_STATE, "Its state")
    status: str = optional(STATUS, "What it is, in one word; absent: the server is older", default="")
    waiting_on: tuple[str, ...] = optional(
        ListOf(TEXT),
        'What it waits for: tasks that you may see; "cluster": a place to run on, while active without a pid',
        default=(),
    )
    host: str = optional(TEXT, "The machine of its latest run; absent: the server's own", default="")
    retry_policy: RetryPolicy | None = optional(Object(RetryPolicy), "The policy it follows", default=None)
    current_pid: int = optional(COUNT, "Its process while one runs", default=0)
    worker_state: str = optional(WORKER_STATE, "Absent while it is being started", default="")
    restart_count: int = field(COUNT, "Restarts attempted so far", default=0)
    created_at: datetime = field(TIMESTAMP, "When its start was accepted")
    last_started_at: datetime | None = optional(TIMESTAMP, "When its latest run began", default=None)
    last_exited_at: datetime | None = optional(TIMESTAMP, "When its latest exit was", default=None)
    last_exit_code: int | None = optional(
        Integer(None),
        "The exit code of its latest exit; -1: ended by a signal; absent: none yet",
        default=None,
    )
    error_message: str = optional(TEXT, "Why it could not be started, if it could not", default="")
    last_signal: str = optional(TEXT, "The signal that ended its latest run, such as SIGKILL", default="")
    output_evicted: bool = optional(
        BOOLEAN,
        "Whether some of its stored output was dropped to keep the server within limits.memory",
        default=False,
    )
    reason: str = optional(EXIT_REASON, "Why its latest finished run ended", default="")
    duration_ms: int | None = optional(
        COUNT, "Milliseconds that its latest finished run took; absent: none yet", default=None
    )
    cpu_ms: int | None = optional(COUNT, "Milliseconds of CPU that it used; absent: not known", default=None)
    max_rss: int | None = optional(
        COUNT, "The most memory that it had, in bytes; absent: not known", default=None
    )
    success_codes: tuple[int, ...] = optional(
        ListOf(Integer(None)), "The exit codes of a success; absent: only 0", default=()
    )
    stdin: str = optional(
        STDIN, "How its run takes input; absent: it takes none, or does not run", default=""
    )
    ready: bool | None = optional(
        BOOLEAN, "Whether it runs and is ready; absent: its action does not say when", default=None
    )
    health: str = optional(HEALTH, "Of its run; absent: it does not run, or is not probed", default="")
    trigger: RunTrigger | None = optional(
        Object(RunTrigger), "What it was started by, if not by a client", default=None
    )

    @property
    def failed(self) -> bool:
        """Whether its latest finished run failed."""
        return failed(self.reason, self.last_exit_code, self.success_codes)


@value()
class GraphNode:
    """A standing task: one that the configuration names."""

    task_id: str = field(TASK_ID, "The task")
    action: str = field(TEXT, "Its action")
    status: str = optional(STATUS, "What it is; absent: it has not been started", default="")
    autostart: str = field(
        TEXT, "true: it is started with the server; last: if it was running then", default="false"
    )


@value()
class GraphEdge:
    """A dependency between standing tasks."""

    task_id: str = field(TASK_ID, "The task that waits")
    depends_on: str = field(TASK_ID, "The one that it waits for")
    condition: str = field(CONDITION, "What it waits for")
    met: bool = field(BOOLEAN, "Whether that is so now")


@value()
class TaskMetrics:
    """Counters of one task."""

    output_lines: int = field(COUNT, "Lines of output that passed the filters", default=0)
    restart_count: int = field(COUNT, "Restarts attempted so far", default=0)
    runtime_ms: int = field(COUNT, "Milliseconds its processes have run, all runs together", default=0)
    last_exit_code: int | None = field(
        Integer(None), "The exit code of its latest exit; null: none yet", default=None
    )


@value()
class TaskUsage:
    """What all processes of a running task use together."""

    task_id: str = field(TASK_ID, "The task")
    cpu: float | None = optional(
        NUMBER, "CPU since the previous pass, in percent of one core; absent in the first pass", default=None
    )
    rss: int = field(COUNT, "Memory, in bytes; what processes share is counted for each of them", default=0)
    processes: int = field(COUNT, "How many processes it has", default=0)
    threads: int = field(COUNT, "How many threads they have", default=0)
    read_bytes: int | None = optional(
        COUNT, "Bytes read from disks since its run began; absent: not known", default=None
    )
    write_bytes: int | None = optional(
        COUNT, "Bytes written to disks since its run began; absent: not known", default=None
    )


@value()
class ActionMetrics:
    """Counters since the server started, of one action."""

    tasks_started: int = field(COUNT, "First starts", default=0)
    tasks_completed: int = field(COUNT, "Exits of runs, with any code", default=0)
    tasks_errored: int = field(COUNT, "Tasks that became errored", default=0)
    tasks_restarted: int = field(COUNT, "Restarts scheduled", default=0)
    total_output_lines: int = field(COUNT, "Lines of output that passed the filters", default=0)


@value()
class GlobalMetrics(ActionMetrics):
    """Counters since the server started, over all actions."""

    enqueued: int = field(COUNT, "Tasks that had to wait", default=0)
    dequeued: int = field(COUNT, "Tasks that left a queue, to start or for another reason", default=0)
    displaced: int = field(COUNT, "Waiting tasks that lost their place to another", default=0)
    expired: int = field(COUNT, "Waiting tasks that waited too long", default=0)
