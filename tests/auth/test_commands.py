"""Parameters that try to become options, templates, shell or more arguments; and the warnings about them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from overseer.config import load_config
from overseer.drivers.api import build_action_handlers
from overseer.drivers.exec import ExecFactory
from overseer.drivers.lint import warn_of_missing_program
from overseer.errors import ConfigWarning
from overseer.protocol import PoolConfig, RetryPolicy
from overseer.templates import compile_template
from tests.harness import Daemon, WsClient

SHOW = 'for each; do printf "<%s>" "$each"; done; echo'


@pytest.fixture(scope="module")
def client() -> Iterator[WsClient]:
    def show(*command: str, **parameters: Any) -> dict[str, Any]:
        config = {"entrypoint": "/bin/sh", "command": ["-c", SHOW, "sh", *command], "parameters": parameters}
        return {"type": "exec", "config": config}

    actions = {
        "argument": show("a[[.x]]", "[[.x]]", "end", x={}),
        "quoted": {
            "type": "exec",
            "config": {
                "entrypoint": "sh",
                "command": ["-c", "echo [[ .x | shquote ]] end"],
                "parameters": {"x": {}},
            },
        },
        "strict": {**show("[[.x]]", x={}), "strict_params": True},
        "lax": show("[[.x]]", "[[.y]]", x={}),
    }
    with Daemon(actions=actions) as daemon, daemon.connect() as client:
        yield client


HOSTILE = (
    "--help", "-rf", "; touch hacked", "$(touch hacked)", "`touch hacked`", "| touch hacked",
    "&& touch hacked", "' ; touch hacked ; '",
    '" ; touch hacked ; "', "[[.other]]", "[[ 7 * 7 ]]", "{{ 7 * 7 }}", "{% raw %}",
    "${HOME}", "$HOME", "*", "~", "a b", "", "\\", "\\\\'", "é😀", "%s%n", "\u202e",
)  # fmt: skip


@pytest.mark.parametrize("value", HOSTILE)
def test_a_value_is_what_it_is(client: WsClient, value: str) -> None:
    _, outputs, _ = client.run("argument", params={"x": value})
    assert [each["data"] for each in outputs] == [f"<a{value}><{value}><end>"]
    _, outputs, _ = client.run("quoted", params={"x": value.replace("\\", "")})
    assert outputs[0]["data"] in (f"{value} end".replace("\\", ""), f"{value} end")


def test_lines_stay_in_their_argument_and_a_nul_is_refused(client: WsClient) -> None:
    _, outputs, _ = client.run("argument", params={"x": "1\n2"})
    assert "\n".join(each["data"] for each in outputs) == "<a1\n2><1\n2><end>"
    refused = client.request("start", action="argument", params={"x": "a\0b"})
    assert refused["type"] == "error"
    assert "NUL" in refused["message"]


def test_undeclared_parameters_are_refused_only_where_that_is_wanted(client: WsClient) -> None:
    refused = client.request("start", action="strict", params={"x": "1", "z": "2"})
    assert refused["message"] == "unknown parameter 'z'; strict has: x"
    _, outputs, _ = client.run("strict", params={"x": "1"})
    assert outputs[0]["data"] == "<1>"
    _, outputs, _ = client.run("lax", params={"x": "1", "z": "2"})
    assert outputs[0]["data"] == "<1><>"


@pytest.mark.parametrize(
    ("entrypoint", "command", "warned"),
    [
        ("sh", ["-c", "echo [[.x]]"], "command.1: x goes into a shell's script"),
        ("/bin/bash", ["-lc", "echo [[.x]]"], "command.1: x goes into a shell's script"),
        ("bash", ["-eu", "-o", "pipefail", "-c", "[[.x]]"], "command.4: x goes into a shell's script"),
        ("env", ["A=b", "sh", "-c", "echo [[.x]]"], "command.3: x goes into a shell's script"),
        ("nice", ["/bin/sh", "-c", "[[.x]] [[.checked]] [[.y]]"], "command.2: y goes into a shell's script"),
        ("sh", ["-c", "echo [[.x|shquote]] [[.y]]"], "command.1: y goes into a shell's script"),
        ("sh", ["-c", "echo [[.undeclared]]"], "command.1: undeclared goes into a shell's script"),
        ("sh", ["-c", "echo [[ shquote .x ]]"], ""),
        ("sh", ["-c", "echo [[.checked]]"], ""),
        ("sh", ["-c", "[[if .x]]echo yes[[end]]"], ""),
        ("sh", ["-c", 'echo "$1"', "sh", "[[.x]]"], ""),
        ("sh", ["script", "[[.x]]"], "command.1: x can begin with -"),
        ("du", ["[[.x]]"], "command.0: x can begin with -"),
        ("git", ["clone", "[[.x]]", "[[.y]]"], "command.2: y can begin with -"),
        ("rm", ["-rf", "[[.x]]"], "command.1: x can begin with -"),
        ("ls", ["[[.x]][[.y]]"], "command.0: x can begin with -"),
        ("ls", ["[[or .x .y]]"], "command.0: x can begin with -"),
        ("ls", ["[[ print .x ]]"], "command.0: x can begin with -"),
        ("du", ["--", "[[.x]]"], ""),
        ("du", ["[[.checked]]"], ""),
        ("du", ["./[[.x]]", "--path=[[.x]]", "[[if .x]]-v[[end]]"], ""),
        ("tar", ["-f", "[[.x]]"], ""),  # most likely the value of -f
        ("[[.x]]", [], "entrypoint: x chooses the program"),
        ("[[.checked]]", [], ""),
    ],
)
def test_open_parameters_are_warned_of(entrypoint: str, command: list[str], warned: str) -> None:
    parameters = {"x": {}, "y": {"default": "1"}, "checked": {"validate": "value != ''"}}
    config = {"entrypoint": entrypoint, "command": command, "parameters": parameters}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ExecFactory().create(config, "a", RetryPolicy(), PoolConfig(), ())
    said = [f"{'.'.join(map(str, each.message.path))}: {each.message}" for each in caught
            if isinstance(each.message, ConfigWarning)]  # fmt: skip
    if warned:
        assert [each for each in said if each.startswith(warned)], said
    else:
        assert said == []


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["{{ host }}"], ["command.0: {{ host }} is plain text here: the parameter is [[.host]]"]),
        (["-x", "a{{.host}}b"], ["command.1: {{.host}} is plain text here: the parameter is [[.host]]"]),
        (["{{ host }}", "--to=[[.host]]"], []),  # meant as it is, for the parameter is used
        (["{{ other }}"], []),
    ],
)
def test_other_programs_templates_are_warned_of(command: list[str], said: list[str]) -> None:
    config = {"entrypoint": "echo", "command": command, "parameters": {"host": {"validate": "value != ''"}}}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ExecFactory().create(config, "a", RetryPolicy(), PoolConfig(), ())
    assert [f"{'.'.join(map(str, each.message.path))}: {each.message}" for each in caught
            if isinstance(each.message, ConfigWarning)] == said  # fmt: skip


def test_check_says_where(tmp_path: Any, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "c.yaml").write_text(
        "actions:\n  a:\n    type: exec\n    config:\n      entrypoint: sh\n      command:\n"
        "        - -c\n        - echo [[.x]]\n"
    )
    build_action_handlers(load_config(tmp_path / "c.yaml", {}))
    assert "c.yaml:8: actions.a.config.command.1: x goes into a shell's script as it is" in caplog.text


@pytest.mark.parametrize(
    ("entrypoint", "said"),
    [
        ("echo a b", 'no such program "echo a b": if echo is meant, the rest goes into command'),
        ("no-such-program", 'no such program "no-such-program" in PATH'),
        ("no such program", 'no such program "no such program" in PATH'),
        ("./no-such-program", 'no such program "./no-such-program"'),
        ("~/no-such-program", 'no such program "~/no-such-program": ~ is not expanded'),
        ("/etc/passwd", 'no such program "/etc/passwd"'),  # which nobody may execute
        ("sh", ""),
        ("/bin/sh", ""),
        ("[[ if .p ]]sh[[ end ]]", ""),
    ],
)
def test_a_program_that_is_not_there_is_warned_of(entrypoint: str, said: str) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_missing_program(compile_template(entrypoint))
    assert [str(each.message) for each in caught] == ([said] if said else [])
