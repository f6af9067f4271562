"""Texts with brackets of their own: each is left as it is or refused, and then told how to write it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from overseer.errors import TemplateError
from overseer.templates import compile_template

ROOT = Path(__file__).parents[2]
PARAMS = {"x": "X", "n": "3", "f": "file", "hello": "H", "a": "A", "idx": "I", "name": "N"}
LITERAL = 'write [["[["]] for [[ itself'

AS_IT_IS = [
    "arr[idx[0]]",
    "${arr[${idx[0]}]}",
    "x]]",
    "]]",
    "[x]",
    "[ [x] ]",
    "[ -f x ] && [ -d y ]",
    "[^]abc]]",
    "a[b[c]]]",
    "{{ x }} {% if x %} {# x #} ${x} $((x[1]))",
    "[:alpha:]",
    "[%s] %d%%",
    "[% if x %]",
    "[# x #]",
    "\\[\\[x]]",
    "[\n[x]]",
]

# What Go's dialect says of it; the third is whether Jinja's syntax would have taken it for an expression.
REFUSED = [
    ('if [[ "$1" == "y" ]]; then echo yes; else echo no; fi', "unexpected =", True),
    ('[[ "$1" ]] && echo set', "nothing is looked up here", True),
    ('[[ "a" < "$b" ]]', "unexpected '<'", True),
    ('[[ "$a" == "$b" && -n "$c" ]]', "unexpected '&'", False),
    ('[[ "$a" || "$b" ]]', "unexpected |", False),
    ("[[ '$1' ]]", "malformed character constant", True),
    ("[[ -f x ]]", "unexpected '-'", False),
    ('[[ -f "$f" ]]', "unexpected '-'", False),
    ("[[ ! -d /x ]]", "unexpected '!'", False),
    ("[[ $a =~ b ]]", "unexpected '~'", False),
    ("[[ $1 ]]", "undefined variable $1", False),
    ("[[ $1 == y ]]", "unexpected =", False),
    ("[[ $# -gt 1 ]]", "bad character '#'", False),
    ("[[ ${x} == y ]]", "bad character '{'", False),
    ("[[ x == y ]]", 'function "x" not defined', True),
    ("[[ (x) ]]", 'function "x" not defined', True),
    ("[[ 1 -eq 1 ]]", "unexpected '-'", False),
    ("[[ 1 ]]", "nothing is looked up here", True),
    ("[[ -n x\n&& -n y ]]", "unexpected '-'", False),
    ("if [[ -f x\n]]; then", "unexpected '-'", False),
    ("[[", "unclosed action", False),
    ("echo [[ $x", "unclosed action", False),
    ("[[ x ]", "unclosed action", False),
    ("[[ don't ]]", "unterminated character constant", False),
    ('[[ "x ]]', "unterminated quoted string", False),
    ("[[ `date` ]]", "nothing is looked up here", False),
    ("grep [[:alpha:]]", "unexpected ':'", False),
    ("grep '[[:digit:][:space:]]'", "unexpected ':'", False),
    ("[[=e=]]", "bad character '='", False),
    ("[[.hyphen.]]", "unexpected .", False),
    ("[[.-.]]", "unexpected '-'", False),
    ("[[^a]b]]", "unexpected '^'", False),
    ("[[[x]]]", "unexpected '['", False),
    ("[[]]", "missing value", False),
    ("[[ ]]", "missing value", False),
    ("[[][]]", "unexpected ']'", False),
    ("[[1, 2], [3, 4]]", "unexpected ']'", False),
    ("[[1]]", "nothing is looked up here", True),
    ("[[1,2]]", "unexpected ,", False),
    ('[["a"]]', "nothing is looked up here", True),
    ('[["a", "b"]]', "unexpected ,", False),
    ("[['a']]", "nothing is looked up here", True),
    ("[[true]]", "nothing is looked up here", True),
    ("[[null]]", 'function "null" not defined', True),
    ("[[products]]\nname = 1", 'function "products" not defined', True),
    ("[[a.b]]", 'function "a" not defined', True),
    ("[[tool.mypy.overrides]]", 'function "tool"', True),
    ("s = [[hello]]", 'function "hello" not defined', True),
    ("print [[hello world]]", 'function "hello" not defined', False),
    ('[[print "hello"]]', "nothing is looked up here", False),
    ("[[html]]", "nothing is looked up here", True),
    ("[[Main Page]]", 'function "Main" not defined', False),
    ("[[Main Page|shown]]", 'function "Main" not defined', False),
    ("[[Page#part]]", "bad character '#'", False),
    ("[[File:x.png|thumb]]", "unexpected ':'", False),
    ("[[end]]", "unexpected end", False),
    ("[[if]]", "missing value for if", False),
    ("[[/*.txt]]", "unclosed comment", False),
    ("[![x](y)](z) [[1]](#note)", "nothing is looked up here", True),
    ("[[ n | upper ]]", 'function "n" not defined (the param is .n)', True),
    ("[[ n ]]", 'function "n" not defined (the param is .n)', True),
    ("[[ 'x' if n else 'y' ]]", "unexpected if", True),
    ("[[ n|int + 1 ]]", "unexpected '+'", True),
    ("[[if n == 'x']]a[[end]]", 'function "n" not defined', True),
]


@pytest.mark.parametrize("text", AS_IT_IS)
def test_left_as_it_is(text: str) -> None:
    assert compile_template(text).render(PARAMS) == text


@pytest.mark.parametrize(("text", "message", "is_jinja"), REFUSED)
def test_refused_with_the_way_to_write_it(text: str, message: str, is_jinja: bool) -> None:
    with pytest.raises(TemplateError) as caught:
        compile_template(text)
    said = str(caught.value)
    assert message in said
    assert LITERAL in said
    assert ("`templates: jinja`" in said) is is_jinja


@pytest.mark.parametrize("text", [*AS_IT_IS, *(text for text, *_ in REFUSED)])
@pytest.mark.parametrize("dialect", ["go", "jinja"])
def test_what_is_said_is_the_way(text: str, dialect: str) -> None:
    escaped = text.replace("[[", '[["[["]]')
    if dialect == "jinja":
        escaped = escaped.replace("[%", '[["[%"]]').replace("[#", '[["[#"]]')
    assert compile_template(escaped, dialect).render(PARAMS) == text  # type: ignore[arg-type]


@pytest.mark.parametrize("text", [text for text, *_ in REFUSED])
def test_in_jinjas_dialect_nothing_is_changed_but_what_looks_something_up(text: str) -> None:
    try:
        said = "" if compile_template(text, "jinja").names else "changed"
    except TemplateError as error:
        said = "" if LITERAL in str(error) else str(error)
    assert said == ""


def check(directory: Path, **config: object) -> subprocess.CompletedProcess[str]:
    """``--check`` of a file with this at its top level; JSON is YAML."""
    (directory / "c.yaml").write_text(json.dumps({"listen": "stdio", **config}, indent=1))
    return subprocess.run(
        [sys.executable, ROOT / "sticky_overseer.py", "--check", "--config", "c.yaml"],
        cwd=directory, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def test_check_names_the_place_and_both_ways_out(tmp_path: Path) -> None:
    script = 'if [[ "$1" == "y" ]]; then echo yes; else echo no; fi'
    config = {"entrypoint": "bash", "command": ["-c", script, "bash", "y"]}
    actions = {"a": {"type": "exec", "config": config}}
    for top in ({}, {"templates": "go"}):
        checked = check(tmp_path, actions=actions, **top)
        assert checked.returncode == 1
        assert "c.yaml:10: actions.a.config.command.1: template: 1:12: " in checked.stderr
        assert LITERAL in checked.stderr
        assert "`templates: jinja`" in checked.stderr
    assert check(tmp_path, actions=actions, templates="jinja").returncode == 1
    config["command"] = ["-c", script.replace("[[", '[["[["]]'), "bash", "y"]
    for dialect in ("go", "jinja"):
        checked = check(tmp_path, actions=actions, templates=dialect)
        assert (checked.returncode, checked.stderr) == (0, "")
    checked = check(tmp_path, actions=actions, templates="jinga")
    assert (checked.returncode, "templates" in checked.stderr) == (1, True)
