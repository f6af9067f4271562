"""What a name means at one place of a template's text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import count

from overseer.templates.runtime import ROOT

__all__ = ["Scope"]


@dataclass(frozen=True, slots=True)
class Scope:
    """The variables and the dot in force; inner scopes are copies, so declarations end with them.

    ``dot`` is the Jinja name that holds the dot, ``slots`` numbers the variables of a whole text.
    """

    dot: str = ROOT
    variables: dict[str, int] = field(default_factory=dict)
    in_range: bool = False
    slots: Iterator[int] = field(default_factory=count)

    def inner(self, *, in_range: bool = False) -> Scope:
        """The scope of a block within this one."""
        return replace(self, variables=dict(self.variables), in_range=self.in_range or in_range)

    def with_dot(self) -> Scope:
        """The same scope with a dot of its own; the outer one stays within reach under its name."""
        return replace(self, dot=f"{self.dot}0")

    def declare(self, name: str) -> int:
        """The slot of a new variable."""
        self.variables[name] = slot = next(self.slots)
        return slot
