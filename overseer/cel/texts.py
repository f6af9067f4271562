"""Functions over strings. Regular expressions are always RE2's: linear in the text, whatever the pattern."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import re2

from overseer.cel.values import EvaluationError, no_overload


def utf8(text: str) -> bytes:
    """``text`` as UTF-8; half a surrogate pair, which JSON can smuggle in, counts as U+FFFD."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


# RE2 takes time in proportion to the text *and* to the pattern, so one that whoever sends a value may choose
# is bounded: its length, and by the memory what its repetitions come to.
_MAX_PATTERN = 1000
_MEMORY = 1 << 18


# A pattern is nearly always a constant, compiled at start-up; this is for those that are not.
@lru_cache(maxsize=64)
def compile_pattern(pattern: str, memory: int = 8 << 20) -> Callable[[str], bool]:
    """A function telling whether a text has a match for ``pattern`` anywhere.

    Raises:
        EvaluationError: RE2 does not take the pattern.
    """
    options = re2.Options()
    options.log_errors = False  # it would write to stderr
    options.never_capture = True
    options.max_mem = memory
    try:
        search = re2.compile(utf8(pattern), options).search
    except re2.error as error:
        text = error.args[0] if error.args else b""
        raise EvaluationError(
            f"bad regular expression: {text.decode(errors='replace') if isinstance(text, bytes) else text}"
        ) from None

    def found(text: str) -> bool:
        # Bytes are searched twice as fast as a str, whose match would be translated back into characters.
        return search(utf8(text)) is not None

    return found


def contains(text: Any, part: Any) -> bool:
    if text.__class__ is str and part.__class__ is str:
        return part in text
    raise no_overload("contains", text, part)


def starts_with(text: Any, part: Any) -> bool:
    if text.__class__ is str and part.__class__ is str:
        return text.startswith(part)
    raise no_overload("startsWith", text, part)


def ends_with(text: Any, part: Any) -> bool:
    if text.__class__ is str and part.__class__ is str:
        return text.endswith(part)
    raise no_overload("endsWith", text, part)


def matches(text: Any, pattern: Any) -> bool:
    if text.__class__ is str and pattern.__class__ is str:
        if len(pattern) > _MAX_PATTERN:
            raise EvaluationError(f"a regular expression of more than {_MAX_PATTERN} characters")
        return compile_pattern(pattern, _MEMORY)(text)
    raise no_overload("matches", text, pattern)
