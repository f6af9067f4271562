"""Values at run time: plain Python ones wherever possible.

| CEL | Python |
|---|---|
| int | int |
| uint | UInt |
| double, bool, string, bytes, null | float, bool, str, bytes, None |
| list, map | list, dict (a bool key is a :class:`BoolKey`, for to Python ``True == 1``) |
| timestamp, duration, type | Timestamp, Duration, TypeValue |

Values are immutable. Operations dispatch on the exact class (``x.__class__``), never by ``isinstance``: a
bool is not an int here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

INT_MIN: Final = -(1 << 63)
INT_MAX: Final = (1 << 63) - 1
UINT_MAX: Final = (1 << 64) - 1


class EvaluationError(Exception):
    """An error of the language (overflow, no such key), which ``&&`` and ``||`` may absorb."""


class Exhausted(Exception):
    """The evaluation ran out of steps. Unlike an EvaluationError, nothing absorbs it."""


class UInt(int):
    """An unsigned number; arithmetic gives plain ints, so its results are wrapped again."""

    __slots__ = ()


class BoolKey:
    """A bool as a map's key."""

    __slots__ = ("value",)

    def __init__(self, value: bool) -> None:
        self.value = value

    def __repr__(self) -> str:
        return f"BoolKey({self.value})"


TRUE_KEY: Final = BoolKey(True)
FALSE_KEY: Final = BoolKey(False)


@dataclass(frozen=True, slots=True, order=True)
class Timestamp:
    """``ns`` since 1970 in UTC, and the offset it was written with, in seconds east, as in cel-go."""

    ns: int
    offset: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    """``ns``, signed, 64 bits."""

    ns: int


@dataclass(frozen=True, slots=True)
class TypeValue:
    """What ``type(x)`` gives; equal when the names are."""

    name: str


#: The language's names for types.
NAMES: Final[Mapping[type, str]] = {
    bool: "bool",
    int: "int",
    UInt: "uint",
    float: "double",
    str: "string",
    bytes: "bytes",
    type(None): "null_type",
    list: "list",
    dict: "map",
    Timestamp: "google.protobuf.Timestamp",
    Duration: "google.protobuf.Duration",
    TypeValue: "type",
}
NUMBERS: Final = frozenset({int, UInt, float})


def type_name(value: object) -> str:
    """The language's name for the type of ``value``."""
    return NAMES[value.__class__]


def no_overload(function: str, *args: object) -> EvaluationError:
    """The error for arguments that ``function`` does not take."""
    return EvaluationError(f"no such overload: {function}({', '.join(map(type_name, args))})")


def equal(a: object, b: object) -> bool:
    """``a == b``: numbers by value across their types, different types are never equal, never an error."""
    kind = a.__class__
    if kind is b.__class__:
        if kind is list:
            return len(a) == len(b) and all(map(equal, a, b))  # type: ignore[arg-type,call-overload]
        if kind is dict:
            return _equal_maps(a, b)  # type: ignore[arg-type]
        return a == b
    return kind in NUMBERS and b.__class__ in NUMBERS and a == b


def _equal_maps(a: dict[object, object], b: dict[object, object]) -> bool:
    return len(a) == len(b) and all(key in b and equal(value, b[key]) for key, value in a.items())


def map_key(value: object) -> object:
    """``value`` as a dict's key; what cannot be one becomes a key that no dict has."""
    kind = value.__class__
    if kind is str or kind in NUMBERS:
        return value  # 1, 1u and 1.0 find each other: Python hashes equal numbers alike
    if kind is bool:
        return TRUE_KEY if value else FALSE_KEY
    return _NOT_A_KEY


_NOT_A_KEY: Final = object()


def iterate(value: Any) -> Iterable[object]:
    """What a macro loops over: a list's elements, a map's keys.

    Raises:
        EvaluationError: it is neither.
    """
    if value.__class__ is list:
        return value
    if value.__class__ is dict:
        return [key.value if key.__class__ is BoolKey else key for key in value]
    raise EvaluationError(f"cannot iterate over a value of type {type_name(value)}")


def as_value(value: object) -> object:
    """Convert a caller's Python value; collections are copied.

    Raises:
        EvaluationError: the language has no such type, or an int is outside 64 bits.
    """
    match value:
        case None | bool() | float() | str() | bytes() | UInt() | Timestamp() | Duration() | TypeValue():
            return value
        case int():
            if not INT_MIN <= value <= INT_MAX:
                raise EvaluationError("int overflow")
            return int(value)
        case Mapping():
            return {map_key(as_value(key)): as_value(item) for key, item in value.items()}
        case list() | tuple():
            return [as_value(item) for item in value]
        case datetime():
            offset = value.utcoffset()
            if offset is None:
                raise EvaluationError("a datetime needs a time zone")
            micros = (value - _EPOCH.replace(tzinfo=value.tzinfo)) // timedelta(microseconds=1)
            seconds = offset // timedelta(seconds=1)
            return Timestamp(micros * 1000 - seconds * 10**9, seconds)
        case timedelta():
            return Duration(value // timedelta(microseconds=1) * 1000)
        case _:
            raise EvaluationError(f"a {type(value).__name__} has no counterpart in the language")


_EPOCH: Final = datetime(1970, 1, 1)
