"""How a message is declared, and what follows from a declaration: reading and writing it.

A message is a frozen dataclass whose fields are annotated with :class:`Wire`; its docstring is its
description. Reader, writer and every document derive from these fields, so they cannot disagree.

A field with ``omit`` is left out of what is written when it holds nothing: when it is None where None is its
default (so that an exit code of 0 is shown and an unknown one is not), else when it is empty, zero or false.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import cache
from typing import Any, ClassVar, Protocol, get_type_hints

from overseer.protocol.kinds import Kind, Unreadable
from overseer.protocol.limits import MessageLimits

__all__ = [
    "Declared",
    "Delivery",
    "FieldSpec",
    "MapOf",
    "Object",
    "PartOf",
    "Wire",
    "description_of",
    "dump",
    "fields_of",
    "from_plain",
    "read_fields",
    "to_plain",
    "utf8",
]


class Delivery(StrEnum):
    """Who is sent a message."""

    DIRECT = "direct"
    BROADCAST = "broadcast"
    SUBSCRIBERS = "broadcast_subscribers"


class Declared(Protocol):
    """A dataclass whose fields are all annotated with :class:`Wire`."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


@dataclasses.dataclass(frozen=True, slots=True)
class Wire:
    """What a field's annotation says about it: ``Annotated[int, Wire(COUNT, "How many")]``.

    ``name`` differs from the attribute where Python would not allow it, ``alias`` is a second name that is
    read when the first is absent, ``hint`` tells a form which input to show, ``omit`` is told of above.
    Whether the field is required is for the dataclass to say: it is when it has no default.
    """

    kind: Kind
    description: str
    name: str = ""
    alias: str = ""
    omit: bool = False
    hint: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class FieldSpec:
    """One field of a declared class, with what its annotation and its default say put together."""

    attribute: str
    name: str
    alias: str
    kind: Kind
    description: str
    hint: str
    omit: bool
    required: bool
    default: Any

    @property
    def plain_default(self) -> Any:
        """The default as it would be written, None when there is none or it is empty."""
        if self.default in (None, "", (), {}):
            return None
        return self.kind.write(self.default) if self.kind.converts else self.default


def fields_of(cls: type[Declared]) -> tuple[FieldSpec, ...]:
    """The fields of a declared class, in the order they are written in."""
    return _fields_of(cls)


@cache
def _fields_of(cls: type[Declared]) -> tuple[FieldSpec, ...]:
    specs = []
    hints = get_type_hints(cls, include_extras=True)
    for field in dataclasses.fields(cls):
        (wire,) = hints[field.name].__metadata__
        default = field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        required = default is dataclasses.MISSING
        specs.append(
            FieldSpec(
                attribute=field.name,
                name=wire.name or field.name,
                alias=wire.alias,
                kind=wire.kind,
                description=wire.description,
                hint=wire.hint,
                omit=wire.omit,
                required=required,
                default=None if required else default,
            )
        )
    return tuple(specs)


def description_of(cls: type[Declared]) -> str:
    """The docstring of a declared class in one line."""
    return " ".join((cls.__doc__ or "").split())


# -- reading


def read_fields(
    cls: type[Declared], raw: Mapping[str, Any], where: str, limits: MessageLimits
) -> dict[str, Any]:
    """The constructor's arguments for what ``raw`` (a decoded JSON object) gives; unknown keys are ignored.

    ``where`` goes in front of a field's name in errors. Raises Unreadable.
    """
    given = {}
    for spec in fields_of(cls):
        name = spec.name
        value = raw.get(name)
        if value is None and spec.alias:
            name = spec.alias
            value = raw.get(name)
        if value is None or (value == "" and spec.kind.is_text):
            if spec.required:
                raise Unreadable(f"{where}{spec.name} is required ({spec.kind.expected})")
            continue
        given[spec.attribute] = spec.kind.read(value, where + name, limits)
    return given


@cache
def _loader(cls: type[Declared]) -> Callable[[Mapping[str, Any]], Any]:
    """A function from the JSON object that :func:`_writer` made back to the instance."""
    plan = [
        (s.attribute, s.name, s.kind.load if s.kind.converts else None, s.required) for s in fields_of(cls)
    ]

    def load(raw: Mapping[str, Any]) -> Any:
        given = {}
        for attribute, name, convert, required in plan:
            value = raw.get(name)
            if value is not None:
                given[attribute] = value if convert is None else convert(value)
            elif required:
                raise ValueError(f"{name} is missing")
        return cls(**given)

    return load


