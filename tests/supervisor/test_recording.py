"""What is announced is on record first: a hub whose recorder takes its time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

import overseer
from overseer.history.records import Owed, Recorder, Run, RunEnd
from overseer.supervisor.clients import Client
from overseer.supervisor.task import Requester
from overseer.util.timers import Timers
from tests.faults.support import wait_until
from tests.supervisor.output.test_publisher import _Held

_CONFIG = "actions: {echo: {type: echo}, broken: {type: echo}}"


class Echo(overseer.ActionHandler):
    def __init__(self, name: str) -> None:
        self.name = name
        self.end = threading.Event()

    def describe(self) -> overseer.ActionInfo:
        return overseer.ActionInfo(self.name, "echo")

    def validate(self, params: Mapping[str, str]) -> None:
        pass

    def start(
        self, task_id: str, params: Mapping[str, str], callbacks: overseer.WorkerCallbacks
    ) -> overseer.Worker:
        if self.name == "broken":
            raise overseer.SpawnError("it is broken")

        def run(context: overseer.VirtualContext, send: Callable[[str, str], None]) -> int:
            send("stdout", "a line")
            self.end.wait(20)
            return 3

        return overseer.start_virtual_worker(task_id, run, callbacks)


class Slow(Recorder):
    """Stores what it is told when it is let."""

    enabled = True

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.allow = threading.Semaphore(0)

    def last_seq(self, task_id: str) -> int:
        return 40

    def reserve(self, run: Run, seq: int) -> int:
        self.told.append(("reserve", seq))
        return seq + 100

    def started(self, run: Run) -> None:
        self.told.append(("started", run))
        assert self.allow.acquire(timeout=30)

    def ended(self, run: Run, end: RunEnd, owed: Sequence[Owed] = ()) -> None:
        self.told.append(("ended", run, end))
        assert self.allow.acquire(timeout=30)

    def start_failed(self, run: Run, error: str, *, owed: Sequence[Owed] = (), **more: Any) -> None:
        self.told.append(("failed", run, error))


class Stage:
    """A hub, its recorder, and a client."""

    def __init__(self, path: Path) -> None:
        path.write_text(_CONFIG)
        config = overseer.load_config(path)
        self.handlers = {name: Echo(name) for name in config.actions}
        self.recorder = Slow()
        self.hub = overseer.Hub(config, self.handlers, recorder=self.recorder)
        self.timers = Timers()
        self.outbox = _Held(self.timers, bound=1 << 20)
        self.client = Client(self.outbox)
        self.hub.connect(self.client)
        self.heard: list[dict[str, Any]] = []

    def start(self, action: str) -> None:
        threading.Thread(
            target=lambda: self.hub.start(action, "t", requester=Requester(self.client, "r")), daemon=True
        ).start()

    @property
    def types(self) -> list[str]:
        self.heard += self.outbox.read()
        return [message["type"] for message in self.heard]

    def close(self) -> None:
        for handler in self.handlers.values():
            handler.end.set()
        for _ in range(9):
            self.recorder.allow.release()
        self.hub.shutdown()
        self.hub.close()
        self.timers.close()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path / "config.yaml")
    yield stage
    stage.close()


def test_a_start_is_announced_once_it_is_stored_and_an_end_too(stage: Stage) -> None:
    stage.start("echo")
    wait_until(lambda: stage.recorder.told)
    assert stage.types == []
    stage.recorder.allow.release()
    wait_until(lambda: stage.types == ["started", "output"])
    assert stage.heard[0]["first_seq"] == stage.heard[1]["seq"] == 41
    stage.handlers["echo"].end.set()
    wait_until(lambda: stage.recorder.told[-1][0] == "ended")
    assert stage.types == ["started", "output"]
    stage.recorder.allow.release()
    wait_until(lambda: stage.types == ["started", "output", "exited"])
    (_, run), reserved, (_, same, end) = stage.recorder.told
    assert (run.action, run.first_seq, run.trigger.type) == ("echo", 41, "client")
    assert reserved == ("reserve", 41)
    assert same is run
    assert (end.exit_code, end.reason, end.failed, end.last_seq) == (3, "exited", True, 41)
    assert end.duration_ms == stage.heard[-1]["duration_ms"]


def test_a_stop_that_comes_while_the_end_is_stored_changes_nothing_of_it(stage: Stage) -> None:
    stage.start("echo")
    stage.recorder.allow.release()
    wait_until(lambda: "output" in stage.types)
    stage.handlers["echo"].end.set()
    wait_until(lambda: stage.recorder.told[-1][0] == "ended")
    stage.hub.stop("t")
    stage.recorder.allow.release()
    wait_until(lambda: "exited" in stage.types)
    assert (stage.heard[-1]["reason"], stage.heard[-1]["intentional"]) == ("exited", False)


def test_a_start_that_fails_is_recorded_with_its_reason(stage: Stage) -> None:
    stage.start("broken")
    wait_until(lambda: stage.types == ["error"])
    ((what, run, error),) = stage.recorder.told
    assert (what, run.task_id, error) == ("failed", "t", "it is broken")
