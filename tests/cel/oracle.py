"""Google's C++ runtime beside this one: the same expression, variables and values for both."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cel_expr_python import cel  # type: ignore[import-untyped]

from overseer.cel.program import build_program
from overseer.cel.statictypes import BOOL, DOUBLE, DYN, INT, STRING, UINT, list_of, map_of
from overseer.cel.values import BoolKey, Duration, Timestamp, TypeValue, UInt, type_name
from overseer.errors import CelError

__all__ = ["ERROR", "REFUSED", "comparable", "ours", "theirs"]

#: Instead of a value: the evaluation ended in an error; it was not compiled at all.
ERROR: Final = "ERROR!"
REFUSED: Final = "REFUSED!"

_VALUES: dict[str, object] = {
    "value": "hello wörld",
    "d": 1.5,
    "n": 7,
    "u": UInt(5),
    "x": 2.5,
    "b": True,
    "l": [1, 2, 3],
    "m": {"a": 1.0, "s": "x", "l": [1.0, "a"], "n": None, "o": {"k": True}},
}
_OUR_TYPES = {
    "value": STRING,
    "d": DYN,
    "n": INT,
    "u": UINT,
    "x": DOUBLE,
    "b": BOOL,
    "l": list_of(INT),
    "m": map_of(STRING, DYN),
}
_THEIR_TYPES = {
    "value": cel.Type.STRING,
    "d": cel.Type.DYN,
    "n": cel.Type.INT,
    "u": cel.Type.UINT,
    "x": cel.Type.DOUBLE,
    "b": cel.Type.BOOL,
    "l": cel.Type.List(cel.Type.INT),
    "m": cel.Type.Map(cel.Type.STRING, cel.Type.DYN),
}
_ENVIRONMENT = cel.NewEnv(variables=_THEIR_TYPES)
_TYPE_NAMES = {
    "null": "null_type",
    "timestamp": "google.protobuf.Timestamp",
    "duration": "google.protobuf.Duration",
}


def ours(expression: str) -> object:
    """The value of ``expression`` here, or ERROR or REFUSED."""
    try:
        program = build_program(expression, _OUR_TYPES, result=None)
    except CelError:
        return REFUSED
    try:
        return program.evaluate(_VALUES)
    except CelError:
        return ERROR


def comparable(value: object) -> object:
    """A value of :func:`ours` as the oracle can tell it: with its type, to the microsecond, no offset."""
    if value in (ERROR, REFUSED):
        return value
    return type_name(value), repr(_plain(value))


def _plain(value: Any) -> object:
    match value:
        case Timestamp():
            return "timestamp", value.ns // 1000
        case Duration():
            return "duration", value.ns // 1000
        case TypeValue():
            return "type", value.name
        case UInt():
            return int(value)
        case list():
            return [_plain(item) for item in value]
        case dict():
            keys = {key: key.value if isinstance(key, BoolKey) else key for key in value}
            return sorted((repr(_plain(keys[key])), _plain(item)) for key, item in value.items())
    return value


def theirs(expression: str) -> object:
    """The same from the oracle, as :func:`comparable` gives it."""
    try:
        compiled = _ENVIRONMENT.compile(expression)
    except Exception:  # the runtime has no narrower type for it
        return REFUSED
    try:
        result = compiled.eval(data=_VALUES)
    except Exception:
        return ERROR
    name = _type_name(result.type())
    if name in ("error", "*error*"):
        return ERROR
    return name, repr(_from_oracle(result.plain_value()))


def _type_name(of: Any) -> str:
    name: str = of.name().partition("<")[0].lower()
    return _TYPE_NAMES.get(name, name)


def _from_oracle(value: Any) -> object:
    match value:
        case datetime():
            moment = value if value.tzinfo else value.replace(tzinfo=UTC)
            return "timestamp", (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
        case timedelta():
            return "duration", value // timedelta(microseconds=1)
        case cel.Type():
            return "type", _type_name(value)
        case bytearray():
            return bytes(value)
        case list():
            return [_from_oracle(item) for item in value]
        case dict():
            return sorted((repr(_from_oracle(key)), _from_oracle(item)) for key, item in value.items())
    return value
