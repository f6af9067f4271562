"""A line as a terminal shows it, without what a CR or backspace overwrote.

Pure. Colours stay as escape sequences, and tabs stay. Cursor movement within the line and erasure are carried
out: CR, backspace, and ECMA-48's CSI C, D, G and K. All other control sequences are dropped.
"""

from __future__ import annotations

import re
from unicodedata import combining, east_asian_width

from overseer.process.lines import decode

_RESET = "\x1b[0m"
_WIDEST = 4096  # columns of an unfinished line; text further right is dropped
_LONG = 65536
_MOST = 1 << 20  # cells that a line's sequences blank or skip; many times what any program has drawn in one
_TOKEN = re.compile(
    r"\x1b\[(?P<numbers>[0-9;:<=>?]{0,64})[ -/]{0,8}(?P<final>[@-~])"  # CSI
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\|$)"  # OSC, DCS and the like: up to BEL, ST or the end
    r"|\x1b\[[0-?]*[ -/]*\Z"  # an incomplete CSI
    r"|\x1b[ -/]*[0-~]?"  # other escapes, complete or not
    r"|[\x00-\x08\x0a-\x1f\x7f]"
)
_DRAWS = re.compile(r"[\x00-\x08\x0a-\x1a\x1c-\x1f\x7f]|\x1b(?!\[[0-9;:]*m)")  # anything but text and colours


def shown(line: bytes) -> str:
    """The unfinished line as it looks on screen. ``line``: its last bytes; a character at either end may be
    incomplete."""
    text = _whole(line)
    return text if _TOKEN.search(text) is None else _drawn(text, _WIDEST)


def drawn(lines: list[str]) -> list[str]:
    """These finished lines as they look on screen; a very long one is returned unchanged."""
    return [_drawn(line, _LONG) if len(line) <= _LONG and _DRAWS.search(line) else line for line in lines]


def _drawn(text: str, widest: int) -> str:
    row = _Row(widest)
    place = 0
    try:
        for token in _TOKEN.finditer(text):
            row.write(text[place : token.start()])
            row.obey(token)
            place = token.end()
        row.write(text[place:])
    except _TooMuch:
        return _TOKEN.sub("", text)
    return row.text()


def _whole(line: bytes) -> str:
    """The bytes decoded, without incomplete characters at either end."""
    start = 0
    while start < min(3, len(line)) and line[start] & 0xC0 == 0x80:
        start += 1
    end = len(line)
    for back in range(1, min(3, end - start) + 1):
        byte = line[end - back]
        if byte >= 0xC0:  # the first of a character's two, three or four bytes
            if back < (2 if byte < 0xE0 else 3 if byte < 0xF0 else 4):
                end -= back
            break
        if byte < 0x80:
            break
    return decode(line[start:end])


class _TooMuch(Exception):
    """Drawing the line would take too long: a few bytes can blank a whole one."""


class _Row:
    """One line of a terminal: a cell for each column, with the colours it was written in."""

    def __init__(self, widest: int) -> None:
        self._widest = widest
        self._cells: list[tuple[str, str]] = []  # (style, character; "" behind a wide one)
        self._column = 0
        self._style = ""
        self._left = _MOST

    def write(self, text: str) -> None:
        for char in text:
            if combining(char) and 0 < self._column <= len(self._cells):
                base = self._column - 1
                base -= base > 0 and not self._cells[base][1]
                style, before = self._cells[base]
                if len(before) < 16:
                    self._cells[base] = style, before + char
                continue
            self._put(char)
            if east_asian_width(char) in "WF":
                self._put("")

    def _put(self, char: str) -> None:
        if self._column >= self._widest:
            return
        if self._column > len(self._cells):
            self._cells += self._blanks(self._column - len(self._cells))
        if char:  # "" follows a wide one, which has made room for both cells
            self._part(self._column)
        self._part(self._column + 1)
        self._cells[self._column : self._column + 1] = [(self._style, char)]
        self._column += 1

    def _blanks(self, count: int) -> list[tuple[str, str]]:
        self._left -= count
        if self._left < 0:
            raise _TooMuch
        return [("", " ")] * count

    def _part(self, column: int) -> None:
        """Replace a wide character that straddles this column's left edge by blanks."""
        if 0 < column < len(self._cells) and not self._cells[column][1]:
            self._cells[column - 1 : column + 1] = [("", " ")] * 2

    def obey(self, token: re.Match[str]) -> None:
        """Carry out a control character or sequence that affects the line; ignore others."""
        if token[0] == "\r":
            self._column = 0
        elif token[0] == "\b":
            self._column = max(0, self._column - 1)
        elif token["final"] == "m":
            self._colour(token)
        elif token["final"] == "K":
            self._erase(token["numbers"])
        elif token["final"] in ("C", "D", "G"):
            by = max(1, _number(token["numbers"]))
            to = {"C": self._column + by, "D": self._column - by, "G": by - 1}[token["final"]]
            self._column = min(max(0, to), self._widest)

    def _colour(self, token: re.Match[str]) -> None:
        if token["numbers"] in ("", "0"):
            self._style = ""
        elif token["numbers"].startswith("0;") or len(self._style) > 64:  # a reset, or too long
            self._style = token[0]
        else:
            self._style += token[0]

    def _erase(self, what: str) -> None:
        if what in ("", "0"):
            self._part(self._column)
            del self._cells[self._column :]
        elif what == "1":
            gone = min(self._column + 1, len(self._cells))
            self._part(gone)
            self._cells[:gone] = self._blanks(gone)
        elif what == "2":
            self._cells.clear()

    def text(self) -> str:
        parts = []
        style = ""
        for cell_style, char in self._cells:
            if cell_style != style:
                parts.append((_RESET if style else "") + cell_style)
                style = cell_style
            parts.append(char)
        if style:
            parts.append(_RESET)
        return "".join(parts)


def _number(text: str) -> int:
    return int(text[:4]) if text[:4].isdigit() and text.isascii() else 0
