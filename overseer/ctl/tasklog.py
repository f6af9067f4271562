"""The lines that ``overseerctl logs`` shows of one task: from its log or, without one, of what is stored."""

from __future__ import annotations

import re
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from functools import partial
from itertools import chain

from overseer.client import Client, RefusedError
from overseer.ctl.context import around, blocks, looked_for, marked, with_context
from overseer.ctl.terminal import Style, plain, say
from overseer.protocol import Event, Exited, LogLine, LogMatch, Output, Partial, RunInfo

_AT_ONCE = 1000
_STEP = 20_000  # seqs that are read at once, backwards

Lines = Sequence[LogLine] | Sequence[LogMatch]


class TaskLog:
    """One task's lines, as the options select them.

    Args:
        run: only its lines.
        stored: the server has no log: only what it stores of the task.
    """

    def __init__(
        self,
        client: Client,
        task_id: str,
        options: Namespace,
        run: RunInfo | None,
        *,
        stored: bool,
    ) -> None:
        self._client = client
        self._options = options
        self._run = run
        self._all = partial(client.logs, task_id, run_id="" if run is None else run.run_id)
        self._some = partial(self._all, stream=options.stream or "")
        self._looked = looked_for(options.grep, options, regex=True) if options.grep else None
        self._stored = stored
        self.task_id = task_id
        self.last_seq = 0  # of the lines that exist, before what is followed

    @property
    def over(self) -> bool:
        """Whether nothing follows: the run whose lines are wanted has ended."""
        return self._run is not None and self._run.exit_code is not None

    def begin(self) -> None:
        """Note where following begins: before anything is shown, so that nothing is left out."""
        last = self._replayed()[-1:] if self._stored else self._client.logs(self.task_id, tail=1)
        self.last_seq = max((line.seq for line in last), default=0)

    def blocks(self) -> Iterator[Lines]:
        """The lines, page by page, since a log may be larger than memory; with ``--grep`` and its context
        each is a block that belongs together. With ``--reverse`` the newest come first."""
        if self._stored or self._looked:
            found = list(self._ring() if self._stored else self._found())
            if self._options.reverse:
                found = [lines[::-1] for lines in reversed(found)]
            yield from self._noted(found)
        else:
            yield from self._noted(self._pages())

    def _noted(self, found: Iterable[Lines]) -> Iterator[Lines]:
        for lines in found:
            if lines:
                self.last_seq = max(self.last_seq, lines[-1].seq)
            yield lines

    def follow(self, show: Callable[[Sequence[Event]], None], *, partial: bool) -> None:
        """Pass on what comes, until the task or the run is over."""
        try:
            task = self._client.subscribe(self.task_id, self.last_seq, partial=partial and not self._looked)
        except RefusedError as error:
            if error.code != "not_found":
                raise
            return  # forgotten: nothing follows
        for batch in task.batches():
            show([event for event in batch if self._wanted(event)])
            if self._run is not None and any(isinstance(event, Exited) for event in batch):
                return

    def marked(self, text: str, style: Style) -> str:
        """A line with what was looked for in colour."""
        return text if self._looked is None else marked(text, self._looked, style)

    def _wanted(self, event: Event) -> bool:
        if not isinstance(event, Output | Partial):
            return True
        return self._options.stream in (None, event.stream) and self._matches(event.data)

    def _matches(self, text: str) -> bool:
        return self._looked is None or re.search(self._looked.query, text) is not None

    # -- from the log

    def _pages(self) -> Iterator[Sequence[LogLine]]:
        options = self._options
        if options.reverse:
            yield from self._backward()
        elif options.tail is None:
            yield from self._forward()
        elif not (options.since or options.until or options.tail > _AT_ONCE):
            yield self._some(tail=options.tail) if options.tail else ()
        else:
            yield list(chain.from_iterable(self._backward()))[::-1]

    def _forward(self) -> Iterator[Sequence[LogLine]]:
        since, until = self._options.since, self._options.until
        lines = self._some(since=since, from_seq=None if since else 0, limit=_AT_ONCE)
        while lines:
            shown = lines if until is None else [line for line in lines if line.ts <= until]
            yield shown
            if len(shown) < len(lines):
                return
            lines = self._some(from_seq=lines[-1].seq + 1, limit=_AT_ONCE)

    def _backward(self) -> Iterator[Sequence[LogLine]]:
        """The newest lines first, at most ``--tail`` of them."""
        since, until, stream = self._options.since, self._options.until, self._options.stream
        left = sys.maxsize if self._options.tail is None else self._options.tail
        first = next((line.seq for line in self._all(since=since, from_seq=None if since else 0, limit=1)), 0)
        end = next((line.seq for line in self._all(tail=1)), -1)
        if until is not None:
            later = self._all(since=until + timedelta.resolution, limit=1)
            end = next((line.seq - 1 for line in later), end)
        size = _AT_ONCE
        while first and end >= first and left > 0:
            begin = max(first, end - size + 1)
            lines = self._all(from_seq=begin, limit=end - begin + 1)  # and more, where seqs have holes
            found = [line for line in lines if line.seq <= end and stream in (None, line.stream)]
            yield found[::-1][:left]
            left -= len(found)
            end = begin - 1
            size = min(2 * size, _STEP)

    def _found(self) -> Iterator[Lines]:
        """The matches of --grep in order, with their context."""
        options, looked = self._options, self._looked
        assert looked is not None
        matches = self._client.search(
            looked.query,
            regex=True,
            task_id=self.task_id,
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
        for block in with_context(self._client, mine, before, after):
            yield [match for match, _ in block]

    # -- from what is stored

    def _replayed(self) -> list[LogLine]:
        return [
            LogLine(event.seq, event.ts, event.stream, event.data, event.truncated)
            for event in self._client.replay(self.task_id)
            if isinstance(event, Output)
        ]

    def _ring(self) -> Iterator[Lines]:
        options = self._options
        stored = self._replayed()
        lines = [
            line
            for line in stored
            if options.stream in (None, line.stream)
            and (options.since is None or line.ts >= options.since)
            and (options.until is None or line.ts <= options.until)
        ]
        hits = [number for number, line in enumerate(lines) if self._matches(line.data)]
        if options.tail is not None:
            hits = hits[-options.tail :] if options.tail else []
        if stored and stored[0].seq > 1 and (options.tail is None or len(hits) < options.tail):
            kept = f"only its last {len(stored)} lines are still stored"
            say(f"{plain(self.task_id)}: {kept}, since the server has no data_dir")
        before, after = around(options)
        shown = sorted(
            {each for hit in hits for each in range(max(0, hit - before), min(len(lines), hit + after + 1))}
        )
        found = [lines[number] for number in shown]
        if before or after:
            yield from blocks(found, lambda line: line.seq)
        else:
            yield found
