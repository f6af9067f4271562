"""Texts with actions in them, compiled to Jinja templates."""

from __future__ import annotations

from collections.abc import Mapping

import jinja2

from overseer.errors import TemplateError
from overseer.templates.formatting import go_print
from overseer.templates.go_lexer import Problem, place
from overseer.templates.go_parser import Structure, read_structure
from overseer.templates.jinja import LITERAL, is_expression, read_jinja
from overseer.templates.runtime import MAX_SIZE, Render, ValueProblem
from overseer.templates.sandbox import ENVIRONMENT
from overseer.templates.template import Dialect, Value


class Compiled:
    """A text whose actions are read; ``names`` and ``unquoted`` as those of a template."""

    def __init__(self, text: str, structure: Structure, dialect: Dialect) -> None:
        self._text = text
        self._dialect = dialect
        self.names = structure.names
        self.unquoted = structure.unquoted
        self._plain = structure.plain
        self._templates: dict[str | None, jinja2.Template] = {}
        if structure.plain is None:
            self._templates = {
                name: ENVIRONMENT.from_string(tree) for name, tree in structure.templates.items()
            }
        self._constant: str | None = None
        if structure.constant:
            self._constant = self.render({})

    def render(self, params: Mapping[str, Value]) -> str:
        """See :meth:`overseer.templates.Template.render`."""
        if self._constant is not None:
            return self._constant
        if self._plain is None:
            return self._run(params)
        try:
            text = "".join(
                [go_print(params.get(part, "")) if is_param else part for part, is_param in self._plain]
            )
        except RecursionError:
            raise TemplateError("a value is nested too deeply to be printed") from None
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
        return f"line {line}: " if self._dialect == "jinja" else f"{place(self._text, line - 1)}: "


def compile_actions(text: str, dialect: Dialect, booleans: frozenset[str]) -> Compiled:
    """See :func:`overseer.templates.compile_template`."""
    try:
        read = read_jinja if dialect == "jinja" else read_structure
        return Compiled(text, read(text, booleans), dialect)
    except Problem as problem:
        hint = "" if problem.action is None or not is_expression(problem.action) else _JINJA
        raise TemplateError(f"{place(text, problem.offset)}: {problem.message}; {LITERAL}{hint}") from None
    except RecursionError:
        raise TemplateError("1:1: nested too deeply") from None


_JINJA = ", or `templates: jinja` at the top of the file if Jinja's syntax is meant"
