"""One example of each message, for the documents. They are real messages, encoded as they are sent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from overseer import protocol

_TASK = "build-main"
_RUN = "5c1ab42f0d7e4a86b1a0e7c2d9f83640"
_PID = 4711
_THEN = datetime(2026, 3, 14, 9, 26, 53, 589793, tzinfo=UTC)
_LATER = _THEN + timedelta(seconds=42.5)
_NIGHT = datetime(2026, 3, 15, 1, 30, tzinfo=UTC)
_SECOND = 1_000_000_000
_RETRY = protocol.RetryPolicy(restart_delay=5 * _SECOND, error_window=600 * _SECOND, error_threshold=3)
_INFO = protocol.TaskInfo(
    task_id=_TASK, action="build", params={"branch": "main"}, state="active", retry_policy=_RETRY,
    current_pid=_PID, worker_state="running", restart_count=0, created_at=_THEN, last_started_at=_THEN,
)  # fmt: skip
_POOL = protocol.PoolInfo(
    limit=2, running=2, queue_depth=1,
    queue_items=(protocol.QueueItem("build-next", "build", _LATER, 0, False),),
)  # fmt: skip
_EXITED = protocol.Exited(
    _TASK, _PID, -1, False, _LATER, "SIGSEGV",
    will_restart=True, reason="signal", duration_ms=42500, cpu_ms=1250, max_rss=48_000_000,
)  # fmt: skip
_RUN_INFO = protocol.RunInfo(
    run_id=_RUN, task_id=_TASK, action="build", number=7, status="failed", reason="signal",
    params={"branch": "main"}, trigger=protocol.RunTrigger("client", "ana"),
    started=_THEN, ended=_LATER, duration_ms=42500, exit_code=-1, signal="SIGSEGV",
    first_seq=41, last_seq=57, definition="9f2c61d04b7a",
)  # fmt: skip
_RUN_STATS = protocol.RunStats(
    start=_THEN, runs=12, running=1, succeeded=9, failed=2, stopped=0, lost=0,
    duration_ms=512300, median_ms=42500, p95_ms=61200,
)  # fmt: skip
_METRICS = protocol.GlobalMetrics(
    tasks_started=12, tasks_completed=11, tasks_restarted=2, total_output_lines=48213, enqueued=3, dequeued=3
)

_EXAMPLES: tuple[protocol.Request | protocol.Event, ...] = (
    protocol.Start("r1", "build", _TASK, {"branch": "main"}, _RETRY),
    protocol.Stop("r2", _TASK),
    protocol.Reset("r3", _TASK),
    protocol.Signal("r16", _TASK, "SIGHUP"),
    protocol.Input("r18", _TASK, "yes\n"),
    protocol.Resize("r19", _TASK, 40, 132),
    protocol.Restart("r17", _TASK),
    protocol.Forget("r26", _TASK),
    protocol.List("r4", _THEN, limit=100),
    protocol.GraphRequest("r22"),
    protocol.ClusterRequest("r26"),
    protocol.SchedulesRequest("r23", upcoming=2),
    protocol.Pause("r24", "nightly"),
    protocol.Resume("r25", "nightly"),
    protocol.RunsRequest("r18", _TASK, state="failed", limit=50),
    protocol.RunStatsRequest("r27", action="build", since=_THEN, every=3600),
    protocol.LogsRequest("r20", _TASK, tail=20),
    protocol.Search("r21", "error: ", action="build", limit=20),
    protocol.Replay("r5", _TASK, since_seq=40),
    protocol.Subscribe("r6", _TASK, since_seq=40),
    protocol.Unsubscribe("r7", _TASK),
    protocol.Watch("r22", usage=True, after="9f2c6a1be07d4c5385d1f7aa"),
    protocol.Unwatch("r23"),
    protocol.Describe("r8", "build"),
    protocol.PoolInfoRequest("r9", "build"),
    protocol.SetPool("r10", "build", 4, 20, {"action": "requeue", "grace": 10}),
    protocol.Move("r27", "build-next", to="first"),
    protocol.Purge("r11", "build"),
    protocol.UsageRequest("r20", _TASK),
    protocol.MetricsRequest("r12"),
    protocol.ManifestRequest("r13"),
    protocol.Reload("r15", dry_run=True),
    protocol.NotifyTest("r24", "ops"),
    protocol.Upgrade("r25", wait_ms=60_000),
    protocol.NotifyTested("r24", "ops"),
    protocol.Upgraded("r25", from_="1.0.0", to="1.1.0", tasks=12, clients=3, pause_ms=240),
    protocol.Started("r1", _TASK, _PID, _THEN),
    protocol.Output(_TASK, _PID, "stdout", "compiling 42 files", _THEN, 41),
    _EXITED,
    protocol.Signaled("r16", _TASK, "SIGHUP"),
    protocol.InputAccepted("r18", _TASK, 4),
    protocol.Resized("r19", _TASK, 40, 132),
    protocol.Restarting(_TASK, _PID, 5 * _SECOND, 1, _LATER),
    protocol.Errored(_TASK, _PID, 3, _LATER),
    protocol.Ready(_TASK, _PID, _LATER),
    protocol.NotReady(_TASK, _PID, "not ready after 60 s: tcp 127.0.0.1:5432: connection refused", _LATER),
    protocol.Health(
        _TASK, "unhealthy", _LATER, detail="http://127.0.0.1:8000/health: HTTP 503 Service Unavailable"
    ),
    protocol.Queued("r1", "build-next", "build", 1, _LATER),
    protocol.Moved("r27", "build-next", "build", 1, _LATER, 2),
    protocol.Dequeued("build-next", "purged", _LATER),
    protocol.Tasks("r4", (_INFO,)),
    protocol.Graph(
        "r22",
        (protocol.GraphNode("db", "postgres", "running", "true"), protocol.GraphNode("web", "serve")),
        (protocol.GraphEdge("web", "db", "ready", True),),
    ),
    protocol.ClusterReply(
        "r26",
        (
            protocol.ClusterInfo(
                "tcp://10.0.0.5:8786",
                ("render",),
                True,
                waiting=("frame-8",),
                workers=(
                    protocol.ClusterWorker("w0", "tcp://10.0.0.7:40331", "running", 4, 1, ("frame-7",)),
                ),
            ),
        ),
    ),
    protocol.SchedulesReply(
        "r23",
        (
            protocol.ScheduleInfo(
                task_id="nightly",
                action="backup",
                when=("30 2 * * * (Europe/Berlin)",),
                next=_NIGHT,
                last=_NIGHT - timedelta(days=1),
                skipped=(protocol.SkippedSlot(_NIGHT - timedelta(days=2), "overlap", 1, _NIGHT),),
                upcoming=(_NIGHT, _NIGHT + timedelta(days=1)),
            ),
        ),
    ),
    protocol.Paused("r24", "nightly"),
    protocol.Resumed("r25", "nightly"),
    protocol.Skipped("nightly", _NIGHT, "overlap", _NIGHT),
    protocol.RunsReply("r18", (_RUN_INFO,), next="1041"),
    protocol.RunStatsReply("r27", (_RUN_STATS,)),
    protocol.LogsReply("r20", (protocol.LogLine(41, _THEN, "stdout", "compiling 42 files"),), 1, 41, 42),
    protocol.Matches(
        "r21",
        (protocol.LogMatch(_TASK, _RUN, 40, _THEN, "stderr", "error: no such file"),),
        "2026-05-06T07:08:09.123456Z/1/40/build-main",
    ),
    protocol.Actions(
        "r8",
        (
            protocol.ActionInfo(
                "build",
                "exec",
                "Build a branch",
                {
                    "branch": None,
                    "suffix": protocol.ParamSpec("", 'value != "?"'),
                    "jobs": protocol.ParamSpec(
                        "4", description="How many at once", type="integer", min=1, max=64
                    ),
                    "target": protocol.ParamSpec(
                        "all",
                        type="choice",
                        choices=(protocol.ParamChoice("all", "Everything"), protocol.ParamChoice("docs")),
                    ),
                },
                protocol.PoolConfig(limit=2),
                _RETRY,
                ("branch",),
            ),
        ),
    ),
    protocol.PoolInfoReply("r9", _POOL, action="build"),
    protocol.Purged("r11", 1, action="build"),
    protocol.PoolUpdated(protocol.PoolInfo(limit=4, running=3, queue_depth=0), action="build"),
    protocol.Subscribed("r6", _TASK, last_seq=57, oldest_seq=1, created_at=_THEN),
    protocol.Unsubscribed("r7", _TASK),
    protocol.Usage("r20", (protocol.TaskUsage(_TASK, 98.4, 48_000_000, 3, 7, 4096, 1_048_576),)),
    protocol.MetricsReply("r12", _METRICS),
    protocol.ManifestReply("r13", {"protocol": "sticky-overseer", "version": "1.0.0"}),
    protocol.Reloaded(
        "r15", True, ("deploy",), ("build",), settings=("task_pool",), restart_needed=("listen",)
    ),
    protocol.Error("r14", "duplicate task: already running as build-main", _TASK),
    protocol.Gap(_TASK, 1042, 5310, _LATER),
    protocol.Partial(_TASK, _PID, "stdout", "Password: ", _LATER),
    protocol.Data(_TASK, _PID, 2048, b"\x1b[32mok\x1b[0m\r\n"),
    protocol.ChainRefused(_TASK, _LATER, "publish", "parameter 'version' does not match [0-9.]+"),
    protocol.Watching("r22", (_INFO,), "9f2c6a1be07d4c5385d1f7aa"),
    protocol.Unwatched("r23"),
    protocol.Changed(task=_INFO, cursor="c4d01e77a95b6f3020e8b1d4"),
    protocol.Forgotten(_TASK, _LATER, cursor="51b7e2f0c8a94d660fb3927e"),
)
"""In the order of the declarations, requests first."""

_ORDER = [*protocol.REQUESTS.values(), *protocol.EVENTS.values()]

EXAMPLES = tuple(sorted(_EXAMPLES, key=lambda example: _ORDER.index(type(example))))
"""In the order in which the documents list them."""
