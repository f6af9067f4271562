"""Workers that begin later: their start has returned, and they wait for a place to run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

import overseer
from overseer.protocol import TaskInfo
from overseer.workers.base import Worker, WorkerCallbacks
from tests.harness.cluster import wait_until
from tests.harness.hubs import tasks_of

CONFIG = """
actions:
  far:
    type: exec
    task_pool: {limit: 1, queue: {enabled: true}}
    config: {entrypoint: nothing}
"""


class Waiting(Worker):
    """A worker that begins, or fails, when a test says so."""

    def __init__(self, task_id: str, callbacks: WorkerCallbacks) -> None:
        super().__init__(task_id, 0, callbacks)
        self.waiting_on = ("cluster",)
        self.host = "w0 (tcp://10.0.0.1:4000)"

    def begins(self, error: overseer.OverseerError | None = None) -> None:
        """On another thread, as it would be; returns when that is done."""
        assert self._callbacks.run is not None
        say = self._callbacks.run.begins
        assert say is not None
        if error is None:
            self.pid = 4711
            self.waiting_on = ()
        else:
            self._over.set()
        thread = threading.Thread(target=say, args=(self, error))
        thread.start()
        thread.join(10)
        assert not thread.is_alive()

    def waits(self) -> None:
        """It will be a while: said on another thread, as it would be."""
        assert self._callbacks.run is not None
        say = self._callbacks.run.waits
        assert say is not None
        thread = threading.Thread(target=say, args=(self,))
        thread.start()
        thread.join(10)
        assert not thread.is_alive()

    def ends(self, code: int) -> None:
        with self._lock:
            end = self._exited_locked(code, "")
        self._announce(end, self._intentional)

    def stop(self, grace: float | None = None) -> None:
        self._intentional = True
        if self.waiting_on:
            self._over.set()
            thread = threading.Thread(target=self.begins, args=(overseer.OverseerError(""),))
        else:
            thread = threading.Thread(target=self.ends, args=(-1,))
        thread.start()


class Handler(overseer.ActionHandler):
    def __init__(self) -> None:
        self.workers: list[Waiting] = []
        self.within: Callable[[Waiting], None] = lambda worker: None  # called within start

    def describe(self) -> overseer.ActionInfo:
        return overseer.ActionInfo("far", "exec")

    def validate(self, params: Mapping[str, str]) -> None:
        pass

    def start(self, task_id: str, params: Mapping[str, str], callbacks: WorkerCallbacks) -> Worker:
        worker = Waiting(task_id, callbacks)
        self.workers.append(worker)
        self.within(worker)
        return worker


@pytest.fixture
def handler() -> Handler:
    return Handler()


@pytest.fixture
def hub(handler: Handler, tmp_path: Path) -> Iterator[overseer.Hub]:
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG)
    hub = overseer.Hub(overseer.load_config(path), {"far": handler})
    try:
        yield hub
    finally:
        assert hub.shutdown()
        hub.close()


def task(hub: overseer.Hub, task_id: str = "one") -> TaskInfo:
    return next(each for each in tasks_of(hub) if each.task_id == task_id)


def test_a_task_waits_actively_and_runs_once_its_worker_begins(hub: overseer.Hub, handler: Handler) -> None:
    hub.submit("far", "one")
    hub.submit("far", "two")
    handler.workers[0].waits()
    waiting = task(hub)
    assert (waiting.state, waiting.status, waiting.waiting_on) == ("active", "waiting", ("cluster",))
    assert (waiting.current_pid, waiting.host) == (0, "")
    assert task(hub, "two").status == "queued"  # the place in the pool is taken
    (worker,) = handler.workers
    worker.begins()
    runs = task(hub)
    assert (runs.status, runs.current_pid, runs.waiting_on) == ("running", 4711, ())
    assert runs.host == "w0 (tcp://10.0.0.1:4000)"
    worker.ends(0)
    assert task(hub).status == "succeeded"
    wait_until("the next one is started", lambda: len(handler.workers) == 2)
    handler.workers[1].waits()
    assert task(hub, "two").waiting_on == ("cluster",)


def test_a_stop_calls_off_what_waits(hub: overseer.Hub, handler: Handler) -> None:
    hub.submit("far", "one")
    hub.stop("one")
    wait_until("it is stopped", lambda: task(hub).status == "stopped")
    assert task(hub).error_message == ""


def test_what_never_begins_fails_as_a_run_does(hub: overseer.Hub, handler: Handler) -> None:
    hub.start("far", "one", retry_policy=overseer.RetryPolicy(restart_delay=10**7, error_threshold=2))
    handler.workers[0].begins(overseer.SpawnError("no such program there"))
    wait_until("it is started again", lambda: len(handler.workers) == 2)
    handler.workers[1].waits()
    assert task(hub).status == "waiting"
    handler.workers[1].begins(overseer.SpawnError("no such program there"))
    over = task(hub)
    assert (over.status, over.error_message) == ("errored", "no such program there")


def test_a_worker_may_begin_before_its_start_has_returned(hub: overseer.Hub, handler: Handler) -> None:
    threads: list[threading.Thread] = []

    def begin(worker: Waiting) -> None:
        run = worker._callbacks.run
        assert run is not None
        assert run.begins is not None
        threads.append(threading.Thread(target=run.begins, args=(worker, None)))
        threads[0].start()

    handler.within = begin
    hub.submit("far", "one")
    wait_until("it runs", lambda: task(hub).status == "running")
    threads[0].join(10)
    handler.workers[0].waiting_on = ()


def test_a_run_that_is_lost_has_failed_and_says_why(hub: overseer.Hub, handler: Handler) -> None:
    hub.submit("far", "one")
    (worker,) = handler.workers
    worker.begins()
    worker.lost = "w0 was lost: the worker has gone"
    worker.ends(-1)
    lost = task(hub)
    assert (lost.status, lost.reason, lost.error_message) == ("failed", "lost", worker.lost)
