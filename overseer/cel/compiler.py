"""Compiles a checked expression to one closure.

A closure takes the frame, a list made for one evaluation (or for one batch of lines), whose slots hold
variables and, the last one, the steps that are left; it returns a plain value or raises EvaluationError.
Closures keep no state, so any number of threads may run one. Constants are folded here, once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from operator import itemgetter
from typing import Any, Protocol

from overseer.cel import closures
from overseer.cel.checker import Checked
from overseer.cel.closures import Code, Run, charge, charged, constant
from overseer.cel.functions import FUNCTIONS
from overseer.cel.nodes import Call, Has, Ident, ListLiteral, Literal, Macro, MapLiteral, Node, Select
from overseer.cel.statictypes import BOOL, DYN, CelType
from overseer.cel.values import EvaluationError, TypeValue, UInt, iterate, map_key, type_name
from overseer.errors import CelError


class Variables(Protocol):
    """How to load the values of variables."""

    #: The slots of a frame that variables take, before those of macros.
    slots: int

    def load(self, name: str) -> Code:
        """Code for the variable ``name``."""

    def load_field(self, name: str, field: str) -> Code | None:
        """A shortcut to ``name.field``, if there is one."""


def compile_tree(root: Node, checked: Checked, variables: Variables) -> tuple[Code, int]:
    """The code of an expression and the number of slots that its frame has.

    Raises:
        CelError: a constant in it is invalid (a bad regular expression).
    """
    compiler = _Compiler(checked, variables)
    return compiler.compile(root), compiler.slots


class _Compiler:
    def __init__(self, checked: Checked, variables: Variables) -> None:
        self._checked = checked
        self._variables = variables
        self._scopes: list[tuple[str, int]] = []  # of macros: name and slot, the innermost last
        self.slots = variables.slots

    def compile(self, node: Node) -> Code:
        match node:
            case Literal():
                return constant(node.value, self._checked.types[node])
            case Ident():
                return self._ident(node)
            case Select():
                return self._select(node)
            case Has():
                return self._has(node)
            case Call():
                return self._call(node)
            case ListLiteral():
                return self._list(node)
            case MapLiteral():
                return self._map(node)
            case Macro():
                return self._macro(node)
        raise CelError("not understood", line=node.line, column=node.column)

    def _ident(self, node: Ident) -> Code:
        if node in self._checked.type_names:
            return constant(self._checked.type_names[node], self._checked.types[node])
        for name, slot in reversed(self._scopes):
            if name == node.name:
                return Code(itemgetter(slot), DYN)
        return self._variables.load(node.name.removeprefix("."))

    def _field_of_variable(self, node: Select | Has) -> Code | None:
        operand = node.operand
        if not isinstance(operand, Ident) or any(name == operand.name for name, _ in self._scopes):
            return None
        return self._variables.load_field(operand.name.removeprefix("."), node.field)

    def _select(self, node: Select) -> Code:
        if node in self._checked.type_names:
            return constant(self._checked.type_names[node], self._checked.types[node])
        shortcut = self._field_of_variable(node)
        if shortcut is not None:
            return shortcut
        operand = self.compile(node.operand)
        return self._applied(closures.select(node.field), [operand], DYN)

    def _has(self, node: Has) -> Code:
        if self._field_of_variable(node) is not None:
            return constant(True, BOOL)
        if self._checked.types[node.operand].fields:  # a record has no others
            return constant(False, BOOL)
        return self._applied(closures.has(node.field), [self.compile(node.operand)], BOOL)

    def _call(self, node: Call) -> Code:
        args = [self.compile(operand) for operand in node.operands]
        match node.function:
            case "_&&_":
                return closures.logic(args, decisive=False)
            case "_||_":
                return closures.logic(args, decisive=True)
            case "_?_:_":
                return closures.choice(*args)
        known = self._known_by_type(node, args)
        if known is not None:
            return known
        run = FUNCTIONS[node.function].run
        kind = DYN if node.function == "_[_]" else self._checked.types[node]
        if self._scopes and node.function in _LINEAR:
            args = [arg if arg.is_constant else replace(arg, run=charged(arg.run)) for arg in args]
        assert run is not None
        try:
            specialised = closures.specialised(node.function, args)
        except EvaluationError as error:
            where = node.args[-1]
            raise CelError(str(error), line=where.line, column=where.column) from None
        if specialised is not None and not all(arg.is_constant for arg in args):
            return Code(specialised, kind)
        return self._applied(run, args, kind)

    def _known_by_type(self, node: Call, args: Sequence[Code]) -> Code | None:
        """A call whose result depends only on types: ``type(value)``, ``dyn(value) == 5``; and ``dyn``, which
        only hides a type."""
        kinds = [arg.type.name for arg in args]
        if not all(kind in closures.SCALARS for kind in kinds) or not all(map(self._is_plain, node.operands)):
            return None
        match node.function:
            case "dyn":
                return args[0]
            case "type":
                return constant(TypeValue(kinds[0]), self._checked.types[node])
            case "_==_" | "_!=_" if kinds[0] != kinds[1] and not _NUMBERS.issuperset(kinds):
                return constant(node.function == "_!=_", BOOL)
        return None

    def _is_plain(self, node: Node) -> bool:
        """Whether it is a literal or a variable, perhaps in ``dyn()``, and so cannot fail."""
        match node:
            case Call(function="dyn", args=[inner]):
                return self._is_plain(inner)
            case Select():
                return self._field_of_variable(node) is not None
        return isinstance(node, Ident | Literal)

    def _applied(self, function: Callable[..., object], args: Sequence[Code], kind: CelType) -> Code:
        """``function`` applied to ``args``, folded if they are all constant."""
        if all(arg.is_constant for arg in args):
            try:
                return constant(function(*(arg.value for arg in args)), kind)
            except EvaluationError:
                pass  # an error of the evaluation, where && or || may absorb it
        return Code(_apply(function, [arg.run for arg in args]), kind)

    def _list(self, node: ListLiteral) -> Code:
        items = [self.compile(item) for item in node.items]
        return self._applied(lambda *values: list(values), items, self._checked.types[node])

    def _map(self, node: MapLiteral) -> Code:
        flat = [self.compile(each) for entry in node.entries for each in entry]
        return self._applied(_make_map, flat, self._checked.types[node])

    def _macro(self, node: Macro) -> Code:
        within = self.compile(node.range)
        slot = self._variables.slots + len(self._scopes)
        self.slots = max(self.slots, slot + 1)
        self._scopes.append((node.variable, slot))
        predicate = closures.bool_run(self.compile(node.predicate)) if node.predicate is not None else None
        transform = self.compile(node.transform).run if node.transform is not None else None
        self._scopes.pop()
        if node.kind in _QUANTIFIERS:
            assert predicate is not None
            run = _QUANTIFIERS[node.kind](within.run, slot, predicate)
        else:
            run = _collection(within.run, slot, predicate, transform or itemgetter(slot))
        return Code(run, self._checked.types[node])


# Functions that take linear time, which is counted where macros repeat them.
_LINEAR = {
    "contains", "endsWith", "matches", "startsWith", "@in", "_+_", "_==_", "_!=_", "_<_", "_<=_", "_>_",
    "_>=_", "bytes", "double", "duration", "string", "timestamp",
}  # fmt: skip


_NUMBERS = frozenset({"int", "uint", "double"})


def _apply(function: Callable[..., Any], args: Sequence[Run]) -> Run:
    if len(args) == 1:
        (only,) = args
        return lambda frame: function(only(frame))
    if len(args) == 2:
        left, right = args
        return lambda frame: function(left(frame), right(frame))
    return lambda frame: function(*[arg(frame) for arg in args])


def _make_map(*flat: Any) -> dict[object, object]:
    made: dict[object, object] = {}
    for key, value in zip(flat[::2], flat[1::2], strict=True):
        if key.__class__ not in _KEYS:
            raise EvaluationError(f"a map's key cannot be of type {type_name(key)}")
        made[map_key(key)] = value
    return made


_KEYS = frozenset({bool, int, UInt, str})


def _items(within: Run, frame: list[Any]) -> Iterable[object]:
    """The elements that a macro loops over, counted."""
    value = within(frame)
    items = iterate(value)
    charge(frame, len(value))
    return items


def _quantifier(decisive: bool) -> Callable[[Run, int, Run], Run]:
    """all() is decided by a false, exists() by a true."""

    def make(within: Run, slot: int, predicate: Run) -> Run:
        def predicates(frame: list[Any]) -> Iterator[Run]:
            for item in _items(within, frame):
                frame[slot] = item
                yield predicate

        return lambda frame: closures.decided(predicates(frame), decisive, frame)

    return make


def _exists_one(within: Run, slot: int, predicate: Run) -> Run:
    def run(frame: list[Any]) -> bool:
        count = 0
        for item in _items(within, frame):
            frame[slot] = item
            count += predicate(frame)
        return count == 1

    return run


def _collection(within: Run, slot: int, predicate: Run | None, transform: Run) -> Run:
    """map(), and filter(), which takes the elements as they are."""

    def run(frame: list[Any]) -> list[object]:
        made = []
        for item in _items(within, frame):
            frame[slot] = item
            if predicate is None or predicate(frame):
                made.append(transform(frame))
        return made

    return run


_QUANTIFIERS: dict[str, Callable[[Run, int, Run], Run]] = {
    "all": _quantifier(False),
    "exists": _quantifier(True),
    "exists_one": _exists_one,
}
