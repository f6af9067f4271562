"""Texts that are known to be right, compiled when they are first rendered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from overseer.templates.text import Dialect, Template, Value


class DeferredTemplate(Template):
    """A text whose actions are read later, and what they look up.

    Args:
        compile: makes the template that renders it; several threads may call it at once.
    """

    def __init__(
        self,
        text: str,
        dialect: Dialect,
        booleans: frozenset[str],
        names: Iterable[str],
        unquoted: Iterable[str],
        compile: Callable[[str, Dialect, frozenset[str]], Template],
    ) -> None:
        super().__init__(text, dialect, booleans)
        self.names = frozenset(names)
        self.unquoted = frozenset(unquoted)
        self._compile = compile
        self._compiled: Template | None = None

    def render(self, params: Mapping[str, Value]) -> str:
        if self._compiled is None:
            self._compiled = self._compile(*self._made_of)
        return self._compiled.render(params)
