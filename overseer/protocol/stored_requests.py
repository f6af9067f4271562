"""The requests about what outlives the server: runs, and lines of logs."""

from __future__ import annotations

from datetime import datetime

from overseer.protocol.declare import Request, TaskRequest
from overseer.protocol.declare import request as _request
from overseer.protocol.words import EXIT_REASON, RUN_STATUS, STREAM
from overseer.schema.fields import field
from overseer.schema.quantities import COUNT, PAGE_SIZE, TIMESTAMP
from overseer.schema.types import BOOLEAN, TASK_ID, TEXT, Name

_ACTION = Name()


@_request("runs")
class RunsRequest(Request):
    """List runs, including ended ones and those of earlier servers, newest first. Needs a data_dir."""

    task_id: str = field(TASK_ID, "Only this task's", default="", omit=True)
    action: str = field(_ACTION, "Only this action's", default="", omit=True)
    state: str = field(RUN_STATUS, "Only those with this status", default="", omit=True)
    reason: str = field(EXIT_REASON, "Only those that ended for this reason", default="", omit=True)
    since: datetime | None = field(TIMESTAMP, "Only those started from then on", default=None, omit=True)
    until: datetime | None = field(TIMESTAMP, "Only those started before then", default=None, omit=True)
    limit: int = field(PAGE_SIZE, "At most this many", default=100, omit=True)
    before: str = field(
        Name(), "The next of an earlier page: only the runs that come after it", default="", omit=True
    )
    run_id: str = field(TASK_ID, "Only this run, if it is on record", default="", omit=True)


@_request("run_stats")
class RunStatsRequest(Request):
    """Sum up runs: how many there were, what became of them and how long they took, in all, for each action,
    or for each period of time. Needs a data_dir."""

    task_id: str = field(TASK_ID, "Only this task's", default="", omit=True)
    action: str = field(_ACTION, "Only this action's", default="", omit=True)
    since: datetime | None = field(TIMESTAMP, "Only those started from then on", default=None, omit=True)
    until: datetime | None = field(TIMESTAMP, "Only those started before then", default=None, omit=True)
    every: int = field(
        COUNT,
        "Separately for each period of this many seconds from since on, which must be given; at most 1000 "
        "periods; 0: together",
        default=0,
        omit=True,
    )
    by_action: bool = field(BOOLEAN, "Separately for each action", default=False, omit=True)


@_request("logs")
class LogsRequest(TaskRequest):
    """Show lines of a task's log, from from_seq or since on, or the last ones (tail); without any of them,
    the last limit. Needs a data_dir; the task itself may be forgotten."""

    run_id: str = field(TEXT, "Only lines of this run", default="", omit=True)
    from_seq: int | None = field(COUNT, "From the line with this seq on", default=None, omit=True)
    tail: int | None = field(PAGE_SIZE, "This many lines, the last ones", default=None, omit=True)
    since: datetime | None = field(
        TIMESTAMP, "Only lines from then on, the first of them first", default=None, omit=True
    )
    stream: str = field(STREAM, "Only lines of this stream", default="", omit=True)
    limit: int = field(PAGE_SIZE, "At most this many", default=100, omit=True)


@_request("search")
class Search(Request):
    """Search the logs of all tasks, or of one: the newest parts of logs first. Needs a data_dir."""

    query: str = field(TEXT, "A text that the line contains, or a regular expression")
    regex: bool = field(BOOLEAN, "Whether query is a regular expression (Python's)", default=False, omit=True)
    task_id: str = field(TASK_ID, "Only this task's lines", default="", omit=True)
    action: str = field(_ACTION, "Only lines of this action's runs", default="", omit=True)
    since: datetime | None = field(TIMESTAMP, "Only lines from then on", default=None, omit=True)
    until: datetime | None = field(TIMESTAMP, "Only lines until then", default=None, omit=True)
    limit: int = field(PAGE_SIZE, "At most this many", default=100, omit=True)
    after: str = field(
        TEXT, "The next of an earlier answer: what comes after its matches", default="", omit=True
    )
