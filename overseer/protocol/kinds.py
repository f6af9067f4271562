"""What a field may hold: how it is read from JSON, how it is written, and what the documents call it.

A kind is stateless. ``read`` turns a decoded JSON value of a client into the program's own and raises
:class:`Unreadable` with a plain sentence; ``write`` turns it back; ``load`` is a client's way in, for what a
server wrote, which may be of a later version and has no bounds. Kinds that hold other dataclasses are in
``declare``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from overseer.protocol.limits import MAX_NAME, MessageLimits
from overseer.util.durations import format_duration, parse_duration
from overseer.util.timestamps import format_timestamp, parse_timestamp

__all__ = [
    "BOOLEAN",
    "DURATION",
    "JSON_OBJECT",
    "REQUEST_ID",
    "SECONDS",
    "TASK_ID",
    "TEXT",
    "TEXT_MAP",
    "TIMESTAMP",
    "Choice",
    "Integer",
    "Kind",
    "ListOf",
    "Name",
    "Unreadable",
    "quoted",
]

_INT64 = 2**63 - 1


class Unreadable(Exception):
    """A value that is not what its field demands; the text names the field and what was expected."""


def quoted(text: str) -> str:
    """A text of a client in double quotes, escaped and short enough to be part of an error message."""
    return json.dumps(text if len(text) <= 64 else text[:64] + "...")


def found(value: object) -> str:
    """What a decoded JSON value is called."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a string"
    return "an array" if isinstance(value, list) else "an object"


class Kind:
    """Base of all kinds.

    ``name`` is the type in forms, ``expected`` how an error describes it, ``is_text`` that JSON holds
    a string (then ``""`` counts as absent in an optional field), ``converts`` that ``write`` does something.
    """

    name: str
    expected: str
    is_text = False
    converts = False

    def read(self, value: Any, where: str, limits: MessageLimits) -> Any:
        raise NotImplementedError

    def write(self, value: Any) -> Any:
        return value

    def load(self, value: Any) -> Any:
        """What :meth:`write` was given; ValueError or TypeError when ``value`` does not come from it."""
        return value

    def schema(self) -> dict[str, Any]:
        """The kind as the manifest describes it: ``{"type": ...}`` or ``{"$ref": ...}``."""
        return {"type": self.name}

    def wrong(self, value: object, where: str) -> Unreadable:
        return Unreadable(f"{where} must be {self.expected}, not {found(value)}")


class Text(Kind):
    """Any text that can be written as UTF-8."""

    name = "string"
    expected = "a string"
    is_text = True

    def read(self, value: Any, where: str, limits: MessageLimits) -> str:
        if not isinstance(value, str):
            raise self.wrong(value, where)
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                raise Unreadable(f"{where} holds half of a surrogate pair, which is no character") from None
        return value


class Name(Text):
    """A text short and printable enough to be shown, logged and used as a key."""

    expected = f"a non-empty string of at most {MAX_NAME} printable characters"

    def __init__(self, name: str = "string") -> None:
        self.name = name

    def read(self, value: Any, where: str, limits: MessageLimits) -> str:
        text = super().read(value, where, limits)
        if not text:
            raise Unreadable(f"{where} must be {self.expected}")
        if len(text) > MAX_NAME:
            raise Unreadable(f"{where} has {len(text)} characters; at most {MAX_NAME} are allowed")
        if not text.isprintable():
            raise Unreadable(f"{where} holds characters that cannot be printed")
        return text


class Choice(Kind):
    """One of a few words, which the manifest lists as a type of its own when ``ref`` names one."""

    name = "string"
    is_text = True

    def __init__(self, *words: str, ref: str = "", description: str = "") -> None:
        self.words = words
        self.ref = ref
        self.description = description
        self.expected = " or ".join(quoted(word) for word in words)

    def read(self, value: Any, where: str, limits: MessageLimits) -> str:
        if not isinstance(value, str):
            raise self.wrong(value, where)
        if value not in self.words:
            raise Unreadable(f"{where} must be {self.expected}, not {quoted(value)}")
        return value

    def schema(self) -> dict[str, Any]:
        return {"$ref": f"#/types/{self.ref}"} if self.ref else {"type": "enum", "values": list(self.words)}


class Integer(Kind):
    """A whole number from ``minimum`` to what 64 bits hold. A boolean or ``1.0`` is none."""

    name = "integer"

    def __init__(self, minimum: int | None = 0) -> None:
        self.minimum = -_INT64 - 1 if minimum is None else minimum
        self.expected = "a whole number" if minimum is None else f"a whole number from {minimum} up"

    def read(self, value: Any, where: str, limits: MessageLimits) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            if isinstance(value, float):
                raise Unreadable(f"{where} must be {self.expected}, without a fraction or an exponent")
            raise self.wrong(value, where)
        if not self.minimum <= value <= _INT64:
            bound = "; it must fit in 64 bits" if abs(value) > _INT64 else f", not {value}"
            raise Unreadable(f"{where} must be {self.expected}{bound}")
        return value


