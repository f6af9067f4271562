"""Operators and string functions over plain values; arithmetic has 64 bits and fails when it overflows.

Regular expressions are always RE2's: linear in the text, whatever the pattern.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from overseer.cel.values import (
    INT_MAX,
    INT_MIN,
    NUMBERS,
    UINT_MAX,
    Duration,
    EvaluationError,
    Timestamp,
    UInt,
    equal,
    map_key,
    no_overload,
    type_name,
)

_TIMESTAMP_MIN = -62_135_596_800 * 10**9  # 0001-01-01T00:00:00Z
_TIMESTAMP_END = 253_402_300_800 * 10**9  # 10000-01-01T00:00:00Z, exclusive
_ORDERED = frozenset({bool, int, UInt, float, str, bytes, Timestamp, Duration})
_MAX_SIZE = 1 << 24  # of a concatenated string or list; the longest line has 10 MiB


def checked_int(value: int) -> int:
    if INT_MIN <= value <= INT_MAX:
        return value
    raise EvaluationError("int overflow")


def checked_uint(value: int) -> UInt:
    if 0 <= value <= UINT_MAX:
        return UInt(value)
    raise EvaluationError("uint overflow")


def checked_duration(ns: int) -> Duration:
    if INT_MIN <= ns <= INT_MAX:
        return Duration(ns)
    raise EvaluationError("duration overflow")


def checked_timestamp(ns: int, offset: int = 0) -> Timestamp:
    if _TIMESTAMP_MIN <= ns < _TIMESTAMP_END:
        return Timestamp(ns, offset)
    raise EvaluationError("timestamp overflow")


# Arguments are Any from here on: each function checks their classes.


def negate_bool(value: Any) -> bool:
    if value is True:
        return False
    if value is False:
        return True
    raise no_overload("!_", value)


def negate(value: Any) -> object:
    kind = value.__class__
    if kind is int:
        return checked_int(-value)
    if kind is float:
        return -value
    if kind is Duration:
        return checked_duration(-value.ns)
    raise no_overload("-_", value)


def add(a: Any, b: Any) -> object:
    kind = a.__class__
    if kind is b.__class__:
        if kind is int:
            return checked_int(a + b)
        if kind is float:
            return a + b
        if kind is str or kind is list or kind is bytes:
            if len(a) + len(b) > _MAX_SIZE:
                raise EvaluationError(f"a {type_name(a)} of more than {_MAX_SIZE} elements")
            return a + b
        if kind is UInt:
            return checked_uint(int(a) + int(b))
        if kind is Duration:
            return checked_duration(a.ns + b.ns)
    elif kind is Timestamp and b.__class__ is Duration:
        return checked_timestamp(a.ns + b.ns, a.offset)
    elif kind is Duration and b.__class__ is Timestamp:
        return checked_timestamp(a.ns + b.ns, b.offset)
    raise no_overload("_+_", a, b)


def subtract(a: Any, b: Any) -> object:
    kind = a.__class__
    if kind is b.__class__:
        if kind is int:
            return checked_int(a - b)
        if kind is float:
            return a - b
        if kind is UInt:
            return checked_uint(int(a) - int(b))
        if kind is Duration or kind is Timestamp:
            return checked_duration(a.ns - b.ns)
    elif kind is Timestamp and b.__class__ is Duration:
        return checked_timestamp(a.ns - b.ns, a.offset)
    raise no_overload("_-_", a, b)


def multiply(a: Any, b: Any) -> object:
    kind = a.__class__
    if kind is b.__class__:
        if kind is int:
            return checked_int(a * b)
        if kind is float:
            return a * b
        if kind is UInt:
            return checked_uint(int(a) * int(b))
    raise no_overload("_*_", a, b)


def divide(a: Any, b: Any) -> object:
    kind = a.__class__
    if kind is b.__class__:
        if kind is float:
            return _divide_doubles(a, b)
        if kind is int or kind is UInt:
            if b == 0:
                raise EvaluationError("division by zero")
            if kind is UInt:
                return UInt(int(a) // int(b))
            return checked_int(_truncated(a, b))
    raise no_overload("_/_", a, b)


def _truncated(a: int, b: int) -> int:
    """The quotient rounded towards zero, where Python rounds down."""
    quotient = abs(a) // abs(b)
    return quotient if (a < 0) == (b < 0) else -quotient


def _divide_doubles(a: float, b: float) -> float:
    if b:
        return a / b
    if a == 0 or math.isnan(a) or math.isnan(b):
        return math.nan
    return math.copysign(math.inf, a) * math.copysign(1.0, b)


def modulo(a: Any, b: Any) -> object:
    kind = a.__class__
    if kind is b.__class__ and (kind is int or kind is UInt):
        if b == 0:
            raise EvaluationError("modulus by zero")
        if kind is UInt:
            return UInt(int(a) % int(b))
        if a == INT_MIN and b == -1:
            raise EvaluationError("int overflow")
        return a - b * _truncated(a, b)
    raise no_overload("_%_", a, b)


def not_equal(a: object, b: object) -> bool:
    return not equal(a, b)


def _comparison(name: str, compare: Callable[[Any, Any], bool]) -> Callable[[object, object], bool]:
    def run(a: Any, b: Any) -> bool:
        kind, other = a.__class__, b.__class__
        if kind is other:
            if kind not in _ORDERED:
                raise no_overload(name, a, b)
        elif kind not in NUMBERS or other not in NUMBERS:
            raise no_overload(name, a, b)
        if (kind is float and a != a) or (other is float and b != b):
            raise EvaluationError("NaN values cannot be ordered")
        return compare(a, b)

    return run


less = _comparison("_<_", lambda a, b: a < b)
less_equal = _comparison("_<=_", lambda a, b: a <= b)
greater = _comparison("_>_", lambda a, b: a > b)
greater_equal = _comparison("_>=_", lambda a, b: a >= b)


def contained(value: Any, within: Any) -> bool:
    """``value in within``"""
    kind = within.__class__
    if kind is list:
        return any(equal(value, each) for each in within)
    if kind is dict:
        return map_key(value) in within
    raise no_overload("@in", value, within)


_MISSING = object()


def index(within: Any, key: Any) -> object:
    """``within[key]``; a double or uint that is a whole number indexes a list too, as in cel-go."""
    kind = within.__class__
    if kind is dict:
        found = within.get(map_key(key), _MISSING)
        if found is _MISSING:
            raise EvaluationError(f"no such key: {key}")
        return found
    if kind is list:
        at = key.__class__
        if at is float and key.is_integer():
            key = int(key)
        elif at is not int and at is not UInt:
            raise EvaluationError("a list's index must be an int")
        if 0 <= key < len(within):
            return within[key]
        raise EvaluationError(f"index out of bounds: {key}")
    raise no_overload("_[_]", within, key)


def size(value: Any) -> int:
    """Code points of a string, bytes, elements."""
    kind = value.__class__
    if kind is str or kind is list or kind is dict or kind is bytes:
        return len(value)
    raise no_overload("size", value)


def utf8(text: str) -> bytes:
    """``text`` as UTF-8; a lone surrogate, which JSON may contain, becomes U+FFFD."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


