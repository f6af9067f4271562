"""The one Jinja environment: sandboxed, bounded, without autoescape.

A config's author may run any program anyway; what is prevented is that an expression, on some
value that a client sends, takes the server's memory or time, or reaches Python's insides.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, Never

from jinja2 import ChainableUndefined
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from overseer.templates.functions import FUNCTIONS, field, shquote
from overseer.templates.limits import MAX_SIZE
from overseer.templates.runtime import assign, call_template, items, recall
from overseer.templates.values import ValueProblem, go_print

__all__ = ["ENVIRONMENT", "GO"]

GO = "go:"
"""Go's functions are filters whose names begin with this, which no expression can spell."""

# What takes a number that says how long the result becomes.
_SIZED_FILTERS = frozenset({"batch", "center", "indent", "round", "slice", "truncate", "wordwrap"})
_SIZED_METHODS = frozenset({"center", "expandtabs", "ljust", "rjust", "to_bytes", "zfill"})


class _Absent(ChainableUndefined):
    """A param without a value in Jinja's dialect: it is not ``defined``, and else an empty string."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Absent) or other == ""

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash("")

    def __add__(self, other: Any) -> Any:
        return "" + other

    def __radd__(self, other: Any) -> Any:
        return other + ""

    def __int__(self, *args: Any, **kwargs: Any) -> Never:
        raise ValueError("nothing is not a number")  # what the filters int and float expect of ""

    __float__ = __int__


class _Environment(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, with bounds on what grows out of numbers."""

    intercepted_binops = frozenset({"*", "**"})

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if operator == "*":
            for sequence, times in ((left, right), (right, left)):
                if isinstance(sequence, (str, list, tuple)) and isinstance(times, int):
                    _check_number(len(sequence) * times)
        elif isinstance(left, int) and isinstance(right, int):
            _check_number(left.bit_length() * right)
        return _checked(super().call_binop(context, operator, left, right))

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        if getattr(obj, "__name__", "") in _SIZED_METHODS:
            _check_numbers(args, kwargs)
        return _checked(super().call(context, obj, *args, **kwargs))


def _check_number(number: int) -> None:
    if abs(number) > MAX_SIZE:
        raise ValueProblem(f"{number} is too large here; the most is {MAX_SIZE}")


def _check_numbers(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    for value in (*args, *kwargs.values()):
        if isinstance(value, int):
            _check_number(value)


def _checked(result: Any) -> Any:
    if isinstance(result, (str, list, tuple)) and len(result) > MAX_SIZE:
        raise ValueProblem(f"a value grew beyond {MAX_SIZE} characters")
    return result


def _bounded(name: str, jinja_filter: Callable[..., Any]) -> Callable[..., Any]:
    """A filter, or a function of Go's, that looks at its result's size and perhaps at its numbers."""

    @functools.wraps(jinja_filter)  # keeps the mark that says whether it wants the context
    def bounded(*args: Any, **kwargs: Any) -> Any:
        if name in _SIZED_FILTERS:
            _check_numbers(args, kwargs)
        return _checked(jinja_filter(*args, **kwargs))

    return bounded


def _show(value: Any) -> str:
    """What an action prints; nil is nothing, as a missing param is (Go says ``<no value>``)."""
    return "" if value is None else go_print(value)


def _make() -> _Environment:
    environment = _Environment(
        variable_start_string="[[", variable_end_string="]]", undefined=_Absent, autoescape=False
    )
    filters = {name: _bounded(name, jinja_filter) for name, jinja_filter in environment.filters.items()}
    filters["shquote"] = shquote
    filters |= {GO + name: _bounded(GO + name, function) for name, (function, _, _) in FUNCTIONS.items()}
    filters |= {
        GO + "assign": assign,
        GO + "field": field,
        GO + "items": items,
        GO + "recall": recall,
        GO + "show": _show,
        GO + "template": call_template,
    }
    environment.filters = filters
    # Jinja's other globals make text out of nothing (lipsum) or hold state.
    environment.globals = {"range": environment.globals["range"], "shquote": shquote}
    return environment


ENVIRONMENT = _make()
