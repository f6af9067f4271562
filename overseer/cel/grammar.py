"""The grammar of cel-python, with cel-go's corrections, as a parser of this package's own.

Only the grammar's text is taken: importing ``celpy`` costs 60 ms and 18 MB and brings a parser that
is shared by a whole process and bound to whoever asked first.
"""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

from lark import Lark, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedInput, UnexpectedToken
from lark.lexer import Token

from overseer.errors import CelError
from overseer.util.locks import Rank, lock

ParseTree = Tree[Token]

# Rules that only pass one child on: a leading ? leaves them out of the tree.
_CHAIN = (
    *("expr", "conditionalor", "conditionaland", "relation", "addition", "multiplication"),
    *("unary", "member", "primary"),
)

# What cel-go's own grammar says otherwise.
_AMENDED = {
    # Signs belong to the unary minus: "- 1" is a literal as much as "-1".
    "INT_LIT": "/0x[0-9a-fA-F]+|[0-9]+/",
    "UINT_LIT.4": "/(?:0x[0-9a-fA-F]+|[0-9]+)[uU]/",
    # "1." is no number.
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
    # A comma may follow the last element, or stand for none.
    "list_lit": '"[" [","] "]" | "[" _items [","] "]"\n_items: expr | _items "," expr',
    "map_lit": '"{" [","] "}" | "{" _entries [","] "}"\n_entries: expr ":" expr | _entries "," expr ":" expr',
    "mapinits": "",
}

_EXPECTED = {
    "RPAR": "')'", "LPAR": "'('", "RSQB": "']'", "LSQB": "'['", "RBRACE": "'}'", "LBRACE": "'{'",
    "COLON": "':'", "COMMA": "','", "DOT": "'.'", "QMARK": "'?'", "$END": "the end",
}  # fmt: skip

# Guards _parser, and parsing itself, for a lexer of lark's is completed when it is first used.
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
    for name in _CHAIN:
        start, _ = _rule(text, name)
        text = f"{text[:start]}?{text[start:]}"
    for name, body in _AMENDED.items():
        start, end = _rule(text, name.partition(".")[0])
        text = f"{text[:start]}{name}: {body}\n{text[end:]}" if body else text[:start] + text[end:]
    return text


def _rule(text: str, name: str) -> tuple[int, int]:
    """Where the rule or terminal ``name`` and its further lines, which begin with a |, start and end."""
    found = re.search(rf"^{name}(?:\.\d+)?\s*:.*\n(?:[ \t]+\|.*\n)*", text, re.MULTILINE)
    if found is None:
        raise CelError(f"the grammar of this version of cel-python is another one: it has no rule {name}")
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
