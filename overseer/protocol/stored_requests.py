"""The requests about what outlives the server: runs, and lines of logs."""

from __future__ import annotations

from datetime import datetime

from overseer.protocol.declare import Request, TaskRequest, request
from overseer.protocol.words import EXIT_REASON, RUN_STATUS, STREAM
from overseer.schema.fields import field, optional
from overseer.schema.quantities import COUNT, PAGE_SIZE, TIMESTAMP
from overseer.schema.types import ACTION, BOOLEAN, TASK_ID, TEXT, Name


@request("runs")
class RunsRequest(Request):
    """List runs, including ended ones and those of earlier servers, newest first. Needs a data_dir."""

    task_id: str = optional(TASK_ID, "Only this task's", default="")
    action: str = optional(ACTION, "Only this action's", default="")
    state: str = optional(RUN_STATUS, "Only those with this status", default="")
    reason: str = optional(EXIT_REASON, "Only those that ended for this reason", default="")
    since: datetime | None = optional(TIMESTAMP, "Only those started from then on", default=None)
    until: datetime | None = optional(TIMESTAMP, "Only those started before then", default=None)
    limit: int = optional(PAGE_SIZE, "At most this many", default=100)
    before: str = optional(
        Name(), "The next of an earlier page: only the runs that come after it", default=""
    )
    run_id: str = optional(TASK_ID, "Only this run, if it is on record", default="")


@request("run_stats")
class RunStatsRequest(Request):
    """Sum up runs: how many there were, what became of them and how long they took, in all, for each action,
    or for each period of time. Needs a data_dir."""

    task_id: str = optional(TASK_ID, "Only this task's", default="")
    action: str = optional(ACTION, "Only this action's", default="")
    since: datetime | None = optional(TIMESTAMP, "Only those started from then on", default=None)
    until: datetime | None = optional(TIMESTAMP, "Only those started before then", default=None)
    every: int = optional(
        COUNT,
        "Separately for each period of this many seconds from since on, which must be given; at most 1000 "
        "periods; 0: together",
        default=0,
    )
    by_action: bool = optional(BOOLEAN, "Separately for each action", default=False)


@request("logs")
class LogsRequest(TaskRequest):
    """Show lines of a task's log, from from_seq or since on, or the last ones (tail); without any of them,
    the last limit. Needs a data_dir; the task itself may be forgotten."""

    run_id: str = optional(TEXT, "Only lines of this run", default="")
    from_seq: int | None = optional(COUNT, "From the line with this seq on", default=None)
    tail: int | None = optional(PAGE_SIZE, "This many lines, the last ones", default=None)
    since: datetime | None = optional(
        TIMESTAMP, "Only lines from then on, the first of them first", default=None
    )
    stream: str = optional(STREAM, "Only lines of this stream", default="")
    limit: int = optional(PAGE_SIZE, "At most this many", default=100)


@request("search")
class Search(Request):
    """Search the logs of all tasks, or of one: the newest parts of logs first. Needs a data_dir."""

    query: str = field(TEXT, "A text that the line contains, or a regular expression")
    regex: bool = optional(BOOLEAN, "Whether query is a regular expression (Python's)", default=False)
    task_id: str = optional(TASK_ID, "Only this task's lines", default="")
    action: str = optional(ACTION, "Only lines of this action's runs", default="")
    since: datetime | None = optional(TIMESTAMP, "Only lines from then on", default=None)
    until: datetime | None = optional(TIMESTAMP, "Only lines until then", default=None)
    limit: int = optional(PAGE_SIZE, "At most this many", default=100)
    after: str = optional(TEXT, "The next of an earlier answer: what comes after its matches", default="")
