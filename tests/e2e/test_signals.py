"""``signal``: to the whole process group of what runs."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest

from tests.harness import WsClient, shell

_TRAPS = (
    "trap 'echo hup' HUP; trap 'echo usr1' USR1; trap 'echo rt' 40; echo up; while :; do sleep 0.01; done"
)
ACTIONS = {
    "traps": shell(_TRAPS),
    "group": shell("trap 'echo leader' HUP; "
                   "sh -c 'trap \"echo child; exit\" HUP; echo up; while :; do sleep 0.01; done' & "
                   "wait; wait; exec sleep 60", kill_mode="leader"),
    "waits": shell("echo up; exec sleep 60"),
    "pooled": {**shell("exec sleep 60"), "task_pool": {"limit": 1, "queue": {"enabled": True}}},
    "fails": shell("exit 1", retry={"restart_delay": "1h"}),
}  # fmt: skip


def ask(client: WsClient, task_id: str, which: Any) -> dict[str, Any]:
    return client.request("signal", task_id=task_id, signal=which)


@pytest.mark.parametrize(
    ("which", "name", "said"),
    [
        ("HUP", "SIGHUP", "hup"),
        ("sighup", "SIGHUP", "hup"),
        (1, "SIGHUP", "hup"),
        ("1", "SIGHUP", "hup"),
        ("SIGUSR1", "SIGUSR1", "usr1"),
        (40, "40", "rt"),
    ],
)
def test_a_signal_by_name_or_number(client: WsClient, which: Any, name: str, said: str) -> None:
    client.send("start", action="traps", task_id="t")
    client.expect("output", task_id="t", data="up")
    answer = ask(client, "t", which)
    assert list(answer) == ["type", "id", "task_id", "signal"]
    assert (answer["type"], answer["task_id"], answer["signal"]) == ("signaled", "t", name)
    client.expect("output", task_id="t", data=said)


def test_the_whole_group_gets_it_whatever_a_stop_would_end(client: WsClient) -> None:
    client.send("start", action="group", task_id="g")
    client.expect("output", task_id="g", data="up")
    ask(client, "g", "HUP")
    lines: set[str] = set()
    while not lines >= {"leader", "child"}:  # a shell may also say that its sleep was hung up
        lines.add(client.expect("output", task_id="g")["data"])


def test_a_run_that_it_ends_has_ended_by_itself(client: WsClient) -> None:
    client.send("start", action="waits", task_id="k", retry_policy={"restart_delay": "1ms"})
    client.expect("output", task_id="k")
    ask(client, "k", "KILL")
    exited = client.expect("exited", task_id="k")
    assert (exited["reason"], exited["signal"], exited["intentional"]) == ("signal", "SIGKILL", False)
    assert exited["will_restart"] is True


def test_what_is_suspended_can_still_be_stopped(client: WsClient) -> None:
    client.send("start", action="waits", task_id="s")
    client.expect("output", task_id="s")
    ask(client, "s", signal.SIGSTOP)
    client.send("stop", task_id="s")
    assert client.expect("exited", task_id="s")["reason"] == "stopped"


@pytest.mark.parametrize(
    "which", ["", None, "NO", "SIGSIGHUP", 0, -1, 65, 10**30, 1.5, True, ["HUP"], "1" * 5000, "é"]
)
def test_what_is_no_signal_is_refused(client: WsClient, which: Any) -> None:
    client.send("start", action="waits", task_id="no")
    client.expect("started", task_id="no")
    answer = ask(client, "no", which)
    assert answer["type"] == "error"
    assert answer["message"].startswith("signal: signal ")
    assert len(json.dumps(answer)) < 400


def test_a_task_that_does_not_run_is_an_error(client: WsClient) -> None:
    client.run("fails", task_id="over", retry_policy={"restart_on": "failure", "error_threshold": 1})
    client.run("fails", task_id="waiting")
    client.send("start", action="pooled", task_id="p1")
    client.send("start", action="pooled", task_id="p2")
    client.expect("queued", task_id="p2")
    for task_id in ("over", "waiting", "p2"):
        assert ask(client, task_id, "HUP")["message"] == "task is not running", task_id
    assert ask(client, "nobody", "HUP")["message"] == "task not found"
