"""Tasks by HTTP: started, waited for, listed, stopped; what is wrong is a problem document."""

from __future__ import annotations

import itertools
import json
import threading

import pytest

from tests.api.conftest import Answer, Http
from tests.harness import Daemon

_names = (f"t{number}" for number in itertools.count())


@pytest.fixture
def name() -> str:
    return next(_names)


def problem(answer: Answer, status: int, code: str) -> str:
    """The detail of a problem document."""
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json
    assert (answer.status, document["status"], document.get("code", "")) == (status, status, code)
    return str(document["detail"])


def test_a_start_that_waits_is_answered_with_the_end(http_: Http, name: str) -> None:
    ended = http_("POST", "/actions/hello/start?wait=10", {"task_id": name, "params": {"who": "ann"}})
    assert ended.status == 200
    assert ended.headers["content-type"] == "application/json"
    end = ended.json
    assert end["task_id"] == name
    assert (end["action"], end["status"], end["exit_code"], end["reason"]) == ("hello", "failed", 3, "exited")
    lines = [(line["stream"], line["data"]) for line in end["output"]]
    assert sorted(lines) == [("stderr", "oops"), *(("stdout", f"{number} ann") for number in (1, 2, 3))]
    assert [line["seq"] for line in end["output"]] == [1, 2, 3, 4]


def test_as_text_the_end_is_the_output_and_the_headers_say_how(http_: Http) -> None:
    ended = http_("POST", "/actions/hello/start?wait=10&lines=2", {}, Accept="text/plain")
    assert ended.status == 200
    assert len(ended.text.splitlines()) == 2
    assert ended.headers["overseer-status"] == "failed"
    assert ended.headers["overseer-exit-code"] == "3"


def test_without_a_wait_it_says_that_the_task_runs_or_is_queued(http_: Http) -> None:
    started = http_("POST", "/actions/one/start", {"task_id": "first"})
    assert started.status == 201
    assert started.headers["location"] == "/api/v1/tasks/first"
    assert started.json["status"] == "running"
    queued = http_("POST", "/actions/one/start?wait=0.2", {"task_id": "second"})
    assert (queued.status, queued.json["status"]) == (202, "queued")
    full = http_("POST", "/actions/one/start", {})
    assert "full" in problem(full, 503, "full")
    assert full.headers["retry-after"] == "1"
    stopped = http_("DELETE", "/tasks/second?wait=10")
    assert (stopped.status, stopped.json["status"]) == (200, "stopped")
    stopped = http_("DELETE", "/tasks/first?wait=10")
    assert (stopped.json["status"], stopped.json["signal"]) == ("stopped", "SIGTERM")


def test_a_task_is_listed_signaled_given_input_restarted_and_stopped(http_: Http, name: str) -> None:
    pid = http_("POST", "/actions/echo/start", {"task_id": name}).json["current_pid"]
    assert http_("GET", f"/tasks/{name}").json["current_pid"] == pid
    assert [task["task_id"] for task in http_("GET", "/tasks?limit=1000").json["tasks"]].count(name) == 1
    assert http_("POST", f"/tasks/{name}/input", {"data": "hi\n"}).json == {"task_id": name, "bytes": 3}
    assert http_("POST", f"/tasks/{name}/signal", {"signal": "CONT"}).json["signal"] == "SIGCONT"
    assert http_("POST", f"/tasks/{name}/restart").json["pid"] != pid
    assert http_("POST", f"/tasks/{name}/stop").status == 202
    assert "not errored" in problem(http_("POST", f"/tasks/{name}/reset"), 409, "conflict")


def test_giving_up_is_an_end_too(http_: Http) -> None:
    ended = http_("POST", "/actions/gives_up/start?wait=20", {}).json
    assert (ended["status"], ended["exit_code"]) == ("errored", 9)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code", "said"),
    [
        ("POST", "/actions/nope/start", {}, 404, "not_found", "unknown action: nope"),
        ("POST", "/actions/hello/start", {"params": {"who": "3"}}, 422, "invalid", "who"),
        ("POST", "/actions/hello/start", {"params": {"who": 3}}, 422, "invalid", "params.who"),
        ("POST", "/actions/hello/start", {"parms": {}}, 422, "", "unknown field parms"),
        ("POST", "/actions/hello/start?wate=3", {}, 422, "", "unknown parameter wate"),
        ("POST", "/actions/hello/start?wait=soon", {}, 422, "", "wait must be a number"),
        ("POST", "/actions/hello/start", b"{", 400, "", "not JSON"),
        ("POST", "/actions/hello/start", b"[" * 100_000, 400, "", "nested too deeply"),
        ("POST", "/actions/hello/start", b'{"task_id": "a", "task_id": ""}', 400, "", "is there twice"),
        ("POST", "/actions/hello/start", b'{"params": {"who": NaN}}', 400, "", "NaN is not a JSON value"),
        ("POST", "/actions/hello/start", [], 400, "", "must be an object"),
        ("POST", "/actions/broken/start", {}, 500, "failed", "/nowhere/at/all"),
        ("GET", "/tasks/nobody", None, 404, "not_found", "task not found"),
        ("GET", "/tasks/nobody/output", None, 404, "not_found", "task not found"),
        ("GET", "/runs/nobody/output", None, 404, "not_found", "no such run"),
        ("DELETE", "/tasks/nobody", None, 404, "not_found", "task not found"),
        ("GET", "/tasks?limit=many", None, 422, "invalid", "limit"),
        ("GET", "/nothing", None, 404, "not_found", "openapi.json"),
        ("PATCH", "/tasks", None, 405, "", "must be one of: GET, HEAD"),
        ("GET", "/tasks/%ff", None, 400, "", "not UTF-8"),
        ("GET", "/pools/nope", None, 404, "not_found", "unknown action"),
    ],
)
def test_what_is_wrong_is_said(
    http_: Http, method: str, path: str, body: object, status: int, code: str, said: str
) -> None:
    assert said in problem(http_(method, path, body), status, code)


