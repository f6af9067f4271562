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
        ("[[ a ]]", "a", "a"),
        ("[[.a]][[ b|upper ]]", "a b", "a b"),
        ("[[shquote .a]] [[.b | shquote]] [[ c|shquote ]] [[ shquote(d) ]]", "a b c d", ""),
        ("[[.a]] [[shquote .a]]", "a", "a"),
        ("[[if .a]][[end]][[if b == c]][[end]]", "a b c", ""),
        ("[[if .a]]x[[else if .b]]y[[end]]", "a b", ""),
        ('[[index . "a"]][[index $ `b`]]', "a b", "a b"),
        ("[[$x := .a]][[with .b]][[.]][[end]][[range .c]][[end]]", "a b c", "a b c"),
        ("[[define `t`]][[.a]][[end]]", "a", "a"),
        ("[[range 3]][[ loop.index ]][[end]][[ loop ]]", "loop", "loop"),
        ("[[ a if b else c.d ]]", "a b c", "a b c"),
        ("[[ (range(3))|join ]]", "", ""),
        ("{{.a}} $b ${c}", "", ""),
        ("[[/* .a */]]", "", ""),
    ],
)
def test_names_and_unquoted_names(text: str, names: str, unquoted: str) -> None:
    template = compile_template(text)
    assert template.names == frozenset(names.split())
    assert template.unquoted == frozenset(unquoted.split())


def test_a_template_shows_its_text() -> None:
    assert repr(compile_template("[[.a]]")) == "Template('[[.a]]')"
