"""What is to follow the end of a task is stored together with that end, until it has followed: if the server
is killed in between, the next one makes up for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from overseer.history.records import ChainTrigger, Owed, Trigger
from overseer.protocol import Errored, Exited, dump
from overseer.supervisor.observers import Change, Observers
from overseer.util.timestamps import format_timestamp, parse_timestamp


def owed_after(observers: Observers, change: Change) -> tuple[Owed, ...]:
    """What observers owe to the end of a task."""
    rooms = observers.concerned(change)
    if not rooms:
        return ()
    text = dump(_plain(change)).decode()
    return tuple(Owed(change.run_id, room, text) for room in rooms)


def change_in(owed: Owed) -> Change:
    """The end that something is owed to.

    Raises:
        KeyError, TypeError, ValueError: it cannot be read.
    """
    data: dict[str, Any] = json.loads(owed.change)
    at = parse_timestamp(data.pop("ts"))
    task_id, code = data["task_id"], data["exit_code"]
    event: Errored | Exited = Exited(task_id, 0, -1 if code is None else code, False, at)
    if data.pop("errored"):
        event = Errored(task_id, 0, 0, at)
    return Change(event, **data | {"trigger": _trigger(data["trigger"])})


def _plain(change: Change) -> dict[str, Any]:
    event = change.event
    assert isinstance(event, Errored | Exited)
    trigger: dict[str, Any] = {"type": change.trigger.type, "by": change.trigger.by}
    if isinstance(change.trigger, ChainTrigger):
        trigger |= {"depth": change.trigger.depth, "discreet": change.trigger.discreet}
    return {
        "ts": format_timestamp(event.ts),
        "errored": isinstance(event, Errored),
        "task_id": change.task_id,
        "action": change.action,
        "params": dict(change.params),
        "run_id": change.run_id,
        "trigger": trigger,
        "outcome": change.outcome,
        "exit_code": change.exit_code,
        "signal": change.signal,
        "reason": change.reason,
        "error": change.error,
        "values": dict(change.values),
    }


def _trigger(data: Mapping[str, Any]) -> Trigger:
    return ChainTrigger(**data) if "depth" in data else Trigger(**data)
