"""The generated parts of docs/PROTOCOL.md.

``python -m overseer.protocol.specs.tables`` rewrites them in place, in the file named by the first argument
or else in ``docs/PROTOCOL.md`` below the current directory. What stands between two markers is generated;
the prose around them is written by hand.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from overseer.protocol import EVENTS, REQUESTS, Delivery, Event, Request, to_plain
from overseer.protocol.declare import VALUES
from overseer.protocol.specs.examples import EXAMPLES
from overseer.protocol.specs.operations import OPERATIONS, Operation
from overseer.protocol.words import CHOICES
from overseer.schema.fields import Declared, Field, description_of, fields_of
from overseer.schema.markdown import table, with_parts
from overseer.schema.types import Choice

_TO = {
    Delivery.DIRECT: "the client that asked",
    Delivery.BROADCAST: "every client",
    Delivery.SUBSCRIBERS: "the task's subscribers",
    Delivery.WATCHERS: "those who watch",
}


def with_generated_parts(text: str) -> str:
    """The document with everything between its markers brought up to date."""
    parts = {"summary": _summary, "requests": _requests, "events": _events, "values": _values}
    return with_parts(text, "generated", lambda name: f"\n{parts[name]()}\n")


def _summary() -> str:
    requests = table(
        ("request", "answer", "events that may follow"),
        (
            (
                _link(operation.request.type, "request"),
                _types(operation.success) or "none",
                _types(dict.fromkeys(operation.broadcast + operation.subscribers)) or "none",
            )
            for operation in OPERATIONS
        ),
    )
    events = table(
        ("message", "goes to", "says"),
        ((_link(event.type, "message"), _to(event), description_of(event)) for event in EVENTS.values()),
    )
    return f"{requests}\nAny request may be answered by `error` instead.\n\n{events}"


def _requests() -> str:
    by_type = {operation.request.type: operation for operation in OPERATIONS}
    return "\n".join(_request(cls, by_type[cls.type]) for cls in REQUESTS.values())


def _request(cls: type[Request], operation: Operation) -> str:
    rows = (
        (f"`{spec.name}`", _type_of(spec), "yes" if spec.required else "no", spec.doc)
        for spec in fields_of(cls)
    )
    answer = f"Answer: {_types(operation.success) or 'none'}, or `error`. {operation.notes}".strip()
    return _section(cls, table(("field", "type", "required", ""), rows), answer)


def _events() -> str:
    return "\n".join(_event(event) for event in EVENTS.values())


def _event(cls: type[Event]) -> str:
    return _section(cls, _fields_table(cls), f"Goes to {_to(cls)}.")


def _to(cls: type[Event]) -> str:
    return _TO[cls.delivery]


def _values() -> str:
    blocks = [f"### {cls.__name__}\n\n{description_of(cls)}\n\n{_fields_table(cls)}" for cls in VALUES]
    words = table(
        ("type", "words", ""),
        ((choice.ref, choice.label, choice.description) for choice in CHOICES),
    )
    return "\n".join([*blocks, f"### Words\n\n{words}"])


def _section(cls: type[Request | Event], fields: str, remark: str) -> str:
    side = "request" if cls in REQUESTS.values() else "message"
    example = next(to_plain(example) for example in EXAMPLES if type(example) is cls)
    head = f"### {side} `{cls.type}`\n\n{description_of(cls)} {remark}\n\n"
    return f"{head}{fields}\n```json\n{_shown(example)}\n```\n"


def _shown(example: dict[str, Any]) -> str:
    """On one line when it fits."""
    line = json.dumps(example, ensure_ascii=False)
    return line if len(line) <= 110 else json.dumps(example, ensure_ascii=False, indent=2)


def _fields_table(cls: type[Declared]) -> str:
    rows = ((f"`{spec.name}`{'?' if spec.omit else ''}", _type_of(spec), spec.doc) for spec in fields_of(cls))
    return table(("field", "type", ""), rows)


def _type_of(spec: Field) -> str:
    if isinstance(spec.type, Choice) and not spec.type.ref:
        return spec.type.label
    return _schema_text(spec.type.manifest())


def _schema_text(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        anchor = "words" if any(choice.ref == name for choice in CHOICES) else name.lower()
        return f"[{name}](#{anchor})"
    if schema["type"] == "array":
        return f"array of {_schema_text(schema['items'])}"
    if schema["type"] == "map":
        return f"object: name to {_schema_text(schema['value_type'])}"
    # Forms ask for a UUID where a task is meant; any text will do.
    return "string" if schema["type"] == "uuid" else str(schema["type"])


def _types(events: Iterable[type[Event]]) -> str:
    return ", ".join(f"`{event.type}`" for event in events)


def _link(message_type: str, side: str) -> str:
    return f"[`{message_type}`](#{side}-{message_type})"


def main(arguments: Sequence[str]) -> int:
    """Rewrite the file's generated parts; the exit status."""
    path = Path(arguments[0] if arguments else "docs/PROTOCOL.md")
    path.write_text(with_generated_parts(path.read_text("utf-8")), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
