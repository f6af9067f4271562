"""The declarations of parameters: what is wrong with one is said at load, with its key and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from overseer.config import load_config
from overseer.drivers.api import build_action_handlers
from overseer.errors import ConfigError
from overseer.protocol import ActionInfo, ParamChoice, ParamSpec, to_plain

HEAD = """actions:
  a:
    type: exec
    config:
      entrypoint: echo
      command: [--, "[[.p]]"]
      parameters:
        p:
"""


def write(directory: Path, *lines: str) -> Path:
    path = directory / "c.yaml"
    path.write_text(HEAD + "".join(f"          {line}\n" for line in lines))
    return path


def declared(directory: Path, *lines: str) -> ActionInfo:
    return build_action_handlers(load_config(write(directory, *lines), {}))["a"].describe()


@pytest.mark.parametrize(
    ("lines", "line", "key", "said"),
    [
        (["type: integr"], 9, "type", "did you mean integer?"),
        (["type: integr", "min: 1", "max: 9", "default: 3"], 9, "type", "did you mean integer?"),
        (["type: integer", "default: x"], 10, "default", 'must be a whole number, not "x"'),
        (["type: integer", "min: 1", "max: 9", "default: 10"], 12, "default", "from 1 to 9"),
        (
            ["default: 0", "type: integer", "min: 1"],
            9,
            "default",
            'must be a whole number, 1 or more, not "0"',
        ),
        (["type: integer", "max: -1", "default: 0"], 11, "default", "a whole number, -1 or less"),
        (["type: integer", "default: 007"], 10, "default", "; write 7"),
        (["type: integer", "default: ''"], 10, "default", "must be a whole number"),
        (["type: number", "default: 1e999"], 10, "default", "must be a number"),
        (["type: number", "default: .nan"], 10, "default", "must be a number"),
        (["type: boolean", "default: maybe"], 10, "default", 'must be true or false, not "maybe"'),
        (["type: path", "default: -x"], 10, "default", "write ./-x"),
        (["type: path", "default: ''"], 10, "default", "must be a path"),
        (["choices: [a, b]", "default: c"], 10, "default", 'must be "a" or "b", not "c"'),
        (["choices:", "  - a", "  - b", "  - a"], 12, "choices.2", 'duplicate choice "a"'),
        (["type: integer", "choices:", "  - 1", "  - x"], 12, "choices.1", 'must be a whole number, not "x"'),
        (["type: integer", "max: 3", "choices:", "  - 4"], 12, "choices.0", "a whole number, 3 or less"),
        (["pattern: a", "choices:", "  - b"], 11, "choices.0", "does not match a"),
        (["choices:", "  - {title: x}"], 10, "choices.0", "value is missing"),
        (["type: choice"], 9, "type", "a choice needs choices"),
        (["choices: []", "type: choice"], 10, "type", "a choice needs choices"),
        (["type: boolean", "choices: [yes]"], 10, "choices", "has no other choices"),
        (["type: integer", "min: 5", "max: 4"], 11, "max", "4 is less than min, 5: no value is allowed"),
        (["type: integer", "min: 0.2", "max: 0.8"], 11, "max", "no whole number lies between 0.2"),
        (["min: 1"], 9, "min", "only an integer or a number has a min"),
        (["type: path", "max: 1"], 10, "max", "only an integer or a number has a max"),
        (["type: integer", "min: x"], 10, "min", "expected a number"),
        (["type: integer", "min: '1'"], 10, "min", "without the quotes it would be a number"),
        (["type: integer", "max: .inf"], 10, "max", "expected a number"),
        (["type: integer", "max: 1e999"], 10, "max", "too large"),
        (["type: path", "multiline: true"], 10, "multiline", "only text has several lines"),
        (
            ["type: secret", "allow_in_argv: true", "default: hunter2"],
            11,
            "default",
            "a secret cannot have a default",
        ),
        (["type: secret", "allow_in_argv: true", "choices: [a]"], 11, "choices", "cannot have choices"),
        (["allow_in_argv: true"], 9, "allow_in_argv", "only a secret needs it"),
        (["pattern: '['"], 9, "pattern", "bad regular expression: missing ]"),
        (["pattern: 'a)|(b'"], 9, "pattern", "bad regular expression"),
        (["pattern: '[a-z]+'", "default: A"], 10, "default", "does not match [a-z]+"),
        (["pattern: b", "message: Say b.", "default: a"], 11, "default", "does not match b"),
    ],
)
def test_what_cannot_be_is_an_error(tmp_path: Path, lines: list[str], line: int, key: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        declared(tmp_path, *lines)
    place = f"{tmp_path}/c.yaml:{line}: actions.a.config.parameters.p.{key}: "
    assert str(caught.value).startswith(place)
    assert said in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1, "one mistake, one error"


@pytest.mark.parametrize(
    ("lines", "line", "key", "said"),
    [
        (["message: hm"], 9, "message", "is never used"),
        (["type: boolean", "validate: value == 'yes'"], 10, "validate", "is false for every value"),
        (
            ["type: integer", "min: 1", "max: 9", "validate: int(value) > 9"],
            12,
            "validate",
            "is false for every value",
        ),
        (
            ["type: integer", "min: 1", "max: 9", "pattern: '[a-z]'"],
            12,
            "pattern",
            "matches no value of its type",
        ),
        (["type: boolean", "pattern: 'yes|no'", "validate: value != ''"], 10, "pattern", "matches no value"),
        (["choices: [a, b]", "validate: value == 'c'"], 10, "validate", "is false for every value"),
        (
            ["validate: value == 'a'", "choices:", "  - a", "  - b"],
            12,
            "choices.1",
            "own validate",
        ),
        (
            ["type: integer", "default: 3", "validate: int(value) > 3"],
            10,
            "default",
            "does not meet the parameter",
        ),
    ],
)
def test_what_can_never_hold_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, lines: list[str], line: int, key: str, said: str
) -> None:
    declared(tmp_path, *lines)
    (found,) = [each.getMessage() for each in caplog.records if ".parameters." in each.getMessage()]
    assert found.startswith(f"{tmp_path}/c.yaml:{line}: actions.a.config.parameters.p.{key}: ")
    assert said in found


@pytest.mark.parametrize(
    "lines",
    [
        ["type: integer", "min: 1", "max: 9", "validate: int(value) % 2 == 0"],
        ["type: integer", "min: 1", "max: 99999999", "validate: int(value) > 99999990"],
        ["choices: [a, b]", "validate: value != ''"],
        ["type: boolean", "default: yes", "validate: value == 'true'"],
        ["type: number", "min: -1.5", "max: 1e2", "default: 2.5"],
        ["pattern: '[a-z]+'", "message: Small letters.", "default: a"],
    ],
)
def test_nothing_is_said_of_what_may_be_meant(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, lines: list[str]
) -> None:
    declared(tmp_path, *lines)
    assert not caplog.records


@pytest.mark.parametrize(
    ("config", "line", "key"),
    [
        ("entrypoint: '[[.p]]'", 5, "entrypoint"),
        ("entrypoint: echo\n      command:\n      - a\n      - 'x=[[shquote .p]]'", 8, "command.1"),
        ("entrypoint: echo\n      command: ['[[if .p]]x[[end]]']", 6, "command.0"),
        ("entrypoint: echo\n      command: ['[[index . \"p\"]]']", 6, "command.0"),
    ],
)
def test_a_secret_is_refused_in_a_command_line_unless_it_may_be_there(
    tmp_path: Path, config: str, line: int, key: str
) -> None:
    path = tmp_path / "c.yaml"
    text = f"actions:\n  a:\n    type: exec\n    config:\n      {config}\n"
    text += "      parameters: {p: {type: secret}}\n"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        build_action_handlers(load_config(path, {}))
    assert str(caught.value) == (
        f"{path}:{line}: actions.a.config.{key}: p is a secret, and everybody on the machine can read a "
        "command line; to allow that, say allow_in_argv: true in parameters.p"
    )
    path.write_text(text.replace("secret}", "secret, allow_in_argv: true}"))
    build_action_handlers(load_config(path, {}))


def test_a_secret_is_no_part_of_a_dedupe_key(tmp_path: Path) -> None:
    path = write(tmp_path, "type: secret", "allow_in_argv: true")
    path.write_text(path.read_text().replace("    type: exec\n", "    type: exec\n    dedupe_key: p\n"))
    with pytest.raises(ConfigError, match=r"c.yaml:9: .*parameters\.p: a secret cannot be in the dedupe_key"):
        build_action_handlers(load_config(path, {}))


def test_what_is_declared_is_what_clients_are_told(tmp_path: Path) -> None:
    info = declared(
        tmp_path,
        "description: What to make",
        "choices: [on, {value: 1.10, title: One}]",
        "default: on",
        "message: Say on.",
        "pattern: .*",
    )
    assert to_plain(info)["params"]["p"] == {
        "default": "on",
        "description": "What to make",
        "type": "choice",
        "choices": [{"value": "on"}, {"value": "1.10", "title": "One"}],
        "pattern": ".*",
        "message": "Say on.",
    }
    assert info.params["p"].choices == (ParamChoice("on"), ParamChoice("1.10", "One"))


def test_what_a_default_does_not_say_is_left_out(tmp_path: Path) -> None:
    assert to_plain(declared(tmp_path, "type: text", "multiline: false", "choices: []"))["params"] == {
        "p": None
    }
    assert to_plain(declared(tmp_path, "default: x"))["params"] == {"p": {"default": "x"}}
    assert to_plain(declared(tmp_path, "type: integer", "min: 0"))["params"] == {
        "p": {"type": "integer", "min": 0}
    }


def test_a_boolean_s_default_may_be_any_word_that_the_file_has_for_one(tmp_path: Path) -> None:
    for word, value in (("true", "true"), ("no", "false"), ("On", "true")):
        assert declared(tmp_path, "type: boolean", f"default: {word}").params["p"] == ParamSpec(
            value, type="boolean"
        )


@pytest.mark.parametrize(
    ("lines", "argument", "warns"),
    [
        (["type: text"], "[[.p]]", True),
        (["type: integer"], "[[.p]]", True),
        (["type: integer", "min: 0"], "[[.p]]", False),
        (["type: path"], "[[.p]]", False),
        (["type: boolean"], "[[.p]]", False),
        (["choices: [a]"], "[[.p]]", False),
        (["pattern: a"], "[[.p]]", False),
    ],
)
def test_only_what_may_be_taken_for_an_option_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, lines: list[str], argument: str, warns: bool
) -> None:
    path = write(tmp_path, *lines)
    path.write_text(path.read_text().replace('[--, "[[.p]]"]', f'["{argument}"]'))
    build_action_handlers(load_config(path, {}))
    assert any("be taken for an option" in each.getMessage() for each in caplog.records) is warns


def test_a_secret_is_refused_as_a_directory_too(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(
        'actions:\n  a:\n    type: exec\n    config:\n      entrypoint: "true"\n'
        "      cwd: /srv/[[.p]]\n      parameters: {p: {type: secret}}\n"
    )
    said = r"c.yaml:6: actions\.a\.config\.cwd: p is a secret, .* where a process runs"
    with pytest.raises(ConfigError, match=said):
        build_action_handlers(load_config(path, {}))
