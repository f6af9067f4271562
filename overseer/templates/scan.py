"""Cut a text into what is verbatim and what stands between ``[[`` and ``]]``.

Trim marks and comments are dealt with here, for both dialects alike; what is verbatim never meets
Jinja's lexer, which would take offence at ``{%`` and drop a last newline.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Action", "Problem", "place", "scan"]

_SPACE = " \t\r\n"
_LEFT, _RIGHT = "[[", "]]"
# One step through an action: a quoted string as a whole (it may hold "]]"), or one character.
_STEP = re.compile(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|`[^`]*`|.', re.DOTALL)
_UNTERMINATED = {
    '"': "unterminated quoted string",
    "'": "unterminated character constant",
    "`": "unterminated raw quoted string",
}


class Problem(Exception):
    """What is wrong with a template and where: ``offset`` counts characters from the text's start."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset


@dataclass(frozen=True, slots=True)
class Action:
    """The inside of one pair of delimiters, without trim marks; ``offset`` is that of ``text``."""

    text: str
    offset: int


def place(text: str, offset: int) -> str:
    """``line:column`` of an offset, both from 1, columns in characters."""
    before = text[:offset]
    return f"{before.count(chr(10)) + 1}:{offset - before.rfind(chr(10))}"


def scan(text: str) -> list[str | Action]:
    """Texts and actions in order, trimmed, without comments and without empty texts.

    Raises Problem for an action, a comment or a string that does not end.
    """
    pieces: list[str | Action] = []
    position = 0
    trim = False
    while True:
        start = text.find(_LEFT, position)
        verbatim = text[position:] if start < 0 else text[position:start]
        if trim:
            verbatim = verbatim.lstrip(_SPACE)
        inside = start + len(_LEFT)
        if start >= 0 and text[inside : inside + 1] == "-" and text[inside + 1 : inside + 2] in (*_SPACE,):
            verbatim = verbatim.rstrip(_SPACE)
            inside += 2
        if verbatim:
            pieces.append(verbatim)
        if start < 0:
            return pieces
        if text.startswith("/*", inside):
            end, trim = _end_of_comment(text, inside)
        else:
            end, trim = _end_of_action(text, start, inside)
            pieces.append(Action(text[inside : end - 2 if trim else end], inside))
        position = end + len(_RIGHT)


def _end_of_comment(text: str, inside: int) -> tuple[int, bool]:
    """Offset of the ``]]`` after a comment, and whether a trim mark stands before it."""
    end = text.find("*/", inside + 2)
    if end < 0:
        raise Problem("unclosed comment", inside)
    end += 2
    if text.startswith(_RIGHT, end):
        return end, False
    if text[end : end + 1] in (*_SPACE,) and text.startswith("-" + _RIGHT, end + 1):
        return end + 2, True
    raise Problem("comment ends before closing delimiter", end)


def _end_of_action(text: str, start: int, inside: int) -> tuple[int, bool]:
    """Offset of the ``]]`` that ends an action, and whether a trim mark stands before it.

    Square brackets of a Jinja expression are counted, so that ``[[ name[0]]]`` means what it says.
    """
    depth = 0
    position = inside
    while step := _STEP.match(text, position):
        mark = step.group()
        if depth == 0 and text.startswith(_RIGHT, position):
            trim = position - inside >= 2 and text[position - 1] == "-" and text[position - 2] in _SPACE
            return position, trim
        if mark in _UNTERMINATED:
            raise Problem(_UNTERMINATED[mark], position)
        if mark in "[{":
            depth += 1
        elif mark in "]}":
            depth = max(0, depth - 1)
        position = step.end()
    raise Problem("unclosed action", start)
