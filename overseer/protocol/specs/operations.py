"""What each request leads to: the answers to its sender and what it causes for others."""

from __future__ import annotations

from dataclasses import dataclass

from overseer.protocol import (
    Actions,
    Data,
    Dequeued,
    Describe,
    Errored,
    Event,
    Exited,
    Gap,
    Input,
    InputAccepted,
    List,
    LogsReply,
    LogsRequest,
    ManifestReply,
    ManifestRequest,
    Matches,
    MetricsReply,
    MetricsRequest,
    Output,
    Partial,
    PoolInfoReply,
    PoolInfoRequest,
    PoolUpdated,
    Purge,
    Purged,
    Queued,
    Reload,
    Reloaded,
    Replay,
    Request,
    Reset,
    Resize,
    Resized,
    Restart,
    Restarting,
    RunsReply,
    RunsRequest,
    Search,
    SetPool,
    Signal,
    Signaled,
    Start,
    Started,
    Stop,
    Subscribe,
    Subscribed,
    Tasks,
    Unsubscribe,
    Unsubscribed,
    Usage,
    UsageRequest,
)

_Events = tuple[type[Event], ...]


@dataclass(frozen=True, slots=True)
class Operation:
    """A request with all that may follow from it.

    ``success`` are answers that carry the request's id (or go to its sender alone); ``broadcast`` and
    ``subscribers`` are sent to everyone and to the task's subscribers.
    """

    name: str
    request: type[Request]
    summary: str
    success: _Events = ()
    broadcast: _Events = ()
    subscribers: _Events = ()
    notes: str = ""


_RUN: _Events = (Started, Output, Exited, Restarting, Errored, Gap, Partial, Data, Usage)

