"""What was running when the previous server ended is started again, whatever is wrong with some of it."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

from overseer.daemon.boot import Resumption
from overseer.history.inheritance import Interrupted


def test_a_task_that_breaks_its_start_keeps_none_of_the_others_from_theirs() -> None:
    started: list[str] = []
    recalled: list[str] = []
    over = threading.Event()

    def start(action: str, task_id: str, *more: Any, **fields: Any) -> None:
        if task_id == "bad":
            raise ZeroDivisionError
        started.append(task_id)

    actions = {"a": SimpleNamespace(on_boot="resume", digest="d")}
    hub: Any = SimpleNamespace(
        definitions=SimpleNamespace(config=SimpleNamespace(actions=actions, tasks={})),
        start=start,
        standing=SimpleNamespace(start_waiting=over.set),
    )
    failed: list[str] = []
    history: Any = SimpleNamespace(
        number=lambda task_id: 0,
        last_seq=lambda task_id: 0,
        recalled=lambda task: recalled.append(task.task_id),
        start_failed=lambda run, error: failed.append(f"{run.task_id}: {error}"),
    )
    audit: Any = SimpleNamespace(record_own=lambda *args, **more: None)
    resumption = Resumption(hub, history, audit, threading.Event())
    tasks = [Interrupted(f"run-{name}", "s", name, "a", {}, True, None) for name in ("bad", "good")]
    assert resumption.begin(tasks) == {"bad", "good"}
    assert over.wait(60), "it came to its end"
    assert (started, recalled, resumption.left) == (["good"], ["bad", "good"], set())
    assert failed == ["bad: not resumed: internal error"]
