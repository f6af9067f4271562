"""When a run is over, what is left of it, and what a stop ends: on a real server, by each kill_mode."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.harness import WsClient, allowed, shell, wait_for_exit

# A process in the leader's group, and one that left it for a session of its own; neither holds the pipes.
_BOTH = (
    "sleep 60 >/dev/null 2>&1 & echo member $!; "
    "echo escaped $(setsid sh -c 'echo $$; exec sleep 60 >/dev/null 2>&1' &);"
)

ACTIONS = {
    "holds": shell("sleep 60 & echo member $!; exit 3"),
    "holds outside": shell(
        "setsid sh -c 'echo escaped $$; touch out; exec sleep 60' & "
        "while [ ! -e out ]; do sleep 0.01; done; exit 0"
    ),
    "talks on": shell("(sleep 0.3; echo later; sleep 0.3; echo last) & echo leader; exit 0"),
    "closes": shell("echo bye; exec >&- 2>&-; exec sleep 60"),
    # Its second process takes a while to let go of the lock that only one of them can have.
    "lock": shell(
        "mkdir lock || exit 9;"
        "(trap 'sleep 0.1; rmdir lock; exit' TERM; touch up; while :; do sleep 0.01; done) >/dev/null 2>&1 &"
        "while [ ! -e up ]; do sleep 0.01; done; rm up; exit 1"
    ),
    "term": shell("trap 'echo term; exit 7' TERM; echo ready; while :; do sleep 0.01; done"),
    "int": shell("trap 'exit 8' INT; echo ready; while :; do sleep 0.01; done", stop_signal="INT"),
    "slow": shell('trap "" TERM; echo ready; while :; do sleep 0.1; done', stop_grace="30s"),
    "trimmed": shell(
        'trap "" TERM; echo ready; while :; do sleep 0.1; done',
        stop_grace="30s",
        task_pool={"limit": 1, "excess": {"grace": 0.1}},
    ),
}
for _mode in ("tree", "group", "leader"):
    ACTIONS[_mode] = shell(_BOTH + "echo ready; wait", kill_mode=_mode)
    ACTIONS[f"{_mode} ends"] = shell(_BOTH, kill_mode=_mode)


def _pid(client: WsClient, task_id: str, who: str) -> int:
    """The pid that a task printed after the name ``who``."""
    for message in client.messages:
        if message["type"] == "output" and message["task_id"] == task_id:
            name, _, number = message["data"].partition(" ")
            if name == who:
                return int(number)
    raise AssertionError(f"{task_id} never said {who}")


def _alive(pid: int) -> bool:
    """Whether it is a process that runs: a zombie, which its parent has yet to reap, is none."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def _kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    assert wait_for_exit(pid, 5)


def test_a_pipe_held_open_does_not_hold_up_the_exit_and_what_still_comes_is_waited_for(
    client: WsClient,
) -> None:
    begun = time.monotonic()
    tasks = ("holds", "holds outside", "talks on")
    for action in tasks:
        client.send("start", action=action, task_id=action)
    exits = {action: client.expect("exited", task_id=action) for action in tasks}
    assert time.monotonic() - begun < allowed(8)
    assert [exits[action]["exit_code"] for action in tasks] == [3, 0, 0]
    assert not any(message["intentional"] for message in exits.values())
    assert [output["data"] for output in client.outputs("talks on")] == ["leader", "later", "last"]
    # The survivor of the group is gone at once; what left it on purpose is let be.
    assert not _alive(_pid(client, "holds", "member"))
    escaped = _pid(client, "holds outside", "escaped")
    assert _alive(escaped)
    _kill(escaped)
    for action in tasks:
        mine = [message for message in client.messages if message.get("task_id") == action]
        assert mine[-1] is exits[action]


def test_closing_the_pipes_is_no_exit(client: WsClient) -> None:
    client.request("start", action="closes", task_id="closes")
    client.expect("output", data="bye")
    assert [task["worker_state"] for task in client.request("list")["tasks"]][-1] == "running"
    client.send("stop", task_id="closes")
    assert client.expect("exited", task_id="closes")["signal"] == "SIGTERM"


