"""A driver whose start takes its time holds up nobody, not even the client that asked for it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.harness import WsClient


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """What the start of the test's task waits for: that somebody writes into it."""
    path = tmp_path / "gate"
    os.mkfifo(path)
    return path


def test_its_client_is_served_meanwhile_and_the_order_of_its_requests_kept(
    client: WsClient, gate: Path
) -> None:
    start = client.send("start", action="slow_start", task_id="slow", params={"script": str(gate)})
    info = client.info("slow")
    assert (info["state"], "worker_state" in info) == ("active", False)
    again = client.request("start", action="slow_start", task_id="slow", params={"script": "/nowhere"})
    assert again["message"] == "task already running or starting"
    behind = client.send("start", action="script", task_id="quick", params={"script": ":"})
    assert client.expect("started", id=behind)["task_id"] == "quick"
    client.expect("exited", task_id="quick")
    client.send("stop", task_id="slow")
    assert not client.settle()
    gate.write_text("")
    assert client.expect("started", id=start)["task_id"] == "slow"
    assert client.expect("exited", task_id="slow")["intentional"], "the stop was read meanwhile"


def test_a_start_that_fails_late_is_answered_with_why(client: WsClient, gate: Path) -> None:
    start = client.send("start", action="slow_start", task_id="fails", params={"script": str(gate)})
    assert not client.settle()
    gate.write_text("no such volume")
    assert client.expect("error", id=start)["message"] == "no such volume"
    assert "fails" not in [task["task_id"] for task in client.request("list")["tasks"]]


def test_slow_starts_of_one_client_go_on_side_by_side(client: WsClient, tmp_path: Path) -> None:
    gates = [tmp_path / f"gate {number}" for number in range(6)]
    for gate in gates:
        os.mkfifo(gate)
        client.send("start", action="slow_start", task_id=gate.name, params={"script": str(gate)})
    for gate in reversed(gates):
        gate.write_text("")  # which takes that its start has begun
        client.expect("started", task_id=gate.name)


def test_what_a_client_pipelines_to_a_quick_driver_is_answered_in_order(client: WsClient) -> None:
    def in_order(attempt: int) -> bool:
        names = [f"pipelined {attempt} {number}" for number in range(50)]
        sent = [client.send("start", action="nothing", task_id=name) for name in names]
        answers = [client.expect("started", task_id=name) for name in names]
        return [m["id"] for m in client.messages if m in answers and m["id"]] == sent

    # On a machine that stalls for a moment even this driver is slow, and what is behind it overtakes.
    assert any(in_order(attempt) for attempt in range(5))
