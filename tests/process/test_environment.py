"""What a child finds in its environment."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overseer.errors import SpawnError
from overseer.process.environment import EnvFile, inherited, parse_env_file, read_env_files


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("", {}),
        ("A=1\nB=two\n", {"A": "1", "B": "two"}),
        ("  export A=1  # a note\n# B=2\n\nC=3", {"A": "1", "C": "3"}),
        ("A=a#b", {"A": "a#b"}),
        ('A=\'a b # $C\'"d \\" \\n"e', {"A": 'a b # $Cd " \\ne'}),
        ("A=a\\ b\nB=x\\\ny", {"A": "a b", "B": "xy"}),
        ("A='one\ntwo'\nB=$A", {"A": "one\ntwo", "B": "$A"}),
        ("A=\nB=''\nA=2", {"A": "2", "B": ""}),
        ("A=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
        ("A=b=c", {"A": "b=c"}),
    ],
)
def test_a_file_is_read_as_sh_would_without_expansion(text: str, variables: dict[str, str]) -> None:
    assert parse_env_file(text) == variables


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("A=1\nB=two words", "line 2: expected NAME=value"),
        ("A=1\n\nA='x", "line 3: unclosed quote"),
        ("1A=1", "line 1: expected NAME=value"),
        ("A", "line 1: expected NAME=value"),
        ("A=\0", "line 1: a variable cannot hold a NUL"),
    ],
)
def test_what_it_is_not_is_said_with_its_line(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_env_file(text)


@given(
    st.dictionaries(
        st.from_regex(r"[A-Z_]{1,5}", fullmatch=True), st.text(st.characters(exclude_characters="\0"))
    )
)
def test_what_a_shell_would_write_is_read_back(variables: dict[str, str]) -> None:
    text = "".join(f"{name}={shlex.quote(value)}\n" for name, value in variables.items())
    assert parse_env_file(text) == variables


def test_later_files_win_and_only_one_that_is_not_required_may_be_missing(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("A=1\nB=1")
    (tmp_path / "two").write_text("B=2")
    files = [EnvFile(str(tmp_path / name), name != "three") for name in ("one", "two", "three")]
    assert read_env_files(files) == {"A": "1", "B": "2"}
    for path, said in (
        (tmp_path / "four", "No such file"),
        (tmp_path, "not a regular file"),
        (Path("a\0"), "null"),
    ):
        with pytest.raises(SpawnError, match=f"env_file .* cannot be read: .*{said}"):
            read_env_files([EnvFile(str(path))])


def test_what_is_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        monkeypatch.delenv(name)
    for name in ("PATH", "LC_TIME", "MINE", "OVERSEER_TOKEN"):
        monkeypatch.setenv(name, "x")
    assert set(inherited("all")) == {b"PATH", b"LC_TIME", b"MINE"}
    assert set(inherited("minimal")) == {b"PATH", b"LC_TIME"}
    assert set(inherited("none")) == set()
    assert set(inherited(["MINE", "OVERSEER_TOKEN", "NOT_SET"])) == {b"MINE"}


def test_another_word_is_refused() -> None:
    with pytest.raises(SpawnError, match="not 'PATHS'"):
        inherited("PATHS")
