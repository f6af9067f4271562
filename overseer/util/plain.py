"""Values as JSON has them, and back, by the types of a dataclass's fields.

A field that the data lacks has its default, and one that the class lacks is ignored: so what one version has
written can be read by another.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from base64 import b64decode, b64encode
from collections.abc import Collection, Mapping
from datetime import datetime
from enum import Enum
from functools import cache
from typing import Any, TypeVar

_T = TypeVar("_T")


def to_plain(value: Any) -> Any:
    """``value`` made of dicts, lists, texts and numbers."""
    if value is None or isinstance(value, str | int | float):
        return value.name if isinstance(value, Enum) else value
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.name
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: to_plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: to_plain(each) for key, each in value.items()}
    if isinstance(value, Collection):
        return [to_plain(each) for each in value]
    raise TypeError(f"{type(value).__name__} cannot be written down")


def from_plain(kind: type[_T], data: Any) -> _T:
    """A dataclass from what :func:`to_plain` has made of one.

    Raises:
        ValueError, TypeError, KeyError: it does not fit.
    """
    made: _T = _read(kind, data)
    return made


def _read(kind: Any, data: Any) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        if data is None:
            return None
        return _read(next(each for each in arguments if each is not type(None)), data)
    if origin is tuple:
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return tuple(_read(arguments[0], each) for each in data)
        return tuple(_read(of, each) for of, each in zip(arguments, data, strict=True))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {key: _read(arguments[1], each) for key, each in data.items()}
    if isinstance(origin, type) and issubclass(origin, Collection):
        made = [_read(arguments[0], each) for each in data]
        return frozenset(made) if origin is frozenset else made
    if not isinstance(kind, type):
        return data
    if kind is datetime:
        return datetime.fromisoformat(data)
    if kind is bytes:
        return b64decode(data)
    if issubclass(kind, Enum):
        return kind[data]
    if dataclasses.is_dataclass(kind):
        fields = _fields(kind)
        return kind(**{name: _read(fields[name], each) for name, each in data.items() if name in fields})
    return data


@cache
def _fields(kind: type) -> Mapping[str, Any]:
    hints = typing.get_type_hints(kind)
    return {each.name: hints[each.name] for each in dataclasses.fields(kind) if each.init}
