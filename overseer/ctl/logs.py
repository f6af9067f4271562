"""``overseerctl logs``: a task's log."""

from __future__ import annotations

import re
from argparse import Namespace
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

from overseer.client import Client, RefusedError
from overseer.ctl.context import around, looked_for, marked, with_context
from overseer.ctl.finding import run_of, task_like
from overseer.ctl.status import EXIT_USAGE
from overseer.ctl.tail import Printer
from overseer.ctl.terminal import json_line, print_text, say, style_of
from overseer.protocol import Event, Exited, LogLine, LogMatch, Output, Partial, RunInfo

_AT_ONCE = 1000
_STEP = 20_000  # seqs that are read at once for the last lines

Lines = Sequence[LogLine] | Sequence[LogMatch]


def logs(client: Client, options: Namespace) -> int:
    """Print a log, or part of it, and follow it with ``--follow``."""
    if options.follow and options.until is not None:
        say("--follow and --until exclude each other")
        return EXIT_USAGE
    if not options.grep and (options.ignore_case or any(around(options))):
        say("-i, -A, -B and -C go with --grep")
        return EXIT_USAGE
    pattern = None
    if options.grep:
        try:
            pattern = re.compile(looked_for(options.grep, options, regex=True).query)
        except re.error as error:
            say(f"{options.grep} is not a valid regular expression: {error}")
            return EXIT_USAGE
    try:
        client.logs(options.task, tail=1)
    except RefusedError as error:
        if str(error) != "task not found":
            raise
        options.task = task_like(client, options.task)
    run = None if options.run is None else run_of(client, options.task, options.run)
    return _Log(client, options, run, pattern).show()


class _Log:
    def __init__(
        self, client: Client, options: Namespace, run: RunInfo | None, pattern: re.Pattern[str] | None
    ) -> None:
        self._client = client
        self._options = options
        self._task = options.task
        self._run = run
        self._style = style_of(options)
        self._printer = Printer([], self._style, as_json=options.json, timestamps=options.timestamps)
        self._looked = looked_for(options.grep, options, regex=True) if options.grep else None
        self._some = partial(
            client.logs, self._task, run_id="" if run is None else run.run_id, stream=options.stream or ""
        )
        self._pattern = pattern
        self._last_seq = 0  # of the lines shown or searched

    def show(self) -> int:
        options = self._options
        if options.follow:  # lines from now on have greater seqs
            self._last_seq = max((line.seq for line in self._client.logs(self._task, tail=1)), default=0)
        found = False
        for lines in self._found() if self._looked else self._pages():
            found = found or bool(lines)
            self._print(lines)
            if lines:
                self._last_seq = max(self._last_seq, lines[-1].seq)
        if options.follow and (self._run is None or self._run.exit_code is None):
            self._follow()
            return 0
        return 0 if found or not self._looked else 1

    def _pages(self) -> Iterator[Sequence[LogLine]]:
        """The lines, page by page: a log may be larger than memory."""
        options = self._options
        if options.tail is None:
            yield from self._forward()
        elif not (options.since or options.until or options.tail > _AT_ONCE):
            yield self._some(tail=options.tail) if options.tail else ()
        elif options.since or options.until or options.stream or self._run:
            last: deque[LogLine] = deque(maxlen=options.tail)
            for lines in self._forward():
                last.extend(lines)
            yield list(last)
        else:
            yield self._last(options.tail)

    def _forward(self) -> Iterator[Sequence[LogLine]]:
        since, until = self._options.since, self._options.until
        lines = self._some(since=since, from_seq=None if since else 0, limit=_AT_ONCE)
        while lines:
            shown = lines if until is None else [line for line in lines if line.ts <= until]
            yield shown
            if len(shown) < len(lines):
                return
            lines = self._some(from_seq=lines[-1].seq + 1, limit=_AT_ONCE)

    def _last(self, wanted: int) -> Sequence[LogLine]:
        """The last lines, more than the server returns at once: backwards, since seqs may have holes."""
        found: list[LogLine] = []
        first = next((line.seq for line in self._some(from_seq=0, limit=1)), 0)
        end = max((line.seq for line in self._some(tail=1)), default=-1)
        while end >= first and len(found) < wanted:
            begin = max(first, end - max(_STEP, wanted - len(found)) + 1)
            lines = [line for line in self._some(from_seq=begin, limit=end - begin + 1) if line.seq <= end]
            found = [*lines, *found]
            end = begin - 1
        return found[-wanted:]

    def _found(self) -> Iterator[Lines]:
        """The matches of --grep in order, with their context."""
        options, looked = self._options, self._looked
        assert looked is not None
        matches = self._client.search(
            looked.query,
            regex=True,
            task_id=self._task,
            since=options.since,
            until=options.until,
            limit=0 if self._run or options.stream else options.tail or 0,
        )
        mine = [
            match
            for match in sorted(matches, key=lambda match: match.seq)
            if (self._run is None or match.run_id == self._run.run_id)
            and options.stream in (None, match.stream)
        ]
        if options.tail is not None:
            mine = mine[-options.tail :] if options.tail else []
        before, after = around(options)
        if not before and not after:
            yield mine
            return
        block: list[LogMatch] = []
        for match, _ in with_context(self._client, mine, before, after):
            if block and block[-1].seq + 1 != match.seq:
                yield block
                if not options.json:
                    print_text("--\n")
                block = []
            block.append(match)
        yield block

    def _marked(self, text: str) -> str:
        return text if self._looked is None else marked(text, self._looked, self._style)

    def _print(self, lines: Lines) -> None:
        if self._options.json:
            print_text("".join(json_line(line).decode() for line in lines))
            return
        self._printer.write(
            [Output(self._task, 0, each.stream, self._marked(each.data), each.ts, each.seq) for each in lines]
        )

    def _follow(self) -> None:
        """Print new lines, until the task or the run is over."""
        printer = self._printer
        partial_too = printer.live.on and self._looked is None
        with printer.live:
            try:
                task = self._client.subscribe(self._task, self._last_seq, partial=partial_too)
            except RefusedError as error:
                if "not found" not in str(error):
                    raise
                return  # forgotten: nothing follows
            for batch in task.batches():
                events = list(filter(self._wanted, batch))
                if self._options.json:
                    self._print([_line(each) for each in events if isinstance(each, Output)])
                else:
                    printer.write(list(map(self._with_marks, events)))
                if self._run is not None and any(isinstance(event, Exited) for event in batch):
                    return

    def _wanted(self, event: Event) -> bool:
        if not isinstance(event, Output | Partial):
            return True
        if self._options.stream not in (None, event.stream):
            return False
        return self._pattern is None or self._pattern.search(event.data) is not None

    def _with_marks(self, event: Event) -> Event:
        if self._looked is None or not isinstance(event, Output):
            return event
        return replace(event, data=self._marked(event.data))


def _line(event: Output) -> LogLine:
    return LogLine(event.seq, event.ts, event.stream, event.data, event.truncated)
