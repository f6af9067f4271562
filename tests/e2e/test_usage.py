"""What tasks use, over the wire: asked for, pushed, and told with an exit."""

from __future__ import annotations

import sys
from typing import Any

from tests.faults.support import wait_until
from tests.harness import Daemon, WsClient, shell

BURN = "import time; end = time.process_time() + 0.3\nwhile time.process_time() < end: pass"
ACTIONS = {
    "tree": shell("sleep 60 & sleep 60 & echo up; wait"),
    "burn": {"type": "exec", "config": {"entrypoint": sys.executable, "command": ["-SEc", BURN]}},
}


def used(client: WsClient, **fields: str) -> dict[str, dict[str, Any]]:
    return {task["task_id"]: task for task in client.request("usage", **fields)["tasks"]}


def test_it_is_told_of_each_running_task(client: WsClient) -> None:
    client.request("start", action="tree", task_id="t")
    client.expect("output", task_id="t")
    row = used(client)["t"]
    assert (row["processes"], row["threads"]) == (3, 3)
    assert 0 < row["rss"] < 100 << 20
    assert row.keys() <= {"task_id", "cpu", "rss", "processes", "threads", "read_bytes", "write_bytes"}
    assert used(client, task_id="t").keys() == {"t"}
    client.send("stop", task_id="t")
    client.expect("exited", task_id="t")
    assert used(client, task_id="t") == {}
    assert client.request("usage", task_id="nobody")["message"] == "task not found"


def test_it_is_pushed_to_who_asked_and_to_nobody_else(daemon: Daemon, client: WsClient) -> None:
    client.request("start", action="tree", task_id="watched", usage=True)
    client.request("start", action="tree", task_id="unwatched")
    with daemon.connect() as other:
        other.request("subscribe", task_id="watched")
        pushes = [client.expect("usage", timeout=30) for _ in range(3)]
        assert all([row["task_id"] for row in push["tasks"]] == ["watched"] for push in pushes)
        assert "id" not in pushes[0]
        assert "cpu" in pushes[-1]["tasks"][0]
        client.request("subscribe", task_id="watched", usage=False)
        client.request("unsubscribe", task_id="unwatched")
        other.settle()
        assert not other.pending("usage")


def test_an_exit_tells_cpu_and_memory_and_so_does_the_list(client: WsClient) -> None:
    client.request("start", action="burn", task_id="burned")
    exited = client.expect("exited", task_id="burned", timeout=30)
    assert 300 <= exited["cpu_ms"] < 1500
    (task,) = [task for task in client.request("list")["tasks"] if task["task_id"] == "burned"]
    assert task["cpu_ms"] == exited["cpu_ms"]
    assert task.get("max_rss") == exited.get("max_rss")


def test_a_run_of_a_second_is_looked_at_for_its_peak(client: WsClient) -> None:
    client.request("start", action="tree", task_id="short")
    # The first look comes a second after the start; no other request asks for one.
    wait_until(lambda: "cpu" in used(client, task_id="short").get("short", {}), what="a look before ours")
    client.send("stop", task_id="short")
    assert client.expect("exited", task_id="short")["max_rss"] > 100_000
