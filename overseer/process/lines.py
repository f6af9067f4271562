"""Bytes from a pipe to lines of text. Pure: no I/O, no clock.

A line ends at LF, and one CR before the LF goes with it; a last line without LF counts, and a CR at its end
stays. Bytes that are not UTF-8 become U+FFFD, one for each bad byte (Python's own ``replace`` gives one for a
whole broken sequence). A line longer than the limit is cut there, flagged, and the rest of it is skipped.

A line with a CR in it, before it would be cut, is one that redraws itself: a progress bar. Of such a line the
last 64 KiB are kept, however long it goes on, from where it was drawn again.

This is on the hot path: whole reads are decoded and split by one call each, and nothing is done per line.
"""

from __future__ import annotations

import codecs
from typing import Literal

from overseer.util.masking import Mask, Masker

Mark = Literal["", "truncated", "overwritten"]

Lines = tuple[list[str], Mark]
"""Some lines in order, and what is missing of them: a line with a mark comes alone."""

KEPT_OF_REDRAWN = 65536
UNFINISHED = 4096  # bytes of a line without its end that are shown: several lines of any terminal

_PIECE = 65536
_STAND_INS = "\ufdd0\ufdd1\ufdd2\ufdd3"  # noncharacters, which nobody means to print


def decode(data: bytes | bytearray, final: bool = True) -> str:
    """UTF-8 to text, with U+FFFD for each byte that is not part of a character.

    Unless ``final``, a character at the end that is not whole is left out.
    """
    try:
        return codecs.utf_8_decode(data, "strict", final)[0]
    except UnicodeDecodeError:
        pass
    # In pieces, since each call keeps all other threads waiting: ten megabytes of it for half a second.
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    pieces = [_replaced(decoder.decode(data[at : at + _PIECE])) for at in range(0, len(data), _PIECE)]
    if final:
        pieces.append(_replaced(decoder.decode(b"", final=True)))
    return "".join(pieces)


def _replaced(text: str) -> str:
    """``text`` with U+FFFD for each of its surrogates, which stand for bad bytes.

    The encoder writes ``?`` for a surrogate without leaving C: 0.05 µs each, where an error handler in Python
    takes half a microsecond. Question marks that are really there step aside meanwhile.
    """
    stand_in = next((each for each in _STAND_INS if each not in text), "")
    if not stand_in:
        return "".join(["\ufffd" if "\udc80" <= char <= "\udcff" else char for char in text])
    marked = text.replace("?", stand_in).encode("utf-8", "replace")
    return marked.replace(b"?", b"\xef\xbf\xbd").decode().replace(stand_in, "?")


