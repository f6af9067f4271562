"""All operations of the API."""

from __future__ import annotations

from overseer import protocol
from overseer.api import outcome, output
from overseer.api.call import Call, Operation, first, json_answer, simply
from overseer.api.media import EVENTS, JSON, LINES, TEXT
from overseer.net.http import Response


def _action(call: Call) -> Response:
    (action,) = call.ask(action=call.path["name"])["actions"]
    return json_answer(action)


def _start(call: Call) -> Response:
    call.given["action"] = call.path["name"]
    return outcome.start(call)


def _task(call: Call) -> Response:
    return json_answer(first(call.ask()["tasks"], "task not found"))


def _run(call: Call) -> Response:
    return json_answer(first(call.ask()["runs"], "no such run"))


def _pool(call: Call) -> Response:
    return json_answer(call.ask(action=call.path.get("name", ""))["pool"])


_LIMITS = ("limit", "queue_size", "excess")
_STREAMS = (TEXT, LINES, EVENTS)

OPERATIONS = (
    Operation("list_actions", "GET", "/actions", protocol.Describe, "The actions that there are", simply,
              shows=(protocol.Actions,)),
    Operation("get_action", "GET", "/actions/{name}", protocol.Describe, "One action", _action,
              shows=(protocol.ActionInfo,), only=()),
    Operation(
        "start_action", "POST", "/actions/{name}/start", protocol.Start, "Start an action as a task", _start,
        201, own=("wait", "lines"), media=(JSON, TEXT), idempotent=True,
        only=("task_id", "params", "retry_policy", "force"),
    ),
    Operation("list_tasks", "GET", "/tasks", protocol.List, "The tasks that the server knows", simply,
              shows=(protocol.Tasks,), only=("since", "limit", "after")),
    Operation("get_task", "GET", "/tasks/{task_id}", protocol.List, "One task", _task,
              shows=(protocol.TaskInfo,), only=()),
    Operation(
        "delete_task", "DELETE", "/tasks/{task_id}", protocol.Stop, "Stop a task", outcome.wait_for_end, 202,
        own=("wait", "lines"), media=(JSON, TEXT),
    ),
    Operation(
        "stop_task", "POST", "/tasks/{task_id}/stop", protocol.Stop, "Stop a task", outcome.wait_for_end, 202,
        own=("wait", "lines"), media=(JSON, TEXT),
    ),
    Operation(
        "start_task", "POST", "/tasks/{task_id}/start", protocol.Start, "Start a standing task",
        outcome.start, 201,
        own=("wait", "lines"), media=(JSON, TEXT), idempotent=True, only=("retry_policy", "force"),
    ),
    Operation("reset_task", "POST", "/tasks/{task_id}/reset", protocol.Reset, "Reset an errored task", simply,
              shows=(protocol.Started,)),
    Operation("restart_task", "POST", "/tasks/{task_id}/restart", protocol.Restart,
              "Stop a task and start it again", simply, shows=(protocol.Started, protocol.Queued)),
    Operation("forget_task", "POST", "/tasks/{task_id}/forget", protocol.Forget,
              "Forget a task that is over", simply, shows=(protocol.Forgotten,)),
    Operation("move_task", "POST", "/tasks/{task_id}/move", protocol.Move,
              "Move a waiting task to another place in its queue", simply, shows=(protocol.Moved,)),
    Operation("signal_task", "POST", "/tasks/{task_id}/signal", protocol.Signal, "Send a task a signal",
              simply, shows=(protocol.Signaled,)),
    Operation("give_task_input", "POST", "/tasks/{task_id}/input", protocol.Input,
              "Give a task something to read", simply, shows=(protocol.InputAccepted,)),
    Operation("pause_schedules", "POST", "/tasks/{task_id}/pause", protocol.Pause, "Pause a task's schedules",
              simply, shows=(protocol.Paused,)),
    Operation("resume_schedules", "POST", "/tasks/{task_id}/resume", protocol.Resume,
              "Resume a task's schedules", simply, shows=(protocol.Resumed,)),
    Operation(
        "get_task_output", "GET", "/tasks/{task_id}/output", protocol.Replay, "A task's output",
        output.of_task, only=("since_seq",), own=("follow", "tail", "stream"), media=_STREAMS,
    ),
    Operation(
        "get_events", "GET", "/events", protocol.Watch, "What happens to all tasks", output.events,
        only=("after",), media=(EVENTS,),
    ),
    Operation("list_runs", "GET", "/runs", protocol.RunsRequest, "The history of runs", simply,
              shows=(protocol.RunsReply,)),
    Operation("get_run_stats", "GET", "/run-stats", protocol.RunStatsRequest, "Runs, summed up", simply,
              shows=(protocol.RunStatsReply,)),
    Operation("get_run", "GET", "/runs/{run_id}", protocol.RunsRequest, "One run", _run,
              shows=(protocol.RunInfo,), only=()),
    Operation(
        "get_run_output", "GET", "/runs/{run_id}/output", protocol.Replay, "A run's output", output.of_run,
        only=("since_seq",), own=("follow", "tail", "stream"), media=_STREAMS,
    ),
    Operation("search_logs", "GET", "/search", protocol.Search, "Lines of logs with a text in them", simply,
              shows=(protocol.Matches,)),
    Operation("get_graph", "GET", "/graph", protocol.GraphRequest,
              "The standing tasks, and what they wait for", simply, shows=(protocol.Graph,)),
    Operation("get_clusters", "GET", "/cluster", protocol.ClusterRequest, "The clusters that tasks run on",
              simply, shows=(protocol.ClusterReply,)),
    Operation("list_schedules", "GET", "/schedules", protocol.SchedulesRequest, "When standing tasks start",
              simply, shows=(protocol.SchedulesReply,)),
    Operation("get_usage", "GET", "/usage", protocol.UsageRequest, "What running tasks use", simply,
              shows=(protocol.Usage,)),
    Operation("get_global_pool", "GET", "/pools", protocol.PoolInfoRequest, "The pool of all tasks", _pool,
              shows=(protocol.PoolInfo,), only=()),
    Operation("get_pool", "GET", "/pools/{name}", protocol.PoolInfoRequest, "An action's pool", _pool,
              shows=(protocol.PoolInfo,), only=()),
    Operation("set_global_pool", "PUT", "/pools", protocol.SetPool, "Change the pool of all tasks", _pool,
              shows=(protocol.PoolInfo,), only=_LIMITS),
    Operation("set_pool", "PUT", "/pools/{name}", protocol.SetPool, "Change an action's pool", _pool,
              shows=(protocol.PoolInfo,), only=_LIMITS),
    Operation("get_metrics", "GET", "/metrics", protocol.MetricsRequest, "Counters", simply,
              shows=(protocol.MetricsReply,)),
    Operation("reload_config", "POST", "/reload", protocol.Reload, "Reload the configuration", simply,
              shows=(protocol.Reloaded,)),
    Operation("check_upgrade", "GET", "/upgrade", protocol.Upgrade,
              "Whether the server can be upgraded, and what came of the last upgrade",
              lambda call: json_answer(call.ask(check=True)), shows=(protocol.Upgraded,), only=()),
    Operation("upgrade_server", "POST", "/upgrade", protocol.Upgrade, "Upgrade the server", outcome.upgrade,
              202, shows=(protocol.Upgraded,)),
)  # fmt: skip
