"""What can never work in an action is said when it is loaded: as an error, or as a warning with its place."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from overseer.config import load_config
from overseer.drivers.api import build_action_handlers
from overseer.errors import ConfigError

TRIED = "fails with every value tried: "


def load(directory: Path, caplog: pytest.LogCaptureFixture, **top: Any) -> str:
    """What is said of a file whose action has this ``config``, warnings first."""
    config = {"entrypoint": "cat", **{key: value for key, value in top.items() if key != "templates"}}
    text = {"templates": top.get("templates", "go"), "actions": {"a": {"type": "exec", "config": config}}}
    (directory / "c.yaml").write_text(json.dumps(text))
    caplog.set_level(logging.WARNING)
    error = ""
    try:
        build_action_handlers(load_config(directory / "c.yaml", {}))
    except ConfigError as refused:
        error = f"error: {refused}"
    lines = [*(record.getMessage() for record in caplog.records), *error.splitlines()]
    return "\n".join(line.partition("actions.a.config.")[2] for line in lines)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (
            {"default": "x", "validate": "int(value) > 0"},
            "(type conversion error from string to int): a start",
        ),
        (
            {"default": "5", "validate": "value == '6'"},
            "p.default: does not meet the parameter's own validate: ",
        ),
        ({"default": "", "validate": "value.matches('^[a-z]+$')"}, "a start without p is refused"),
        ({"validate": "1 > 2"}, "p.validate: is never true, so every start is refused"),
        ({"validate": "value == 'a' && false"}, "p.validate: is never true"),
        ({"validate": "dyn(value) == 5"}, "p.validate: is never true"),
        ({"validate": "type(value) == int"}, "p.validate: is never true"),
        ({"default": "a", "validate": "dyn(value) == 5"}, "p.validate: is never true"),
        ({"validate": "value == 5"}, "p.validate: CEL: 1:1: no matching overload"),
        ({"validate": "value"}, "p.validate: CEL: 1:1: the result must be a bool, not string"),
        ({"validate": "dyn('x')"}, "p.validate: is never true"),
        ({"validate": "value != '' && int('x') > 1"}, "p.validate: CEL: 1:16: this always fails: type conv"),
        ({"validate": "value.matches('[')"}, "p.validate: CEL: 1:15: bad regular expression"),
    ],
)
def test_parameters(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, rule: dict[str, str], said: str
) -> None:
    assert said in load(tmp_path, caplog, parameters={"p": rule})


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("1 > 2", "is never true, so every line is dropped"),
        ("has(output.event)", "is never true"),
        ("output.stream == 'stdin'", "is never true"),
        ("output.data != '' && dyn(output.data) == 5", "is never true"),
        ("dyn(1)", "is never true"),
        ("output.data", "CEL: 1:1: the result must be a bool, not string"),
        ("output.json", "the result must be a bool, not map"),
        ("output.jsn.event == 1", "undeclared reference to field 'jsn'"),
        ("output.json.n > 1 && duration('soon') > duration('1s')", "this always fails: not a duration"),
        ("output.data.size() > '1'", "no matching overload"),
    ],
)
def test_conditions(tmp_path: Path, caplog: pytest.LogCaptureFixture, condition: str, said: str) -> None:
    assert said in load(tmp_path, caplog, output={"stdout": {"condition": condition}})


@pytest.mark.parametrize(
    ("dialect", "text", "said"),
    [
        ("go", "[[if eq .n 1]]x[[end]]", "1:6: incompatible types for comparison (a param is a string"),
        ("go", "[[if eq 1 .n]]x[[end]]", "1:6: incompatible types for comparison"),
        ("go", "[[if .other]][[if lt .n 5]]x[[end]][[end]]", "1:19: incompatible types for comparison"),
        ("go", '[[if eq .n "1"]]', "1:3: if without end"),
        ("go", "[[if lt (len .n) .n]]x[[end]]", "1:6: incompatible types for comparison"),
        ("go", "[[if gt true .n]]x[[end]]", "1:6: invalid type for comparison"),
        ("go", '[[index .n "a"]]', "1:3: cannot index slice/array with type string"),
        ("go", "[[slice .n .n]]", "1:3: cannot index slice/array with type string"),
        ("go", "[[printf 1 .n]]", "1:3: wrong type for value; expected string; got int"),
        ("go", '[["x" * 100000000]]', "1:7: unexpected '*'"),
        ("go", "[[range 1000000]][[end]]", "1:3: more than 100000 iterations"),
        ("go", '[[if eq .b "true"]]x[[end]]', "1:6: incompatible types for comparison (a boolean is"),
        ("go", '[[if .n]][[if ne $.b "x"]]x[[end]][[end]]', "1:15: incompatible types for comparison"),
        ("go", "[[len .b]]", "1:3: len of type bool"),
        ("go", "[[.b.x]]", f"{TRIED}1:3: can't evaluate field x in type bool"),
        ("go", "[[.n.x]]", f"{TRIED}1:3: can't evaluate field x in type string"),
        ("go", "[[range .n]][[end]]", f"{TRIED}1:3: range can't iterate over"),
        ("go", "[[.m]]", "uses 'm', which is not among the parameters"),
        ("jinja", '[[ "x" * 100000000 ]]', "line 1: nothing is looked up here"),
        ("jinja", '[[ n ~ "x" * 100000000 ]]', "line 1: 100000000 is too much here; the most is 1048576"),
        ("jinja", "[[ n + 1 ]]", f'{TRIED}line 1: can only concatenate str (not "int")'),
        ("jinja", "[[ n.nosuch() ]]", f"{TRIED}line 1: 'str object' has no attribute"),
        ("jinja", "[[ n|nosuch ]]", 'line 1: no filter named "nosuch"'),
        ("jinja", "[% for x in n|int %][% endfor %]", f"{TRIED}line 1: 'int' object"),
        ("jinja", "[[ m ]]", "uses 'm', which is not among the parameters"),
    ],
)  # fmt: skip
def test_templates(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, dialect: str, text: str, said: str
) -> None:
    found = load(
        tmp_path,
        caplog,
        templates=dialect,
        command=["--", text],
        parameters={"n": {}, "other": {}, "b": {"type": "boolean"}},
    )
    assert f"command.1: {said}" in found.replace("command.1: template: ", "command.1: ")


def test_nothing_is_said_of_what_may_work(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert (
        load(
            tmp_path,
            caplog,
            command=[
                "--",
                "[[slice .n 4]]",
                "[[index .word 30]]",
                "[[if .list]][[range .absent]][[end]][[end]]",
            ],
            parameters={
                "n": {"validate": "value.matches('^[0-9]{12}$')"},
                "word": {"default": "x" * 31, "validate": "value.size() == 31"},
                "list": {"default": "", "validate": "value == '' || int(value) > 0"},
                "absent": "",
            },
            output={"stdout": {"condition": "has(output.json.a)"}, "stderr": {"condition": "false"}},
        )
        == ""
    )
