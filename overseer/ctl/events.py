"""``overseerctl events``: everything that happens, as JSON lines.

No task ever waits for it: lines that come faster than they can be printed are lost, and a ``gap`` says which.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable

from overseer.client import Client, RefusedError, Task
from overseer.ctl.choosing import each
from overseer.ctl.terminal import json_line, write_out
from overseer.protocol import Changed, Event, Watching


def events(client: Client, options: Namespace) -> int:
    """Print what happens to some tasks or, when none is named, to all, including future ones."""
    task_ids, refused = each(client, options.tasks, lambda task_id: None)
    if refused:
        return refused
    if task_ids:
        heard = client.batches()
        handles = [_follow(client, task_id) for task_id in task_ids]
        _print(heard)
        del handles  # a task is followed for as long as its handle is held
        return 0
    with client.watch(output=True) as watch:
        _print(watch.batches())
    return 0


def _follow(client: Client, task_id: str) -> Task:
    try:
        return client.subscribe(task_id, on_lag="drop")
    except RefusedError as error:
        raise RefusedError(f"{task_id}: task not found") from error


def _print(batches: Iterable[list[Event]]) -> None:
    for batch in batches:
        # A picture of the tasks is not an event.
        write_out(b"".join(json_line(each) for each in batch if not isinstance(each, Watching | Changed)))
