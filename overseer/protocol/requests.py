"""The requests of clients."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from overseer.protocol.declare import Request, TaskRequest, request
from overseer.protocol.retry_policy import RetryPolicy
from overseer.protocol.values import ExcessConfig
from overseer.protocol.words import ON_LAG, ORDERS
from overseer.schema.binary import BASE64
from overseer.schema.fields import declared, field, optional
from overseer.schema.objects import Object, PartOf
from overseer.schema.quantities import COUNT, PAGE_SIZE, SIDE, TIMESTAMP, Integer
from overseer.schema.types import ACTION, BOOLEAN, SIGNAL, TASK_ID, TEXT, TEXT_MAP, Choice, Name


@declared(kw_only=True)
class _Following(Request):
    """Base of the requests that subscribe their sender to a task."""

    on_lag: str = optional(
        ON_LAG,
        "When you read too slowly: block: the task waits for you; drop: you miss lines and get a gap; "
        "catch_up: you are sent from its log what you missed (the default where there are logs)",
        default="",
        last=True,
    )
    catch_up: bool = optional(
        BOOLEAN, "With on_lag block: catch_up instead, where there are logs", default=False, last=True
    )
    partial: bool | None = optional(
        BOOLEAN, "Whether you are also sent unfinished lines (partial)", default=None, last=True
    )
    raw: bool | None = optional(
        BOOLEAN, "Whether you are also sent the task's raw terminal output (data)", default=None, last=True
    )
    usage: bool | None = optional(
        BOOLEAN,
        "Whether you are also sent the task's resource usage (usage), every two seconds",
        default=None,
        last=True,
    )


@request("start")
class Start(_Following):
    """Start an action as a new task, or queue it. The sender is subscribed to the task."""

    either = ("action", "task_id")
    action: str = optional(ACTION, "The action to start; not needed for a standing task", default="")
    task_id: str = optional(
        TASK_ID,
        "A name for the task; absent: a UUID is generated. A standing task's (one that the configuration "
        "names) stands for its action and parameters",
        default="",
    )
    params: Mapping[str, str] = optional(
        TEXT_MAP, "The action's parameters, names to strings", default=dict, hint="json-editor"
    )
    retry_policy: RetryPolicy | None = optional(
        Object(RetryPolicy),
        "In place of the action's own; {} restarts at once, without limit",
        default=None,
        hint="json-editor",
    )
    force: bool = optional(
        BOOLEAN, "In a full queue, take the place of the oldest task that is not forced", default=False
    )


@request("stop")
class Stop(TaskRequest):
    """Stop a task, whatever it is doing. What follows is exited, or dequeued if it was waiting."""


@request("reset")
class Reset(TaskRequest):
    """Start an errored task again, with an empty exit history, even over its pool's limit. When the driver
    cannot start it, the request is refused and the task's subscribers are sent errored again."""


@request("signal")
class Signal(TaskRequest):
    """Send a signal to the process group of a task's run, whatever its kill_mode. If that ends the run, it
    counts as ended by itself."""

    signal: str = field(SIGNAL, "The signal, by name (SIGHUP, hup) or number")


@request("input")
class Input(TaskRequest):
    """Send input to a running task, as one piece: it is accepted or refused as a whole. Other clients' input
    comes before or after it. It waits while the task does not read; what still waits when the
    run ends is dropped."""

    data: str = optional(TEXT, "A text, sent as UTF-8", default="")
    data_base64: bytes = optional(BASE64, "Any bytes, in place of data", default=b"")
    eof: bool = optional(
        BOOLEAN,
        "Whether the input ends here: a pipe is closed; a terminal gets its EOF character (Ctrl-D)",
        default=False,
    )

    @property
    def content(self) -> bytes:
        return self.data_base64 or self.data.encode()


@request("resize")
class Resize(TaskRequest):
    """Change the size of a running task's terminal. Its foreground processes get SIGWINCH."""

    rows: int = field(SIDE, "Its height in characters")
    cols: int = field(SIDE, "Its width in characters")


@request("restart")
class Restart(TaskRequest):
    """Stop a task, wait for its end, and start it again: with its parameters and policy, an empty exit
    history, and its action as it is defined now. It keeps its slot in the pool. A stop meanwhile wins."""


@request("forget")
class Forget(TaskRequest):
    """Take a task that is over off the list. Its history and its log are kept."""


@request("list")
class List(Request):
    """List the tasks that the server knows."""

    since: datetime | None = optional(
        TIMESTAMP,
        "Only those that started, exited, or changed in readiness or health since then, and all that are "
        "queued",
        default=None,
    )
    limit: int = optional(COUNT, "At most this many, in the order of their ids; 0: all", default=0)
    after: str = optional(TASK_ID, "Only those with ids after this one, which need not exist", default="")
    task_id: str = optional(TASK_ID, "Only this task, if there is one", default="")


@request("graph")
class GraphRequest(Request):
    """Show the standing tasks (those that the configuration names) and what each of them waits for."""