class Seconds(Kind):
    """A number of seconds, zero or more. The documents know no fractions, the wire allows them."""

    name = "integer"
    expected = "a number of seconds, zero or more"
    converts = True

    def read(self, value: Any, where: str, limits: MessageLimits) -> int | float:
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise self.wrong(value, where)
        if not 0 <= value <= _INT64 or not math.isfinite(value):
            raise Unreadable(f"{where} must be {self.expected}")
        return value

    def write(self, value: Any) -> int | float:
        # A client written in Go reads 5.0 into an int as an error.
        whole = int(value)
        return whole if whole == value else float(value)


class Boolean(Kind):
    name = "boolean"
    expected = "true or false"

    def read(self, value: Any, where: str, limits: MessageLimits) -> bool:
        if not isinstance(value, bool):
            raise self.wrong(value, where)
        return value


class Timestamp(Kind):
    """An aware datetime; RFC 3339 on the wire."""

    name = "timestamp"
    expected = 'a time as RFC 3339 has it, such as "2024-05-06T07:08:09Z"'
    is_text = True
    converts = True

    def read(self, value: Any, where: str, limits: MessageLimits) -> datetime:
        if not isinstance(value, str):
            raise self.wrong(value, where)
        try:
            return parse_timestamp(value)
        except ValueError:
            raise Unreadable(f"{where} must be {self.expected}, not {quoted(value)}") from None

    def write(self, value: datetime) -> str:
        return format_timestamp(value)

    def load(self, value: Any) -> datetime:
        return parse_timestamp(value)


class Duration(Kind):
    """Whole nanoseconds; Go's text on the wire."""

    name = "duration"
    expected = 'a duration such as "1m30s"'
    is_text = True
    converts = True

    def read(self, value: Any, where: str, limits: MessageLimits) -> int:
        if not isinstance(value, str):
            raise self.wrong(value, where)
        try:
            return parse_duration(value)
        except ValueError as error:
            raise Unreadable(f"{where}: {error}") from None

    def write(self, value: int) -> str:
        return format_duration(value)

    def load(self, value: Any) -> int:
        return parse_duration(value)


class TextMap(Kind):
    """Names to texts: the parameters of a task. A null value counts as a parameter not given."""

    name = "object"
    expected = "an object of strings"
    converts = True

    def read(self, value: Any, where: str, limits: MessageLimits) -> dict[str, str]:
        if not isinstance(value, dict):
            raise self.wrong(value, where)
        if len(value) > limits.params:
            raise Unreadable(f"{where} holds {len(value)} entries; at most {limits.params} are allowed")
        result = {}
        size = 0
        for key, text in value.items():
            if len(key) > MAX_NAME:
                raise Unreadable(f"{where}: the name {quoted(key)} is longer than {MAX_NAME} characters")
            TEXT.read(key, f"{where}: the name {quoted(key)}", limits)
            if text is None:
                continue
            place = f"{where}.{key}" if key.isidentifier() else f"{where}[{quoted(key)}]"
            result[key] = TEXT.read(text, place, limits)
            if len(text) > limits.param_value:
                raise Unreadable(
                    f"{place} has {len(text)} characters; at most {limits.param_value} are allowed"
                )
            size += len(key) + len(text)
        if size > limits.params_size:
            raise Unreadable(f"{where} has {size} characters; at most {limits.params_size} are allowed")
        return result

    def write(self, value: Mapping[str, str]) -> dict[str, str]:
        return dict(value)

    def schema(self) -> dict[str, Any]:
        return {"type": "map", "value_type": TEXT.schema()}


class ListOf(Kind):
    """An array whose items are all of one kind; only ever written."""

    name = "array"
    expected = "an array"
    converts = True

    def __init__(self, item: Kind) -> None:
        self.item = item

    def write(self, value: Any) -> list[Any]:
        return [self.item.write(item) for item in value] if self.item.converts else list(value)

    def load(self, value: Any) -> tuple[Any, ...]:
        return tuple(map(self.item.load, value))

    def schema(self) -> dict[str, Any]:
        return {"type": "array", "items": self.item.schema()}


class JsonObject(Kind):
    """A finished document; only ever written."""

    name = "object"
    expected = "an object"


TEXT = Text()
TEXT_MAP = TextMap()
BOOLEAN = Boolean()
SECONDS = Seconds()
TIMESTAMP = Timestamp()
DURATION = Duration()
JSON_OBJECT = JsonObject()
REQUEST_ID = Name()
TASK_ID = Name("uuid")  # what a server makes up is a UUID; generic clients ask for this type in their forms
