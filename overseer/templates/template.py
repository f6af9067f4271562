"""A text with params, as the rest of the program knows it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Dialect = Literal["go", "jinja"]
Value = str | bool | Mapping[str, Any]


@dataclass(frozen=True, repr=False)
class Template:
    """A compiled text; any number of threads may render it at once. Those made of the same are equal.

    ``names``: the params that it may look up. ``unquoted``: those whose value may end up in the text without
    ``shquote`` in the same action, and not just decide an ``if``. ``renderer``: None if it looks nothing up.
    """

    text: str
    dialect: Dialect
    booleans: frozenset[str]
    names: frozenset[str] = field(default=frozenset(), compare=False)
    unquoted: frozenset[str] = field(default=frozenset(), compare=False)
    renderer: Callable[[Mapping[str, Value]], str] | None = field(default=None, compare=False)

    def render(self, params: Mapping[str, Value]) -> str:
        """The text with the params' values; a param without a value is empty.

        Raises TemplateError, which begins with the place, for invalid values and for results out of bounds.
        """
        return self.text if self.renderer is None else self.renderer(params)

    def __repr__(self) -> str:
        return f"Template({self.text!r})"
