"""What a client accepts, and lines of output in that form."""

from __future__ import annotations

import json
import re
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


OUTPUT = b'{"type":"output"'
"""What every ``output`` message begins with: there may be too many of them to read each."""

# Quotes within a string of JSON are escaped, so this finds nothing that was written by a task.
_NUMBERED = re.compile(rb'(.*"seq":(\d+).*)\n')
_DATA = re.compile(rb'.*?"data":"([^"]*)".*\n')


def only_output(lines: bytes) -> bool:
    """Whether all of some whole lines are ``output`` messages."""
    return lines.startswith(OUTPUT) and lines.count(b"\n" + OUTPUT) == lines.count(b"\n") - 1


def last_seq(lines: bytes) -> int:
    """The seq of the last of some ``output`` messages."""
    found = _NUMBERED.match(lines, lines.rfind(b"\n", 0, -1) + 1)
    assert found is not None
    return int(found[2])


def as_events(lines: bytes) -> bytes:
    """``output`` messages as server-sent events."""
    return _NUMBERED.sub(rb"id: \2\nevent: output\ndata: \1\n\n", lines)


def as_text(lines: bytes) -> bytes:
    """The lines of output in ``output`` messages."""
    if b"\\" not in lines:
        return _DATA.sub(rb"\1\n", lines)
    return b"".join([text_line(json.loads(line)) for line in lines.splitlines()])


def text_line(message: dict[str, Any]) -> bytes:
    """A line of output as text."""
    return str(message["data"]).encode("utf-8", "replace") + b"\n"
