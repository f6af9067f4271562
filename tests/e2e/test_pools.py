"""Limits, queues and their messages on a real server; tests/supervisor/pool tests the rules themselves."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.harness import Daemon, WsClient, shell

_SLEEP = "echo ready; exec sleep 60"


def _pooled(limit: int, **queue: Any) -> dict[str, Any]:
    return shell(_SLEEP, task_pool={"limit": limit, "queue": {"enabled": True, **queue}}, stop_grace="1s")


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    actions = {
        "fifo": _pooled(1, size=2),
        "lifo": _pooled(1, size=3, order="last"),
        "aging": _pooled(1, max_age="0.2s"),
        "yielding": _pooled(1, size=1, displace=True),
        "firm": _pooled(1, size=1, displace="prohibit"),
        "plain": shell(_SLEEP, task_pool={"limit": 1}),
        "requeued": {
            **_pooled(2, size=5),
            "task_pool": {
                "limit": 2,
                "queue": {"enabled": True},
                "excess": {"action": "requeue", "order": "last"},
            },
        },
        "requeued aging": {
            **_pooled(2),
            "task_pool": {
                "limit": 2,
                "queue": {"enabled": True, "max_age": "0.2s"},
                "excess": {"action": "requeue"},
            },
        },
        "broken": {
            "type": "exec",
            "config": {"entrypoint": "/no/such/program"},
            "task_pool": {"limit": 1, "queue": {"enabled": True}},
        },
    }
    with Daemon(actions=actions, task_pool={"limit": 20}) as daemon:
        yield daemon


def _start(client: WsClient, action: str, task_id: str, **fields: Any) -> dict[str, Any]:
    return client.request("start", action=action, task_id=task_id, **fields)


def _states(client: WsClient) -> dict[str, str]:
    return {task["task_id"]: task["state"] for task in client.request("list")["tasks"]}


def test_the_life_of_a_queued_task(daemon: Daemon, client: WsClient) -> None:
    with daemon.connect() as other:
        assert _start(client, "fifo", "a")["type"] == "started"
        queued = _start(client, "fifo", "b", id="the start")
        assert list(queued) == ["type", "id", "task_id", "action", "position", "ts"]
        assert (queued["type"], queued["id"], queued["position"]) == ("queued", "the start", 1)
        assert other.expect("queued") == {**queued, "id": ""}
        assert _start(client, "fifo", "c")["position"] == 2
        pool = client.request("pool_info", action="fifo")["pool"]
        assert (pool["limit"], pool["running"], pool["queue_depth"]) == (1, 1, 2)
        assert [(item["task_id"], item["position"], item["forced"]) for item in pool["queue_items"]] == [
            ("b", 0, False),
            ("c", 1, False),
        ]
        assert _states(client) == {"a": "active", "b": "queued", "c": "queued"}
        assert "queued_at" in client.request("list", since="2999-01-01T00:00:00Z")["tasks"][0]
        full = _start(client, "fifo", "d")
        assert full["type"] == "error"
        assert "d" not in _states(client)
        client.send("stop", task_id="a")
        exited = client.expect("exited", task_id="a")
        started = client.expect("started", task_id="b")
        assert started["id"] == "the start"
        assert client.messages.index(exited) < client.messages.index(started)
        client.expect("output", task_id="b", data="ready")


def test_a_stop_takes_a_task_off_the_queue_and_says_so_once_to_everyone(
    daemon: Daemon, client: WsClient
) -> None:
    with daemon.connect() as other:
        _start(client, "fifo", "a")
        _start(client, "fifo", "b")
        client.send("stop", task_id="b")
        dequeued = client.expect("dequeued", task_id="b")
        assert list(dequeued) == ["type", "task_id", "reason", "ts"]
        assert dequeued["reason"] == "stopped"
        assert other.expect("dequeued") == dequeued
        assert not [message for message in client.settle() if message["type"] == "dequeued"]
        assert _states(client) == {"a": "active"}
        assert _start(client, "fifo", "b")["type"] == "queued"


def test_last_in_first_out(client: WsClient) -> None:
    for task_id in "abcd":
        _start(client, "lifo", task_id)
    for stopped, next_one in (("a", "d"), ("d", "c"), ("c", "b")):
        client.send("stop", task_id=stopped)
        client.expect("started", task_id=next_one)


def test_what_waits_too_long_expires(client: WsClient) -> None:
    _start(client, "aging", "a")
    _start(client, "aging", "b")
    assert client.expect("dequeued", task_id="b")["reason"] == "expired"
    metrics = client.request("metrics")["global"]
    assert (metrics["enqueued"], metrics["dequeued"], metrics["expired"]) == (1, 1, 1)


def test_displacement_by_policy_and_by_force(client: WsClient) -> None:
    for task_id in ("a", "b"):
        _start(client, "yielding", task_id)
    assert _start(client, "yielding", "c")["type"] == "queued"
    assert client.expect("dequeued", task_id="b")["reason"] == "displaced"
    for task_id in ("p", "q"):
        _start(client, "fifo", task_id)
    _start(client, "fifo", "r")
    assert _start(client, "fifo", "s", force=True)["position"] == 2
    assert client.expect("dequeued", task_id="q")["reason"] == "displaced"
    for task_id in ("x", "y"):
        _start(client, "firm", task_id)
    # Its own queue yields to nobody, but another one does.
    assert _start(client, "firm", "z")["type"] == "queued"
    assert client.expect("dequeued", task_id="c")["reason"] == "displaced"
    assert _start(client, "firm", "zz")["type"] == "error"
    # z waits in the place that c had, so that queue is full; a forced task is never displaced: r is left.
    assert _start(client, "yielding", "forced", force=True)["type"] == "queued"
    assert client.expect("dequeued", task_id="r")["reason"] == "displaced"
    assert _start(client, "fifo", "t", force=True)["type"] == "error"
    assert client.request("metrics")["global"]["displaced"] == 4


def test_purge_empties_a_queue_and_counts(client: WsClient) -> None:
    for task_id in "abc":
        _start(client, "fifo", task_id)
    reply = client.request("purge", action="fifo")
    assert reply == {"type": "purged", "id": reply["id"], "action": "fifo", "count": 2}
    assert {client.expect("dequeued", task_id=task_id)["reason"] for task_id in "bc"} == {"purged"}
    assert client.request("purge")["count"] == 0
    assert client.request("purge", action="nope")["type"] == "error"


def test_raising_a_limit_lets_tasks_in_at_once_and_everyone_hears_of_it_first(
    daemon: Daemon, client: WsClient
) -> None:
    with daemon.connect() as other:
        for task_id in "abc":
            _start(client, "fifo", task_id)
        reply = client.request("set_pool", action="fifo", size=2)
        assert reply["type"] == "pool_info"
        assert (reply["pool"]["limit"], reply["pool"]["running"], reply["pool"]["queue_depth"]) == (2, 2, 1)
        updated = client.expect("pool_updated")
        assert client.messages.index(updated) < client.messages.index(reply)
        assert updated == {"type": "pool_updated", "action": "fifo", "pool": reply["pool"]}
        assert other.expect("pool_updated") == updated
        client.expect("started", task_id="b")
        # Absent fields stay, and the limit wins over its other name.
        reply = client.request("set_pool", action="fifo", queue_size=7)
        assert reply["pool"]["limit"] == 2
        assert client.request("set_pool", action="fifo", limit=3, size=9)["pool"]["limit"] == 3
        client.expect("started", task_id="c")
        assert client.request("set_pool", action="nope", limit=1)["type"] == "error"
        assert client.request("set_pool", action="fifo", limit=-1)["type"] == "error"


def test_a_lowered_limit_stops_the_excess(client: WsClient) -> None:
    client.request("set_pool", action="fifo", limit=2)
    _start(client, "fifo", "older")
    _start(client, "fifo", "newer")
    client.expect("output", task_id="older")
    client.request("set_pool", action="fifo", limit=1)
    exited = client.expect("exited", task_id="older")
    assert exited["intentional"] is True
    assert _states(client) == {"older": "stopped", "newer": "active"}


def test_an_excess_that_is_requeued_runs_again_as_the_same_task(client: WsClient) -> None:
    first = _start(client, "requeued", "a")
    second = _start(client, "requeued", "b")
    client.expect("output", task_id="b", data="ready")
    client.request("set_pool", action="requeued", limit=1)
    exited = client.expect("exited", task_id="b")
    assert (exited["intentional"], exited["pid"]) == (True, second["pid"])
    queued = client.expect("queued", task_id="b")
    assert (queued["id"], queued["position"]) == ("", 1)
    assert _states(client) == {"a": "active", "b": "queued"}
    client.send("stop", task_id="a")
    again = client.expect("started", task_id="b")
    assert (again["id"], again["restart_of"]) == ("", second["pid"])
    assert client.expect("output", task_id="b")["seq"] == 2
    assert first["pid"] != again["pid"]


def test_a_queued_task_that_cannot_be_started_is_errored_and_the_next_one_tried(client: WsClient) -> None:
    client.request("set_pool", action="broken", limit=1)
    assert _start(client, "broken", "direct")["type"] == "error"
    # With the only global slot taken the start is accepted, and fails later.
    client.request("set_pool", limit=1)
    _start(client, "plain", "holder")
    assert _start(client, "broken", "later", id="late")["type"] == "queued"
    client.send("stop", task_id="holder")
    error = client.expect("error", id="late")
    assert "/no/such/program" in error["message"]
    assert client.expect("errored", task_id="later")["exit_count"] == 1
    assert client.request("pool_info")["pool"]["running"] == 0


def test_a_limit_is_never_overrun_by_clients_that_all_start_at_once(daemon: Daemon) -> None:
    ready = threading.Barrier(8)

    def starts(number: int) -> list[str]:
        with daemon.connect() as client:
            ready.wait(10)
            return [_start(client, "plain", f"{number}-{turn}")["type"] for turn in range(5)]

    with ThreadPoolExecutor(8) as pool, daemon.connect() as watcher:
        results = [result for results in pool.map(starts, range(8)) for result in results]
        assert results.count("started") == 1
        assert watcher.request("pool_info", action="plain")["pool"]["running"] == 1


def test_a_pool_s_size_and_excess_change_by_any_of_their_names(client: WsClient) -> None:
    def pool(**fields: Any) -> tuple[int, int, int]:
        reply = client.request("set_pool", action="plain", **fields)
        assert reply["type"] == "pool_info", reply
        return tuple(reply["pool"][name] for name in ("limit", "running", "queue_depth"))

    _start(client, "plain", "a")
    assert _start(client, "plain", "b")["type"] == "error"
    # A positive size gives a pool without a queue one; 0 makes it endless.
    assert pool(queue_size=1) == (1, 1, 0)
    assert _start(client, "plain", "b")["type"] == "queued"
    assert _start(client, "plain", "c")["type"] == "error"
    assert pool(queue_size=0) == (1, 1, 1)
    for number in range(20):
        assert _start(client, "plain", f"many {number}")["type"] == "queued"
    assert client.request("purge", action="plain")["count"] == 21
    assert pool(size=2) == (2, 1, 0)
    assert pool() == pool(limit=None, size=None, queue_size=None, excess=None) == (2, 1, 0)
    assert pool(limit=0) == (0, 1, 0)
    for task_id in "xyz":
        assert _start(client, "plain", task_id)["type"] == "started"
    assert pool(excess={"order": "last"}) == (0, 4, 0)
    client.request("set_pool", action="plain", limit=3, excess={"action": "stop"})
    assert client.expect("exited", task_id="z")["intentional"] is True
    assert client.request("pool_info")["pool"]["limit"] == 20


def test_both_the_global_limit_and_an_action_s_own_hold(client: WsClient) -> None:
    client.request("set_pool", limit=3)
    assert [_start(client, "plain", task_id)["type"] for task_id in ("p1", "p2")] == ["started", "error"]
    assert [_start(client, "fifo", task_id)["type"] for task_id in ("f1", "f2")] == ["started", "queued"]
    assert [_start(client, "lifo", task_id)["type"] for task_id in ("l1", "l2")] == ["started", "queued"]
    assert client.request("pool_info")["pool"]["running"] == 3
    # f2 has waited longest, but its action has no room; l2 takes the place of l1.
    client.send("stop", task_id="l1")
    client.expect("started", task_id="l2")
    assert client.request("pool_info", action="fifo")["pool"]["queue_depth"] == 1


def test_a_requeued_task_expires_like_any_that_waits(client: WsClient) -> None:
    _start(client, "requeued aging", "a")
    _start(client, "requeued aging", "b")
    client.request("set_pool", action="requeued aging", limit=1)
    queued = client.expect("queued", id="")
    assert client.expect("dequeued", task_id=queued["task_id"])["reason"] == "expired"
    assert client.request("pool_info", action="requeued aging")["pool"]["queue_depth"] == 0
    info = client.info(queued["task_id"])
    assert info["state"] == "stopped"
