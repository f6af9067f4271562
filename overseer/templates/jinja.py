"""Jinja's dialect: ``[[ ]]``, ``[% %]`` and ``[# #]``.

What Jinja would find only at run time is refused here: unknown filters, tests and functions, and Python's
internals. Loops and concatenations are counted, as in Go's dialect.
"""

from __future__ import annotations

from collections.abc import Iterator

from jinja2 import TemplateSyntaxError, meta, nodes
from jinja2.parser import Parser
from jinja2.visitor import NodeTransformer

from overseer.errors import TemplateError
from overseer.templates.go_parser import Structure, is_brackets
from overseer.templates.runtime import Render
from overseer.templates.sandbox import ENVIRONMENT, GO

LITERAL = 'write [["[["]] for [[ itself'

# Jinja's lexer turns every line end into LF. One of these, which it takes for white space, stands in for CR.
_STAND_INS = "\x1c\x1d\x1e\x1f\x85"
_MARKS = ("[[", "]]", "[%", "%]", "[#", "#]")
_STATEMENTS = {
    nodes.Extends: "extends",
    nodes.FromImport: "from",
    nodes.Import: "import",
    nodes.Include: "include",
}
_SPECIAL = frozenset({"caller", "loop", "self", "super", "varargs", "kwargs"})


def is_expression(text: str) -> bool:
    """Whether Jinja would take what stands between ``[[`` and ``]]``."""
    try:
        parser = Parser(ENVIRONMENT, text, state="variable")
        parser.parse_expression()
        return parser.stream.eos
    except TemplateSyntaxError:
        return False


def read_jinja(text: str, booleans: frozenset[str]) -> Structure:
    """Read a text. Raises TemplateError, which begins with the line."""
    stand_in = next((char for char in _STAND_INS if char not in text), "\n")
    try:
        tree = ENVIRONMENT.parse(text.replace("\r", stand_in))
    except TemplateSyntaxError as error:
        raise _problem(error.lineno, error.message or "it cannot be understood") from None
    if "\r" in text and stand_in != "\n":
        for data in tree.find_all(nodes.TemplateData):
            data.data = data.data.replace(stand_in, "\r")
    _check(tree)
    for part in _computed(tree):
        _try(part)
    names = frozenset(meta.find_undeclared_variables(tree)).difference(ENVIRONMENT.globals)
    constant = next(tree.find_all(nodes.Name), None) is None
    unquoted = names.intersection(_unquoted(tree))
    if names & booleans:
        tree = _Shown().visit(tree)
    counted = _Counted().visit(tree)
    return Structure({None: counted}, None, names, unquoted, constant)


def _problem(line: int, message: str) -> TemplateError:
    return TemplateError(f"line {line}: {message.rstrip('.')}; {LITERAL}")


def _check(tree: nodes.Template) -> None:
    """Refuse what can never work."""
    own = {macro.name for macro in tree.find_all(nodes.Macro)} | {
        name.name for name in tree.find_all(nodes.Name) if name.ctx != "load"
    }
    for node in tree.find_all(nodes.Node):
        message = ""
        match node:
            case nodes.Filter(name=str(name)) if name not in ENVIRONMENT.filters:
                message = f'no filter named "{name}"'
            case nodes.Test(name=name) if name not in ENVIRONMENT.tests:
                message = f'no test named "{name}"'
            case nodes.Call(node=nodes.Name(name=name)):
                if name not in ENVIRONMENT.globals and name not in own and name not in _SPECIAL:
                    message = f'function "{name}" not defined'
            case nodes.Getattr(attr=name) if name.startswith("_"):
                message = f'no such attribute "{name}" here'
            case nodes.Output():
                for part in node.nodes:
                    if not isinstance(part, nodes.TemplateData) and _is_bare(part):
                        raise _problem(part.lineno, "nothing is looked up here, so this is not a template")
            case nodes.Extends() | nodes.FromImport() | nodes.Import() | nodes.Include():
                message = f"{_STATEMENTS[type(node)]}: a template cannot refer to other files"
        if message:
            raise _problem(node.lineno, message)


