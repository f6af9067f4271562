"""Values as JSON has them, and back, by the types of a dataclass's fields.

A field that the data lacks has its default, and one that the class lacks is ignored: so what one version has
written can be read by another.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from base64 import b64decode, b64encode
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from enum import Enum
from functools import cache
from typing import Any, TypeVar

_T = TypeVar("_T")


def to_plain(value: Any) -> Any:
    """``value`` made of dicts, lists, texts and numbers."""
    kind = value.__class__
    if kind is str or kind is int or value is None or kind is bool or kind is float:
        return value
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, str | int | float):
        return value
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, datetime):
        return value.isoformat()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {name: to_plain(getattr(value, name)) for name in _names(kind)}
    if isinstance(value, Mapping):
        return {key: to_plain(each) for key, each in value.items()}
    if isinstance(value, Collection):
        return [to_plain(each) for each in value]
    raise TypeError(f"{type(value).__name__} cannot be written down")


@cache
def _names(kind: type) -> Sequence[str]:
    return [each.name for each in dataclasses.fields(kind)]


def from_plain(kind: type[_T], data: Any) -> _T:
    """A dataclass from what :func:`to_plain` has made of one.

    Raises:
        ValueError, TypeError, KeyError: it does not fit.
    """
    read: Callable[[Any], _T] = _reader(typing.cast(Any, kind))
    return read(data)


_Read = Callable[[Any], Any]


@cache
def _reader(kind: Any) -> _Read:
    """What reads a value of a type, found out once for each: there may be thousands of values."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return _optional(_reader(next(each for each in arguments if each is not type(None))))
    if origin is tuple:
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return _collection(tuple, _reader(arguments[0]))
        return _tuple([*map(_reader, arguments)])
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _mapping(_reader(arguments[1]))
    if isinstance(origin, type) and issubclass(origin, Collection):
        return _collection(frozenset if origin is frozenset else list, _reader(arguments[0]))
    if not isinstance(kind, type):
        return _as_it_is
    if kind is datetime:
        return datetime.fromisoformat
    if kind is bytes:
        return b64decode
    if issubclass(kind, Enum):
        return kind.__getitem__
    return _dataclass(kind) if dataclasses.is_dataclass(kind) else _as_it_is


def _as_it_is(data: Any) -> Any:
    return data


def _optional(read: _Read) -> _Read:
    return read if read is _as_it_is else lambda data: None if data is None else read(data)


def _collection(kind: Callable[[Iterable[Any]], Any], read: _Read) -> _Read:
    return lambda data: kind(map(read, data))


def _tuple(readers: Sequence[_Read]) -> _Read:
    return lambda data: tuple(read(each) for read, each in zip(readers, data, strict=True))


def _mapping(read: _Read) -> _Read:
    return lambda data: {key: read(each) for key, each in data.items()}


def _dataclass(kind: type) -> _Read:
    hints = typing.get_type_hints(kind)
    readers = {each.name: _reader(hints[each.name]) for each in dataclasses.fields(kind) if each.init}
    return lambda data: kind(**{name: readers[name](each) for name, each in data.items() if name in readers})
