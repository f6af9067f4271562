"""The server's replies."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from overseer.protocol.clusters import ClusterInfo
from overseer.protocol.declare import Delivery, Event, Reply, TaskReply, event
from overseer.protocol.schedules import ScheduleInfo
from overseer.protocol.stored import LogLine, LogMatch, RunInfo, RunStats
from overseer.protocol.values import (
    ActionInfo,
    ActionMetrics,
    GlobalMetrics,
    GraphEdge,
    GraphNode,
    PoolInfo,
    TaskInfo,
    TaskMetrics,
)
from overseer.protocol.words import REFUSAL
from overseer.schema.fields import field, optional
from overseer.schema.objects import ListOf, Object
from overseer.schema.quantities import COUNT, TIMESTAMP
from overseer.schema.types import BOOLEAN, DOCUMENT, TASK_ID, TEXT


@event("signaled", Delivery.DIRECT)
class Signaled(TaskReply):
    """A signal was sent to a task's run."""

    signal: str = field(TEXT, "Its name, or its number if it has no name")


@event("input_accepted", Delivery.DIRECT)
class InputAccepted(TaskReply):
    """The input was accepted; the task will be able to read it, unless it ends first."""

    bytes: int = field(COUNT, "How many bytes were accepted")


@event("resized", Delivery.DIRECT)
class Resized(TaskReply):
    """The size of a task's terminal was changed."""

    rows: int = field(COUNT, "Its height in characters")
    cols: int = field(COUNT, "Its width in characters")


@event("tasks", Delivery.DIRECT)
class Tasks(Reply):
    """The tasks asked for."""

    tasks: tuple[TaskInfo, ...] = field(ListOf(Object(TaskInfo)), "Never null")
    next: str = optional(TEXT, "There are more: ask again with this value as after", default="")


@event("graph", Delivery.DIRECT)
class Graph(Reply):
    """The standing tasks, and what they wait for."""

    nodes: tuple[GraphNode, ...] = field(ListOf(Object(GraphNode)), "In the order of the configuration")
    edges: tuple[GraphEdge, ...] = field(ListOf(Object(GraphEdge)), "Between those")


@event("cluster", Delivery.DIRECT)
class ClusterReply(Reply):
    """The clusters that tasks run on."""

    clusters: tuple[ClusterInfo, ...] = field(ListOf(Object(ClusterInfo)), "Each of those configured, once")


@event("runs", Delivery.DIRECT)
class RunsReply(Reply):
    """The runs asked for."""

    runs: tuple[RunInfo, ...] = field(ListOf(Object(RunInfo)), "The newest first; never null")
    next: str = optional(TEXT, "There are more: ask again with this value as before", default="")


@event("run_stats", Delivery.DIRECT)
class RunStatsReply(Reply):
    """The sums asked for."""

    stats: tuple[RunStats, ...] = field(
        ListOf(Object(RunStats)), "By action, then by time, and none where nothing began; never null"
    )


@event("logs", Delivery.DIRECT)
class LogsReply(Reply):
    """Lines of a task's log. There may be fewer than asked for if few of many match: go on at next_seq."""

    lines: tuple[LogLine, ...] = field(ListOf(Object(LogLine)), "In order; never null")
    first_seq: int = field(COUNT, "The first line that the log has; 0: it has none")
    last_seq: int = field(COUNT, "The last one")
    next_seq: int = field(COUNT, "Where to go on, as from_seq")


@event("matches", Delivery.DIRECT)
class Matches(Reply):
    """The matching lines. If the search ran out of time, there may be few of them, or none, and a next."""

    matches: tuple[LogMatch, ...] = field(
        ListOf(Object(LogMatch)), "The newest parts of logs first, and of each the last lines; never null"
    )
    next: str = optional(TEXT, "There may be more: ask again with this as after", default="")


@event("actions", Delivery.DIRECT)
class Actions(Reply):
    """The actions asked for."""

    actions: tuple[ActionInfo, ...] = field(ListOf(Object(ActionInfo)), "Never null")


@event("pool_info", Delivery.DIRECT)
class PoolInfoReply(Reply):
    """The pool asked for, or just changed."""

    action: str = optional(TEXT, "Whose pool; absent: the global one", default="", kw_only=True)
    pool: PoolInfo = field(Object(PoolInfo), "The pool as it is now")


