"""Drivers that say what cannot be so, or too late: nobody but their task bears it; a hub of the tests."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import overseer
from overseer.protocol import List
from overseer.supervisor.clients import Client
from overseer.supervisor.task import Requester
from overseer.util.timers import Timers
from overseer.util.timestamps import now
from tests.faults.support import wait_until
from tests.harness.hubs import tasks_of
from tests.supervisor.output.test_publisher import _Held

_PATIENCE = 30
Start = Callable[[str, Mapping[str, str], overseer.WorkerCallbacks], overseer.Worker]


class Handler(overseer.ActionHandler):
    """Starts as the test says."""

    def __init__(self) -> None:
        self.how: Start = lambda task_id, params, callbacks: overseer.start_virtual_worker(
            task_id, lambda context, send: int(context.wait()), callbacks
        )

    def describe(self) -> overseer.ActionInfo:
        return overseer.ActionInfo("a", "a")

    def validate(self, params: Mapping[str, str]) -> None:
        pass

    def start(
        self, task_id: str, params: Mapping[str, str], callbacks: overseer.WorkerCallbacks
    ) -> overseer.Worker:
        return self.how(task_id, params, callbacks)


class Stage:
    """A hub with one action and room for one task, and a client that is told of all of it."""

    def __init__(self, path: Path, more: str = "") -> None:
        """``more``: settings of the action."""
        path.write_text(
            "task_pool: {limit: 1}\nactions: {a: {type: a, stop_signal: SIGINT, stop_grace: 5s, "
            "retry: {error_threshold: 1}" + more + "}}"
        )
        self.handler = Handler()
        self.hub = overseer.Hub(overseer.load_config(path), {"a": self.handler})
        self.timers = Timers()
        self.outbox = _Held(self.timers, 1 << 20)
        self.client = Client(self.outbox)
        self.hub.connect(self.client)
        self.heard: list[dict[str, Any]] = []

    def start(self, task_id: str = "t") -> None:
        self.hub.start("a", task_id, requester=Requester(self.client, task_id))

    def expect(self, type: str) -> dict[str, Any]:
        def there() -> bool:
            self.heard += self.outbox.read()
            return type in [message["type"] for message in self.heard]

        wait_until(there, what=type)
        index = [message["type"] for message in self.heard].index(type)
        message = self.heard[index]
        del self.heard[: index + 1]
        return message

    def works_on(self) -> None:
        """There is room, tasks run and end, and all can be listed."""
        assert self.hub.wait_until_idle(_PATIENCE)
        assert self.hub.pools.info().running == 0
        self.handler.how = Handler().how
        self.start("next")
        assert self.expect("started")["id"] == "next"
        self.hub.stop("next")
        self.expect("exited")
        self.hub.listing.tell(self.client, List("list"))
        assert "next" in [task["task_id"] for task in self.expect("tasks")["tasks"]]


@pytest.fixture
def stage(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Stage]:
    stage = Stage(tmp_path / "config.yaml", getattr(request, "param", ""))
    try:
        yield stage
    finally:
        assert stage.hub.shutdown()
        stage.hub.close()
        stage.timers.close()


class Own(overseer.Worker):
    """A driver's own worker; ``values`` become attributes of it."""

    def __init__(self, task_id: str, callbacks: overseer.WorkerCallbacks, **values: Any) -> None:
        super().__init__(task_id, 0, callbacks)
        self.stopped = threading.Event()
        for name, value in values.items():
            setattr(self, name, value)
        threading.Thread(target=self._work, args=(callbacks,), name="the driver's").start()

    def _work(self, callbacks: overseer.WorkerCallbacks) -> None:
        self.stopped.wait(_PATIENCE)
        callbacks.on_exited(self, 0, True, datetime.now(UTC))

    def stop(self, grace: float | None = None) -> None:
        self.stopped.set()


@pytest.mark.parametrize(
    "values", [{"started_at": 1.5}, {"pid": "7"}, {"task_id": None}, {"started_at": None}]
)
def test_a_worker_of_which_nobody_can_be_told_is_a_start_that_failed(
    stage: Stage, values: dict[str, Any]
) -> None:
    stage.handler.how = lambda task_id, params, callbacks: Own(task_id, callbacks, **values)
    stage.start()
    error = stage.expect("error")
    assert error["id"] == "t"
    assert "the driver failed: TypeError" in error["message"]
    stage.works_on()


def test_a_local_time_is_told_in_utc(stage: Stage) -> None:
    local = datetime.now()
    stage.handler.how = lambda task_id, params, callbacks: Own(task_id, callbacks, started_at=local)
    stage.start()
    assert stage.expect("started")["ts"] == overseer_time(local)
    stage.hub.stop("t")
    stage.works_on()


def overseer_time(local: datetime) -> str:
    return local.astimezone(UTC).isoformat().replace("+00:00", "Z")


