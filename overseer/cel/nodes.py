"""The expression tree, and how it is written down."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

from overseer.cel.values import UInt

# Operators are calls of functions named as in cel-go (``_+_``, ``!_``, ``_?_:_``). Macros are nodes of their
# own: a loop known to be ``exists`` compiles to something better than a general fold.


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """An expression, with where it starts, from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True, eq=False)
class Literal(Node):
    """A constant, as the value that evaluation uses."""

    value: object


@dataclass(frozen=True, slots=True, eq=False)
class Ident(Node):
    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Select(Node):
    """``operand.field``"""

    operand: Node
    field: str


@dataclass(frozen=True, slots=True, eq=False)
class Has(Node):
    """``has(operand.field)``"""

    operand: Node
    field: str


@dataclass(frozen=True, slots=True, eq=False)
class Call(Node):
    """``function(args)``, or ``target.function(args)``; operators have no target."""

    function: str
    target: Node | None
    args: list[Node]

    @property
    def operands(self) -> list[Node]:
        """The target, if any, and the arguments."""
        return self.args if self.target is None else [self.target, *self.args]


@dataclass(frozen=True, slots=True, eq=False)
class ListLiteral(Node):
    items: list[Node]


@dataclass(frozen=True, slots=True, eq=False)
class MapLiteral(Node):
    entries: list[tuple[Node, Node]]


@dataclass(frozen=True, slots=True, eq=False)
class Macro(Node):
    """``range.kind(variable, [predicate,] [transform])``.

    ``kind`` is one of all, exists, exists_one, filter (a predicate, no transform) and map (a
    transform, and a predicate when it was written with three arguments).
    """

    kind: str
    range: Node
    variable: str
    predicate: Node | None
    transform: Node | None


def children(node: Node) -> Iterator[Node]:
    """The nodes directly under ``node``."""
    match node:
        case Select() | Has():
            yield node.operand
        case Call():
            yield from node.operands
        case ListLiteral():
            yield from node.items
        case MapLiteral():
            for key, value in node.entries:
                yield key
                yield value
        case Macro():
            yield node.range
            if node.predicate is not None:
                yield node.predicate
            if node.transform is not None:
                yield node.transform
        case _:
            pass


_KINDS: dict[str, type[Node]] = {
    each.__name__: each for each in (Literal, Ident, Select, Has, Call, ListLiteral, MapLiteral, Macro)
}


def to_plain(value: object) -> Any:
    """A tree, or a part of it, as lists that ``marshal`` can write."""
    match value:
        case Node():
            parts = (to_plain(getattr(value, each.name)) for each in fields(value))
            return [type(value).__name__, *parts]
        case list() | tuple():
            return ["", *map(to_plain, value)]
        case UInt():
            return ["u", int(value)]
    return value


def from_plain(data: Any) -> Any:
    """What :func:`to_plain` was given; of a tuple, a list."""
    if not isinstance(data, list):
        return data
    kind, *parts = data
    if kind == "u":
        return UInt(parts[0])
    if not kind:
        return [from_plain(each) for each in parts]
    return _KINDS[kind](*map(from_plain, parts))
