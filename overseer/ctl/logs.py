"""``overseerctl logs``: the logs of tasks, merged by time where there are several."""

from __future__ import annotations

import heapq
import re
from argparse import Namespace
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import islice

from overseer.client import Client, RefusedError
from overseer.ctl.context import around, looked_for
from overseer.ctl.exit_status import EXIT_REFUSED, EXIT_USAGE
from overseer.ctl.finding import check_action, find_task, never_ran, run_of, task_like
from overseer.ctl.tail import follow_all, printer_of
from overseer.ctl.tasklog import Lines, TaskLog
from overseer.ctl.terminal import Style, json_line, on_terminal, plain, print_text, say, style_of
from overseer.protocol import Event, LogLine, LogMatch, Output, to_plain

_AT_ONCE = 1000
_AT_END = 1000  # lines of each task, to be seen from their end
_RUNS = 1000  # latest ones of an action, whose tasks are shown


def logs(client: Client, options: Namespace) -> int:
    """Print logs, or parts of them, and follow them with ``--follow``."""
    if wrong := _wrong(options):
        say(f"{wrong}; see overseerctl logs --help")
        return EXIT_USAGE
    if options.pager_end and options.tail is None:
        options.tail = _AT_END
    if options.grep:
        try:
            re.compile(looked_for(options.grep, options, regex=True).query)
        except re.error as error:
            say(f"{options.grep} is not a valid regular expression: {error}")
            return EXIT_USAGE
    found: dict[str, bool] = {}  # tasks, and whether only what is stored of them can be had
    status = 0
    for text in options.tasks:
        try:
            task_id, stored = _found(client, text)
            found[task_id] = stored
        except RefusedError as error:
            say(f"{plain(text)}: {error}")
            status = EXIT_REFUSED
    if options.action is not None:
        found.update(_of_action(client, options.action))
    if not found:
        if not status:
            say(f"no task of {plain(options.action)}")
        return EXIT_REFUSED
    if len(found) > 1 and any(around(options)):
        say("-A, -B and -C work with one task only")
        return EXIT_USAGE
    runs = [None if options.run is None else run_of(client, task_id, options.run) for task_id in found]
    sources = [
        TaskLog(client, task_id, options, run, stored=stored)
        for (task_id, stored), run in zip(found.items(), runs, strict=True)
    ]
    shown = _Shown(sources, options).show(client)
    return status or shown


def _wrong(options: Namespace) -> str:
    """What is wrong with the options, if anything."""
    if options.follow and (options.until is not None or options.reverse or options.pager_end):
        return "--follow cannot be combined with --until, --reverse or --pager-end"
    if not options.grep and (options.ignore_case or any(around(options))):
        return "-i, -A, -B and -C need --grep"
    if not options.tasks and options.action is None:
        return "name tasks, or an action with --action"
    if options.run is not None and (len(options.tasks) != 1 or options.action is not None):
        return "--run needs one task"
    return ""


def _found(client: Client, text: str) -> tuple[str, bool]:
    """The task that is meant, and whether it has no log.

    Raises:
        RefusedError: there is none, or more than one, or it never ran.
    """
    try:
        found, lines = text, client.logs(text, tail=1)
    except RefusedError as error:
        if error.code == "not_configured":
            return find_task(client, text, "logs"), True
        if error.code != "not_found":
            raise
        found = task_like(client, text, "logs")
        lines = client.logs(found, tail=1)
    if not lines and _never_ran(client, found):
        raise RefusedError("never ran, so it has no log")
    return found, False


def _never_ran(client: Client, task_id: str) -> bool:
    """Whether the task is gone without having run: it was stopped while it was queued, for example."""
    with suppress(RefusedError):
        runs = client.runs(task_id, limit=0)
        return (
            bool(runs)
            and all(map(never_ran, runs))
            and all(task.task_id != task_id for task in client.tasks())
        )
    return False


def _of_action(client: Client, action: str) -> dict[str, bool]:
    found = [task.task_id for task in client.tasks() if task.action == action]
    stored = True
    with suppress(RefusedError):
        found += [run.task_id for run in client.runs(action=action, limit=_RUNS)]
        stored = False
    if not found:
        check_action(client, action)
    return dict.fromkeys(found, stored)


class _Shown:
    """Shows the lines of some tasks."""

    def __init__(self, sources: Sequence[TaskLog], options: Namespace) -> None:
        self._sources = sources
        self._options = options
        self._style: Style = style_of(options)
        self._printer = printer_of([source.task_id for source in sources], options)

    def show(self, client: Client) -> int:
        options = self._options
        if options.follow:
            for source in self._sources:
                source.begin()
        found = self._merged() if len(self._sources) > 1 else self._one(self._sources[0])
        if options.follow:
            going_on = [source for source in self._sources if not source.over]
            with self._printer.live:
                calls = {source.task_id: partial(self._follow, source) for source in going_on}
                return follow_all(client, calls, self._printer)
        if not found and on_terminal() and not options.json:
            say("no matches" if options.grep else "no lines")
        return 0 if found or not options.grep else 1

    def _one(self, source: TaskLog) -> bool:
        found = False
        separated = any(around(self._options)) and not self._options.json
        for lines in source.blocks():
            if found and separated:
                print_text("--\n")
            found = found or bool(lines)
            self._print((source, line) for line in lines)
        return found

    def _merged(self) -> bool:
        lines = heapq.merge(
            *map(_tagged, self._sources), key=lambda each: each[1].ts, reverse=self._options.reverse
        )
        found = False
        while some := list(islice(lines, _AT_ONCE)):
            found = True
            self._print(some)
        return found

    def _print(self, lines: Iterable[tuple[TaskLog, LogLine | LogMatch]]) -> None:
        if self._options.json:
            print_text("".join(json_line(self._as_json(source, line)).decode() for source, line in lines))
            return
        self._printer.write(
            [
                Output(
                    source.task_id, 0, line.stream, source.marked(line.data, self._style), line.ts, line.seq
                )
                for source, line in lines
            ]
        )

    def _as_json(self, source: TaskLog, line: LogLine | LogMatch) -> object:
        if len(self._sources) == 1 or isinstance(line, LogMatch):
            return line
        return {"task_id": source.task_id, **to_plain(line)}

    def _follow(self, source: TaskLog) -> None:
        def marked(event: Event) -> Event:
            if not isinstance(event, Output):
                return event
            return replace(event, data=source.marked(event.data, self._style))

        def show(events: Sequence[Event]) -> None:
            if self._options.json:
                self._print((source, _line(event)) for event in events if isinstance(event, Output))
            else:
                self._printer.write([marked(event) for event in events])

        source.follow(show, partial=self._printer.live.on)


def _tagged(source: TaskLog) -> Iterator[tuple[TaskLog, LogLine | LogMatch]]:
    blocks: Iterator[Lines] = source.blocks()
    return ((source, line) for lines in blocks for line in lines)


def _line(event: Output) -> LogLine:
    return LogLine(event.seq, event.ts, event.stream, event.data, event.truncated)
