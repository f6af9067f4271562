"""The type check, which decides as cel-go's does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from overseer.cel.functions import FUNCTIONS, Overload
from overseer.cel.nodes import Call, Has, Ident, ListLiteral, Literal, Macro, MapLiteral, Node, Select
from overseer.cel.statictypes import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    NULL,
    STRING,
    TIMESTAMP,
    TYPE,
    UINT,
    CelType,
    bind,
    fits,
    join,
    list_of,
    map_of,
    type_of,
)
from overseer.cel.values import INT_MAX, INT_MIN, TypeValue, UInt, type_name
from overseer.errors import CelError

_SCALARS = BOOL, INT, UINT, DOUBLE, STRING, BYTES, NULL, TIMESTAMP, DURATION, TYPE
_TYPE_NAMES = {each.name: each for each in (*_SCALARS, list_of(DYN), map_of(DYN, DYN))}
_KEY_TYPES = frozenset({"bool", "int", "uint", "string", "dyn"})


@dataclass(frozen=True, slots=True)
class Checked:
    """The type of every node, and the nodes that name a type."""

    types: Mapping[Node, CelType]
    type_names: Mapping[Node, TypeValue]


def check(root: Node, variables: Mapping[str, CelType]) -> Checked:
    """Check the expression ``root`` over ``variables``.

    Raises:
        CelError: it can never be evaluated; with line and column.
    """
    checker = _Checker(variables)
    checker.check(root)
    return Checked(checker.types, checker.type_names)


def _error(node: Node, message: str) -> CelError:
    return CelError(message, line=node.line, column=node.column)


class _Checker:
    def __init__(self, variables: Mapping[str, CelType]) -> None:
        self.types: dict[Node, CelType] = {}
        self.type_names: dict[Node, TypeValue] = {}
        self._variables = variables
        self._scopes: list[tuple[str, CelType]] = []  # of macros, the innermost last

    def check(self, node: Node) -> CelType:
        """The type of ``node``, noted in :attr:`types`."""
        match node:
            case Literal():
                found = self._literal(node)
            case Ident():
                found = self._ident(node)
            case Select():
                found = self._select(node)
            case Has():
                found = self._has(node)
            case Call():
                found = self._call(node)
            case ListLiteral():
                element: CelType | None = None
                for item in node.items:
                    element = join(element, self.check(item))
                found = list_of(element or DYN)
            case MapLiteral():
                found = self._map(node)
            case Macro():
                found = self._macro(node)
            case _:
                raise _error(node, "not understood")
        self.types[node] = found
        return found

    def _literal(self, node: Literal) -> CelType:
        value = node.value
        if isinstance(value, int) and not isinstance(value, UInt) and not INT_MIN <= value <= INT_MAX:
            raise _error(node, "the number does not fit into 64 bits")
        return CelType(type_name(value))

    def _lookup(self, name: str) -> CelType | None:
        if name[0] != ".":
            for scoped, found in reversed(self._scopes):
                if scoped == name:
                    return found
        return self._variables.get(name.removeprefix("."))

    def _ident(self, node: Ident) -> CelType:
        found = self._lookup(node.name)
        if found is not None:
            return found
        return self._type_name(node, node.name.removeprefix("."))

    def _type_name(self, node: Node, name: str) -> CelType:
        if name not in _TYPE_NAMES:
            raise _error(node, f"undeclared reference to {name!r}")
        self.type_names[node] = TypeValue(name)
        return type_of(_TYPE_NAMES[name])

    def _select(self, node: Select) -> CelType:
        qualified = self._qualified(node)
        if qualified in _TYPE_NAMES:
            return self._type_name(node, qualified)
        operand = self.check(node.operand)
        if operand.fields:
            known = operand.field(node.field)
            if known is None:
                names = ", ".join(name for name, _ in operand.fields)
                raise _error(node, f"undeclared reference to field {node.field!r}, there are only {names}")
            return known
        return self._field_type(node, operand)

    def _qualified(self, node: Select) -> str:
        """``a.b.c`` as one name, if that is all it is and ``a`` is not a variable; else ``""``."""
        steps: list[str] = []
        at: Node = node
        while isinstance(at, Select):
            steps.append(at.field)
            at = at.operand
        if not isinstance(at, Ident) or self._lookup(at.name) is not None:
            return ""
        return ".".join([at.name.removeprefix("."), *reversed(steps)])

    def _has(self, node: Has) -> CelType:
        self._field_type(node, self.check(node.operand))
        return BOOL

    def _field_type(self, node: Select | Has, operand: CelType) -> CelType:
        if operand.name == "map":
            return operand.params[1]
        if operand == DYN:
            return DYN
        raise _error(node, f"type {operand} has no fields, so no {node.field!r}")

    def _map(self, node: MapLiteral) -> CelType:
        key_type: CelType | None = None
        value_type: CelType | None = None
        for key, value in node.entries:
            found = self.check(key)
            if found.name not in _KEY_TYPES:
                raise _error(key, f"a map's key cannot be of type {found}")
            key_type = join(key_type, found)
            value_type = join(value_type, self.check(value))
        return map_of(key_type or DYN, value_type or DYN)

    def _macro(self, node: Macro) -> CelType:
        within = self.check(node.range)
        if within.name in ("list", "map"):
            variable = within.params[0]
        elif within == DYN:
            variable = DYN
        else:
            raise _error(node.range, f"{node.kind}() needs a list or a map, not type {within}")
        self._scopes.append((node.variable, variable))
        if node.predicate is not None:
            found = self.check(node.predicate)
            if not fits(found, BOOL):
                raise _error(node.predicate, f"{node.kind}() needs a condition of type bool, not {found}")
        transform = self.check(node.transform) if node.transform is not None else None
        self._scopes.pop()
        if node.kind == "filter":
            return list_of(variable)
        return BOOL if transform is None else list_of(transform)

    def _call(self, node: Call) -> CelType:
        function = FUNCTIONS.get(node.function)
        if function is None:
            raise _error(node, f"undeclared reference to function {node.function!r}")
        operands = [self.check(operand) for operand in node.operands]
        if node.function in ("_&&_", "_||_"):
            # A whole chain is one call, each operand checked as if it were one of two.
            for operand, found in zip(node.args, operands, strict=True):
                _resolve(operand, node.function, function.overloads, (BOOL, found))
            return BOOL
        overloads = function.overloads if node.target is None else function.methods
        return _resolve(node, node.function, overloads, operands)


def _resolve(
    node: Node, function: str, overloads: Sequence[Overload], operands: Sequence[CelType]
) -> CelType:
    """What a call gives. Where several overloads fit something dyn, that is dyn unless they agree."""
    results = set()
    for overload in overloads:
        bound: dict[str, CelType] = {}
        if len(operands) == len(overload.params) and all(
            fits(operand, param, bound) for operand, param in zip(operands, overload.params, strict=True)
        ):
            results.add(bind(overload.result, bound))
    if not results:
        shown = ", ".join(map(str, operands))
        raise _error(node, f"no matching overload for {function!r} applied to ({shown})")
    return results.pop() if len(results) == 1 else DYN
