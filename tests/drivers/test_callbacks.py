"""Drivers that wrap the callbacks they are given, well and badly."""

from __future__ import annotations

import pytest

from tests.harness import WsClient


def run(client: WsClient, action: str, script: str, **fields: object) -> tuple[list[tuple[str, str]], dict]:
    _, outputs, exited = client.run(action, params={"script": script}, **fields)
    return [(output["stream"], output["data"]) for output in outputs], exited


def test_a_filter_drops_lines_before_they_are_numbered(client: WsClient) -> None:
    _, outputs, _ = client.run("filtering", params={"script": "echo a; echo secret; echo b"})
    assert [(output["data"], output["seq"]) for output in outputs] == [("a", 1), ("b", 2)]


def test_a_changed_copy_of_a_batch_is_passed_on(client: WsClient) -> None:
    assert run(client, "rewriting", "echo a")[0] == [("stderr", "A"), ("stderr", "again")]
    assert run(client, "emptying", "echo a; exit 2")[0] == []


def test_another_exit_code_is_what_everybody_sees_and_what_decides_over_restarts(client: WsClient) -> None:
    assert run(client, "another_code", "exit 3", task_id="coded")[1]["exit_code"] == 42
    info = client.info("coded")
    assert info["last_exit_code"] == 42
    killed = run(client, "another_code", "kill -9 $$")[1]
    assert (killed["exit_code"], "signal" in killed) == (0, False)
    assert "will_restart" not in run(client, "retried by its other code", "exit 1")[1]
    assert not client.settle()
    started = client.request("start", action="retried by its other code", params={"script": "exit 3"})
    client.expect("errored", task_id=started["task_id"])


def test_slow_work_in_callbacks_delays_its_own_task_and_nothing_else(client: WsClient) -> None:
    client.request("start", action="slow", task_id="slow", params={"script": "echo a"})
    assert run(client, "script", "echo quick")[1]["exit_code"] == 0
    assert "slow" in [task["task_id"] for task in client.request("list")["tasks"]]
    assert not client.pending("exited", task_id="slow"), "the others had to wait for it"
    client.expect("exited", task_id="slow")
    assert [output["data"] for output in client.outputs("slow")] == ["a"]


def test_a_stop_does_not_wait_for_a_callback_at_work(client: WsClient) -> None:
    client.request("start", action="slow", task_id="busy", params={"script": "echo $$; exec sleep 60"})
    client.send("stop", task_id="busy")
    exited = client.expect("exited", task_id="busy", timeout=30)
    assert (exited["signal"], exited["intentional"]) == ("SIGTERM", True)


def test_an_exit_reported_twice_counts_once(client: WsClient) -> None:
    assert run(client, "twice", "exit 6", task_id="twice")[1]["exit_code"] == 6
    assert not client.settle()
    info = client.info("twice")
    assert info["last_exit_code"] == 6


def test_an_exit_may_be_passed_on_later_from_another_thread_and_the_id_is_taken_till_then(
    client: WsClient,
) -> None:
    client.request("start", action="later", task_id="later", params={"script": "exit 6"})
    again = client.request("start", action="later", task_id="later", params={"script": "exit 6"})
    assert again["message"] == "task already running or starting"
    assert client.expect("exited", task_id="later")["exit_code"] == 6


def test_output_given_inside_start_comes_after_started_and_before_the_rest(client: WsClient) -> None:
    for _ in range(20):
        started, outputs, _ = client.run("inside_start", params={"script": "echo from the process"})
        assert [(output["data"], output["seq"]) for output in outputs] == [
            ("from start", 1),
            ("from the process", 2),
        ]
        mine = [m["type"] for m in client.messages if m.get("task_id") == started["task_id"]]
        assert mine == ["started", "output", "output", "exited"]


def test_what_other_threads_say_meanwhile_waits_for_all_of_it(client: WsClient) -> None:
    for _ in range(5):
        _, outputs, _ = client.run("both_at_once", params={"script": "echo from the process; echo >&2"})
        assert [output["data"] for output in outputs][:300] == [str(number) for number in range(300)]
        assert len(outputs) == 302


def test_even_a_whole_run_inside_start_is_told_in_order(client: WsClient) -> None:
    started, (output,), exited = client.run("over_before_started", params={"script": ""})
    assert (output["data"], exited["exit_code"]) == ("all of it", 9)
    mine = [m["type"] for m in client.messages if m.get("task_id") == started["task_id"]]
    assert mine == ["started", "output", "exited"]


def test_a_callback_may_stop_its_worker_for_nothing_is_locked(client: WsClient) -> None:
    _, outputs, exited = client.run("stops_itself", params={"script": "echo a; exec sleep 60"})
    assert [output["data"] for output in outputs] == ["a"]
    assert exited["signal"] == "SIGTERM"


@pytest.mark.parametrize("script", ["echo a", "echo a >&2"])
def test_callbacks_run_on_threads_of_the_workers_own(client: WsClient, script: str) -> None:
    (((_, name),), *_) = run(client, "threads", script, task_id="mine")
    assert name == "run-mine"


def test_on_exited_gets_a_worker_that_knows_its_end_but_is_not_over_before_it_returns(
    client: WsClient,
) -> None:
    started, (output,), _ = client.run("looking", task_id="seen", params={"script": "exit 2"})
    assert output["data"] == f"seen {started['pid']} ('exited', True, True, False)"


def test_log_event_goes_to_the_servers_log(client: WsClient, daemon) -> None:
    run(client, "talking", "true", task_id="talks")
    assert daemon.wait_stderr("a word from acme").endswith("task talks: a word from acme")
