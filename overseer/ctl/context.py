"""Matches in logs, coloured and with context, as grep shows them."""

from __future__ import annotations

import re
from argparse import Namespace
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from overseer.client import Client
from overseer.ctl.terminal import Style
from overseer.protocol import LogLine, LogMatch

_MARK = "1;31"


class Looked(NamedTuple):
    """The text of a search, as a server takes it."""

    query: str
    regex: bool


def looked_for(text: str, options: Namespace, *, regex: bool) -> Looked:
    """``text``, and whether capitals matter."""
    if not options.ignore_case:
        return Looked(text, regex)
    return Looked(f"(?i){text if regex else re.escape(text)}", True)


def marked(text: str, looked: Looked, style: Style) -> str:
    """``text`` with the matches in colour; unchanged if it has colours of its own."""
    if not style.on or "\x1b" in text:
        return text
    pattern = looked.query if looked.regex else re.escape(looked.query)
    try:
        return re.sub(pattern, lambda match: style.paint(match[0], _MARK) if match[0] else "", text)
    except re.error:  # another version of Python took it
        return text


def around(options: Namespace) -> tuple[int, int]:
    """How many lines to show before and after each match."""
    return options.before_context or options.context, options.after_context or options.context


def with_context(
    client: Client, matches: Sequence[LogMatch], before: int, after: int
) -> Iterator[tuple[LogMatch, bool]]:
    """The lines of one task's log from ``before`` before to ``after`` after each match, in order, each once,
    with whether it is a match itself."""
    found = {match.seq: match for match in matches}
    end = 0  # just past the lines given so far
    for first, last in _ranges(sorted(found), before, after):
        task_id = matches[0].task_id
        for line in client.logs(task_id, from_seq=max(first, end, 1), limit=last - max(first, end, 1) + 1):
            if line.seq <= last:
                yield found.get(line.seq) or _as_match(task_id, line), line.seq in found
        end = last + 1


def _ranges(seqs: Sequence[int], before: int, after: int) -> Iterator[tuple[int, int]]:
    """First and last lines of the blocks around these; blocks that touch are one."""
    begin = end = 0
    for seq in seqs:
        if begin and seq - before <= end + 1:
            end = seq + after
            continue
        if begin:
            yield begin, end
        begin, end = max(1, seq - before), seq + after
    if begin:
        yield begin, end


def _as_match(task_id: str, line: LogLine) -> LogMatch:
    return LogMatch(task_id, "", line.seq, line.ts, line.stream, line.data)
