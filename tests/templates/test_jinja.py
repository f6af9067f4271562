"""Jinja's expressions between the same delimiters, and which of the two dialects an action is in."""

from __future__ import annotations

import pytest

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
    return compile_template(text).render(PARAMS)


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
        ("[[ [[1, 2], [3]][1][0]]]", "3"),
        ('[[ {"a": {"b": "]]"}}["a"]["b"] ]]', "]]"),
        ('[[ {"a": {"b": 1}}.a.b ]]', "1"),
        ('[[ name.split("o")|join("-") ]]', "b-b"),
        ('[[ name.startswith("b") and n == "3" ]]', "True"),
        ("[[ not name ]]", "False"),
        ('[[ name in ["bob", "eve"] ]]', "True"),
        ("[[ name | shquote ]][[ nasty|shquote ]]", "bob'a b;'\"'\"'c'\"'\"''"),
        ("[[ shquote(nasty) ]]", "'a b;'\"'\"'c'\"'\"''"),
        ("[[ absent|shquote ]]", "''"),
        ("[[ '<b>' ]][[ '<b>'|e ]]", "<b>&lt;b&gt;"),
        ("[[ name|tojson ]]", '"bob"'),
        ("[[ name|replace('b', 'p') ]]", "pop"),
        ("[[ (range(3)|list)|join ]]", "012"),
        ("[[ none ]][[ True ]]", "NoneTrue"),
        ("a [[- name|upper -]] b", "aBOBb"),
        ("[[ name\n| upper ]]", "BOB"),
        ("[[ '{%' ]][[ '}}' ]][[ '{{' ]][[ '{#' ]]", "{%}}{{{#"),
        ("[[ loop ]]", "L"),
    ],
)
def test_expressions(text: str, expected: str) -> None:
    assert render(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[[if name == "bob"]]T[[else]]F[[end]]', "T"),
        ('[[if name == "eve"]]1[[else if n|int > 2]]2[[end]]', "2"),
        ("[[if absent is defined]]T[[else]]F[[end]]", "F"),
        ("[[if not absent]]T[[end]]", "T"),
        ("[[with name|upper]]<[[.]]>[[end]]", "<BOB>"),
        ("[[with absent]]T[[else]]F[[end]]", "F"),
        ('[[range list.split(",")]]<[[.]]>[[end]]', "<a><b><c>"),
        ('[[range $i, $x := list.split(",")]][[$i]][[$x]] [[end]]', "0a 1b 2c "),
        ('[[range list.split(",")]][[.]][["," if not loop.last]][[end]]', "a,b,c"),
        ('[[range $x := list.split(",")]][[shquote $x]][[name]] [[end]]', "abob bbob cbob "),
        ("[[range absent]]T[[else]]F[[end]]", "F"),
        ('[[$x := list.split(",")]][[index $x 1]][[len $x]][[$x]]', "b3[a b c]"),
        ('[[with {"a": "1"}]][[.a]][[.b]][[.]][[end]]', "1map[a:1]"),
        ("[[$x := name|upper]][[$x]]", "BOB"),
        ("[[$x := 1]][[$x = name]][[$x]]", "bob"),
        ("[[define `t`]]<[[.]][[name]]>[[end]][[template `t` name|upper]]", "<BOBbob>"),
        ("[[block `t` name|upper]][[.]][[end]]", "BOB"),
        ("[[with .name]][[ name ]][[ n ]][[end]]", "bob3"),
    ],
)
def test_expressions_in_statements(text: str, expected: str) -> None:
    assert render(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[[true]]", "true"),
        ("[[ True ]]", "True"),
        ("[['a']]", "97"),
        ("[['ab']]", "ab"),
        ("[[ ('a') ]]", "97"),
        ("[[017]]", "15"),
        ("[[ 1e6 ]]", "1e+06"),
        ("[[ 1e6 + 0 ]]", "1000000.0"),
        ("[[ index|lower ]]", "i"),
        ("[[ index[0] ]]", "I"),
        ("[[ index+'x' ]]", "Ix"),
        ("[[ index ~ 'x' ]]", "Ix"),
        ("[[ index if index else 'x' ]]", "I"),
        ("[[$x := [1, 2]]][[$x]]", "[1 2]"),
        ("[[ print ]]", ""),
        ("[[ html | upper ]]", ""),
        ("[[ not true ]]", "false"),
        ("[[ not name ]]", "False"),
        ('[[ "a" | print ]]', "a"),
        ('[[ "a" | upper ]]', "A"),
        ("[[ (.name) ]][[ (name) ]]", "bobbob"),
    ],
)
def test_what_go_can_read_is_go(text: str, expected: str) -> None:
    assert render(text) == expected


def test_a_param_may_have_any_name() -> None:
    params = {
        "0dot": "x",
        "0frame": "y",
        "0dot0": "z",
        "true": "s",
        "range": "r",
        "context": "c",
        "go:show": "g",
    }
    text = "[[index . `true`]][[context]][[with .range]][[.]][[end]][[index . `0dot0`]][[index . `go:show`]]"
    assert compile_template(text).render(params) == "scrzg"
