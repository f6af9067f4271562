"""Turns bytes from a pipe into lines of text. Pure: no I/O, no clock.

A line ends at LF, and one CR before the LF is removed with it; a last line without LF counts, and keeps a CR
at its end. Bytes that are not UTF-8 become U+FFFD, one for each bad byte (Python's own ``replace`` gives one
for a whole broken sequence). A line longer than the limit is cut there and flagged, and the rest is skipped.

A line with a CR within the limit redraws itself, as progress bars do. Its last 64 KiB are kept, however long
it goes on, from a point where it was redrawn.

This is the hot path: each read is decoded and split by one call each, with no work per line.
"""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from typing import Any, Literal

from overseer.util.handover_format import Incoming, Outgoing
from overseer.util.masking import Mask, Masker

Mark = Literal["", "truncated", "overwritten"]

Lines = tuple[list[str], Mark]
"""Lines in order, and a mark that says what they lack; a marked line is alone in its group."""

KEPT_OF_REDRAWN = 65536
UNFINISHED = 4096  # bytes shown of an unfinished line: several rows of any terminal

_PIECE = 65536
_STAND_INS = "\ufdd0\ufdd1\ufdd2\ufdd3"  # noncharacters, which no text contains


def decode(data: bytes | bytearray, final: bool = True) -> str:
    """UTF-8 to text, with U+FFFD for each byte that is not part of a character.

    Unless ``final``, an incomplete character at the end is left out.
    """
    try:
        return codecs.utf_8_decode(data, "strict", final)[0]
    except UnicodeDecodeError:
        pass
    # In pieces, since each call holds the GIL: half a second for ten megabytes.
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    pieces = [_replaced(decoder.decode(data[at : at + _PIECE])) for at in range(0, len(data), _PIECE)]
    if final:
        pieces.append(_replaced(decoder.decode(b"", final=True)))
    return "".join(pieces)


def _replaced(text: str) -> str:
    """``text`` with U+FFFD for each of its surrogates, which stand for bad bytes.

    The encoder writes ``?`` for a surrogate without leaving C: 0.05 µs each, where an error handler in Python
    takes half a microsecond. Genuine question marks are replaced by stand-ins meanwhile.
    """
    stand_in = next((each for each in _STAND_INS if each not in text), "")
    if not stand_in:
        return "".join(["\ufffd" if "\udc80" <= char <= "\udcff" else char for char in text])
    marked = text.replace("?", stand_in).encode("utf-8", "replace")
    return marked.replace(b"?", b"\xef\xbf\xbd").decode().replace(stand_in, "?")


