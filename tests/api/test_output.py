"""Output by HTTP: what is stored, what comes, in each form, and where it ends."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
from collections.abc import Iterator
from http.client import IncompleteRead
from pathlib import Path
from typing import Any

import pytest

from tests.api.conftest import EVENTS, Http, events_of
from tests.harness import ROOT, Daemon, WsClient, shell

LINES = "application/x-ndjson"
_names = (f"o{number}" for number in itertools.count())


@pytest.fixture
def client(daemon: Daemon) -> Iterator[WsClient]:
    with daemon.connect() as client:
        yield client


@pytest.fixture
def echo(client: WsClient) -> str:
    """A task that writes what it is given, and has written three lines."""
    name = next(_names)
    client.request("start", action="echo", task_id=name)
    say(client, name, "one", "two", "three")
    return name


def say(client: WsClient, name: str, *lines: str) -> None:
    client.request("input", task_id=name, data="".join(f"{line}\n" for line in lines))
    client.expect("output", task_id=name, data=lines[-1])


def test_what_is_stored_comes_as_text_and_as_lines_of_json(http_: Http, echo: str) -> None:
    assert http_("GET", f"/tasks/{echo}/output").text == "one\ntwo\nthree\n"
    assert http_("GET", f"/tasks/{echo}/output?tail=1").text == "three\n"
    assert http_("GET", f"/tasks/{echo}/output?since_seq=1").text == "two\nthree\n"
    assert http_("GET", f"/tasks/{echo}/output?stream=stderr").text == ""
    lines = http_("GET", f"/tasks/{echo}/output", Accept=LINES).text.splitlines()
    assert [json.loads(line)["seq"] for line in lines] == [1, 2, 3]


def test_following_goes_on_until_the_task_is_over(http_: Http, client: WsClient, echo: str) -> None:
    with http_.open("GET", f"/tasks/{echo}/output?follow=true&tail=1", Accept=LINES) as response:
        assert json.loads(response.readline())["data"] == "three"
        say(client, echo, "four")
        assert json.loads(response.readline())["data"] == "four"
        client.send("stop", task_id=echo)
        assert json.loads(response.readline())["type"] == "exited"
        assert response.read() == b""
    # Of a task that is over, all that is left.
    lines = http_("GET", f"/tasks/{echo}/output?follow", Accept=LINES).text.splitlines()
    assert [json.loads(line).get("data", json.loads(line)["type"]) for line in lines] == [
        *("one", "two", "three", "four", "exited"),
    ]
    assert http_("GET", f"/tasks/{echo}/output?follow").text == "one\ntwo\nthree\nfour\n"


def test_an_event_stream_resumes_by_its_last_id_and_stops_at_the_end(
    http_: Http, client: WsClient, echo: str
) -> None:
    path = f"/tasks/{echo}/output?follow=true"
    with http_.open("GET", path, Accept=EVENTS) as response:
        assert response.getheader("content-type") == EVENTS
        first = next(events_of(response))
        assert (first["id"], first["event"], json.loads(first["data"])["data"]) == ("1", "output", "one")
    say(client, echo, "four")
    client.send("stop", task_id=echo)
    client.expect("exited", task_id=echo)
    with http_.open("GET", path, Accept=EVENTS, Last_Event_ID="2") as response:
        rest = list(events_of(response))
    assert [event["event"] for event in rest] == ["output", "output", "exited"]
    assert [json.loads(event["data"]).get("data") for event in rest] == ["three", "four", None]
    assert re.fullmatch(r"4\..+\.end", rest[-1]["id"])
    assert http_("GET", path, Accept=EVENTS, Last_Event_ID=rest[-1]["id"]).status == 204


def test_a_run_has_its_own_lines(http_: Http, client: WsClient) -> None:
    name = next(_names)
    for who in ("ann", "bob"):
        client.run("hello", task_id=name, params={"who": who})
    newest, older = http_("GET", f"/runs?task_id={name}").json["runs"]
    lines = http_("GET", f"/runs/{older['run_id']}/output?stream=stdout").text
    assert lines == "1 ann\n2 ann\n3 ann\n"
    tail = http_("GET", f"/runs/{newest['run_id']}/output?tail=2", Accept=LINES).text.splitlines()
    assert [json.loads(line)["seq"] for line in tail] == [7, 8]


def test_a_run_is_followed_until_it_ends_and_no_further(http_: Http, client: WsClient, echo: str) -> None:
    def newest() -> str:
        return str(http_("GET", f"/runs?task_id={echo}").json["runs"][0]["run_id"])

    def shown(lines: list[bytes]) -> list[str]:
        return [json.loads(line).get("data", json.loads(line)["type"]) for line in lines]

    first = f"/runs/{newest()}/output?follow"
    with http_.open("GET", f"{first}&tail=1", Accept=LINES) as response:
        assert shown([response.readline()]) == ["three"]
        say(client, echo, "four")
        assert shown([response.readline()]) == ["four"]
        client.request("restart", task_id=echo)
        say(client, echo, "five")
        assert shown(response.readlines()) == ["exited"]
    second = f"/runs/{newest()}/output?follow"
    with http_.open("GET", second, Accept=LINES) as response:
        assert shown([response.readline()]) == ["five"]
    # Of one that is over, all of it, and what the history says of its end.
    with http_.open("GET", first, Accept=EVENTS, Last_Event_ID="2") as response:
        rest = list(events_of(response))
    assert [event["event"] for event in rest] == ["output", "output", "exited"]
    end = json.loads(rest[-1]["data"])
    assert (end["task_id"], end["reason"], end["intentional"], end["signal"]) == (
        *(echo, "stopped", True, "SIGTERM"),
    )
    assert http_("GET", first, Accept=EVENTS, Last_Event_ID=rest[-1]["id"]).status == 204
    assert http_("GET", first).text == "one\ntwo\nthree\nfour\n"


def test_a_run_without_a_line_is_followed_past_the_end_of_the_one_before_it(
    http_: Http, client: WsClient, echo: str
) -> None:
    client.request("restart", task_id=echo)
    run = http_("GET", f"/runs?task_id={echo}").json["runs"][0]
    with http_.open("GET", f"/runs/{run['run_id']}/output?follow", Accept=LINES) as response:
        say(client, echo, "four")
        assert json.loads(response.readline())["data"] == "four"


def test_the_output_of_a_task_that_the_server_has_forgotten_is_in_its_log(
    http_: Http, client: WsClient
) -> None:
    name = next(_names)
    client.run("hello", task_id=name)
    path = f"/tasks/{name}/output"
    before = http_("GET", f"{path}?stream=stdout").text
    assert http_("POST", f"/tasks/{name}/forget").status == 200
    assert http_("GET", f"/tasks/{name}").status == 404
    assert http_("GET", f"{path}?stream=stdout").text == before
    assert http_("GET", f"{path}?tail=1&since_seq=9").text.count("\n") == 1
    with http_.open("GET", f"{path}?follow", Accept=EVENTS) as response:
        events = list(events_of(response))
    assert [event["event"] for event in events] == [*["output"] * 4, "exited"]
    assert json.loads(events[-1]["data"])["exit_code"] == 3
    assert http_("GET", f"{path}?follow", Accept=EVENTS, Last_Event_ID=events[-1]["id"]).status == 204
    assert http_("GET", "/tasks/nobody/output").status == 404


def test_a_tail_of_a_run_may_be_longer_than_a_page(http_: Http, tmp_path: Path) -> None:
    with Daemon(actions={"many": shell("seq 2500")}, data_dir=str(tmp_path / "data")) as daemon:
        http = Http(daemon.address)
        http("POST", "/actions/many/start?wait=20", {"task_id": "m"})
        (run,) = http("GET", "/runs?task_id=m").json["runs"]
        for tail in (0, 1, 1200, 9999):
            lines = http("GET", f"/runs/{run['run_id']}/output?tail={tail}").text.splitlines()
            assert lines == [str(number) for number in range(max(1, 2501 - tail), 2501)]


def test_events_show_all_tasks_and_what_happens_to_them(http_: Http, client: WsClient, echo: str) -> None:
    with http_.open("GET", "/events") as response:
        stream = events_of(response)
        first = next(stream)
        assert first["event"] == "watching"
        assert echo in [task["task_id"] for task in json.loads(first["data"])["tasks"]]
        client.send("stop", task_id=echo)
        exited: dict[str, Any] = next(
            json.loads(event["data"]) for event in stream if event["event"] == "exited"
        )
        assert exited["task_id"] == echo
    name = next(_names)
    client.run("hello", task_id=name)
    with http_.open("GET", "/events", Last_Event_ID=exited["cursor"]) as response:
        stream = events_of(response)
        assert json.loads(next(stream)["data"]).get("tasks", []) == []
        happened = (json.loads(event["data"]) for event in stream)
        mine = (event["type"] for event in happened if event.get("task_id") == name)
        assert list(itertools.islice(mine, 2)) == ["started", "exited"]


def test_a_reader_that_is_gone_is_noticed_and_one_that_does_not_read_holds_up_nothing(
    http_: Http, daemon: Daemon, client: WsClient, echo: str
) -> None:
    with http_.open("GET", f"/tasks/{echo}/output?follow=true"):
        say(client, echo, "x" * 100_000)
        for number in range(200):
            say(client, echo, f"{number}" + "x" * 100_000)
    client.send("stop", task_id=echo)
    client.expect("exited", task_id=echo)


def test_there_is_nothing_after_the_last_line(http_: Http, echo: str) -> None:
    for since in (3, 99):
        answer = http_("GET", f"/tasks/{echo}/output?since_seq={since}")
        assert (answer.status, answer.text) == (200, "")
    http_("DELETE", f"/tasks/{echo}?wait=10")
    for since in (3, 99):
        assert http_("GET", f"/tasks/{echo}/output?since_seq={since}&follow").text == ""


def test_lines_that_are_gone_are_not_waited_for(http_: Http) -> None:
    with Daemon(actions={"many": shell("seq 500")}) as daemon:
        http = Http(daemon.address)
        assert http("POST", "/actions/many/start?wait=20", {"task_id": "m"}).json["status"] == "succeeded"
        for query in ("", "?follow", "?since_seq=3", "?follow&since_seq=3"):
            lines = http("GET", f"/tasks/m/output{query}").text.splitlines()
            assert lines[-1] == "500"
        events = http("GET", "/tasks/m/output?follow", Accept=LINES).text.splitlines()
        assert json.loads(events[-1])["type"] == "exited"
        assert http("POST", "/tasks/m/forget").status == 200
        assert http("GET", "/tasks/m/output").status == 404, "there is no log"


@pytest.mark.parametrize(
    "query", ["since_seq=x", "since_seq=-1", "tail=x", "tail=inf", "tail=nan", "stream=x", "follow=maybe"]
)
def test_what_cannot_be_asked_for_is_said(http_: Http, echo: str, query: str) -> None:
    answer = http_("GET", f"/tasks/{echo}/output?{query}")
    assert (answer.status, answer.headers["content-type"]) == (422, "application/problem+json")


def test_a_head_request_is_answered_at_once(http_: Http, echo: str) -> None:
    for path in (f"/tasks/{echo}/output?follow", "/events", f"/tasks/{echo}", "/openapi.json"):
        answer = http_("HEAD", path)
        assert (answer.status, answer.body) == (200, b""), path
    assert http_("HEAD", "/tasks/nobody").status == 404


def test_a_reader_of_a_standing_task_goes_on_over_its_restarts(http_: Http, echo: str) -> None:
    with http_.open("GET", f"/tasks/{echo}/output?follow") as response:
        assert [response.readline() for _ in range(3)] == [b"one\n", b"two\n", b"three\n"]
        assert http_("POST", f"/tasks/{echo}/restart").status == 200
        http_("POST", f"/tasks/{echo}/input", {"data": "four\n"})
        assert response.readline() == b"four\n"
        http_("DELETE", f"/tasks/{echo}")
        assert response.read() == b""


# A reader that has seen the end of its task asks whether it is over only when the server takes no questions.
LATE = """
import sys, time
import overseer
from overseer.api import output

