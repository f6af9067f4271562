"""What is to follow the end of a task is stored together with that end, until it has followed: if the server
is killed in between, the next one makes up for it."""

from __future__ import annotations

import json
from typing import Any

from overseer.history.records import Owed, trigger_of
from overseer.protocol import Errored, Exited, dump
from overseer.supervisor.observers import Change, Observers
from overseer.util.dataclass_json import to_plain
from overseer.util.timestamps import format_timestamp, parse_timestamp


def owed_after(observers: Observers, change: Change) -> tuple[Owed, ...]:
    """What observers owe to the end of a task."""
    rooms = observers.concerned(change)
    if not rooms:
        return ()
    event = change.event
    assert isinstance(event, Errored | Exited)
    plain = to_plain(change)
    del plain["event"]
    plain |= {"ts": format_timestamp(event.ts), "errored": isinstance(event, Errored)}
    text = dump(plain).decode()
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
    return Change(event, **data | {"trigger": trigger_of(data["trigger"])})
