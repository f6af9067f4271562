"""How a process is set up: its variables, its directory, its umask."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import Daemon, WsClient


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


@pytest.fixture(scope="module")
def daemon(files: Path) -> Iterator[Daemon]:
    def action(script: str, **config: object) -> dict[str, object]:
        parameters = {"name": "you"}
        return {
            "type": "exec",
            "config": {
                "entrypoint": "/bin/sh",
                "command": ["-c", script],
                "parameters": parameters,
                **config,
            },
        }

    variables = str(files / "variables")
    actions = {
        "env": action(
            'echo "$A $B $C"',
            env={"A": "hello [[.name]]", "B": "2"},
            env_file=variables,
            inherit_env="minimal",
        ),
        "several": action(
            'echo "$B"', env_file=[variables, {"path": str(files / "none"), "required": False}]
        ),
        "lacks": action("echo", env_file=str(files / "none")),
        "inherits": action('echo "$ONE $TWO"; /usr/bin/env | wc -l', inherit_env=["ONE"]),
        "nothing": action("/usr/bin/env", inherit_env="none"),
        "cwd": action("pwd", cwd=str(files) + "/[[.name]]"),
        "umask": action("umask", umask="0027"),
        "secret": action(
            'echo "${#PASSWORD}"', env={"PASSWORD": "[[.pw]]"}, parameters={"pw": {"type": "secret"}}
        ),
    }
    (files / "variables").write_text("B=1\nexport C='from a file'\n")
    (files / "you").mkdir()
    with Daemon(actions=actions, environment={"ONE": "1", "TWO": "2"}) as daemon:
        yield daemon


def output(client: WsClient, action: str, **params: str) -> list[str]:
    started = client.request("start", action=action, params=params)
    events = client.collect("exited", task_id=started["task_id"])
    return [event["data"] for event in events if event["type"] == "output"]


def refusal(client: WsClient, action: str, **params: str) -> str:
    return str(client.request("start", action=action, params=params)["message"])


def test_variables_are_templates_and_win_over_files(client: WsClient, files: Path) -> None:
    assert output(client, "env", name="there") == ["hello there 2 from a file"]
    assert output(client, "several") == ["1"]
    (files / "variables").write_text("B=3")
    assert output(client, "several") == ["3"], "read at each start"
    (files / "variables").write_text("B=1\nexport C='from a file'\n")


def test_a_file_that_cannot_be_read_is_an_error_that_names_key_and_file(
    client: WsClient, files: Path
) -> None:
    assert refusal(client, "lacks") == f"env_file '{files}/none' cannot be read: No such file or directory"
    (files / "variables").write_text("B='")
    assert refusal(client, "several") == f"env_file '{files}/variables', line 1: unclosed quote"
    (files / "variables").write_text("B=1\nexport C='from a file'\n")


def test_what_is_inherited_is_what_the_action_says(client: WsClient) -> None:
    first, count = output(client, "inherits")
    assert first == "1 "
    assert int(count) <= 8, "ONE, the overseer's own, and what sh adds"
    names = {line.partition("=")[0] for line in output(client, "nothing")}
    assert "OVERSEER_TASK_ID" in names
    assert not names & {"ONE", "HOME", "PATH"}


def test_directory_and_umask(client: WsClient, files: Path) -> None:
    assert output(client, "cwd") == [f"{files}/you"]
    assert "cwd: no such directory" in refusal(client, "cwd", name="nowhere")
    assert output(client, "umask") == ["0027"]


def test_describe_shows_them_but_no_value_of_a_variable(client: WsClient, files: Path) -> None:
    actions = {each["name"]: each for each in client.request("describe")["actions"]}
    assert actions["env"]["settings"] == {
        "env": "A, B",
        "env_file": f"{files}/variables",
        "inherit_env": "minimal",
    }
    assert actions["cwd"]["settings"] == {"cwd": f"{files}/[[.name]]"}
    assert actions["umask"]["settings"] == {"umask": "027"}


def test_a_secret_parameter_reaches_a_command_through_its_environment(client: WsClient) -> None:
    assert output(client, "secret", pw="hunter2") == ["7"]
    assert "hunter2" not in str(client.request("list"))


def test_a_value_that_no_variable_can_hold_is_refused_by_the_variable_s_name(client: WsClient) -> None:
    assert refusal(client, "env", name="a\0b") == (
        "cannot start a task: the variable 'A' contains a NUL character"
    )
