"""Processes that are killed outright: the server, its guardian, a leader; no task may outlive them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest

from tests.faults.support import gone, guardian_of
from tests.harness import Daemon, WsClient, allowed, shell

# Four processes: one that left the group, one that emptied its environment as well, a member, the leader.
_TREE = """
(setsid sh -c 'echo $$; exec sleep 60' &)
env -i setsid sh -c 'echo $$; exec sleep 60' &
sh -c 'echo $$; exec sleep 60' &
sleep 0.1; echo $$; exec sleep 60
"""
_STUBBORN = "trap '' TERM; sh -c 'echo $$; exec sleep 60' & sleep 0.2; echo $$; while :; do sleep 0.1; done"
_LEADER = (
    "sh -c 'echo $$; exec sleep 60' & sh -c 'trap \"\" TERM; echo $$; sleep 60' & sleep 0.1; echo $$; wait"
)

ACTIONS = {
    "tree": shell(_TREE, stop_grace="500ms"),
    "stubborn": shell(_STUBBORN, stop_grace="500ms"),
    "leader": shell(_LEADER, stop_grace="500ms"),
}


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    daemon = Daemon(actions=ACTIONS)
    daemon.start()
    try:
        yield daemon
    finally:
        daemon.process.kill()
        daemon.kill()


def start(client: WsClient, action: str, task_id: str, words: int) -> list[int]:
    """Start a task and return the pids that it prints, the leader's last."""
    leader = client.request("start", action=action, task_id=task_id)["pid"]
    pids = [int(client.expect("output", task_id=task_id)["data"]) for _ in range(words)]
    return sorted(pids, key=lambda pid: pid == leader)


def test_a_killed_server_leaves_none_of_its_processes(daemon: Daemon) -> None:
    guardian = guardian_of(daemon.pid)
    with daemon.connect() as client:
        pids = [pid for n in range(3) for pid in start(client, "tree", f"tree {n}", 4)]
        pids += start(client, "stubborn", "stubborn", 2)
        daemon.process.kill()
        assert client.wait_closed()[0] == 1006
    assert gone(*pids, timeout=allowed(6))  # the grace, and the time a busy machine takes
    assert gone(guardian, timeout=allowed(3))
    assert not daemon.processes()


def test_a_killed_guardian_is_replaced_and_the_next_one_does_its_work(daemon: Daemon) -> None:
    first = guardian_of(daemon.pid)
    with daemon.connect() as client:
        pids = start(client, "tree", "before", 4)
        os.kill(first, signal.SIGKILL)
        second = guardian_of(daemon.pid, besides=first)
        pids += start(client, "tree", "after", 4)
        assert not gone(*pids, timeout=0)
        daemon.process.kill()
        client.wait_closed()
    assert gone(*pids, second, timeout=allowed(6))
    assert "the guardian died (SIGKILL); starting another now" in daemon.stderr


def test_both_killed_at_once_is_what_nothing_helps_against_but_the_next_server_starts(
    daemon: Daemon,
) -> None:
    """Said in the promises: who kills the guardian and the server in one go leaves the tasks alive."""
    with daemon.connect() as client:
        pids = start(client, "leader", "t", 3)
        os.kill(guardian_of(daemon.pid), signal.SIGKILL)
        daemon.process.kill()
        client.wait_closed()
    daemon.process.wait()
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue  # the guardian's successor was quicker
    assert gone(*pids)


def test_a_stopped_guardian_does_not_hold_up_the_end(daemon: Daemon) -> None:
    guardian = guardian_of(daemon.pid)
    os.kill(guardian, signal.SIGSTOP)
    with daemon.connect() as client:
        for number in range(20):
            start(client, "leader", f"t{number}", 1)
            client.send("stop", task_id=f"t{number}")
        client.expect("exited", task_id="t19")
    begun = time.monotonic()
    daemon.stop()
    assert time.monotonic() - begun < allowed(4)
    assert gone(guardian)


def test_a_killed_leader_takes_its_group_along_and_the_exit_comes_promptly(daemon: Daemon) -> None:
    with daemon.connect() as client:
        *children, leader = start(client, "leader", "t", 3)
        begun = time.monotonic()
        os.kill(leader, signal.SIGKILL)
        exited = client.expect("exited", task_id="t")
        # Two seconds for the pipe that others hold, half a one of grace.
        assert time.monotonic() - begun < allowed(8)
        assert (exited["exit_code"], exited["signal"], exited["intentional"]) == (-1, "SIGKILL", False)
        assert gone(*children, timeout=allowed(0.5))
    daemon.stop()
