"""All operations of the API."""

from __future__ import annotations

from overseer import protocol
from overseer.api import outcome, output
from overseer.api.call import Call, Operation, json_answer, simply
from overseer.api.media import EVENTS, JSON, LINES, TEXT
from overseer.api.problems import refused
from overseer.net.http import Response


def _action(call: Call) -> Response:
    (action,) = call.ask(action=call.path["name"])["actions"]
    return json_answer(action)


def _start(call: Call) -> Response:
    call.given["action"] = call.path["name"]
    return outcome.start(call)


def _task(call: Call) -> Response:
    rows = call.ask()["tasks"]
    if not rows:
        raise refused(404, "task not found", code="not_found")
    return json_answer(rows[0])


def _run(call: Call) -> Response:
    rows = call.ask()["runs"]
    if not rows:
        raise refused(404, "no such run", code="not_found")
    return json_answer(rows[0])


def _pool(call: Call) -> Response:
    return json_answer(call.ask(action=call.path.get("name", ""))["pool"])


_LIMITS = ("limit", "queue_size", "excess")
_STREAMS = (TEXT, LINES, EVENTS)

OPERATIONS = (
    Operation("GET", "/actions", protocol.Describe, "The actions that there are", simply),
    Operation("GET", "/actions/{name}", protocol.Describe, "One action", _action, only=()),
    Operation(
        "POST", "/actions/{name}/start", protocol.Start, "Start an action as a task", _start, 201,
        own=("wait", "lines"), media=(JSON, TEXT), idempotent=True,
        only=("task_id", "params", "retry_policy", "force"),
    ),
    Operation("GET", "/tasks", protocol.List, "The tasks that the server knows", simply,
              only=("since", "limit", "after")),
    Operation("GET", "/tasks/{task_id}", protocol.List, "One task", _task, only=()),
    Operation(
        "DELETE", "/tasks/{task_id}", protocol.Stop, "Stop a task", outcome.wait_for_end, 202,
        own=("wait", "lines"), media=(JSON, TEXT),
    ),
    Operation(
        "POST", "/tasks/{task_id}/stop", protocol.Stop, "Stop a task", outcome.wait_for_end, 202,
        own=("wait", "lines"), media=(JSON, TEXT),
    ),
    Operation(
        "POST", "/tasks/{task_id}/start", protocol.Start, "Start a standing task", outcome.start, 201,
        own=("wait", "lines"), media=(JSON, TEXT), idempotent=True, only=("retry_policy", "force"),
    ),
    Operation("POST", "/tasks/{task_id}/reset", protocol.Reset, "Reset an errored task", simply),
    Operation("POST", "/tasks/{task_id}/restart", protocol.Restart, "Stop a task and start it again", simply),
    Operation("POST", "/tasks/{task_id}/signal", protocol.Signal, "Send a task a signal", simply),
    Operation("POST", "/tasks/{task_id}/input", protocol.Input, "Give a task something to read", simply),
    Operation("POST", "/tasks/{task_id}/pause", protocol.Pause, "Pause a task's schedules", simply),
    Operation("POST", "/tasks/{task_id}/resume", protocol.Resume, "Resume a task's schedules", simply),
    Operation(
        "GET", "/tasks/{task_id}/output", protocol.Replay, "A task's output", output.of_task,
        only=("since_seq",), own=("follow", "tail", "stream"), media=_STREAMS,
    ),
    Operation(
        "GET", "/events", protocol.Watch, "What happens to all tasks", output.events,
        only=("after",), media=(EVENTS,),
    ),
    Operation("GET", "/runs", protocol.RunsRequest, "The history of runs", simply),
    Operation("GET", "/runs/{run_id}", protocol.RunsRequest, "One run", _run, only=()),
    Operation(
        "GET", "/runs/{run_id}/output", protocol.Replay, "A run's output", output.of_run,
        only=("since_seq",), own=("tail", "stream"), media=_STREAMS,
    ),
    Operation("GET", "/search", protocol.Search, "Lines of logs with a text in them", simply),
    Operation("GET", "/graph", protocol.GraphRequest, "The standing tasks, and what they wait for", simply),
    Operation("GET", "/cluster", protocol.ClusterRequest, "The clusters that tasks run on", simply),
    Operation("GET", "/schedules", protocol.SchedulesRequest, "When standing tasks start", simply),
    Operation("GET", "/usage", protocol.UsageRequest, "What running tasks use", simply),
    Operation("GET", "/pools", protocol.PoolInfoRequest, "The pool of all tasks", _pool, only=()),
    Operation("GET", "/pools/{name}", protocol.PoolInfoRequest, "An action's pool", _pool, only=()),
    Operation("PUT", "/pools", protocol.SetPool, "Change the pool of all tasks", _pool, only=_LIMITS),
    Operation("PUT", "/pools/{name}", protocol.SetPool, "Change an action's pool", _pool, only=_LIMITS),
    Operation("GET", "/metrics", protocol.MetricsRequest, "Counters", simply),
    Operation("POST", "/reload", protocol.Reload, "Reload the configuration", simply),
)  # fmt: skip
