"""Encodes batches of output lines as ``output`` messages, as fast as Python can.

This is the one message that is not encoded through :mod:`overseer.protocol`: there may be a million a second.
What is common to a batch is built once, and what is common to a thousand lines once for them; no Python is
run for a line. The result is, byte for byte, that of encoding an ``Output``, framed (RFC 6455, section 5.2: a
server's text frames are not masked, so one encoding serves every client).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from json.encoder import encode_basestring

from overseer.net.frames import TEXT_HEADERS, Piece, text_header
from overseer.protocol import TaskInfo, Tasks, Watching, encode, encode_rows, utf8
from overseer.supervisor.output.ring import StoredOutput
from overseer.util.timestamps import format_timestamp

_PIECE = 64 * 1024  # characters, or bytes, of a streamed message encoded at a time
_KEPT = 4 * 1024  # bytes up to which a task's encoded row is kept; a longer one is encoded each time

# What JSON requires to be escaped.
_ESCAPED = bytes(range(0x20)) + b'"\\'

_LAST_DIGITS = [f"{number:03}" for number in range(1000)]


def output_size(lines: list[str], task_id: str) -> int:
    """The approximate size in bytes of these lines' messages, to ask for room before encoding.

    Raises:
        TypeError: a line is not text.
    """
    return len("".join(lines)) + len(lines) * (140 + len(task_id))


def output_head(task_id: str, pid: int, stream: str) -> str:
    """The common beginning of all messages of a stream."""
    return (
        f'{{"type":"output","task_id":{encode_basestring(task_id)},"pid":{pid},'
        f'"stream":{encode_basestring(stream)},"data":'
    )


class EncodedLine:
    """The ``output`` message of a single whole line."""

    __slots__ = ("_payload", "websocket")

    def __init__(self, head: str, line: str, ts: str, seq: int) -> None:
        text = f'{head}{encode_basestring(line)},"ts":"{ts}","seq":{seq}}}'
        payload = self._payload = text.encode() if text.isascii() else utf8(text)
        size = len(payload)
        self.websocket = (TEXT_HEADERS[size] if size < 1024 else text_header(size)) + payload

    @property
    def lines(self) -> bytes:
        """The message as a line of JSON."""
        return self._payload + b"\n"


class EncodedOutput:
    """The ``output`` messages of one batch; each form is built on first use and then kept.

    Args:
        ts: RFC 3339, the batch's time; or that of each line.
    """

    def __init__(self, task_id: str, output: StoredOutput, ts: str | list[str]) -> None:
        self._lines = output.lines
        self.first_seq = output.first_seq
        self._head = output_head(task_id, output.pid, output.stream)
        self._ts = ts
        flags = ',"truncated":true' if output.truncated else ""
        self._tail = f'{flags},"overwritten":true}}' if output.overwritten else f"{flags}}}"
        # Two threads may build one at the same time; the results are equal, so either may stay.
        self._as_lines: bytes | None = None
        self._as_frames: bytes | None = None

    @property
    def lines(self) -> bytes:
        """The messages as newline-delimited JSON."""
        if self._as_lines is None:
            head, lines, after, _ = self._escaped()
            tail = f"{self._tail}\n"
            pieces = []
            for begin, some, common, last in _numbered(lines, self.first_seq):
                middles = self._middles(after, begin, common, last)
                pieces.append(utf8(_woven([tail + head] * len(some), some, middles, last, tail)))
            self._as_lines = b"".join(pieces)
        return self._as_lines

    @property
    def websocket(self) -> bytes:
        """The messages as WebSocket text frames, one after the other."""
        if self._as_frames is None:
            # In these texts a character stands for a byte (Latin-1), so lengths are those on the wire.
            head, lines, after, ascii_only = self._escaped()
            if not ascii_only:
                lines = _as_bytes("\n".join(lines)).split("\n")  # which occurs in none of them
            head, tail, frames = _as_bytes(head), self._tail, []
            for begin, some, common, last in _numbered(lines, self.first_seq):
                middles = self._middles(after, begin, common, last)
                around = len(head) + len(middles[0]) + len(last[0]) + len(tail)
                starts = map(_FrameStarts(around, head, tail).__getitem__, map(len, some))
                frames.append(_woven(starts, some, middles, last, tail).encode("latin-1"))
            self._as_frames = b"".join(frames)
        return self._as_frames

    def _escaped(self) -> tuple[str, list[str], str, bool]:
        """What precedes a line, the lines escaped for JSON, what follows a line, and whether the lines are
        ASCII."""
        # Mostly nothing needs escaping, and one check of all lines is quicker than escaping each.
        text = "".join(self._lines)
        data = text.encode("utf-8", "replace")
        if len(data.translate(None, _ESCAPED)) < len(data):
            lines = [encode_basestring(line) for line in self._lines]
            return self._head, lines, "", text.isascii()
        return f'{self._head}"', self._lines, '"', text.isascii()

    def _middles(self, after: str, begin: int, common: str, last: list[str]) -> list[str]:
        """What stands between each of some lines, from that index on, and the last digits of its seq."""
        if isinstance(self._ts, str):
            return [f'{after},"ts":"{self._ts}","seq":{common}'] * len(last)
        times = self._ts[begin : begin + len(last)]
        return [f'{after},"ts":"{ts}","seq":{common}' for ts in times]


def encoded_output(task_id: str, output: StoredOutput) -> EncodedLine | EncodedOutput:
    """The messages of a batch that was stored, in the form that is cheaper for it."""
    ts = format_timestamp(output.ts)
    if len(output.lines) == 1 and not (output.truncated or output.overwritten):
        head = output_head(task_id, output.pid, output.stream)
        return EncodedLine(head, output.lines[0], ts, output.first_seq)
    return EncodedOutput(task_id, output, ts)


def _numbered(lines: list[str], seq: int) -> Iterator[tuple[int, list[str], str, list[str]]]:
    """The lines in blocks whose seqs have equally many digits, and all but the last three in common: the
    index of the first, lines, the digits in common, and the last ones of each."""
    begin = 0
    while begin < len(lines):
        common, last = divmod(seq, 1000)
        if common:
            some = lines[begin : begin + 1000 - last]
            yield begin, some, str(common), _LAST_DIGITS[last : last + len(some)]
        else:
            some = lines[begin : begin + 10 ** len(str(last)) - last]
            yield begin, some, "", [str(number) for number in range(last, last + len(some))]
        begin += len(some)
        seq += len(some)


def _woven(starts: Iterable[str], lines: list[str], middles: list[str], last: list[str], tail: str) -> str:
    """The messages of these lines: start, line, middle, last digits and tail of each. The starts begin with
    the tail of the message before.

    Text that is made for each line on the way would cost twice as much, and so much memory that the allocator
    returned some to the system after each batch.
    """
    parts = [""] * (4 * len(lines))
    parts[::4] = starts
    parts[1::4] = lines
    parts[2::4] = middles
    parts[3::4] = last
    parts[0] = parts[0].removeprefix(tail)
    parts.append(tail)
    return "".join(parts)


class _FrameStarts(dict[int, str]):
    """By the length of a line: the tail of the message before, its frame's header, and its head.

    Args:
        around: the length of the rest of its message.
    """

    def __init__(self, around: int, head: str, tail: str) -> None:
        self._around, self._head, self._tail = around, head, tail

    def __missing__(self, length: int) -> str:
        header = text_header(self._around + length).decode("latin-1")
        start = self[length] = f"{self._tail}{header}{self._head}"
        return start


def _as_bytes(text: str) -> str:
    """The text as UTF-8, each byte as a character."""
    return utf8(text).decode("latin-1")


class StreamedOutput:
    """The messages of an :class:`EncodedOutput`, encoded piece by piece: control characters are six times as
    long in JSON. A :class:`~overseer.net.frames.Streamed`."""

    def __init__(self, task_id: str, output: StoredOutput, ts: str) -> None:
        self._task_id, self._output, self._ts = task_id, output, ts
        self._lines, self.first_seq = output.lines, output.first_seq
        self._sizes: dict[bool, int] = {}

    def size(self, *, framed: bool) -> int:
        if framed not in self._sizes:
            self._sizes[framed] = sum(len(piece.data) for piece in self.pieces(framed=framed))
        return self._sizes[framed]

    def pieces(self, *, framed: bool) -> Iterator[Piece]:
        begin = 0
        while begin < len(self._lines):
            end, chars = begin, 0
            while end < len(self._lines) and (end == begin or chars + len(self._lines[end]) <= _PIECE):
                chars += len(self._lines[end])
                end += 1
            if chars > _PIECE:
                yield from self._long_line(begin, framed)
            else:
                some = self._encoded(self._lines[begin:end], begin)
                yield Piece(some.websocket if framed else some.lines, more=False)
            begin = end

    def _encoded(self, lines: list[str], index: int) -> EncodedOutput:
        some = replace(self._output, first_seq=self.first_seq + index, lines=lines)
        return EncodedOutput(self._task_id, some, self._ts)

    def _long_line(self, index: int, framed: bool) -> Iterator[Piece]:
        # What surrounds a line is what surrounds an empty one.
        before, quotes, after = self._encoded([""], index).lines.rpartition(b'""')
        before, after = before + quotes[:1], quotes[1:] + after.removesuffix(b"\n")
        line = self._lines[index]

        def parts() -> Iterator[bytes]:
            for begin in range(0, len(line), _PIECE):
                yield utf8(encode_basestring(line[begin : begin + _PIECE])[1:-1])

        if framed:
            before = text_header(len(before) + sum(map(len, parts())) + len(after)) + before
        yield Piece(before, more=True)
        for part in parts():
            yield Piece(part, more=True)
        yield Piece(after if framed else after + b"\n", more=False)


class LateRow:
    """A long row of ``list``: its length is known, and it is encoded when it is sent."""

    __slots__ = ("_info", "_size")

    def __init__(self, info: TaskInfo, size: int) -> None:
        self._info = info
        self._size = size

    def __len__(self) -> int:
        return self._size

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LateRow) and self._info == other._info

    def data(self) -> bytes:
        return encode(self._info)


TaskRow = bytes | LateRow


def row_data(row: TaskRow) -> bytes:
    """The row itself."""
    return row if isinstance(row, bytes) else row.data()


def task_row(info: TaskInfo) -> TaskRow:
    """A task's row, to be kept until something changes."""
    data = encode(info)
    return data if len(data) <= _KEPT else LateRow(info, len(data))


class StreamedTasks:
    """A message with many tasks made piece by piece. A :class:`~overseer.net.frames.Streamed`.

    Args:
        reply: the message, without any.
    """

    def __init__(self, reply: Tasks | Watching, rows: Sequence[TaskRow]) -> None:
        self._rows = rows
        before, tasks, after = encode_rows(reply, ()).partition(b'"tasks":[]')
        self._before, self._after = before + tasks.removesuffix(b"]"), b"]" + after

    def _length(self) -> int:
        commas = max(0, len(self._rows) - 1)
        return len(self._before) + sum(map(len, self._rows)) + commas + len(self._after)

    def size(self, *, framed: bool) -> int:
        length = self._length()
        return length + (len(text_header(length)) if framed else 1)

    def pieces(self, *, framed: bool) -> Iterator[Piece]:
        header, end = (text_header(self._length()), b"") if framed else (b"", b"\n")
        some, size = [header, self._before], 0
        for index, row in enumerate(self._rows):
            some += (b"," if index else b"", row_data(row))
            size += len(row)
            if size > _PIECE:
                yield Piece(b"".join(some), more=True)
                some, size = [], 0
        yield Piece(b"".join((*some, self._after, end)), more=False)
