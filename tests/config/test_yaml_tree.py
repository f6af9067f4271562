"""Files that are broken, hostile or just unusual."""

from __future__ import annotations

import re
import time
import unicodedata
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from overseer.config import ConfigErrors, load_config
from overseer.errors import ConfigError
from tests.config.conftest import Fails, Load
from tests.harness import allowed


@pytest.mark.parametrize(
    "text",
    ["", "\n\n", "# nothing\n", "---\n", "---\n...\n", "null", "~", "\ufeff", "{}", "%YAML 1.2\n---\n"],
)
def test_an_empty_file_gives_the_defaults(load: Load, text: str) -> None:
    config = load(text)
    assert (config.listen, config.actions, config.warnings) == (":8080", {}, ())


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("hello", 1, "found the text"),
        ("\n- a\n", 2, "found a list"),
        ("a:\n\tb: 1\n", 2, "a tab"),
        ("a: b: c\n", 1, "need quotes"),
        ("a: 1\n  b: 2\n", 2, "indented alike"),
        ("a: 1\n b: 2\nc: 3\n", 2, "not expected|fits neither"),
        ("name: 'x\n\n\n", 4, r"inside a quoted text \(it began on line 1\)"),
        ("a: [1,\nb: 2\n", 3, r"a list in \[ \] is not closed"),
        ("a: {b: 1\n", 2, r"a mapping in { } is not closed"),
        ("a\nb: 1\n", 2, "key"),
        ("name: @x\n", 1, "needs quotes"),
        ("name: `x`\n", 1, "needs quotes"),
        ("name: [[.x]] y\n", 1, "into quotes"),
        ("cron: * * * * *\n", 1, 'needs quotes: cron: "* * * * *"'),
        ("x: *nope\n", 1, "does it need quotes"),
        ("x: &a [*a]\n", 1, "x.0: the alias here refers to what it is part of"),
        ("x: &a {<<: *a}\n", 1, "refers to what it is part of"),
        ("x: &a {b: {c: [1, *a]}}\n", 1, "refers to what it is part of"),
        ("name: x\n---\nname: y\n", 2, "a second document"),
        ("name: x\n---\n", 2, "a second document"),
        ("[program:web]\ncommand=/bin/cat\n", 2, "the file is one mapping of keys"),
        (b"a: 1\nname: \xff\xfe\n", 2, "not UTF-8: the byte 0xff"),
        (b"\xff\xfen\0\0", 1, "begins like UTF-16 and is not"),
        ("name: x\nb: \x01\n", 2, "0x1 is not allowed"),
        ("name: x\0", 1, "0x0 is not allowed"),
        ('a: 1\nname: "\\UFFFFFFFF"\n', 2, "out of range"),
        ('a: 1\nname: "\\ud800"\n', 2, "name: half a surrogate pair"),
        ('a: 1\n"\\udfff": 1\n', 2, "half a surrogate pair"),
        ("name: {{.x}}\n", 1, "a key must be text"),
        ("name: x\nname: y\n", 2, "name: the key is here already, on line 1"),
        ("a:\n  1: x\n  '1': y\n", 3, "a.1: the key is here already, on line 2"),
        ("a: {<<: {}, b: 1, <<: {}}\n", 1, "<<: the key is here already"),
        ("a: {<<: 5}\n", 1, "a.<<: expected a mapping, or a list of them, to merge; found the number 5"),
        ("a: {<<: [{}, x]}\n", 1, "to merge; found the text"),
        ("[" * 20000, 1, "nested deeper than 64 levels"),
        ("- " * 20000, 1, "nested deeper than 64 levels"),
        ("{a: " * 20000, 1, "nested deeper than 64 levels"),
        ("? " * 20000, 1, "nested deeper than 64 levels"),
        (
            "a0: &a0 []\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 99)),
            65,
            "aliases are expanded",
        ),
    ],
)
def test_a_broken_file_is_one_plain_line_with_its_place(
    fails: Fails, text: str | bytes, line: int, says: str
) -> None:
    first = fails(text)[0]
    assert first.startswith(f"c:{line}: ")
    assert re.search(says, first)
    assert first.isprintable()


def alias_bomb(levels: int) -> str:
    return "x0: &x0 [a,b,c,d,e,f,g,h,i,j]\n" + "".join(
        f"x{n}: &x{n} [{','.join([f'*x{n - 1}'] * 10)}]\n" for n in range(1, levels)
    )


def merge_bomb() -> str:
    many = "x: &x {" + ",".join(f"k{n}: 1" for n in range(2000)) + "}\n"
    return many + "y: [" + ",".join(["{<<: *x}"] * 2000) + "]\n"


@pytest.mark.parametrize(
    ("text", "says"), [(alias_bomb(12), "x5: more than 1,000,000 values"), (merge_bomb(), "merged keys")]
)
def test_aliases_that_multiply_are_refused_at_once(fails: Fails, text: str, says: str) -> None:
    begun = time.monotonic()
    (line,) = fails(text)
    assert says in line
    assert time.monotonic() - begun < allowed(3)


def test_aliases_that_do_not_multiply_much_are_fine(load: Load) -> None:
    assert (
        load(alias_bomb(3).replace("x0:", "x-0:").replace("x1:", "x-1:").replace("x2:", "x-2:")).warnings
        == ()
    )