@request("cluster")
class ClusterRequest(Request):
    """Show the clusters that tasks run on, and their workers. Their schedulers are asked, each for four
    seconds at most."""


@request("replay")
class Replay(TaskRequest):
    """Send the stored output and exited events of a task to the sender; nothing marks the end."""

    since: datetime | None = optional(TIMESTAMP, "Only events from then on", default=None)
    since_seq: int | None = optional(COUNT, "Only events after the output with this seq", default=None)


@request("subscribe")
class Subscribe(_Following):
    """Send everything that happens to a task to the sender from now on."""

    task_id: str = field(TASK_ID, "The task")
    since_seq: int | None = optional(
        COUNT, "First send the stored events after the output with this seq; 0: all of them", default=None
    )


@request("unsubscribe")
class Unsubscribe(TaskRequest):
    """Send no more events of a task to the sender."""


@request("watch")
class Watch(Request):
    """Show all tasks that you may see, and everything that happens to them and to new ones from then on.
    Another watch of the same connection takes its place."""

    output: bool = optional(BOOLEAN, "Whether you are also sent the output of all of them", default=False)
    usage: bool = optional(
        BOOLEAN, "Whether you are also sent their resource usage, every two seconds", default=False
    )
    after: str = optional(
        TEXT,
        "The last cursor that you got: only what has happened since, in place of all tasks, if the server "
        "still knows",
        default="",
    )


@request("unwatch")
class Unwatch(Request):
    """End the sender's watch."""


@request("describe")
class Describe(Request):
    """Describe the actions."""

    action: str = optional(ACTION, "Only this one", default="")


@request("pool_info")
class PoolInfoRequest(Request):
    """Show a pool's limit, its running tasks and its queue."""

    action: str = optional(ACTION, "This action's pool; absent: the global one", default="")


@request("set_pool")
class SetPool(Request):
    """Change a pool while the server runs. Absent fields stay as they are."""

    action: str = optional(ACTION, "This action's pool; absent: the global one", default="")
    limit: int | None = optional(
        COUNT, "How many may run at once; 0: any number (size means the same)", default=None, synonym="size"
    )
    queue_size: int | None = optional(
        COUNT, "How many may wait; 0: any number; more than 0 adds a queue where there is none", default=None
    )
    excess: Mapping[str, Any] | None = optional(
        PartOf(ExcessConfig),
        "What happens to running tasks in excess of a lowered limit; any of its fields",
        default=None,
        hint="json-editor",
    )


@request("move")
class Move(TaskRequest):
    """Move a task that waits in a queue to another place in it. Say where with one of to, position, before
    and after. Later arrivals still go where the queue's order puts them."""

    either = ("to", "position", "before", "after")
    action: str = optional(
        ACTION,
        "Its action: it is moved only among this action's tasks, and all others keep their turns; "
        "absent: among all waiting tasks that you may see",
        default="",
    )
    to: str = optional(Choice(*ORDERS), "Whether it becomes the first or the last", default="")
    position: int = optional(COUNT, "Its new place, from 1; beyond the end: the last", default=0)
    before: str = optional(TASK_ID, "The waiting task that it is to start before", default="")
    after: str = optional(TASK_ID, "The waiting task that it is to start after", default="")


@request("purge")
class Purge(Request):
    """Empty a queue."""

    action: str = optional(ACTION, "This action's queue; absent: every queue", default="")


@request("usage")
class UsageRequest(Request):
    """Show what running tasks use: CPU, memory, processes, threads, disks."""

    task_id: str = optional(TASK_ID, "Only this one", default="")


@request("metrics")
class MetricsRequest(Request):
    """Show the counters of one action, of one task, or of the whole server."""

    action: str = optional(ACTION, "This action's", default="")
    task_id: str = optional(TASK_ID, "This task's (not together with action)", default="")


@request("manifest")
class ManifestRequest(Request):
    """Send the description of this protocol for programs."""


@request("schedules")
class SchedulesRequest(Request):
    """Show when standing tasks are started by themselves, and which of these starts were skipped and why."""

    task_id: str = optional(TASK_ID, "Only this task's", default="")
    upcoming: int = optional(Integer(maximum=100), "How many of its next times to list for each", default=0)
    limit: int = optional(PAGE_SIZE, "How many tasks the answer has at most", default=100)
    after: str = optional(TEXT, "The next of an earlier answer: go on after it", default="")


@request("pause")
class Pause(TaskRequest):
    """Pause a standing task's schedules: each start is skipped, until resume."""


@request("resume")
class Resume(TaskRequest):
    """Let a paused standing task's schedules start it again. Skipped starts are not made up for."""


@request("reload")
class Reload(Request):
    """Reload the configuration file and put it into effect, without stopping any task."""

    dry_run: bool = optional(BOOLEAN, "Only say what would change", default=False)


@request("notify_test")
class NotifyTest(Request):
    """Send a channel a test notice, once and without delay."""

    channel: str = field(Name(), "The channel, as the configuration names it")
