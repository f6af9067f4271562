"""The grammar of cel-python, with cel-go's corrections, as a parser of this package's own.

Only the grammar's text is used: importing ``celpy`` costs 60 ms and 18 MB and brings a parser that is shared
by the whole process, with its first user's settings.
"""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

from lark import Lark, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedInput, UnexpectedToken
from lark.lexer import Token

from overseer.cel.values import UInt
from overseer.errors import CelError
from overseer.util.locks import Rank, lock

ParseTree = Tree[Token]

# What becomes of rules and terminals; tests/cel/test_grammar.py has the hash of the grammar they apply to.
_INLINE, _DROPPED = "?", ""
_PATCHES = {
    # Left out of the tree when they have a single child.
    **dict.fromkeys(("expr", "conditionalor", "conditionaland", "relation", "addition"), _INLINE),
    **dict.fromkeys(("multiplication", "unary", "member", "primary"), _INLINE),
    # Where cel-go's grammar differs.
    # Signs belong to the unary minus: "- 1" is a literal as much as "-1".
    "INT_LIT": "/0x[0-9a-fA-F]+|[0-9]+/",
    "UINT_LIT.4": "/(?:0x[0-9a-fA-F]+|[0-9]+)[uU]/",
    # "1." is not a number.
    "FLOAT_LIT.4": r"/(?:[0-9]+\.[0-9]+|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+/",
    # A backslash always starts an escape, except in raw strings. In the original the alternatives overlap, so
    # that an unclosed string full of escapes takes exponential time. The group is for the b of bytes.
    "STRING_LIT.4": (
        r"""/(?:[rR]"[^"\r\n]*"|[rR]'[^'\r\n]*'|"(?:[^"\\\r\n]|\\[^\r\n])*"|'(?:[^'\\\r\n]|\\[^\r\n])*')/"""
    ),
    "MLSTRING_LIT.5": (
        r"/(?:[rR]\"\"\"[\s\S]*?\"\"\"|[rR]'''[\s\S]*?'''"
        r"|\"\"\"(?:[^\\]|\\[\s\S])*?\"\"\"|'''(?:[^\\]|\\[\s\S])*?''')/"
    ),
    "BYTES_LIT.6": "/[bB]/ (MLSTRING_LIT | STRING_LIT)",
    # A comma may follow the last element, or stand alone.
    "list_lit": '"[" [","] "]" | "[" _items [","] "]"\n_items: expr | _items "," expr',
    "map_lit": '"{" [","] "}" | "{" _entries [","] "}"\n_entries: expr ":" expr | _entries "," expr ":" expr',
    "mapinits": _DROPPED,
}

_EXPECTED = {
    "RPAR": "')'", "LPAR": "'('", "RSQB": "']'", "LSQB": "'['", "RBRACE": "'}'", "LBRACE": "'{'",
    "COLON": "':'", "COMMA": "','", "DOT": "'.'", "QMARK": "'?'", "$END": "the end",
}  # fmt: skip

# Guards _parser, and parsing itself: lark completes a lexer at its first use.
_lock = lock(Rank.LEAF, "cel.grammar")
_parser: Lark | None = None


def parse_tree(expression: str) -> ParseTree:
    """The parse tree of ``expression``. Raises :class:`CelError` at a syntax error."""
    global _parser
    grammar = _grammar() if _parser is None else ""
    with _lock:
        if _parser is None:
            _parser = Lark(
                grammar, parser="lalr", start="expr", propagate_positions=True, maybe_placeholders=False
            )
        try:
            return _parser.parse(expression)
        except UnexpectedInput as error:
            raise _translated(error, expression) from None


def _grammar() -> str:
    """cel-python's grammar, amended."""
    spec = importlib.util.find_spec("celpy")  # finds, does not import
    if spec is None or not spec.submodule_search_locations:
        raise CelError("the package cel-python, whose grammar is needed, is not installed")
    text = Path(spec.submodule_search_locations[0], "cel.lark").read_text(encoding="utf-8")
    for name, patch in _PATCHES.items():
        start, end = _rule(text, name.partition(".")[0])
        rule = f"?{text[start:end]}" if patch == _INLINE else f"{name}: {patch}\n" if patch else ""
        text = text[:start] + rule + text[end:]
    return text


def _rule(text: str, name: str) -> tuple[int, int]:
    """The start and end of the rule or terminal ``name``, with its continuation lines."""
    found = re.search(rf"^{name}(?:\.\d+)?\s*:.*\n(?:[ \t]+\|.*\n)*", text, re.MULTILINE)
    if found is None:
        raise CelError(f"the grammar of this version of cel-python is different: it has no rule {name}")
    return found.span()


