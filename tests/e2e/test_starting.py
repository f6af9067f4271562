"""What may happen to a task while its driver takes its time to start it; a hub of the test's own."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import pytest

import overseer
from tests.harness.hubs import tasks_of

_PATIENCE = 30


class Gate(overseer.ActionHandler):
    """Starts a run only when the test says so, and fails when the test says that."""

    def __init__(self) -> None:
        self.begun: queue.Queue[tuple[str, Callable[[str], None]]] = queue.Queue()
        self.ends: queue.Queue[tuple[str, bool]] = queue.Queue()

    def describe(self) -> overseer.ActionInfo:
        return overseer.ActionInfo("gate", "gate")

    def validate(self, params: Mapping[str, str]) -> None:
        pass

    def start(
        self, task_id: str, params: Mapping[str, str], callbacks: overseer.WorkerCallbacks
    ) -> overseer.Worker:
        answer: queue.Queue[str] = queue.Queue()
        self.begun.put((task_id, answer.put))
        problem = answer.get(timeout=_PATIENCE)
        if problem:
            raise overseer.SpawnError(problem)

        def run(context: overseer.VirtualContext, send: object) -> int:
            self.ends.put((task_id, context.stopped.wait(_PATIENCE)))
            return 0

        return overseer.start_virtual_worker(task_id, run, callbacks)

    def next(self) -> tuple[str, Callable[[str], None]]:
        """The task that is being started, and what to call with a problem, or with "" to let it run."""
        return self.begun.get(timeout=_PATIENCE)


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def hub(gate: Gate, tmp_path: Path) -> Iterator[overseer.Hub]:
    path = tmp_path / "config.yaml"
    path.write_text(
        "actions: {gate: {type: gate, stop_grace: 1, task_pool: "
        "{limit: 1, queue_size: 9, excess: {action: requeue}}}}"
    )
    hub = overseer.Hub(overseer.load_config(path), {"gate": gate})
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.close()


def _start(hub: overseer.Hub, task_id: str) -> threading.Thread:
    """Start a task on a thread of its own, as a client's request is."""

    def start() -> None:
        with suppress(overseer.SubmitError):  # what is left of it is what the tests are about
            hub.submit("gate", task_id)

    thread = threading.Thread(target=start)
    thread.start()
    return thread


def _states(hub: overseer.Hub) -> dict[str, str]:
    return {task.task_id: task.state for task in tasks_of(hub)}


def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_start_that_fails_gives_its_place_to_who_waits(hub: overseer.Hub, gate: Gate) -> None:
    thread = _start(hub, "fails")
    _, answer = gate.next()
    hub.submit("gate", "waits")
    assert _states(hub) == {"fails": "active", "waits": "queued"}
    answer("no")
    thread.join(_PATIENCE)
    task_id, answer = gate.next()
    assert task_id == "waits"
    assert _states(hub) == {"waits": "active"}
    assert (hub.pools.info().running, hub.pools.info().queue_depth) == (1, 0)
    answer("no")
    assert hub.wait_until_idle(_PATIENCE)
    assert hub.pools.info().running == 0


def test_a_task_stopped_while_it_is_being_started_is_stopped_as_soon_as_it_runs(
    hub: overseer.Hub, gate: Gate
) -> None:
    thread = _start(hub, "t")
    _, answer = gate.next()
    hub.stop("t")
    with pytest.raises(overseer.SubmitError, match="already running or starting"):
        hub.submit("gate", "t")
    answer("")
    thread.join(_PATIENCE)
    assert gate.ends.get(timeout=_PATIENCE) == ("t", True)
    assert hub.wait_until_idle(_PATIENCE)
    assert _states(hub) == {"t": "stopped"}
    assert hub.pools.info().running == 0


def _let_in_from_the_queue(hub: overseer.Hub, gate: Gate, task_id: str) -> Callable[[str], None]:
    """A task that has left the queue and is being started; there is room for two."""
    thread = _start(hub, "first")
    _, answer = gate.next()
    answer("")
    thread.join(_PATIENCE)
    hub.submit("gate", task_id)
    hub.pools.change("gate", limit=2)
    started, answer = gate.next()
    assert started == task_id
    return answer


def test_one_that_was_to_be_requeued_and_then_cannot_be_started_waits_again(
    hub: overseer.Hub, gate: Gate
) -> None:
    hub.pools.change("gate", excess={"order": "last"})
    answer = _let_in_from_the_queue(hub, gate, "t")
    hub.pools.change("gate", limit=1)
    answer("not now")
    _until(lambda: _states(hub)["t"] == "queued")  # by the thread that starts it
    assert (hub.pools.info("gate").running, hub.pools.info("gate").queue_depth) == (1, 1)
    hub.stop("first")
    task_id, answer = gate.next()
    assert task_id == "t"
    answer("")
    assert gate.ends.get(timeout=_PATIENCE) == ("first", True)
    hub.stop("t")
    assert hub.wait_until_idle(_PATIENCE)
    assert hub.pools.info().running == 0


