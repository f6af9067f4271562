"""Why a run ended and how long it took: in ``exited``, ``list``, what is stored and the event log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Daemon, WsClient, shell

ACTIONS = {
    "code": shell("sleep 0.2; exit [[.code]]", config={"parameters": {"code": "0"}}),
    "killed": shell("kill -TERM $$"),
    "waits": shell("echo up; exec sleep 60"),
    "gentle": shell("trap 'exit 0' TERM; echo up; while :; do sleep 0.01; done"),
    "pooled": {**shell("echo up; exec sleep 60"), "task_pool": {"limit": 1, "queue": {"enabled": True}}},
}


def stop(client: WsClient, task_id: str) -> dict[str, Any]:
    client.expect("output", task_id=task_id)
    client.send("stop", task_id=task_id)
    return client.expect("exited", task_id=task_id)


@pytest.mark.parametrize(("action", "code", "reason"), [("code", "3", "exited"), ("killed", "", "signal")])
def test_a_run_that_ended_by_itself(client: WsClient, action: str, code: str, reason: str) -> None:
    started, _, exited = client.run(action, params={"code": code})
    assert (exited["reason"], exited["intentional"]) == (reason, False)
    assert 0 <= exited["duration_ms"] < 10_000
    info = client.info(started["task_id"])
    assert (info["reason"], info["duration_ms"]) == (exited["reason"], exited["duration_ms"])
    client.send("replay", task_id=started["task_id"])
    assert client.expect("exited", task_id=started["task_id"]) == exited


def test_a_duration_is_the_run_s(client: WsClient) -> None:
    assert client.run("code")[2]["duration_ms"] >= 100


@pytest.mark.parametrize("action", ["waits", "gentle"])
def test_a_stop_whatever_the_run_makes_of_it(client: WsClient, action: str) -> None:
    client.send("start", action=action, task_id=action)
    assert stop(client, action)["reason"] == "stopped"
    assert client.info(action)["reason"] == "stopped"


def test_a_run_says_nothing_of_its_end_before_it_has_ended(client: WsClient) -> None:
    client.send("start", action="waits", task_id="first")
    client.expect("output", task_id="first")
    assert not {"reason", "duration_ms"} & client.info("first").keys()


@pytest.mark.parametrize("excess", ["stop", "requeue"])
def test_a_lowered_limit_is_a_stop(client: WsClient, excess: str) -> None:
    client.request("set_pool", action="pooled", limit=2)
    for task_id in ("p1", "p2"):
        client.send("start", action="pooled", task_id=task_id)
        client.expect("output", task_id=task_id)
    client.send("set_pool", action="pooled", limit=1, excess={"action": excess})
    assert client.expect("exited", task_id="p1")["reason"] == "stopped"


def test_a_requeued_run_that_starts_again_has_reasons_of_its_own(client: WsClient) -> None:
    test_a_lowered_limit_is_a_stop(client, "requeue")
    client.send("stop", task_id="p2")
    client.expect("started", task_id="p1", id="")
    client.send("stop", task_id="p1")
    assert client.expect("exited", task_id="p1")["reason"] == "stopped"


def test_the_end_of_the_server_is_told_and_logged(tmp_path: Path) -> None:
    log = tmp_path / "events.jsonl"
    with Daemon(actions=ACTIONS, log_file=str(log)) as daemon, daemon.connect() as client:
        client.send("start", action="waits", task_id="t")
        client.expect("output", task_id="t")
        daemon.stop()
        exited = client.expect("exited", task_id="t")
    assert (exited["reason"], exited["intentional"]) == ("shutdown", True)
    assert json.loads(log.read_text().splitlines()[-1])["reason"] == "shutdown"
