"""``health`` of an action, on a real server with real children."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Daemon, WsClient, shell
from tests.probes.targets import OK, Target
from tests.probes.test_ready import begin, go

_BAD = b"HTTP/1.1 503 Busy\r\n\r\n"
_PORT = {"parameters": {"port": {}}}
_QUICK = {"http": "http://127.0.0.1:[[.port]]/", "interval": "30ms"}
_STUBBORN = "trap 'exit 0' TERM; while :; do sleep 0.01; done"

ACTIONS: dict[str, Any] = {
    "watched": shell("exec sleep 60", config=_PORT, health={**_QUICK, "on_failure": "none"}),
    "twice": shell("exec sleep 60", config=_PORT,
                   health={**_QUICK, "on_failure": "none", "failures": 2, "successes": 3}),
    "restarted": shell("exec sleep 60", config=_PORT, health=_QUICK,
                       retry={"restart_delay": "10ms", "error_threshold": 3}),
    "stopped": shell(_STUBBORN, config=_PORT, health={**_QUICK, "failures": 1}),
    "slow start": shell("exec sleep 60", config=_PORT,
                        health={**_QUICK, "failures": 1, "start_period": "1h"}),
    "ready first": shell("read go; echo serving; exec sleep 60", config={**_PORT, "stdin": "pipe"},
                         ready={"log": "serving", "timeout": "100ms"}, health={**_QUICK, "failures": 1}),
    "grace": shell("trap '' TERM; echo up; while :; do sleep 0.01; done", config=_PORT, stop_grace="500ms",
                   health={**_QUICK, "failures": 1}),
    "hangs": shell("exec sleep 60", health={"exec": ["sh", "-c", "echo $$ >>[[.file]]; exec sleep 60"],
                   "interval": "10ms", "timeout": "100ms", "failures": 2, "on_failure": "none"},
                   config={"parameters": {"file": {}}}),
    "missing": shell("exec sleep 60", health={"exec": ["/nowhere/check"], "interval": "10ms",
                                              "on_failure": "none"}),
    "secret": shell("exec sleep 60", health={"exec": ["sh", "-c", "echo $TOKEN; exit 1"], "failures": 1,
                                             "on_failure": "none"},
                    config={"parameters": {"token": {"type": "secret"}}, "env": {"TOKEN": "[[.token]]"}}),
}  # fmt: skip


@pytest.fixture
def target() -> Iterator[Target]:
    with Target() as target:
        yield target


def metric(daemon: Daemon, name: str, action: str) -> float | None:
    with urllib.request.urlopen(f"http://{daemon.address}/metrics") as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith(f'{name}{{action="{action}"}}'):
                return float(line.split()[-1])
    return None


def test_health_comes_and_goes(daemon: Daemon, client: WsClient, target: Target) -> None:
    task = begin(client, "watched", port=str(target.port))
    healthy = client.expect("health", task_id=task)
    assert healthy.keys() == {"type", "task_id", "status", "ts"}
    assert (healthy["status"], client.info(task)["health"]) == ("healthy", "healthy")
    target.answer = _BAD
    unhealthy = client.expect("health", task_id=task)
    url = f"http://{target.address}/"
    assert (unhealthy["status"], unhealthy["detail"]) == ("unhealthy", f"{url}: HTTP 503 Busy")
    assert client.info(task)["health"] == "unhealthy"
    assert metric(daemon, "overseer_unhealthy_tasks", "watched") == 1
    assert metric(daemon, "overseer_probe_failures_total", "watched") >= 3  # type: ignore[operator]
    assert metric(daemon, "overseer_became_unhealthy_total", "watched") == 1
    target.answer = OK
    assert client.expect("health", task_id=task)["status"] == "healthy"
    assert metric(daemon, "overseer_unhealthy_tasks", "watched") == 0
    target.answer = _BAD
    client.expect("health", task_id=task, status="unhealthy")
    client.send("stop", task_id=task)
    assert client.expect("exited", task_id=task)["reason"] == "stopped"
    assert "health" not in client.info(task)
    client.settle()
    assert metric(daemon, "overseer_unhealthy_tasks", "watched") == 0


def test_a_single_failure_means_nothing(client: WsClient, target: Target) -> None:
    task = begin(client, "twice", port=str(target.port))
    client.expect("health", task_id=task, status="healthy")
    assert len(target.requests) >= 3
    for _ in range(3):
        target.answer = _BAD
        before = len(target.requests)
        target.wait_for(before + 1)
        target.answer = OK
        target.wait_for(len(target.requests) + 4)
        if len(target.requests) - before > 100:
            break
    target.answer = _BAD
    client.expect("health", task_id=task, status="unhealthy")
    target.answer = OK
    seen = len(target.requests)
    client.expect("health", task_id=task, status="healthy")
    assert len(target.requests) >= seen + 3


def test_an_unhealthy_run_fails_and_the_policy_decides(client: WsClient, target: Target) -> None:
    target.answer = _BAD
    client.send("start", action="restarted", task_id="r", params={"port": str(target.port)})
    events = client.collect("errored", task_id="r")
    exits = [event for event in events if event["type"] == "exited"]
    assert [(each["reason"], each["intentional"]) for each in exits] == [("unhealthy", False)] * 3
    assert [each["type"] for each in events if each["type"] in ("health", "exited")] == [
        "health",
        "exited",
    ] * 3
    assert len(target.requests) == 9  # counted anew with each run
    info = client.info("r")
    assert info["error_message"] == "gave up after 3 exits, the last since it was unhealthy"
    assert info["reason"] == "unhealthy"


def test_it_is_a_failure_whatever_the_code(client: WsClient, target: Target) -> None:
    target.answer = _BAD
    task = begin(client, "stopped", port=str(target.port))
    exited = client.expect("exited", task_id=task)
    assert (exited["exit_code"], exited["reason"], exited["intentional"]) == (0, "unhealthy", False)
    assert "will_restart" not in exited
    assert client.info(task)["state"] == "active"


def test_a_slow_start_is_not_killed(client: WsClient, target: Target) -> None:
    target.answer = _BAD
    task = begin(client, "slow start", port=str(target.port))
    target.wait_for(10)
    assert client.info(task)["health"] == "starting"
    target.answer = OK
    client.expect("health", task_id=task, status="healthy")
    target.answer = _BAD
    client.expect("health", task_id=task, status="unhealthy")
    assert client.expect("exited", task_id=task)["reason"] == "unhealthy"


def test_health_waits_until_it_is_ready(client: WsClient, target: Target) -> None:
    target.answer = _BAD
    task = begin(client, "ready first", port=str(target.port))
    client.expect("not_ready", task_id=task)
    assert (target.requests, client.info(task)["health"]) == ([], "starting")
    go(client, task)
    client.expect("ready", task_id=task)
    client.expect("health", task_id=task, status="unhealthy")


def test_a_stop_that_comes_first_is_the_reason(client: WsClient, target: Target) -> None:
    task = begin(client, "grace", port=str(target.port))
    client.expect("health", task_id=task, status="healthy")
    client.send("stop", task_id=task)
    client.request("pool_info")  # the stop is under way
    target.answer = _BAD
    exited = client.expect("exited", task_id=task)
    assert (exited["reason"], exited["intentional"]) == ("stopped", True)
    assert client.pending("health", task_id=task) == []


def test_a_stop_after_it_was_found_unhealthy_ends_the_task(client: WsClient, target: Target) -> None:
    task = begin(client, "grace", port=str(target.port))
    client.expect("output", task_id=task, data="up")
    target.answer = _BAD
    client.expect("health", task_id=task, status="unhealthy")
    client.send("stop", task_id=task)
    exited = client.expect("exited", task_id=task)
    assert (exited["reason"], exited.get("will_restart")) == ("unhealthy", None)
    assert client.info(task)["state"] == "stopped"


def test_a_probe_that_hangs_is_ended_and_no_other_begins_before(
    daemon: Daemon, client: WsClient, tmp_path: Path
) -> None:
    file = tmp_path / "pids"
    task = begin(client, "hangs", file=str(file))
    detail = client.expect("health", task_id=task, status="unhealthy")["detail"]
    assert detail == "exec sh: no answer within 0.1 s"
    pids = [int(pid) for pid in file.read_text().split()]
    assert len(pids) >= 2
    alive = [pid for pid in pids if Path(f"/proc/{pid}").exists()]
    assert len(alive) <= 1
    client.send("stop", task_id=task)
    client.expect("exited", task_id=task)
    client.settle()


def test_a_probe_that_cannot_be_started_is_a_failure(client: WsClient) -> None:
    task = begin(client, "missing")
    detail = client.expect("health", task_id=task, status="unhealthy")["detail"]
    assert detail == "exec /nowhere/check: cannot start '/nowhere/check': no such file"


def test_secrets_are_masked_in_what_is_said(daemon: Daemon, client: WsClient) -> None:
    task = begin(client, "secret", token="hunter2-hunter2")
    detail = client.expect("health", task_id=task, status="unhealthy")["detail"]
    assert detail == "exec sh: ended with status 1: ***"
    assert "hunter2" not in daemon.stderr


def test_an_action_says_how_it_is_looked_at(client: WsClient) -> None:
    described = {action["name"]: action for action in client.request("describe")["actions"]}
    url = "http http://127.0.0.1:[[.port]]/ every 30ms"
    assert described["restarted"]["health"] == f"{url}; failure 3 in a row stops it"
    assert described["watched"]["health"] == f"{url}; failure 3 in a row makes it unhealthy"
    assert described["stopped"]["health"] == f"{url}; a failure stops it"
