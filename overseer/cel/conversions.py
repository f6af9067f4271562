"""Conversions between types: ``int("5")``, ``string(1.5)``, ``timestamp("...")``, and ``type(x)``.

Texts of numbers are read and written as Go's strconv does, which is what cel-go uses.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Any

from overseer.cel.operators import checked_int, checked_timestamp, checked_uint
from overseer.cel.texts import utf8
from overseer.cel.times import format_duration, format_timestamp, parse_duration, parse_timestamp
from overseer.cel.values import Duration, EvaluationError, Timestamp, TypeValue, UInt, no_overload, type_name

_BOOLS = {
    **dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True),
    **dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False),
}
_INT = re.compile(r"[+-]?\d+", re.ASCII)
_UINT = re.compile(r"\d+", re.ASCII)
# No two parts side by side may match the same digits: that takes quadratic time where the end does not fit.
_DOUBLE = re.compile(
    r"[+-]?(?:(?:\d+(?:_\d+)*(?:\.(?:\d+(?:_\d+)*)?)?|\.\d+(?:_\d+)*)(?:[eE][+-]?\d+(?:_\d+)*)?|inf|infinity|nan)",
    re.ASCII | re.IGNORECASE,
)
_HEX_DOUBLE = re.compile(
    r"[+-]?0[xX](?:[0-9a-fA-F]+(?:\.[0-9a-fA-F]*)?|\.[0-9a-fA-F]+)[pP][+-]?\d+", re.ASCII
)


def _cannot(value: object, target: str) -> EvaluationError:
    return EvaluationError(f"type conversion error from {type_name(value)} to {target}")


def type_of_value(value: object) -> TypeValue:
    return TypeValue(type_name(value))


def to_bool(value: Any) -> bool:
    if value.__class__ is bool:
        return value
    if value.__class__ is str:
        if value in _BOOLS:
            return _BOOLS[value]
        raise _cannot(value, "bool")
    raise no_overload("bool", value)


def to_bytes(value: Any) -> bytes:
    if value.__class__ is bytes:
        return value
    if value.__class__ is str:
        return utf8(value)
    raise no_overload("bytes", value)


def to_double(value: Any) -> float:
    kind = value.__class__
    if kind is float:
        return value  # type: ignore[no-any-return]
    if kind is int or kind is UInt:
        return float(value)
    if kind is str:
        return _parse_double(value)
    raise no_overload("double", value)


def _parse_double(text: str) -> float:
    try:
        if _DOUBLE.fullmatch(text):
            number = float(text)
        elif _HEX_DOUBLE.fullmatch(text):
            number = float.fromhex(text)
        else:
            raise _cannot(text, "double")
    except (OverflowError, ValueError):
        raise _cannot(text, "double") from None
    if math.isinf(number) and "n" not in text.lower():  # a number that is too large, not the word
        raise _cannot(text, "double")
    return number


def to_int(value: Any) -> int:
    kind = value.__class__
    if kind is int:
        return value  # type: ignore[no-any-return]
    if kind is UInt:
        return checked_int(int(value))
    if kind is float:
        # cel-go leaves out both ends, for the upper one is no int as a double.
        if -(2.0**63) < value < 2.0**63:
            return int(value)
        raise EvaluationError("int overflow")
    if kind is str:
        if len(value) <= 1000 and _INT.fullmatch(value):
            return checked_int(int(value))
        raise _cannot(value, "int")
    if kind is Timestamp:
        return value.ns // 10**9  # type: ignore[no-any-return]
    if kind is Duration:
        return value.ns  # type: ignore[no-any-return]
    raise no_overload("int", value)


def to_uint(value: Any) -> UInt:
    kind = value.__class__
    if kind is UInt:
        return value  # type: ignore[no-any-return]
    if kind is int:
        return checked_uint(value)
    if kind is float:
        if 0 <= value < 2.0**64:
            return UInt(value)
        raise EvaluationError("uint overflow")
    if kind is str:
        if len(value) <= 1000 and _UINT.fullmatch(value):
            return checked_uint(int(value))
        raise _cannot(value, "uint")
    raise no_overload("uint", value)


def to_string(value: Any) -> str:
    kind = value.__class__
    if kind is str:
        return value  # type: ignore[no-any-return]
    if kind is bool:
        return "true" if value else "false"
    if kind is int or kind is UInt:
        return int.__repr__(value)
    if kind is float:
        return _format_double(value)
    if kind is bytes:
        try:
            return value.decode()  # type: ignore[no-any-return]
        except UnicodeDecodeError:
            raise EvaluationError("invalid UTF-8 in bytes, cannot convert to string") from None
    if kind is Timestamp:
        return format_timestamp(value)
    if kind is Duration:
        return format_duration(value)
    raise no_overload("string", value)


def _format_double(value: float) -> str:
    """Go's ``%g``: the shortest digits that read back the same, with an exponent below -4 and from 6 on."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    sign, digit_tuple, exponent = Decimal(repr(value)).as_tuple()
    assert isinstance(exponent, int)
    digits = "".join(map(str, digit_tuple)).lstrip("0") or "0"
    exponent += len(digits) - 1 if digits != "0" else -exponent
    digits = digits.rstrip("0") or "0"
    if -4 <= exponent < 6 or digits == "0":
        text = format(Decimal(repr(value)).copy_abs(), "f")
        text = text.rstrip("0").rstrip(".") if "." in text else text
    else:
        text = digits[0] + (f".{digits[1:]}" if len(digits) > 1 else "")
        text += f"e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
    return f"-{text}" if sign else text


def to_duration(value: Any) -> Duration:
    kind = value.__class__
    if kind is Duration:
        return value  # type: ignore[no-any-return]
    if kind is str:
        return parse_duration(value)
    if kind is int:
        return Duration(value)
    raise no_overload("duration", value)


def to_timestamp(value: Any) -> Timestamp:
    kind = value.__class__
    if kind is Timestamp:
        return value  # type: ignore[no-any-return]
    if kind is str:
        return parse_timestamp(value)
    if kind is int:
        return checked_timestamp(value * 10**9)
    raise no_overload("timestamp", value)
