"""Decodes many messages at once, as fast as Python can."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from overseer.client.buffer import Item
from overseer.protocol import Changed, Unreadable, event_from


def decode(payloads: Sequence[bytes], on_bad: Callable[[str], None]) -> list[Item]:
    """The messages as items, in order. Those of an unknown type are left out, and those that cannot be read,
    about each of which ``on_bad`` is called with a sentence."""
    items: list[Item] = []
    for raw in _objects(payloads, on_bad):
        try:
            if raw["type"] == "output":
                line = raw["task_id"], raw["pid"], raw["stream"], raw["data"], raw["ts"], raw["seq"]
                items.append((*line, raw.get("truncated", False), raw.get("overwritten", False)))
            elif (event := event_from(raw)) is not None:
                items.append(event)
            elif "cursor" in raw:  # from a newer server: at least we know that the task has changed
                items += filter(None, [event_from({**raw, "type": Changed.type})])
        except (KeyError, TypeError, AttributeError) as error:
            on_bad(f"a message cannot be read: {error!r}")
        except Unreadable as error:
            on_bad(f"a message cannot be read: {error}")
    return items


def _objects(payloads: Sequence[bytes], on_bad: Callable[[str], None]) -> list[Any]:
    try:
        # All at once: a call for each costs as much as the parsing.
        objects: list[Any] = json.loads(b"[" + b",".join(payloads) + b"]")
        if len(objects) == len(payloads):
            return objects
    except (ValueError, RecursionError):
        pass
    objects = []
    for payload in payloads:
        try:
            objects.append(json.loads(payload))
        except (ValueError, RecursionError):
            on_bad(f"a message is not JSON: {payload[:60]!r}")
    return objects
