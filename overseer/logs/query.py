"""A page of a log, for ``logs``: bounded in lines, in bytes, and in bytes scanned."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from overseer.logs.lines import decode, from_the_end, lines_from
from overseer.logs.reader import LogReader
from overseer.logs.standalone.segments import Text, run_at

_PAGE_BYTES = 4 * 1024 * 1024  # of text in a page, not counting its first line
_LOOKED_THROUGH = 64 * 1024 * 1024  # bytes of text scanned for one page, where few lines match


class Line(NamedTuple):
    """A line of a log; ``ts`` as written."""

    seq: int
    ts: str
    stream: str
    data: str
    truncated: bool


@dataclass(frozen=True)
class LogQuery:
    """The lines wanted: the first ``limit`` from ``from_seq`` or ``since`` on, or the last ``tail``.

    ``sees``: whether an action's lines may be shown; None: all.
    """

    limit: int
    from_seq: int = 0
    tail: int = 0
    since: str = ""
    stream: str = ""
    run_id: str = ""
    sees: Callable[[str], bool] | None = None


@dataclass
class Page:
    """``first_seq``, ``last_seq``: the ends of the log, 0 if it is empty; ``next_seq``: where to continue."""

    first_seq: int
    last_seq: int
    next_seq: int
    lines: list[Line] = field(default_factory=list)


def read_page(reader: LogReader, query: LogQuery) -> Page:
    """Raises OSError or ValueError: the log cannot be read."""
    first, last = reader.ends()
    page = Page(first, last, last + 1)
    begin, end = (query.from_seq, sys.maxsize) if not query.run_id else reader.range_of(query.run_id)
    begin = max(begin, query.from_seq)
    if query.tail:
        _read_back(reader, query, page, begin, end)
    else:
        page.next_seq = max(begin, first)
        if not _read_on(reader, query, page, begin, end):
            page.next_seq = max(page.next_seq, last + 1)
    return page


def _read_on(reader: LogReader, query: LogQuery, page: Page, begin: int, end: int) -> bool:
    """Whether there may be more for another page."""
    if begin > end:
        return False
    size = looked = 0
    for text in reader.forward(begin, query.since):
        for line in _lines(text, query, begin, end):
            size += len(line.data)
            if len(page.lines) == query.limit or (size > _PAGE_BYTES and page.lines):
                page.next_seq = line.seq
                return True
            page.lines.append(line)
        page.next_seq = max(page.next_seq, min(text.first + text.data.count(b"\n"), end + 1))
        looked += len(text.data)
        if page.next_seq > end:
            return False
        if looked > _LOOKED_THROUGH:
            return True
    return False


def _read_back(reader: LogReader, query: LogQuery, page: Page, begin: int, end: int) -> None:
    size = 0
    for line in islice(_lines_back(reader, query, begin, end), min(query.tail, query.limit)):
        size += len(line.data)
        if size > _PAGE_BYTES and page.lines:
            break
        page.lines.append(line)
    page.lines.reverse()


def _lines_back(reader: LogReader, query: LogQuery, begin: int, end: int) -> Iterator[Line]:
    """The lines wanted, the last ones first."""
    looked = 0
    for text in reader.backward(end + 1):
        for piece in from_the_end(text):
            yield from reversed(list(_lines(piece, query, begin, end)))
        looked += len(text.data)
        if looked > _LOOKED_THROUGH or text.first <= begin:
            return


def _lines(text: Text, query: LogQuery, begin: int, end: int) -> Iterator[Line]:
    for some in decode(lines_from(text, begin)):
        if some.first > end:
            return
        if some.first + len(some.lines) <= begin or (query.stream and some.stream != query.stream):
            continue
        for seq, (ts, data) in enumerate(zip(some.times, some.lines, strict=True), some.first):
            if not begin <= seq <= end or ts < query.since:
                continue
            if query.sees is None or query.sees(run_at(text.runs, seq).action):
                yield Line(seq, ts, some.stream, data, some.truncated)
