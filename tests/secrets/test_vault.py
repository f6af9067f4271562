"""Where secrets are read from, and what is said when they are not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from overseer.config import SecretSource, parse_config
from overseer.errors import ConfigError, SpawnError
from overseer.secrets.vault import Vault, advice


def read(vault: Vault, **source: object) -> str:
    return vault.read({"x": SecretSource("x", **source)}, "x")  # type: ignore[arg-type]


def test_of_a_file_or_program_one_last_newline_is_no_part(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    for content, value in ((b"a b\n", "a b"), (b"a\n\n", "a\n"), (b"a\r\n", "a\r"), (b"\xff", "\udcff")):
        path.write_bytes(content)
        assert read(Vault(), file=str(path)) == value, "read anew each time"
        assert read(Vault(), command=("cat", str(path))) == value


def test_of_a_variable_all_is() -> None:
    assert read(Vault({"V": "a\n"}), env="V") == "a\n"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ({"file": "missing"}, "missing cannot be read: No such file or directory"),
        ({"file": "."}, ". cannot be read: it is not a regular file"),
        ({"file": "empty"}, "it is empty"),
        ({"file": "large"}, "large is larger than 64 KiB"),
        ({"env": "V"}, "the environment had no V"),
        ({"command": ("true",)}, "it is empty"),
        ({"command": ("false",)}, "false ended with status 1"),
    ],
)
def test_one_that_is_not_to_be_had_is_named_and_why(
    source: dict[str, object], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").write_text("\n")
    Path("large").write_bytes(b"x" * 65537)
    with pytest.raises(SpawnError) as caught:
        read(Vault(), **source)
    assert str(caught.value) == f"the secret 'x' cannot be read: {reason}"


def test_one_that_a_reload_has_taken_away() -> None:
    with pytest.raises(SpawnError, match="the secret 'x' has been removed from the configuration"):
        Vault().read({}, "x")


def test_advice_is_about_what_could_not_be_had_now(tmp_path: Path) -> None:
    (tmp_path / "open").write_text("hunter2")
    (tmp_path / "open").chmod(0o644)
    (tmp_path / "closed").write_text("hunter2")
    (tmp_path / "closed").chmod(0o600)
    text = f"""\
secrets:
  fine: {{file: {tmp_path}/closed}}
  open: {{file: {tmp_path}/open}}
  none: {{file: {tmp_path}/none}}
  folder: {{file: {tmp_path}}}
  unset: {{env: UNSET}}
  short: {{env: SHORT}}
  set: {{env: SET}}
  program: {{command: [sh, -c, echo]}}
  missing: {{command: [no-such-program]}}
"""
    config = parse_config(tmp_path / "c.yaml", text.encode(), {})
    said = [
        line.removeprefix(f"{tmp_path}/c.yaml:")
        for line in advice(config, {"SHORT": "ab", "SET": "long-enough"})
    ]
    assert said == [
        f"3: secrets.open: every user of this machine can read {tmp_path}/open: chmod 600 it",
        f"4: secrets.none: {tmp_path}/none: No such file or directory",
        f"5: secrets.folder: {tmp_path} cannot be read",
        "6: secrets.unset: the environment has no UNSET",
        "7: secrets.short: is shorter than 6 characters, so it is not masked in output",
        '10: secrets.missing: no such program "no-such-program"',
    ]


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ("hunter2-value", "1: secrets.x: expected a mapping"),
        ("[hunter2-value]", "1: secrets.x: expected a mapping"),
        ("{}", "1: secrets.x: say where it is: file, env or command"),
        ("{file: a, env: B}", "1: secrets.x: file and env are alternatives: keep one of them"),
        ("{vault: hunter2-value}", "1: secrets.x.vault: unknown key; known here: file, env, command"),
        ("{command: hunter2-value}", "1: secrets.x.command: expected a list of text"),
        ("{command: ['', a]}", "1: secrets.x.command: needs the program to run"),
        ("{env: A=hunter2-value}", "1: secrets.x.env: is not a valid name for a variable: it contains a ="),
    ],
)
def test_a_mistake_is_told_without_a_value(given: str, error: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(tmp_path / "c.yaml", f"secrets: {{x: {given}}}".encode(), {})
    assert str(caught.value).splitlines()[0] == f"{tmp_path}/c.yaml:{error}"
    assert "hunter2-value" not in str(caught.value)
