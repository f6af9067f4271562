"""``ready`` of an action, on a real server with real children."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.faults.support import wait_until
from tests.harness import Daemon, WsClient, shell
from tests.probes.targets import Target

_NOTIFIES = """
import os, socket, sys
address = os.environ["NOTIFY_SOCKET"]
assert address.startswith("@")
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
    sender.connect("\\0" + address[1:])
    for word in sys.argv[1:]:
        print(word, flush=True)
        sys.stdin.readline()
        sender.send(word.encode())
sys.stdin.read()
"""
_WAITS = "read go; touch [[.file]]; exec sleep 60"
_FILE = {"parameters": {"file": {}}, "stdin": "pipe"}


def python(script: str, *arguments: str, **action: Any) -> dict[str, Any]:
    config = {"entrypoint": sys.executable, "command": ["-c", script, *arguments], "stdin": "pipe"}
    return {"type": "exec", "config": config, **action}


ACTIONS: dict[str, Any] = {
    "plain": shell("exec sleep 60"),
    "line": shell("echo starting; read go; echo 'serving on 80'; exec cat", config={"stdin": "pipe"},
                  ready={"log": "^serving on [0-9]+$"}),
    "coloured": shell(r"printf '\033[1;32mserving\033[0m \033]0;title\007here\n'; exec sleep 60",
                      ready={"log": "^serving here$"}),
    "stderr": shell("echo serving >&2; exec sleep 60", ready={"log": "serving"}),
    "prompt": shell("printf 'login: '; exec sleep 60", ready={"log": "login: $"}),
    "filtered": shell("echo serving; echo other; exec sleep 60", ready={"log": "serving", "timeout": "300ms"},
                      config={"stdout_condition": "output.data == 'other'"}),
    "masked": shell('echo "token=$TOKEN"; exec sleep 60', ready={"log": r"^token=\*\*\*$"},
                    config={"parameters": {"token": {"type": "secret"}}, "env": {"TOKEN": "[[.token]]"}}),
    "by parameter": shell("echo 'serving on 8123'; exec sleep 60", ready={"log": "on [[.port]]$"},
                          config={"parameters": {"port": "8123"}}),
    "flood": shell("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); echo line $i; done; exec sleep 60",
                   ready={"log": "^line 19999$"}),
    "address": shell("exec sleep 60", ready={"tcp": "127.0.0.1:[[.port]]", "interval": "50ms"},
                     config={"parameters": {"port": {}}}),
    "page": shell("exec sleep 60", ready={"http": "http://127.0.0.1:[[.port]]/[[if .deep]]deep[[end]]"},
                  config={"parameters": {"port": {}, "deep": {"type": "boolean", "default": False}}}),
    "program": shell(_WAITS, ready={"exec": ["test", "-e", "[[.file]]"], "interval": "50ms"}, config=_FILE),
    "surroundings": shell("exec sleep 60", ready={"exec": ["sh", "-c", "(pwd; env; umask) >seen"]},
                          config={"cwd": "[[.dir]]", "env": {"COLOUR": "[[.dir]]"}, "umask": "027",
                                  "inherit_env": ["PATH"], "parameters": {"dir": {}}}),
    "notifies": python(_NOTIFIES, "STATUS=loading", "READY=1", ready={"notify": True}),
    "later": shell("exec sleep 60", ready={"after": "200ms"}),
    "all": shell("read go; echo serving; read go; touch [[.file]]; exec sleep 60", config=_FILE,
                 ready={"log": "serving", "after": "100ms", "exec": ["test", "-e", "[[.file]]"],
                        "interval": "50ms"}),
    "slow": shell(_WAITS, ready={"exec": ["sh", "-c", "test -e [[.file]] || { echo no file; exit 1; }"],
                                 "interval": "50ms", "timeout": "600ms"}, config=_FILE),
    "silent": shell("exec sleep 60", ready={"log": "serving", "notify": True, "timeout": "100ms"}),
    "crashes": shell("echo serving; exit 1", ready={"log": "serving"}, retry={"error_threshold": 3}),
    "ends": shell("exit 0", ready={"exec": ["sleep", "30"]}),
}  # fmt: skip


def go(client: WsClient, task_id: str) -> None:
    assert client.request("input", task_id=task_id, data="\n")["type"] == "input_accepted"


def begin(client: WsClient, action: str, task_id: str = "", **params: str) -> str:
    started = client.request(
        "start", action=action, params=params, **({"task_id": task_id} if task_id else {})
    )
    assert started["type"] == "started", started
    return str(started["task_id"])


def test_a_line_makes_it_ready(client: WsClient) -> None:
    task = begin(client, "line")
    client.expect("output", task_id=task, data="starting")
    info = client.info(task)
    assert (info["ready"], "health" in info) == (False, False)
    go(client, task)
    ready = client.expect("ready", task_id=task)
    assert ready.keys() == {"type", "task_id", "pid", "ts"}
    assert ready["pid"] == client.info(task)["current_pid"]
    assert client.info(task)["ready"] is True
    go(client, task)  # its output is read on as before
    client.expect("output", task_id=task, data="")
    client.send("stop", task_id=task)
    client.expect("exited", task_id=task)
    assert client.info(task)["ready"] is False
    assert client.pending("not_ready") == []


@pytest.mark.parametrize("action", ["coloured", "stderr", "prompt", "by parameter", "flood", "later"])
def test_so_do_lines_of_every_kind_and_a_time(client: WsClient, action: str) -> None:
    task = begin(client, action)
    client.expect("ready", task_id=task)


def test_lines_are_matched_as_clients_see_them(client: WsClient) -> None:
    task = begin(client, "masked", token="hunter2-hunter2")
    client.expect("ready", task_id=task)
    task = begin(client, "filtered")
    detail = client.expect("not_ready", task_id=task)["detail"]
    assert detail == "not ready after 0.3 s: no line has matched"


def test_an_address_makes_it_ready(client: WsClient) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        task = begin(client, "address", port=str(port))
        assert client.info(task)["ready"] is False
        server.listen()
        client.expect("ready", task_id=task)


def test_a_page_makes_it_ready_and_is_then_left_alone(client: WsClient) -> None:
    with Target() as target:
        begin(client, "page", "a", port=str(target.port))
        client.expect("ready", task_id="a")
        begin(client, "page", "b", port=str(target.port), deep="true")
        client.expect("ready", task_id="b")
        assert [request.split()[1] for request in target.requests] == [b"/", b"/deep"]


def test_a_program_makes_it_ready(client: WsClient, tmp_path: Path) -> None:
    task = begin(client, "program", file=str(tmp_path / "up"))
    assert client.info(task)["ready"] is False
    go(client, task)
    client.expect("ready", task_id=task)


def test_a_program_runs_where_the_task_does(client: WsClient, tmp_path: Path) -> None:
    task = begin(client, "surroundings", dir=str(tmp_path))
    client.expect("ready", task_id=task)
    where, *variables, umask = (tmp_path / "seen").read_text().splitlines()
    found = dict(line.split("=", 1) for line in variables)
    assert (where, umask) == (str(tmp_path), "0027")
    assert (found["COLOUR"], found["OVERSEER_TASK_ID"]) == (str(tmp_path), task)
    assert found.keys() <= {"COLOUR", "PATH", "PWD", "OLDPWD", "SHLVL", "_", "OVERSEER_TASK_ID",
                            "OVERSEER_RUN_ID", "OVERSEER_SERVER_ID"}  # fmt: skip
    environment = Path(f"/proc/{client.info(task)['current_pid']}/environ").read_bytes().split(b"\0")
    assert f"OVERSEER_RUN_ID={found['OVERSEER_RUN_ID']}".encode() not in environment


def test_it_says_so_itself(client: WsClient) -> None:
    task = begin(client, "notifies")
    client.expect("output", task_id=task, data="STATUS=loading")
    go(client, task)
    client.expect("output", task_id=task, data="READY=1")
    assert client.info(task)["ready"] is False
    go(client, task)
    client.expect("ready", task_id=task)
    client.send("stop", task_id=task)
    client.expect("exited", task_id=task)
    assert "@overseer/" not in Path("/proc/net/unix").read_text()


def test_of_several_all_must_hold(client: WsClient, tmp_path: Path) -> None:
    task = begin(client, "all", file=str(tmp_path / "up"))
    go(client, task)
    client.expect("output", task_id=task, data="serving")
    assert client.info(task)["ready"] is False
    go(client, task)
    client.expect("ready", task_id=task)


def test_what_is_not_ready_in_time_is_told_of_and_may_be_ready_later(
    daemon: Daemon, client: WsClient, tmp_path: Path
) -> None:
    task = begin(client, "slow", file=str(tmp_path / "up"))
    late = client.expect("not_ready", task_id=task)
    assert late["detail"] == "not ready after 0.6 s: exec sh: ended with status 1: no file"
    assert f"task {task}: {late['detail']}" in daemon.wait_stderr(late["detail"])
    info = client.info(task)
    assert (info["ready"], info["worker_state"]) == (False, "running")
    go(client, task)
    client.expect("ready", task_id=task)
    assert client.info(task)["ready"] is True


def test_what_it_lacks_is_said(client: WsClient) -> None:
    task = begin(client, "silent")
    lacks = client.expect("not_ready", task_id=task)["detail"]
    assert lacks == "not ready after 0.1 s: no line has matched; no READY=1 came"


def test_each_run_has_to_become_ready_itself(client: WsClient) -> None:
    client.send("start", action="crashes", task_id="c")
    events = client.collect("errored", task_id="c")
    told = [event["type"] for event in events if event["type"] in ("started", "ready", "exited")]
    assert told == ["started", "ready", "exited"] * 3
    assert client.info("c")["ready"] is False


def test_a_probe_ends_with_its_run(daemon: Daemon, client: WsClient) -> None:
    task = begin(client, "ends")
    client.expect("exited", task_id=task)
    client.settle()
    wait_until(lambda: "sleep 30" not in daemon.processes().values(), 10)


def test_where_nothing_is_configured_nothing_is_said(client: WsClient) -> None:
    task = begin(client, "plain")
    assert not {"ready", "health"} & client.info(task).keys()


@pytest.mark.parametrize(
    ("action", "params", "message"),
    [
        ("address", {"port": "eighty"}, 'ready.tcp: expected a port from 1 to 65535, found "eighty"'),
        ("address", {"port": "0"}, 'ready.tcp: expected a port from 1 to 65535, found "0"'),
        ("page", {"port": "80/ HTTP/1.1\r\nX: y"}, "ready.http: a URL has no spaces"),
        ("by parameter", {"port": "(80"}, "ready.log: bad regular expression"),
    ],
)
def test_a_start_with_which_nothing_could_be_looked_at_is_refused(
    client: WsClient, action: str, params: dict[str, str], message: str
) -> None:
    error = client.request("start", action=action, params=params)
    assert error["type"] == "error"
    assert error["message"].startswith(message)


def test_an_action_says_how_it_is_looked_at(client: WsClient) -> None:
    described = {action["name"]: action for action in client.request("describe")["actions"]}
    assert described["all"]["ready"] == "log serving, exec test -e '[[.file]]', after 100ms; within 1m0s"
    assert described["silent"]["ready"] == "log serving, notify; within 100ms"
    assert "ready" not in described["plain"]


def test_a_list_of_what_has_changed_has_what_became_ready(client: WsClient) -> None:
    task = begin(client, "line")
    since = client.info(task)["last_started_at"]
    client.expect("output", task_id=task, data="starting")
    go(client, task)
    ts = client.expect("ready", task_id=task)["ts"]
    assert since < ts
    assert task in [row["task_id"] for row in client.request("list", since=ts)["tasks"]]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_program_runs_as_the_task_s_user_and_that_may_notify_too() -> None:
    who = 'test "$(id -un) $HOME" = "$(id -un nobody) $(getent passwd nobody | cut -d: -f6)"'
    actions = {
        "nobody": shell(
            "exec sleep 60", config={"user": "nobody", "cwd": "/"}, ready={"exec": ["sh", "-c", who]}
        ),
        "notifies": {
            "type": "exec",
            "config": {
                "entrypoint": "python3",
                "command": ["-c", _NOTIFIES, "READY=1"],
                "user": "nobody",
                "cwd": "/",
                "stdin": "pipe",
            },
            "ready": {"notify": True},
        },
    }
    with Daemon(actions=actions) as daemon, daemon.connect() as client:
        begin(client, "nobody", "a")
        client.expect("ready", task_id="a")
        begin(client, "notifies", "b")
        client.expect("output", task_id="b", data="READY=1")
        go(client, "b")
        client.expect("ready", task_id="b")
