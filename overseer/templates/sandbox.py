"""The one Jinja environment: sandboxed, bounded, without autoescape.

A config's author may run any program anyway. The sandbox keeps expressions, given a client's values, from
exhausting the server's memory or time, and from reaching Python's internals.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sized
from typing import Any, Never

from jinja2 import ChainableUndefined, pass_context
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment, SandboxedEscapeFormatter, SandboxedFormatter
from markupsafe import Markup

from overseer.templates.formatting import go_print
from overseer.templates.functions import FUNCTIONS, field, items, shquote
from overseer.templates.runtime import ValueProblem, assign, call_template, check_size, recall, render_of

GO = "go:"
"""The prefix of Go's functions as filters, which no expression can spell."""

# Filters that take quadratic time, and the one that is not deterministic.
_LEFT_OUT = frozenset({"random", "striptags", "urlize", "wordwrap"})
# Those with a number that determines the length of the result.
_SIZED_FILTERS = frozenset({"batch", "center", "indent", "round", "slice", "tojson", "truncate"})
_SIZED_METHODS = frozenset({"center", "expandtabs", "ljust", "rjust", "to_bytes", "zfill"})


class _Absent(ChainableUndefined):
    """A param without a value in Jinja's dialect: not ``defined``, and otherwise an empty string."""

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
    """Jinja's sandbox with bounds on every result, and on arguments that multiply sizes."""

    intercepted_binops = frozenset({"%", "*", "**", "+"})

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if operator == "*":
            for sequence, times in ((left, right), (right, left)):
                if isinstance(sequence, (str, list, tuple)) and isinstance(times, int):
                    check_size(len(sequence) * times)
        elif operator == "**" and isinstance(left, int) and isinstance(right, int):
            check_size(left.bit_length() * right)
        elif operator == "%" and isinstance(left, str):
            _check_directives(left, right if isinstance(right, tuple) else (right,))
        return render_of(context).counted(super().call_binop(context, operator, left, right))

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        name, of = getattr(obj, "__name__", ""), getattr(obj, "__self__", None)
        if name in _SIZED_METHODS:
            _check_numbers(args, kwargs)
        if isinstance(of, str) and name in _PRODUCTS:
            args = _PRODUCTS[name](of, *args)
        render = render_of(context)
        render.step()
        return render.counted(super().call(context, obj, *args, **kwargs), of, *args)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        if super().wrap_str_format(value) is None:
            return None
        text = value.__self__
        formatter = _Formatter(self)
        if isinstance(text, Markup):
            formatter = _EscapeFormatter(self, escape=text.escape)

        def formatted(*args: Any, **kwargs: Any) -> str:
            if value.__name__ == "format_map":
                (kwargs,), args = args, ()
            return type(text)(formatter.vformat(text, args, kwargs))  # type: ignore[no-any-return]

        return formatted


class _Formatter(SandboxedFormatter):
    """``str.format`` with bounded widths."""

    def format_field(self, value: Any, format_spec: str) -> Any:
        _check_widths(format_spec)
        return super().format_field(value, format_spec)


class _EscapeFormatter(_Formatter, SandboxedEscapeFormatter):
    pass


_WIDTH = re.compile("[0-9]+")


def _check_widths(spec: str) -> None:
    for digits in _WIDTH.findall(spec):
        check_size(int(digits[:9]))


# A directive of Python's %: its name, flags, width and precision.
_DIRECTIVE = re.compile(r"%(?:\([^()%]*\))?[-#0 +]*(?:\*|[0-9]+)?(?:\.(?:\*|[0-9]+))?")


def _check_directives(text: str, values: tuple[Any, ...]) -> None:
    total = 0
    for directive in _DIRECTIVE.findall(text):
        total += sum(int(digits[:9]) for digits in _WIDTH.findall(directive.rpartition(")")[2]))
    check_size(total)
    if "*" in text:
        _check_numbers(values, {})


