"""``restart``: stop, wait, start again, as one request."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.faults.support import wait_until
from tests.harness import Daemon, WsClient, shell

_STUBBORN = "trap '' TERM; echo up; while :; do sleep 0.01; done"
ACTIONS = {
    "waits": shell("echo up [[.x]]; exec sleep 60", config={"parameters": {"x": {"default": ""}}}),
    "slow": shell(_STUBBORN, stop_grace="400ms"),
    "pooled": {**shell("echo up; exec sleep 60"), "task_pool": {"limit": 1, "queue": {"enabled": True}}},
    "full": {**shell("[[.do]]", config={"parameters": {"do": {"default": "exec sleep 60"}}}),
             "task_pool": {"limit": 1}},
    "fails": shell("exit 1", retry={"restart_delay": "1h"}),
    "gives up": shell("exit 1", retry={"error_threshold": 1}),
    "ends": shell("echo up; exit 3"),
    "once": shell("", config={"entrypoint": "./program", "command": []}),
}  # fmt: skip


def begin(client: WsClient, action: str, **fields: Any) -> dict[str, Any]:
    client.send("start", action=action, task_id="t", **fields)
    started = client.expect("started", task_id="t")
    client.expect("output", task_id="t")
    return started


def test_a_running_task_is_stopped_and_started_again(client: WsClient) -> None:
    first = begin(client, "waits", params={"x": "mine"}, retry_policy={"restart_delay": "1h"})
    created = client.info("t")["created_at"]
    client.send("restart", id="again", task_id="t")
    exited = client.expect("exited", task_id="t")
    assert (exited["reason"], exited["intentional"], exited["will_restart"]) == ("stopped", True, True)
    started = client.expect("started", task_id="t")
    assert (started["id"], started["restart_of"]) == ("again", first["pid"])
    output = client.expect("output", task_id="t")
    assert (output["data"], output["seq"], output["pid"]) == ("up mine", 2, started["pid"])
    info = client.info("t")
    assert (info["created_at"], info["restart_count"], info["state"]) == (created, 0, "active")
    assert info["retry_policy"] == {"restart_delay": "1h0m0s", "restart_on": "any"}


def test_subscribers_hear_of_it_too_but_not_the_id(daemon: Daemon, client: WsClient) -> None:
    begin(client, "waits")
    with daemon.connect() as other:
        other.request("subscribe", task_id="t")
        client.request("restart", task_id="t")
        assert other.expect("exited", task_id="t")["will_restart"] is True
        assert other.expect("started", task_id="t")["id"] == ""


def test_the_slot_is_kept(client: WsClient) -> None:
    begin(client, "pooled")
    client.send("start", action="pooled", task_id="next")
    client.expect("queued", task_id="next")
    for _ in range(3):
        assert client.request("restart", task_id="t")["type"] == "started"
    pool = client.request("pool_info", action="pooled")["pool"]
    assert (pool["running"], pool["queue_depth"]) == (1, 1)
    assert not client.pending("started", task_id="next")


def test_a_stop_meanwhile_wins(client: WsClient) -> None:
    begin(client, "slow")
    client.send("restart", id="r", task_id="t")
    client.send("stop", task_id="t")
    assert client.expect("error", id="r")["message"] == "the task was stopped meanwhile"
    exited = client.expect("exited", task_id="t")
    assert "will_restart" not in exited
    client.settle()
    assert not client.pending("started", task_id="t")
    assert client.info("t")["state"] == "stopped"


def test_two_at_once_are_one(client: WsClient) -> None:
    begin(client, "slow")
    client.send("restart", id="one", task_id="t")
    client.send("restart", id="two", task_id="t")
    assert client.expect("error", id="two")["message"] == "task is already being restarted"
    assert client.expect("started", task_id="t")["id"] == "one"


def test_what_is_being_stopped_is_not_restarted(client: WsClient) -> None:
    begin(client, "slow")
    client.send("stop", task_id="t")
    assert client.request("restart", task_id="t")["message"] == "task is being stopped"
    client.expect("exited", task_id="t")


def test_a_trimmed_task_is_queued_first(client: WsClient) -> None:
    client.request("set_pool", action="slow", limit=2, queue_size=5, excess={"action": "requeue"})
    begin(client, "slow")
    client.send("start", action="slow", task_id="other")
    client.expect("output", task_id="other")
    client.send("restart", id="r", task_id="t")
    client.request("set_pool", action="slow", limit=1)
    assert client.expect("queued", task_id="t")["id"] == "r"
    client.send("stop", task_id="other")
    assert client.expect("started", task_id="t", id="r")
    client.request("set_pool", action="slow", limit=0)


def test_one_that_awaits_its_restart_starts_at_once(client: WsClient) -> None:
    client.send("start", action="fails", task_id="t")
    client.expect("restarting", task_id="t")
    assert client.request("restart", task_id="t")["type"] == "started"
    again = client.expect("restarting", task_id="t")
    assert again["attempt"] == 1, "its history is empty"
    client.send("stop", task_id="t")
    client.expect("dequeued", task_id="t")


def test_an_errored_one_as_by_a_reset(client: WsClient) -> None:
    client.send("start", action="gives up", task_id="t")
    client.expect("errored", task_id="t")
    assert client.request("restart", task_id="t")["type"] == "started"
    client.expect("errored", task_id="t")


def test_one_that_is_over_starts_again_as_the_same_task(client: WsClient) -> None:
    client.run("ends", task_id="t")
    created = client.info("t")["created_at"]
    assert client.request("restart", task_id="t")["type"] == "started"
    assert client.expect("output", task_id="t")["seq"] == 2
    client.expect("exited", task_id="t")
    client.send("start", action="waits", task_id="s")
    client.expect("output", task_id="s")
    client.send("stop", task_id="s")
    client.expect("exited", task_id="s")
    assert client.request("restart", task_id="s")["type"] == "started"
    assert client.info("t")["created_at"] == created


def test_one_that_is_over_waits_for_a_slot(client: WsClient) -> None:
    begin(client, "pooled")
    client.send("stop", task_id="t")
    client.expect("exited", task_id="t")
    client.send("start", action="pooled", task_id="other")
    client.expect("output", task_id="other")
    assert client.request("restart", id="r", task_id="t")["type"] == "queued"
    assert client.request("restart", task_id="t")["message"].startswith("task is queued")
    client.send("stop", task_id="other")
    assert client.expect("started", task_id="t")["id"] == "r"


def test_one_that_finds_no_slot_stays_as_it_is(client: WsClient) -> None:
    client.run("full", task_id="t", params={"do": "true"})
    client.send("start", action="full", task_id="other")
    client.expect("started", task_id="other")
    before = client.info("t")
    assert client.request("restart", task_id="t")["message"].startswith("pool is full")
    assert client.info("t") == before


@pytest.mark.parametrize("over", [False, True])
def test_a_program_that_is_gone(daemon: Daemon, client: WsClient, over: bool) -> None:
    program = daemon.directory / "program"
    program.write_text("#!/bin/sh\necho up\nexec sleep 60\n")
    program.chmod(0o755)
    begin(client, "once")
    if over:
        client.send("stop", task_id="t")
        client.expect("exited", task_id="t")
    program.unlink()
    answer = client.request("restart", task_id="t")
    assert answer["type"] == "error"
    assert "program" in answer["message"]
    if over:
        assert client.info("t")["state"] == "stopped"
    else:
        client.expect("errored", task_id="t")
        assert client.info("t")["state"] == "errored"


def test_a_shutdown_meanwhile_wins() -> None:
    with Daemon(actions=ACTIONS) as daemon, daemon.connect() as client:
        begin(client, "slow")
        client.send("restart", id="r", task_id="t")
        client.settle()
        daemon.stop()
        assert client.expect("error", id="r")["message"] == "the server is shutting down"
        assert "will_restart" not in client.expect("exited", task_id="t")


def test_it_takes_the_action_as_it_is_now(tmp_path: Path) -> None:
    with Daemon(actions={"a": shell("echo old; exec sleep 60")}) as daemon, daemon.connect() as client:
        begin(client, "a")
        config = daemon.directory / "config.yaml"
        data = json.loads(config.read_text())
        data["actions"] = {"a": {**shell("echo new; exec sleep 60"), "timeout": "200ms"}}
        config.write_text(json.dumps(data))
        client.request("reload")
        client.request("restart", task_id="t")
        assert client.expect("output", task_id="t")["data"] == "new"
        assert client.expect("exited", task_id="t", reason="timeout")
        data["actions"] = {"b": shell("exit 0")}
        config.write_text(json.dumps(data))
        client.request("reload")
        assert "unknown action: a" in client.request("restart", task_id="t")["message"]


def test_a_client_that_leaves_does_not_call_it_off(daemon: Daemon, client: WsClient) -> None:
    first = begin(client, "slow")
    with daemon.connect() as other:
        other.send("restart", task_id="t")
        other.settle()
    assert client.expect("started", task_id="t")["restart_of"] == first["pid"]


def test_many_restarts_from_many_sides_leave_one_run(daemon: Daemon, client: WsClient) -> None:
    begin(client, "waits")
    with daemon.connect() as other:
        for _ in range(20):
            client.send("restart", task_id="t")
            other.send("restart", task_id="t")
        client.settle()
        other.settle()
    wait_until(lambda: client.request("restart", task_id="t")["type"] == "started")
    assert len([pid for pid, line in daemon.processes().items() if "sleep" in line]) == 1