def _translated(error: UnexpectedInput, expression: str) -> CelError:
    line, column = error.line, error.column
    if isinstance(error, UnexpectedCharacters):
        char = expression[error.pos_in_stream or 0]
        what = "a string that is not closed" if char in "\"'" else f"unexpected {char!r}"
        return CelError(f"syntax error: {what}", line=line, column=column)
    token = error.token if isinstance(error, UnexpectedToken) else None
    if isinstance(error, UnexpectedEOF) or (token is not None and token.type == "$END"):
        if not expression.strip():
            return CelError("the expression is empty", line=1, column=1)
        last = expression.rstrip()
        return CelError(
            "syntax error: the expression ends too early",
            line=last.count("\n") + 1,
            column=len(last) - last.rfind("\n"),
        )
    wanted = sorted(_EXPECTED[name] for name in getattr(error, "expected", ()) if name in _EXPECTED)
    hint = f", expected {wanted[0]}" if len(wanted) == 1 else ""
    return CelError(f"syntax error: unexpected {str(token)!r}{hint}", line=line, column=column)


# Values of literals; each raises ValueError for an invalid one.

_SIMPLE = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
    "\\": "\\", "'": "'", '"': '"', "`": "`", "?": "?",
}  # fmt: skip
_HEX_DIGITS = {"x": 2, "X": 2, "u": 4, "U": 8}
_HEX = frozenset("0123456789abcdefABCDEF")


def int_value(text: str) -> int:
    """An unsigned literal, decimal or ``0x``; the range is checked once the sign is known."""
    if text[:2] == "0x":
        return int(text, 16)
    digits = text.lstrip("0")
    if len(digits) > 20:  # more than any 64 bit number has, and int() is slow on huge ones
        raise ValueError("the number does not fit into 64 bits")
    return int(digits or "0")


def uint_value(text: str) -> UInt:
    value = int_value(text[:-1])
    if value >= 1 << 64:
        raise ValueError("the number does not fit into 64 bits")
    return UInt(value)


def float_value(text: str) -> float:
    value = float(text)
    if value == float("inf"):
        raise ValueError("the number is too large for a double")
    return value


def string_value(text: str) -> str:
    """The value of a quoted string, raw or not, with one or three quotes."""
    raw, body = _unquote(text)
    if raw or "\\" not in body:
        return body
    return "".join(chr(code) for code, _ in _unescape(body, for_bytes=False))


def bytes_value(text: str) -> bytes:
    """The value of a bytes literal: characters count as their UTF-8, ``\\xHH`` and ``\\ooo`` as one byte."""
    raw, body = _unquote(text[1:])
    if raw or "\\" not in body:
        return body.encode()
    return b"".join(
        bytes((code,)) if is_byte else chr(code).encode() for code, is_byte in _unescape(body, for_bytes=True)
    )


def _unquote(text: str) -> tuple[bool, str]:
    raw = text[0] in "rR"
    if raw:
        text = text[1:]
    width = 3 if len(text) >= 6 and text[:3] in ('"""', "'''") else 1
    return raw, text[width:-width].replace("\r\n", "\n").replace("\r", "\n")


def _unescape(body: str, *, for_bytes: bool) -> list[tuple[int, bool]]:
    """Code points, each with whether it stands for a single byte."""
    codes: list[tuple[int, bool]] = []
    at = 0
    while at < len(body):
        char = body[at]
        if char != "\\":
            codes.append((ord(char), False))
            at += 1
            continue
        kind = body[at + 1 : at + 2]
        if kind in _SIMPLE:
            codes.append((ord(_SIMPLE[kind]), False))
            at += 2
        elif kind in _HEX_DIGITS:
            count = _HEX_DIGITS[kind]
            digits = body[at + 2 : at + 2 + count]
            if len(digits) < count or not _HEX.issuperset(digits):
                raise ValueError(f"\\{kind} needs {count} hexadecimal digits")
            if for_bytes and count > 2:
                raise ValueError(f"\\{kind} has no meaning in bytes")
            code = int(digits, 16)
            if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
                raise ValueError(f"\\{kind}{digits} is not a character")
            codes.append((code, for_bytes))
            at += 2 + count
        elif kind and kind in "0123":
            digits = body[at + 1 : at + 4]
            if len(digits) < 3 or not frozenset("01234567").issuperset(digits):
                raise ValueError("an octal escape has three digits, \\000 to \\377")
            codes.append((int(digits, 8), for_bytes))
            at += 4
        else:
            raise ValueError(f"unknown escape \\{kind}")
    return codes
