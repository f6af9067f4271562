"""A text with params: what every compiled one has, and all of one that looks nothing up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

Dialect = Literal["go", "jinja"]
Value = str | bool | Mapping[str, Any]


class Template:
    """A compiled text; by itself one that looks nothing up. Immutable, so any number of threads may render it
    at once.

    Those made of the same are equal.

    ``names``: the params that it may look up. ``unquoted``: those whose value may end up in the text without
    ``shquote`` in the same action, and not just decide an ``if``.
    """

    names: frozenset[str] = frozenset()
    unquoted: frozenset[str] = frozenset()

    def __init__(self, text: str, dialect: Dialect, booleans: frozenset[str]) -> None:
        self.text: Final = text
        self._dialect = dialect
        self._booleans = booleans

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Template) and self._made_of == other._made_of

    def __hash__(self) -> int:
        return hash(self._made_of)

    @property
    def _made_of(self) -> tuple[str, Dialect, frozenset[str]]:
        return self.text, self._dialect, self._booleans

    def render(self, params: Mapping[str, Value]) -> str:
        """The text with the params' values; a param without a value is empty.

        Raises TemplateError, which begins with the place, for invalid values and for results out of bounds.
        """
        return self.text

    def __repr__(self) -> str:
        return f"Template({self.text!r})"