# RE2's time is proportional to the text *and* the pattern, so a pattern that is a value is bounded: in
# length, and in the memory that its repetitions expand to.
_MAX_PATTERN = 1000
_MEMORY = 1 << 18


# For the rare patterns that are not constants compiled at start-up.
@lru_cache(maxsize=64)
def compile_pattern(pattern: str, memory: int = 8 << 20) -> Callable[[str], bool]:
    """A function telling whether a text has a match for ``pattern`` anywhere.

    Raises:
        EvaluationError: RE2 does not take the pattern.
    """
    import re2  # 2.5 MB, spent only where it is used

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
        # Bytes are searched twice as fast as a str, whose match is translated back to characters.
        return search(utf8(text)) is not None

    return found


def _matches(text: str, pattern: str) -> bool:
    if len(pattern) > _MAX_PATTERN:
        raise EvaluationError(f"a regular expression of more than {_MAX_PATTERN} characters")
    return compile_pattern(pattern, _MEMORY)(text)


def _text_test(name: str, test: Callable[[str, str], bool]) -> Callable[[object, object], bool]:
    def run(text: Any, part: Any) -> bool:
        if text.__class__ is str and part.__class__ is str:
            return test(text, part)
        raise no_overload(name, text, part)

    return run


contains = _text_test("contains", lambda text, part: part in text)
starts_with = _text_test("startsWith", str.startswith)
ends_with = _text_test("endsWith", str.endswith)
matches = _text_test("matches", _matches)
