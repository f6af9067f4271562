"""Types of fields that are numbers, sizes and times."""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import Any

from overseer.schema.coded import Coded
from overseer.schema.limits import MessageLimits
from overseer.schema.location import Location, quoted
from overseer.schema.nodes import ListNode, Node, Scalar, unexpected
from overseer.schema.types import FieldType, Json, Unreadable
from overseer.util.durations import format_duration, parse_duration
from overseer.util.timestamps import format_timestamp, parse_timestamp

_INT64 = 2**63 - 1
_NUMBER = r"([0-9]+(\.[0-9]*)?|\.[0-9]+)"
_DECIMAL = re.compile(rf"[-+]?{_NUMBER}([eE][-+]?[0-9]+)?\Z")
_DURATION: Json = {"type": "string", "pattern": rf"^\+?(0|({_NUMBER}(ns|us|µs|μs|ms|s|m|h))+)$"}


class Integer(FieldType):
    """A whole number from ``minimum`` to ``maximum``, else within 64 bits; in the file to ``file_maximum``.

    In a message neither a boolean nor ``1.0`` is one.
    """

    name = "integer"
    label = "number"
    _FORM = re.compile(
        r"[-+]?(?:(?:0[0-9]*|[1-9][0-9]*(?:_[0-9]+)*)(?:\.0*)?|0x[0-9a-fA-F]+|0o[0-7]+|0b[01]+)\Z"
    )

    def __init__(
        self, minimum: int | None = 0, file_maximum: int = 2**31 - 1, *, maximum: int | None = None
    ) -> None:
        self.minimum = -_INT64 - 1 if minimum is None else minimum
        self.maximum = _INT64 if maximum is None else maximum
        self.file_maximum = min(self.maximum, file_maximum)
        upwards = "up" if maximum is None else f"to {maximum}"
        self.expected = "a whole number" if minimum is None else f"a whole number from {minimum} {upwards}"

    def from_json(self, value: Any, where: str, limits: MessageLimits) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            if isinstance(value, float):
                raise Unreadable(f"{where} must be {self.expected}, without a fraction or an exponent")
            raise self.wrong(value, where)
        if not self.minimum <= value <= self.maximum:
            bound = "; it must fit in 64 bits" if abs(value) > _INT64 else f", not {value}"
            raise Unreadable(f"{where} must be {self.expected}{bound}")
        return value

    def from_yaml(self, node: Node, location: Location) -> int:
        scalar = self.scalar(node, "a whole number")
        _check_plain(scalar, self._FORM, "a whole number")
        text = scalar.text.partition(".")[0].replace("_", "")
        sign, digits = (text[0], text[1:]) if text[0] in "+-" else ("", text)
        if len(digits) > 1 and digits[0] == "0" and digits[1].isdigit():
            raise ValueError(f"{text} could be octal or decimal: write it without the leading 0, or with 0o")
        number = int(sign + digits, 0) if len(digits) < 70 else (-1 if sign == "-" else 1) * 2**200
        if number < self.minimum:
            what = "negative" if number < 0 else "too small"
            raise ValueError(f"{text[:40]} is {what}: the least is {self.minimum}")
        if number > self.file_maximum:
            raise ValueError(f"{text[:40]} is too large: the most is {self.file_maximum}")
        return number

    def json_schema(self) -> Json:
        above = {} if self.maximum == _INT64 else {"maximum": self.maximum}
        return {"type": "integer", "format": "int64", "minimum": self.minimum, **above}

    def yaml_schema(self) -> Json:
        return {"type": "integer", "minimum": self.minimum, "maximum": self.file_maximum}


class Number(FieldType):
    """Any number; whole ones are ints. The documents say integer, as for seconds."""

    name = "integer"
    label = "number, also negative or with a fraction"
    expected = "a number"
    _DIGITS = 300  # a float has no more before its point

    def from_yaml(self, node: Node, location: Location) -> int | float:
        scalar = self.scalar(node, "a number")
        _check_plain(scalar, _DECIMAL, "a number")
        if len(scalar.text) <= self._DIGITS and scalar.text.lstrip("+-").isdigit():
            return int(scalar.text)
        number = float(scalar.text)
        if not math.isfinite(number):
            raise ValueError(f"{scalar.text[:40]} is too large")
        return int(number) if number.is_integer() and abs(number) < 2**53 else number

    def json_schema(self) -> Json:
        return {"type": "number"}

    def yaml_schema(self) -> Json:
        return {"type": "number"}


def _check_plain(scalar: Scalar, form: re.Pattern[str], expected: str) -> None:
    """Raise ValueError unless it has this form, without quotes."""
    if not form.match(scalar.text):
        raise unexpected(scalar, expected)
    if not scalar.plain:
        raise unexpected(scalar, expected, " (without the quotes it would be a number)")


