"""What a trial has found out about texts: the program that takes over makes the same of them."""

from __future__ import annotations

import marshal
import sys
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest

from overseer.cel import compile_cel, compile_condition
from overseer.cel.nodes import from_plain, to_plain
from overseer.cel.parser import parse
from overseer.templates import Dialect, Template, compile_template
from overseer.util.findings import findings
from tests.upgrade.support import Installed

_WAIT = 60.0


@pytest.fixture
def found() -> Iterator[dict[Any, Any]]:
    """What the trial finds, until :func:`_take_over`."""
    found: dict[Any, Any] = {}
    findings.open(found, record=True)
    yield found
    findings.close()


def _take_over(found: MutableMapping[Any, Any]) -> None:
    findings.open(marshal.loads(marshal.dumps(found)), record=False)


@pytest.mark.parametrize(
    "expression",
    [
        "value.matches('^[0-9]*5$') && uint(size(value)) > 2u || !(value in ['a', \"b\"])",
        "[1, -2, 3.5, 0x1f].exists(x, x > 1) ? has({'a': 1}.a) : b'\\x00' == b''",
        "{'k': [null, true]}.map(key, key + value).all(each, each != '')",
        "[1, 2].map(x, x > 1, x * 2) == [4] && type(1u) == uint",
    ],
)
def test_an_expression_is_made_of_its_tree(found: dict[Any, Any], expression: str):
    tree = parse(expression)
    assert to_plain(from_plain(to_plain(tree))) == to_plain(tree)
    before = compile_cel(expression)
    _take_over(found)
    again = compile_cel(expression)
    for value in ("15", "a", "", "xyz5"):
        assert again.evaluate({"value": value}) == before.evaluate({"value": value})


def test_an_expression_that_was_found_right_is_not_parsed(
    found: dict[Any, Any], monkeypatch: pytest.MonkeyPatch
):
    compile_condition("output.data.contains('5')")
    _take_over(found)
    monkeypatch.setitem(sys.modules, "overseer.cel.parser", None)
    condition = compile_condition("output.data.contains('5')")
    assert condition.filter("stdout", ["1", "15"]) == ["15"]
    with pytest.raises(ImportError):
        compile_condition("output.data.contains('6')")


@pytest.mark.parametrize(
    ("text", "dialect"),
    [("[[if .flag]]--[[.name]][[end]]", "go"), ("[% if flag %][[ name | shquote ]][% endif %]", "jinja")],
)
def test_a_text_is_compiled_when_it_is_rendered(found: dict[Any, Any], text: str, dialect: Dialect):
    def made() -> Template:
        return compile_template(text, dialect, frozenset({"flag"}))

    before = made()
    _take_over(found)
    with pytest.MonkeyPatch.context() as uncompiled:
        uncompiled.setitem(sys.modules, "overseer.templates.compiled", None)
        again = made()
    assert (again.names, again.unquoted, again == before) == (before.names, before.unquoted, True)
    for params in ({"flag": True, "name": "a b"}, {"flag": False, "name": ""}):
        assert again.render(params) == before.render(params)


def test_a_server_says_again_what_is_doubtful_and_compiles_what_it_runs(tmp_path: Path):
    installed = Installed(tmp_path / "program")
    compiles = "    from overseer.templates.compiled import compile_actions\n"
    tells = "    print('compiles', text, file=sys.stderr)\n"
    installed.change("overseer/templates/__init__.py", compiles, tells + compiles)
    parameters = {"word": {"validate": "value != 'x'"}, "open": {}}
    config = {"entrypoint": "echo", "command": ["[[.word]]", "[[.open]]"], "parameters": parameters}
    with (
        installed.daemon(actions={"say": {"type": "exec", "config": config}}) as daemon,
        daemon.connect() as client,
    ):
        before = daemon.stderr
        assert client.request("upgrade", _WAIT)["type"] == "upgraded"
        daemon.wait_stderr("upgraded from", _WAIT)
        after = daemon.stderr[len(before) :]
        for text, times in (("open can begin with -", 1), ("compiles [[.open]]", 0)):
            assert (before.count(text), after.count(text)) == (1, times), after
        params = {"word": "hello", "open": "there"}
        client.request("start", _WAIT, action="say", task_id="1", params=params)
        client.expect("output", _WAIT, task_id="1", data="hello there")
        refused = client.request("start", _WAIT, action="say", task_id="2", params={**params, "word": "x"})
        assert "does not meet" in refused["message"]
