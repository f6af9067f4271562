"""Manifest, openapi and the protocol's document: complete, and true to the declarations."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from overseer.protocol import (
    EVENTS,
    REQUESTS,
    ActionInfo,
    ParamSpec,
    PoolConfig,
    RetryPolicy,
    parse_request,
    to_plain,
)
from overseer.protocol.specs import build_manifest, build_openapi
from overseer.protocol.specs.examples import EXAMPLES
from overseer.protocol.specs.operations import OPERATIONS
from overseer.protocol.specs.tables import main, with_generated_parts

PROTOCOL = Path(__file__).parents[2] / "docs" / "PROTOCOL.md"
GREET = ActionInfo(
    "greet",
    "exec",
    "Greet someone",
    {"suffix": ParamSpec("", 'value != "?"'), "zeta": None, "name": ParamSpec(None, "size(value) > 0")},
    PoolConfig(3),
    RetryPolicy(restart_delay=10**9),
    ("name",),
)
ECHO = ActionInfo("echo", "exec")


@pytest.fixture(scope="module")
def manifest() -> dict[str, Any]:
    built = build_manifest(name="recorder", version="1.2.3", description="Records", actions=[GREET, ECHO])
    assert json.loads(json.dumps(built)) == built
    return built


@pytest.fixture(scope="module")
def commands() -> dict[str, dict[str, Any]]:
    built = build_openapi(title="recorder", version="1.2.3", description="Records", actions=[GREET, ECHO])
    return {command["operationId"]: command for command in built["paths"]["/ws"]["ws"]["commands"]}


def test_the_manifest_has_its_keys_in_order(manifest: dict[str, Any]) -> None:
    assert list(manifest) == [
        "$schema",
        "protocol",
        "version",
        "description",
        "transport",
        "types",
        "messages",
        "operations",
        "actions",
    ]
    assert manifest["protocol"] == "sticky-overseer"
    assert manifest["version"] == "1.2.3"
    assert "Records" in manifest["description"]
    assert manifest["transport"] == {"path": "/ws", "type_field": "type", "correlation_field": "id"}
    assert manifest["actions"] == [to_plain(GREET), to_plain(ECHO)]
    assert build_manifest(version="1", actions=())["actions"] == []


def test_the_manifest_names_every_type(manifest: dict[str, Any]) -> None:
    wanted = (
        "TaskState WorkerState Stream QueueOrder ExcessAction KillOrder DisplacePolicy RetryPolicy "
        "QueueConfig ExcessConfig PoolConfig PoolInfo ParamSpec ActionInfo TaskInfo TaskMetrics "
        "ActionMetrics GlobalMetrics"
    )
    assert set(wanted.split()) <= set(manifest["types"])
    assert manifest["types"]["TaskState"]["values"] == ["active", "stopped", "errored", "queued"]
    assert manifest["types"]["RetryPolicy"]["fields"]["restart_delay"]["type"] == "duration"
    assert list(manifest["types"]["TaskInfo"]["fields"]) == [
        "task_id",
        "action",
        "params",
        "queued_at",
        "state",
        "status",
        "waiting_on",
        "host",
        "retry_policy",
        "current_pid",
        "worker_state",
        "restart_count",
        "created_at",
        "last_started_at",
        "last_exited_at",
        "last_exit_code",
        "error_message",
        "last_signal",
        "output_evicted",
        "reason",
        "duration_ms",
        "cpu_ms",
        "max_rss",
        "success_codes",
        "stdin",
        "ready",
        "health",
        "trigger",
    ]


def test_the_manifest_has_every_message_once(manifest: dict[str, Any]) -> None:
    messages = manifest["messages"]
    sent = {name for name, message in messages.items() if message["direction"] == "c2s"}
    received = {name for name, message in messages.items() if message["direction"] == "s2c"}
    assert sent == set(REQUESTS)
    assert received == {
        *set(EVENTS)
        - {
            "pool_info",
            "metrics",
            "manifest",
            "runs",
            "run_stats",
            "usage",
            "logs",
            "graph",
            "schedules",
            "cluster",
        },
        "pool_info_response",
        "metrics_response",
        "usage_response",
        "manifest_response",
        "runs_response",
        "run_stats_response",
        "logs_response",
        "graph_response",
        "cluster_response",
        "schedules_response",
    }
    assert messages["pool_info_response"]["fields"]["type"]["default"] == "pool_info"
    assert messages["output"]["delivery"] == "broadcast_subscribers"
    assert messages["queued"]["delivery"] == "broadcast"
    assert messages["tasks"]["delivery"] == "direct"
    start = messages["start"]["fields"]
    assert start["type"]["ui_hint"] == "hidden"
    assert start["action"]["required"] is True
    assert start["task_id"]["required"] is False
    assert start["params"]["type"] == "map"
    assert start["retry_policy"]["$ref"] == "#/types/RetryPolicy"
    assert start["force"]["default"] is False


def everything_in(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, dict):
        return [value, *(found for item in value.values() for found in everything_in(item))]
    if isinstance(value, list):
        return [found for item in value for found in everything_in(item)]
    return []


def test_every_reference_in_the_manifest_leads_somewhere(manifest: dict[str, Any]) -> None:
    names = {found["$ref"] for found in everything_in(manifest) if "$ref" in found}
    assert names
    assert names <= {f"#/types/{name}" for name in manifest["types"]}


def test_fields_have_known_types_and_hints(manifest: dict[str, Any]) -> None:
    known = {
        "string",
        "integer",
        "number",
        "boolean",
        "timestamp",
        "duration",
        "uuid",
        "enum",
        "object",
        "array",
        "map",
    }
    for holder in [*manifest["types"].values(), *manifest["messages"].values()]:
        assert holder["description"]
        for field in holder.get("fields", {}).values():
            assert ("$ref" in field) != (field.get("type") in known)
            assert field["description"]
            assert isinstance(field["required"], bool)
            assert field.get("ui_hint", "hidden") in ("hidden", "textarea", "json-editor", "password")


def test_there_is_an_operation_for_every_request(manifest: dict[str, Any]) -> None:
    operations = manifest["operations"]
    assert list(operations) == [
        "start_task",
        "stop_task",
        "reset_task",
        "signal_task",
        "give_task_input",
        "resize_task",
        "restart_task",
        "forget_task",
        "move_task",
        "list_tasks",
        "show_graph",
        "show_cluster",
        "list_schedules",
        "pause_schedules",
        "resume_schedules",
        "list_runs",
        "sum_up_runs",
        "show_log",
        "search_logs",
        "replay_task",
        "describe_actions",
        "get_pool_info",
        "purge_queue",
        "set_pool_limits",
        "subscribe_task",
        "unsubscribe_task",
        "watch_tasks",
        "end_watch",
        "get_usage",
        "get_metrics",
        "get_manifest",
        "reload_config",
        "test_channel",
        "upgrade_server",
    ]
    assert {operation["send"] for operation in operations.values()} == set(REQUESTS)
    for operation in operations.values():
        assert list(operation) == ["description", "send", "responses", "notes"]
        direct, side_effects = operation["responses"]["direct"], operation["responses"]["side_effects"]
        assert direct["error"] == ["error"]
        assert list(side_effects) == ["broadcast", "broadcast_subscribers"]
        for name in [*direct["success"], *side_effects["broadcast"], *side_effects["broadcast_subscribers"]]:
            assert manifest["messages"][name]["direction"] == "s2c"
    assert operations["get_pool_info"]["responses"]["direct"]["success"] == ["pool_info_response"]
    assert operations["start_task"]["responses"]["direct"]["success"] == ["started", "queued"]


def test_side_effects_go_to_whom_the_message_is_declared_for() -> None:
    for operation in OPERATIONS:
        assert {event.delivery for event in operation.broadcast} <= {"broadcast"}
        assert {event.delivery for event in operation.subscribers} <= {"broadcast_subscribers"}


def test_openapi_has_its_frame() -> None:
    built = build_openapi(title="recorder", version="1.2.3", description="Records", actions=[])
    assert list(built) == ["swagger", "info", "produces", "paths"]
    assert built["swagger"] == "2.0"
    assert built["info"] == {"title": "recorder", "description": "Records", "version": "1.2.3"}
    assert list(built["paths"]) == ["/ws"]
    assert len(built["paths"]["/ws"]["ws"]["commands"]) == 33


def test_openapi_has_a_command_for_each_request_and_each_action(commands: dict[str, dict[str, Any]]) -> None:
    assert list(commands) == [
        "ws-list",
        "ws-stop",
        "ws-reset",
        "ws-replay",
        "ws-describe",
        "ws-pool-info",
        "ws-purge",
        "ws-set-pool",
        "ws-subscribe",
        "ws-unsubscribe",
        "ws-metrics",
        "ws-manifest",
        "ws-reload",
        "ws-signal",
        "ws-restart",
        "ws-forget",
        "ws-input",
        "ws-usage",
        "ws-resize",
        "ws-runs",
        "ws-run-stats",
        "ws-logs",
        "ws-search",
        "ws-graph",
        "ws-schedules",
        "ws-pause",
        "ws-resume",
        "ws-watch",
        "ws-unwatch",
        "ws-notify-test",
        "ws-cluster",
        "ws-upgrade",
        "ws-move",
        "start-echo",
        "start-greet",
    ]
    types = {command["parameters"][0]["default"] for command in commands.values()}
    assert types == set(REQUESTS)
    known = {"string", "integer", "boolean", "object", "uuid", "timestamp", "duration"}
    for command in commands.values():
        assert {"summary", "description", "operationId", "tags", "parameters"} <= set(command)
        assert command["parameters"][0]["name"] == "type"
        assert command["parameters"][0]["hidden"] is True
        for parameter in command["parameters"]:
            assert {"name", "description", "type", "required", "hidden"} <= set(parameter)
            assert parameter["type"] in known


def test_openapi_asks_for_a_request_s_fields(commands: dict[str, dict[str, Any]]) -> None:
    def asked(operation: str) -> dict[str, tuple[str, bool]]:
        return {p["name"]: (p["type"], p["required"]) for p in commands[operation]["parameters"]}

    assert asked("ws-stop") == {"type": ("string", True), "id": ("string", False), "task_id": ("uuid", True)}
    assert list(asked("ws-manifest")) == ["type", "id"]
    assert asked("ws-list")["since"] == ("timestamp", False)
    assert asked("ws-set-pool")["excess"] == ("object", False)
    assert asked("ws-set-pool")["limit"] == ("integer", False)
    assert "params_key" not in commands["ws-stop"]


def test_openapi_asks_for_an_action_s_parameters_required_ones_first(
    commands: dict[str, dict[str, Any]],
) -> None:
    command = commands["start-greet"]
    assert command["params_key"] == "params"
    assert command["description"] == "Greet someone"
    kind, action, name, zeta, suffix = command["parameters"]
    assert (kind["name"], kind["default"], kind["hidden"]) == ("type", "start", True)
    assert (action["name"], action["default"], action["hidden"]) == ("action", "greet", True)
    assert (name["name"], name["required"], name["validate"]) == ("name", True, "size(value) > 0")
    assert (zeta["name"], zeta["required"]) == ("zeta", True)
    assert (suffix["name"], suffix["required"], suffix["default"]) == ("suffix", False, "")
    assert command["x-action-type"] == "exec"
    assert command["x-task-pool"]["limit"] == 3
    assert command["x-retry"] == {"restart_delay": "1s"}
    assert command["x-dedupe-key"] == ["name"]
    assert len(commands["start-echo"]["parameters"]) == 2
    assert not {"x-retry", "x-dedupe-key"} & set(commands["start-echo"])


def test_the_protocol_s_document_is_up_to_date() -> None:
    text = PROTOCOL.read_text("utf-8")
    assert text == with_generated_parts(text), "run: python -m overseer.protocol.specs.tables"


def test_rewriting_the_document_changes_nothing_but_the_generated_parts(tmp_path: Path) -> None:
    stale = tmp_path / "P.md"
    stale.write_text("a\n<!-- generated: values -->\nstale text\n<!-- end of generated -->\nb\n")
    assert main([str(stale)]) == 0
    fresh = stale.read_text()
    assert fresh.startswith("a\n<!-- generated: values -->\n")
    assert fresh.endswith("<!-- end of generated -->\nb\n")
    assert "stale text" not in fresh
    assert "### RetryPolicy" in fresh
    assert main([str(stale)]) == 0
    assert stale.read_text() == fresh


def test_the_document_has_each_message_with_its_example() -> None:
    text = PROTOCOL.read_text("utf-8")
    shown = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]
    assert shown == [to_plain(example) for example in EXAMPLES]
    for name in REQUESTS:
        assert f"### request `{name}`\n" in text
    for name in EVENTS:
        assert f"### message `{name}`\n" in text
    for example in shown[: len(REQUESTS)]:
        assert parse_request(json.dumps(example)).type == example["type"]


def test_every_link_within_the_document_leads_somewhere() -> None:
    text = PROTOCOL.read_text("utf-8")
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= anchors