def test_anchors_aliases_and_merge_keys_work(load: Load) -> None:
    config = load(
        """
x-base: &base {type: exec, stop_grace: 1, retry: &r {restart_delay: 1s}}
x-more: &more {stop_grace: 2, kill_mode: group}
actions:
  one: *base
  two: {<<: *base, stop_grace: 3}
  three: {stop_grace: 4, <<: *base}
  four: {<<: [*base, *more]}
  five: {<<: *base, retry: *r, config: {"<<": kept, a: {<<: {b: 1}}}}
"""
    )
    assert config.warnings == ()
    assert [action.stop_grace for action in config.actions.values()] == [1, 3, 4, 1, 1]
    assert [action.kill_mode for action in config.actions.values()] == [
        "tree",
        "tree",
        "tree",
        "group",
        "tree",
    ]
    assert config.actions["five"].config == {"<<": "kept", "a": {"b": 1}}
    assert config.actions["five"].retry.restart_delay == 10**9


def test_an_anchor_may_be_defined_anew(load: Load) -> None:
    assert load("x-a: &a one\nname: *a\nx-b: &a two\ndescription: *a\n").description == "two"


def test_tabs_between_and_after_values_are_harmless(load: Load) -> None:
    config = load("name:\tx\t# comment\nhistory:\t{tasks:\t5,\tage: 1h\t}\t\n")
    assert (config.name, config.history.tasks, config.warnings) == ("x", 5, ())


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("a\tb", "a\tb"),
        ("a \t b\t# c", "a \t b"),
        ("a\t", "a"),
        ("'a\tb'", "a\tb"),
        ("a\t#b", "a"),
        ("a\n  b\tc", "a b\tc"),
    ],
)
def test_tabs_inside_a_text_are_part_of_it(load: Load, written: str, text: str) -> None:
    assert load(f"name: {written}\nversion\t: 1\n").name == text


@pytest.mark.parametrize("ending", ["\r\n", "\r"])
def test_other_line_ends_count_as_lines(fails: Fails, ending: str) -> None:
    assert fails(ending.join(["name: x", "history:", "  tasks: y", ""]))[0].startswith("c:3: history.tasks: ")


def test_a_long_file_is_refused_unread(fails: Fails) -> None:
    assert fails(b"#" * (4 * 2**20 + 1)) == ["c: longer than 4 MiB, which is not a configuration"]


def test_a_file_that_is_not_there_gives_defaults_and_a_warning(tmp_path: Path) -> None:
    config = load_config(tmp_path / "none.yaml", {"OVERSEER_LISTEN": ":1"})
    assert config.warnings == (f"{tmp_path}/none.yaml: no such file; the defaults are used, without actions",)
    assert (config.listen, config.file, config.actions, config.line_of(("listen",))) == (":1", "", {}, 0)


@pytest.mark.parametrize("name", [".", "file/config.yaml", "nul\0", "x" * 300])
def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be read: "):
        load_config(tmp_path / name, {})


def test_errors_are_all_reported_up_to_a_screenful(load: Load) -> None:
    with pytest.raises(ConfigErrors) as caught:
        load("actions:\n" + "".join(f"  a{n}: {{}}\n" for n in range(50)))
    assert len(caught.value.errors) == 50
    lines = str(caught.value).split("\n")
    assert len(lines) == 21
    assert lines[-1] == "... and 30 more"
    assert caught.value.line == 2


_keys = st.one_of(
    st.sampled_from(
        ["name", "listen", "trusted_cidrs", "task_pool", "queue", "excess", "limit", "size", "order"]
    ),
    st.sampled_from(
        ["grace", "retry", "restart_delay", "actions", "type", "config", "description", "kill_mode"]
    ),
    st.sampled_from(
        ["dedupe_key", "stop_signal", "clients", "buffer", "history", "age", "limits", "<<", "x-a"]
    ),
)
_scalars = st.one_of(
    st.sampled_from(
        ["", "~", "true", "off", "5", "-5", "0x", "0o7", "+.5", ".NaN", "-.INF", "1e999", "9" * 5000]
    ),
    st.sampled_from(["5s", "8MiB", "*a", "&a x", "!x y", "!!int x", "exec", "/run/x"]),
    st.text(max_size=8),
)
_nodes = st.recursive(
    _scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: "[" + ", ".join(items) + "]"),
        st.dictionaries(_keys, inner, max_size=4).map(
            lambda pairs: "{" + ", ".join(f"{k}: {v}" for k, v in pairs.items()) + "}"
        ),
    ),
    max_leaves=8,
)
_files = st.dictionaries(_keys, _nodes, max_size=6).map(
    lambda top: "".join(f"{k}: {v}\n" for k, v in top.items())
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.one_of(_files, st.text(max_size=60), st.binary(max_size=60)))
def test_whatever_the_bytes_the_answer_is_a_config_or_an_error_in_plain_lines(
    load: Load, text: str | bytes
) -> None:
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    said: list[str]
    try:
        said = list(load(data).warnings)
    except ConfigError as error:
        said = str(error).split("\n")
    controls = [line for line in said if any(unicodedata.category(char) == "Cc" for char in line)]
    assert controls == []
