"""Restarts, giving up and resetting, with real exits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import Daemon, WsClient, shell


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    flag = tmp_path_factory.mktemp("retry") / "works"
    actions = {
        "fails": shell("echo run; exit 1"),
        "succeeds": shell("exit 0"),
        "from config": shell("exit 1", retry={"restart_delay": "10ms", "error_threshold": 3}),
        "ok from config": shell("exit 0", retry={"restart_delay": "10ms"}),
        "any from config": shell(
            "exit 0", retry={"restart_delay": "10ms", "error_threshold": 2, "restart_on": "any"}
        ),
        "vanishing": {
            "type": "exec",
            "config": {"entrypoint": "[[.program]]", "parameters": {"program": None}},
            "retry": {"restart_delay": "10ms", "error_threshold": 3},
        },
        "until it works": shell(f"test -e {flag}", retry={"restart_delay": "10ms", "error_threshold": 1}),
        "slowly": shell("echo run; sleep 0.3; exit 1"),
        "merged": shell("exit 1", retry={"restart_delay": "10ms", "restart_jitter": "20ms"}),
        "second time": shell("mkdir once && exit 1; echo up; exec sleep 60", task_pool={"limit": 1}),
        "limited": {**shell("exit 1", retry={"restart_delay": "1h"}), "task_pool": {"limit": 1}},
    }
    # What an action's own policy leaves unset comes from here.
    with Daemon(actions=actions, retry={"error_window": "1h"}) as daemon:
        daemon.flag = flag  # type: ignore[attr-defined]
        yield daemon


def test_the_whole_life_of_a_task_that_fails_until_it_is_given_up(client: WsClient) -> None:
    policy = {"restart_delay": "5ms", "error_threshold": 3, "error_window": "1m0s"}
    client.send("start", id="s", action="fails", task_id="life", retry_policy=policy)
    events = client.collect("errored", task_id="life")
    assert [event["type"] for event in events] == [
        *("started", "output", "exited", "restarting"),
        *("started", "output", "exited", "restarting"),
        *("started", "output", "exited", "errored"),
    ]
    first, _, exited, restarting = events[:4]
    second = events[4]
    assert (first["id"], second["id"]) == ("s", "")
    assert second["restart_of"] == first["pid"]
    assert exited["will_restart"] is True
    assert list(restarting) == ["type", "task_id", "pid", "restart_delay", "attempt", "ts"]
    assert (restarting["attempt"], events[7]["attempt"]) == (1, 2)
    assert restarting["pid"] == first["pid"]
    assert restarting["restart_delay"].endswith("ms")
    assert [event["seq"] for event in events if event["type"] == "output"] == [1, 2, 3]
    assert "will_restart" not in events[-2]
    assert list(events[-1]) == ["type", "task_id", "pid", "exit_count", "ts"]
    assert events[-1]["exit_count"] == 3
    info = client.info("life")
    assert (info["state"], info["worker_state"], info["restart_count"]) == ("errored", "exited", 2)
    assert info["retry_policy"] == {**policy, "restart_on": "any"}
    assert info["error_message"]


def test_delays_grow_up_to_the_longest(client: WsClient) -> None:
    growth = {"restart_factor": 1.5, "restart_max_delay": "200ms"}
    policy = {"restart_delay": "100ms", "error_threshold": 5, **growth}
    client.send("start", action="fails", task_id="grows", retry_policy=policy)
    events = client.collect("errored", task_id="grows")
    delays = [event["restart_delay"] for event in events if event["type"] == "restarting"]
    assert delays == ["100ms", "150ms", "200ms", "200ms"]
    assert client.info("grows")["retry_policy"] == {**policy, "restart_on": "any"}


def test_a_run_that_lasted_makes_the_delay_the_first_again(client: WsClient) -> None:
    policy = {"restart_delay": "100ms", "error_threshold": 3, "restart_factor": 10, "restart_reset": "200ms"}
    client.send("start", action="slowly", task_id="lasted", retry_policy=policy)
    events = client.collect("errored", task_id="lasted")
    assert [event["restart_delay"] for event in events if event["type"] == "restarting"] == ["100ms"] * 2


def test_a_policy_from_a_start_restarts_after_success_too(client: WsClient) -> None:
    client.send("start", action="succeeds", task_id="again", retry_policy={"error_threshold": 2})
    events = client.collect("errored", task_id="again")
    assert [event["type"] for event in events].count("exited") == 2


def test_a_policy_from_the_config_restarts_after_failures_only_unless_it_says_any(client: WsClient) -> None:
    client.send("start", action="from config", task_id="c1")
    assert client.expect("errored", task_id="c1")["exit_count"] == 3
    client.run("ok from config", task_id="c2")
    assert not client.pending("restarting", task_id="c2")
    client.send("start", action="any from config", task_id="c3")
    assert client.expect("errored", task_id="c3")["exit_count"] == 2


def test_a_stop_while_waiting_calls_the_restart_off_and_says_so(client: WsClient) -> None:
    client.send("start", action="fails", task_id="waiting", retry_policy={"restart_delay": "1h"})
    assert client.expect("restarting", task_id="waiting")["restart_delay"] == "1h0m0s"
    error = client.request("start", action="fails", task_id="waiting")
    assert error["message"] == "task already running or starting"
    client.send("stop", task_id="waiting")
    dequeued = client.expect("dequeued", task_id="waiting")
    assert dequeued["reason"] == "stopped"
    assert client.info("waiting")["state"] == "stopped"


def test_a_task_awaiting_restart_keeps_its_slot(client: WsClient) -> None:
    client.send("start", action="limited", task_id="holder")
    client.expect("restarting", task_id="holder")
    assert client.request("pool_info", action="limited")["pool"]["running"] == 1
    assert client.request("start", action="limited")["type"] == "error"
    client.send("stop", task_id="holder")
    client.expect("dequeued", task_id="holder")
    assert client.request("pool_info", action="limited")["pool"]["running"] == 0


def test_a_program_that_vanishes_makes_restarts_fail_like_exits(client: WsClient, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nrm $0\nexit 1\n")
    program.chmod(0o755)
    client.send("start", action="vanishing", task_id="gone", params={"program": str(program)})
    events = client.collect("errored", task_id="gone")
    assert [event["type"] for event in events] == ["started", "exited", "restarting", "restarting", "errored"]
    assert events[-1]["exit_count"] == 3
    info = client.info("gone")
    assert str(program) in str(info["error_message"])
    assert (info["state"], info["restart_count"]) == ("errored", 0)


def test_a_reset_starts_an_errored_task_over(daemon: Daemon, client: WsClient) -> None:
    client.send("start", action="until it works", task_id="reset")
    first = client.expect("started", task_id="reset")
    client.expect("errored", task_id="reset")
    assert client.request("reset", task_id="nope")["message"] == "task not found"
    with daemon.connect() as other:
        other.request("subscribe", task_id="reset")
        started = client.request("reset", task_id="reset")
        assert (started["type"], started["restart_of"]) == ("started", first["pid"])
        assert other.expect("started", task_id="reset")["id"] == ""
    assert client.expect("errored", task_id="reset")["exit_count"] == 1
    daemon.flag.touch()  # type: ignore[attr-defined]
    client.request("reset", task_id="reset")
    client.expect("exited", task_id="reset", exit_code=0)
    assert client.info("reset")["state"] == "active"
    assert client.request("reset", task_id="reset")["type"] == "error"


def test_a_zero_delay_restarts_at_once_and_then_slows_down(client: WsClient) -> None:
    client.send("start", action="fails", task_id="hot", retry_policy={})
    delays = [client.expect("restarting", task_id="hot")["restart_delay"] for _ in range(4)]
    client.send("stop", task_id="hot")
    assert delays == ["0s", "50ms", "100ms", "200ms"]


def _milliseconds(duration: str) -> float:
    """A duration below a second, as the server writes it."""
    number, unit = duration.rstrip("mµs"), duration.lstrip("0123456789.")
    return float(number) * {"ms": 1, "µs": 0.001, "s": 1000}[unit]


def test_jitter_adds_up_to_itself_to_the_delay_and_merges_from_the_config(client: WsClient) -> None:
    delays = []
    for _ in range(8):
        client.send("start", action="merged", task_id="jittered")
        delays.append(_milliseconds(client.expect("restarting", task_id="jittered")["restart_delay"]))
        client.send("stop", task_id="jittered")
        client.settle()
    assert 10 <= min(delays) < max(delays) <= 30
    assert client.info("jittered")["retry_policy"] == {
        "restart_delay": "10ms",
        "restart_jitter": "20ms",
        "error_window": "1h0m0s",
        "restart_on": "failure",
    }
    client.send("start", action="fails", task_id="own", retry_policy={"restart_delay": "1h"})
    client.expect("restarting", task_id="own")
    assert client.info("own")["retry_policy"] == {"restart_delay": "1h0m0s", "restart_on": "any"}
    client.send("stop", task_id="own")


def test_exits_that_have_left_the_window_count_no_more(client: WsClient) -> None:
    """Runs of 0.3 s: within 0.45 s there are never three exits, within a minute there are."""
    policy = {"error_threshold": 3, "restart_delay": "1ms"}
    client.send("start", action="slowly", task_id="sliding", retry_policy={**policy, "error_window": "450ms"})
    client.send("start", action="slowly", task_id="all", retry_policy={**policy, "error_window": "1m"})
    assert client.expect("errored", task_id="all")["exit_count"] == 3
    client.expect("output", task_id="sliding", seq=5)
    assert client.info("sliding")["restart_count"] == 4
    client.send("stop", task_id="sliding")
    client.expect("exited", task_id="sliding", intentional=True)
    assert client.info("sliding")["state"] == "stopped"


def test_a_reset_runs_over_the_limit_and_counts_as_running(client: WsClient) -> None:
    def running() -> int:
        return int(client.request("pool_info", action="second time")["pool"]["running"])

    client.send("start", action="second time", task_id="r1", retry_policy={"error_threshold": 1})
    assert client.expect("errored", task_id="r1")["exit_count"] == 1
    assert running() == 0
    client.request("start", action="second time", task_id="r2")
    assert client.request("reset", task_id="r2")["message"] == "task is not errored"
    assert client.request("reset", task_id="r1")["type"] == "started"
    assert running() == 2
    for task_id in ("r1", "r2"):
        client.send("stop", task_id=task_id)
        client.expect("exited", task_id=task_id, intentional=True)
        # One too many is still running after the first of them.
        assert client.request("start", action="second time", task_id="r3")["type"] == (
            "error" if task_id == "r1" else "started"
        )
    client.send("stop", task_id="r3")


def test_a_reset_clears_the_history(client: WsClient) -> None:
    client.send("start", action="fails", task_id="cleared", retry_policy={"error_threshold": 2})
    for _ in range(2):
        assert client.expect("errored", task_id="cleared")["exit_count"] == 2
        client.send("reset", task_id="cleared")
    assert client.expect("errored", task_id="cleared")["exit_count"] == 2


def test_a_reset_that_cannot_start_is_refused_and_the_task_stays_errored(
    client: WsClient, tmp_path: Path
) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    client.send(
        "start",
        action="vanishing",
        task_id="unspawnable",
        params={"program": str(program)},
        retry_policy={"error_threshold": 1},
    )
    client.expect("errored", task_id="unspawnable")
    program.unlink()
    error = client.request("reset", task_id="unspawnable")
    assert error["type"] == "error"
    assert str(program) in error["message"]
    assert client.info("unspawnable")["state"] == "errored"
    program.write_text("#!/bin/sh\nexit 0\n")
    program.chmod(0o755)
    assert client.request("reset", task_id="unspawnable")["type"] == "started"
    client.expect("exited", task_id="unspawnable", exit_code=0)