def from_plain(cls: type[Declared], raw: Mapping[str, Any]) -> Any:
    """The instance whose :func:`to_plain` is ``raw``; unknown keys are ignored, words and bounds not checked.

    Raises Unreadable where a field is missing or of another shape.
    """
    try:
        return _loader(cls)(raw)
    except (ValueError, TypeError, AttributeError) as error:
        raise Unreadable(f"{getattr(cls, 'type', cls.__name__)}: {error}") from None


# -- writing


@cache
def _writer(cls: type[Declared]) -> Callable[[Any], dict[str, Any]]:
    """A function from an instance to its JSON object, with everything that the class decides decided once."""
    message_type = getattr(cls, "type", None)
    head = {"type": message_type} if isinstance(message_type, str) else {}
    plan = [
        (s.attribute, s.name, s.kind.write if s.kind.converts else None, s.omit, s.default is None)
        for s in fields_of(cls)
    ]

    def write(instance: Any) -> dict[str, Any]:
        result: dict[str, Any] = head.copy()
        for attribute, name, convert, omit, only_none in plan:
            value = getattr(instance, attribute)
            if omit and (value is None or (not only_none and not value)):
                continue
            result[name] = value if convert is None or value is None else convert(value)
        return result

    return write


def to_plain(instance: Declared) -> dict[str, Any]:
    """The JSON object of a declared value or message, as plain dicts, lists, texts and numbers."""
    return _writer(type(instance))(instance)


_to_text = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, allow_nan=False, separators=(",", ":")
).encode
_SURROGATE = re.compile("[\ud800-\udfff]")


def dump(plain: Any) -> bytes:
    """Compact JSON in UTF-8, as :func:`utf8` makes it."""
    return utf8(_to_text(plain))


def utf8(text: str) -> bytes:
    """UTF-8 of any text. Half surrogate pairs, which it cannot hold, become U+FFFD."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _SURROGATE.sub("\ufffd", text).encode()


# -- kinds made of declared classes


class Object(Kind):
    """An instance of a declared class."""

    name = "object"
    expected = "an object"
    converts = True

    def __init__(self, cls: type[Declared]) -> None:
        self.cls = cls

    def read(self, value: Any, where: str, limits: MessageLimits) -> Any:
        if not isinstance(value, dict):
            raise self.wrong(value, where)
        return self.cls(**read_fields(self.cls, value, f"{where}.", limits))

    def write(self, value: Any) -> dict[str, Any]:
        return _writer(self.cls)(value)

    def load(self, value: Any) -> Any:
        return _loader(self.cls)(value)

    def schema(self) -> dict[str, Any]:
        return {"$ref": f"#/types/{self.cls.__name__}"}


class PartOf(Object):
    """Some fields of a declared class: attribute names to values, ready for :func:`dataclasses.replace`."""

    def read(self, value: Any, where: str, limits: MessageLimits) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self.wrong(value, where)
        return read_fields(self.cls, value, f"{where}.", limits)

    def write(self, value: Mapping[str, Any]) -> dict[str, Any]:
        whole = _writer(self.cls)(self.cls(**value))
        return {spec.name: whole[spec.name] for spec in fields_of(self.cls) if spec.attribute in value}


class MapOf(Kind):
    """Names to instances of a declared class, or to null where ``is_null`` says so; only ever written."""

    name = "object"
    expected = "an object"
    converts = True

    def __init__(self, cls: type[Declared], is_null: Callable[[Any], bool]) -> None:
        self.cls = cls
        self.is_null = is_null

    def write(self, value: Mapping[str, Any]) -> dict[str, Any]:
        return {name: None if self.is_null(item) else _writer(self.cls)(item) for name, item in value.items()}

    def load(self, value: Any) -> dict[str, Any]:
        return {name: None if item is None else _loader(self.cls)(item) for name, item in value.items()}

    def schema(self) -> dict[str, Any]:
        return {"type": "map", "value_type": {"$ref": f"#/types/{self.cls.__name__}"}}
