"""The functions of Go's templates, and ``shquote``.

``and``, ``or`` and ``not`` are Jinja's own, which do the same for these values. Each function raises
ValueProblem, in Go's words, for values that it cannot take.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any
from urllib.parse import quote_plus

from overseer.templates.formatting import (
    MISSING,
    Byte,
    Missing,
    go_bytes,
    go_print,
    go_string,
    go_type,
    sprint,
    sprintf,
    sprintln,
)
from overseer.templates.runtime import Frame, ValueProblem


def field(value: Any, name: str) -> Any:
    """``.name`` of a value."""
    if isinstance(value, Mapping):
        return value.get(name, MISSING)
    if value is None or isinstance(value, Missing):
        return MISSING
    raise ValueProblem(f"can't evaluate field {name} in type {go_type(value)}")


def items(value: Any, frame: Frame, pairs: bool) -> Iterator[tuple[Any, Any]]:
    """What ``range`` iterates over, as (index or key, element): a mapping by sorted keys, or the numbers
    below an int. A missing param and nil are empty."""
    entries: Iterable[tuple[Any, Any]]
    match value:
        case None | Missing():
            entries = ()
        case Mapping():
            entries = ((key, value[key]) for key in sorted(value))
        case list():
            entries = enumerate(value)
        case int() if not isinstance(value, bool):
            if pairs:
                raise ValueProblem(f"can't use {value} to iterate over more than one variable")
            entries = enumerate(range(value))
        case _:
            raise ValueProblem(f"range can't iterate over {go_print(value)}")
    for entry in entries:
        frame.render.step()
        yield entry


def shquote(*values: Any) -> str:
    """The printed values as one word for a POSIX shell."""
    return shlex.quote(sprint(*values))


def _html(*values: Any) -> str:
    from html import escape  # few ask, and its table of entities takes 0.3 MB

    escaped = escape(sprint(*values), quote=False)
    return escaped.replace('"', "&#34;").replace("'", "&#39;").replace("\0", "\ufffd")


_JS_SPECIAL = re.compile(r"""[\\'"<>&=\x00-\x1f]|[^\x00-\x7f]""")
_JS = {"\\": "\\\\", "'": "\\'", '"': '\\"', "<": "\\u003C", ">": "\\u003E", "&": "\\u0026", "=": "\\u003D"}


def _js(*values: Any) -> str:
    def escaped(match: re.Match[str]) -> str:
        char = match.group()
        return _JS.get(char) or (char if char.isprintable() else f"\\u{ord(char):04X}")

    return _JS_SPECIAL.sub(escaped, sprint(*values))


def _urlquery(*values: Any) -> str:
    return quote_plus(go_bytes(sprint(*values)))


def _len(value: Any) -> int:
    if isinstance(value, str):
        return len(go_bytes(value))
    if isinstance(value, Mapping | list):
        return len(value)
    raise ValueProblem("len of nil pointer" if value is None else f"len of type {go_type(value)}")


def _position(value: Any, end: int) -> int:
    """A value as an index from 0 to ``end`` inclusive."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueProblem(f"cannot index slice/array with {_of_type(value)}")
    if not 0 <= value <= end:
        raise ValueProblem(f"index out of range: {value}")
    return value


def _of_type(value: Any) -> str:
    return "nil" if value is None else f"type {go_type(value)}"


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        if isinstance(value, Mapping):
            if not isinstance(key, str):
                raise ValueProblem(f"value has {_of_type(key)}; should be string")
            value = value.get(key, MISSING)
        elif isinstance(value, list):
            value = value[_position(key, len(value) - 1)]
        elif isinstance(value, str):
            data = go_bytes(value)
            value = Byte(data[_position(key, len(data) - 1)])
        else:
            raise ValueProblem(f"can't index item of {_of_type(value)}")
    return value


def _slice(value: Any, *bounds: Any) -> str:
    if not isinstance(value, str):
        raise ValueProblem(f"can't slice item of {_of_type(value)}")
    if len(bounds) == 3:
        raise ValueProblem("cannot 3-index slice a string")
    data = go_bytes(value)
    marks = [_position(bound, len(data)) for bound in bounds]
    for low, high in pairwise(marks):
        if low > high:
            raise ValueProblem(f"invalid slice index: {low} > {high}")
    return go_string(data[slice(*marks) if len(marks) == 2 else slice(marks[0] if marks else 0, None)])


_MIXED = "incompatible types for comparison"


def _kind(value: Any) -> str:
    """Only values of the same kind can be compared; all integers are of one."""
    name = go_type(value)
    return "int" if name == "uint8" else name


def _eq(first: Any, *others: Any) -> bool:
    for other in others:
        if _kind(first) != _kind(other):
            if first is not None and other is not None:
                raise ValueProblem(_MIXED)
        elif isinstance(first, Mapping):
            raise ValueProblem(f"non-comparable type {go_type(first)}")
        elif first == other:
            return True
    return False


def _lt(first: Any, second: Any) -> bool:
    if any(_kind(value) not in ("int", "float64", "string") for value in (first, second)):
        raise ValueProblem("invalid type for comparison")
    if _kind(first) != _kind(second):
        raise ValueProblem(_MIXED)
    return bool(first < second)


def _ne(first: Any, second: Any) -> bool:
    return not _eq(first, second)


def _le(first: Any, second: Any) -> bool:
    return _lt(first, second) or _eq(first, second)


def _gt(first: Any, second: Any) -> bool:
    return not _le(first, second)


def _ge(first: Any, second: Any) -> bool:
    return not _lt(first, second)


FUNCTIONS: Mapping[str, tuple[Callable[..., Any], int, int | None]] = {
    "eq": (_eq, 2, None),
    "ge": (_ge, 2, 2),
    "gt": (_gt, 2, 2),
    "html": (_html, 0, None),
    "index": (_index, 1, None),
    "js": (_js, 0, None),
    "le": (_le, 2, 2),
    "len": (_len, 1, 1),
    "lt": (_lt, 2, 2),
    "ne": (_ne, 2, 2),
    "print": (sprint, 0, None),
    "printf": (sprintf, 1, None),
    "println": (sprintln, 0, None),
    "shquote": (shquote, 0, None),
    "slice": (_slice, 1, 4),
    "urlquery": (_urlquery, 0, None),
}
"""Name to the function and the least and most number of its arguments (None: any)."""
