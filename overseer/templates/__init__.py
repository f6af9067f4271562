"""``[[ ]]`` in a text, over one set of params: Go's text/template, or Jinja's syntax. A param is a string, a
bool, or values by name.

Go's dialect is read by ``go_lexer``, ``go_parser`` and ``pipeline``, and calls ``functions`` and
``formatting``; Jinja's is read by ``jinja``. Both become Jinja templates that run in ``sandbox``, within
the bounds of ``runtime``. All this is loaded with the first text that has something to look up; in an
upgrade, with the first that is rendered.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cache, partial
from typing import TYPE_CHECKING, Final

from overseer.templates.runtime import MAX_SIZE
from overseer.templates.template import Dialect, Template, Value
from overseer.util.findings import findings
from overseer.util.hashes import load_without_openssl

if TYPE_CHECKING:
    from overseer.templates.compiled import Compiled

__all__ = ["Dialect", "Template", "Value", "compile_template"]

_OPENINGS: Final[Mapping[Dialect, tuple[str, ...]]] = {"go": ("[[",), "jinja": ("[[", "[%", "[#")}


def compile_template(text: str, dialect: Dialect = "go", booleans: frozenset[str] = frozenset()) -> Template:
    """Compile a text with ``[[ ]]`` in it, in Go's dialect or Jinja's; ``booleans`` are the params whose
    values are bools.

    Raises TemplateError if it is malformed or can never be rendered. It begins with the place:
    ``line:column: `` (from 1), or ``line N: `` for Jinja's.
    """
    if len(text) <= MAX_SIZE and not any(opening in text for opening in _OPENINGS[dialect]):
        return Template(text, dialect, booleans)
    about = "template", text, dialect, *sorted(booleans)
    known = findings.get(*about)
    if known is not None:
        names, unquoted = map(frozenset, known)
        later = cache(partial(_compile, text, dialect, booleans))  # several threads may call it at once
        return Template(text, dialect, booleans, names, unquoted, lambda params: later().render(params))
    compiled = _compile(text, dialect, booleans)
    findings.add(lambda: (tuple(compiled.names), tuple(compiled.unquoted)), *about)
    return Template(text, dialect, booleans, compiled.names, compiled.unquoted, compiled.render)


def _compile(text: str, dialect: Dialect, booleans: frozenset[str]) -> Compiled:
    if "jinja2" not in sys.modules:
        load_without_openssl("jinja2")
    from overseer.templates.compiled import compile_actions

    return compile_actions(text, dialect, booleans)