class LineSplitter:
    """Splits the output of one pipe. Holds at most ``max_line`` + 1 bytes between calls."""

    __slots__ = ("_kept", "_max", "_overwritten", "_redrawn", "_skipping", "held")

    def __init__(self, max_line: int) -> None:
        """``max_line``: a line's maximum length in bytes, without its line end; at least 1."""
        self._max = max_line
        self._kept = min(max_line, KEPT_OF_REDRAWN)
        self.held = bytearray()  # the unfinished line; one buffer, as its pieces may be tiny
        self._redrawn = False  # it has a CR that is not the last byte
        self._overwritten = False  # its beginning has been dropped
        self._skipping = False  # it was cut, and the rest is dropped

    @property
    def unfinished(self) -> bytes:
        """The end of the unfinished line, at most ``UNFINISHED`` bytes."""
        return bytes(self.held[-UNFINISHED:]) if self.held else b""

    def feed(self, data: bytes) -> list[Lines]:
        """The lines that ``data`` completes, in order and in as few groups as possible."""
        end = data.find(b"\n") + 1
        if end == len(data) <= self._kept and not (self.held or self._skipping) and data[-2:-1] != b"\r":
            try:
                return [([data[:-1].decode()], "")] if data else []  # a single, whole line
            except UnicodeDecodeError:
                pass
        end = data.rfind(b"\n") + 1
        if not end:
            return self._hold(data)
        # So little data cannot hold a line that is too long or redrawn beyond what is kept.
        short = end <= self._kept and len(self.held) + data.find(b"\n") <= self._kept
        if short and not self._skipping and not self._overwritten:
            groups: list[Lines] = [(_split(self._take(data[:end]) if self.held else data[:end]), "")]
        else:
            groups = self._feed_slowly(data[:end])
        if end < len(data):
            groups += self._hold(data[end:])
        return groups

    def close(self) -> list[Lines]:
        """The last line, if it has no LF. Nothing may be fed afterwards."""
        if self._skipping or not self.held:
            return []
        overwritten = self._overwritten
        return [self._one(self._take(), overwritten)]

    def export(self, out: Outgoing) -> dict[str, Any]:
        """What another program has to know to go on with the unfinished line."""
        state = [self._redrawn, self._overwritten, self._skipping]
        return {"held": out.blob(bytes(self.held)), "state": state, "masker": None}

    def restore(self, data: Mapping[str, Any], given: Incoming) -> None:
        """Go on where another program's has been."""
        self.held += given.blob(data["held"])
        self._redrawn, self._overwritten, self._skipping = data["state"]

    def _hold(self, data: bytes) -> list[Lines]:
        """Keep the beginning of a line, or return it, cut, if it is too long already."""
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
                del held[: size - self._kept - 1]  # the last one may be the CR of the line end
                self._overwritten = True
            return []
        # One byte more than allowed may turn out to be the CR of the line end.
        if size <= self._max or (size == self._max + 1 and data.endswith(b"\r")):
            return []
        line = self._take()
        self._skipping = True
        return [([_cut(line, self._max)], "truncated")]

    def _take(self, data: bytes = b"") -> bytearray:
        """What was held, followed by ``data``; clears the buffer."""
        held, self.held = self.held, bytearray()
        self._redrawn = self._overwritten = False
        held += data
        return held

    def _feed_slowly(self, data: bytes) -> list[Lines]:
        """``data`` ends with LF, and its first line is held or skipped in part, or a line may be too long."""
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
        """One line, without its line end; ``overwritten``: its beginning has been dropped already."""
        redrawn = line.find(b"\r", 0, min(len(line) - 1, self._max + 1)) >= 0
        if overwritten or (redrawn and len(line) > self._kept):
            return [_end_of(line, self._kept)], "overwritten"
        if len(line) > self._max:
            return [_cut(line, self._max)], "truncated"
        return [decode(line)], ""


class MaskedSplitter(LineSplitter):
    """Masks secrets before anything else is done, so that no cut can go through one."""

    __slots__ = ("_masker",)

    def __init__(self, max_line: int, mask: Mask) -> None:
        super().__init__(max_line)
        self._masker = Masker(mask)

    def feed(self, data: bytes) -> list[Lines]:
        return super().feed(self._masker.feed(data))

    def close(self) -> list[Lines]:
        return super().feed(self._masker.flush()) + super().close()

    def export(self, out: Outgoing) -> dict[str, Any]:
        return {**super().export(out), "masker": self._masker.export(out)}

    def restore(self, data: Mapping[str, Any], given: Incoming) -> None:
        super().restore(data, given)
        if data["masker"] is not None:
            self._masker.restore(data["masker"], given)


def _split(data: bytes | bytearray) -> list[str]:
    """The lines of ``data``, which ends with LF."""
    text = decode(data)
    if "\r" in text:
        text = text.replace("\r\n", "\n")
    lines = text.split("\n")
    lines.pop()
    return lines


def _cut(line: bytearray, size: int) -> str:
    """The first ``size`` bytes, without an incomplete character at their end."""
    return decode(line[:size], final=False)


def _end_of(line: bytearray, size: int) -> str:
    """At most the last ``size`` bytes of a line that was longer, from behind a CR or else from the beginning
    of a character."""
    start = max(0, len(line) - size)
    redrawn = line.find(b"\r", start, -1) + 1
    if redrawn:
        start = redrawn
    else:
        while start < len(line) and line[start] & 0xC0 == 0x80:
            start += 1
    return decode(line[start:])