@event("purged", Delivery.DIRECT)
class Purged(Reply):
    """A queue was emptied."""

    action: str = optional(TEXT, "Whose queue; absent: every queue", default="", kw_only=True)
    count: int = field(COUNT, "How many tasks were waiting")


@event("subscribed", Delivery.DIRECT)
class Subscribed(TaskReply):
    """The task's events follow. The other fields are there when the request had since_seq."""

    last_seq: int | None = optional(COUNT, "The seq of its latest line; 0: none yet", default=None)
    oldest_seq: int | None = optional(COUNT, "The seq of the oldest line stored; 0: none is", default=None)
    created_at: datetime | None = optional(
        TIMESTAMP, "When its start was accepted; another time is another task", default=None
    )
    first_seq: int = optional(
        COUNT, "Where the seq of its lines begins, when an earlier task had its id; absent: at 1", default=0
    )


@event("unsubscribed", Delivery.DIRECT)
class Unsubscribed(TaskReply):
    """No more of the task's events follow."""


@event("metrics", Delivery.DIRECT)
class MetricsReply(Reply):
    """The counters asked for: one of the three, or none if no such action or task exists."""

    global_: GlobalMetrics | None = optional(
        Object(GlobalMetrics), "Of the whole server", default=None, name="global"
    )
    action: ActionMetrics | None = optional(Object(ActionMetrics), "Of the action", default=None)
    task: TaskMetrics | None = optional(Object(TaskMetrics), "Of the task", default=None)


@event("manifest", Delivery.DIRECT)
class ManifestReply(Reply):
    """The description of this protocol for programs."""

    manifest: Mapping[str, Any] = field(DOCUMENT, "The same document as at GET /ws/manifest")


@event("schedules", Delivery.DIRECT)
class SchedulesReply(Reply):
    """The schedules asked for, in the order of their tasks' ids."""

    schedules: tuple[ScheduleInfo, ...] = field(ListOf(Object(ScheduleInfo)), "Never null")
    next: str = optional(TEXT, "There are more: ask again with this value as after", default="")


@event("paused", Delivery.DIRECT)
class Paused(TaskReply):
    """A task's schedules start nothing until a resume."""


@event("resumed", Delivery.DIRECT)
class Resumed(TaskReply):
    """A task's schedules start it again."""


@event("reloaded", Delivery.DIRECT)
class Reloaded(Reply):
    """The configuration file's current contents are in effect or, with dry_run, would be.

    A task keeps the definition of its action that it was accepted with, until it is reset.
    """

    dry_run: bool = optional(BOOLEAN, "Whether nothing was changed", default=False)
    added: tuple[str, ...] = optional(ListOf(TEXT), "Actions that are new", default=())
    changed: tuple[str, ...] = optional(
        ListOf(TEXT), "Actions that differ, themselves or in what they inherit from the top level", default=()
    )
    removed: tuple[str, ...] = optional(ListOf(TEXT), "Actions that can no longer be started", default=())
    settings: tuple[str, ...] = optional(
        ListOf(TEXT), "Keys at the top that differ, in the file or in files that they name", default=()
    )
    restart_needed: tuple[str, ...] = optional(
        ListOf(TEXT), "Keys that differ and take effect only when the server is restarted", default=()
    )
    warnings: tuple[str, ...] = optional(ListOf(TEXT), "Probable mistakes, with file and line", default=())


@event("notify_tested", Delivery.DIRECT)
class NotifyTested(Reply):
    """The channel has accepted the notice."""

    channel: str = field(TEXT, "The channel")


@event("error", Delivery.DIRECT)
class Error(Event):
    """A request was refused; the connection stays open."""

    id: str = field(TEXT, 'The request\'s; "" if none could be read')
    message: str = field(TEXT, "Why, for people")
    existing_task_id: str = optional(
        TASK_ID, "The task that a refused start would have duplicated", default=""
    )
    param: str = optional(TEXT, "The parameter that a refused start is about", default="")
    code: str = optional(REFUSAL, "The same for programs; absent: the server is older", default="")