def test_forms_and_plain_text_are_not_taken(http_: Http) -> None:
    for media in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        answer = http_("POST", "/actions/hello/start", b"who=ann", Content_Type=media)
        assert "application/json" in problem(answer, 415, "")


def test_a_body_that_is_too_long_is_refused(http_: Http) -> None:
    assert "longer than" in problem(http_("POST", "/actions/hello/start", b" " * (1 << 20) + b"{}"), 413, "")


def test_a_duplicate_names_the_other_task(http_: Http, name: str) -> None:
    http_("POST", "/actions/sleep/start", {"task_id": name})
    assert "already running" in problem(
        http_("POST", "/actions/sleep/start", {"task_id": name}), 409, "conflict"
    )
    http_("DELETE", f"/tasks/{name}?wait=10")


def test_an_idempotency_key_makes_a_start_safe_to_repeat(http_: Http, daemon: Daemon) -> None:
    answers: list[Answer] = []

    def start() -> None:
        answers.append(http_("POST", "/actions/hello/start?wait=10", {}, Idempotency_Key="k1"))

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    start()
    assert [answer.status for answer in answers] == [200] * 5
    assert len({answer.json["task_id"] for answer in answers}) == 1
    assert {len(answer.json["output"]) for answer in answers} == {4}
    other = http_("POST", "/actions/hello/start", {"params": {"who": "bob"}}, Idempotency_Key="k1")
    assert "another request" in problem(other, 422, "")
    # A start that was refused did not happen.
    for _ in range(2):
        problem(http_("POST", "/actions/broken/start", {}, Idempotency_Key="k2"), 500, "failed")


def test_everything_else_is_there(http_: Http) -> None:
    assert {each["name"] for each in http_("GET", "/actions").json["actions"]} >= {"hello", "sleep"}
    assert http_("GET", "/actions/hello").json["params"]["who"]["pattern"] == "[a-z]+"
    assert http_("GET", "/pools").json["limit"] == 0
    assert http_("PUT", "/pools/sleep", {"limit": 7}).json["limit"] == 7
    assert http_("GET", "/pools/sleep").json["limit"] == 7
    assert http_("GET", "/metrics").json["global"]["tasks_started"] >= 0
    assert http_("GET", "/graph").json == {"nodes": [], "edges": []}
    assert http_("GET", "/schedules").json == {"schedules": []}
    assert http_("GET", "/usage").json["tasks"] == []
    assert http_("POST", "/reload", {"dry_run": True}).json["dry_run"] is True
    assert http_("HEAD", "/tasks").body == b""
    http_("POST", "/actions/hello/start?wait=10", {"task_id": "searched"})
    runs = http_("GET", "/runs?task_id=searched").json["runs"]
    assert [run["status"] for run in runs] == ["failed"]
    assert http_("GET", f"/runs/{runs[0]['run_id']}").json == runs[0]
    matches = http_("GET", "/search?query=oops&task_id=searched").json["matches"]
    assert [match["data"] for match in matches] == ["oops"]
    assert json.loads(http_("GET", "/openapi.json").body)["openapi"] == "3.1.0"


@pytest.mark.parametrize("wait", ["", "?wait=10"])
def test_a_parameter_that_the_action_does_not_have_is_warned_of(http_: Http, wait: str) -> None:
    warning = "whom is ignored: hello has no such parameter; did you mean who?"
    started = http_("POST", f"/actions/hello/start{wait}", {"params": {"whom": "ann"}})
    assert (started.status, started.json["warnings"]) == (200 if wait else 201, [warning])
    assert "warnings" not in http_("POST", f"/actions/hello/start{wait}", {"params": {"who": "ann"}}).json


def test_as_text_a_warning_is_a_header(http_: Http) -> None:
    body = {"params": {"wh\u00f6\n": "ann"}}
    ended = http_("POST", "/actions/hello/start?wait=10", body, Accept="text/plain")
    assert ended.status == 200
    assert ended.headers["overseer-warning"].startswith("wh%C3%B6%0A is ignored: hello has no such parameter")