@pytest.mark.parametrize(
    ("mode", "ends_member", "ends_escaped"),
    [("tree", True, True), ("group", True, False), ("leader", False, False)],
)
def test_what_a_stop_ends(client: WsClient, mode: str, ends_member: bool, ends_escaped: bool) -> None:
    client.request("start", action=mode, task_id=mode)
    client.expect("output", task_id=mode, data="ready")
    client.send("stop", task_id=mode)
    exited = client.expect("exited", task_id=mode)
    assert (exited["exit_code"], exited["intentional"]) == (-1, True)
    for who, ends in (("member", ends_member), ("escaped", ends_escaped)):
        pid = _pid(client, mode, who)
        assert _alive(pid) is not ends, who
        if not ends:
            _kill(pid)


@pytest.mark.parametrize(("mode", "ends_member"), [("tree", True), ("group", True), ("leader", False)])
def test_what_a_natural_exit_ends(client: WsClient, mode: str, ends_member: bool) -> None:
    started, _, exited = client.run(f"{mode} ends")
    assert (exited["exit_code"], exited["intentional"]) == (0, False)
    member, escaped = (_pid(client, started["task_id"], who) for who in ("member", "escaped"))
    assert _alive(member) is not ends_member
    assert _alive(escaped)
    _kill(escaped)
    if not ends_member:
        _kill(member)


def test_a_restarted_leader_finds_free_what_its_survivors_held(client: WsClient) -> None:
    client.send("start", action="lock", task_id="lock", retry_policy={"error_threshold": 4})
    events = client.collect("errored", task_id="lock")
    assert [event["exit_code"] for event in events if event["type"] == "exited"] == [1, 1, 1, 1]


def test_a_stop_s_signal_and_what_the_child_makes_of_it(client: WsClient) -> None:
    for action, code in (("term", 7), ("int", 8)):
        client.request("start", action=action, task_id=action)
        client.expect("output", task_id=action, data="ready")
        client.send("stop", task_id=action)
        exited = client.expect("exited", task_id=action)
        assert (exited["exit_code"], exited["intentional"], "signal" in exited) == (code, True, False)
    assert "term" in [output["data"] for output in client.outputs("term")]


def test_a_trimmed_task_has_the_grace_of_the_excess(client: WsClient) -> None:
    client.request("set_pool", action="trimmed", limit=2)
    for task_id in ("a", "b"):
        client.request("start", action="trimmed", task_id=task_id)
        client.expect("output", task_id=task_id, data="ready")
    begun = time.monotonic()
    client.request("set_pool", action="trimmed", limit=1)
    exited = client.expect("exited", task_id="a")
    assert (exited["signal"], exited["intentional"]) == ("SIGKILL", True)
    assert time.monotonic() - begun < allowed(5)
    client.request("set_pool", action="trimmed", limit=0)
    os.kill(client.request("list")["tasks"][-1]["current_pid"], signal.SIGKILL)
    assert client.expect("exited", task_id="b")["intentional"] is False


def test_a_stop_that_waits_for_its_grace_holds_the_slot_and_delays_nobody(client: WsClient) -> None:
    client.request("start", action="slow", task_id="slow")
    client.expect("output", task_id="slow", data="ready")
    client.send("stop", task_id="slow")
    client.run("tree ends", task_id="other")
    _kill(_pid(client, "other", "escaped"))
    assert client.request("pool_info", action="slow")["pool"]["running"] == 1
    assert client.request("start", action="slow", task_id="slow")["type"] == "error"
    pid = client.info("slow")["current_pid"]
    os.kill(pid, signal.SIGKILL)
    exited = client.expect("exited", task_id="slow")
    assert (exited["signal"], exited["intentional"]) == ("SIGKILL", True)
    assert client.request("pool_info", action="slow")["pool"]["running"] == 0