def _is_bare(value: nodes.Expr) -> bool:
    """Whether it consists of literals only, and is not one for the delimiters themselves."""
    return not _looks_up(value) and not is_brackets(value, _MARKS)


def _looks_up(value: nodes.Node) -> bool:
    return isinstance(value, nodes.Name) or next(value.find_all(nodes.Name), None) is not None


_COMPUTED = (
    nodes.BinExpr,
    nodes.Call,
    nodes.Concat,
    nodes.CondExpr,
    nodes.Filter,
    nodes.Getattr,
    nodes.Getitem,
)


def _computed(node: nodes.Node) -> Iterator[nodes.Expr]:
    """The largest expressions that are constant."""
    for child in node.iter_child_nodes(exclude=("filter",)):  # a block's filter has no input yet
        if isinstance(child, _COMPUTED) and not _looks_up(child):
            yield child
        else:
            yield from _computed(child)


def _try(value: nodes.Expr) -> None:
    """Refuse a constant expression that fails."""
    template = ENVIRONMENT.from_string(nodes.Template([nodes.Output([value])]))
    try:
        Render({}, {None: template}, ENVIRONMENT.globals).run(None, {})
    except Exception as error:
        raise _problem(value.lineno, str(error) or type(error).__name__) from None


def _unquoted(node: nodes.Node) -> Iterator[str]:
    """The names whose values may end up in the text without shquote."""
    if isinstance(node, nodes.Expr):
        inside = (node, *node.find_all(nodes.Node))
        if not any(
            (isinstance(each, nodes.Filter) and each.name == "shquote")
            or (isinstance(each, nodes.Call) and each.node == nodes.Name("shquote", "load"))
            for each in inside
        ):
            yield from (each.name for each in inside if isinstance(each, nodes.Name))
        return
    for child in node.iter_child_nodes(exclude=("test",) if isinstance(node, nodes.If) else None):
        yield from _unquoted(child)


def _call(name: str, first: nodes.Expr, line: int, *args: nodes.Expr) -> nodes.Filter:
    """A call of one of the sandbox's own filters."""
    return nodes.Filter(first, GO + name, list(args), [], None, None, lineno=line)


def _shown(value: nodes.Expr) -> nodes.Filter:
    return _call("shown", value, value.lineno)


class _Shown(NodeTransformer):
    """Has bools printed as ``true`` and ``false``, wherever they become text."""

    def visit_Concat(self, node: nodes.Concat) -> nodes.Concat:
        self.generic_visit(node)
        node.nodes = list(map(_shown, node.nodes))
        return node

    def visit_Filter(self, node: nodes.Filter) -> nodes.Filter:
        self.generic_visit(node)
        if node.name == "string" and node.node is not None:
            node.node = _shown(node.node)
        return node

    def visit_Output(self, node: nodes.Output) -> nodes.Output:
        self.generic_visit(node)
        node.nodes = [part if isinstance(part, nodes.TemplateData) else _shown(part) for part in node.nodes]
        return node


class _Counted(NodeTransformer):
    """Has loops, concatenations and outputs counted at run time."""

    def visit_For(self, node: nodes.For) -> nodes.For:
        self.generic_visit(node)
        step = _call("step", nodes.Const(True), node.lineno)
        if node.test is not None:
            node.test = nodes.And(step, node.test, lineno=node.lineno)
        else:
            node.body.insert(0, nodes.ExprStmt(step, lineno=node.lineno))
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Filter:
        self.generic_visit(node)
        first, *rest = node.nodes
        return _call("concat", first, node.lineno, *rest)

    def visit_Output(self, node: nodes.Output) -> nodes.Output:
        self.generic_visit(node)
        node.nodes = [
            part if isinstance(part, nodes.TemplateData) else _call("text", part, part.lineno)
            for part in node.nodes
        ]
        return node
