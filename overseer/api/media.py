"""What a client accepts, and lines of output in that form."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
LINES = "application/x-ndjson"
EVENTS = "text/event-stream"


def accepted(header: str, offered: Sequence[str]) -> str:
    """The one of these types that an Accept header likes best; the first, if it says nothing of them."""
    best, most = offered[0], 0.0
    for part in header.split(","):
        name, *parameters = (each.strip().lower() for each in part.split(";"))
        quality = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    quality = float(parameter[2:])
                except ValueError:
                    quality = 0.0
        for each in offered:
            if name == each.partition(";")[0] and quality > most:
                best, most = each, quality
    return best


def event(data: bytes, *, id: str = "", name: str = "") -> bytes:
    """A server-sent event of one line of data (WHATWG HTML, section 9.2)."""
    head = (f"id: {id}\n" if id else "") + (f"event: {name}\n" if name else "")
    return head.encode() + b"data: " + data + b"\n\n"


def text_line(message: dict[str, Any]) -> bytes:
    """A line of output as text."""
    return str(message["data"]).encode("utf-8", "replace") + b"\n"


def json_body(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False, indent=2).encode() + b"\n"
