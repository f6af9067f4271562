"""A whole text in Go's dialect: its nested actions, as Jinja's statements.

``if``, ``range``, ``break`` and ``continue`` become Jinja's statements, every ``define`` a separate template.
A node's line number is its offset in the text plus one, by which errors are traced to their place.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import nodes

from overseer.templates.go_lexer import Action, Problem, scan, string_value, tokenize
from overseer.templates.go_pipeline import (
    KEYWORDS,
    Pipeline,
    Scope,
    go_call,
    load,
    read_pipeline,
)
from overseer.templates.runtime import FRAME
from overseer.templates.sandbox import ENVIRONMENT

_KEYWORD = re.compile(rf"\s*({'|'.join(sorted(KEYWORDS))})(?![^ \t\r\n.,|:()])")


@dataclass(frozen=True, slots=True)
class Structure:
    """A parsed text.

    ``templates``: by name, the text itself under None. ``plain``: if it consists of text and params only, its
    pieces, each with whether it is a param's name. ``constant``: it does not depend on params.
    """

    templates: dict[str | None, nodes.Template]
    plain: list[tuple[str, bool]] | None
    names: frozenset[str]
    unquoted: frozenset[str]
    constant: bool


@dataclass(frozen=True, slots=True)
class _Clause:
    """A keyword at ``start``, and the rest of its action at ``offset``."""

    word: str
    rest: str
    start: int
    offset: int


def read_structure(text: str, booleans: frozenset[str]) -> Structure:
    """Read a text. Raises Problem."""
    return _Reader(text, booleans).read()


class _Reader:
    def __init__(self, text: str, booleans: frozenset[str]) -> None:
        self._scope = Scope(booleans=booleans)
        self._pieces = scan(text)
        self._length = len(text)
        self._position = 0
        self._defined: dict[str, list[nodes.Node]] = {}
        self._called: list[tuple[str, int]] = []
        self._plain: list[tuple[str, bool]] | None = []
        self._names: set[str] = set()
        self._unquoted: set[str] = set()
        self._constant = True

    def read(self) -> Structure:
        body: list[nodes.Node] = []
        scope = self._scope.inner()
        while (clause := self._statements(scope, body)) is not None:
            if clause.word != "define":
                raise Problem(f"unexpected {clause.word}", clause.start)
            name, rest, offset = self._template_name(clause)
            if rest.strip():
                raise Problem("unexpected text in define clause", offset)
            self._define(name, self._closed_body(clause, self._scope.inner()), clause)
        for name, offset in self._called:
            if name not in self._defined:
                raise Problem(f'template "{name}" not defined', offset)
        bodies: dict[str | None, list[nodes.Node]] = {None: body}
        bodies.update(self._defined)
        templates = {name: nodes.Template(statements) for name, statements in bodies.items()}
        for template in templates.values():
            template.set_environment(ENVIRONMENT)
        return Structure(
            templates, self._plain, frozenset(self._names), frozenset(self._unquoted), self._constant
        )

    def _statements(self, scope: Scope, body: list[nodes.Node]) -> _Clause | None:
        """Read into ``body`` up to an end, else or define, which is returned, or the text's end (None)."""
        while self._position < len(self._pieces):
            piece = self._pieces[self._position]
            self._position += 1
            if isinstance(piece, str):
                if self._plain is not None:
                    self._plain.append((piece, False))
                body.append(nodes.Output([nodes.TemplateData(piece)]))
                continue
            clause = _clause(piece)
            if clause is None:
                body.append(self._action(piece, scope))
                continue
            self._plain = None
            match clause.word:
                case "end" | "else" | "define":
                    return clause
                case "if" | "with":
                    body += self._branch(clause, scope)
                case "range":
                    body.append(self._range(clause, scope))
                case "template" | "block":
                    body.append(self._call(clause, scope))
                case _:
                    body.append(_jump(clause, scope))
        return None

    def _action(self, action: Action, scope: Scope) -> nodes.Node:
        pipeline = self._pipeline(action.text, action.offset, scope, "command")
        if pipeline.slots:
            self._plain = None
            return nodes.ExprStmt(pipeline.assigned, lineno=action.offset + 1)
        if pipeline.constant and not is_brackets(pipeline.value):
            problem = Problem("nothing is looked up here, so this is not a template", action.offset)
            problem.action = action.text
            raise problem
        if self._plain is not None:
            if pipeline.param is None:
                self._plain = None
            else:
                self._plain.append((pipeline.param, True))
        shown = go_call("show", pipeline.value).set_lineno(action.offset + 1, override=True)
        return nodes.Output([shown], lineno=action.offset + 1)

    def _branch(self, clause: _Clause, outer: Scope) -> list[nodes.Node]:
        """An ``if`` or a ``with``, up to and including its end."""
        scope = outer.inner()
        pipeline = self._pipeline(clause.rest, clause.offset, scope, clause.word)
        line = clause.start + 1
        if clause.word == "if":
            body, otherwise = self._bodies(clause, scope.inner(), scope)
            return [nodes.If(pipeline.assigned, body, [], otherwise, lineno=line)]
        within = scope.inner().with_dot()
        body, otherwise = self._bodies(clause, within, scope)
        dot = nodes.Assign(nodes.Name(within.dot, "store"), pipeline.assigned, lineno=line)
        return [dot, nodes.If(load(within.dot), body, [], otherwise, lineno=line)]

    def _range(self, clause: _Clause, outer: Scope) -> nodes.Node:
        scope = outer.inner()
        pipeline = self._pipeline(clause.rest, clause.offset, scope, "range")
        within = scope.inner(in_range=True).with_dot()
        key, dot = f"{within.dot}key", within.dot
        body: list[nodes.Node] = [
            nodes.ExprStmt(go_call("assign", load(name), nodes.Const(slot), load(FRAME)))
            for name, slot in zip((key, dot)[-len(pipeline.slots) :], pipeline.slots, strict=False)
        ]
        inner, otherwise = self._bodies(clause, within, scope)
        items = go_call("items", pipeline.value, load(FRAME), nodes.Const(len(pipeline.slots) == 2))
        target = nodes.Tuple([nodes.Name(key, "store"), nodes.Name(dot, "store")], "store")
        return nodes.For(target, items, body + inner, otherwise, None, False, lineno=clause.start + 1)

    def _bodies(
        self, clause: _Clause, within: Scope, scope: Scope
    ) -> tuple[list[nodes.Node], list[nodes.Node]]:
        """The statements up to the clause's end, and those of its else, which has the outer dot."""
        body: list[nodes.Node] = []
        closing = self._closing(clause, self._statements(within, body))
        if closing.word == "end":
            return body, []
        if closing.rest.strip():
            nested = _clause(Action(closing.rest, closing.offset))
            if nested is None or nested.word != clause.word or clause.word == "range":
                raise Problem(f"unexpected text in else of {clause.word}", closing.offset)
            return body, self._branch(nested, scope)
        return body, self._closed_body(clause, scope.inner())

    def _closed_body(self, clause: _Clause, scope: Scope) -> list[nodes.Node]:
        """The statements up to an end."""
        body: list[nodes.Node] = []
        closing = self._closing(clause, self._statements(scope, body))
        if closing.word != "end":
            raise Problem(f"expected end; found {closing.word}", closing.start)
        return body

    def _closing(self, clause: _Clause, closing: _Clause | None) -> _Clause:
        if closing is None:
            raise Problem(f"{clause.word} without end", clause.start)
        if closing.word == "define":
            raise Problem(f"unexpected define in {clause.word}", closing.start)
        if closing.word == "end" and closing.rest.strip():
            raise Problem("unexpected text in end", closing.offset)
        return closing

    def _call(self, clause: _Clause, scope: Scope) -> nodes.Node:
        """A ``template``, or a ``block``, which is a define and a template in one."""
        name, rest, offset = self._template_name(clause)
        value: nodes.Expr = nodes.Const(None)
        if rest.strip() or clause.word == "block":
            value = self._pipeline(rest, offset, scope, f"{clause.word} clause").assigned
        if clause.word == "block":
            self._define(name, self._closed_body(clause, self._scope.inner()), clause)
        self._called.append((name, clause.start))
        text = go_call("template", value, nodes.Const(name), load(FRAME))
        text.set_lineno(clause.start + 1, override=True)
        return nodes.Output([text], lineno=clause.start + 1)

    def _template_name(self, clause: _Clause) -> tuple[str, str, int]:
        """The name after the keyword, and the rest with its offset."""
        words = [token for token in tokenize(clause.rest, clause.offset) if token.kind != "space"]
        if not words or words[0].kind != "string":
            raise Problem(f"{clause.word} needs a name in quotes", clause.offset)
        offset = words[0].offset + len(words[0].text)
        return string_value(words[0]), clause.rest[offset - clause.offset :], offset

    def _define(self, name: str, body: list[nodes.Node], clause: _Clause) -> None:
        """As in Go, of two definitions one must be blank, and is dropped."""
        known = self._defined.get(name)
        if known is None or _is_space(known):
            self._defined[name] = body
        elif not _is_space(body):
            raise Problem(f'multiple definition of template "{name}"', clause.start)

    def _pipeline(self, text: str, offset: int, scope: Scope, context: str) -> Pipeline:
        try:
            pipeline = read_pipeline(text, offset, scope, context)
        except Problem as problem:
            problem.action = text
            raise
        self._names |= pipeline.names
        self._constant &= pipeline.constant
        if context != "if" and not pipeline.quoted:
            self._unquoted |= pipeline.names
        return pipeline


def _clause(action: Action) -> _Clause | None:
    """The action as a keyword and its rest, if it begins with one."""
    match = _KEYWORD.match(action.text)
    if match is None:
        return None
    return _Clause(
        match[1], action.text[match.end() :], action.offset + match.start(1), action.offset + match.end()
    )


def _jump(clause: _Clause, scope: Scope) -> nodes.Node:
    """A ``break`` or ``continue``."""
    if clause.rest.strip():
        raise Problem(f"unexpected text in {clause.word}", clause.offset)
    if not scope.in_range:
        raise Problem(f"{clause.word} outside range", clause.start)
    return nodes.Break() if clause.word == "break" else nodes.Continue()


def is_brackets(value: nodes.Node, marks: Sequence[str] = ("[[", "]]")) -> bool:
    """Whether it is a literal such as ``"[["``, for the brackets themselves."""
    return (
        isinstance(value, nodes.Const)
        and isinstance(value.value, str)
        and any(mark in value.value for mark in marks)
    )


def _is_space(body: list[nodes.Node]) -> bool:
    """Whether a body is only white space."""
    return all(
        isinstance(part, nodes.TemplateData) and not part.data.strip()
        for node in body
        for part in (node.nodes if isinstance(node, nodes.Output) else [node])
    )
