"""Standing tasks against the rules of what they wait for, while everything happens to them at once."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

import overseer
from overseer.errors import RequestError
from overseer.protocol import Queued, Started
from overseer.supervisor.definitions import Definitions
from overseer.supervisor.dependencies import is_met
from overseer.supervisor.observers import Change
from overseer.supervisor.phases import Phase
from overseer.supervisor.task import Requester
from tests.faults.support import wait_until
from tests.harness.seeds import seeds

NAMES = [f"t{number}" for number in range(8)]
CONDITIONS = ("started", "ready", "succeeded", "ended")


class Runs(overseer.ActionHandler):
    """Its runs go on until they are stopped or :meth:`end` is called."""

    def __init__(self) -> None:
        self._ends: dict[str, list[Any]] = {}  # by task id: an event, and the exit code
        self._lock = threading.Lock()

    def describe(self) -> overseer.ActionInfo:
        return overseer.ActionInfo("run", "runs")

    def validate(self, params: Mapping[str, str]) -> None: ...

    def start(
        self, task_id: str, params: Mapping[str, str], callbacks: overseer.WorkerCallbacks
    ) -> overseer.Worker:
        end: list[Any] = []
        with self._lock:
            self._ends[task_id] = end

        def run(context: overseer.VirtualContext, send: Callable[[str, str], None]) -> int:
            while not context.wait(0.002):
                if end:
                    return int(end[0])
            return 0

        return overseer.start_virtual_worker(task_id, run, callbacks)

    def end(self, task_id: str, code: int) -> None:
        with self._lock:
            if task_id in self._ends:
                self._ends[task_id].append(code)


def definitions(path: Path, rng: random.Random, handler: Runs) -> Definitions:
    """A random graph: each task may wait for some of those before it."""
    tasks: dict[str, Any] = {}
    for number, name in enumerate(NAMES):
        others = rng.sample(NAMES[:number], min(number, rng.randrange(3)))
        depends_on = {other: rng.choice(CONDITIONS) for other in others}
        retry = {"restart_delay": "5ms"} if rng.random() < 0.3 else {}
        tasks[name] = {"action": "run", "depends_on": depends_on, "retry": retry}
    pool = {"limit": 6, "queue": {"enabled": True}}
    path.write_text(yaml.safe_dump({"actions": {"run": {"type": "runs"}}, "tasks": tasks, "task_pool": pool}))
    return Definitions(overseer.load_config(path), {"run": handler})


class Stage:
    """A hub, and what became of its tasks."""

    def __init__(self, path: Path, rng: random.Random) -> None:
        self._path, self._rng = path, rng
        self.runs = Runs()
        first = definitions(path, rng, self.runs)
        self.hub = overseer.Hub(first.config, first.handlers)
        self.changes: list[Change] = []
        self.hub.observe(self.changes.append)
        self.hub.start_services()

    def act(self, rng: random.Random) -> None:
        name = rng.choice(NAMES)
        try:
            match rng.randrange(10):
                case 0 | 1 | 2 | 3:
                    self.hub.start("", name)
                case 4:
                    self.hub.stop(name)
                case 5:
                    self.hub.restart(name)
                case _:
                    self.runs.end(name, rng.choice((0, 0, 1)))
        except RequestError:
            pass  # it is running already, or not, or being started

    def check(self) -> None:
        """What must hold whenever nobody holds the hub's lock."""
        table, pool = self.hub._table, self.hub._pool
        with table.lock:
            for task in table:
                if task.phase is not Phase.QUEUED or not task.waiting_on:
                    assert not task.waiting_on or task.phase is not Phase.RUNNING, task
                    continue
                unmet = [
                    name
                    for name, condition in task.depends_on.items()
                    if not is_met(condition, table.get(name))
                ]
                assert set(task.waiting_on) <= set(task.depends_on)
                assert unmet, f"{task} waits for {task.waiting_on}, which are as they should be"
            slots = sum(task.phase.in_use and task.phase is not Phase.QUEUED for task in table)
            assert pool.info().running == slots
            assert pool.info().queue_depth == sum(
                task.phase is Phase.QUEUED and not task.waiting_on for task in table
            )


@pytest.mark.parametrize("seed", seeds(4, 12))
def test_no_task_waits_for_nothing_and_none_starts_too_early(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    stage = Stage(tmp_path / "config.yaml", rng)
    try:
        threads = [
            threading.Thread(
                target=lambda each: [stage.act(each) for _ in range(60)], args=(random.Random(seed * 10 + n),)
            )
            for n in range(4)
        ]
        for thread in threads:
            thread.start()
        for _ in range(20):
            stage.check()
            if rng.random() < 0.2:
                stage.hub.redefine(definitions(tmp_path / "new.yaml", rng, stage.runs))
            threads[rng.randrange(4)].join(0.01)
        for thread in threads:
            thread.join()
        stage.check()
    finally:
        assert stage.hub.shutdown()
        stage.check()
        stage.hub.close()
    wait_until(lambda: not stage.hub._table.in_use)
    _check_order(stage.changes)


def _check_order(changes: list[Change]) -> None:
    """What a task has waited for has started, or is over, at some time before it starts."""
    moved: set[str] = set()
    waited: dict[str, set[str]] = {}
    for change in changes:
        if isinstance(change.event, Queued):
            waited.setdefault(change.task_id, set()).update(change.event.waiting_on)
            continue
        before = waited.pop(change.task_id, set())
        if isinstance(change.event, Started):
            assert before <= moved, f"{change.task_id} has not waited for {before - moved}"
        moved.add(change.task_id)


def test_each_change_is_told_once_and_says_what_became_of_the_task(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "config.yaml", random.Random(1))
    said = lambda: [(each.event.type, each.outcome) for each in stage.changes]  # noqa: E731
    try:
        stage.hub.start("run", "one")
        stage.runs.end("one", 0)
        wait_until(lambda: said()[-1:] == [("exited", "succeeded")])
        stage.hub.start("run", "one")
        stage.runs.end("one", 1)
        wait_until(lambda: said()[-1:] == [("exited", "failed")])
        stage.hub.start("run", "one")
        stage.hub.stop("one", Requester())
        wait_until(lambda: said()[-1:] == [("exited", "stopped")])
        assert [type for type, _ in said()] == ["started", "exited"] * 3
    finally:
        stage.hub.shutdown()
        stage.hub.close()


def test_an_observer_that_fails_does_not_keep_the_others_from_hearing(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "config.yaml", random.Random(1))
    heard: list[Change] = []

    def fail(change: Change) -> None:
        raise ValueError("no")

    stage.hub.observe(fail)
    stage.hub.observe(heard.append)
    try:
        stage.hub.start("run", "one")
        wait_until(lambda: len(heard) == 1)
    finally:
        stage.hub.shutdown()
        stage.hub.close()
