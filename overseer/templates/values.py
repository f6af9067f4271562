"""The values that Go's side of a template knows, how Go names and prints them, and how much there may be.

Params are strings; literals and functions add int, float, bool and None (Go's nil), and a Jinja
expression may add lists and mappings. ``bool`` is never taken for an int, as Go does not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from jinja2 import Undefined

from overseer.util.gofmt import format_float

MAX_SIZE: Final = 1 << 20
"""Characters that a rendered text, and any string on the way to it, may have. (An argument of a
program may have 128 KiB on Linux, so nothing that could run is refused.)"""

MAX_WORK: Final = 16 * MAX_SIZE
"""Characters that all functions together may take in and give, in one render."""

MAX_STEPS: Final = 100_000
"""Iterations of all loops and calls of all templates together, in one render."""

MAX_DEPTH: Final = 100
"""Templates that may be in the middle of calling one another. Go allows 100,000; here each takes a
few frames of Python's stack."""


class ValueProblem(Exception):
    """A value that an expression cannot work with; the text says why, in Go's words."""


class Byte(int):
    """One byte of a string (``index .name 0``): Go's uint8."""


class Missing(str):
    """What a name without a value gives: an empty string everywhere, except that a range over it
    and a field of it are empty too, not errors."""

    __slots__ = ()


MISSING: Final = Missing()


def check_size(size: int) -> None:
    """Refuse a number that is, or says, how long a text is to be."""
    if abs(size) > MAX_SIZE:
        raise ValueProblem(f"{size} is too much here; the most is {MAX_SIZE}")


def go_bytes(text: str) -> bytes:
    """A string as Go holds it. Lone surrogates stand for bytes that are no UTF-8."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise ValueProblem(f"text that cannot be encoded: {error.reason}") from None


def go_string(data: bytes) -> str:
    """The inverse of :func:`go_bytes`."""
    return data.decode("utf-8", "surrogateescape")


def go_type(value: Any) -> str:
    """The name of a value's type as ``%T`` prints it."""
    match value:
        case None:
            return "<nil>"
        case bool():
            return "bool"
        case Byte():
            return "uint8"
        case int():
            return "int"
        case float():
            return "float64"
        case str() | Undefined():
            return "string"
        case Mapping():
            return "map[string]string"
        case list() | tuple():
            return "[]interface {}"
    return type(value).__name__


def go_print(value: Any) -> str:
    """A value as an action prints it, which is what ``%v`` gives."""
    match value:
        case str():
            return value
        case None:
            return "<nil>"
        case bool():
            return "true" if value else "false"
        case float():
            return format_float(value)
        case Mapping():
            return "map[" + " ".join(f"{go_print(key)}:{go_print(value[key])}" for key in sorted(value)) + "]"
        case Sequence():
            return "[" + " ".join(map(go_print, value)) + "]"
    return str(value)
