"""Forgetting tasks that are over."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.harness import Daemon, shell

ACTIONS = {"echo": shell("echo hello"), "sleep": shell("exec sleep 60")}


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with Daemon(actions=ACTIONS, data_dir="data") as daemon:
        yield daemon


def test_a_task_that_is_over_is_taken_off_the_list_and_its_history_is_kept(daemon: Daemon) -> None:
    with daemon.connect() as client, daemon.connect() as watcher:
        watcher.request("watch")
        client.request("start", action="echo", task_id="done")
        client.expect("exited")
        answer = client.request("forget", task_id="done")
        assert (answer["type"], answer["task_id"]) == ("forgotten", "done")
        told = watcher.expect("forgotten")
        assert (told["task_id"], "id" in told) == ("done", False)
        assert client.request("list", task_id="done")["tasks"] == []
        assert client.request("forget", task_id="done")["code"] == "not_found"
        assert [run["exit_code"] for run in client.request("runs", task_id="done")["runs"]] == [0]
        assert [line["data"] for line in client.request("logs", task_id="done")["lines"]] == ["hello"]
        # Its id is free, and who was subscribed to it hears of the next task of that id.
        assert client.request("start", action="echo", task_id="done")["type"] == "started"
        assert client.expect("exited")["task_id"] == "done"


def test_a_task_that_is_not_over_is_kept(daemon: Daemon) -> None:
    with daemon.connect() as client:
        client.request("start", action="sleep", task_id="running")
        refused = client.request("forget", task_id="running")
        assert (refused["message"], refused["code"]) == ("task is still running: stop it first", "conflict")
        client.send("stop", task_id="running")
        client.expect("exited")
        assert client.request("forget", task_id="running")["type"] == "forgotten"
