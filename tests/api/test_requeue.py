"""A task that a lowered limit has stopped is queued again: who waits for its end by HTTP goes on waiting."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator

import pytest

from tests.api.conftest import EVENTS, Answer, Http, events_of
from tests.harness import Daemon, WsClient, shell

READS = 'echo began; while read -r line; do echo "$line"; [ "$line" != end ] || exit 3; done'
SILENT = 'while read -r line; do [ "$line" != end ] || exit 3; echo "$line"; done'
REQUEUE = {"action": "requeue", "order": "last"}


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    pool = {"limit": 2, "queue": {"enabled": True, "size": 5}}
    scripts = {"e": READS, "silent": SILENT}
    actions = {
        name: shell(script, config={"stdin": "pipe"}, task_pool=pool) for name, script in scripts.items()
    }
    with Daemon(actions=actions) as daemon:
        yield daemon


def requeue(client: WsClient) -> None:
    """The last task that was started goes back to its queue."""
    client.request("set_pool", action="e", limit=1, excess=REQUEUE)
    client.expect("exited", task_id="b")
    client.expect("queued", task_id="b")


def go_on(client: WsClient, *lines: str) -> None:
    client.request("set_pool", action="e", limit=2)
    client.expect("started", task_id="b")
    client.request("input", task_id="b", data="".join(f"{line}\n" for line in lines))


def test_a_start_that_waits_waits_for_the_run_after_it(daemon: Daemon) -> None:
    http = Http(daemon.address)
    answers: list[Answer] = []
    with daemon.connect() as client:
        client.request("start", action="e", task_id="a")
        path, body = "/actions/e/start?wait=60", {"task_id": "b"}
        waiter = threading.Thread(
            target=lambda: answers.append(http("POST", path, body, Accept="application/json"))
        )
        client.request("subscribe", task_id="b")
        waiter.start()
        client.expect("started", task_id="b")
        client.expect("output", task_id="b", data="began")
        requeue(client)
        go_on(client, "end")
        waiter.join(60)
    end = answers[0].json
    assert (end["status"], end["exit_code"]) == ("failed", 3)
    assert [line["data"] for line in end["output"]] == ["began", "began", "end"]


@pytest.mark.parametrize("form", ["text/plain", "application/x-ndjson", "text/event-stream"])
def test_a_follower_goes_on(daemon: Daemon, form: str) -> None:
    http = Http(daemon.address)
    with daemon.connect() as client:
        client.request("start", action="e", task_id="a")
        client.request("start", action="e", task_id="b")
        client.expect("output", task_id="b", data="began")
        path = "/tasks/b/output?follow"
        with http.open("GET", path, Accept=form) as early:
            assert any(b"began" in line for line in iter(early.readline, b""))
            requeue(client)
            with http.open("GET", path, Accept=form) as late:  # reads of the earlier end what is stored
                go_on(client, "again", "end")
                texts = [early.read().decode(), late.read().decode()]
        for text in texts:
            assert text.count("again") == 1
            assert "end" in text.rpartition("again")[2]
        if form == "application/x-ndjson":
            said = [json.loads(line) for line in texts[1].splitlines()]
            assert [each["type"] for each in said][-1] == "exited"
            assert said[-1]["exit_code"] == 3


def test_a_stream_that_broke_at_the_earlier_end_goes_on_to_the_last_one(daemon: Daemon) -> None:
    """Even if no line came between them."""
    http, path = Http(daemon.address), "/tasks/b/output?follow"
    with daemon.connect() as client:
        client.request("start", action="silent", task_id="a")
        client.request("start", action="silent", task_id="b")
        client.request("input", task_id="b", data="one\n")
        with http.open("GET", path, Accept=EVENTS) as response:
            read = events_of(response)
            assert next(read)["event"] == "output"
            client.request("set_pool", action="silent", limit=1, excess=REQUEUE)
            earlier = next(event for event in read if event["event"] == "exited")
        client.request("set_pool", action="silent", limit=2)
        client.expect("started", task_id="b")
        client.request("input", task_id="b", data="end\n")
        client.expect("exited", task_id="b", exit_code=3)
    with http.open("GET", path, Accept=EVENTS, Last_Event_ID=earlier["id"]) as response:
        assert response.status == 200
        (*_, last) = events_of(response)
    assert (last["event"], json.loads(last["data"])["exit_code"]) == ("exited", 3)
    assert http("GET", path, Accept=EVENTS, Last_Event_ID=last["id"]).status == 204


def test_a_stop_that_is_waited_for_looks_past_the_earlier_end(daemon: Daemon) -> None:
    http = Http(daemon.address)
    with daemon.connect() as client:
        client.request("start", action="e", task_id="a")
        client.request("start", action="e", task_id="b")
        client.expect("output", task_id="b", data="began")
        requeue(client)
        go_on(client, "again")
        client.expect("output", task_id="b", data="again")
    end = http("DELETE", "/tasks/b?wait=30").json
    assert (end["status"], end["reason"]) == ("stopped", "stopped")
    assert end["output"][-1]["data"] == "again"
