"""One example of each message, for the documents. They are real messages: what is shown is what is sent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from overseer.protocol import (
    ActionInfo,
    Actions,
    Dequeued,
    Describe,
    Error,
    Errored,
    Event,
    Exited,
    Gap,
    GlobalMetrics,
    List,
    ManifestReply,
    ManifestRequest,
    MetricsReply,
    MetricsRequest,
    Output,
    ParamChoice,
    ParamSpec,
    Partial,
    PoolConfig,
    PoolInfo,
    PoolInfoReply,
    PoolInfoRequest,
    PoolUpdated,
    Purge,
    Purged,
    Queued,
    QueueItem,
    Reload,
    Reloaded,
    Replay,
    Request,
    Reset,
    Restart,
    Restarting,
    RetryPolicy,
    SetPool,
    Signal,
    Signaled,
    Start,
    Started,
    Stop,
    Subscribe,
    Subscribed,
    TaskInfo,
    Tasks,
    Unsubscribe,
    Unsubscribed,
)

_TASK = "build-main"
_PID = 4711
_THEN = datetime(2026, 3, 14, 9, 26, 53, 589793, tzinfo=UTC)
_LATER = _THEN + timedelta(seconds=42.5)
_SECOND = 1_000_000_000
_RETRY = RetryPolicy(restart_delay=5 * _SECOND, error_window=600 * _SECOND, error_threshold=3)
_POOL = PoolInfo(
    limit=2,
    running=2,
    queue_depth=1,
    queue_items=(QueueItem("build-next", "build", _LATER, 0, False),),
)

EXAMPLES: tuple[Request | Event, ...] = (
    Start("r1", "build", _TASK, {"branch": "main"}, _RETRY),
    Stop("r2", _TASK),
    Reset("r3", _TASK),
    Signal("r16", _TASK, "SIGHUP"),
    Restart("r17", _TASK),
    List("r4", _THEN, limit=100),
    Replay("r5", _TASK, since_seq=40),
    Subscribe("r6", _TASK, since_seq=40),
    Unsubscribe("r7", _TASK),
    Describe("r8", "build"),
    PoolInfoRequest("r9", "build"),
    SetPool("r10", "build", 4, 20, {"action": "requeue", "grace": 10}),
    Purge("r11", "build"),
    MetricsRequest("r12"),
    ManifestRequest("r13"),
    Reload("r15", dry_run=True),
    Started("r1", _TASK, _PID, _THEN),
    Output(_TASK, _PID, "stdout", "compiling 42 files", _THEN, 41),
    Exited(_TASK, _PID, -1, False, _LATER, "SIGSEGV", will_restart=True, reason="signal", duration_ms=42500),
    Signaled("r16", _TASK, "SIGHUP"),
    Restarting(_TASK, _PID, 5 * _SECOND, 1, _LATER),
    Errored(_TASK, _PID, 3, _LATER),
    Queued("r1", "build-next", "build", 1, _LATER),
    Dequeued("build-next", "purged", _LATER),
    Tasks(
        "r4",
        (
            TaskInfo(
                task_id=_TASK,
                action="build",
                params={"branch": "main"},
                state="active",
                retry_policy=_RETRY,
                current_pid=_PID,
                worker_state="running",
                restart_count=0,
                created_at=_THEN,
                last_started_at=_THEN,
            ),
        ),
    ),
    Actions(
        "r8",
        (
            ActionInfo(
                "build",
                "exec",
                "Build a branch",
                {
                    "branch": None,
                    "suffix": ParamSpec("", 'value != "?"'),
                    "jobs": ParamSpec("4", description="How many at once", type="integer", min=1, max=64),
                    "target": ParamSpec(
                        "all", type="choice", choices=(ParamChoice("all", "Everything"), ParamChoice("docs"))
                    ),
                },
                PoolConfig(limit=2),
                _RETRY,
                ("branch",),
            ),
        ),
    ),
    PoolInfoReply("r9", _POOL, action="build"),
    Purged("r11", 1, action="build"),
    PoolUpdated(PoolInfo(limit=4, running=3, queue_depth=0), action="build"),
    Subscribed("r6", _TASK, last_seq=57, oldest_seq=1, created_at=_THEN),
    Unsubscribed("r7", _TASK),
    MetricsReply(
        "r12",
        GlobalMetrics(
            tasks_started=12,
            tasks_completed=11,
            tasks_restarted=2,
            total_output_lines=48213,
            enqueued=3,
            dequeued=3,
        ),
    ),
    ManifestReply("r13", {"protocol": "sticky-overseer", "version": "1.0.0"}),
    Reloaded("r15", True, ("deploy",), ("build",), settings=("task_pool",), restart_needed=("listen",)),
    Error("r14", "duplicate task: already running as build-main", _TASK),
    Gap(_TASK, 1042, 5310, _LATER),
    Partial(_TASK, _PID, "stdout", "Password: ", _LATER),
)
"""In the order of the declarations, requests first."""
