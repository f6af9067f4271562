"""Jinja's own syntax, in a file that says `templates: jinja`."""

from __future__ import annotations

import pytest

from overseer.errors import TemplateError
from overseer.templates import compile_template

PARAMS = {
    "name": "bob",
    "n": "3",
    "empty": "",
    "list": "a,b,c",
    "nasty": "a b;'c'",
    "index": "I",
    "loop": "L",
}


def render(text: str) -> str:
    return compile_template(text, "jinja").render(PARAMS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[[ name ]]", "bob"),
        ("[[name]]", "bob"),
        ("[[ absent ]]", ""),
        ("[[ absent.deeper[0].still ]]", ""),
        ("[[ name | upper ]]", "BOB"),
        ("[[ name|upper|lower|title ]]", "Bob"),
        ('[[ name|default("x") ]]', "bob"),
        ('[[ absent|default("x") ]]', "x"),
        ("[[ absent|default('x') ]]", "x"),
        ('[[ empty|default("x") ]]', ""),
        ('[[ empty|default("x", true) ]]', "x"),
        ('[[ empty or "x" ]]', "x"),
        ('[[ "x" if name == "y" else "z" ]]', "z"),
        ('[[ "x" if name == "bob" else "z" ]]', "x"),
        ('[[ "x" if absent ]]', ""),
        ("[[ name is defined ]]", "True"),
        ("[[ absent is defined ]]", "False"),
        ('[[ "yes" if absent is not defined ]]', "yes"),
        ('[[ absent == "" ]] [[ absent != "" ]] [[ "" == absent ]]', "True False True"),
        ('[[ absent + "x" ]][[ "x" + absent ]][[ absent ~ "y" ]]', "xxy"),
        ("[[ absent|upper ]][[ absent|length ]][[ absent|int ]][[ absent|float ]]", "000.0"),
        ('[[ absent in ("", "x") ]]', "True"),
        ("[[ n|int + 1 ]]", "4"),
        ("[[ n|int * 2 ** 3 ]]", "24"),
        ("[[ '%03d' % n|int ]]", "003"),
        ('[[ "%s-%s"|format(name, n) ]]', "bob-3"),
        ('[[ "{}-{}".format(name, n) ]]', "bob-3"),
        ('[[ name ~ "-" ~ n ]]', "bob-3"),
        ("[[ name[0] ]][[ name[-1] ]][[ name[1:] ]]", "bbob"),
        ("[[ name[0]]]", "b"),
        ("[[ [[1, 2], [n]][1][0] ]]", "3"),
        ('[[ {"a": {"b": n}}.a.b ]]', "3"),
        ('[[ name.split("o")|join("-") ]]', "b-b"),
        ('[[ name.startswith("b") and n == "3" ]]', "True"),
        ("[[ not name ]]", "False"),
        ('[[ name in ["bob", "eve"] ]]', "True"),
        ("[[ name | shquote ]][[ nasty|shquote ]]", "bob'a b;'\"'\"'c'\"'\"''"),
        ("[[ shquote(nasty) ]]", "'a b;'\"'\"'c'\"'\"''"),
        ("[[ absent|shquote ]]", "''"),
        ("[[ ('<' ~ n)|e ]]", "&lt;3"),
        ("[[ name|tojson ]]", '"bob"'),
        ("[[ name|replace('b', 'p') ]]", "pop"),
        ("[[ (range(3)|list)|join ]]", "012"),
        ("[[ none if n ]][[ true if n ]]", "NoneTrue"),
        ("a [[- name|upper -]] b", "aBOBb"),
        ("[[ name\n| upper ]]", "BOB"),
        ("{% x %} {{ y }} {# z #} ${#a} ${b}", "{% x %} {{ y }} {# z #} ${#a} ${b}"),
        ('[["[["]] [[ "]]" ]]', "[[ ]]"),
        ("[% raw %][[ name ]][% endraw %]", "[[ name ]]"),
        ("a\r\nb\rc[[ name\r\n]]\r\n", "a\r\nb\rcbob\r\n"),
        ("\n[[ name ]]\n\n", "\nbob\n\n"),
        ("[[ loop ]][[ index ]]", "LI"),
    ],
)
def test_expressions(text: str, expected: str) -> None:
    assert render(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[% if name == "bob" %]T[% else %]F[% endif %]', "T"),
        ('[% if name == "eve" %]1[% elif n|int > 2 %]2[% endif %]', "2"),
        ("[% if absent is defined %]T[% else %]F[% endif %]", "F"),
        ('[% for x in list.split(",") %]<[[ x ]]>[% endfor %]', "<a><b><c>"),
        ('[% for x in list.split(",") %][[ x ]][[ "," if not loop.last ]][% endfor %]', "a,b,c"),
        ('[% for x in list.split(",") if x != "b" %][[ loop.index ]][[ x ]][% endfor %]', "1a2c"),
        ("[% for x in absent %]T[% else %]F[% endfor %]", "F"),
        (
            "[% for x in range(2) %][% for y in range(2) %][[ x ]][[ y ]] [% endfor %][% endfor %]",
            "00 01 10 11 ",
        ),
        ("[% for x in [[n, n], [n]] recursive %][[ loop(x) if x is not string else x ]][% endfor %]", "333"),
        ("[% set x = name|upper %][[ x ]]", "BOB"),
        ("[% set x %]<[[ name ]]>[% endset %][[ x ]][[ x ]]", "<bob><bob>"),
        ("[% macro m(a, b=n) %]<[[ a ]][[ b ]]>[% endmacro %][[ m(name) ]][[ m(1, 2) ]]", "<bob3><12>"),
        ("[% macro m() %]<[[ caller() ]]>[% endmacro %][% call m() %][[ name ]][% endcall %]", "<bob>"),
        ("[% filter upper %]a[[ name ]][% endfilter %]", "ABOB"),
        ("[% with a = name %][[ a ]][% endwith %]", "bob"),
        ("[% block b %][[ name ]][% endblock %][[ self.b() ]]", "bobbob"),
        ("a [%- if true -%] b [%- endif -%] c", "abc"),
        ("a[# [[ name ]] [% if #]b", "ab"),
    ],
)
def test_statements(text: str, expected: str) -> None:
    assert render(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[ name | nosuch ]]", 'no filter named "nosuch"'),
        ("[[ 'x' if name else (name|nosuch) ]]", 'no filter named "nosuch"'),
        ("[[ name is nosuch ]]", 'no test named "nosuch"'),
        ("[[ nosuch(name) ]]", 'function "nosuch" not defined'),
        ("[[ lipsum() ]]", 'function "lipsum" not defined'),
        ("[[ name == ]]", "unexpected 'end of print statement'"),
        ("[[ name n ]]", "expected token 'end of print statement', got 'n'"),
        ("[[ .name ]]", "unexpected '.'"),
        ("[[if name]]x[[end]]", "expected token 'end of print statement', got 'name'"),
        ("[[ name ? n ]]", "unexpected char '?' at 9"),
        ("[[ name.__class__ ]]", 'no such attribute "__class__" here'),
        ("[% if name %]x", "Unexpected end of template. Jinja was looking for the following tags: "),
        ("[% endif %]", "Encountered unknown tag 'endif'"),
        ("[% include 'x' %]", "include: a template cannot refer to other files"),
        ("[% extends name %]", "extends: a template cannot refer to other files"),
        ("[% import 'x' as x %]", "import: a template cannot refer to other files"),
        ("[% from 'x' import y %]", "from: a template cannot refer to other files"),
        ("[[ n ]][[ ('x' * 100000000) ~ n ]]", "100000000 is too much here; the most is 1048576"),
        ("[[ n if (1 / 0) ]]", "division by zero"),
        ('[[ "x" ]]', "nothing is looked up here, so this is not a template"),
        ('if [[ "$1" == "y" ]]; then', "nothing is looked up here, so this is not a template"),
        ("if [[ -f x ]]; then", "expected token 'end of print statement', got 'x'"),
        ("grep [[:alpha:]]", "unexpected ':'"),
        ("[[", "unexpected 'end of template'"),
    ],
)
def test_what_can_never_work_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        compile_template(f"\n{text}", "jinja")
    assert str(caught.value).lower().startswith(f"line 2: {message}".lower())
    assert str(caught.value).endswith('; write [["[["]] for [[ itself')


def test_a_param_may_have_any_name() -> None:
    params = {"0dot": "x", "0frame": "y", "true": "s", "context": "c", "go:show": "g", "environment": "e"}
    text = "[[ context ]][[ environment ]][% set x = context %]"
    assert compile_template(text, "jinja").render(params) == "ce"
    text = "[[index . `true`]][[.context]][[with .range]][[.]][[end]][[index . `0dot`]][[index . `go:show`]]"
    assert compile_template(text).render({**params, "range": "r"}) == "scrxg"
