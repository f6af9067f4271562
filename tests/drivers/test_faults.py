"""Drivers with bugs: the server says so, loses nothing and goes on."""

from __future__ import annotations

import json
import re
import urllib.request
from typing import Any

import pytest

from tests.harness import Daemon, WsClient, wait_for_exit


@pytest.fixture(autouse=True)
def _still_well(faulty: WsClient) -> Any:
    yield
    _, (output,), exited = faulty.run("good", params={"script": "echo well"})
    assert (output["data"], exited["exit_code"]) == ("well", 0)


@pytest.mark.parametrize("action", ["describe", "describe nothing", "describe nonsense"])
def test_a_describe_that_fails_leaves_what_the_configuration_knows(
    faulty: WsClient, faulty_daemon: Daemon, action: str
) -> None:
    (described,) = faulty.request("describe", action=action)["actions"]
    assert described == {
        "name": action,
        "type": "acme-broken",
        "description": "as configured",
        "task_pool": {"limit": 0, "excess": {"action": "stop", "order": "first", "grace": 5}},
    }
    assert len(faulty.request("describe")["actions"]) > 10
    assert faulty.request("manifest")["type"] == "manifest"
    with urllib.request.urlopen(f"http://{faulty_daemon.address}/openapi.json", timeout=30) as answer:
        assert json.load(answer)["swagger"] == "2.0"
    faulty_daemon.wait_stderr(f"action {action}: the driver failed to describe it")
    assert faulty.run(action)[1][0]["data"] == "orphan"


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ("validate", "the driver failed: KeyError: 'validate of acme' (broken.py, line "),
        ("start", "the driver failed: KeyError: 'start of acme' (broken.py, line "),
        ("validate leaves", "the driver failed: SystemExit: 3 (broken.py, line "),
        ("start leaves", "the driver failed: SystemExit: 3 (broken.py, line "),
        ("start on purpose", "the tape drive is on fire"),
        (
            "start unspeakably",
            "the driver failed: Unspeakable: an error whose text cannot be read (broken.py",
        ),
        ("start unspeakably on purpose", "an error whose text cannot be read"),
        ("validate unspeakably", "an error whose text cannot be read"),
        ("start nothing", "the driver failed: TypeError: start() returned None, which is not a Worker"),
    ],
)
def test_a_validate_or_start_that_fails_refuses_the_start(
    faulty: WsClient, action: str, message: str
) -> None:
    error = faulty.request("start", action=action, task_id="refused")
    assert error["type"] == "error"
    assert error["message"].startswith(message)
    assert "refused" not in [task["task_id"] for task in faulty.request("list")["tasks"]]
    assert faulty.request("pool_info", action=action)["pool"]["running"] == 0
    _, (output,), _ = faulty.run("service submits", params={"submit": json.dumps([action])})
    assert output["data"].startswith(f"refused: {message}")


def test_a_start_that_fails_with_its_worker_started_ends_the_process(faulty: WsClient) -> None:
    error = faulty.request("start", action="start too much", task_id="half")
    found = re.search(r"after the worker was started as (\d+)", error["message"])
    assert found
    assert "half" not in [task["task_id"] for task in faulty.request("list")["tasks"]]
    assert wait_for_exit(int(found[1]), 10.0)
    assert not faulty.settle()


def test_a_start_that_returns_no_worker_ends_the_one_it_started(
    faulty: WsClient, faulty_daemon: Daemon
) -> None:
    error = faulty.request("start", action="start and forget", task_id="half")
    assert "start() returned None" in error["message"]
    line = faulty_daemon.wait_stderr("task half: forgets ")
    assert wait_for_exit(int(line.rpartition(" ")[2]), 10.0)


def test_a_start_from_the_queue_that_leaves_fails_like_a_run(faulty: WsClient) -> None:
    action = "queued start leaves"
    faulty.request("start", action=action, task_id="first")
    assert faulty.request("start", action=action, task_id="second")["type"] == "queued"
    faulty.send("stop", task_id="first")
    assert "SystemExit: 3" in faulty.expect("error")["message"]
    faulty.expect("errored", task_id="second")
    assert faulty.info("second")["error_message"].startswith("the driver failed: SystemExit: 3")
    assert faulty.request("pool_info", action=action)["pool"]["running"] == 0


def test_a_restart_that_leaves_fails_like_a_run(faulty: WsClient) -> None:
    faulty.request("start", action="restart leaves", task_id="restarted")
    faulty.expect("restarting", task_id="restarted")
    faulty.expect("errored", task_id="restarted")
    assert faulty.info("restarted")["error_message"].startswith("the driver failed: SystemExit: 3")
    assert faulty.request("pool_info", action="restart leaves")["pool"]["running"] == 0


def test_a_bug_in_start_says_where_in_the_log(faulty: WsClient, faulty_daemon: Daemon) -> None:
    faulty.request("start", action="start")
    faulty_daemon.wait_stderr("action start: the driver failed to start task")
    faulty_daemon.wait_stderr("KeyError: 'start of acme'")


def test_an_on_output_that_raises_loses_its_lines_but_never_blocks_the_child(
    faulty: WsClient, faulty_daemon: Daemon
) -> None:
    _, outputs, exited = faulty.run("raising_output", params={"script": "seq 100000; exit 5"})
    assert (outputs, exited["exit_code"]) == ([], 5)
    faulty_daemon.wait_stderr("on_output of acme")


def test_a_batch_that_is_wrong_is_lost_alone_and_neither_numbered_nor_kept(
    faulty: WsClient, faulty_daemon: Daemon
) -> None:
    script = "printf '%s\\n' a number b stream c"
    _, outputs, _ = faulty.run("wrong_batches", task_id="wrong", params={"script": script})
    assert [(output["data"], output["seq"]) for output in outputs] == [("a", 1), ("b", 2), ("c", 3)]
    for what in ("number", "stream"):
        faulty_daemon.wait_stderr(f"task wrong: a wrong {what} is lost")
    faulty.send("replay", task_id="wrong")
    faulty.expect("exited", task_id="wrong")
    assert faulty.outputs("wrong") == outputs


def test_a_wrong_batch_from_within_start_is_lost_alone(faulty: WsClient, faulty_daemon: Daemon) -> None:
    _, outputs, exited = faulty.run("wrong_inside_start", task_id="early", params={"script": "echo; exit 4"})
    assert [(output["data"], output["seq"]) for output in outputs] == [("from start", 1), ("", 2)]
    assert exited["exit_code"] == 4
    faulty_daemon.wait_stderr("task early: what its driver said from within start() is lost")


@pytest.mark.parametrize(
    ("action", "words"), [("raising_exited", "on_exited of acme"), ("wrong_code", "'str' object")]
)
def test_an_on_exited_that_raises_ends_its_task_with_the_workers_own_code(
    faulty: WsClient, faulty_daemon: Daemon, action: str, words: str
) -> None:
    _, _, exited = faulty.run(action, task_id=action, params={"script": "exit 5"})
    assert (exited["exit_code"], exited["intentional"]) == (5, False)
    faulty_daemon.wait_stderr(words)
    assert faulty.info(action)["worker_state"] == "exited"
    assert faulty.request("pool_info", action=action)["pool"]["running"] == 0


@pytest.mark.parametrize("action", ["service", "service leaves"])
def test_a_service_that_fails_is_logged_and_its_action_still_runs(
    faulty: WsClient, faulty_daemon: Daemon, action: str
) -> None:
    faulty_daemon.wait_stderr(f"action {action}: its service failed")
    assert faulty.run(action)[1][0]["data"] == "orphan"
