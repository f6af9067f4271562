"""The manifest: the protocol described for programs that build forms and views from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from overseer.protocol import EVENTS, REQUESTS, ActionInfo, Event, Request, to_plain
from overseer.protocol.declare import VALUES
from overseer.protocol.specs.operations import OPERATIONS, Operation
from overseer.protocol.words import CHOICES
from overseer.schema.fields import Field, description_of, fields_of

_SCHEMA = "ws-manifest.schema.json"
_PROTOCOL = "sticky-overseer"
_DESCRIPTION = "Starts, watches, restarts and queues commands, over one WebSocket"


def build_manifest(
    *, name: str = "", version: str, description: str = "", actions: Sequence[ActionInfo]
) -> dict[str, Any]:
    """The manifest as plain JSON values.

    ``name`` and ``description`` are the configuration's, for people; ``version`` is the program's.
    """
    about = description or _DESCRIPTION
    return {
        "$schema": _SCHEMA,
        "protocol": _PROTOCOL,
        "version": version,
        "description": f"{name}: {about}" if name and name != _PROTOCOL else about,
        "transport": {"path": "/ws", "type_field": "type", "correlation_field": "id"},
        "types": _types(),
        "messages": _messages(),
        "operations": {operation.name: _operation(operation) for operation in OPERATIONS},
        "actions": [to_plain(action) for action in actions],
    }


def _types() -> dict[str, Any]:
    types: dict[str, Any] = {
        choice.ref: {"type": "enum", "description": choice.description, "values": list(choice.words)}
        for choice in CHOICES
    }
    for cls in VALUES:
        types[cls.__name__] = {
            "type": "object",
            "description": description_of(cls),
            "fields": {spec.name: _field(spec, required=not spec.omit) for spec in fields_of(cls)},
        }
    return types


def _messages() -> dict[str, Any]:
    messages: dict[str, Any] = {}
    for cls in REQUESTS.values():
        messages[cls.type] = {
            "description": description_of(cls),
            "direction": "c2s",
            "delivery": "direct",
            "fields": _fields(cls, sent=True),
        }
    for event in EVENTS.values():
        messages[key_of(event)] = {
            "description": description_of(event),
            "direction": "s2c",
            "delivery": str(event.delivery),
            "fields": _fields(event, sent=False),
        }
    return messages


def key_of(event: type[Event]) -> str:
    """A message's name among the messages: its type, unless a request has the same."""
    return f"{event.type}_response" if event.type in REQUESTS else event.type


def _fields(cls: type[Request | Event], *, sent: bool) -> dict[str, Any]:
    """All fields; required means: must be given in what a client sends, is always there in what it gets."""
    first = {
        "type": "string",
        "required": True,
        "default": cls.type,
        "ui_hint": "hidden",
        "description": "Which message this is",
    }
    return {"type": first} | {
        spec.name: _field(spec, required=_is_needed(cls, spec) if sent else not spec.omit)
        for spec in fields_of(cls)
    }


def _is_needed(cls: type[Request | Event], spec: Field) -> bool:
    """Whether forms ask for it; of fields of which one is needed, for the first."""
    return spec.required or spec.name in getattr(cls, "either", ())[:1]


def _field(spec: Field, *, required: bool) -> dict[str, Any]:
    field = spec.type.manifest() | {"required": required}
    if spec.plain_default is not None:
        field["default"] = spec.plain_default
    if spec.hint:
        field["ui_hint"] = spec.hint
    field["description"] = spec.doc
    return field


def _operation(operation: Operation) -> dict[str, Any]:
    return {
        "description": description_of(operation.request),
        "send": operation.request.type,
        "responses": {
            "direct": {"success": [key_of(event) for event in operation.success], "error": ["error"]},
            "side_effects": {
                "broadcast": [key_of(event) for event in operation.broadcast],
                "broadcast_subscribers": [key_of(event) for event in operation.subscribers],
            },
        },
        "notes": operation.notes,
    }
