"""``overseerctl search``: lines in the logs of all tasks."""

from __future__ import annotations

from argparse import Namespace
from itertools import chain, groupby

from overseer.client import Client
from overseer.ctl.context import around, looked_for, marked, with_context
from overseer.ctl.finding import check_action, task_like
from overseer.ctl.naming import shortened
from overseer.ctl.terminal import (
    on_terminal,
    plain,
    print_json,
    print_text,
    say,
    style_of,
    with_colours,
)
from overseer.ctl.times import local
from overseer.protocol import LogMatch
from overseer.util.timestamps import format_timestamp


def search(client: Client, options: Namespace) -> int:
    """Print the matches, the oldest first; returns 1 when there are none."""
    looked = looked_for(options.query, options, regex=options.regex)
    task_id = None if options.task is None else task_like(client, options.task, "search")
    found = client.search(
        looked.query,
        regex=looked.regex,
        task_id=task_id,
        action=options.action,
        since=options.since,
        until=options.until,
        limit=options.limit + 1 if options.limit else 0,
    )
    if not found and options.action:
        check_action(client, options.action)
    more = bool(options.limit) and len(found) > options.limit
    matches = sorted(found[: options.limit] if more else found, key=lambda match: (match.ts, match.seq))
    if options.json:
        print_json(matches)
        return 0 if matches else 1
    style, on_screen = style_of(options), on_terminal()
    shown = shortened(match.task_id for match in matches)

    def line(match: LogMatch, hit: bool) -> str:
        when = local(match.ts) if on_screen else format_timestamp(match.ts)
        where = style.paint(f"{plain(shown(match.task_id))}{':' if hit else '-'}{match.seq}", "36")
        text = with_colours(match.data, style)
        return f"{when} {where} {marked(text, looked, style) if hit else text}\n"

    before, after = around(options)
    if before or after:
        separator = ""
        of_tasks = groupby(matches, lambda match: match.task_id)
        for block in chain.from_iterable(
            with_context(client, list(some), before, after) for _, some in of_tasks
        ):
            print_text(separator + "".join(line(match, hit) for match, hit in block))
            separator = "--\n"
    else:
        print_text("".join(line(match, True) for match in matches))
    if more:
        say(f"more lines match than the {options.limit} shown; -n 0 shows all")
    if not matches:
        say("no matches")
    return 0 if matches else 1
