"""A driver from outside the package whose tasks are functions on threads: virtual workers."""

from __future__ import annotations

import pytest

from tests.harness import Daemon, WsClient


def said(outputs: list[dict]) -> list[tuple[str, str]]:
    return [(output["stream"], output["data"]) for output in outputs]


def test_its_task_has_pid_0_its_lines_and_what_it_returns_as_exit_code(client: WsClient) -> None:
    started, outputs, exited = client.run("count", params={"to": "2", "code": "7"})
    assert [started["pid"], *(output["pid"] for output in outputs), exited["pid"]] == [0] * 5
    assert said(outputs) == [("stdout", "0"), ("stdout", "1"), ("stderr", "done")]
    assert (exited["exit_code"], exited["intentional"]) == (7, False)
    assert "signal" not in exited


def test_a_stop_sets_stopped_ends_the_wait_and_the_function_says_how_it_ends(client: WsClient) -> None:
    client.request("start", action="until_stopped", task_id="waits")
    client.expect("output", data="ready waits True")
    client.expect("output", data="a short wait said False")
    client.send("stop", task_id="waits")
    client.send("stop", task_id="waits")
    client.expect("output", data="the long wait said True, stopped is True")
    exited = client.expect("exited", task_id="waits")
    assert (exited["exit_code"], exited["intentional"]) == (5, True)
    info = client.info("waits")
    assert (info["state"], info["last_exit_code"]) == ("stopped", 5)


def test_send_may_be_called_from_several_threads_at_once(client: WsClient) -> None:
    _, outputs, exited = client.run("many_threads", timeout=30)
    assert [output["seq"] for output in outputs] == list(range(1, 1601))
    for name in (f"t{index}" for index in range(8)):
        assert [output["data"] for output in outputs if output["data"].startswith(f"{name} ")] == [
            f"{name} {number}" for number in range(200)
        ]
    assert exited["exit_code"] == 0


@pytest.mark.parametrize(
    ("action", "lines"),
    [
        ("raising", [("stdout", "before"), ("stderr", "first"), ("stderr", "second")]),
        ("leaving", [("stderr", "3")]),
        ("wrong_result", [("stderr", "'str' object cannot be interpreted as an integer")]),
        ("wrong_stream", [("stderr", "no such stream: 'stdlog'")]),
    ],
)
def test_an_exception_is_exit_code_1_and_its_text_on_stderr(
    faulty: WsClient, action: str, lines: list[tuple[str, str]]
) -> None:
    _, outputs, exited = faulty.run(action)
    assert said(outputs) == lines
    assert (exited["exit_code"], exited["intentional"]) == (1, False)


@pytest.mark.parametrize(("action", "code"), [("nothing", 0), ("true", 1)])
def test_what_is_returned_becomes_a_number(client: WsClient, action: str, code: int) -> None:
    _, outputs, exited = client.run(action)
    assert (outputs, exited["exit_code"]) == ([], code)
    assert exited["exit_code"] is not True


def test_lines_follow_the_rules_of_a_pipe(client: WsClient) -> None:
    _, outputs, _ = client.run("lines")
    *texts, half = [output["data"] for output in outputs]
    assert texts == ["two", "lines", "", "ends", "umlaut \u00fc"]
    assert half.startswith("half \ufffd")


def test_one_that_ignores_its_stop_is_given_up_after_the_grace(client: WsClient, daemon: Daemon) -> None:
    client.request("start", action="ignoring", task_id="deaf")
    client.expect("output", data="ready")
    client.send("stop", task_id="deaf")
    exited = client.expect("exited", task_id="deaf")
    assert (exited["exit_code"], exited["intentional"]) == (-1, True)
    line = daemon.wait_stderr("ignores its stop")
    assert line.endswith(": task deaf: its function ignores its stop and is abandoned")
    # Its id is free, and what the abandoned thread still sends reaches nobody.
    client.run("count", task_id="deaf", params={"to": "0"})
    client.request("start", action="ignoring", task_id="deaf")
    client.expect("output", data="ready")
    client.send("stop", task_id="deaf")
    client.expect("exited", task_id="deaf")
    assert not client.pending("output", data="too late")


def test_it_restarts_like_a_process(client: WsClient) -> None:
    started = client.request("start", action="again", params={"to": "0", "code": "1"})
    errored = client.expect("errored", task_id=started["task_id"])
    assert errored["exit_count"] == 2
    runs = [message for message in client.messages if message["type"] == "started"]
    assert [(message["id"], "restart_of" in message) for message in runs[1:]] == [("", False)]


def test_it_runs_on_a_thread_of_its_own(client: WsClient) -> None:
    _, (output,), _ = client.run("where", task_id="own")
    assert output["data"] == "virtual-own"
