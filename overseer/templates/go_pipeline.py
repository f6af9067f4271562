"""Go's pipelines, parsed directly into Jinja's expressions.

``.a``, ``$x`` and the functions become filters that only generated code can name; ``and``, ``or`` and ``not``
become Jinja's own, which return their operands as Go's do. Errors that Go would raise at every run are raised
here.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from jinja2 import nodes

from overseer.templates.formatting import Byte, go_type
from overseer.templates.functions import FUNCTIONS
from overseer.templates.go_lexer import (
    Problem,
    Token,
    character_value,
    number_value,
    string_value,
    tokenize,
)
from overseer.templates.runtime import FRAME, ROOT, ValueProblem
from overseer.templates.sandbox import GO

KEYWORDS = frozenset(
    ("block", "break", "continue", "define", "else", "end", "if", "range", "template", "with")
)
_LOGIC = {"and": nodes.And, "or": nodes.Or}
_END = ("end", "close")


@dataclass(frozen=True, slots=True)
class Scope:
    """The current variables and dot; inner scopes are copies, so declarations end with them.

    ``dot`` is the Jinja name of the dot, ``slots`` numbers the variables of a whole text, ``booleans`` are
    the params that are bools.
    """

    dot: str = ROOT
    variables: dict[str, int] = field(default_factory=dict)
    in_range: bool = False
    slots: Iterator[int] = field(default_factory=count)
    booleans: frozenset[str] = frozenset()

    def inner(self, *, in_range: bool = False) -> Scope:
        """The scope of a block within this one."""
        return replace(self, variables=dict(self.variables), in_range=self.in_range or in_range)

    def with_dot(self) -> Scope:
        """The same scope with a new dot; the outer one stays reachable by its name."""
        return replace(self, dot=f"{self.dot}0")

    def declare(self, name: str) -> int:
        """The slot of a new variable."""
        self.variables[name] = slot = next(self.slots)
        return slot

    def slot(self, variable: Token) -> int:
        """The slot of a variable. Raises Problem: there is none of that name."""
        if variable.text not in self.variables:
            raise Problem(f"undefined variable {variable.text}", variable.offset)
        return self.variables[variable.text]


def go_call(name: str, first: nodes.Expr, *args: nodes.Expr) -> nodes.Expr:
    """A call of one of Go's functions, or of a helper in :mod:`overseer.templates.runtime`."""
    return nodes.Filter(first, GO + name, list(args), [], None, None)


def load(name: str) -> nodes.Expr:
    """The value of one of the internal names."""
    return nodes.Name(name, "load")


@dataclass(frozen=True, slots=True)
class _Operand:
    """One word of a command. ``kind``: value, literal, nil or function (which has no value yet)."""

    kind: str
    token: Token
    value: nodes.Expr


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A value, and the slots of the variables that it is assigned to.

    ``names`` are the params that it may look up; ``quoted``: it uses shquote; ``constant``: it does not
    depend on params.
    """

    value: nodes.Expr
    slots: tuple[int, ...]
    names: frozenset[str]
    quoted: bool
    constant: bool

    @property
    def assigned(self) -> nodes.Expr:
        """The value, assigned to its variables."""
        value = self.value
        for slot in self.slots:
            value = go_call("assign", value, nodes.Const(slot), load(FRAME))
        return value

    @property
    def param(self) -> str | None:
        """The param's name, if the value is just a param."""
        value = self.value
        if isinstance(value, nodes.Filter) and value.name == GO + "field" and value.node == load(ROOT):
            return next(iter(self.names))
        return None


def read_pipeline(text: str, offset: int, scope: Scope, context: str) -> Pipeline:
    """Read the rest of an action after its keyword; ``offset`` is that of ``text``.

    Variables are declared in ``scope``. ``context`` names the action in messages. Raises Problem.
    """
    reader = _Reader(tokenize(text, offset), offset + len(text), scope)
    value, slots = reader.read(context)
    value.set_lineno(offset + 1, override=True)
    return Pipeline(value, slots, frozenset(reader.names), reader.quoted, reader.constant)


def _static_type(value: nodes.Expr) -> str | None:
    """A value's type in Go, if it is the same in every render."""
    match value:
        case nodes.Const():
            return go_type(value.value)
        case nodes.Not():
            return "bool"
        case nodes.And() | nodes.Or():
            left, right = _static_type(value.left), _static_type(value.right)
            return left if left == right else None
        case nodes.Filter(name=name):
            if name == GO + "field":
                return "string" if value.node == load(ROOT) else None
            if name == GO + "flag":
                return "bool"
            return _RESULTS.get(name.removeprefix(GO))
    return None