class LineSplitter:
    """Splits what one pipe gives. Holds at most ``max_line`` + 1 bytes between calls."""

    __slots__ = ("_kept", "_max", "_overwritten", "_redrawn", "_skipping", "held")

    def __init__(self, max_line: int) -> None:
        """``max_line``: how many bytes a line may have, its line end not counted; at least 1."""
        self._max = max_line
        self._kept = min(max_line, KEPT_OF_REDRAWN)
        self.held = bytearray()  # a line whose LF has not come; one buffer, for its pieces may be tiny
        self._redrawn = False  # it has a CR that is not the last byte
        self._overwritten = False  # its beginning has been dropped
        self._skipping = False  # it was cut, what is left of it is dropped

    @property
    def unfinished(self) -> bytes:
        """The end of the line whose LF has not come, as much of it as may be shown."""
        return bytes(self.held[-UNFINISHED:]) if self.held else b""

    def feed(self, data: bytes) -> list[Lines]:
        """The lines that ``data`` completes, as few groups in order; ``[]`` when it completes none."""
        end = data.find(b"\n") + 1
        if end == len(data) <= self._kept and not (self.held or self._skipping) and data[-2:-1] != b"\r":
            try:
                return [([data[:-1].decode()], "")] if data else []  # a line that comes alone, and whole
            except UnicodeDecodeError:
                pass
        end = data.rfind(b"\n") + 1
        if not end:
            return self._hold(data)
        # Lines so short need no look at each: neither can they be too long, nor is their beginning dropped.
        short = end <= self._kept and len(self.held) + data.find(b"\n") <= self._kept
        if short and not self._skipping and not self._overwritten:
            groups: list[Lines] = [(_split(self._take(data[:end]) if self.held else data[:end]), "")]
        else:
            groups = self._feed_slowly(data[:end])
        if end < len(data):
            groups += self._hold(data[end:])
        return groups

    def close(self) -> list[Lines]:
        """The last line, when it has no LF; nothing may be fed after this."""
        if self._skipping or not self.held:
            return []
        overwritten = self._overwritten
        return [self._one(self._take(), overwritten)]

    def _hold(self, data: bytes) -> list[Lines]:
        """Keep the beginning of a line; gives it back, cut, when it is too long already."""
        if self._skipping or not data:
            return []
        held = self.held
        self._redrawn = (
            self._redrawn or held.endswith(b"\r") or 0 <= data.find(b"\r", 0, -1) <= self._max - len(held)
        )
        held += data
        size = len(held)
        if self._redrawn:
            if size > 2 * self._kept + 1:  # in large steps, so that each byte is moved once
                del held[: size - self._kept - 1]  # the last one may be the CR of the line's end
                self._overwritten = True
            return []
        # One byte more than allowed may turn out to be the CR of the line's end.
        if size <= self._max or (size == self._max + 1 and data.endswith(b"\r")):
            return []
        line = self._take()
        self._skipping = True
        return [([_cut(line, self._max)], "truncated")]

    def _take(self, data: bytes = b"") -> bytearray:
        """What is held, with ``data`` behind it; nothing is held from now on."""
        held, self.held = self.held, bytearray()
        self._redrawn = self._overwritten = False
        held += data
        return held

    def _feed_slowly(self, data: bytes) -> list[Lines]:
        """``data`` ends with LF, and a line of it is held in part, is being skipped, or may be too long."""
        if self._skipping:
            self._skipping = False
            data = data[data.index(b"\n") + 1 :]
        groups: list[Lines] = []
        plain: list[str] = []
        overwritten = self._overwritten  # the first line's
        for line in self._take(data).split(b"\n")[:-1]:
            text, mark = self._one(line.removesuffix(b"\r"), overwritten)
            overwritten = False
            if not mark:
                plain += text
                continue
            if plain:
                groups.append((plain, ""))
                plain = []
            groups.append((text, mark))
        if plain:
            groups.append((plain, ""))
        return groups

    def _one(self, line: bytearray, overwritten: bool) -> Lines:
        """One line, without its end; ``overwritten``: its beginning has been dropped already."""
        redrawn = line.find(b"\r", 0, min(len(line) - 1, self._max + 1)) >= 0
        if overwritten or (redrawn and len(line) > self._kept):
            return [_end_of(line, self._kept)], "overwritten"
        if len(line) > self._max:
            return [_cut(line, self._max)], "truncated"
        return [decode(line)], ""


class MaskedSplitter(LineSplitter):
    """Has secrets replaced before anything else is done, so that no cut can go through one."""

    __slots__ = ("_masker",)

    def __init__(self, max_line: int, mask: Mask) -> None:
        super().__init__(max_line)
        self._masker = Masker(mask)

    def feed(self, data: bytes) -> list[Lines]:
        return super().feed(self._masker.feed(data))

    def close(self) -> list[Lines]:
        return super().feed(self._masker.flush()) + super().close()


def _split(data: bytes | bytearray) -> list[str]:
    """The lines of ``data``, which ends with LF."""
    text = decode(data)
    if "\r" in text:
        text = text.replace("\r\n", "\n")
    lines = text.split("\n")
    lines.pop()
    return lines


def _cut(line: bytearray, size: int) -> str:
    """The first ``size`` bytes, less a character at their end that is not whole."""
    return decode(line[:size], final=False)


def _end_of(line: bytearray, size: int) -> str:
    """At most the last ``size`` bytes: from behind a CR, or else from the beginning of a character.

    There was more, here or before.
    """
    start = max(0, len(line) - size)
    redrawn = line.find(b"\r", start, -1) + 1
    if redrawn:
        start = redrawn
    else:
        while start < len(line) and line[start] & 0xC0 == 0x80:
            start += 1
    return decode(line[start:])
