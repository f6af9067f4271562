"""The standard functions and operators: signatures and implementations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from overseer.cel import operators
from overseer.cel.conversions import ACCESSORS, CONVERSIONS, OF_DURATION, conversion, type_of_value
from overseer.cel.statictypes import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    STRING,
    TIMESTAMP,
    UINT,
    CelType,
    list_of,
    map_of,
    parameter,
    type_of,
)
from overseer.cel.values import NAMES, equal


@dataclass(frozen=True, slots=True)
class Overload:
    params: tuple[CelType, ...]
    result: CelType


@dataclass(frozen=True, slots=True)
class Function:
    """One name: ``overloads`` for ``f(x)``, ``methods`` for ``x.f()`` whose target is the first parameter.

    ``run`` takes plain values of any type and raises EvaluationError for those no overload takes; it is
    None for what does not evaluate all its arguments, which the compiler knows by name.
    """

    run: Callable[..., object] | None
    overloads: tuple[Overload, ...] = ()
    methods: tuple[Overload, ...] = ()


_A, _B = parameter("A"), parameter("B")
_LIST, _MAP = list_of(_A), map_of(_A, _B)
_ORDERED = (BOOL, INT, UINT, DOUBLE, STRING, BYTES, TIMESTAMP, DURATION)


def _same(result: CelType | None, *types: CelType) -> tuple[Overload, ...]:
    """A binary overload for each of ``types``; without a ``result`` it gives the type it takes."""
    return tuple(Overload((each, each), result or each) for each in types)


def _from(result: CelType, *types: CelType) -> tuple[Overload, ...]:
    """A unary overload for each of ``types``."""
    return tuple(Overload((each,), result) for each in types)


def _conversion(name: str) -> Function:
    result, others = CONVERSIONS[name]
    types = [CelType(NAMES[each]) for each in (result, *others)]
    return Function(conversion(name), _from(types[0], *types))


def _accessor(name: str) -> Function:
    methods: tuple[Overload, ...] = (Overload((TIMESTAMP,), INT), Overload((TIMESTAMP, STRING), INT))
    if name in OF_DURATION:
        methods += _from(INT, DURATION)
    return Function(ACCESSORS[name], methods=methods)


_SIZES = _from(INT, STRING, BYTES, _LIST, _MAP)
_TEXT_TEST = (Overload((STRING, STRING), BOOL),)

FUNCTIONS: Mapping[str, Function] = {
    "_?_:_": Function(None, (Overload((BOOL, _A, _A), _A),)),
    "_&&_": Function(None, (Overload((BOOL, BOOL), BOOL),)),
    "_||_": Function(None, (Overload((BOOL, BOOL), BOOL),)),
    "!_": Function(operators.negate_bool, _from(BOOL, BOOL)),
    "-_": Function(operators.negate, (*_from(INT, INT), *_from(DOUBLE, DOUBLE))),
    "_==_": Function(equal, (Overload((_A, _A), BOOL),)),
    "_!=_": Function(operators.not_equal, (Overload((_A, _A), BOOL),)),
    "_<_": Function(operators.less, _same(BOOL, *_ORDERED)),
    "_<=_": Function(operators.less_equal, _same(BOOL, *_ORDERED)),
    "_>_": Function(operators.greater, _same(BOOL, *_ORDERED)),
    "_>=_": Function(operators.greater_equal, _same(BOOL, *_ORDERED)),
    "@in": Function(operators.contained, (Overload((_A, _LIST), BOOL), Overload((_A, _MAP), BOOL))),
    "_[_]": Function(operators.index, (Overload((_LIST, INT), _A), Overload((_MAP, _A), _B))),
    "_+_": Function(
        operators.add,
        (
            *_same(None, INT, UINT, DOUBLE, STRING, BYTES, _LIST, DURATION),
            Overload((TIMESTAMP, DURATION), TIMESTAMP),
            Overload((DURATION, TIMESTAMP), TIMESTAMP),
        ),
    ),
    "_-_": Function(
        operators.subtract,
        (
            *_same(None, INT, UINT, DOUBLE, DURATION),
            Overload((TIMESTAMP, DURATION), TIMESTAMP),
            Overload((TIMESTAMP, TIMESTAMP), DURATION),
        ),
    ),
    "_*_": Function(operators.multiply, _same(None, INT, UINT, DOUBLE)),
    "_/_": Function(operators.divide, _same(None, INT, UINT, DOUBLE)),
    "_%_": Function(operators.modulo, _same(None, INT, UINT)),
    "size": Function(operators.size, _SIZES, _SIZES),
    "contains": Function(operators.contains, methods=_TEXT_TEST),
    "startsWith": Function(operators.starts_with, methods=_TEXT_TEST),
    "endsWith": Function(operators.ends_with, methods=_TEXT_TEST),
    "matches": Function(operators.matches, _TEXT_TEST, _TEXT_TEST),
    "type": Function(type_of_value, (Overload((_A,), type_of(_A)),)),
    "dyn": Function(lambda value: value, (Overload((_A,), DYN),)),
    **{name: _conversion(name) for name in CONVERSIONS},
    **{name: _accessor(name) for name in ACCESSORS},
}
