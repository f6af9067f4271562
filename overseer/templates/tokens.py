"""The words of Go's template language inside one action, and the values of its literals."""

from __future__ import annotations

import re
from dataclasses import dataclass

from overseer.templates.scan import Problem

__all__ = ["Token", "character_value", "number_value", "string_value", "tokenize"]

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
# What may follow a name without a space between; "$x+1" is no expression of Go's.
_TERMINATORS = frozenset(" \t\r\n.,|:()")
_NAMES = frozenset({"variable", "field", "word"})


@dataclass(frozen=True, slots=True)
class Token:
    """``kind`` is a group of the pattern above; ``offset`` is that in the whole text."""

    kind: str
    text: str
    offset: int


def tokenize(text: str, offset: int) -> tuple[list[Token], Problem | None]:
    """The tokens of an action up to its end, or up to and with the first thing that is none of Go's.

    The tokens before a problem are of use too: they tell which dialect was meant.
    """
    tokens: list[Token] = []
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or "other"
        token = Token(kind, match.group(), offset + match.start())
        tokens.append(token)
        if kind == "other":
            return tokens, Problem(f"unexpected {token.text!r}", token.offset)
        following = text[match.end() : match.end() + 1]
        if kind in _NAMES and following and following not in _TERMINATORS:
            tokens.append(Token("other", following, offset + match.end()))
            return tokens, Problem(f"bad character {following!r}", offset + match.end())
    return tokens, None


_INTEGER = re.compile(
    r"[+-]?(?:0[xX](?:_?[0-9a-fA-F])+|0[bB](?:_?[01])+|0[oO](?:_?[0-7])+|0(?:_?[0-7])*|[1-9](?:_?[0-9])*)"
)
_FLOAT = re.compile(r"[+-]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9]+)?")
_HEX_FLOAT = re.compile(r"[+-]?0[xX][0-9a-fA-F]*\.?[0-9a-fA-F]*[pP][+-]?[0-9]+")


def number_value(token: Token) -> int | float:
    """The value of a number as Go writes it: ``10``, ``0x1F``, ``0b11``, ``017``, ``1_000``, ``1.5e3``."""
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
    """The value of a quoted or raw string. Bytes that are no UTF-8 (``"\\xff"``) become lone surrogates,
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
    """The bytes that one escape sequence stands for in a literal of the given quote."""
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
