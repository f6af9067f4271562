"""Makes the expression tree from a parse tree: literals read, macros recognised, bounds checked.

Neither parsing nor this walk recurses, so no expression can exhaust the stack before its depth is checked.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from lark.lexer import Token

from overseer.cel.grammar import (
    ParseTree,
    bytes_value,
    float_value,
    int_value,
    parse_tree,
    string_value,
    uint_value,
)
from overseer.cel.nodes import (
    Call,
    Has,
    Ident,
    ListLiteral,
    Literal,
    Macro,
    MapLiteral,
    Node,
    Select,
    children,
)
from overseer.errors import CelError

#: Characters in an expression (cel-go's limit).
MAX_LENGTH: Final = 100_000
#: Levels of nesting. Checker and compiler recurse with at most three frames per level.
MAX_DEPTH: Final = 200

# Words that cannot be a name, and those that cannot be a field either.
_RESERVED = {
    "as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop", "package",
    "namespace", "return", "var", "void", "while",
}  # fmt: skip
_WORDS = frozenset({"true", "false", "null", "in"})
_CONSTANTS: dict[str, object] = {"true": True, "false": False, "null": None}

_LITERALS: dict[str, Callable[[str], object]] = {
    "INT_LIT": int_value,
    "UINT_LIT": uint_value,
    "FLOAT_LIT": float_value,
    "STRING_LIT": string_value,
    "MLSTRING_LIT": string_value,
    "BYTES_LIT": bytes_value,
    "BOOL_LIT": lambda text: text == "true",
    "NULL_LIT": lambda text: None,
}
# A rule for the left side of each operator: its name in the grammar, the function's name.
_OPERATORS = {
    "relation_lt": "_<_", "relation_le": "_<=_", "relation_gt": "_>_", "relation_ge": "_>=_",
    "relation_eq": "_==_", "relation_ne": "_!=_", "relation_in": "@in",
    "addition_add": "_+_", "addition_sub": "_-_",
    "multiplication_mul": "_*_", "multiplication_div": "_/_", "multiplication_mod": "_%_",
}  # fmt: skip
_MACRO_ARGUMENTS = {
    **dict.fromkeys(("all", "exists", "exists_one", "existsOne", "filter"), (2,)),
    "map": (2, 3),
}
_SPELLINGS = {"existsOne": "exists_one"}


def parse(expression: str) -> Node:
    """The expression tree of ``expression``.

    Raises:
        CelError: a syntax error, with its place, or an expression that is too long or too deep.
    """
    if len(expression) > MAX_LENGTH:
        raise CelError(f"the expression is longer than {MAX_LENGTH} characters")
    node = _build(parse_tree(expression))
    _check_depth(node)
    return node


def _build(root: ParseTree) -> Node:
    """Bottom up, with an explicit stack: results replace a parse tree once its children are done."""
    results: list[list[object]] = [[]]
    todo: list[tuple[ParseTree, bool]] = [(root, False)]
    while todo:
        tree, done = todo.pop()
        if done:
            results[-2].append(_make(tree, results.pop()))
            continue
        results.append([])
        todo.append((tree, True))
        # Tokens are not put on the stack: rules read them from their own tree.
        todo.extend((child, False) for child in reversed(tree.children) if not isinstance(child, Token))
    (node,) = results[0]
    assert isinstance(node, Node)
    return node


def _make(tree: ParseTree, parts: list[Any]) -> object:
    rule = str(tree.data)
    line, column = getattr(tree.meta, "line", 1), getattr(tree.meta, "column", 1)
    if rule in _OPERATORS:
        return _OPERATORS[rule], parts[0]
    return _MAKERS[rule](line, column, parts, [child for child in tree.children if isinstance(child, Token)])


def _logic(function: str) -> Callable[..., Node]:
    def make(line: int, column: int, parts: list[Node], _: list[Token]) -> Node:
        left, right = parts
        if isinstance(left, Call) and left.function == function:
            left.args.append(right)  # one call for the whole chain, which may be long but is not deep
            return left
        return Call(line, column, function, None, [left, right])

    return make


def _ternary(line: int, column: int, parts: list[Node], _: list[Token]) -> Node:
    return Call(line, column, "_?_:_", None, parts)


def _unary(line: int, column: int, parts: list[Any], _: list[Token]) -> Node:
    function, operand = parts
    if function == "-_" and isinstance(operand, Literal):
        value: Any = operand.value
        if value.__class__ in (int, float) and math.copysign(1, value) > 0:
            return Literal(line, column, -value)
    return Call(line, column, function, None, [operand])


def _select(line: int, column: int, parts: list[Node], tokens: list[Token]) -> Node:
    (name,) = tokens
    _refuse_word(name)
    return Select(line, column, parts[0], str(name))


def _refuse_word(name: Token) -> None:
    if name in _WORDS:
        message = f"syntax error: unexpected {str(name)!r}"
        raise CelError(message, line=name.line or 0, column=name.column or 0)


def _method(line: int, column: int, parts: list[Any], tokens: list[Token]) -> Node:
    target = parts[0]
    args: list[Node] = parts[1] if len(parts) > 1 else []
    _refuse_word(tokens[0])
    name = str(tokens[0])
    if len(args) in _MACRO_ARGUMENTS.get(name, ()):
        return _macro(line, column, name, target, args)
    return Call(line, column, name, target, args)


def _macro(line: int, column: int, kind: str, target: Node, args: list[Node]) -> Node:
    variable, *rest = args
    if not isinstance(variable, Ident) or variable.name[0] == ".":
        message = f"the first argument of {kind}() must be a simple name"
        raise CelError(message, line=variable.line, column=variable.column)
    if kind == "map":
        predicate = rest[0] if len(rest) == 2 else None
        return Macro(line, column, kind, target, variable.name, predicate, rest[-1])
    return Macro(line, column, _SPELLINGS.get(kind, kind), target, variable.name, rest[0], None)


def _function(line: int, column: int, parts: list[Any], tokens: list[Token]) -> Node:
    args: list[Node] = parts[0] if parts else []
    name = str(tokens[0])
    if name in _RESERVED or name in _WORDS:
        raise CelError(f"syntax error: {name!r} is a reserved word", line=line, column=column)
    if name == "has" and len(args) == 1:
        (field,) = args
        if not isinstance(field, Select):
            raise CelError("has() takes a field, as in has(a.b)", line=field.line, column=field.column)
        return Has(line, column, field.operand, field.field)
    return Call(line, column, name, None, args)


def _ident(line: int, column: int, parts: list[Node], tokens: list[Token]) -> Node:
    name = str(tokens[0])
    if name in _CONSTANTS:
        return Literal(line, column, _CONSTANTS[name])
    if name in _RESERVED or name in _WORDS:
        raise CelError(f"syntax error: {name!r} is a reserved word", line=line, column=column)
    return Ident(line, column, name)


def _dot_ident(line: int, column: int, parts: list[Node], tokens: list[Token]) -> Node:
    """``.name``: the variable, even where a macro's variable has the same name."""
    named = _ident(line, column, parts, tokens)
    if not isinstance(named, Ident):
        raise CelError(f"syntax error: unexpected {str(tokens[0])!r}", line=line, column=column)
    return Ident(line, column, f".{named.name}")


