"""Go's built-in functions, on what a param, a literal or another function can give."""

from __future__ import annotations

import re

import pytest

from overseer.errors import TemplateError
from overseer.templates import compile_template

PARAMS = {"name": "bob", "empty": "", "n": "3", "uni": "é€", "nasty": "a'b; rm -rf /", "byte": "\udcff"}


def render(text: str) -> str:
    return compile_template(text).render(PARAMS)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        # and, or, not: operands come back as they are
        ("and false 0", "false"),
        ("and 1 0", "0"),
        ("and 0 true", "0"),
        ("and 1 1", "1"),
        ("and 1 2 3", "3"),
        ("and 1 0 3", "0"),
        ("and `x`", "x"),
        ("or 0 0", "0"),
        ("or 1 0", "1"),
        ("or 0 true", "true"),
        ("or 0 0 `z`", "z"),
        ("or .empty .absent .name", "bob"),
        ("or .absent `default`", "default"),
        ("and .name .n", "3"),
        ("and .empty .n", ""),
        ("not true", "false"),
        ("not false", "true"),
        ("not .empty", "true"),
        ("not .absent", "true"),
        ("not `false`", "false"),
        ("not 0", "true"),
        ("or .empty `x` | len", "1"),
        ("`x` | and .name", "x"),
        ("and (or .empty .name) (not .absent)", "true"),
        # short circuits: the second operand would be an error
        ("or .name (index .n 9)", "bob"),
        ("and .empty (index .n 9)", ""),
        # eq and its kin
        ("eq 1 1", "true"),
        ("eq 1 2", "false"),
        ("eq 3 1 2 3", "true"),
        ("eq 3 1 2", "false"),
        ("eq `a` `a`", "true"),
        ("eq .name `bob`", "true"),
        ("eq .name `x` `bob`", "true"),
        ("`bob` | eq .name", "true"),
        ("eq .absent ``", "true"),
        ("eq .absent .empty", "true"),
        ("eq .absent `x`", "false"),
        ("ne .absent `x`", "true"),
        ("eq true true", "true"),
        ("eq true false", "false"),
        ("eq 1.5 1.5", "true"),
        ("eq .name nil", "false"),
        ("eq nil nil", "true"),
        ("eq (index .name 0) 98", "true"),
        ("eq 98 (index .name 0)", "true"),
        ("eq 'b' (index .name 0)", "true"),
        ("ne 1 1", "false"),
        ("ne 1 2", "true"),
        ("ne .name `bob`", "false"),
        ("lt 1 2", "true"),
        ("lt 2 1", "false"),
        ("lt 1 1", "false"),
        ("lt 1.5 2.5", "true"),
        ("lt `a` `b`", "true"),
        ("lt `10` `9`", "true"),
        ("lt .n `4`", "true"),
        ("le 1 1", "true"),
        ("le 2 1", "false"),
        ("le `b` `a`", "false"),
        ("gt 2 1", "true"),
        ("gt 1 1", "false"),
        ("gt `b` `a`", "true"),
        ("ge 1 1", "true"),
        ("ge 1 2", "false"),
        ("ge 2.5 1.5", "true"),
        ("gt (len .name) 2", "true"),
        # len counts bytes
        ("len .name", "3"),
        ("len .empty", "0"),
        ("len .absent", "0"),
        ("len .uni", "5"),
        ("len .byte", "1"),
        ("len `é`", "2"),
        ("len .", "6"),
        # index
        ("index . `name`", "bob"),
        ("index . `absent`", ""),
        ("index .name", "bob"),
        ("index .name 0", "98"),
        ("index .uni 0", "195"),
        ("index . `name` 1", "111"),
        ("index $ .n", ""),
        ("printf `%c` (index .name 0)", "b"),
        # slice
        ("slice .name", "bob"),
        ("slice .name 1", "ob"),
        ("slice .name 1 2", "o"),
        ("slice .name 0 0", ""),
        ("slice .name 3", ""),
        ("slice .uni 2", "€"),
        ("slice .uni 0 2", "é"),
        ("slice .uni 0 1", "\udcc3"),
        ("print (slice .uni 0 1) (slice .uni 1 2)", "\udcc3\udca9"),
        # print and println
        ("print `hello`", "hello"),
        ("print 1 2 3", "1 2 3"),
        ("print 1 `a` 2", "1a2"),
        ("print `a` `b`", "ab"),
        ("print `a` 1 2 `b`", "a1 2b"),
        ("print nil", "<nil>"),
        ("print nil 1", "<nil> 1"),
        ("print true false", "true false"),
        ("print 1.0 2.5", "1 2.5"),
        ("print .absent", ""),
        ("print .name .absent 1", "bob1"),
        ("println `a` `b` 1", "a b 1\n"),
        ("println", "\n"),
        ("println 1 2 3", "1 2 3\n"),
        # html, js, urlquery, shquote
        ("html `<a href=\"x\">'&'</a>`", "&lt;a href=&#34;x&#34;&gt;&#39;&amp;&#39;&lt;/a&gt;"),
        ("html `&lt;`", "&amp;lt;"),
        ("html .name", "bob"),
        ("html 1 2 `<`", "1 2&lt;"),
        (r'html "a\x00b"', "a\ufffdb"),
        ("`<` | html", "&lt;"),
        ("js `It'd be nice.`", "It\\'d be nice."),
        ('js `say "x" <b>&=\\`', 'say \\"x\\" \\u003Cb\\u003E\\u0026\\u003D\\\\'),
        (r'js "a\nb\x7f"', "a\\u000Ab\x7f"),
        ("js .uni", "é€"),
        (r'js "\u2028"', "\\u2028"),
        ("urlquery `http://www.example.org/`", "http%3A%2F%2Fwww.example.org%2F"),
        ("urlquery `a b+c&d=é~-_.*`", "a+b%2Bc%26d%3D%C3%A9~-_.%2A"),
        ("urlquery .byte", "%FF"),
        ("urlquery `a` 1 2", "a1+2"),
        ("shquote .name", "bob"),
        ("shquote .nasty", "'a'\"'\"'b; rm -rf /'"),
        ("shquote .absent", "''"),
        ("shquote .empty", "''"),
        ("shquote 3", "3"),
        ("`a b` | shquote", "'a b'"),
        ("printf `%s x` .name | shquote", "'bob x'"),
    ],
)
def test_functions(expression: str, expected: str) -> None:
    assert render(f"[[$v := {expression}]][[$v]]") == expected
    assert render(f"[[$v := {expression}]]<[[- $v -]]>") == f"<{expected}>"
    assert render(f"[[with $v := {expression}]][[end]][[$v := print ({expression})]][[$v]]") == expected


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("eq .name 1", "incompatible types for comparison"),
        ("eq 1 1.0", "incompatible types for comparison"),
        ("eq . .", "non-comparable type map[string]string"),
        ("lt .name 1", "incompatible types for comparison"),
        ("lt true false", "invalid type for comparison"),
        ("lt nil 1", "invalid type for comparison"),
        ("gt . .", "invalid type for comparison"),
        ("len 3", "len of type int"),
        ("len nil", "len of nil pointer"),
        ("len true", "len of type bool"),
        ("index .name 3", "index out of range: 3"),
        ("index .name -1", "index out of range: -1"),
        ("index .empty 0", "index out of range: 0"),
        ("index .name `x`", "cannot index slice/array with type string"),
        ("index .name true", "cannot index slice/array with type bool"),
        ("index . 1", "value has type int; should be string"),
        ("index 3 1", "can't index item of type int"),
        ("index .name 0 0", "can't index item of type uint8"),
        ("slice .name 4", "index out of range: 4"),
        ("slice .name 2 1", "invalid slice index: 2 > 1"),
        ("slice .name 0 1 2", "cannot 3-index slice a string"),
        ("slice . 1", "can't slice item of type map[string]string"),
        ("slice 5 1", "can't slice item of type int"),
        ("printf 1", "wrong type for value; expected string; got int"),
        (".name.x", "can't evaluate field x in type string"),
        ("(len .name).x", "can't evaluate field x in type int"),
    ],
)
def test_values_that_a_function_cannot_take_are_errors_with_their_place(
    expression: str, message: str
) -> None:
    assert _refusal(f"one\n two [[$v := {expression}]]").replace("2:14: ", "2:8: ") == f"2:8: {message}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[range .name]][[end]]", "1:3: range can't iterate over bob"),
        ("[[range .empty]][[end]]", "1:3: range can't iterate over "),
        ("x[[range true]][[end]]", "1:4: range can't iterate over true"),
        ("[[range $a, $b := 3]][[end]]", "1:3: can't use 3 to iterate over more than one variable"),
        ("[[if .name]]\n[[if eq .n 3]][[end]][[end]]", "2:6: incompatible types for comparison"),
        ("[[with len 3]][[end]]", "1:8: len of type int"),
        ("[[if false]][[else if lt nil 1]][[end]]", "1:23: invalid type for comparison"),
        ("[[$x := len 3]]", "1:9: len of type int"),
        ("[[define `t`]]\n [[len .]][[end]][[template `t` 3]]", "2:4: len of type int"),
        ("[[template `t` len 3]][[define `t`]][[end]]", "1:16: len of type int"),
    ],
)
def test_errors_in_statements_have_their_place_too(text: str, message: str) -> None:
    assert _refusal(text) == message


def _refusal(text: str) -> str:
    """What is said of a text when it is compiled or, if that depends on the params, rendered."""
    with pytest.raises(TemplateError) as caught:
        compile_template(text).render(PARAMS)
    return re.sub(r" \(a param is a string: .*?\)|; write .*", "", str(caught.value))
