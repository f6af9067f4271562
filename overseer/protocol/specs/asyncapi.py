"""``/asyncapi.json``: the protocol for AsyncAPI 3.0, each message with a JSON Schema and an example."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import singledispatch
from typing import Any

from overseer.protocol import (
    EVENTS,
    MAX_NAME,
    REQUESTS,
    ActionInfo,
    Event,
    ParamSpec,
    Request,
    Start,
    kinds,
    to_plain,
)
from overseer.protocol.declare import Declared, FieldSpec, MapOf, Object, PartOf, description_of, fields_of
from overseer.protocol.specs.examples import EXAMPLES
from overseer.protocol.specs.operations import OPERATIONS, Operation
from overseer.protocol.values import VALUES

__all__ = ["build_asyncapi"]

_Json = dict[str, Any]

_CHANNEL = "#/channels/ws"
_DURATION = r"^[-+]?(0|([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+$"


def build_asyncapi(
    *,
    title: str,
    version: str,
    description: str = "",
    host: str = "localhost:8080",
    secure: bool = False,
    prefix: str = "",
    tokens: bool = False,
    actions: Sequence[ActionInfo] = (),
) -> _Json:
    """The document as plain JSON values.

    It describes the server: it *receives* requests and *sends* the rest. Each action has a message of its own
    besides ``start``, with its parameters.

    Args:
        host: where the server is, with the port.
        secure: whether that is reached by TLS.
        prefix: what a proxy has put before its paths (``/ov``).
        tokens: whether clients must present one.
        actions: those to describe.
    """
    starts = _names(actions)
    messages = {cls.type: _message(cls, sent=True) for cls in REQUESTS.values()}
    messages |= {name: _start(action) for name, action in starts.items()}
    messages |= {_key(event): _message(event, sent=False) for event in EVENTS.values()}
    server: _Json = {"host": host, "pathname": f"{prefix}/", "protocol": "wss" if secure else "ws"}
    if tokens:
        server["security"] = [{"type": "http", "scheme": "bearer"}]
    info: _Json = {"title": title, "version": version}
    if description:
        info["description"] = description
    operations = {operation.name: _receive(operation) for operation in OPERATIONS}
    start = next(operation for operation in OPERATIONS if operation.request is Start)
    operations |= {name: _receive(start, name, action) for name, action in starts.items()}
    operations |= {f"send_{_key(event)}": _send(event) for event in EVENTS.values()}
    return {
        "asyncapi": "3.0.0",
        "info": info,
        "defaultContentType": "application/json",
        "servers": {"this": server},
        "channels": {
            "ws": {
                "address": "ws",
                "title": "The one WebSocket",
                "description": "Text frames (binary ones are accepted), a JSON object each; its field type "
                "says which message it is. Over stdio, a line each.",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
            }
        },
        "operations": operations,
        "components": {
            "messages": messages,
            "schemas": {cls.__name__: _object(cls, sent=False) for cls in VALUES},
        },
    }


def _key(event: type[Event]) -> str:
    return f"{event.type}_response" if event.type in REQUESTS else event.type


def _names(actions: Sequence[ActionInfo]) -> dict[str, ActionInfo]:
    """The actions by a name that the format allows."""
    names: dict[str, ActionInfo] = {}
    for action in sorted(actions, key=lambda action: action.name):
        name = "start-" + re.sub(r"[^A-Za-z0-9_.-]", "_", action.name)
        while name in names:
            name += "_"
        names[name] = action
    return names


def _message(cls: type[Request | Event], *, sent: bool) -> _Json:
    """``sent`` by a client: only what it must give is required; else what is always there."""
    example = next(to_plain(each) for each in EXAMPLES if type(each) is cls)
    message: _Json = {
        "name": cls.type,
        "summary": description_of(cls),
        "payload": _object(cls, sent=sent),
        "examples": [{"payload": example}],
    }
    if any(spec.name == "id" for spec in fields_of(cls)):
        message["correlationId"] = {
            "location": "$message.payload#/id",
            "description": "The request's, repeated in the answer",
        }
    return message


def _start(action: ActionInfo) -> _Json:
    """A start of one action, with its parameters."""
    message = _message(Start, sent=True)
    specs = {name: spec or ParamSpec() for name, spec in action.params.items()}
    payload: _Json = message["payload"]
    payload["properties"]["action"] = {"const": action.name}
    params: _Json = {
        "type": "object",
        "properties": {name: _parameter(spec) for name, spec in specs.items()},
        "additionalProperties": {"type": "string"},
    }
    required = [name for name, spec in specs.items() if spec.default is None]
    if required:
        params["required"] = required
        payload["required"] = [*payload["required"], "params"]
    payload["properties"]["params"] = params
    message["summary"] = action.description or f"Start {action.name}"
    del message["examples"]
    return message


def _parameter(spec: ParamSpec) -> _Json:
    schema: _Json = {"type": "string"}
    if spec.default is not None:
        schema["default"] = spec.default
    if spec.validate:
        schema["description"] = f"Must meet the CEL condition {spec.validate}"
    return schema


def _receive(operation: Operation, message: str = "", action: ActionInfo | None = None) -> _Json:
    request = message or operation.request.type
    answers = [*map(_key, operation.success), "error"]
    described: _Json = {
        "action": "receive",
        "channel": {"$ref": _CHANNEL},
        "summary": operation.summary if action is None else f"Start {action.name}",
        "messages": [{"$ref": f"{_CHANNEL}/messages/{request}"}],
        "reply": {
            "channel": {"$ref": _CHANNEL},
            "messages": [{"$ref": f"{_CHANNEL}/messages/{name}"} for name in answers],
        },
    }
    if operation.notes:
        described["description"] = operation.notes
    return described


def _send(event: type[Event]) -> _Json:
    return {
        "action": "send",
        "channel": {"$ref": _CHANNEL},
        "summary": description_of(event),
        "messages": [{"$ref": f"{_CHANNEL}/messages/{_key(event)}"}],
    }


def _object(cls: type[Declared], *, sent: bool) -> _Json:
    properties: _Json = {}
    required = []
    if isinstance(name := getattr(cls, "type", None), str):
        properties["type"] = {"const": name}
        required.append("type")
    for spec in fields_of(cls):
        properties[spec.name] = _field(spec)
        if spec.alias and sent:
            properties[spec.alias] = _field(spec)
        if spec.required if sent else not spec.omit:
            required.append(spec.name)
    schema: _Json = {"type": "object", "description": description_of(cls), "properties": properties}
    if required:
        schema["required"] = required
    return schema


def _field(spec: FieldSpec) -> _Json:
    schema = _schema(spec.kind)
    if "$ref" in schema:  # beside which nothing else would count
        schema = {"allOf": [schema]}
    if not spec.required and not spec.omit and spec.default is None:
        schema = {"oneOf": [schema, {"type": "null"}]}
    if spec.plain_default is not None and not spec.omit:
        schema["default"] = spec.plain_default
    return schema | {"description": spec.description}


@singledispatch
def _schema(of: kinds.Kind) -> _Json:
    """The JSON Schema of what a kind reads and writes."""
    raise TypeError(f"no JSON Schema is known of {of!r}")


@_schema.register
def _(of: kinds.Text) -> _Json:
    return {"type": "string"}


@_schema.register
def _(of: kinds.Name) -> _Json:
    return {"type": "string", "minLength": 1, "maxLength": MAX_NAME}


@_schema.register
def _(of: kinds.Choice) -> _Json:
    return {"type": "string", "enum": list(of.words)}


@_schema.register
def _(of: kinds.Integer) -> _Json:
    return {"type": "integer", "format": "int64", "minimum": of.minimum}


@_schema.register
def _(of: kinds.Seconds) -> _Json:
    return {"type": "number", "minimum": 0}


@_schema.register
def _(of: kinds.Boolean) -> _Json:
    return {"type": "boolean"}


@_schema.register
def _(of: kinds.Timestamp) -> _Json:
    return {"type": "string", "format": "date-time"}


@_schema.register
def _(of: kinds.Duration) -> _Json:
    return {"type": "string", "pattern": _DURATION, "examples": ["1m30s", "500ms"]}


@_schema.register
def _(of: kinds.TextMap) -> _Json:
    return {"type": "object", "additionalProperties": {"type": "string"}}


@_schema.register
def _(of: kinds.ListOf) -> _Json:
    return {"type": "array", "items": _schema(of.item)}


@_schema.register
def _(of: kinds.JsonObject) -> _Json:
    return {"type": "object"}


@_schema.register
def _(of: Object) -> _Json:
    return {"$ref": f"#/components/schemas/{of.cls.__name__}"}


@_schema.register
def _(of: PartOf) -> _Json:
    schema = _object(of.cls, sent=False)
    schema.pop("required", None)
    return schema


@_schema.register
def _(of: MapOf) -> _Json:
    item = {"$ref": f"#/components/schemas/{of.cls.__name__}"}
    return {"type": "object", "additionalProperties": {"oneOf": [item, {"type": "null"}]}}
