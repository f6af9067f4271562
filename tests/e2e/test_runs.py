"""Tasks from start to end on a real server with real children."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.harness import Daemon, WsClient, shell

_TS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z")
_UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")

ACTIONS = {
    "echo": {
        "type": "exec",
        "config": {
            "entrypoint": "/bin/echo",
            "command": ["[[.text]]"],
            "parameters": {"text": {"default": "hi", "validate": 'value != "bad"'}},
        },
    },
    "both": shell("echo out; echo err >&2; exit 3"),
    "sleep": shell("echo ready; exec sleep 60"),
    "stubborn": shell('trap "" TERM; echo ready; while :; do sleep 1; done', stop_grace=0.3),
    "count": shell("seq 1 1000"),
    "needs": {
        "type": "exec",
        "config": {"entrypoint": "/bin/echo", "command": ["[[.who]]"], "parameters": {"who": None}},
    },
    "missing": {"type": "exec", "config": {"entrypoint": "/no/such/program"}},
    "dedupe": {
        **shell("exec sleep 60", config={"parameters": {"source": {}, "quality": {"default": "1"}}}),
        "dedupe_key": ["source", "quality"],
    },
    "killed": shell("kill -9 $$"),
}


def test_a_run_is_started_then_output_then_exited_with_exactly_these_fields(client: WsClient) -> None:
    started, (output,), exited = client.run("echo", id="req-1")
    assert list(started) == ["type", "id", "task_id", "pid", "ts"]
    assert list(output) == ["type", "task_id", "pid", "stream", "data", "ts", "seq"]
    always = ["type", "task_id", "pid", "exit_code", "intentional", "ts", "reason", "duration_ms", "cpu_ms"]
    exited.pop("max_rss", None)  # known when it was looked at, or is large
    assert list(exited) == always
    assert exited["reason"] == "exited"
    assert started["id"] == "req-1"
    assert _UUID4.fullmatch(started["task_id"])
    assert output["data"] == "hi"
    assert (output["stream"], output["seq"]) == ("stdout", 1)
    assert (exited["exit_code"], exited["intentional"]) == (0, False)
    assert started["pid"] == output["pid"] == exited["pid"] > 1
    assert all(_TS.fullmatch(message["ts"]) for message in (started, output, exited))
    assert started["ts"] <= output["ts"] <= exited["ts"]


def test_no_line_of_a_short_run_is_ever_lost_with_many_clients_at_once(daemon: Daemon) -> None:
    def one_client(number: int) -> None:
        with daemon.connect() as client:
            for turn in range(25):
                text = f"{number}-{turn}"
                _, outputs, exited = client.run("echo", params={"text": text})
                assert [output["data"] for output in outputs] == [text]
                assert exited["exit_code"] == 0

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one_client, range(8)))


def test_lines_come_in_order_with_seq_from_1_and_exited_last(client: WsClient) -> None:
    started, outputs, _ = client.run("count")
    assert [output["data"] for output in outputs] == [str(n) for n in range(1, 1001)]
    assert [output["seq"] for output in outputs] == list(range(1, 1001))
    mine = [message for message in client.messages if message.get("task_id") == started["task_id"]]
    assert [mine[0]["type"], mine[-1]["type"]] == ["started", "exited"]
    assert not client.settle()


def test_both_streams_are_told_apart_and_the_exit_code_is_the_childs(client: WsClient) -> None:
    _, outputs, exited = client.run("both")
    assert {(output["stream"], output["data"]) for output in outputs} == {
        ("stdout", "out"),
        ("stderr", "err"),
    }
    assert exited["exit_code"] == 3


def test_a_stop_ends_it_intentionally_and_has_no_reply_of_its_own(client: WsClient) -> None:
    task_id = client.request("start", action="sleep")["task_id"]
    client.expect("output", data="ready")
    stop = client.send("stop", task_id=task_id)
    exited = client.expect("exited", task_id=task_id)
    assert (exited["exit_code"], exited["intentional"], exited["signal"]) == (-1, True, "SIGTERM")
    assert not [message for message in client.messages if message.get("id") == stop]
    info = client.info(task_id)
    assert (info["state"], info["worker_state"], info["last_exit_code"]) == ("stopped", "exited", -1)


def test_what_ignores_sigterm_is_killed_after_the_grace(client: WsClient) -> None:
    task_id = client.request("start", action="stubborn")["task_id"]
    client.expect("output", data="ready")
    client.send("stop", task_id=task_id)
    client.send("stop", task_id=task_id)
    exited = client.expect("exited", task_id=task_id, timeout=30)
    assert (exited["signal"], exited["intentional"]) == ("SIGKILL", True)


def test_death_by_a_signal_is_exit_code_minus_1_with_its_name(client: WsClient) -> None:
    _, _, exited = client.run("killed")
    assert (exited["exit_code"], exited["signal"], exited["intentional"]) == (-1, "SIGKILL", False)


def test_stopping_what_is_over_is_silent_and_what_never_was_an_error(client: WsClient) -> None:
    started, _, _ = client.run("echo")
    client.send("stop", task_id=started["task_id"])
    assert not client.settle()
    error = client.request("stop", task_id="never was")
    assert (error["type"], error["message"]) == ("error", "task not found")


def test_an_id_in_use_is_refused_and_a_finished_one_taken_over_as_a_new_task(client: WsClient) -> None:
    client.request("start", action="sleep", task_id="taken")
    client.expect("output", data="ready")
    error = client.request("start", action="echo", task_id="taken")
    assert error["message"] == "task already running or starting"
    client.send("stop", task_id="taken")
    client.expect("exited", task_id="taken")
    started, (output,), _ = client.run("echo", task_id="taken")
    assert "restart_of" not in started
    assert output["seq"] == 1
    info = client.info("taken")
    assert (info["action"], info["restart_count"]) == ("echo", 0)


def test_a_task_that_ended_by_itself_stays_active_and_exited(client: WsClient) -> None:
    started, _, _ = client.run("both", params={"extra": "is tolerated"})
    info = client.info(started["task_id"])
    assert list(info) == [
        "task_id",
        "action",
        "params",
        "state",
        "status",
        "worker_state",
        "restart_count",
        "created_at",
        "last_started_at",
        "last_exited_at",
        "last_exit_code",
        "reason",
        "duration_ms",
        "cpu_ms",
    ]
    assert (info["state"], info["worker_state"], info["last_exit_code"]) == ("active", "exited", 3)
    assert info["reason"] == "exited"
    assert info["params"] == {"extra": "is tolerated"}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"action": "nope"}, "unknown action"),
        ({"action": "needs"}, "who"),
        ({"action": "echo", "params": {"text": "bad"}}, 'value != "bad"'),
        ({"action": "missing"}, "/no/such/program"),
        ({"action": "echo", "params": {"text": "a\0b"}}, "NUL"),
        ({"action": "echo", "params": {"text": 1}}, "text"),
        ({"action": "echo", "retry_policy": {"restart_delay": "soon"}}, "restart_delay"),
        ({}, "no such task in the configuration"),
    ],
)
def test_a_start_that_cannot_be_is_refused_clearly_and_leaves_no_task(
    client: WsClient, fields: dict[str, object], message: str
) -> None:
    error = client.request("start", task_id="refused", **fields)
    assert error["type"] == "error"
    assert message in error["message"]
    assert "refused" not in [task["task_id"] for task in client.request("list")["tasks"]]


def test_a_duplicate_by_dedupe_key_is_refused_and_named(client: WsClient) -> None:
    client.request("start", action="dedupe", task_id="first", params={"source": "a"})
    error = client.request("start", action="dedupe", params={"source": "a", "quality": "1"})
    assert error["message"] == "duplicate task: already running as first"
    assert error["existing_task_id"] == "first"
    other = client.request("start", action="dedupe", params={"source": "a", "quality": "2"})
    assert other["type"] == "started"
    client.send("stop", task_id="first")
    client.expect("exited", task_id="first")
    again = client.request("start", action="dedupe", params={"source": "a"})
    assert again["type"] == "started"


def test_metrics_count_each_thing_once(daemon: Daemon) -> None:
    with Daemon(actions=ACTIONS) as own, own.connect() as client:
        client.run("count")
        client.run("both")
        started = client.request("start", action="sleep")
        client.expect("output", data="ready")
        client.send("stop", task_id=started["task_id"])
        client.expect("exited", task_id=started["task_id"])
        client.request("start", action="missing")
        assert client.request("metrics")["global"] == {
            "tasks_started": 3,
            "tasks_completed": 3,
            "tasks_errored": 0,
            "tasks_restarted": 0,
            "total_output_lines": 1003,
            "enqueued": 0,
            "dequeued": 0,
            "displaced": 0,
            "expired": 0,
        }
        assert client.request("metrics", action="count")["action"]["total_output_lines"] == 1000
        task = client.request("metrics", task_id=started["task_id"])["task"]
        assert (task["output_lines"], task["restart_count"], task["last_exit_code"]) == (1, 0, -1)
        for unknown in ({"action": "nope"}, {"task_id": "nope"}):
            assert list(client.request("metrics", **unknown)) == ["type", "id"]
