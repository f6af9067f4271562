"""What several of the tests here do."""

from __future__ import annotations

from tests.harness import MessageClient

__all__ = ["end_all"]


def end_all(client: MessageClient) -> None:
    """Stop every task of the server and wait until none is left, so that the next test finds it idle."""
    client.request("purge")
    tasks = client.request("list")["tasks"]
    for task in tasks:
        client.send("subscribe", task_id=task["task_id"])
        client.send("stop", task_id=task["task_id"])
    for task in tasks:
        if task.get("worker_state") == "running":
            client.expect("exited", task_id=task["task_id"], pid=task["current_pid"])
    client.settle()
