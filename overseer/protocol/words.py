"""The enumerated words in messages, for the states of tasks, runs and pools."""

from __future__ import annotations

from overseer.errors import REFUSALS
from overseer.schema.types import Choice

ORDERS = ("first", "last")
ON_LAG = Choice("block", "drop", "catch_up")
OVER = ("succeeded", "failed", "errored", "stopped", "lost")
"""The statuses of a task that is over."""

CHOICES: list[Choice] = []
"""The words that the manifest lists as types of their own."""


def _choice(*words: str, ref: str, description: str, booleans: bool = False) -> Choice:
    CHOICES.append(Choice(*words, ref=ref, description=description, booleans=booleans))
    return CHOICES[-1]


TASK_STATE = _choice(
    "active", "stopped", "errored", "queued", ref="TaskState",
    description="active: running, awaiting a restart, or ended by itself; stopped: ended on request; "
    "errored: failed too often, waits for a reset; queued: waits for a slot in its pool",
)  # fmt: skip
STATUS = _choice(
    "running", "ready", "queued", "waiting", "restarting",
    "succeeded", "failed", "errored", "stopped", "lost",
    ref="TaskStatus",
    description="What a task is, in one word: running (or being started); ready: running, and found to be "
    "ready; queued: waits for a slot in its pool; waiting: for other tasks; restarting: for its restart; "
    "succeeded, failed: ended by itself; errored: failed too often, waits for a reset; stopped: ended on "
    "request; lost: ended with a server, unseen",
)  # fmt: skip
CONDITIONS = ("started", "ready", "healthy", "succeeded", "ended")
CONDITION = _choice(
    *CONDITIONS, ref="Condition",
    description="What a task waits for in another: that it has started; is ready (running, where its action "
    "does not say what that takes) or healthy; has ended well (succeeded), or ended at all",
)  # fmt: skip
WORKER_STATE = _choice(
    "running", "exited", ref="WorkerState", description="Whether its latest run is still going on"
)
EXIT_REASON = _choice(
    "exited", "signal", "timeout", "stopped", "oom", "unhealthy", "start_failed", "lost", "shutdown",
    ref="ExitReason",
    description="Why a run ended: exited: by itself, with a code; signal: by a signal other than a stop's; "
    "timeout: it lasted longer than its action allows; stopped: on request, by a stop, a "
    "restart or a lowered limit; shutdown: with the server; oom: it failed, and the kernel had killed one of "
    "its processes for lack of memory in its cgroup; unhealthy: its health checks failed; start_failed: it "
    "could not be started; lost: unknown, it ended with its server",
)  # fmt: skip
RUN_STATUS = _choice(
    "running", "succeeded", "failed", "stopped", "lost", ref="RunStatus",
    description="The status of a run: running; succeeded, failed: it ended by itself, or by its "
    "timeout; stopped: ended on request; lost: it ended with the server, unseen",
)  # fmt: skip
TRIGGER = _choice(
    "client", "restart", "boot", "service", "schedule", "chain", "webhook", ref="TriggerType",
    description="Why a run was started: client: a client requested it; restart: the retry policy; boot: its "
    "task was running when the server ended; service: a driver's service submitted it; schedule: its time "
    "had come; chain: it follows the end of another task; webhook: another service's request",
)  # fmt: skip
REFUSAL = _choice(
    *REFUSALS, ref="Refusal", description="; ".join(f"{word}: {why}" for word, why in REFUSALS.items())
)
SKIP_REASON = _choice(
    "overlap", "missed", "paused", "disabled", "queue_full", ref="SkipReason",
    description="Why a scheduled start was skipped: overlap: the task was in use; queue_full: and another "
    "start already waited; missed: the server was not running, or was suspended; paused: the "
    "schedule was paused; disabled: the configuration has it disabled, or no longer has it",
)  # fmt: skip
HEALTH = _choice(
    "starting", "healthy", "unhealthy", ref="Health",
    description="Whether a run works, by the probe of its action's health; starting: not known yet",
)  # fmt: skip
STREAM = _choice("stdout", "stderr", ref="Stream", description="Where a line of output came from")
STDIN = _choice(
    "pipe", "pty", ref="Stdin",
    description="How a task takes input: through a pipe, or a terminal (pty), which has a size",
)  # fmt: skip
QUEUE_ORDER = _choice(
    *ORDERS, ref="QueueOrder", description="Which task starts next: the first that came, or the last"
)
EXCESS_ACTION = _choice(
    "stop", "requeue", ref="ExcessAction",
    description="What happens to running tasks above a lowered limit: stopped for good, or queued again",
)  # fmt: skip
KILL_ORDER = _choice(
    *ORDERS, ref="KillOrder", description="Which tasks go: those that have run longest (first), or shortest"
)
DISPLACE = _choice(
    "false", "true", "prohibit", ref="DisplacePolicy", booleans=True,
    description="Whether a queued task yields its place in a full queue: false: only to a forced start; "
    "true: to any; prohibit: never",
)  # fmt: skip
PARAM_TYPE = _choice(
    "text", "integer", "number", "boolean", "choice", "path", "secret", ref="ParamType",
    description="What a parameter is. Its values are strings on the wire all the same: an integer as 42, a "
    "number as JSON has it, a boolean as true or false",
)  # fmt: skip
