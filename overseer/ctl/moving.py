"""``overseerctl move``: other places in the queue for tasks."""

from __future__ import annotations

from argparse import Namespace
from typing import Literal

from overseer.client import Client, RefusedError
from overseer.ctl.exit_status import EXIT_REFUSED, EXIT_USAGE
from overseer.ctl.finding import find_task
from overseer.ctl.terminal import on_terminal, plain, print_json, say
from overseer.protocol import Moved


def move(client: Client, options: Namespace) -> int:
    """Move each task; several keep the order in which they are given."""
    steps = int(options.down) - int(options.up)
    if steps and len(options.tasks) > 1:
        say("--up and --down move one task at a time")
        return EXIT_USAGE
    moved: list[Moved] = []
    status = 0
    before = options.before and find_task(client, options.before)
    after = options.after and find_task(client, options.after)
    place: Literal["first", "last"] | int | None = options.to
    if options.first or options.last:
        place = "first" if options.first else "last"
    for text in options.tasks:
        try:
            task_id = find_task(client, text)
            queued = client.pool().queue_items
            action = next((item.action for item in queued if item.task_id == task_id), "")
            if not action:
                raise RefusedError("it is not queued", code="conflict")
            within = action if options.within_action else None
            if moved and not options.last and not before:  # behind the one before it
                done = client.move(task_id, after=moved[-1].task_id, action=within)
            elif steps:
                line = [item.task_id for item in queued if within in (None, item.action)]
                done = client.move(task_id, max(1, line.index(task_id) + 1 + steps), action=within)
            else:
                done = client.move(task_id, place, before=before, after=after, action=within)
        except RefusedError as error:
            say(f"{plain(text)}: {error}")
            status = EXIT_REFUSED
        else:
            moved.append(done)
            if on_terminal() and not options.json:
                say(_where(done))
    if options.json:
        print_json(moved)
    return status


def _where(moved: Moved) -> str:
    own = f"number {moved.position} of the queued {plain(moved.action)} tasks"
    overall = f"number {moved.overall} in the queue, " if moved.overall else ""
    return f"{plain(moved.task_id)}: now {overall}{own}"