class Seconds(FieldType):
    """A number of seconds, in the file also a duration; without ``zero`` it must be more than 0.

    The documents say integer, the wire allows fractions.
    """

    name = "integer"
    label = "seconds or duration"
    expected = "a number of seconds, zero or more"
    converts = True
    _MAXIMUM = 2**63 / 1e9  # what fits a Go duration, 292 years

    def __init__(self, *, zero: bool = True) -> None:
        self.zero = zero

    def from_json(self, value: Any, where: str, limits: MessageLimits) -> int | float:
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise self.wrong(value, where)
        if not 0 <= value <= _INT64 or not math.isfinite(value):
            raise Unreadable(f"{where} must be {self.expected}")
        return value

    def to_json(self, value: Any) -> int | float:
        # A client written in Go cannot read 5.0 into an int.
        whole = int(value)
        return whole if whole == value else float(value)

    def from_yaml(self, node: Node, location: Location) -> int | float:
        scalar = self.scalar(node, 'seconds or a duration such as "30s"')
        if scalar.plain and _DECIMAL.match(scalar.text):
            seconds = float(scalar.text)
        else:
            seconds = _nanoseconds(scalar) / 1e9
        if seconds < 0:
            raise ValueError(f"{scalar.text[:40]} is negative")
        if seconds >= self._MAXIMUM:
            raise ValueError(f"{scalar.text[:40]} seconds are too many")
        if seconds == 0 and not self.zero:
            raise ValueError("must be more than 0")
        return self.to_json(seconds)

    def shown(self, value: Any) -> str:
        shown = format_duration(round(value * 1e9))
        for ending in ("m0s", "h0m"):
            if shown.endswith(ending):
                shown = shown[:-2]
        return f"`{shown}`"

    def json_schema(self) -> Json:
        return {"type": "number", "minimum": 0}

    def yaml_schema(self) -> Json:
        least = {"minimum": 0} if self.zero else {"exclusiveMinimum": 0}
        return {"anyOf": [{"type": "number", **least}, _DURATION]}


class Age(Seconds):
    """How long something is kept, in seconds: more than 0, in the file also whole days, ``90d``."""

    label = "seconds, duration or days"
    _DAYS = re.compile(r"([0-9]{1,6})d\Z")
    _DAY = 86400

    def __init__(self) -> None:
        super().__init__(zero=False)

    def from_yaml(self, node: Node, location: Location) -> int | float:
        match = self._DAYS.match(node.text) if isinstance(node, Scalar) else None
        if match is None:
            return super().from_yaml(node, location)
        if not (days := int(match[1])):
            raise ValueError("must be more than 0")
        return days * self._DAY

    def shown(self, value: Any) -> str:
        return super().shown(value) if value % self._DAY else f"`{int(value) // self._DAY}d`"

    def yaml_schema(self) -> Json:
        schema = super().yaml_schema()
        return {"anyOf": [*schema["anyOf"], {"type": "string", "pattern": "^[0-9]{1,6}d$"}]}


class Duration(Coded):
    """A duration in Go's syntax; the value is whole nanoseconds."""

    name = "duration"
    label = "duration"
    expected = 'a duration such as "1m30s"'

    def _unreadable(self, value: str, where: str, error: ValueError) -> str:
        return f"{where}: {error}"

    def to_json(self, value: int) -> str:
        return format_duration(value)

    def load(self, value: Any) -> int:
        return parse_duration(value)

    def from_yaml(self, node: Node, location: Location) -> int:
        return _nanoseconds(self.scalar(node, 'a duration such as "30s"'))

    def shown(self, value: Any) -> str:
        return f"`{format_duration(value)}`"

    def json_schema(self) -> Json:
        return _DURATION | {"examples": ["1m30s", "500ms"]}

    def yaml_schema(self) -> Json:
        return {"anyOf": [_DURATION, {"const": 0}]}


def _nanoseconds(scalar: Scalar) -> int:
    if not scalar.text:
        raise ValueError('expected a duration such as "30s", found empty text')
    return parse_duration(scalar.text)


class Timestamp(Coded):
    """An aware datetime; RFC 3339 on the wire."""

    name = "timestamp"
    expected = 'a time in RFC 3339, such as "2024-05-06T07:08:09Z"'

    def _unreadable(self, value: str, where: str, error: ValueError) -> str:
        return f"{super()._unreadable(value, where, error)}, not {quoted(value)}"

    def to_json(self, value: datetime) -> str:
        return format_timestamp(value)

    def load(self, value: Any) -> datetime:
        return parse_timestamp(value)

    def json_schema(self) -> Json:
        return {"type": "string", "format": "date-time"}


class Mode(FieldType):
    """Permissions in octal, of ``digits`` digits at least; the value is an int."""

    label = "mode"

    def __init__(self, digits: int, expected: str) -> None:
        self._form = re.compile(f"(?:0o)?([0-7]{{{digits},4}})")
        self.expected = expected

    def from_yaml(self, node: Node, location: Location) -> int:
        match = self._form.fullmatch(node.text) if isinstance(node, Scalar) else None
        if match is None or int(match[1], 8) > 0o777:
            raise unexpected(node, self.expected)
        return int(match[1], 8)


_UNITS = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}


