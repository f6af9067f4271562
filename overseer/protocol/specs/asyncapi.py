"""``/asyncapi.json``: the protocol for AsyncAPI 3.0, each message with a JSON Schema and an example."""

from __future__ import annotations

import re
from collections.abc import Sequence

from overseer.protocol import (
    EVENTS,
    REQUESTS,
    ActionInfo,
    Event,
    ParamSpec,
    Request,
    Start,
    to_plain,
)
from overseer.protocol.declare import VALUES
from overseer.protocol.specs.described import described_param
from overseer.protocol.specs.examples import EXAMPLES
from overseer.protocol.specs.manifest import key_of
from overseer.protocol.specs.operations import OPERATIONS, Operation
from overseer.schema.fields import description_of, fields_of
from overseer.schema.objects import object_schema
from overseer.schema.types import Json

_CHANNEL = "#/channels/ws"


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
) -> Json:
    """The document as plain JSON values.

    It describes the server: it *receives* requests and *sends* the rest. Each action has a message of its own
    in addition to ``start``, with its parameters.

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
    messages |= {key_of(event): _message(event, sent=False) for event in EVENTS.values()}
    server: Json = {"host": host, "pathname": f"{prefix}/", "protocol": "wss" if secure else "ws"}
    if tokens:
        server["security"] = [{"type": "http", "scheme": "bearer"}]
    info: Json = {"title": title, "version": version}
    if description:
        info["description"] = description
    operations = {operation.name: _receive(operation) for operation in OPERATIONS}
    start = next(operation for operation in OPERATIONS if operation.request is Start)
    operations |= {name: _receive(start, name, action) for name, action in starts.items()}
    operations |= {f"send_{key_of(event)}": _send(event) for event in EVENTS.values()}
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
            "schemas": {cls.__name__: object_schema(cls, sent=False) for cls in VALUES},
        },
    }


def _names(actions: Sequence[ActionInfo]) -> dict[str, ActionInfo]:
    """The actions by a name that the format allows."""
    names: dict[str, ActionInfo] = {}
    for action in sorted(actions, key=lambda action: action.name):
        name = "start-" + re.sub(r"[^A-Za-z0-9_.-]", "_", action.name)
        while name in names:
            name += "_"
        names[name] = action
    return names


def _message(cls: type[Request | Event], *, sent: bool) -> Json:
    """``sent`` by a client: only what it must give is required; else what is always there."""
    example = next(to_plain(each) for each in EXAMPLES if type(each) is cls)
    message: Json = {
        "name": cls.type,
        "summary": description_of(cls),
        "payload": object_schema(cls, sent=sent),
        "examples": [{"payload": example}],
    }
    if any(spec.name == "id" for spec in fields_of(cls)):
        message["correlationId"] = {
            "location": "$message.payload#/id",
            "description": "The request's, repeated in the answer",
        }
    return message


def _start(action: ActionInfo) -> Json:
    """A start of one action, with its parameters."""
    message = _message(Start, sent=True)
    specs = {name: spec or ParamSpec() for name, spec in action.params.items()}
    payload: Json = message["payload"]
    payload["properties"]["action"] = {"const": action.name}
    params: Json = {
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


def _parameter(spec: ParamSpec) -> Json:
    schema: Json = {"type": "string"}
    if spec.default is not None:
        schema["default"] = spec.default
    if spec.type == "secret":
        schema |= {"format": "password", "writeOnly": True}
    if values := spec.values:
        schema["enum"] = list(values)
    if described := described_param(spec):
        schema["description"] = described
    return schema


def _receive(operation: Operation, message: str = "", action: ActionInfo | None = None) -> Json:
    request = message or operation.request.type
    answers = [*map(key_of, operation.success), "error"]
    described: Json = {
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


def _send(event: type[Event]) -> Json:
    return {
        "action": "send",
        "channel": {"$ref": _CHANNEL},
        "summary": description_of(event),
        "messages": [{"$ref": f"{_CHANNEL}/messages/{key_of(event)}"}],
    }
