"""The declaration of a dataclass's fields: of a message, of a value in one, of a section of the file.

A field made with :func:`field` or :func:`optional` states its type, its meaning and its default, which every
reader, writer and document follows. A class's docstring is its description.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import MISSING, dataclass
from functools import cache
from typing import Any, ClassVar, Protocol, TypeVar, dataclass_transform

from overseer.schema.types import FieldType

_T = TypeVar("_T")


class Declared(Protocol):
    """A dataclass whose fields are made with :func:`field`."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Field:
    """One declared field.

    ``attribute`` is its name in Python, ``name`` outside. ``missing`` says what to do when
    the file lacks it. ``default`` is None when it is required.
    """

    attribute: str
    name: str
    type: FieldType
    doc: str
    required: bool
    default: Any
    synonym: str
    omit: bool
    hint: str
    env: str
    missing: str
    default_text: str

    @property
    def plain_default(self) -> Any:
        """The default as it would be written in JSON, None when there is none or it is empty."""
        if self.default in (None, "", (), {}):
            return None
        return self.type.to_json(self.default)

    def shown_default(self) -> str:
        """The default in Markdown, as it would be written in the file."""
        if self.required:
            return "**required**"
        if self.default_text or self.default is None:
            return self.default_text
        return self.type.shown(self.default)


def field(
    type: FieldType,
    doc: str,
    *,
    default: Any = MISSING,
    kw_only: bool = False,
    name: str = "",
    synonym: str = "",
    hint: str = "",
    env: str = "",
    missing: str = "",
    default_text: str = "",
    last: bool = False,
    omit: bool = False,
) -> Any:
    """A dataclass field with what its readers, writers and documents need to know.

    Args:
        default: its value when absent, or a callable that makes it; without one, the field is required.
        name: its name outside Python, where that cannot be an attribute's.
        synonym: a second name in messages, read when the first is absent.
        hint: which input a form should show.
        env: the environment variable that overrides the file when it is not empty.
        missing: for a key that the file must have: what to do when it is missing.
        default_text: the default in words, where its value does not explain itself.
        last: whether it comes after those of subclasses.
        omit: whether messages leave it out when it tells nothing, see :func:`optional`.
    """
    metadata = {
        "type": type, "doc": doc, "name": name, "synonym": synonym, "omit": omit, "hint": hint, "env": env,
        "missing": missing, "default_text": default_text, "last": last,
    }  # fmt: skip
    if missing:
        default = ""  # reading goes on with it after the error
    made: Any = dataclasses.field(
        **{"default_factory" if callable(default) else "default": default},
        kw_only=kw_only or MISSING,  # else as the class says
        metadata=metadata,
    )
    return made


def optional(type: FieldType, doc: str, *, default: Any, **more: Any) -> Any:
    """A field that messages leave out when it tells nothing: None where that is the default (so that an exit
    code of 0 is shown and an unknown one is not), else the default and whatever is empty, zero or false.
    """
    return field(type, doc, default=default, omit=True, **more)


@dataclass_transform(frozen_default=True, field_specifiers=(field, optional, dataclasses.field))
def declared(*, init: bool = True, kw_only: bool = False) -> Callable[[type[_T]], type[_T]]:
    """Makes a dataclass with slots, which is frozen for type checkers alone: Python would take thrice as long
    to make one, and to compile for each class what refuses."""

    def make(cls: type[_T]) -> type[_T]:
        made = dataclass(slots=True, init=init, kw_only=kw_only, eq=False, repr=False)(cls)
        for name, method in _METHODS.items():
            if name not in cls.__dict__:
                setattr(made, name, method)
        return made

    return make


@cache
def _compared(cls: Any) -> tuple[str, ...]:
    return tuple(each.name for each in dataclasses.fields(cls) if each.compare)


def _values(instance: Any) -> tuple[Any, ...]:
    cls: Any = type(instance)
    return tuple([getattr(instance, name) for name in _compared(cls)])


def _equal(self: Any, other: object) -> Any:
    if type(other) is not type(self):
        return NotImplemented
    return _values(self) == _values(other)


def _hash(self: Any) -> int:
    return hash(_values(self))


def _shown(self: Any) -> str:
    shown = (f"{each.name}={getattr(self, each.name)!r}" for each in dataclasses.fields(self) if each.repr)
    return f"{type(self).__qualname__}({', '.join(shown)})"


# Shared: a dataclass compiles its own, which takes a seventh of the time in which overseerctl starts.
_METHODS = {"__eq__": _equal, "__hash__": _hash, "__repr__": _shown}


def fields_of(cls: type[Declared]) -> tuple[Field, ...]:
    """The declared fields of a class, in order."""
    return _fields_of(cls)


@cache
def _fields_of(cls: type[Declared]) -> tuple[Field, ...]:
    specs = []
    declared = [each for each in dataclasses.fields(cls) if each.metadata]
    for each in sorted(declared, key=lambda each: bool(each.metadata["last"])):
        default = each.default if each.default_factory is MISSING else each.default_factory()
        given = {**each.metadata, "name": each.metadata["name"] or each.name}
        del given["last"]
        required = default is MISSING or bool(each.metadata["missing"])
        if default is MISSING:
            default = None
        specs.append(Field(attribute=each.name, required=required, default=default, **given))
    return tuple(specs)


def description_of(cls: type[Declared]) -> str:
    """The docstring of a declared class in one line."""
    return " ".join((cls.__doc__ or "").split())
