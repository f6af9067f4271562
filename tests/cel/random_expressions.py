"""Expressions at random, most of them well typed, over the variables that the oracle's environment has."""

from __future__ import annotations

from hypothesis import strategies as st

__all__ = ["expressions"]

_LEAVES = {
    "int": [
        *("0", "1", "2", "-1", "-3", "7", "9223372036854775807", "(-9223372036854775808)"),
        *("n", "size(value)", "size(l)"),
    ],
    "uint": ["0u", "1u", "2u", "18446744073709551615u", "u"],
    "double": ["0.0", "1.0", "-1.5", "2.5", "1e3", "x", "1e-3"],
    "string": ["''", "'a'", "'ab'", "'é'", "'1'", "'-2'", "'1.5'", "'true'", "value"],
    "bytes": ["b''", "b'a'", "b'\\xff'", "b'ab'"],
    "bool": ["true", "false", "b"],
    "list": ["l", "[1,2]", "[0,1,2]", "[3]"],
    "dyn": [
        *("d", "m", "m.a", "m.s", "m.l", "m.n", "m.o", "m.zz", "m.l[1]", "null"),
        *("dyn(l)", "dyn(1)", "dyn(2u)", "dyn('a')", "dyn(true)", "dyn([])"),
    ],
}
_SCALARS = ("int", "uint", "double", "string", "bytes", "bool")
_RELATIONS = ("==", "!=", "<", "<=", ">", ">=")

# A template and the types of what goes into it. No division of doubles: NaN is where the references differ.
_TEMPLATES: dict[str, list[tuple[str, tuple[str, ...]]]] = {
    "bool": [
        ("({} && {})", ("bool", "bool")),
        ("({} || {})", ("bool", "bool")),
        ("({} || {} || {})", ("dyn", "bool", "dyn")),
        ("({} && {} && {})", ("bool", "dyn", "bool")),
        ("!{}", ("bool",)),
        ("!{}", ("dyn",)),
        *[(f"({{}} {relation} {{}})", (kind, kind)) for relation in _RELATIONS for kind in _SCALARS],
        *[(f"({{}} {relation} {{}})", ("dyn", kind)) for relation in _RELATIONS for kind in _LEAVES],
        ("({} in {})", ("int", "list")),
        ("({} in {})", ("dyn", "dyn")),
        ("({} in ['a', '1'])", ("string",)),
        ("{}.contains({})", ("string", "string")),
        ("{}.startsWith({})", ("dyn", "string")),
        ("{}.endsWith('b')", ("string",)),
        ("{}.matches('^a?b')", ("string",)),
        ("{}.exists(i, i > {})", ("list", "int")),
        ("{}.all(i, {} / i > 0)", ("list", "int")),
        ("{}.exists(i, {} / i > 0)", ("list", "int")),
        ("{}.exists_one(i, i == {})", ("list", "int")),
        ("{}.exists(i, i == {})", ("dyn", "dyn")),
        ("{}.all(i, i == {})", ("dyn", "dyn")),
        ("has(m.zz)", ()),
        ("(has(m.a) && {})", ("dyn",)),
        ("bool({})", ("string",)),
        ("([true] + {})[1]", ("dyn",)),  # a bool to the check, whatever to the evaluation
        ("(['a'] + {})[1].contains('a')", ("dyn",)),
        ("(['a'] + {}).exists(s, s.matches('a'))", ("dyn",)),
        ("(type({}) == type({}))", ("dyn", "dyn")),
    ],
    "int": [
        *[(f"({{}} {operator} {{}})", ("int", "int")) for operator in "+-*/%"],
        ("-{}", ("int",)),
        ("size({})", ("string",)),
        ("size({})", ("dyn",)),
        ("{}[{}]", ("list", "int")),
        ("int({})", ("double",)),
        ("int({})", ("uint",)),
        ("int({})", ("string",)),
        ("({} + {})[1]", ("list", "dyn")),
    ],
    "uint": [
        *[(f"({{}} {operator} {{}})", ("uint", "uint")) for operator in "+-*/%"],
        ("uint({})", ("int",)),
        ("uint({})", ("double",)),
    ],
    "double": [
        *[(f"({{}} {operator} {{}})", ("double", "double")) for operator in "+-*"],
        ("-{}", ("double",)),
        ("double({})", ("string",)),
    ],
    "string": [
        ("({} + {})", ("string", "string")),
        ("string({})", ("int",)),
        ("string({})", ("bool",)),
        ("string({})", ("bytes",)),
        ("string({})", ("uint",)),
    ],
    "bytes": [("({} + {})", ("bytes", "bytes")), ("bytes({})", ("string",))],
    "list": [
        ("({} + {})", ("list", "list")),
        ("{}.map(i, i * {})", ("list", "int")),
        ("{}.filter(i, i > {})", ("list", "int")),
        ("{}.map(i, i > {}, i)", ("list", "int")),
        ("[{}, {}]", ("int", "int")),
    ],
    "dyn": [
        ("({} + {})", ("dyn", "dyn")),
        ("({} - {})", ("dyn", "dyn")),
        ("({} * {})", ("dyn", "int")),
        ("{}[{}]", ("dyn", "dyn")),
        ("{}.k", ("dyn",)),
        ("dyn({})", ("list",)),
        ("{}.map(i, {})", ("dyn", "dyn")),
        ("[{}, {}]", ("dyn", "string")),
        ("{{'k': {}}}.k", ("dyn",)),
        ("{{{}: {}}}", ("string", "dyn")),
    ],
}


@st.composite
def expressions(draw: st.DrawFn, kind: str = "", depth: int = 3) -> str:
    """An expression of type ``kind``, any if empty, with at most ``depth`` operators above one another."""
    kind = kind or draw(st.sampled_from(["bool", "bool", *_TEMPLATES]))
    if depth == 0 or draw(st.integers(0, 4)) == 0:
        return draw(st.sampled_from(_LEAVES[kind]))
    choices = [*_TEMPLATES[kind], ("({} ? {} : {})", ("bool", kind, kind))]
    template, kinds = draw(st.sampled_from(choices))
    return template.format(*[draw(expressions(inner, depth - 1)) for inner in kinds])