OPERATIONS = (
    Operation(
        "start_task",
        Start,
        "Start a task",
        success=(Started, Queued),
        broadcast=(Queued, Dequeued),
        subscribers=_RUN,
        notes="The sender is subscribed before anything happens. When a queued task starts later, its "
        "started carries the id of this request. With force, another task may be dequeued as displaced.",
    ),
    Operation(
        "stop_task",
        Stop,
        "Stop a task",
        broadcast=(Dequeued,),
        subscribers=(Output, Exited),
        notes="Not answered directly. A running task ends with exited (intentional), one that waits "
        "in a queue or for its restart with dequeued (stopped); for one that has ended nothing is sent.",
    ),
    Operation(
        "reset_task",
        Reset,
        "Reset a task",
        success=(Started,),
        subscribers=_RUN,
        notes="Only an errored task can be reset. The sender gets started with the request's id, subscribers "
        'get it with the id "".',
    ),
    Operation(
        "signal_task",
        Signal,
        "Signal a task",
        success=(Signaled,),
        subscribers=(Output, Exited),
        notes="Only a task that runs, as a process, can be sent a signal; that of another is an error.",
    ),
    Operation(
        "give_task_input",
        Input,
        "Give a task input",
        success=(InputAccepted,),
        subscribers=_RUN,
        notes="Only a task that runs, and whose action says stdin: pipe or pty, takes input; list tells with "
        "stdin. At most 1 MiB waits for a task: an input that there is no room for is an error, as is one "
        "that follows an eof to a pipe, or comes when the task has closed its stdin.",
    ),
    Operation(
        "resize_task",
        Resize,
        "Resize a task's terminal",
        success=(Resized,),
        subscribers=_RUN,
        notes="That of a task that has no terminal, or does not run, is an error.",
    ),
    Operation(
        "restart_task",
        Restart,
        "Restart a task",
        success=(Started, Queued),
        broadcast=(Queued, Dequeued),
        subscribers=_RUN,
        notes="The run that goes on is stopped: its exited is intentional and says will_restart. A task that "
        "awaits its restart is started at once, an errored one as by a reset; one that is over needs a slot, "
        "as at its start, and may be queued first. One that is queued, being started or being stopped cannot "
        "be restarted. The sender is answered when the new run has started, and with an error if it cannot "
        "be started or is stopped first.",
    ),
    Operation(
        "list_tasks",
        List,
        "List tasks",
        success=(Tasks,),
        notes="All tasks come oldest first, as they are at one moment. With limit or after they come in the "
        "order of their ids (by code points). A page ends after limit tasks, or half a MiB, with one at "
        "least; when there are more, next is its last id: ask again with that as after.",
    ),
    Operation(
        "list_runs",
        RunsRequest,
        "List runs",
        success=(RunsReply,),
        notes="Each start, restart and failed start is a run of its own. What happened before the request is "
        "in them, unless the disk fails; events that come before the answer may be newer than it. Pages go "
        "by next and before, and runs that begin meanwhile change nothing in them. Without a data_dir it is "
        "an error.",
    ),
    Operation(
        "show_log",
        LogsRequest,
        "Show a log",
        success=(LogsReply,),
        notes="A seq that is not there is in no log: the line went out while the disk was full, slow or "
        "failed, or it has expired. Without a data_dir it is an error.",
    ),
    Operation(
        "search_logs",
        Search,
        "Search logs",
        success=(Matches,),
        notes="A search takes ten seconds at most, and is an error when nothing was looked through by then. "
        "Only so many go on at once. Without a data_dir it is an error.",
    ),
    Operation(
        "replay_task",
        Replay,
        "Replay a task's events",
        success=(Output, Exited),
        notes="Zero or more stored events, in order; nothing marks the end. At most the last 100 are stored.",
    ),
    Operation("describe_actions", Describe, "Describe actions", success=(Actions,)),
    Operation("get_pool_info", PoolInfoRequest, "Pool info", success=(PoolInfoReply,)),
    Operation(
        "purge_queue",
        Purge,
        "Purge queue",
        success=(Purged,),
        broadcast=(Dequeued,),
        notes="Each task that waited is dequeued (purged).",
    ),
    Operation(
        "set_pool_limits",
        SetPool,
        "Set pool limits",
        success=(PoolInfoReply,),
        broadcast=(PoolUpdated, Queued),
        subscribers=(Started, Output, Exited),
        notes="pool_updated is sent before the answer. A raised limit starts waiting tasks at once; a "
        "lowered one stops or queues again those above it, as excess says.",
    ),
    Operation(
        "subscribe_task",
        Subscribe,
        "Subscribe to a task",
        success=(Subscribed,),
        subscribers=_RUN,
        notes="With since_seq: subscribed, then the stored events after it, then live ones; none is "
        "missing in between and none comes twice.",
    ),
    Operation("unsubscribe_task", Unsubscribe, "Unsubscribe from a task", success=(Unsubscribed,)),
    Operation(
        "get_usage",
        UsageRequest,
        "Get what tasks use",
        success=(Usage,),
        notes="Of a task that is not running, or not as a process, there is nothing. One look at all "
        "processes serves everybody who asks within half a second, and everybody who watches.",
    ),
    Operation(
        "get_metrics",
        MetricsRequest,
        "Get metrics",
        success=(MetricsReply,),
        notes="action and task_id exclude each other; without both the counters are the server's. For an "
        "unknown action or task the answer has none of global, action and task.",
    ),
    Operation("get_manifest", ManifestRequest, "Get the manifest", success=(ManifestReply,)),
    Operation(
        "reload_config",
        Reload,
        "Reload the configuration",
        success=(Reloaded,),
        broadcast=(PoolUpdated,),
        subscribers=(Started,),
        notes="When anything is wrong with the file, the answer is an error that says what and where, and "
        "nothing changes. Each pool that changes is announced by pool_updated; a lowered limit stops nobody, "
        "a raised one starts waiting tasks.",
    ),
)
"""One for each request. Every one of them may also be answered by an error."""
