"""``overseerctl logs`` and ``search``: what is in the server's logs."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable, Iterator
from functools import partial

from overseer.client import Client
from overseer.ctl.status import EXIT_USAGE
from overseer.ctl.tail import Printer
from overseer.ctl.terminal import json_line, plain, print_text, say, show, style_of
from overseer.protocol import LogLine, LogMatch, Output
from overseer.util.timestamps import format_timestamp

_AT_ONCE = 1000


def logs(client: Client, options: Namespace) -> int:
    if options.follow and (options.grep or options.run or options.stream):
        say("--follow shows all lines: leave out --grep, --run and --stream")
        return EXIT_USAGE
    printer = Printer([options.task], style_of(options), as_json=options.json, timestamps=options.timestamps)
    if options.grep:
        found = client.search(
            options.grep, regex=True, task_id=options.task, since=options.since, limit=options.tail or 0
        )
        of_run = [each for each in reversed(found) if options.run in (None, each.run_id)]
        _print(printer, options, [each for each in of_run if options.stream in (None, each.stream)])
        return 0
    last_seq = 0
    for lines in _pages(client, options):
        _print(printer, options, lines)
        last_seq = lines[-1].seq if lines else last_seq
    if options.follow:
        if not last_seq:  # nothing of the log is wanted
            last_seq = max((line.seq for line in client.logs(options.task, tail=1)), default=0)
        with printer.live:
            for batch in client.subscribe(options.task, last_seq, partial=printer.live.on).batches():
                printer.write(batch)
    return 0


def _pages(client: Client, options: Namespace) -> Iterator[tuple[LogLine, ...]]:
    """The lines, some at a time: a log may be longer than memory."""
    some = partial(client.logs, options.task, run_id=options.run or "", stream=options.stream or "")
    if options.tail is not None:
        if options.tail > _AT_ONCE:
            say(f"the last {_AT_ONCE} lines: for more leave out --tail, or say --since")
        if options.tail:
            yield some(tail=min(options.tail, _AT_ONCE))
        return
    lines = some(since=options.since, from_seq=None if options.since else 0, limit=_AT_ONCE)
    while lines:
        yield lines
        lines = some(from_seq=lines[-1].seq + 1, limit=_AT_ONCE)


def _print(printer: Printer, options: Namespace, lines: Iterable[LogLine | LogMatch]) -> None:
    if options.json:
        print_text("".join(json_line(line).decode() for line in lines))
        return
    printer.write([Output(options.task, 0, each.stream, each.data, each.ts, each.seq) for each in lines])


def search(client: Client, options: Namespace) -> int:
    matches = client.search(
        options.query,
        regex=options.regex,
        task_id=options.task,
        action=options.action,
        since=options.since,
        until=options.until,
        limit=options.limit,
    )
    style = style_of(options)

    def line(match: LogMatch) -> str:
        where = style.paint(f"{plain(match.task_id)}:{match.seq}", "36")
        return f"{format_timestamp(match.ts)} {where} {plain(match.data)}"

    show(options, matches, lambda: map(line, matches))
    if not matches and not options.json:
        say("nothing was found")
    return 0 if matches else 1
