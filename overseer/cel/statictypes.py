"""Static types, and which fit which.

The rules are cel-go's: ``dyn`` fits everything, null fits timestamps and durations. What cel-go infers from a
later use (the elements of ``[]``) is dyn here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CelType:
    """A type: ``name`` and parameters (``list(int)``).

    ``fields`` are those of a record, a ``map(string, dyn)`` with keys that are always there.
    """

    name: str
    params: tuple[CelType, ...] = ()
    fields: tuple[tuple[str, CelType], ...] = ()

    def field(self, name: str) -> CelType | None:
        """The type of a record's field."""
        return next((field_type for field_name, field_type in self.fields if field_name == name), None)

    def __str__(self) -> str:
        name = self.name.removeprefix("$")
        return f"{name}({', '.join(map(str, self.params))})" if self.params else name


BOOL = CelType("bool")
INT = CelType("int")
UINT = CelType("uint")
DOUBLE = CelType("double")
STRING = CelType("string")
BYTES = CelType("bytes")
NULL = CelType("null_type")
TIMESTAMP = CelType("google.protobuf.Timestamp")
DURATION = CelType("google.protobuf.Duration")
DYN = CelType("dyn")
TYPE = CelType("type")


def list_of(element: CelType) -> CelType:
    return CelType("list", (element,))


def map_of(key: CelType, value: CelType) -> CelType:
    return CelType("map", (key, value))


def record_of(fields: Mapping[str, CelType]) -> CelType:
    """A map(string, dyn) with ``fields`` that are always there."""
    return CelType("map", (STRING, DYN), tuple(fields.items()))


def type_of(target: CelType) -> CelType:
    """The type of ``target`` itself as a value."""
    return CelType("type", (target,))


def parameter(name: str) -> CelType:
    """A type parameter, such as ``A`` in ``list(A)``."""
    return CelType(f"${name}")


def fits(given: CelType, wanted: CelType, bound: dict[str, CelType] | None = None) -> bool:
    """Whether a value of type ``given`` may be used as ``wanted``, whose type parameters are bound in
    ``bound`` by their first use and widened by later ones."""
    if bound is not None and wanted.name[0] == "$":
        before = bound.get(wanted.name)
        if before is None or (before == NULL and given in (TIMESTAMP, DURATION)):
            bound[wanted.name] = given
        elif fits(given, before):
            bound[wanted.name] = wider(given, before)
        else:
            return False
        return True
    if "dyn" in (given.name, wanted.name):
        return True
    if given == NULL:
        return wanted in (NULL, TIMESTAMP, DURATION)
    if given.name != wanted.name:
        return False
    pairs = zip(given.params, wanted.params, strict=True)
    return given.name == "type" or all(fits(a, b, bound) for a, b in pairs)


def wider(a: CelType, b: CelType) -> CelType:
    """The more general of two types that fit each other."""
    return a if _is_wider(a, b) else b


def _is_wider(a: CelType, b: CelType) -> bool:
    if a.name == "dyn":
        return True
    return a.name == b.name and (a.name == "type" or all(map(_is_wider, a.params, b.params)))


def join(a: CelType | None, b: CelType) -> CelType:
    """The type of the elements of a collection of ``a`` with a ``b`` in it: dyn when they do not fit."""
    if a is None:
        return b
    return wider(a, b) if fits(a, b) else DYN


def bind(to: CelType, bound: Mapping[str, CelType]) -> CelType:
    """``to`` with its parameters replaced by what they are bound to."""
    if to.name[0] == "$":
        return bound.get(to.name, DYN)
    return CelType(to.name, tuple(bind(param, bound) for param in to.params), to.fields)
