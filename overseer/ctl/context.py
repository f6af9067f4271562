"""Matches in logs, coloured and with context, as grep shows them."""

from __future__ import annotations

import re
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple, TypeVar

from overseer.client import Client
from overseer.ctl.terminal import Style
from overseer.protocol import LogLine, LogMatch

_T = TypeVar("_T")
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
) -> Iterator[list[tuple[LogMatch, bool]]]:
    """The lines of one task's log from ``before`` before to ``after`` after each match, in order, each once,
    with whether it is a match itself; in blocks without a gap."""
    found = {match.seq: match for match in matches}
    for first, last in _ranges(sorted(found), before, after):
        task_id = matches[0].task_id
        lines = [
            (found.get(line.seq) or _as_match(task_id, line), line.seq in found)
            for line in client.logs(task_id, from_seq=first, limit=last - first + 1)
            if line.seq <= last
        ]
        yield from blocks(lines, lambda each: each[0].seq)


def blocks(lines: Iterable[_T], seq: Callable[[_T], int]) -> Iterator[list[_T]]:
    """The stretches of lines whose numbers follow one another."""
    for _, block in groupby(enumerate(lines), lambda each: seq(each[1]) - each[0]):
        yield [line for _, line in block]


def _ranges(seqs: Sequence[int], before: int, after: int) -> list[tuple[int, int]]:
    """First and last lines of the blocks around these; blocks that touch are one."""
    ranges: list[tuple[int, int]] = []
    for seq in seqs:
        begin = max(1, seq - before)
        if ranges and begin <= ranges[-1][1] + 1:
            begin, _ = ranges.pop()
        ranges.append((begin, seq + after))
    return ranges


def _as_match(task_id: str, line: LogLine) -> LogMatch:
    return LogMatch(task_id, "", line.seq, line.ts, line.stream, line.data)
