"""The API as an OpenAPI 3.1 document, made from the operations and the declarations of messages."""

from __future__ import annotations

import re
from typing import Any

from overseer.api import problems
from overseer.api.call import OWN, Operation
from overseer.api.media import EVENTS, JSON
from overseer.api.routes import OPERATIONS
from overseer.errors import REFUSALS
from overseer.protocol import Event, TaskEvent, TaskInfo
from overseer.protocol.declare import VALUES
from overseer.schema.fields import Declared, Field, fields_of
from overseer.schema.objects import object_schema

_OWN_SCHEMAS: dict[str, dict[str, Any]] = {
    "wait": {"type": "number", "minimum": 0},
    "lines": {"type": "integer", "minimum": 0},
    "tail": {"type": "integer", "minimum": 0},
    "follow": {"type": "boolean"},
    "stream": {"type": "string", "enum": ["stdout", "stderr"]},
}
_GROUPS = ("actions", "tasks", "runs", "pools")  # by the beginning of a path; the rest is "server"
_PROBLEM = {
    "type": "object",
    "description": "Why a request was refused (RFC 9457)",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "The reason, for people"},
        "code": {"type": "string", "description": "The reason, for programs", "enum": list(REFUSALS)},
        "param": {"type": "string", "description": "The parameter that it is about"},
        "existing_task_id": {"type": "string", "description": "The task that it would have duplicated"},
    },
}
_BEGUN = {"type": "object", "properties": {"detail": {"type": "string"}}}
_WARNINGS = {
    "type": "array",
    "items": {"type": "string"},
    "description": "Of a start: what may be a mistake, such as a parameter that the action does not have",
}
_END = {
    "type": "object",
    "description": "How a task ended",
    "required": ["task_id", "action", "status", "output"],
    "properties": {
        **{name: {"type": "string"} for name in ("task_id", "action", "status", "signal", "reason")},
        **{name: {"type": ["integer", "null"]} for name in ("exit_code", "duration_ms")},
        "warnings": _WARNINGS,
        "output": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "seq": {"type": "integer"},
                    **{name: {"type": "string"} for name in ("ts", "stream", "data")},
                },
            },
        },
    },
}


def build_openapi(*, title: str, version: str, description: str, tokens: bool) -> dict[str, Any]:
    """The document as plain JSON values; ``tokens``: whether clients have to present one."""
    paths: dict[str, dict[str, Any]] = {}
    shown = dict.fromkeys([*VALUES, *(cls for each in OPERATIONS for cls in each.shows)])
    for each in OPERATIONS:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each)
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version, **({"description": description} if description else {})},
        "servers": [{"url": "/api/v1"}],
        "paths": paths,
        "components": {
            "schemas": {
                **{cls.__name__: _shown(cls) for cls in shown},
                "Problem": _PROBLEM,
                "TaskEnd": _END,
                "StartedTask": _started(),
            }
        },
    }
    if tokens:
        document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"token": []}]
    return document


def _started() -> dict[str, Any]:
    schema = _shown(TaskInfo)
    schema["properties"] = {**schema["properties"], "warnings": _WARNINGS}
    return schema


def _operation(operation: Operation) -> dict[str, Any]:
    group = operation.path.split("/")[1]
    parameters = [
        {"name": each, "in": "path", "required": True, "schema": {"type": "string"}}
        for each in re.findall(r"\{(\w+)\}", operation.path)
    ]
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "tags": [group if group in _GROUPS else "server"],
    }
    if operation.takes_body:
        if body := {each.name: _schema(each) for each in operation.fields}:
            required = [each.name for each in operation.fields if each.required]
            schema = {"type": "object", "properties": body, **({"required": required} if required else {})}
            described["requestBody"] = {"required": bool(required), "content": {JSON: {"schema": schema}}}
    else:
        parameters += [
            {"name": each.name, "in": "query", "required": each.required, "schema": _schema(each)}
            for each in operation.fields
        ]
    parameters += [
        {"name": each, "in": "query", "description": OWN[each], "schema": _OWN_SCHEMAS[each]}
        for each in operation.own
    ]
    if operation.idempotent:
        about = "Makes it safe to repeat: the second start with the same key is the first one"
        parameters.append(
            {"name": "Idempotency-Key", "in": "header", "description": about, "schema": {"type": "string"}}
        )
    if parameters:
        described["parameters"] = parameters
    described["responses"] = _responses(operation)
    return described


def _responses(operation: Operation) -> dict[str, Any]:
    problem = {
        "description": "It was refused",
        "content": {problems.CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    responses: dict[str, Any] = {}
    if operation.status == 202 and operation.shows:
        what = "It has begun; Location says where to ask what has come of it"
        responses["202"] = {"description": what, "content": {JSON: {"schema": _BEGUN}}}
    elif operation.status != 200:
        for status in dict.fromkeys((operation.status, 202)):
            what = "It runs" if status == 201 else "It is queued, or was asked to"
            row = _ref("StartedTask" if operation.name == "start_action" else "TaskInfo")
            responses[str(status)] = {"description": what, "content": {JSON: {"schema": row}}}
    ends = "wait" in operation.own
    answers = [_ref("TaskEnd")] if ends else [_ref(cls.__name__) for cls in operation.shows]
    answer = {"oneOf": answers} if len(answers) > 1 else answers[0] if answers else {}
    content: dict[str, Any] = {
        media: {"schema": answer if media == JSON else {"type": "string"}} for media in operation.media
    }
    responses["200"] = {"description": "Its end" if ends else "The answer", "content": content}
    if EVENTS in operation.media and "follow" in operation.own:
        responses["204"] = {"description": "The client has had all of it"}
    responses["default"] = problem
    return responses


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _schema(each: Field) -> dict[str, Any]:
    return {**each.type.json_schema(), "description": each.doc}


def _shown(cls: type[Declared]) -> dict[str, Any]:
    """The schema of a value, or of a message without what only a WebSocket needs."""
    schema = object_schema(cls)
    left_out = {"type", "id"} if issubclass(cls, Event) else set()
    if issubclass(cls, TaskEvent):
        left_out |= {each.name for each in fields_of(TaskEvent)}
    schema["properties"] = {
        name: _without_object(each) for name, each in schema["properties"].items() if name not in left_out
    }
    schema["required"] = [name for name in schema.get("required", ()) if name not in left_out]
    return schema


def _without_object(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema without its default, if that is an object: generators of clients cannot make one."""
    if isinstance(schema.get("default"), dict):
        return {name: value for name, value in schema.items() if name != "default"}
    return schema