class Percent(FieldType):
    """A percentage, in the file ``5%`` or ``0.5%``; the value is a number from 0 to 100."""

    label = "percentage"
    _FORM = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?)%\Z")

    def from_yaml(self, node: Node, location: Location) -> int | float:
        match = self._FORM.match(self.scalar(node, "a percentage such as 5%").text)
        if match is None or float(match[1]) > 100:
            raise unexpected(node, "a percentage such as 5%")
        number = float(match[1])
        return int(number) if number.is_integer() else number

    def shown(self, value: Any) -> str:
        return f"`{value}%`"

    def yaml_schema(self) -> Json:
        return {"type": "string", "pattern": r"^[0-9]{1,3}(\.[0-9]{1,6})?%$"}


class Size(FieldType):
    """A number of bytes: a whole number, or text with a unit."""

    label = "size"
    _FORM = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?)\s*([a-zA-Z]+)\Z")
    _SCHEMA = r"^[0-9]{1,15}(\.[0-9]{1,6})?\s*([kKmMgG][iI]?)?[bB]$"

    def __init__(self, minimum: int = 1, maximum: int = 2**40) -> None:
        self._bytes = Integer(minimum, maximum)

    def from_yaml(self, node: Node, location: Location) -> int:
        scalar = self.scalar(node, 'a size such as 65536 or "8MiB"')
        match = self._FORM.match(scalar.text)
        if match is None or scalar.text.startswith(("0x", "0o", "0b")):
            try:
                return self._bytes.from_yaml(node, location)
            except ValueError as error:
                raise ValueError(
                    str(error).replace("a whole number,", 'a size such as 65536 or "8MiB",')
                ) from None
        number, unit = match.groups()
        if unit.lower() not in _UNITS:
            raise ValueError(f'"{unit[:20]}" is not a unit of size: B, kB, MB, GB, KiB, MiB or GiB')
        size = math.floor(float(number) * _UNITS[unit.lower()])
        least, most = self._bytes.minimum, self._bytes.file_maximum
        if not least <= size <= most:
            what = "small" if size < least else "large"
            raise ValueError(f"{scalar.text[:40]} is too {what}: {_written(least)} to {_written(most)}")
        return size

    def shown(self, value: Any) -> str:
        for unit in ("GiB", "MiB", "KiB"):
            if value % _UNITS[unit.lower()] == 0:
                return f"`{value // _UNITS[unit.lower()]}{unit}`"
        return f"`{value}`"

    def yaml_schema(self) -> Json:
        return {
            "anyOf": [
                {"type": "integer", "minimum": self._bytes.minimum},
                {"type": "string", "pattern": self._SCHEMA},
            ]
        }


def _written(size: int) -> str:
    for unit, bytes_ in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if size % bytes_ == 0:
            return f"{size // bytes_} {unit}"
    return f"{size} byte" + "s" * (size != 1)


class Factor(Number):
    """A number from ``minimum`` up to a million, whole or not."""

    name = "number"
    label = "number"
    converts = True
    _MAXIMUM = 1_000_000

    def __init__(self, minimum: int) -> None:
        self.minimum = minimum
        self.expected = f"a number from {minimum} to {self._MAXIMUM}"

    def from_json(self, value: Any, where: str, limits: MessageLimits) -> int | float:
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise self.wrong(value, where)
        if not self.minimum <= value <= self._MAXIMUM:
            raise Unreadable(f"{where} must be {self.expected}, not {value}")
        return value

    def to_json(self, value: Any) -> int | float:
        return SECONDS.to_json(value)

    def from_yaml(self, node: Node, location: Location) -> int | float:
        number = super().from_yaml(node, location)
        if not self.minimum <= number <= self._MAXIMUM:
            raise unexpected(node, self.expected)
        return number

    def json_schema(self) -> Json:
        return {"type": "number", "minimum": self.minimum, "maximum": self._MAXIMUM}

    def yaml_schema(self) -> Json:
        return self.json_schema()


class ExitCodes(FieldType):
    """Exit codes in the file: a list of whole numbers, or one."""

    label = "number or list of numbers"
    # A process has 0 to 255; a driver's exit codes may be greater. -1 stands for a signal.
    _CODE = Integer()

    def from_yaml(self, node: Node, location: Location) -> tuple[int, ...]:
        if isinstance(node, Scalar):
            return (self._CODE.from_yaml(node, location),)
        if not isinstance(node, ListNode):
            raise unexpected(node, f"a {self.label}")
        if not node.items:
            raise ValueError("lists no exit code, so no run could ever succeed")
        return tuple(dict.fromkeys(self._CODE.items_from_yaml(node, location)))

    def yaml_schema(self) -> Json:
        code = self._CODE.yaml_schema()
        return {"anyOf": [code, {"type": "array", "items": code, "minItems": 1}]}


COUNT = Integer()
SIDE = Integer(1, maximum=65535)  # of a terminal, in characters
PAGE_SIZE = Integer(1, maximum=1000)  # the most rows that an answer may have
NUMBER = Number()
SECONDS = Seconds()
TIMESTAMP = Timestamp()
DURATION = Duration()