def _check_numbers(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    for value in (*args, *kwargs.values()):
        if isinstance(value, int):
            check_size(value)


def _replace(text: str, old: Any, new: Any, *more: Any) -> tuple[Any, ...]:
    check_size(text.count(str(old)) * len(str(new)))
    return old, new, *more


def _join(separator: str, parts: Any) -> tuple[Any, ...]:
    parts = parts if isinstance(parts, Sized) else list(parts)
    check_size(len(parts) * len(separator))
    return (parts,)


def _expandtabs(text: str, size: int = 8) -> tuple[Any, ...]:
    check_size(text.count("\t") * size)
    return (size,)


def _translate(text: str, table: Any) -> tuple[Any, ...]:
    values = table.values() if isinstance(table, Mapping) else (table,)
    check_size(len(text) * max((len(str(value)) for value in values), default=0))
    return (table,)


# String methods whose result's size may be a product: these check and return their arguments.
_PRODUCTS: Mapping[str, Callable[..., tuple[Any, ...]]] = {
    "expandtabs": _expandtabs,
    "join": _join,
    "replace": _replace,
    "translate": _translate,
}


def _indented(text: Any, width: Any = 4, *_: Any, **__: Any) -> None:
    check_size((str(text).count("\n") + 1) * (len(width) if isinstance(width, str) else width))


def _joined(parts: Any, separator: Any = "", *_: Any, d: Any = "", **__: Any) -> None:
    check_size(len(parts) * max(len(str(separator)), len(str(d))))


def _replaced(text: Any, old: Any, new: Any, *_: Any, **__: Any) -> None:
    _replace(str(text), old, new)


def _summed(parts: Any, attribute: Any = None, start: Any = 0) -> None:
    if not isinstance(start, (int, float)):
        raise ValueProblem("sum adds up numbers only")


def _written(value: Any, indent: int | None = None) -> None:
    if indent is not None and indent > 16:
        raise ValueProblem(f"an indent of {indent} is too much here; the most is 16")


# The same for filters, whose iterables have been made lists.
_CHECKS: Mapping[str, Callable[..., None]] = {
    "format": lambda text, *values, **named: _check_directives(str(text), (*values, *named.values())),
    "indent": _indented,
    "join": _joined,
    "replace": _replaced,
    "sum": _summed,
    "tojson": _written,
}


def _bounded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter, or one of Go's functions, with its arguments and result counted."""
    wanted = getattr(getattr(function, "jinja_pass_arg", None), "name", "")
    first: Callable[[Context], tuple[Any, ...]] = _FIRST.get(wanted, lambda context: ())
    check = _CHECKS.get(name)

    @functools.wraps(function)
    def bounded(context: Context, *args: Any, **kwargs: Any) -> Any:
        if name in _SIZED_FILTERS:
            _check_numbers(args, kwargs)
        if check is not None:
            if args and not isinstance(args[0], Sized):
                args = (list(args[0]), *args[1:]) if hasattr(args[0], "__iter__") else args
            check(*args, **kwargs)
        return render_of(context).counted(function(*first(context), *args, **kwargs), *args)

    return pass_context(bounded)


_FIRST: Mapping[str, Callable[[Context], tuple[Any, ...]]] = {
    "context": lambda context: (context,),
    "eval_context": lambda context: (context.eval_ctx,),
    "environment": lambda context: (context.environment,),
}


def _show(value: Any) -> str:
    """What an action prints; nil, like a missing param, prints nothing (Go: ``<no value>``)."""
    return "" if value is None else go_print(value)


def _concatenated(*values: Any) -> str:
    """Jinja's ``a ~ b``."""
    return "".join(map(str, values))


def _shown(value: Any) -> Any:
    """What Jinja is to print for a value, where a param is a bool: its word for one is Python's."""
    return go_print(value) if isinstance(value, bool) else value


@pass_context
def _step(context: Context, value: Any) -> Any:
    """Count an iteration of one of Jinja's loops."""
    render_of(context).step()
    return value


def _make() -> _Environment:
    environment = _Environment(
        block_start_string="[%",
        block_end_string="%]",
        variable_start_string="[[",
        variable_end_string="]]",
        comment_start_string="[#",
        comment_end_string="#]",
        undefined=_Absent,
        autoescape=False,
        keep_trailing_newline=True,
    )
    filters = {
        name: _bounded(name, function)
        for name, function in environment.filters.items()
        if name not in _LEFT_OUT
    }
    filters["shquote"] = _bounded("shquote", shquote)
    filters |= {GO + name: _bounded(GO + name, function) for name, (function, _, _) in FUNCTIONS.items()}
    filters |= {
        GO + "assign": assign,
        GO + "concat": _bounded("", _concatenated),
        GO + "field": field,
        GO + "flag": field,  # of a param that is a bool
        GO + "items": items,
        GO + "recall": recall,
        GO + "show": _show,
        GO + "step": _step,
        GO + "template": call_template,
        GO + "shown": _bounded("", _shown),
        GO + "text": _bounded("", str),
    }
    environment.filters = filters
    # Jinja's other globals generate text (lipsum) or hold state.
    environment.globals = {"range": environment.globals["range"], "shquote": shquote}
    return environment


ENVIRONMENT = _make()