class Rude(Own):
    """Says nothing sensible once it runs."""

    rude = False

    @property
    def signal(self) -> str:
        raise RuntimeError("ask somebody else")

    def _work(self, callbacks: overseer.WorkerCallbacks) -> None:
        self.stopped.wait(_PATIENCE)
        self.pid = "no pid any more"  # type: ignore[assignment]
        del self.started_at
        wrong: list[tuple[Any, ...]] = [
            ("1", True, now()),
            (10**5000, True, now()),
            (1, True, None),
            (1, No(), now()),
        ]
        for code, intentional, at in wrong:
            with pytest.raises((TypeError, ValueError, AttributeError)):
                callbacks.on_exited(self, code, intentional, at)
        callbacks.on_exited(self, -1, True, now())


class No:
    def __bool__(self) -> bool:
        raise TypeError("neither yes nor no")


def test_an_end_of_which_nobody_can_be_told_changes_nothing(stage: Stage) -> None:
    stage.handler.how = lambda task_id, params, callbacks: Rude(task_id, callbacks)
    stage.start()
    stage.expect("started")
    stage.hub.stop("t")
    exited = stage.expect("exited")
    assert (exited["exit_code"], "signal" in exited) == (-1, False)
    stage.works_on()


def _fails(worker: overseer.Worker) -> Any:
    raise RuntimeError("ask somebody else")


class Mute(Own):
    """Says nothing of itself, neither while it runs nor once it has ended."""

    lives = cpu = max_rss = values = lost = ran_out_of_memory = signal = property(_fails)  # type: ignore

    def ask_usage(self) -> bool:
        raise RuntimeError("ask somebody else")

    def _work(self, callbacks: overseer.WorkerCallbacks) -> None:
        self.stopped.wait(_PATIENCE)
        callbacks.on_exited(self, -1, True, now())


@pytest.mark.parametrize("stage", [", timeout: 100ms"], indirect=True)
def test_a_timeout_ends_a_run_whose_worker_fails_to_say_whether_it_lives(stage: Stage) -> None:
    stage.handler.how = lambda task_id, params, callbacks: Mute(task_id, callbacks)
    stage.start()
    stage.expect("started")
    exited = stage.expect("exited")
    assert (exited["reason"], exited["exit_code"]) == ("timeout", -1)
    assert not exited.keys() & {"signal", "cpu_ms", "max_rss"}
    stage.works_on()


def test_a_worker_that_fails_to_say_what_it_uses_costs_no_other_its_figures(stage: Stage) -> None:
    stage.hub.pools.change(limit=2)
    stage.start("other")
    stage.expect("started")
    stage.handler.how = lambda task_id, params, callbacks: Mute(task_id, callbacks)
    stage.start()
    stage.expect("started")
    stage.hub.usage.tell("", Requester(stage.client, "asked"))
    assert stage.expect("usage")["id"] == "asked"
    for name in ("t", "other"):
        stage.hub.stop(name)
    stage.expect("exited")
    stage.hub.pools.change(limit=1)
    stage.works_on()


class Shy(Own):
    """Fails to say what is asked once it has started."""

    hides_secrets = property(_fails)  # type: ignore[assignment]


def test_a_worker_that_cannot_be_gone_on_with_is_a_start_that_failed(stage: Stage) -> None:
    stage.handler.how = lambda task_id, params, callbacks: Shy(task_id, callbacks)
    stage.start()
    assert "the driver failed: RuntimeError: ask somebody else" in stage.expect("error")["message"]
    stage.works_on()


@pytest.mark.parametrize("when", ["after the exit", "in the next run", "from within start"])
def test_output_that_comes_after_the_exit_is_dropped(
    stage: Stage, when: str, caplog: pytest.LogCaptureFixture
) -> None:
    late: list[Callable[[], None]] = []

    def start(task_id: str, params: object, callbacks: overseer.WorkerCallbacks) -> overseer.Worker:
        kept: list[overseer.OutputBatch] = []

        def on_exited(*end: Any) -> None:
            callbacks.on_exited(*end)
            for batch in kept:
                if when == "in the next run":
                    late.append(lambda batch=batch: callbacks.on_output(batch))  # type: ignore[misc]
                else:
                    callbacks.on_output(batch)

        if when == "from within start":
            worker = overseer.Worker.__new__(Quiet)
            Quiet.__init__(worker, task_id, 0, callbacks)
            callbacks.on_exited(worker, 0, False, now())
            callbacks.on_output(overseer.OutputBatch("stdout", now(), ["late"]))
            return worker
        return overseer.start_worker(
            overseer.WorkerConfig(task_id, "echo", ["last words"]),
            replace(callbacks, on_output=kept.append, on_exited=on_exited),
        )

    stage.handler.how = start
    stage.start()
    stage.expect("exited")
    if when == "in the next run":
        stage.handler.how = Handler().how
        stage.start("t")
        stage.expect("started")
        for call in late:
            call()
        stage.hub.stop("t")
        stage.expect("exited")
    stage.works_on()
    assert "output" not in [message["type"] for message in stage.heard]
    assert caplog.text.count("output after on_exited") == 1


