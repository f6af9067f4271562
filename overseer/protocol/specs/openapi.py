"""``/openapi.json``: every command as a form, in the shape that generic clients of this protocol read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from overseer.protocol import ActionInfo, ParamSpec, Start, to_plain
from overseer.protocol.specs.described import described_param
from overseer.protocol.specs.operations import OPERATIONS, Operation
from overseer.schema.fields import Field, description_of, fields_of

# The order in which clients show the commands.
_ORDER = (
    "list",
    "stop",
    "reset",
    "replay",
    "describe",
    "pool_info",
    "purge",
    "set_pool",
    "subscribe",
    "unsubscribe",
    "metrics",
    "manifest",
    "reload",
    "signal",
    "restart",
    "forget",
    "input",
    "usage",
    "resize",
    "runs",
    "run_stats",
    "logs",
    "search",
    "graph",
    "schedules",
    "pause",
    "resume",
    "watch",
    "unwatch",
    "notify_test",
    "cluster",
    "upgrade",
    "move",
)


def build_openapi(
    *, title: str, version: str, description: str = "", actions: Sequence[ActionInfo]
) -> dict[str, Any]:
    """The document as plain JSON values; one command for each request, then one for each action by name."""
    by_type = {operation.request.type: operation for operation in OPERATIONS}
    commands = [_command(by_type[message_type]) for message_type in _ORDER]
    commands += [_start(action) for action in sorted(actions, key=lambda action: action.name)]
    return {
        "swagger": "2.0",
        "info": {"title": title, "description": description, "version": version},
        "produces": ["application/json"],
        "paths": {"/ws": {"ws": {"summary": "WebSocket", "commands": commands}}},
    }


def _command(operation: Operation) -> dict[str, Any]:
    request = operation.request
    return {
        "summary": operation.summary,
        "description": description_of(request),
        "operationId": f"ws-{request.type.replace('_', '-')}",
        "tags": ["protocol"],
        "parameters": [
            _hidden("type", request.type, "Which message this is"),
            *(_parameter(spec) for spec in fields_of(request)),
        ],
    }


def _start(action: ActionInfo) -> dict[str, Any]:
    specs = ((name, spec or ParamSpec()) for name, spec in action.params.items())
    ordered = sorted(specs, key=lambda item: (item[1].default is not None, item[0]))
    command: dict[str, Any] = {
        "summary": f"Start {action.name}",
        "description": action.description or description_of(Start),
        "operationId": f"start-{action.name}",
        "tags": ["actions"],
        "params_key": "params",
        "parameters": [
            _hidden("type", Start.type, "Which message this is"),
            _hidden("action", action.name, "The action to start"),
            *(_action_parameter(name, spec) for name, spec in ordered),
        ],
        "x-action-type": action.type,
        "x-task-pool": to_plain(action.task_pool),
    }
    if action.retry is not None:
        command["x-retry"] = to_plain(action.retry)
    if action.dedupe_key:
        command["x-dedupe-key"] = list(action.dedupe_key)
    return command


def _hidden(name: str, value: str, description: str) -> dict[str, Any]:
    return {
        "name": name,
        "description": description,
        "type": "string",
        "required": True,
        "hidden": True,
        "default": value,
    }


def _parameter(spec: Field) -> dict[str, Any]:
    # Clients make up the id themselves: a form that insisted on one would only be in the way.
    described: dict[str, Any] = {
        "name": spec.name,
        "description": spec.doc,
        "type": spec.type.name,
        "required": spec.required and spec.name != "id",
        "hidden": False,
    }
    if spec.plain_default is not None:
        described["default"] = spec.plain_default
    return described


def _action_parameter(name: str, spec: ParamSpec) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": name,
        "description": described_param(spec) or f"Parameter {name}",
        "type": "string",
        "required": spec.default is None,
        "hidden": False,
    }
    if spec.default is not None:
        described["default"] = spec.default
    if spec.type == "secret":
        described["format"] = "password"
    if spec.values:
        described["enum"] = list(spec.values)
    if spec.validate:
        described["validate"] = spec.validate
    return described
