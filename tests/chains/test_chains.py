"""Chains on a real server: what follows which end, with which values, on whose record, and what does not."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.auth.support import address_of, bearer, token_of
from tests.daemon.support import get
from tests.harness import Daemon, WsClient, shell
from tests.net.rawclient import RawClient

VALUE = {"parameters": {"value": "none"}}


def follow(action: str, **params: str) -> dict[str, Any]:
    return {"action": action, "params": params}


ACTIONS = {
    "say": shell("echo [[shquote .value]]", config=VALUE),
    "check": shell("echo [[shquote .value]]", config={"parameters": {"value": {"pattern": "[a-z]+"}}}),
    "code": shell(
        "exit [[.code]]",
        config={"parameters": {"code": "0", "word": "w"}},
        then={
            "success": [follow("say", value="success [[.task_id]] [[.params.word]]")],
            "failure": [follow("say", value="failure [[.task_id]] [[.exit_code]] [[.reason]]")],
            "any": [follow("say", value="any [[.task_id]] [[.run_id]]"), "say"],
        },
    ),
    "retried": shell(
        "test -e gone && exit 4; touch gone; exit 3",
        retry={"restart_delay": "1ms", "error_threshold": 2},
        then={"failure": [follow("say", value="gave up [[.exit_code]]")]},
    ),
    "sleep": shell("echo up; exec sleep 60", then={"any": [follow("say", value="after a stop")]}),
    "slow": shell(
        "echo up; exec sleep 60", timeout="0.2s", then={"failure": [follow("say", value="late [[.reason]]")]}
    ),
    "hands": shell(
        'echo "$OVERSEER_OUTPUT"; (echo "tag=v1"; echo "[[.line]]") >> "$OVERSEER_OUTPUT"',
        config={"parameters": {"line": "x=y"}},
        then={
            "success": [
                follow("check", value="[[.output.tag]]"),
                follow("say", value="tag [[.output.tag]]"),
            ]
        },
    ),
    "defaults": shell(
        "true",
        config={"parameters": {"branch": "main", "dry": {"type": "boolean", "default": "false"}}},
        then={"any": [follow("say", value="[[.params.branch]] [[if .params.dry]]dry[[else]]wet[[end]]")]},
    ),
    "first": shell("true", then={"any": ["second"]}),
    "second": shell("true", then={"any": ["third"]}),
    "third": shell("true"),
    "secretive": {
        **shell("echo key=$KEY >> $OVERSEER_OUTPUT", then={"any": [follow("say", value="[[.output.key]]")]}),
    },
    "given": shell(
        "true",
        config={"parameters": {"password": {"type": "secret"}}},
        then={"any": [follow("say", value="got [[.params.password]]")]},
    ),
    "any": {
        "type": "exec",
        "config": {
            "entrypoint": "[[.program]]",
            "command": ["60"],
            "parameters": {"program": {"default": "sleep", "choices": ["sleep", "/no/such"]}},
        },
        "task_pool": {"limit": 1, "queue": {"enabled": True}},
        "then": {"failure": [follow("say", value="not started: [[.reason]], [[.exit_code]].")]},
    },
}
ACTIONS["secretive"]["config"]["env"] = {"KEY": {"secret": "key"}}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    directory = tmp_path_factory.mktemp("chains")
    (directory / "key").write_text("hunter2hunter2")
    (directory / "key").chmod(0o600)
    files = {"audit_file": str(directory / "audit"), "log_file": str(directory / "events")}
    with Daemon(actions=ACTIONS, secrets={"key": {"file": str(directory / "key")}}, **files) as daemon:
        yield daemon


@pytest.fixture
def client(daemon: Daemon) -> Iterator[WsClient]:
    with daemon.connect() as client:
        yield client


def until(client: WsClient, found: Callable[[list[dict[str, Any]]], Any], timeout: float = 30.0) -> Any:
    """Ask for the list until there is what is looked for."""
    deadline = time.monotonic() + timeout
    while True:
        tasks = client.request("list")["tasks"]
        if result := found(tasks):
            return result
        assert time.monotonic() < deadline, tasks


def said(client: WsClient, by: str, number: int = 1) -> list[str]:
    """What those say that a task was followed by, in the order of their starts, once they are over."""

    def over(tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
        followers = [task for task in tasks if task.get("trigger") == {"type": "chain", "by": f"chain:{by}"}]
        ended = [task for task in followers if "last_exit_code" in task]
        return followers if len(ended) == len(followers) == number else []

    lines = []
    for task in until(client, over):
        client.send("replay", task_id=task["task_id"])
        lines.append(client.expect("output", task_id=task["task_id"])["data"])
    return lines


def records(path: Path, **match: Any) -> list[dict[str, Any]]:
    """The lines of a log that match, once there are some."""
    deadline = time.monotonic() + 30
    while True:
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        found = [line for line in lines if all(line.get(name) == value for name, value in match.items())]
        if found:
            return found
        assert time.monotonic() < deadline, lines


def test_a_success_and_a_failure_are_followed_by_what_the_file_says(client: WsClient) -> None:
    client.run("code", task_id="good", params={"word": "hello"})
    good = said(client, "good", 3)
    assert good[0] == "success good hello"
    assert good[1].startswith("any good ")
    assert len(good[1].split()[2]) > 20
    assert good[2] == "none"
    client.run("code", task_id="bad", params={"code": "7"})
    assert said(client, "bad", 3)[0] == "failure bad 7 exited"


def test_only_the_last_attempt_is_followed(client: WsClient) -> None:
    client.send("start", action="retried", task_id="retried")
    client.expect("errored", task_id="retried")
    assert said(client, "retried") == ["gave up 4"]


@pytest.mark.parametrize("way", ["stop", "restart"])
def test_nothing_follows_a_stop(client: WsClient, way: str) -> None:
    task_id = f"stopped by {way}"
    client.send("start", action="sleep", task_id=task_id)
    client.expect("output", task_id=task_id)
    client.send(way, task_id=task_id)
    client.expect("exited", task_id=task_id)
    if way == "restart":
        client.expect("output", task_id=task_id)
        client.send("stop", task_id=task_id)
        client.expect("exited", task_id=task_id)
    client.run("first", task_id=f"after {way}")  # what is heard of later has followed by then
    until(client, lambda tasks: _followers(tasks, f"after {way}"))
    assert not _followers(client.request("list")["tasks"], task_id)


def _followers(tasks: list[dict[str, Any]], task_id: str) -> list[dict[str, Any]]:
    return [task for task in tasks if task.get("trigger", {}).get("by") == f"chain:{task_id}"]


def test_a_timeout_is_a_failure(client: WsClient) -> None:
    client.send("start", action="slow", task_id="slow")
    assert said(client, "slow") == ["late timeout"]


def test_a_start_from_the_queue_that_fails_is_a_failure(client: WsClient) -> None:
    client.request("start", action="any", task_id="holds")
    client.request("start", action="any", task_id="cannot", params={"program": "/no/such"})
    client.send("stop", task_id="holds")
    client.expect("errored", task_id="cannot")
    assert said(client, "cannot") == ["not started: start_failed, ."]


def test_each_start_that_fails_is_followed_by_a_task_of_its_own(client: WsClient) -> None:
    client.request("start", action="any", task_id="before")
    for name in ("missing-1", "missing-2"):
        client.request("start", action="any", task_id=name, params={"program": "/no/such"})
    client.send("stop", task_id="before")
    for name in ("missing-1", "missing-2"):
        client.expect("errored", task_id=name)
        assert said(client, name) == ["not started: start_failed, ."]


def test_values_are_handed_on_and_checked_like_a_clients(daemon: Daemon, client: WsClient) -> None:
    _, outputs, _ = client.run("hands", task_id="hands", params={"line": "tag=v2"})
    refused = client.expect("chain_refused", task_id="hands")
    assert (refused["action"], refused["message"]) == ("check", "parameter 'value' does not match [a-z]+")
    assert said(client, "hands") == ["tag v2"]
    path = Path(outputs[0]["data"])
    assert not path.exists()
    assert not path.parent.exists()


def test_a_refused_start_is_on_record(daemon: Daemon, client: WsClient) -> None:
    client.run("hands", task_id="recorded")
    client.expect("chain_refused", task_id="recorded")
    said(client, "recorded")
    directory = Path(json.loads((daemon.directory / "config.yaml").read_text())["log_file"]).parent
    (event,) = records(directory / "events", type="chain_refused", task_id="recorded")
    assert event["action"] == "check"
    refused, started = records(directory / "audit", who="chain:recorded")
    assert (refused["request"]["action"], refused["allowed"]) == ("check", True)
    assert refused["error"] == "parameter 'value' does not match [a-z]+"
    assert refused["request"]["params"] == {"value": "v1"}
    assert (started["request"]["action"], started["from"], "error" in started) == ("say", "server", False)
    assert started["task_id"] == _followers(client.request("list")["tasks"], "recorded")[0]["task_id"]
    assert "task recorded: check, which follows, is not started" in daemon.stderr


def test_a_chain_goes_on_from_what_it_has_started(client: WsClient) -> None:
    client.run("first", task_id="one")
    second = until(client, lambda tasks: _followers(tasks, "one"))[0]
    third = until(client, lambda tasks: _followers(tasks, second["task_id"]))[0]
    assert (second["action"], third["action"]) == ("second", "third")


@pytest.mark.parametrize(
    ("params", "line"), [({}, "main wet"), ({"dry": "false"}, "main wet"), ({"dry": "true"}, "main dry")]
)
def test_parameters_are_handed_on_as_the_command_saw_them(
    client: WsClient, params: dict[str, str], line: str
) -> None:
    name = f"defaults-{len(params)}-{line[-3:]}"
    client.run("defaults", task_id=name, params=params)
    assert said(client, name) == [line]


def test_secrets_are_not_handed_on(client: WsClient) -> None:
    client.run("secretive", task_id="secretive")
    assert said(client, "secretive") == ["***"]
    client.run("given", task_id="given", params={"password": "hunter3hunter3"})
    assert said(client, "given") == ["got ***"]


def test_what_a_scope_hides_is_hidden_in_chains_as_well() -> None:
    tokens = [
        {"name": name, "token": token_of(name), "role": "admin", **more}
        for name, more in (("ana", {}), ("bob", {"actions": ["apart"]}), ("eve", {"actions": ["say"]}))
    ]
    actions = {
        "apart": shell("true", then={"any": [follow("say", value="x"), "missing"]}),
        "say": ACTIONS["say"],
        "missing": shell("true", config={"parameters": {"needed": {}}}),
    }
    with ExitStack() as stack:
        daemon = stack.enter_context(Daemon(actions=actions, auth={"tokens": tokens}))
        ana, bob, eve = (
            stack.enter_context(RawClient(address_of(daemon), headers=[bearer(name)]))
            for name in ("ana", "bob", "eve")
        )
        for client in (ana, bob):
            client.request(type="subscribe", id="s", task_id="t")
        bob.send_json(type="start", id="1", action="apart", task_id="t")
        refused = ana.receive_until(lambda message: message["type"] == "chain_refused")[-1]
        assert (refused["task_id"], "action" in refused, "message" in refused) == ("t", False, False)
        bob.send_json(type="describe", id="end", action="apart")
        heard = bob.receive_until(lambda message: message.get("id") == "end")
        assert "missing" not in json.dumps(heard)
        assert "then" not in heard[-1]["actions"][0]
        (seen,) = eve.request(type="list", id="l")["tasks"]
        assert (seen["action"], seen["trigger"]) == ("say", {"type": "chain"})
        shown = {task["action"]: task.get("trigger") for task in ana.request(type="list", id="l")["tasks"]}
        assert shown == {"apart": None, "say": {"type": "chain"}}
        (described,) = ana.request(type="describe", id="d", action="apart")["actions"]
        assert described["then"] == {
            "any": [{"action": "say", "params": {"value": "x"}}, {"action": "missing"}]
        }


def test_metrics_count_what_followed_and_what_was_refused(daemon: Daemon, client: WsClient) -> None:
    client.run("hands", task_id="counted")
    client.expect("chain_refused", task_id="counted")
    said(client, "counted")
    _, _, metrics = get(daemon, "/metrics")
    for name in ("chain_starts", "chain_refused"):
        (value,) = re.findall(rf"^overseer_{name}_total (\S+)$", metrics, re.MULTILINE)
        assert float(value) >= 1


def test_a_file_is_gone_when_the_server_is_killed() -> None:
    action = shell("echo $OVERSEER_OUTPUT; exec sleep 60", then={"any": ["a"]})
    with Daemon(actions={"b": action, "a": shell("true")}) as daemon, daemon.connect() as client:
        client.send("start", action="b", task_id="t")
        path = Path(client.expect("output", task_id="t")["data"])
        assert path.stat().st_mode & 0o777 == 0o600
        daemon.process.kill()
        daemon.process.wait(10)
        deadline = time.monotonic() + 30
        while path.parent.exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)  # nothing tells when the guardian is done
        daemon.kill()


def test_without_a_then_there_is_no_file() -> None:
    with Daemon(actions={"a": shell('echo "<$OVERSEER_OUTPUT>"')}) as daemon, daemon.connect() as client:
        assert client.run("a")[1][0]["data"] == "<>"
