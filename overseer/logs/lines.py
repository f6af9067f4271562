"""Encodes batches of lines in the CRI log format, one bytes operation per batch, and decodes them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from overseer.logs.standalone.segments import PREFIX, TIME, Text
from overseer.protocol import utf8

_PREFIX = re.compile(r"[0-9]{4}(-[0-9]{2}){2}T([0-9]{2}:){2}[0-9]{2}\.[0-9]{6}Z (stdout|stderr) ([FP]) \Z")
_BEFORE = itemgetter(slice(PREFIX))
_PIECE = 1000  # lines; larger texts need new memory pages each time, which costs more than everything else
_BACK = 200  # lines
_NEWLINE = "\u2424"  # replaces a newline within a driver's line, which would make two lines of the log


class Lines(NamedTuple):
    """Lines of one stream with one timestamp; ``ts`` as written in the log."""

    first: int
    ts: str
    stream: str
    lines: list[str]
    truncated: bool


class Entry(NamedTuple):
    """A batch of so many lines as it is written: ``size`` bytes in pieces."""

    ts: str
    line_count: int
    pieces: list[bytes]
    size: int

    @property
    def text_size(self) -> int:
        """How many of the bytes are the lines' text."""
        return self.size - self.line_count * (PREFIX + 1)


def encode(ts: str, stream: str, lines: list[str], truncated: bool, split: bool = False) -> Entry:
    """The lines as written, each with the same prefix; ``split``: none holds a newline.

    Raises:
        TypeError: a line is not text.
    """
    if not split and "\n" in "".join(lines):
        lines = [line.replace("\n", _NEWLINE) for line in lines]
    prefix = f"{ts} {stream} {'P' if truncated else 'F'} "
    if len(lines) == 1:
        line = utf8(f"{prefix}{lines[0]}\n")
        return Entry(ts, 1, [line], len(line))
    between = f"\n{prefix}"
    pieces = [prefix.encode()]
    for begin in range(0, len(lines), _PIECE):
        pieces.append(utf8(between.join(lines[begin : begin + _PIECE])))
        pieces.append(between.encode())
    pieces[-1] = b"\n"
    return Entry(ts, len(lines), pieces, sum(map(len, pieces)))


def lines_from(text: Text, seq: int) -> Text:
    """The lines of a block from that one on."""
    if seq <= text.first:
        return text
    return Text(seq, text.data.split(b"\n", seq - text.first)[-1], text.runs)


def beginning(text: Text, size: int) -> Text:
    """So many bytes of a block, and the rest of the line that ends them."""
    end = text.data.find(b"\n", size) + 1
    return text._replace(data=text.data[:end]) if end else text


def from_the_end(text: Text) -> Iterator[Text]:
    """The lines of a block, some at a time, the last ones first."""
    data, end = text.data, len(text.data)
    following = text.first + data.count(b"\n")
    while end:
        begin, count = end, 0
        while begin and count < _BACK:
            begin = data.rfind(b"\n", 0, begin - 1) + 1
            count += 1
        following -= count
        yield Text(following, data[begin:end], text.runs)
        end = begin


def decode(text: Text) -> Iterator[Lines]:
    """The lines of a block; a line without a valid prefix is all text."""
    lines = text.data.decode("utf-8", "replace").split("\n")
    lines.pop()
    seq = text.first
    for prefix, some in groupby(lines, _BEFORE):
        match = _PREFIX.match(prefix)
        if match is None or not _is_time(prefix[:TIME]):
            found = Lines(seq, "1970-01-01T00:00:00.000000Z", "stdout", list(some), False)
        else:
            found = Lines(seq, prefix[:TIME], match[3], [line[PREFIX:] for line in some], match[4] == "P")
        yield found
        seq += len(found.lines)


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