_RESULTS = {
    **dict.fromkeys(("eq", "ge", "gt", "le", "lt", "ne"), "bool"),
    **dict.fromkeys(("html", "js", "print", "printf", "println", "shquote", "urlquery"), "string"),
    "len": "int",
}
# For each type a value that is invalid only where the type is.
_SAMPLES: Mapping[str | None, Any] = {
    "string": "x", "int": 0, "float64": 0.0, "bool": False, "uint8": Byte(0), "<nil>": None,
}  # fmt: skip
_TYPED = frozenset(("eq", "ge", "gt", "index", "le", "len", "lt", "ne", "printf", "slice"))


class _Reader:
    """Reads the tokens of one action from first to last. Every method may raise Problem."""

    def __init__(self, tokens: list[Token], end: int, scope: Scope) -> None:
        self._tokens = tokens
        self._position = 0
        self._end = Token("end", "the end", end)
        self._scope = scope
        self.names: set[str] = set()
        """Params that the expression may look up."""
        self.quoted = False
        """Whether shquote is among its functions."""
        self.constant = True
        """Whether it depends on no param, dot or variable."""

    def read(self, context: str) -> tuple[nodes.Expr, tuple[int, ...]]:
        """The value of the whole action, and the slots of its variables."""
        result = self._pipeline(context)
        if self._peek().kind != "end":
            raise self._unexpected(context)
        return result

    def _targets(self, context: str) -> tuple[list[Token], bool]:
        """Take the variables before ``:=`` or ``=``, if there are any; and whether they are declared."""
        start = self._position
        variables: list[Token] = []
        while self._skip_space().kind == "variable":
            variables.append(self._take())
            if self._skip_space().kind != "comma":
                break
            self._take()
        mark = self._skip_space().kind
        if not variables or mark not in ("declare", "assign"):
            self._position = start
            return [], False
        if len(variables) > (2 if context == "range" else 1):
            raise Problem(f"too many declarations in {context}", variables[0].offset)
        self._take()
        return variables, mark == "declare"

    def _pipeline(self, context: str) -> tuple[nodes.Expr, tuple[int, ...]]:
        variables, declared = self._targets(context)
        value = self._command(context, None)
        while self._skip_space().kind == "pipe":
            self._take()
            value = self._command(context, value)
        # Only now, so that the right $x in $x := $x is the older one.
        slots = (self._scope.declare(each.text) if declared else self._scope.slot(each) for each in variables)
        return value, tuple(slots)

    def _command(self, context: str, piped: nodes.Expr | None) -> nodes.Expr:
        """One command; ``piped`` is the previous one's value, which becomes its last argument."""
        if self._skip_space().kind in _END:
            raise Problem(f"missing value for {context}", self._peek().offset)
        first = self._operand(context)
        args = []
        while self._peek().kind == "space" and self._skip_space().kind not in (*_END, "pipe"):
            operand = self._operand(context)
            args.append(self._call(operand.token, []) if operand.kind == "function" else operand.value)
        if self._peek().kind not in (*_END, "pipe"):
            raise self._unexpected(context)
        if piped is not None:
            args.append(piped)
        if first.kind == "function":
            return self._call(first.token, args)
        if args:
            raise Problem(f"can't give argument to non-function {first.token.text}", first.token.offset)
        if first.kind == "nil":
            raise Problem("nil is not a command", first.token.offset)
        return first.value

    def _operand(self, context: str) -> _Operand:
        """A term and its fields."""
        operand = self._term(context)
        while self._peek().kind == "field":
            if operand.kind != "value" or operand.token.kind == "dot":
                raise Problem(f"unexpected . after term {operand.token.text}", self._peek().offset)
            operand = _Operand("value", operand.token, self._field(operand.value))
        return operand

    def _term(self, context: str) -> _Operand:
        token = self._peek()
        value: nodes.Expr = nodes.Const(None)
        kind = "value"
        match token.kind:
            case "word":
                return self._word(context)
            case "field":
                return _Operand(kind, token, self._field(load(self._scope.dot)))
            case "dot":
                self.constant = False
                value = load(self._scope.dot)
            case "variable":
                value = self._variable(token)
            case "string" | "character" | "number":
                kind = "literal"
                value = nodes.Const(_VALUES[token.kind](token))
            case "open":
                self._take()
                value, slots = self._pipeline("parenthesized pipeline")
                for slot in slots:
                    self.constant = False
                    value = go_call("assign", value, nodes.Const(slot), load(FRAME))
                if self._peek().kind != "close":
                    raise Problem("unclosed left paren", token.offset)
            case _:
                raise self._unexpected(context)
        self._take()
        return _Operand(kind, token, value)

    def _word(self, context: str) -> _Operand:
        token = self._peek()
        if token.text in KEYWORDS:
            raise self._unexpected(context)
        self._take()
        if token.text in ("true", "false"):
            return _Operand("literal", token, nodes.Const(token.text == "true"))
        if token.text == "nil":
            return _Operand("nil", token, nodes.Const(None))
        if token.text in FUNCTIONS or token.text in _LOGIC or token.text == "not":
            return _Operand("function", token, nodes.Const(None))
        alone = self._skip_space().kind in (*_END, "pipe")
        piped = any(earlier.kind == "pipe" for earlier in self._tokens[: self._position])
        hint = f" (the param is .{token.text})" if alone and not piped else ""
        raise Problem(f'function "{token.text}" not defined{hint}', token.offset)

    def _field(self, of: nodes.Expr) -> nodes.Expr:
        name = self._take().text[1:]
        self.constant = False
        if not (isinstance(of, nodes.Filter) and of.name in (GO + "field", GO + "flag")):
            self.names.add(name)
        is_flag = of == load(ROOT) and name in self._scope.booleans
        return go_call("flag" if is_flag else "field", of, nodes.Const(name))

    def _variable(self, token: Token) -> nodes.Expr:
        self.constant = False
        if token.text == "$" and "$" not in self._scope.variables:
            return load(ROOT)
        return go_call("recall", nodes.Const(self._scope.slot(token)), load(FRAME))

    def _call(self, function: Token, args: list[nodes.Expr]) -> nodes.Expr:
        name = function.text
        _, least, most = FUNCTIONS.get(name, (None, 1, 1 if name == "not" else None))
        if len(args) < least or (most is not None and len(args) > most):
            want = (
                f"at least {least}" if most is None else f"{least}" if least == most else f"{least} to {most}"
            )
            raise Problem(f"wrong number of args for {name}: want {want} got {len(args)}", function.offset)
        if name in _LOGIC:
            return functools.reduce(_LOGIC[name], args)
        if name == "not":
            return nodes.Not(args[0])
        if name == "index" and isinstance(args[0], nodes.Name) and len(args) > 1:
            key = args[1]
            if isinstance(key, nodes.Const) and isinstance(key.value, str):
                self.names.add(key.value)
        self.quoted |= name == "shquote"
        if name in _TYPED:
            _check_types(function, args)
        return go_call(name, *args) if args else nodes.Const(FUNCTIONS[name][0]())

    def _unexpected(self, context: str) -> Problem:
        return Problem(f"unexpected {self._peek().text} in {context}", self._peek().offset)

    def _peek(self) -> Token:
        return self._tokens[self._position] if self._position < len(self._tokens) else self._end

    def _take(self) -> Token:
        token = self._peek()
        self._position += 1
        return token

    def _skip_space(self) -> Token:
        while self._peek().kind == "space":
            self._position += 1
        return self._peek()


def _check_types(function: Token, args: list[nodes.Expr]) -> None:
    """Refuse a call whose arguments are of types that the function never takes (``eq .n 1``)."""
    types = [_static_type(arg) for arg in args]
    if all(isinstance(arg, nodes.Const) for arg in args):
        values = [arg.value for arg in args if isinstance(arg, nodes.Const)]
    elif None in types:
        return
    else:
        values = [_SAMPLES[each] for each in types]
    try:
        FUNCTIONS[function.text][0](*values)
    except ValueProblem as problem:
        hint = ""
        if "string" in types and "int" in types and function.text not in ("index", "slice"):
            hint = ' (a param is a string: compare it with one, as in eq .n "1")'
        elif "string" in types and "bool" in types and function.text in ("eq", "ne"):
            hint = " (a boolean is compared with true or false, without quotes)"
        raise Problem(f"{problem}{hint}", function.offset) from None


_VALUES = {"string": string_value, "character": character_value, "number": number_value}
