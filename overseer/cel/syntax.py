"""The expression tree: what the parser builds, the checker reads and the compiler turns into closures.

Operators are calls of functions named as in cel-go (``_+_``, ``!_``, ``_?_:_``); ``_&&_`` and ``_||_``
hold a whole chain in one call. Macros are nodes of their own, because a loop that is known to be
``exists`` compiles to something better than a general fold.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """Where an expression starts: both from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True, eq=False)
class Literal(Node):
    """A constant, as the plain value that evaluation uses."""

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
        """The target, if any, and the arguments: what the function is applied to."""
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
