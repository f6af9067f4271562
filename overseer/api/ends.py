"""Whether a task is over. No message says so by itself: a task that a lowered limit has stopped is queued
again after its ``exited``. So the list is asked, once a message says that it may be."""

from __future__ import annotations

import json
from typing import Any

from overseer.api.exchange import Exchange, GoneError, Message
from overseer.api.media import OUTPUT
from overseer.protocol.words import OVER


def is_over(row: Message) -> bool:
    """Whether the task of this row of a ``list`` is."""
    return row.get("status") in OVER


def may_end(message: Message, task_id: str) -> bool:
    """Whether the task may be over after this message."""
    if message.get("task_id") != task_id:
        return False
    exited = message["type"] == "exited" and not message.get("will_restart")
    return exited or message["type"] in ("errored", "dequeued")


def has_ended(exchange: Exchange, task_id: str, created_at: Any) -> bool:
    """Whether the task is over, now that a message said that it may be: the list says so, and nothing that
    came before it is a later end; or the server ends, and every task has. Raises as
    :meth:`Exchange.ask`.

    Args:
        created_at: of the task, as listed; another may have its name by now.
    """
    try:
        row = exchange.task(task_id)
    except GoneError:
        if exchange.hastened:  # an upgrade, over which the task may go on
            raise
        return True  # if it is the client that has gone, nobody is told
    if row and row["created_at"] == created_at and not is_over(row):
        return False
    lines = (line for line in exchange.passed if line and not line.startswith(OUTPUT))
    return not any(may_end(json.loads(line), task_id) for line in lines)
