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

_DAY = 10  # characters of a time
_TIMES = re.compile(r"(?:[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3])(?::[0-5][0-9]){2}\.[0-9]{6}Z)+")
_KINDS = {f" {stream} {flag} ": (stream, flag == "P") for stream in ("stdout", "stderr") for flag in "FP"}
_kind_of = itemgetter(slice(TIME, PREFIX))
_NO_TIME = "1970-01-01T00:00:00.000000Z"
_PIECE = 1000  # lines; larger texts need new memory pages each time, which costs more than everything else
_BACK = 200  # lines
_NEWLINE = "\u2424"  # replaces a newline within a driver's line, which would make two lines of the log


class Lines(NamedTuple):
    """Lines of one stream; ``times``: of each, as written in the log."""

    first: int
    times: list[str]
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
    for written, alike in groupby(lines, _kind_of):
        some = list(alike)
        kind = _KINDS.get(written)
        times = [line[:TIME] for line in some]
        if kind is None:
            yield _text(seq, some)
        elif _are_times(times):
            yield Lines(seq, times, kind[0], [line[PREFIX:] for line in some], kind[1])
        else:
            at = seq
            for line, time in zip(some, times, strict=True):
                known = _are_times([time])
                yield Lines(at, [time], kind[0], [line[PREFIX:]], kind[1]) if known else _text(at, [line])
                at += 1
        seq += len(some)


def _text(seq: int, lines: list[str]) -> Lines:
    return Lines(seq, [_NO_TIME] * len(lines), "stdout", lines, False)


def _are_times(times: list[str]) -> bool:
    """Whether each is a time, which is checked of all at once, as a log has a million."""
    if _TIMES.fullmatch("".join(times)) is None:
        return False
    try:
        for day in {time[:_DAY] for time in times}:
            datetime.fromisoformat(day)
    except ValueError:
        return False
    return True
