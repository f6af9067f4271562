"""What stands between the delimiters, in either dialect, as one of Jinja's expressions.

The rule: what Go can read is Go's. Of the rest, what has something that only Go has is a mistake
(``[[ shqoute .name ]]``, which to Jinja would be an attribute of something undefined), and all else
is an expression of Jinja's.
"""

from __future__ import annotations

from dataclasses import dataclass

from jinja2 import TemplateSyntaxError, nodes
from jinja2.parser import Parser

from overseer.templates.environment import ENVIRONMENT, GO
from overseer.templates.functions import FUNCTIONS
from overseer.templates.pipeline import GoReader, go_call, load
from overseer.templates.runtime import FRAME, ROOT
from overseer.templates.scan import Problem
from overseer.templates.scope import Scope
from overseer.templates.tokens import Token, tokenize

__all__ = ["Pipeline", "read_pipeline"]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A value and the slots of the variables that it is for.

    ``names`` are the params it may look up; ``quoted`` says that shquote is at work in it.
    """

    value: nodes.Expr
    slots: tuple[int, ...]
    names: frozenset[str]
    quoted: bool
    is_go: bool

    @property
    def assigned(self) -> nodes.Expr:
        """The value, put into its variables on the way."""
        value = self.value
        for slot in self.slots:
            value = go_call("assign", value, nodes.Const(slot), load(FRAME))
        return value

    @property
    def shown(self) -> nodes.Expr:
        """The value as text, each dialect's in its own way (``true`` is ``True`` in Jinja)."""
        return go_call("show", self.value) if self.is_go else self.value

    @property
    def param(self) -> str | None:
        """The param's name, if the value is a param as it is, looked up in what the text is rendered with."""
        value = self.value
        if isinstance(value, nodes.Name) and not self.is_go:
            return value.name if value.name in self.names else None
        if isinstance(value, nodes.Filter) and value.name == GO + "field" and value.node == load(ROOT):
            return next(iter(self.names))
        return None


def read_pipeline(text: str, offset: int, scope: Scope, context: str) -> Pipeline:
    """Read what is left of an action behind its keyword; ``offset`` is that of ``text``.

    Variables are declared in ``scope``. Raises Problem.
    """
    tokens, problem = tokenize(text, offset)
    end = offset + len(text)
    outside = dict(scope.variables)
    go = GoReader(tokens, end, scope)
    try:
        if problem is None:
            value, slots = go.read(context)
            value.set_lineno(offset + 1, override=True)
            return Pipeline(value, slots, frozenset(go.names), go.quoted, is_go=True)
    except Problem as refusal:
        problem = refusal
    scope.variables.clear()
    scope.variables.update(outside)
    head = GoReader(tokens, end, scope)
    targets = head.targets(context)
    start = head.offset
    source = text[start - offset :]
    if not source.strip() or _only_go([token for token in tokens if token.offset >= start]):
        raise problem
    value, names, quoted = _read_jinja(source, start, scope)
    return Pipeline(value, targets.slots(scope), names, quoted, is_go=False)


def _only_go(tokens: list[Token]) -> bool:
    """Whether there is something in an expression that Jinja has not: a field, a variable, a raw
    string, or a function in front, alone or with its first argument."""
    before = "open"
    for token in tokens:
        if token.kind in ("variable", "declare") or token.text.startswith("`"):
            return True
        if token.kind in ("field", "dot") and before in ("open", "space", "pipe"):
            return True
        before = token.kind
    words = [token for token in tokens if token.kind != "space"]
    if not words or words[0].kind != "word":
        return False
    following = words[1].kind if len(words) > 1 else "nothing"
    if words[0].text in FUNCTIONS or words[0].text == "nil":
        return following == "nothing" or (following in _OPERANDS and words[1].text not in _OPERATORS)
    return following in ("string", "number", "character")


_OPERANDS = frozenset({"string", "number", "character", "word"})
_OPERATORS = frozenset({"and", "or", "not", "in", "is", "if", "else"})


def _read_jinja(source: str, offset: int, scope: Scope) -> tuple[nodes.Expr, frozenset[str], bool]:
    """An expression of Jinja's, the names it looks up, and whether it quotes."""
    try:
        parser = Parser(ENVIRONMENT, source, state="variable")
        value = parser.parse_expression()
        if not parser.stream.eos:
            raise Problem(f"unexpected {parser.stream.current.value!r} after the expression", offset)
    except TemplateSyntaxError as error:
        message = (error.message or "not an expression").replace("end of template", "end")
        raise Problem(message, offset) from None
    names, quoted = _check(value, offset, scope)
    value.set_lineno(offset + 1, override=True)
    return value, names, quoted


def _check(value: nodes.Expr, offset: int, scope: Scope) -> tuple[frozenset[str], bool]:
    """The names that an expression looks up, and whether it quotes. What Jinja would find wrong only
    when it gets there is refused now: unknown filters, tests and functions, and Python's internals."""
    quoted = False
    names: set[str] = set()
    called: set[str] = set()
    for node in (value, *value.find_all(nodes.Node)):
        match node:
            case nodes.Filter(name=name):
                if name not in ENVIRONMENT.filters:
                    raise Problem(f'no filter named "{name}"', offset)
                quoted |= name == "shquote"
            case nodes.Test(name=name):
                if name not in ENVIRONMENT.tests:
                    raise Problem(f'no test named "{name}"', offset)
            case nodes.Call(node=nodes.Name(name=name)):
                if name not in ENVIRONMENT.globals:
                    raise Problem(f'function "{name}" not defined', offset)
                called.add(name)
                quoted |= name == "shquote"
            case nodes.Getattr(attr=name) if name.startswith("_"):
                raise Problem(f'there is no attribute "{name}" here', offset)
            case nodes.Name(name="self"):
                raise Problem("self is taken by Jinja; the param is [[.self]]", offset)
            case nodes.Name(name=name):
                names.add(name)
    return frozenset(names - called - ({"loop"} if scope.in_range else set())), quoted
