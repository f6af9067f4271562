"""One rendering, in either dialect: its bounds, its variables, and templates that call templates.

All bounds are here; :mod:`sandbox` and :mod:`formatting` check them before making something large.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import jinja2
    from jinja2.runtime import Context

MAX_SIZE: Final = 1 << 20
"""Characters in a rendered text and any intermediate string. (On Linux a program's argument may have 128
KiB.)"""

MAX_WORK: Final = 16 * MAX_SIZE
"""Characters that all functions together may read and write in one render."""

MAX_STEPS: Final = 100_000
"""Loop iterations and template calls in one render."""

MAX_DEPTH: Final = 100
"""Nested template calls. Go allows 100,000; here each takes a few frames of Python's stack."""


class ValueProblem(Exception):
    """An invalid value for an expression; the text says why, in Go's words."""


def check_size(size: int) -> None:
    """Check a number that is, or determines, the length of a text."""
    if abs(size) > MAX_SIZE:
        raise ValueProblem(f"{size} is too much here; the most is {MAX_SIZE}")


ROOT, FRAME = "0dot", "0frame"
"""Jinja's names for a template's dot and variables. Jinja's compiler accepts names that begin with a digit,
which no param or expression can spell."""


class Render:
    """One rendering: the params, the templates by name, and what remains of the bounds."""

    __slots__ = ("_depth", "_names", "_steps", "_templates", "_work")

    def __init__(
        self,
        params: Mapping[str, str | bool | Mapping[str, Any]],
        templates: Mapping[str | None, jinja2.Template],
        names: Mapping[str, Any],
    ) -> None:
        self._names = {**names, **params}
        self._templates = templates
        self._steps = MAX_STEPS
        self._work = MAX_WORK
        self._depth = 0

    def step(self) -> None:
        """Count one iteration or call."""
        self._steps -= 1
        if self._steps < 0:
            raise ValueProblem(f"more than {MAX_STEPS} iterations")

    def counted(self, result: Any, *given: Any) -> Any:
        """Count ``result`` and what it was made from; returns it."""
        if isinstance(result, _SIZED) and len(result) > MAX_SIZE:
            raise ValueProblem(f"a value grew beyond {MAX_SIZE} characters")
        self._work -= sum(len(value) for value in (result, *given) if isinstance(value, _SIZED))
        if self._work < 0:
            raise ValueProblem(f"functions went through more than {MAX_WORK} characters")
        return result

    def run(self, name: str | None, dot: Any) -> str:
        """The text of the template ``name`` for ``dot``."""
        self.step()
        if self._depth == MAX_DEPTH:
            raise ValueProblem(f"exceeded maximum template depth ({MAX_DEPTH})")
        self._depth += 1
        template = self._templates[name]
        context = template.new_context({**self._names, ROOT: dot, FRAME: Frame(self)}, shared=True)
        parts: list[str] = []
        size = 0
        for part in template.root_render_func(context):
            parts.append(part)
            size += len(part)
            if size > MAX_SIZE:
                raise ValueProblem(f"the text grew beyond {MAX_SIZE} characters")
        self._depth -= 1
        return "".join(parts)


_SIZED = (str, list, tuple, Mapping)


class Frame:
    """The variables of one call of one template; each declaration in its text has a slot."""

    __slots__ = ("render", "values")

    def __init__(self, render: Render) -> None:
        self.render = render
        self.values: dict[int, Any] = {}


def render_of(context: Context) -> Render:
    """The rendering that a filter or function is called in."""
    frame: Frame = context.parent[FRAME]
    return frame.render


def assign(value: Any, slot: int, frame: Frame) -> Any:
    """Assign a variable; returns the value, as a declaring pipeline does."""
    frame.values[slot] = value
    return value


def recall(slot: int, frame: Frame) -> Any:
    """The value of a variable."""
    return frame.values.get(slot)


def call_template(dot: Any, name: str, frame: Frame) -> str:
    """The text of the template ``name`` for ``dot``."""
    return frame.render.run(name, dot)