class Quiet(overseer.Worker):
    def stop(self, grace: float | None = None) -> None:
        pass


_IGNORES_TERM = "trap '' TERM; trap 'exit 7' INT; echo on; while :; do sleep 0.01; done"


@pytest.mark.parametrize("anew", [False, True])
def test_a_worker_started_on_a_thread_of_the_drivers_has_the_runs_settings(stage: Stage, anew: bool) -> None:
    def start(task_id: str, params: object, callbacks: overseer.WorkerCallbacks) -> overseer.Worker:
        made: list[overseer.Worker] = []
        config = overseer.WorkerConfig(task_id, "sh", ["-c", _IGNORES_TERM])
        if anew:  # made from nothing, but where the run is known
            callbacks = overseer.WorkerCallbacks(
                lambda batch, own=callbacks: own.on_output(batch),  # type: ignore[misc]
                lambda text: None,
                lambda *end, own=callbacks: own.on_exited(*end),  # type: ignore[misc]
            )
        thread = threading.Thread(target=lambda: made.append(overseer.start_worker(config, callbacks)))
        thread.start()
        thread.join(_PATIENCE)
        return made[0]

    stage.handler.how = start
    stage.start()
    stage.expect("output")
    stage.hub.stop("t")
    assert stage.expect("exited")["exit_code"] == 7, "SIGINT is the action's stop_signal"
    stage.works_on()


@pytest.mark.parametrize("kind", ["process", "function"])
def test_a_worker_that_comes_after_its_start_has_failed_is_ended(stage: Stage, kind: str) -> None:
    """As of a driver that waits for a slow start on a thread of its own, and not for long."""
    given_up, made = threading.Event(), threading.Event()
    workers: list[overseer.Worker] = []

    def start(task_id: str, params: object, callbacks: overseer.WorkerCallbacks) -> overseer.Worker:
        def begin() -> None:
            assert given_up.wait(_PATIENCE)
            if kind == "process":
                config = overseer.WorkerConfig(task_id, "sleep", ["60"])
                workers.append(overseer.start_worker(config, callbacks))
            else:
                workers.append(Handler().how(task_id, {}, callbacks))
            made.set()

        threading.Thread(target=begin).start()
        raise overseer.SpawnError("that takes too long")

    stage.handler.how = start
    stage.start()
    assert stage.expect("error")["message"] == "that takes too long"
    given_up.set()
    assert made.wait(_PATIENCE)
    assert workers[0].wait(_PATIENCE)
    stage.works_on()


def test_a_reset_that_fails_leaves_all_as_it_was(stage: Stage) -> None:
    stage.handler.how = lambda task_id, params, callbacks: overseer.start_virtual_worker(
        task_id, lambda context, send: 3, callbacks
    )
    stage.start()
    assert stage.expect("errored")["exit_count"] == 1
    (before,) = tasks_of(stage.hub)
    entered, go = threading.Event(), threading.Event()

    def fail(task_id: str, params: object, callbacks: overseer.WorkerCallbacks) -> overseer.Worker:
        entered.set()
        assert go.wait(_PATIENCE)
        raise overseer.SpawnError("still broken")

    stage.handler.how = fail
    stage.hub.reset("t", Requester(stage.client, "reset"))
    assert entered.wait(_PATIENCE)
    assert tasks_of(stage.hub) == [replace(before, state="active", status="running", worker_state="")], (
        "nothing else has changed"
    )
    with pytest.raises(overseer.RequestError, match="already running or starting"):
        stage.hub.reset("t", Requester(stage.client, "again"))
    assert stage.expect("error")["id"] == "again"
    go.set()
    assert stage.expect("error") == {
        **{"type": "error", "id": "reset", "message": "still broken"},
        "code": "failed",
    }
    assert stage.hub.wait_until_idle(_PATIENCE)
    assert tasks_of(stage.hub) == [before]
    assert not stage.heard
    assert not stage.outbox.read(), "no second errored"
    assert stage.hub.metrics_view.figures().counters["a"]["tasks_errored"] == 1
    entered.clear()
    go.clear()
    stage.handler.how = fail
    stage.hub.reset("t", Requester(stage.client, "looked at"))
    assert entered.wait(_PATIENCE)
    stage.hub.listing.tell(stage.client, List("list"))  # who has seen it starting is told what came of it
    stage.expect("tasks")
    go.set()
    assert stage.expect("errored")["exit_count"] == 1
    assert stage.expect("error")["id"] == "looked at"
    assert stage.hub.metrics_view.figures().counters["a"]["tasks_errored"] == 1
    stage.handler.how = lambda task_id, params, callbacks: overseer.start_virtual_worker(
        task_id, lambda context, send: 4, callbacks
    )
    stage.hub.reset("t", Requester(stage.client, "mended"))
    assert stage.expect("started")["id"] == "mended"
    assert stage.expect("errored")["exit_count"] == 1, "it counts from the reset"
    stage.works_on()
