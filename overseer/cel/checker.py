"""The check at start-up: every name known, every call given what it takes, as cel-go's checker decides it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from overseer.cel.functions import FUNCTIONS, Overload
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
    Substitution,
    list_of,
    map_of,
    parameter,
    type_of,
)
from overseer.cel.syntax import Call, Has, Ident, ListLiteral, Literal, Macro, MapLiteral, Node, Select
from overseer.cel.values import INT_MAX, INT_MIN, TypeValue, UInt
from overseer.errors import CelError

_LITERAL_TYPES: dict[type, CelType] = {
    bool: BOOL,
    int: INT,
    UInt: UINT,
    float: DOUBLE,
    str: STRING,
    bytes: BYTES,
    type(None): NULL,
}
_TYPE_NAMES = {
    each.name: each
    for each in (
        *(BOOL, INT, UINT, DOUBLE, STRING, BYTES, NULL, TIMESTAMP, DURATION, TYPE),
        *(list_of(DYN), map_of(DYN, DYN)),
    )
}
_KEY_TYPES = frozenset({"bool", "int", "uint", "string", "dyn"})


@dataclass(frozen=True, slots=True)
class Checked:
    """What the check found out: the type of every node, and which names are types' names."""

    types: Mapping[Node, CelType]
    type_names: Mapping[Node, TypeValue]


def check(root: Node, variables: Mapping[str, CelType]) -> Checked:
    """Check the expression ``root`` over ``variables``.

    Raises:
        CelError: it can never be evaluated, with the place where it goes wrong.
    """
    checker = _Checker(variables)
    checker.check(root)
    apply = checker.substitution.apply
    types = {node: apply(found, free=DYN) for node, found in checker.types.items()}
    return Checked(types, checker.type_names)


def _error(node: Node, message: str) -> CelError:
    return CelError(message, line=node.line, column=node.column)


class _Checker:
    def __init__(self, variables: Mapping[str, CelType]) -> None:
        self.substitution = Substitution()
        self.types: dict[Node, CelType] = {}
        self.type_names: dict[Node, TypeValue] = {}
        self._variables = variables
        self._scopes: list[tuple[str, CelType]] = []  # of macros, the innermost last
        self._instances = 0

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
                    element = self.substitution.join(element, self.check(item))
                found = list_of(element or self.substitution.fresh())
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
        return _LITERAL_TYPES[value.__class__]

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
        """``a.b.c`` as one name, if that is all it is and ``a`` is no variable; else an empty string."""
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
        operand = self.substitution.apply(operand)
        if operand.name == "map":
            return operand.params[1]
        if self.substitution.is_dyn(operand):
            return DYN
        raise _error(node, f"type {operand} has no fields, so no {node.field!r}")

    def _map(self, node: MapLiteral) -> CelType:
        key_type: CelType | None = None
        value_type: CelType | None = None
        for key, value in node.entries:
            found = self.check(key)
            if self.substitution.apply(found, free=DYN).name not in _KEY_TYPES:
                raise _error(key, f"a map's key cannot be of type {found}")
            key_type = self.substitution.join(key_type, found)
            value_type = self.substitution.join(value_type, self.check(value))
        return map_of(key_type or self.substitution.fresh(), value_type or self.substitution.fresh())

    def _macro(self, node: Macro) -> CelType:
        within = self.substitution.apply(self.check(node.range))
        if within.name in ("list", "map"):
            variable = within.params[0]
        elif self.substitution.is_dyn(within):
            variable = DYN
        else:
            raise _error(node.range, f"{node.kind}() needs a list or a map, not type {within}")
        self._scopes.append((node.variable, variable))
        if node.predicate is not None:
            found = self.check(node.predicate)
            if not self.substitution.assign(found, BOOL):
                shown = self.substitution.apply(found, free=DYN)
                raise _error(node.predicate, f"{node.kind}() needs a condition of type bool, not {shown}")
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
                self._resolve(operand, node.function, function.overloads, (BOOL, found))
            return BOOL
        overloads = function.overloads if node.target is None else function.methods
        return self._resolve(node, node.function, overloads, operands)

    def _resolve(
        self, node: Node, function: str, overloads: Sequence[Overload], operands: Sequence[CelType]
    ) -> CelType:
        result: CelType | None = None
        for overload in overloads:
            params, gives = self._instance(overload)
            if not self.substitution.assign_all(operands, params):
                continue
            # Several may fit where something is dyn; what they give is dyn then, unless they agree.
            found = self.substitution.apply(gives)
            result = found if result is None or result == found else DYN
        if result is None:
            shown = ", ".join(str(self.substitution.apply(operand, free=DYN)) for operand in operands)
            raise _error(node, f"no matching overload for {function!r} applied to ({shown})")
        return result

    def _instance(self, overload: Overload) -> tuple[Sequence[CelType], CelType]:
        """An overload with type parameters of its own."""
        self._instances += 1
        renamed = Substitution()
        for name in ("A", "B"):
            renamed.assign(parameter(f"{name}{self._instances}"), parameter(name))
        return [renamed.apply(param) for param in overload.params], renamed.apply(overload.result)
