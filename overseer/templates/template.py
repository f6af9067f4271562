"""Compiled templates and how they are rendered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import jinja2

from overseer.errors import TemplateError
from overseer.templates.environment import ENVIRONMENT
from overseer.templates.limits import MAX_SIZE
from overseer.templates.runtime import Render
from overseer.templates.scan import Problem, place
from overseer.templates.structure import Structure, read_structure
from overseer.templates.values import ValueProblem

__all__ = ["Template", "compile_template"]


class Template:
    """A compiled text. Immutable, so any number of threads may render it at once.

    ``names``: the params that it may look up. ``unquoted``: those of them whose value may end up in
    the text without ``shquote`` in the same action; ones that only decide an ``if`` are not among them.
    """

    def __init__(self, text: str, structure: Structure) -> None:
        self.text: Final = text
        self.names: Final = structure.names
        self.unquoted: Final = structure.unquoted
        self._plain = structure.plain
        self._constant = (
            None if structure.plain is None or self.names else "".join(p for p, _ in structure.plain)
        )
        self._templates: dict[str | None, jinja2.Template] = {}
        if structure.plain is None:
            self._templates = {
                name: ENVIRONMENT.from_string(tree) for name, tree in structure.templates.items()
            }

    def render(self, params: Mapping[str, str]) -> str:
        """The text with the params' values in it; a name without a value is empty.

        Raises TemplateError, with line and column, for values that an expression cannot take and
        for results beyond bounds.
        """
        if self._constant is not None:
            return self._constant
        if self._plain is None:
            return self._run(params)
        text = "".join([params.get(part, "") if is_param else part for part, is_param in self._plain])
        if len(text) > MAX_SIZE:
            raise TemplateError(f"the text grew beyond {MAX_SIZE} characters")
        return text

    def _run(self, params: Mapping[str, str]) -> str:
        try:
            return Render(params, self._templates, ENVIRONMENT.globals).run(None, params)
        except ValueProblem as error:
            raise TemplateError(f"{self._place(error)}{error}") from None
        except Exception as error:  # an expression may trip over a value in any way Python knows
            raise TemplateError(f"{self._place(error)}{error or type(error).__name__}") from error

    def _place(self, error: Exception) -> str:
        """``line:column: `` of the action that raised, from the innermost frame of generated code."""
        offset = None
        traceback = error.__traceback__
        while traceback is not None:
            template = traceback.tb_frame.f_globals.get("__jinja_template__")
            if isinstance(template, jinja2.Template):
                offset = template.get_corresponding_lineno(traceback.tb_lineno) - 1
            traceback = traceback.tb_next
        return "" if offset is None else f"{place(self.text, offset)}: "

    def __repr__(self) -> str:
        return f"Template({self.text!r})"


def compile_template(text: str) -> Template:
    """Compile a text with ``[[ ]]`` in it.

    Raises TemplateError, whose text begins with ``line:column: `` (from 1), if it cannot be used.
    """
    try:
        return Template(text, read_structure(text))
    except Problem as problem:
        raise TemplateError(f"{place(text, problem.offset)}: {problem.message}") from None
    except ValueProblem as error:
        raise TemplateError(f"1:1: {error}") from None
    except RecursionError:
        raise TemplateError("1:1: nested too deeply") from None
