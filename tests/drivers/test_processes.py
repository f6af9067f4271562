"""A driver from outside the package whose tasks are processes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.harness import Daemon, WsClient


def run(client: WsClient, action: str, script: str, **params: str) -> tuple[list[tuple[str, str]], dict]:
    _, outputs, exited = client.run(action, params={"script": script, **params})
    return [(output["stream"], output["data"]) for output in outputs], exited


def describe(client: WsClient, action: str) -> dict[str, Any]:
    (info,) = client.request("describe", action=action)["actions"]
    return info


def test_its_task_is_a_process_with_pid_output_and_exit_code(client: WsClient) -> None:
    started, (output,), exited = client.run("script", params={"script": "echo $$; exit 3"})
    assert started["pid"] == output["pid"] == exited["pid"] == int(output["data"])
    assert (exited["exit_code"], exited["intentional"]) == (3, False)


@pytest.mark.parametrize(
    ("action", "seen"),
    [
        ("bare", {("stdout", "out"), ("stderr", "err")}),
        ("no stdout", {("stderr", "err")}),
        ("no stderr", {("stdout", "out")}),
        ("silent", set()),
    ],
)
def test_a_stream_not_included_is_dropped_and_never_blocks_the_child(
    client: WsClient, action: str, seen: set[tuple[str, str]]
) -> None:
    # 1 MB to each stream first would block on a pipe that nobody reads.
    flood = "head -c 1000000 /dev/zero >&1; head -c 1000000 /dev/zero >&2;" if action == "silent" else ""
    outputs, exited = run(client, action, f"{flood} echo out; echo err >&2; exit 4")
    assert (set(outputs), exited["exit_code"]) == (seen, 4)


def test_env_is_added_to_the_servers_and_cwd_is_where_it_runs(client: WsClient, daemon: Daemon) -> None:
    outputs, _ = run(client, "env", 'echo "$GREETING $HOME"; test -n "$PATH"; pwd')
    assert outputs == [("stdout", "hello /somewhere"), ("stdout", str(daemon.directory))]
    assert run(client, "root", "pwd")[0] == [("stdout", "/")]


@pytest.mark.parametrize(
    ("action", "words"), [("nowhere", "/no/such/directory"), ("no shell", "/no/such/shell")]
)
def test_what_cannot_be_spawned_refuses_the_start_in_one_sentence(
    client: WsClient, action: str, words: str
) -> None:
    error = client.request("start", action=action, task_id="unborn", params={"script": "true"})
    assert error["type"] == "error"
    assert words in error["message"]
    assert "unborn" not in [task["task_id"] for task in client.request("list")["tasks"]]


def test_validate_refuses_with_its_own_words_and_cannot_change_the_parameters(client: WsClient) -> None:
    error = client.request("start", action="script")
    assert (error["type"], error["message"]) == ("error", "say which script")
    assert run(client, "script", "echo $1")[0] == [("stdout", "small")]
    assert run(client, "script", "echo $1", size="large")[0] == [("stdout", "large")]


def test_describe_shows_the_drivers_parameters_and_what_the_configuration_says(client: WsClient) -> None:
    assert describe(client, "script") == {
        "name": "script",
        "type": "acme-process",
        "description": "runs a script",
        "params": {"script": None, "size": {"default": "small"}},
        "task_pool": {"limit": 50, "excess": {"action": "stop", "order": "first", "grace": 5}},
        "retry": {"error_threshold": 3},
        "dedupe_key": ["key", "size"],
    }


def test_create_gets_the_raw_config_and_what_is_merged_and_resolved(client: WsClient) -> None:
    created_with = json.loads(describe(client, "env")["description"])
    assert created_with == {
        "config": {"env": {"GREETING": "hello", "HOME": "/somewhere"}},
        "action_name": "env",
        "retry": {
            "restart_delay": 0,
            "restart_jitter": 0,
            "error_window": 0,
            "error_threshold": 0,
            "restart_on": "",
            "restart_factor": None,
            "restart_max_delay": 0,
            "restart_reset": 0,
        },
        "limit": 0,
        "dedupe_key": [],
    }
    assert json.loads(describe(client, "bare")["description"])["config"] == {}


def test_the_configurations_dedupe_key_counts_with_the_drivers_defaults(client: WsClient) -> None:
    first = client.request(
        "start", action="script", task_id="dedupe-1", params={"script": "sleep 60", "key": "a"}
    )
    assert first["type"] == "started"
    error = client.request("start", action="script", params={"script": "true", "key": "a", "size": "small"})
    assert error["existing_task_id"] == "dedupe-1"
    other = client.request("start", action="script", params={"script": "true", "key": "b"})
    assert other["type"] == "started"
    client.send("stop", task_id="dedupe-1")
    client.expect("exited", task_id="dedupe-1")


def test_it_can_be_given_input(client: WsClient) -> None:
    client.request("start", action="reads", task_id="reads", params={"script": 'read -r a; echo "<$a>"; cat'})
    client.request("input", task_id="reads", data="one\ntwo", eof=True)
    client.expect("exited", task_id="reads")
    assert [output["data"] for output in client.outputs("reads")] == ["<one>", "two"]


def test_a_terminal_is_read_even_if_nothing_of_it_is_wanted(client: WsClient) -> None:
    client.request(
        "start", action="on a terminal", task_id="tty", params={"script": "seq 100000; exit 3"}, raw=True
    )
    assert client.expect("exited", task_id="tty")["exit_code"] == 3
    assert client.outputs("tty") == []
    assert not client.pending("data", task_id="tty")


def test_a_kind_of_stdin_that_there_is_not_is_an_error(client: WsClient) -> None:
    answer = client.request("start", action="stdin of another kind", params={"script": "true"})
    assert answer["message"] == "cannot start a task: stdin must be none, pipe or pty, not 'tty'"
