"""Types as the check at start-up sees them, and when a value of one may stand for another.

The rules are cel-go's: ``dyn`` goes with everything, a type parameter is bound by its first use and
widened by later ones, null goes with timestamps and durations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CelType:
    """A type: ``name`` and what it is made of (``list(int)``). This module has the constants and functions.

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
    """A type parameter, as ``A`` in ``list(A)``."""
    return CelType(f"${name}")


def _is_parameter(of: CelType) -> bool:
    return of.name[0] == "$"


class Substitution:
    """What each type parameter stands for so far."""

    def __init__(self) -> None:
        self._bound: dict[str, CelType] = {}
        self._count = 0

    def fresh(self) -> CelType:
        """A parameter that nothing else uses."""
        self._count += 1
        return parameter(f"_{self._count}")

    def assign_all(self, given: Sequence[CelType], wanted: Sequence[CelType]) -> bool:
        """Whether every type of ``given`` may stand for its fellow in ``wanted``; binds nothing if not."""
        before = dict(self._bound)
        if len(given) == len(wanted) and all(map(self._assign, given, wanted)):
            return True
        self._bound = before
        return False

    def is_dyn(self, given: CelType) -> bool:
        """Whether ``given`` is dyn, or not known yet: then it is dyn from now on."""
        return (given.name == "dyn" or _is_parameter(given)) and self.assign(DYN, given)

    def assign(self, given: CelType, wanted: CelType) -> bool:
        """Whether a value of type ``given`` may stand where ``wanted`` is; binds nothing if not."""
        return self.assign_all((given,), (wanted,))

    def _assign(self, given: CelType, wanted: CelType) -> bool:
        if _is_parameter(wanted):
            fits, bound = self._bind(given, wanted)
            if fits or bound:
                return fits
        if _is_parameter(given):
            return self._bind(wanted, given)[0]
        if given.name == "dyn" or wanted.name == "dyn":
            return True
        if given.name == "null_type":
            return wanted in (NULL, TIMESTAMP, DURATION)
        if given.name != wanted.name:
            return False
        return given.name == "type" or all(map(self._assign, given.params, wanted.params))

    def _bind(self, target: CelType, param: CelType) -> tuple[bool, bool]:
        """Whether ``param`` may stand for ``target``, and whether it was bound before."""
        if target == param:
            return True, True
        bound = self._bound.get(param.name)
        if bound is not None:
            if target == bound:
                return True, True
            if bound == NULL and target in (TIMESTAMP, DURATION):  # as well as the other way round
                self._bound[param.name] = target
                return True, True
            if self._assign(target, bound):
                wider = self.wider(target, bound)
                if not self._occurs(param, wider):
                    self._bound[param.name] = wider
                return True, True
            return False, True
        if self._occurs(param, target):
            return False, False
        self._bound[param.name] = target
        return True, False

    def _occurs(self, param: CelType, within: CelType) -> bool:
        if within == param:
            return True
        if _is_parameter(within):
            bound = self._bound.get(within.name)
            return bound is not None and self._occurs(param, bound)
        return any(self._occurs(param, inner) for inner in within.params)

    def wider(self, a: CelType, b: CelType) -> CelType:
        """The more general of two types that go together."""
        return a if _is_wider_or_equal(a, b) else b

    def join(self, a: CelType | None, b: CelType) -> CelType:
        """What a collection of ``a`` becomes with a ``b`` in it: dyn when they do not go together."""
        if a is None:
            return b
        return self.wider(a, b) if self.assign(a, b) else DYN

    def apply(self, to: CelType, *, free: CelType | None = None) -> CelType:
        """``to`` with what its parameters stand for, and with ``free``, if given, for unbound ones."""
        if _is_parameter(to):
            bound = self._bound.get(to.name)
            if bound is not None:
                return self.apply(bound, free=free)
            return to if free is None else free
        if not to.params:
            return to
        return CelType(to.name, tuple(self.apply(param, free=free) for param in to.params), to.fields)


def _is_wider_or_equal(a: CelType, b: CelType) -> bool:
    if a.name == "dyn" or _is_parameter(a):
        return True
    if b.name == "dyn" or _is_parameter(b) or a.name != b.name:
        return False
    return a.name == "type" or all(map(_is_wider_or_equal, a.params, b.params))