def test_one_that_was_stopped_and_then_cannot_be_started_is_stopped(hub: overseer.Hub, gate: Gate) -> None:
    answer = _let_in_from_the_queue(hub, gate, "t")
    hub.stop("t")
    answer("no")
    _until(lambda: _states(hub)["t"] == "stopped")
    assert hub.pools.info().running == 1
    hub.stop("first")
    assert hub.wait_until_idle(_PATIENCE)
    assert hub.pools.info().running == 0


class Stubborn(Gate):
    """Its tasks ignore their stop."""

    def start(
        self, task_id: str, params: Mapping[str, str], callbacks: overseer.WorkerCallbacks
    ) -> overseer.Worker:
        answer: queue.Queue[str] = queue.Queue()
        self.begun.put((task_id, answer.put))
        answer.get(timeout=_PATIENCE)
        self.over = threading.Event()
        return overseer.start_virtual_worker(
            task_id, lambda context, send: int(self.over.wait(_PATIENCE)), callbacks
        )


@pytest.fixture
def stubborn(tmp_path: Path) -> Iterator[tuple[overseer.Hub, Stubborn]]:
    path = tmp_path / "stubborn.yaml"
    path.write_text("actions: {gate: {type: gate, stop_grace: 60, task_pool: {limit: 1}}}")
    gate = Stubborn()
    hub = overseer.Hub(overseer.load_config(path), {"gate": gate})
    try:
        yield hub, gate
    finally:
        gate.over.set()
        hub.shutdown()
        hub.close()


def test_one_that_is_trimmed_while_it_is_being_started_has_the_grace_of_the_excess(
    stubborn: tuple[overseer.Hub, Stubborn],
) -> None:
    hub, gate = stubborn
    thread = _start(hub, "first")
    gate.next()[1]("")
    thread.join(_PATIENCE)
    first = gate.over
    hub.pools.change("gate", limit=2)
    thread = _start(hub, "t")
    _, answer = gate.next()
    hub.pools.change("gate", limit=1, excess={"grace": 0.0, "order": "last"})
    answer("")
    thread.join(_PATIENCE)
    _until(lambda: _states(hub)["t"] == "stopped")  # not after a minute
    first.set()


def test_a_shutdown_that_is_hurried_waits_for_no_grace_of_what_is_still_being_started(
    stubborn: tuple[overseer.Hub, Stubborn],
) -> None:
    hub, gate = stubborn
    thread = _start(hub, "t")
    _, answer = gate.next()
    ended = queue.Queue[bool]()
    shutdown = threading.Thread(target=lambda: ended.put(hub.shutdown()))
    shutdown.start()
    _until(lambda: hub._table._tasks["t"].stop_request.name == "STOP")
    hub.skip_graces()
    answer("")
    thread.join(_PATIENCE)
    assert ended.get(timeout=_PATIENCE)
    shutdown.join(_PATIENCE)


def test_what_a_shutdown_finds_before_its_driver_was_asked_is_not_started(
    hub: overseer.Hub, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("overseer.supervisor.launch_threads._MOST", 1)
    hub.pools.change("gate", queue_size=30)
    answer = _let_in_from_the_queue(hub, gate, "t")
    for number in range(20):
        hub.submit("gate", f"q{number}")
    hub.pools.change("gate", limit=0)
    shutdown = threading.Thread(target=hub.shutdown)
    shutdown.start()
    _until(lambda: hub._table.closing)
    answer("")
    shutdown.join(_PATIENCE)
    assert hub.wait_until_idle(_PATIENCE)
    assert gate.begun.empty()
    assert set(_states(hub).values()) == {"stopped"}
    with pytest.raises(overseer.SubmitError, match="shutting down"):
        hub.submit("gate", "late")


def test_a_queue_that_is_let_in_at_once_is_launched_by_few_threads(
    hub: overseer.Hub, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("overseer.supervisor.launch_threads._MOST", 4)
    hub.pools.change("gate", queue_size=1000)
    answer = _let_in_from_the_queue(hub, gate, "t")
    answers = [answer]
    for number in range(500):
        hub.submit("gate", f"q{number}")
    hub.pools.change("gate", limit=0)
    answers += [gate.next()[1] for _ in range(3)]
    assert hub._starts.launcher._threads == 4
    for answer in answers:
        answer("no")
    for _ in range(497):
        gate.next()[1]("no")
    hub.stop("first")
    assert hub.wait_until_idle(_PATIENCE)
    assert hub.pools.info().running == 0
