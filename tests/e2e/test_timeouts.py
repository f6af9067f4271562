"""``timeout`` and ``success_codes`` of an action."""

from __future__ import annotations

import signal
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.faults.support import wait_until
from tests.harness import Daemon, WsClient, shell

_WAITS = "echo up; exec sleep 60"
_STUBBORN = "trap '' TERM; echo up; while :; do sleep 0.01; done"
ACTIONS: dict[str, Any] = {
    "bounded": shell(_WAITS, timeout="100ms"),
    "seconds": shell(_WAITS, timeout=0.1),
    "gentle": shell("trap 'exit 0' TERM; echo up; while :; do sleep 0.01; done", timeout="200ms"),
    "stubborn": shell(_STUBBORN, timeout="100ms", stop_grace="50ms"),
    "in time": shell("(exec sleep 1) & exit 0", timeout="500ms", kill_mode="leader"),
    "again": shell(_WAITS, timeout="100ms", retry={"error_threshold": 3}),
    "long grace": shell(_STUBBORN, timeout="200ms", stop_grace="1s", retry={"restart_delay": "1ms"}),
    "second long": shell("mkdir once 2>/dev/null && exit 1; echo up; exec sleep 60", timeout="300ms",
                         retry={"restart_delay": "400ms"}),
    "tree": shell("setsid sleep 60 & echo $!; wait", timeout="200ms"),
    "codes": shell("exit [[.code]]", config={"parameters": {"code": "0"}}, success_codes=[0, 3],
                   retry={"error_threshold": 1}),
    "plain": shell("exit 0", timeout=0, success_codes=[0]),
    "only three": shell("exit [[.code]]", config={"parameters": {"code": "0"}}, success_codes=3),
}  # fmt: skip


@pytest.mark.parametrize(
    ("action", "ended"),
    [("bounded", {"signal": "SIGTERM"}), ("seconds", {"signal": "SIGTERM"}), ("gentle", {"exit_code": 0}),
     ("stubborn", {"signal": "SIGKILL"})],
)  # fmt: skip
def test_a_run_that_lasts_too_long_is_stopped_and_has_failed(
    client: WsClient, action: str, ended: dict[str, Any]
) -> None:
    exited = client.run(action)[2]
    assert ended.items() <= exited.items()
    assert (exited["reason"], exited["intentional"]) == ("timeout", False)
    assert exited["duration_ms"] >= 90
    assert client.info(exited["task_id"])["reason"] == "timeout"


def test_the_whole_tree_is_stopped(client: WsClient) -> None:
    _, (output,), exited = client.run("tree")
    assert exited["reason"] == "timeout"
    assert not Path(f"/proc/{output['data']}").exists()


def test_what_ends_in_time_did_not_run_too_long_though_its_output_goes_on(client: WsClient) -> None:
    exited = client.run("in time")[2]
    assert (exited["reason"], exited["exit_code"]) == ("exited", 0)
    assert exited["duration_ms"] > 500


def test_each_timeout_counts_for_the_retry_policy(client: WsClient) -> None:
    client.send("start", action="again", task_id="again")
    events = client.collect("errored", task_id="again")
    exits = [event for event in events if event["type"] == "exited"]
    assert [exited["reason"] for exited in exits] == ["timeout"] * 3
    assert "its timeout" in client.info("again")["error_message"]


def test_a_run_after_a_restart_has_a_time_of_its_own(client: WsClient) -> None:
    client.send("start", action="second long", task_id="own")
    client.expect("started", task_id="own")
    client.expect("exited", task_id="own", reason="exited")
    exited = client.expect("exited", task_id="own", reason="timeout")
    assert exited["duration_ms"] >= 290


def test_a_stop_that_comes_first_is_the_reason(client: WsClient) -> None:
    client.send("start", action="long grace", task_id="first")
    client.expect("output", task_id="first")
    client.send("stop", task_id="first")
    exited = client.expect("exited", task_id="first")  # a good deal later than the timeout
    assert (exited["reason"], exited["intentional"]) == ("stopped", True)


def test_a_stop_during_a_timeout_s_grace_ends_the_task(daemon: Daemon, client: WsClient) -> None:
    client.send("start", action="long grace", task_id="both")
    client.expect("output", task_id="both")
    wait_until(lambda: _timeouts(daemon, "long grace") == 1)
    client.send("stop", task_id="both")
    exited = client.expect("exited", task_id="both")
    assert (exited["reason"], exited.get("will_restart")) == ("timeout", None)
    assert client.info("both")["state"] == "stopped"


def _timeouts(daemon: Daemon, action: str) -> float:
    with urllib.request.urlopen(f"http://{daemon.address}/metrics") as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith(f'overseer_timeouts_total{{action="{action}"}}'):
                return float(line.split()[-1])
    raise AssertionError("no such counter")


def test_a_shutdown_that_comes_first_is_the_reason() -> None:
    with Daemon(actions=ACTIONS) as daemon, daemon.connect() as client:
        client.send("start", action="long grace", task_id="t")
        client.expect("output", task_id="t")
        daemon.stop()
        assert client.expect("exited", task_id="t")["reason"] == "shutdown"


def test_a_stopped_server_s_time_is_the_run_s_too(daemon: Daemon, client: WsClient) -> None:
    """The clock is the machine's: what was due while the server was frozen is done when it goes on."""
    client.send("start", action="gentle", task_id="frozen")
    client.expect("output", task_id="frozen")
    daemon.freeze()
    time.sleep(0.3)
    daemon.process.send_signal(signal.SIGCONT)
    assert client.expect("exited", task_id="frozen")["reason"] == "timeout"


@pytest.mark.parametrize(("code", "state"), [("0", "active"), ("3", "active"), ("1", "errored")])
def test_success_codes_are_what_the_retry_policy_goes_by(client: WsClient, code: str, state: str) -> None:
    task_id = f"code-{code}"
    client.send("start", action="codes", task_id=task_id, params={"code": code})
    client.expect("exited" if state == "active" else "errored", task_id=task_id)
    info = client.info(task_id)
    assert (info["state"], info["success_codes"]) == (state, [0, 3])


def test_an_action_says_what_it_has_of_both(client: WsClient) -> None:
    described = {action["name"]: action for action in client.request("describe")["actions"]}
    assert described["bounded"]["timeout_ms"] == 100
    assert described["only three"]["success_codes"] == [3]
    assert not {"timeout_ms", "success_codes"} & described["plain"].keys()


def test_a_zero_that_is_no_success_is_a_failure(client: WsClient) -> None:
    client.send("start", action="only three", task_id="zero", retry_policy={
        "restart_on": "failure", "error_threshold": 1})  # fmt: skip
    client.expect("errored", task_id="zero")
