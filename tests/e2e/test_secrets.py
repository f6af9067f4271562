"""Secret parameters: a command gets them, and nothing that the server says or writes has them in it."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from overseer.ctl import main
from tests.harness import Daemon, WsClient

SECRET = 'hunter2-é"\\\n-----second line-----'
SHAPES = (
    SECRET,
    "hunter2",
    "-----second line-----",
    json.dumps(SECRET)[1:-1],
    json.dumps(SECRET, ensure_ascii=False)[1:-1],
    repr(SECRET)[1:-1],
)
IN_ARGV = {"type": "secret", "allow_in_argv": True}
ACTIONS: dict[str, Any] = {
    # It prints the length alone: what a program prints of a secret is not masked.
    "login": {
        "type": "exec",
        "config": {
            "entrypoint": "sh",
            "command": ["-c", "echo ${#1} $2", "sh", "[[.password]]", "[[len .user]]"],
            "parameters": {
                "password": {**IN_ARGV, "description": "The account's", "validate": "value != 'short'"},
                "pin": {"type": "secret", "pattern": "([0-9]{4})?", "default": "", "message": "Four digits."},
                "number": {"type": "secret", "validate": "value == '' || int(value) > 0", "default": ""},
                "user": "me",
            },
        },
    },
    "all": {
        "type": "exec",
        "config": {
            "entrypoint": "echo",
            "command": ["[[.]]", "[[range $k, $v := .]][[$k]] [[end]]"],
            "parameters": {"password": {"type": "secret"}, "user": "me"},
        },
    },
    "program": {
        "type": "exec",
        "config": {"entrypoint": "/nowhere/[[.password]]", "parameters": {"password": IN_ARGV}},
    },
    "fails": {
        "type": "exec",
        "retry": {"error_threshold": 1},
        "config": {"entrypoint": "false", "parameters": {"password": {"type": "secret"}}},
    },
    "plain": {"type": "exec", "config": {"entrypoint": "true", "parameters": {"password": ""}}},
}


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with Daemon(actions=ACTIONS, audit_file="audit.jsonl", log_file="events.jsonl") as daemon:
        yield daemon


@pytest.fixture
def client(daemon: Daemon) -> Iterator[WsClient]:
    with daemon.connect() as client:
        yield client


def everything(daemon: Daemon, client: WsClient, capfd: pytest.CaptureFixture[str]) -> dict[str, str]:
    """Whatever somebody might be shown by the server, by where it is shown."""
    said = {
        request: json.dumps(client.request(request), ensure_ascii=False)
        for request in ("list", "describe", "manifest", "metrics", "pool_info")
    }
    for path in ("metrics", "openapi.json", "asyncapi.json", "ws/manifest"):
        with urllib.request.urlopen(f"http://{daemon.address}/{path}", timeout=30) as answer:
            said[path] = answer.read().decode()
    for name in ("audit.jsonl", "events.jsonl"):
        said[name] = (daemon.directory / name).read_text("utf-8")
    said["stderr"] = daemon.stderr
    for command in ("list", "actions", "describe"):
        capfd.readouterr()
        main(["--url", daemon.url, command, *(["login"] if command == "describe" else [])])
        said[f"overseerctl {command}"] = "".join(capfd.readouterr())
    for process in daemon.processes():
        said[f"/proc/{process}"] = Path(f"/proc/{process}/cmdline").read_text("utf-8")
    return said


def audited(daemon: Daemon, count: int) -> list[dict[str, Any]]:
    """The audit, once it has so many starts."""
    deadline = time.monotonic() + 30
    while True:
        lines = [
            json.loads(line) for line in (daemon.directory / "audit.jsonl").read_text("utf-8").splitlines()
        ]
        if len(lines) >= count:
            return lines
        assert time.monotonic() < deadline, lines
        time.sleep(0.01)


def test_nothing_that_the_server_says_or_writes_has_a_secret_in_it(
    daemon: Daemon, client: WsClient, capfd: pytest.CaptureFixture[str]
) -> None:
    with daemon.connect() as other:
        other.request("list")
        started, (output,), _ = client.run("login", params={"password": SECRET, "user": "you"})
        assert output["data"].split()[0] in (str(len(SECRET)), str(len(SECRET.encode())))  # by locale
        refused = [
            client.request("start", action=action, params=params)
            for action, params in (
                ("login", {"password": "short", "user": "me"}),
                ("login", {"password": SECRET, "pin": SECRET}),
                ("login", {"password": SECRET, "number": SECRET}),
                ("program", {"password": SECRET}),
                ("nosuch", {"password": SECRET}),
                ("login", {"pasword": SECRET}),
            )
        ]
        assert [each["type"] for each in refused] == ["error"] * 6
        assert refused[1]["message"] == "parameter 'pin': Four digits."
        assert refused[2]["message"] == "parameter 'number' does not meet value == '' || int(value) > 0"
        assert "***" in refused[3]["message"]
        client.run(
            "login", params={"password": "another one", "pasword": SECRET}
        )  # misspelt, and all the same
        _, (output,), _ = client.run("all", params={"password": SECRET})
        assert output["data"] == "map[user:me] user "
        client.request("start", action="fails", task_id="failing", params={"password": SECRET})
        client.expect("errored", task_id="failing")
        client.request("reset", task_id="failing")
        client.expect("errored", task_id="failing")
        heard = [
            *client.settle(),
            *other.settle(),
            *client.pending(),
            *other.pending(),
            *refused,
            started,
            output,
        ]
        listed = client.request("list")["tasks"]
        assert next(each for each in listed if each["task_id"] == started["task_id"])["params"] == {
            "password": "***", "user": "you",
        }  # fmt: skip
        assert [each["params"] for each in listed if "pasword" in each["params"]] == [
            {"password": "***", "pasword": "***"}
        ]
        starts = [each["request"] for each in audited(daemon, 11) if each["request"]["type"] == "start"]
        assert {each["params"].get("password", "***") for each in starts} == {"***"}
        said = everything(daemon, client, capfd) | {"messages": json.dumps(heard, ensure_ascii=False)}
    assert {place: shape for place, text in said.items() for shape in SHAPES if shape in text} == {}
    assert all(said.values())


def test_what_stands_for_a_secret_is_not_taken_for_one(client: WsClient) -> None:
    refused = client.request("start", action="login", params={"password": "***"})
    assert refused["param"] == "password"
    assert "give the secret itself" in refused["message"]
    started, _, _ = client.run("plain", params={"password": "***"})
    assert started["type"] == "started", "it is a text like any other there"


def test_it_is_described_and_an_optional_one_as_such(client: WsClient) -> None:
    (action,) = client.request("describe", action="login")["actions"]
    assert action["params"]["password"] == {
        "type": "secret",
        "description": "The account's",
        "validate": "value != 'short'",
        "allow_in_argv": True,
    }
    assert action["params"]["pin"]["default"] == ""


def test_a_secret_stays_one_when_a_reload_makes_a_text_of_it() -> None:
    with Daemon(actions={"fails": ACTIONS["fails"]}) as daemon, daemon.connect() as client:
        client.request("start", action="fails", task_id="t", params={"password": SECRET})
        client.expect("errored", task_id="t")
        open_one = {**ACTIONS["fails"], "config": {"entrypoint": "false", "parameters": {"password": {}}}}
        config = json.loads((daemon.directory / "config.yaml").read_text())
        (daemon.directory / "config.yaml").write_text(json.dumps({**config, "actions": {"fails": open_one}}))
        assert client.request("reload")["changed"] == ["fails"]
        client.request("reset", task_id="t")
        client.expect("errored", task_id="t")
        assert client.request("list")["tasks"][0]["params"] == {"password": "***"}
