"""``[[ ]]`` in a text, over one set of params: Go's text/template, or Jinja's syntax. A param is a string, a
bool, or values by name.

Go's dialect is read by ``lexing``, ``pipeline`` and ``structure``, and calls ``functions`` and
``formatting``; Jinja's is read by ``jinja``. Both become Jinja templates that run in ``sandbox``, within
the bounds of ``runtime``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

import jinja2

from overseer.errors import TemplateError
from overseer.templates.formatting import go_print
from overseer.templates.jinja import LITERAL, is_expression, read_jinja
from overseer.templates.lexing import Problem, place
from overseer.templates.runtime import MAX_SIZE, Render, ValueProblem
from overseer.templates.sandbox import ENVIRONMENT
from overseer.templates.structure import Structure, read_structure

__all__ = ["Dialect", "Template", "Value", "compile_template"]

Dialect = Literal["go", "jinja"]
Value = str | bool | Mapping[str, Any]


class Template:
    """A compiled text. Immutable, so any number of threads may render it at once.

    Those made of the same are equal.

    ``names``: the params that it may look up. ``unquoted``: those whose value may end up in the text without
    ``shquote`` in the same action, and not just decide an ``if``.
    """

    def __init__(
        self, text: str, structure: Structure, dialect: Dialect, booleans: frozenset[str] = frozenset()
    ) -> None:
        self.text: Final = text
        self.names: Final = structure.names
        self.unquoted: Final = structure.unquoted
        self._dialect = dialect
        self._booleans = booleans
        self._plain = structure.plain
        self._templates: dict[str | None, jinja2.Template] = {}
        if structure.plain is None:
            self._templates = {
                name: ENVIRONMENT.from_string(tree) for name, tree in structure.templates.items()
            }
        self._constant: str | None = None
        if structure.constant:
            self._constant = self.render({})

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
        if self._constant is not None:
            return self._constant
        if self._plain is None:
            return self._run(params)
        text = "".join(
            [go_print(params.get(part, "")) if is_param else part for part, is_param in self._plain]
        )
        if len(text) > MAX_SIZE:
            raise TemplateError(f"the text grew beyond {MAX_SIZE} characters")
        return text

    def _run(self, params: Mapping[str, Value]) -> str:
        try:
            return Render(params, self._templates, ENVIRONMENT.globals).run(None, params)
        except ValueProblem as error:
            raise TemplateError(f"{self._place(error)}{error}") from None
        except Exception as error:  # an expression may fail in any way Python can
            raise TemplateError(f"{self._place(error)}{error or type(error).__name__}") from error

    def _place(self, error: Exception) -> str:
        """The place of the action that raised, from the innermost frame of generated code."""
        line = None
        traceback = error.__traceback__
        while traceback is not None:
            template = traceback.tb_frame.f_globals.get("__jinja_template__")
            if isinstance(template, jinja2.Template):
                line = template.get_corresponding_lineno(traceback.tb_lineno)
            traceback = traceback.tb_next
        if line is None:
            return ""
        # In what Go's dialect compiles to, line numbers are offsets plus one.
        return f"line {line}: " if self._dialect == "jinja" else f"{place(self.text, line - 1)}: "

    def __repr__(self) -> str:
        return f"Template({self.text!r})"


def compile_template(text: str, dialect: Dialect = "go", booleans: frozenset[str] = frozenset()) -> Template:
    """Compile a text with ``[[ ]]`` in it, in Go's dialect or Jinja's; ``booleans`` are the params whose
    values are bools.

    Raises TemplateError if it is malformed or can never be rendered. It begins with the place:
    ``line:column: `` (from 1), or ``line N: `` for Jinja's.
    """
    try:
        if dialect == "jinja":
            return Template(text, read_jinja(text, booleans), dialect, booleans)
        return Template(text, read_structure(text, booleans), dialect, booleans)
    except Problem as problem:
        hint = "" if problem.action is None or not is_expression(problem.action) else _JINJA
        raise TemplateError(f"{place(text, problem.offset)}: {problem.message}; {LITERAL}{hint}") from None
    except RecursionError:
        raise TemplateError("1:1: nested too deeply") from None


_JINJA = ", or `templates: jinja` at the top of the file if Jinja's syntax is meant"
