"""Schedules as the daemon has them: reloads that come while it starts."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

from overseer.config import Config, StandingTask
from overseer.config.schedules import Schedule
from overseer.daemon.schedules import TaskSchedules


def running() -> int:
    return [each.name for each in threading.enumerate()].count("schedules")


def test_a_reload_that_is_quicker_than_the_start_leaves_that_to_it() -> None:
    hub: Any = SimpleNamespace(observe=lambda heard: None)
    history: Any = SimpleNamespace(history=None, returning=())
    audit: Any = None
    schedules = TaskSchedules(hub, history, audit)
    tasks = {"t": StandingTask("t", "a", schedule=(Schedule(every=3600),))}
    schedules.load(Config())
    try:
        schedules.apply(Config(tasks=tasks))
        assert running() == 0, "before start, nothing is started by schedules"
        schedules.start()
        assert running() == 1
        schedules.apply(Config(tasks=tasks))
        assert running() == 1
    finally:
        assert schedules.scheduler is not None
        schedules.scheduler.close()
    assert running() == 0
