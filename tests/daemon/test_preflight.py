"""Everything wrong with a file is said at once, its actions' configs included, and nothing besides."""

from __future__ import annotations

from pathlib import Path

import pytest

from overseer.config import parse_config
from overseer.daemon.preflight import check_actions
from overseer.errors import ConfigError
from tests.harness import run_program


def wrong(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_config("c", text.encode(), {}, further=check_actions)
    errors = getattr(caught.value, "errors", (caught.value,))
    return [f"{error.line}: {'.'.join(map(str, error.path))}" for error in errors]


def test_errors_of_the_file_and_of_its_drivers_come_together(tmp_path: Path) -> None:
    text = """\
shutdown_timeout: never
actions:
  a:
    type: exec
    stop_grace: soon
    config:
      entrypoint: ""
      comand: [x]
  b: {type: exec, config: {entrypoint: "true", command: ["[[ .x"]}}
  c: {type: nope}
"""
    assert wrong(text) == [
        "1: shutdown_timeout",
        "5: actions.a.stop_grace",
        "7: actions.a.config.entrypoint",
        "8: actions.a.config.comand",
        "9: actions.b.config.command.0",
        "10: actions.c.type",
    ]
    (tmp_path / "config.yaml").write_text(text)
    for arguments in (["--check"], []):
        ended = run_program(*arguments, cwd=tmp_path)
        assert (ended.returncode, len(ended.stderr.splitlines())) == (1, 6)


def test_consequences_are_not_reported() -> None:
    secret = "actions: {a: {type: exec, config: {entrypoint: x, env: {V: {secret: key}}}}}\n"
    assert wrong(f"secrets: {{key: 5}}\n{secret}") == ["1: secrets.key"]
    jinja = "actions: {a: {type: exec, config: {entrypoint: x, command: ['[[ b | upper ]]']}}}"
    assert wrong(f"templates: jina\n{jinja}\n") == ["1: templates"]
    assert wrong("actions: {a: {config: {entrypoint: ''}}, b: {type: exec, config: 5}}\n") == [
        "1: actions.a",
        "1: actions.b.config",
    ]


def test_an_unknown_key_of_an_action_that_has_errors_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(
        "actions: {a: {type: exec, config: {entrypoint: '', comand: [x]}}}\n"
    )
    for arguments in (["--check"], []):
        assert run_program(*arguments, cwd=tmp_path).stderr.count("comand: unknown key") == 1