def _literal(line: int, column: int, _: list[Node], tokens: list[Token]) -> Node:
    (token,) = tokens
    try:
        return Literal(line, column, _LITERALS[token.type](str(token)))
    except ValueError as error:
        raise CelError(f"bad literal: {error}", line=line, column=column) from None


def _index(line: int, column: int, parts: list[Node], _: list[Token]) -> Node:
    return Call(line, column, "_[_]", None, parts)


def _message(line: int, column: int, *_: object) -> Node:
    raise CelError("messages cannot be constructed here", line=line, column=column)


def _binary(line: int, column: int, parts: list[Any], _: list[Token]) -> Node:
    (function, left), right = parts
    return Call(line, column, function, None, [left, right])


_MAKERS: dict[str, Callable[..., object]] = {
    "relation": _binary,
    "addition": _binary,
    "multiplication": _binary,
    "expr": _ternary,
    "conditionalor": _logic("_||_"),
    "conditionaland": _logic("_&&_"),
    "unary": _unary,
    "unary_not": lambda *_: "!_",
    "unary_neg": lambda *_: "-_",
    "member_dot": _select,
    "member_dot_arg": _method,
    "member_index": _index,
    "member_object": _message,
    "fieldinits": lambda *_: None,
    "dot_ident": _dot_ident,
    "dot_ident_arg": _function,
    "ident": _ident,
    "ident_arg": _function,
    "paren_expr": lambda line, column, parts, _: parts[0],
    "list_lit": lambda line, column, parts, _: ListLiteral(line, column, parts),
    "map_lit": lambda line, column, parts, _: MapLiteral(
        line, column, list(zip(parts[::2], parts[1::2], strict=True))
    ),
    "exprlist": lambda line, column, parts, _: parts,
    "literal": _literal,
}


def _check_depth(root: Node) -> None:
    level, depth = [root], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            deepest = level[0]
            raise CelError(
                f"the expression is nested more than {MAX_DEPTH} levels deep",
                line=deepest.line,
                column=deepest.column,
            )
        level = [child for node in level for child in children(node)]
