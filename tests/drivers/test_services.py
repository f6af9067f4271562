"""A driver from outside the package with a service of its own."""

from __future__ import annotations

import json

import pytest

from tests.drivers.conftest import ENVIRONMENT, PROGRAM, function, process
from tests.harness import Daemon, WsClient


def submit(client: WsClient, *arguments: object) -> str:
    """Have the service submit a task; what it says came of it."""
    _, (output,), _ = client.run("service", params={"submit": json.dumps(arguments)})
    return output["data"]


def test_each_service_runs_once_from_the_start_on_a_thread_of_its_own(
    daemon: Daemon, client: WsClient
) -> None:
    for name in ("service", "second service"):
        line = daemon.wait_stderr(f"acme: {name} runs on")
        assert line == f"acme: {name} runs on service-{name}, Event"
    client.run("service")
    assert daemon.stderr.count("acme: service runs on") == 1


def test_it_submits_a_task_and_learns_its_id(client: WsClient) -> None:
    assert submit(client, "script", "chosen", {"script": "echo hi"}) == "submitted chosen"
    made_up = submit(client, "count").removeprefix("submitted ")
    ids = [task["task_id"] for task in client.request("list")["tasks"]]
    assert {"chosen", made_up} <= set(ids)
    assert submit(client, "count", "").startswith("submitted ")
    assert submit(client, "count", "", None).startswith("submitted ")


def test_its_started_and_queued_carry_no_id(client: WsClient) -> None:
    client.request("subscribe", task_id="s1")
    client.request("subscribe", task_id="s2")
    submit(client, "one at a time", "s1")
    assert client.expect("started", task_id="s1")["id"] == ""
    submit(client, "one at a time", "s2")
    queued = client.expect("queued", task_id="s2")
    assert (queued["id"], queued["position"]) == ("", 1)
    client.send("stop", task_id="s1")
    assert client.expect("started", task_id="s2")["id"] == ""
    client.send("stop", task_id="s2")
    client.expect("exited", task_id="s2")


def test_what_it_submits_obeys_dedupe(client: WsClient) -> None:
    params = {"script": "sleep 60", "key": "service"}
    assert submit(client, "script", "once", params) == "submitted once"
    assert submit(client, "script", "", params) == "refused: duplicate task: already running as once"
    assert submit(client, "script", "once", params) == "refused: task already running or starting"
    client.send("stop", task_id="once")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["no such action"], "unknown action: no such action"),
        (["script"], "say which script"),
        (["nowhere", "", {"script": "true"}], "/no/such/directory"),
        (["count", "x" * 300], "task_id has 300 characters"),
        (["count", 7], "task_id must be"),
        (["count", "", {"to": 5}], "params.to must be a string"),
    ],
)
def test_a_task_that_is_refused_is_a_submit_error(
    client: WsClient, arguments: list[object], words: str
) -> None:
    answer = submit(client, *arguments)
    assert answer.startswith("refused: ")
    assert words in answer


def test_a_full_queue_is_a_submit_error(client: WsClient) -> None:
    submit(client, "one at a time", "f1")
    submit(client, "one at a time", "f2")
    assert submit(client, "one at a time", "f3").startswith("refused: ")
    client.send("stop", task_id="f2")
    client.send("stop", task_id="f1")


def test_a_callback_may_submit_for_nothing_is_locked(client: WsClient) -> None:
    client.request("subscribe", task_id="chain")
    client.run("service", params={"then": "chain"})
    assert client.expect("output", task_id="chain")["data"] == "chained"
    client.expect("exited", task_id="chain")


def test_at_shutdown_it_is_told_to_stop_and_nothing_more_is_taken() -> None:
    actions = {"service": {"type": "acme-service"}, "script": process(), "deaf": function("ignoring")}
    with Daemon(actions=actions, program=PROGRAM, environment=ENVIRONMENT) as daemon:
        daemon.wait_stderr("acme: service runs on")
        daemon.stop()
        assert "acme: service is told to stop: the server is shutting down" in daemon.stderr
