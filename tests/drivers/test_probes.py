"""Tasks of drivers from outside the package are looked at like any others."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.drivers.conftest import ENVIRONMENT, PROGRAM, function, process
from tests.harness import Daemon, WsClient

_SENDS = (
    f"""{sys.executable} -c 'import os, socket; a = os.environ["NOTIFY_SOCKET"]; """
    """s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); """
    """s.sendto(b"READY=1", "\\0" + a[1:]); input()' """
)
ACTIONS = {
    "function": function("until_stopped", ready={"log": "^ready [[.x]]"}),
    "sick function": function("until_stopped", health={"exec": ["false"], "failures": 1}),
    "surroundings": {
        **process(env={"GREETING": "hello"}, cwd="/tmp"),
        "ready": {"exec": ["sh", "-c", 'test "$GREETING $PWD" = "hello /tmp"']},
    },
    "notifies": {**process(stdin="pipe"), "ready": {"notify": True}},
    "of a function": function(
        "until_stopped", ready={"exec": ["sh", "-c", 'env >"[[.file]]"; test -n "$OVERSEER_TASK_ID"']}
    ),
}


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with Daemon(actions=ACTIONS, program=PROGRAM, environment=ENVIRONMENT) as daemon:
        yield daemon


@pytest.fixture
def client(daemon: Daemon) -> Iterator[WsClient]:
    with daemon.connect() as client:
        yield client


def test_a_function_is_ready_by_what_it_says(client: WsClient) -> None:
    client.request("start", action="function", task_id="f", params={"x": "f"})
    ready = client.expect("ready", task_id="f")
    assert ready["pid"] == 0
    client.send("stop", task_id="f")
    client.expect("exited", task_id="f")


def test_an_unhealthy_function_is_stopped_and_has_failed(client: WsClient) -> None:
    client.request("start", action="sick function", task_id="s")
    client.expect("health", task_id="s", status="unhealthy")
    exited = client.expect("exited", task_id="s")
    assert (exited["reason"], exited["exit_code"], exited["intentional"]) == ("unhealthy", 5, False)


def test_a_program_runs_where_start_worker_has_started_the_task(client: WsClient) -> None:
    client.request("start", action="surroundings", task_id="w", params={"script": "exec sleep 60"})
    client.expect("ready", task_id="w")
    client.send("stop", task_id="w")
    client.expect("exited", task_id="w")


def test_where_there_is_no_process_it_runs_with_little(client: WsClient, tmp_path: Path) -> None:
    file = tmp_path / "env"
    client.request("start", action="of a function", task_id="e", params={"file": str(file)})
    client.expect("ready", task_id="e")
    found = {line.partition("=")[0] for line in file.read_text().splitlines()}
    assert "OVERSEER_TEST_MARKER" not in found
    assert {"PATH", "OVERSEER_TASK_ID"} <= found
    client.send("stop", task_id="e")
    client.expect("exited", task_id="e")


def test_start_worker_hands_on_the_socket_to_notify(client: WsClient) -> None:
    client.request("start", action="notifies", task_id="n", params={"script": _SENDS})
    client.expect("ready", task_id="n")
    client.send("stop", task_id="n")
    client.expect("exited", task_id="n")
