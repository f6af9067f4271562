"""The lexer of Go's dialect: splits a text into verbatim parts and ``[[ ]]`` actions, and those into
tokens."""

from __future__ import annotations

import re
from dataclasses import dataclass

_SPACE = " \t\r\n"
_SPACES = frozenset(_SPACE)  # the end of the text, "", is none
_LEFT, _RIGHT = "[[", "]]"
# One step through an action: a quoted string as a whole (it may hold "]]"), or one character.
_STEP = re.compile(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|`[^`]*`|.', re.DOTALL)
_UNTERMINATED = {
    '"': "unterminated quoted string",
    "'": "unterminated character constant",
    "`": "unterminated raw quoted string",
}


class Problem(Exception):
    """An error in a template, at ``offset`` characters from the text's start.

    ``action`` is the text that could not be read as a value, if that was the error.
    """

    action: str | None = None

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
        if start >= 0 and text[inside : inside + 1] == "-" and text[inside + 1 : inside + 2] in _SPACES:
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
    """The offset of the ``]]`` after a comment, and whether a trim mark precedes it."""
    end = text.find("*/", inside + 2)
    if end < 0:
        raise Problem("unclosed comment", inside)
    end += 2
    if text.startswith(_RIGHT, end):
        return end, False
    if text[end : end + 1] in _SPACES and text.startswith("-" + _RIGHT, end + 1):
        return end + 2, True
    raise Problem("comment ends before closing delimiter", end)


def _end_of_action(text: str, start: int, inside: int) -> tuple[int, bool]:
    """The offset of the ``]]`` that ends an action, and whether a trim mark precedes it."""
    position = inside
    while step := _STEP.match(text, position):
        if text.startswith(_RIGHT, position):
            trim = position - inside >= 2 and text[position - 1] == "-" and text[position - 2] in _SPACE
            return position, trim
        if step.group() in _UNTERMINATED:
            raise Problem(_UNTERMINATED[step.group()], position)
        position = step.end()
    raise Problem("unclosed action", start)


_TOKEN = re.compile(
    r"""
      (?P<space>[ \t\r\n]+)
    | (?P<declare>:=)
    | (?P<assign>=)
    | (?P<pipe>\|)
    | (?P<comma>,)
    | (?P<open>\()
    | (?P<close>\))
    | (?P<string>"(?:\\.|[^"\\\n])*"|`[^`]*`)
    | (?P<character>'(?:\\.|[^'\\\n])*')
    | (?P<variable>\$\w*)
    | (?P<number>[+-]?\.?[0-9](?:(?<![xX].)[eE][+-]|[pP][+-]|[\w.])*)
    | (?P<field>\.\w+)
    | (?P<dot>\.)
    | (?P<word>\w+)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
# What may directly follow a name; "$x+1" is not an expression in Go.
_TERMINATORS = frozenset(" \t\r\n.,|:()")
_NAMES = frozenset({"variable", "field", "word"})


@dataclass(frozen=True, slots=True)
class Token:
    """``kind`` is a group of the pattern above; ``offset`` counts in the whole text."""

    kind: str
    text: str
    offset: int


def tokenize(text: str, offset: int) -> list[Token]:
    """The tokens of an action; ``offset`` is that of ``text``. Raises Problem for invalid ones."""
    tokens: list[Token] = []
    for match in _TOKEN.finditer(text):
        token = Token(match.lastgroup or "other", match.group(), offset + match.start())
        tokens.append(token)
        if token.kind == "other":
            raise Problem(f"unexpected {token.text!r}", token.offset)
        following = text[match.end() : match.end() + 1]
        if token.kind in _NAMES and following and following not in _TERMINATORS:
            raise Problem(f"bad character {following!r}", offset + match.end())
    return tokens


_INTEGER = re.compile(
    r"[+-]?(?:0[xX](?:_?[0-9a-fA-F])+|0[bB](?:_?[01])+|0[oO](?:_?[0-7])+|0(?:_?[0-7])*|[1-9](?:_?[0-9])*)"
)
_FLOAT = re.compile(r"[+-]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9]+)?")
_HEX_FLOAT = re.compile(r"[+-]?0[xX][0-9a-fA-F]*\.?[0-9a-fA-F]*[pP][+-]?[0-9]+")


def number_value(token: Token) -> int | float:
    """The value of a Go number: ``10``, ``0x1F``, ``0b11``, ``017``, ``1_000``, ``1.5e3``."""
    text = token.text
    if _INTEGER.fullmatch(text):
        digits = text.lstrip("+-")
        old_octal = len(digits) > 1 and digits[0] == "0" and digits[1] in "_01234567"
        value = int(digits, 8 if old_octal else 0)
        value = -value if text[0] == "-" else value
        if not -(1 << 63) <= value < 1 << 63:
            raise Problem(f"{text} overflows int", token.offset)
        return value
    try:
        if _HEX_FLOAT.fullmatch(text):
            return float.fromhex(text)
        number = float(text) if _FLOAT.fullmatch(text) and not text.lstrip("+-").isdigit() else float("nan")
    except (ValueError, OverflowError):
        number = float("nan")
    if not abs(number) < float("inf"):
        raise Problem(f"illegal number syntax: {text}", token.offset)
    return number


_ESCAPE = re.compile(
    r"""\\(?:(?P<simple>[abfnrtv\\'"])|x(?P<x>[0-9a-fA-F]{2})|(?P<octal>[0-7]{3})"""
    r"""|u(?P<u>[0-9a-fA-F]{4})|U(?P<U>[0-9a-fA-F]{8})|(?P<bad>.?))""",
    re.DOTALL,
)
_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def string_value(token: Token) -> str:
    """The value of a quoted or raw string. Bytes that are not UTF-8 (``"\\xff"``) become lone surrogates,
    which turn into those bytes again when a program is started."""
    inner = token.text[1:-1]
    if token.text[0] == "`":
        return inner.replace("\r", "")
    value = bytearray()
    position = 0
    for match in _ESCAPE.finditer(inner):
        value += _encoded(inner[position : match.start()], token)
        value += _escaped(match, token, quote='"')
        position = match.end()
    value += _encoded(inner[position:], token)
    return value.decode("utf-8", "surrogateescape")


def _encoded(text: str, token: Token) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise Problem(f"text that is not UTF-8: {token.text!a}", token.offset) from None


def character_value(token: Token) -> int:
    """The number of a character constant such as ``'a'`` or ``'\\n'``."""
    inner = token.text[1:-1]
    if match := _ESCAPE.fullmatch(inner):
        value = _escaped(match, token, quote="'")
        single = match["x"] or match["octal"]
        return value[0] if single else ord(value.decode())
    if len(inner) != 1 or inner == "\\":
        raise Problem(f"malformed character constant: {token.text}", token.offset)
    return ord(inner)


def _escaped(match: re.Match[str], token: Token, quote: str) -> bytes:
    """The bytes of one escape sequence in a literal of the given quote."""
    simple, code = match["simple"], match["u"] or match["U"]
    if simple and (simple not in "'\"" or simple == quote):
        return _SIMPLE.get(simple, simple).encode()
    if match["x"]:
        return bytes([int(match["x"], 16)])
    if match["octal"] and int(match["octal"], 8) < 256:
        return bytes([int(match["octal"], 8)])
    if code and int(code, 16) < 0x110000 and not 0xD800 <= int(code, 16) < 0xE000:
        return chr(int(code, 16)).encode()
    raise Problem(f"invalid escape {match.group()} in {token.text}", token.offset)
