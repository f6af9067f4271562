"""What each request leads to: the answers to its sender and what it causes for others."""

from __future__ import annotations

from dataclasses import dataclass

from overseer import protocol

_Events = tuple[type[protocol.Event], ...]


@dataclass(frozen=True, slots=True)
class Operation:
    """A request with all that may follow from it.

    ``success`` are answers that carry the request's id (or go to its sender alone); ``broadcast`` and
    ``subscribers`` are sent to everyone and to the task's subscribers.
    """

    name: str
    request: type[protocol.Request]
    summary: str
    success: _Events = ()
    broadcast: _Events = ()
    subscribers: _Events = ()
    notes: str = ""


_RUN: _Events = tuple(
    event for event in protocol.EVENTS.values() if event.delivery is protocol.Delivery.SUBSCRIBERS
)
_OUTPUT: _Events = (protocol.Output, protocol.Partial, protocol.Data, protocol.Exited)

OPERATIONS = (
    Operation(
        "start_task", protocol.Start, "Start a task",
        success=(protocol.Started, protocol.Queued), broadcast=(protocol.Queued, protocol.Dequeued),
        subscribers=_RUN,
        notes="The sender is subscribed before anything happens. When a queued task starts later, its "
        "started carries the id of this request. With force, another task may be dequeued as displaced. "
        "A standing task waits for those that it depends on: it is queued with position 0 and waiting_on, "
        "and they are started too, except those that somebody has stopped.",
    ),
    Operation(
        "stop_task", protocol.Stop, "Stop a task",
        broadcast=(protocol.Dequeued,), subscribers=(protocol.Output, protocol.Exited),
        notes="Not answered directly. A running task ends with exited (intentional), one that waits "
        "in a queue or for its restart with dequeued (stopped); if it has ended already, nothing is sent.",
    ),
    Operation(
        "reset_task", protocol.Reset, "Reset a task",
        success=(protocol.Started,), subscribers=_RUN,
        notes="Only an errored task can be reset. The sender gets started with the request's id, subscribers "
        'get it with the id "".',
    ),
    Operation(
        "signal_task", protocol.Signal, "Signal a task",
        success=(protocol.Signaled,), subscribers=(protocol.Output, protocol.Exited),
        notes="Only a task that runs as a process can be sent a signal; otherwise the answer is an error.",
    ),
    Operation(
        "give_task_input", protocol.Input, "Give a task input",
        success=(protocol.InputAccepted,), subscribers=_OUTPUT,
        notes="Only a running task whose action has stdin: pipe or pty takes input; list shows it as stdin. "
        "At most 1 MiB waits for a task: an input without room is refused with an error, as is one "
        "that follows an eof to a pipe, or comes when the task has closed its stdin.",
    ),
    Operation(
        "resize_task", protocol.Resize, "Resize a task's terminal",
        success=(protocol.Resized,), subscribers=_OUTPUT,
        notes="If the task has no terminal, or does not run, the answer is an error.",
    ),
    Operation(
        "restart_task", protocol.Restart, "Restart a task",
        success=(protocol.Started, protocol.Queued), broadcast=(protocol.Queued, protocol.Dequeued),
        subscribers=_RUN,
        notes="The current run is stopped: its exited is intentional and says will_restart. A task that "
        "awaits its restart is started at once, an errored one as by a reset; one that is over needs a slot, "
        "as at its start, and may be queued first. One that is queued, being started or being stopped cannot "
        "be restarted. The sender is answered when the new run has started, and with an error if it cannot "
        "be started or is stopped first.",
    ),
    Operation(
        "forget_task", protocol.Forget, "Forget a task",
        success=(protocol.Forgotten,),
        notes="Only a task that is over can be forgotten. Those who watch are sent forgotten too.",
    ),
    Operation(
        "move_task", protocol.Move, "Move a waiting task",
        success=(protocol.Moved,), broadcast=(protocol.Moved, protocol.PoolUpdated),
        notes="Without an action, the task exchanges turns with those that it is moved past; tasks that you "
        "may not see keep their places. It is a conflict if the task, or the one to start before or after, "
        "does not wait in that queue: it may have just started, or wait for other tasks.",
    ),
    Operation(
        "list_tasks", protocol.List, "List tasks",
        success=(protocol.Tasks,),
        notes="All tasks come oldest first, as they are at one moment. With limit or after they come in the "
        "order of their ids (by code points). A page ends after limit tasks, or half a MiB, with one at "
        "least; when there are more, next is its last id: ask again with that as after.",
    ),
    Operation(
        "show_graph", protocol.GraphRequest, "Show what standing tasks wait for",
        success=(protocol.Graph,),
    ),
    Operation(
        "show_cluster", protocol.ClusterRequest, "Show the clusters that tasks run on",
        success=(protocol.ClusterReply,),
    ),
    Operation(
        "list_schedules", protocol.SchedulesRequest, "Show when standing tasks are started by themselves",
        success=(protocol.SchedulesReply,),
        notes="Times are those of the schedule; due is when a start that jitter delays will come. While "
        "schedules are paused, next and upcoming show what would come otherwise.",
    ),
    Operation(
        "pause_schedules", protocol.Pause, "Pause a standing task's schedules",
        success=(protocol.Paused,), broadcast=(protocol.Skipped,),
        notes="A run goes on. A start that waits for the task to be over is skipped. With a data_dir, "
        "the pause outlives the server.",
    ),
    Operation(
        "resume_schedules", protocol.Resume, "Resume a standing task's schedules",
        success=(protocol.Resumed,),
    ),
    Operation(
        "list_runs", protocol.RunsRequest, "List runs",
        success=(protocol.RunsReply,),
        notes="Each start, restart and failed start is a run of its own. The answer has everything that "
        "happened before the request, unless the disk fails; events that come before it may be newer. The "
        "next of a page is the before of the following one, and runs that begin meanwhile do not shift them. "
        "Without a data_dir the answer is an error.",
    ),
    Operation(
        "sum_up_runs", protocol.RunStatsRequest, "Sum up runs",
        success=(protocol.RunStatsReply,),
        notes="Periods in which no run began are left out. Without a data_dir the answer is an error.",
    ),
    Operation(
        "show_log", protocol.LogsRequest, "Show a log",
        success=(protocol.LogsReply,),
        notes="A seq that is missing is not in the log: the line went out while the disk was full, slow or "
        "failed, or it has expired. Without a data_dir the answer is an error.",
    ),
    Operation(
        "search_logs", protocol.Search, "Search logs",
        success=(protocol.Matches,),
        notes="A search takes ten seconds at most; if nothing was searched by then, the answer is an error. "
        "Only a few run at a time. Later requests do not wait for it, and may be answered first. Without a "
        "data_dir the answer is an error.",
    ),
    Operation(
        "replay_task", protocol.Replay, "Replay a task's events",
        success=(protocol.Output, protocol.Exited),
        notes="Zero or more stored events, in order; nothing marks the end. At most the last 100 are stored.",
    ),
    Operation("describe_actions", protocol.Describe, "Describe actions", success=(protocol.Actions,)),
    Operation("get_pool_info", protocol.PoolInfoRequest, "Pool info", success=(protocol.PoolInfoReply,)),
    Operation(
        "purge_queue", protocol.Purge, "Purge queue",
        success=(protocol.Purged,), broadcast=(protocol.Dequeued,),
        notes="Each task that waited is dequeued (purged).",
    ),
    Operation(
        "set_pool_limits", protocol.SetPool, "Set pool limits",
        success=(protocol.PoolInfoReply,), broadcast=(protocol.PoolUpdated, protocol.Queued),
        subscribers=(protocol.Started, protocol.Output, protocol.Exited),
        notes="pool_updated is sent before the answer. A raised limit starts waiting tasks at once; a "
        "lowered one stops or queues again those above it, as excess says.",
    ),
    Operation(
        "subscribe_task", protocol.Subscribe, "Subscribe to a task",
        success=(protocol.Subscribed,), subscribers=_RUN,
        notes="With since_seq: subscribed, then the stored events after it, then live ones; none is "
        "missing in between and none comes twice.",
    ),
    Operation(
        "unsubscribe_task", protocol.Unsubscribe, "Unsubscribe from a task",
        success=(protocol.Unsubscribed,),
    ),
    Operation(
        "watch_tasks", protocol.Watch, "Watch all tasks",
        success=(protocol.Watching,),
        broadcast=(protocol.Queued, protocol.Dequeued, protocol.Moved, protocol.Skipped), subscribers=_RUN,
        notes="The events that follow also have task (the task as list shows it from then on) and cursor; "
        "changed and forgotten are among them. Each event comes once: one that you get as a subscriber of "
        "its task comes without these two, and a changed brings them.",
    ),
    Operation("end_watch", protocol.Unwatch, "Watch no longer", success=(protocol.Unwatched,)),
    Operation(
        "get_usage", protocol.UsageRequest, "Get what tasks use",
        success=(protocol.Usage,),
        notes="A task that is not running, or not as a process, has no entry. One pass over all processes "
        "serves every request within half a second, and all who watch.",
    ),
    Operation(
        "get_metrics", protocol.MetricsRequest, "Get metrics",
        success=(protocol.MetricsReply,),
        notes="action and task_id are mutually exclusive; without both the counters are the server's. For an "
        "unknown action or task the answer has none of global, action and task.",
    ),
    Operation(
        "get_manifest", protocol.ManifestRequest, "Get the manifest",
        success=(protocol.ManifestReply,),
    ),
    Operation(
        "reload_config", protocol.Reload, "Reload the configuration",
        success=(protocol.Reloaded,), broadcast=(protocol.PoolUpdated,), subscribers=(protocol.Started,),
        notes="If anything is wrong with the file, the answer is an error that says what and where, and "
        "nothing changes. A part of the server that cannot follow, for lack of a thread, stays as it was "
        "until the next reload, and one of the warnings says which. Each pool that changes is announced by "
        "pool_updated; a lowered limit ends no task, a raised one starts waiting tasks.",
    ),
    Operation(
        "test_channel", protocol.NotifyTest, "Test a channel",
        success=(protocol.NotifyTested,),
        notes="Answered once the channel has accepted it; an error says why it has not. It is not tried "
        "again. A disabled channel that accepts one is enabled again.",
    ),
    Operation(
        "upgrade_server", protocol.Upgrade, "Upgrade the server",
        success=(protocol.Upgraded,),
        notes="Answered by the new program. Connections stay open, except encrypted ones and those that are "
        "being sent a long replay from a log, which are closed with code 1012; no line is lost or repeated. "
        "An error says why the new program cannot take over; then nothing has changed. Requests that come "
        "during an upgrade get its answer.",
    ),
)  # fmt: skip
"""One for each request. Every one of them may also be answered by an error."""
