"""What clients are shown of a task changes only while the hub's lock and the task's are held."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import overseer
from overseer.supervisor.definitions import Definitions
from overseer.supervisor.task import Task
from tests.harness.hubs import tasks_of

_SHOWN = {
    "phase",
    "queued_at",
    "policy",
    "worker",
    "restart_count",
    "last_started_at",
    "last",
    "error_message",
    "ran_for",
    "began",
}
_CONFIG = """
actions:
  sleep:
    type: exec
    task_pool: {limit: 2, queue: {enabled: true}, excess: {action: requeue, order: last}}
    config: {entrypoint: sleep, command: ["60"]}
  fail:
    type: exec
    retry: {error_threshold: 2, restart_delay: 1ms}
    config: {entrypoint: "false"}
"""


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[overseer.Hub]:
    path = tmp_path / "config.yaml"
    path.write_text(_CONFIG)
    config = overseer.load_config(path)
    hub = overseer.Hub(config, overseer.build_action_handlers(config))
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.close()


@pytest.fixture
def unguarded(hub: overseer.Hub, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The changes that were made without one of the locks."""
    found: list[str] = []
    table = hub._table
    change = Task.__setattr__

    def checked(task: Task, name: str, value: Any) -> None:
        change(task, name, value)
        if name in _SHOWN and table._tasks.get(getattr(task, "id", "")) is task:
            locks: list[Any] = [hub._table.lock, task.lock]  # which in tests know who has them
            found.extend(f"{name} without {lock}" for lock in locks if not lock._is_owned())

    monkeypatch.setattr(Task, "__setattr__", checked)
    return found


def _until(hub: overseer.Hub, true: Callable[[dict[str, overseer.TaskInfo]], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true({task.task_id: task for task in tasks_of(hub)}):
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_every_change_is_made_with_both_locks(
    hub: overseer.Hub, unguarded: list[str], tmp_path: Path
) -> None:
    for name in "abc":
        hub.submit("sleep", name)
    hub.pools.change("sleep", limit=1)
    _until(hub, lambda tasks: tasks["b"].state == "queued")
    hub.stop("c")
    hub.stop("a")
    _until(hub, lambda tasks: tasks["b"].worker_state == "running")
    hub.submit("fail", "f")
    _until(hub, lambda tasks: tasks["f"].state == "errored")
    path = tmp_path / "config.yaml"
    path.write_text(_CONFIG.replace('"false"', '"true"').replace("1ms", "2ms"))
    config = overseer.load_config(path)
    hub.redefine(Definitions(config, overseer.build_action_handlers(config)))
    hub.reset("f")
    _until(hub, lambda tasks: tasks["f"].worker_state == "exited" and tasks["f"].state == "active")
    assert not unguarded
