"""Bytes from a pipe to lines of text. Pure: no I/O, no clock.

A line ends at LF, and one CR before the LF goes with it; a last line without LF counts, and a CR at its end
stays. Bytes that are not UTF-8 become U+FFFD, one for each bad byte (Python's own ``replace`` gives one for a
whole broken sequence). A line longer than the limit is cut there, flagged, and the rest of it is skipped.

This is on the hot path: whole reads are decoded and split by one call each, and nothing is done per line.
"""

from __future__ import annotations

import codecs

__all__ = ["LineSplitter", "Lines", "decode"]

Lines = tuple[list[str], bool]
"""Some lines in order, and whether they were cut: a line that was cut comes alone."""

_ERRORS = "overseer.one_per_byte"


def _one_per_byte(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "\ufffd" * (error.end - error.start), error.end


codecs.register_error(_ERRORS, _one_per_byte)


def decode(data: bytes | bytearray) -> str:
    """UTF-8 to text, with U+FFFD for each byte that is not part of a character."""
    return data.decode("utf-8", _ERRORS)


class LineSplitter:
    """Splits what one pipe gives. Holds at most ``max_line`` + 1 bytes between calls."""

    __slots__ = ("_held", "_max", "_skipping")

    def __init__(self, max_line: int) -> None:
        """``max_line``: how many bytes a line may have, its line end not counted; at least 1."""
        self._max = max_line
        self._held = bytearray()  # a line whose LF has not come; one buffer, for its pieces may be tiny
        self._skipping = False  # the line was cut, what is left of it is dropped

    def feed(self, data: bytes) -> list[Lines]:
        """The lines that ``data`` completes, as few groups in order; ``[]`` when it completes none."""
        end = data.rfind(b"\n") + 1
        if not end:
            return self._hold(data)
        if not self._skipping and len(self._held) + end <= self._max:
            groups = [(_split(self._take(data[:end]) if self._held else data[:end]), False)]
        else:
            groups = self._feed_slowly(data[:end])
        if end < len(data):
            groups += self._hold(data[end:])
        return groups

    def close(self) -> list[Lines]:
        """The last line, when it has no LF; nothing may be fed after this."""
        rest, skipping = self._take(), self._skipping
        self._skipping = False
        if skipping or not rest:
            return []
        if len(rest) > self._max:
            return [([_cut(rest, self._max)], True)]
        return [([decode(rest)], False)]

    def _hold(self, data: bytes) -> list[Lines]:
        """Keep the beginning of a line; gives it back, cut, when it is too long already."""
        if self._skipping or not data:
            return []
        self._held += data
        # One byte more than allowed may turn out to be the CR of the line's end.
        size = len(self._held)
        if size <= self._max or (size == self._max + 1 and data.endswith(b"\r")):
            return []
        self._skipping = True
        return [([_cut(self._take(), self._max)], True)]

    def _take(self, data: bytes = b"") -> bytearray:
        """What is held, with ``data`` behind it; nothing is held from now on."""
        held, self._held = self._held, bytearray()
        held += data
        return held

    def _feed_slowly(self, data: bytes) -> list[Lines]:
        """``data`` ends with LF, and a line of it is held in part, is being skipped, or may be too long."""
        if self._skipping:
            self._skipping = False
            data = data[data.index(b"\n") + 1 :]
        groups: list[Lines] = []
        lines: list[str] = []
        for line in self._take(data).split(b"\n")[:-1]:
            text, cut = self._one(line)
            if not cut:
                lines += text
                continue
            if lines:
                groups.append((lines, False))
                lines = []
            groups.append((text, True))
        if lines:
            groups.append((lines, False))
        return groups

    def _one(self, line: bytearray) -> Lines:
        """One line, without its LF."""
        line = line.removesuffix(b"\r")
        if len(line) > self._max:
            return [_cut(line, self._max)], True
        return [decode(line)], False


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
    return codecs.utf_8_decode(line[:size], _ERRORS, False)[0]
