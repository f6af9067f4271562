"""What a template says of itself: the params it may look up, and those that are not quoted."""

from __future__ import annotations

import pytest

from overseer.templates import compile_template


@pytest.mark.parametrize(
    ("text", "names", "unquoted"),
    [
        ("plain", "", ""),
        ("[[.a]]", "a", "a"),
        ("[[$.a]][[.b.c]]", "a b", "a b"),
        ("[[shquote .a]] [[.b | shquote]]", "a b", ""),
        ("[[.a]] [[shquote .a]]", "a", "a"),
        ("[[if .a]][[end]][[if eq .b .c]][[end]]", "a b c", ""),
        ("[[if .a]]x[[else if .b]]y[[end]]", "a b", ""),
        ('[[index . "a"]][[index $ `b`]]', "a b", "a b"),
        ("[[$x := .a]][[with .b]][[.]][[end]][[range .c]][[end]]", "a b c", "a b c"),
        ("[[define `t`]][[.a]][[end]]", "a", "a"),
        ("{{.a}} $b ${c}", "", ""),
        ("[[/* .a */]]", "", ""),
    ],
)
def test_names_and_unquoted_names(text: str, names: str, unquoted: str) -> None:
    template = compile_template(text)
    assert template.names == frozenset(names.split())
    assert template.unquoted == frozenset(unquoted.split())


@pytest.mark.parametrize(
    ("text", "names", "unquoted"),
    [
        ("[[ a ]][[ b|upper ]][[ c.d[e] ]]", "a b c e", "a b c e"),
        ("[[ a|shquote ]] [[ shquote(b) ]]", "a b", ""),
        ("[[ a ]] [[ a|shquote ]]", "a", "a"),
        ("[% if a == b %]x[% elif c %]y[% else %][[ d ]][% endif %]", "a b c d", "d"),
        ("[% if a %][% for x in b %][[ x ]][[ loop.index ]][% endfor %][% endif %]", "a b", "b"),
        ("[% set x = a %][[ x ]][% set y = b|shquote %][[ y ]]", "a b", "a"),
        ("[% macro m(x) %][[ x ]][[ c ]][% endmacro %][[ m(a) ]]", "a c", "a c"),
        ("[[ a if b else c.d ]]", "a b c", "a b c"),
        ("[[ (range(3))|join ]][# a #]", "", ""),
        ("[% raw %][[ a ]][% endraw %]", "", ""),
    ],
)
def test_names_in_jinjas_dialect(text: str, names: str, unquoted: str) -> None:
    template = compile_template(text, "jinja")
    assert template.names == frozenset(names.split())
    assert template.unquoted == frozenset(unquoted.split())


def test_a_template_shows_its_text() -> None:
    assert repr(compile_template("[[.a]]")) == "Template('[[.a]]')"
