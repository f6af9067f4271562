"""A hub's timers are values, and check what they are for when they fire."""

from __future__ import annotations

import time
from pathlib import Path

import overseer
from overseer.supervisor.timer_kinds import Due
from tests.faults.support import wait_until

_CONFIG = """
task_pool: {limit: 0}
actions:
  fail:
    type: exec
    retry: {restart_delay: 1h}
    config: {entrypoint: "false", command: []}
  sleep:
    type: exec
    task_pool: {limit: 1, queue: {enabled: true, max_age: 1h}}
    config: {entrypoint: sleep, command: ["60"]}
"""


def test_what_is_pending_is_a_moment_a_kind_and_ids(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(_CONFIG)
    config = overseer.load_config(path)
    hub = overseer.Hub(config, overseer.build_action_handlers(config))
    try:
        hub.submit("fail", "f")
        hub.submit("sleep", "a")
        hub.submit("sleep", "b")
        task = hub._table._tasks["f"]
        wait_until(lambda: task.restart is not None)
        hub.stop("a")
        wait_until(lambda: hub._table._pruning is not None)
        due = [timer.due for _, _, timer in hub._timers._heap if timer.due is not None]
        assert {(Due.RESTART, "f"), (Due.EXPIRE,), (Due.PRUNE,)} <= set(due)

        hub._fire(Due.RESTART, "f")  # an hour early, as one of an earlier task of that id might be
        hub._fire(Due.RESTART, "gone")
        assert task.restart is not None
        assert task.runs == 1

        task.restart.when = time.monotonic()
        hub._fire(Due.RESTART, "f")
        wait_until(lambda: task.runs == 2)
    finally:
        hub.shutdown()
        hub.close()


def test_what_tasks_use_is_looked_at_only_while_any_runs(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(_CONFIG)
    config = overseer.load_config(path)
    hub = overseer.Hub(config, overseer.build_action_handlers(config))

    def due() -> list[float]:
        pending = [timer for _, _, timer in hub._timers._heap if timer.due == (Due.USAGE,)]
        return [timer.when - time.monotonic() for timer in pending]

    try:
        hub.submit("sleep", "a")
        wait_until(due)
        assert due()[0] < 1.1  # soon, for a run may be short
        hub.usage._look()
        assert len(due()) == 1
        hub._timers._cancel(hub.usage._next)  # type: ignore[arg-type]
        hub.usage._look()
        assert 9 < due()[0] <= 10
        hub.stop("a")
        wait_until(lambda: not hub._table.in_use)
        hub._timers._cancel(hub.usage._next)  # type: ignore[arg-type]
        hub.usage._look()
        assert due() == []
    finally:
        hub.shutdown()
        hub.close()