has_ended = output.has_ended

def late(exchange, *given):
    while not exchange._outbox.closed:
        time.sleep(0.005)
    return has_ended(exchange, *given)

output.has_ended = late
sys.exit(overseer.run_cli("1", ""))
"""


@pytest.mark.parametrize("late", [False, True])
def test_readers_are_let_go_when_the_server_ends(tmp_path: Path, late: bool) -> None:
    program: dict[str, Any] = {}
    if late:
        program = {"program": tmp_path / "program.py", "environment": {"PYTHONPATH": str(ROOT)}}
        program["program"].write_text(LATE)
    with Daemon(actions={"sleep": shell("echo up; exec sleep 60")}, **program) as daemon:
        http = Http(daemon.address)
        http("POST", "/actions/sleep/start", {"task_id": "s"})
        with http.open("GET", "/events") as events, http.open("GET", "/tasks/s/output?follow") as output:
            assert output.readline() == b"up\n"
            assert events.readline()
            daemon.stop()
            assert output.read() == b""  # it ended before the server did
            with contextlib.suppress(IncompleteRead):
                events.read()
        assert "still busy" not in daemon.stderr


def test_a_reader_that_comes_while_lines_do_gets_each_once(http_: Http) -> None:
    for number in range(15):
        http_("POST", "/actions/hello/start", {"task_id": f"h{number}"})
        text = http_("GET", f"/tasks/h{number}/output?follow&stream=stdout").text
        assert text == "1 you\n2 you\n3 you\n"
