"""The library without a daemon: every public function of use to a driver's author."""

from __future__ import annotations

import ast
import sqlite3
import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

import overseer
from overseer.supervisor.definitions import Definitions
from tests.drivers.conftest import PLUGIN, run_python
from tests.faults.support import wait_until
from tests.harness.hubs import tasks_of


class Heard:
    """Callbacks that remember."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self.events: list[str] = []
        self.ends: list[tuple] = []
        self.callbacks = overseer.WorkerCallbacks(self._output, self.events.append, self._exited)

    def _output(self, batch: overseer.OutputBatch) -> None:
        assert batch.ts.tzinfo is not None
        self.lines += [(batch.stream, line) for line in batch.lines]

    def _exited(self, worker: overseer.Worker, code: int, intentional: bool, at: datetime) -> None:
        self.ends.append((worker, code, intentional, at))


def test_a_process_on_its_own() -> None:
    heard = Heard()
    before = datetime.now(UTC)
    script = "echo out; echo err >&2; echo $X; exit 3"
    config = overseer.WorkerConfig("own", "sh", ["-c", script], env={"X": "x"})
    worker = overseer.start_worker(config, heard.callbacks)
    assert (worker.task_id, worker.pid > 1) == ("own", True)
    assert worker.wait(30)
    assert sorted(heard.lines) == [("stderr", "err"), ("stdout", "out"), ("stdout", "x")]
    assert heard.ends == [(worker, 3, False, worker.exited_at)]
    assert (worker.state, worker.exit_code) == ("exited", 3)
    assert worker.exited_at is not None
    assert before <= worker.started_at <= worker.exited_at <= datetime.now(UTC)


def test_stop_returns_at_once_may_be_repeated_and_wait_has_a_timeout() -> None:
    heard = Heard()
    worker = overseer.start_worker(
        overseer.WorkerConfig("own", "sleep", ["60"], False, False, stop=overseer.StopPolicy(grace=5.0)),
        heard.callbacks,
    )
    assert not worker.wait(0.05)
    assert (worker.state, worker.exit_code, worker.exited_at) == ("running", None, None)
    for _ in range(3):
        worker.stop()
    assert worker.wait(30)
    worker.stop()
    assert heard.ends == [(worker, -1, True, worker.exited_at)]


def test_a_process_that_cannot_be_started_is_a_spawn_error() -> None:
    heard = Heard()
    for config in (
        overseer.WorkerConfig("own", "/no/such/program"),
        overseer.WorkerConfig("own", "true", cwd="/no/such/directory"),
        overseer.WorkerConfig("own", "echo", ["a\0b"]),
        overseer.WorkerConfig("own", ""),
    ):
        with pytest.raises(overseer.SpawnError):
            overseer.start_worker(config, heard.callbacks)
    assert (heard.lines, heard.ends) == ([], [])


def test_a_function_on_its_own() -> None:
    heard = Heard()

    def run(context: overseer.VirtualContext, send) -> int:
        send("stdout", context.task_id)
        context.wait(60)
        assert context.stopped.is_set()
        return 4

    worker = overseer.start_virtual_worker("own", run, heard.callbacks)
    assert (worker.pid, worker.task_id, worker.state) == (0, "own", "running")
    worker.stop()
    assert worker.wait(30)
    assert heard.lines == [("stdout", "own")]
    assert heard.ends == [(worker, 4, True, worker.exited_at)]


def test_callbacks_come_on_threads_of_the_worker() -> None:
    names = []
    callbacks = overseer.WorkerCallbacks(
        lambda batch: names.append(threading.current_thread()),
        lambda text: None,
        lambda *end: names.append(threading.current_thread()),
    )
    worker = overseer.start_worker(overseer.WorkerConfig("own", "echo", ["a"]), callbacks)
    assert worker.wait(30)
    assert len(names) == 2
    assert threading.current_thread() not in names


def test_expressions() -> None:
    program = overseer.compile_cel('value.matches("^[a-z]+$")')
    assert overseer.eval_cel_bool(program, "abc") is True
    assert overseer.eval_cel_bool(program, "ABC") is False
    with pytest.raises(overseer.CelError):
        overseer.compile_cel("value +")
    with pytest.raises(overseer.CelError):
        overseer.eval_cel_bool(overseer.compile_cel("int(value) > 3"), "many")


def test_a_database(tmp_path: Path) -> None:
    connection = overseer.open_db(tmp_path / "driver.db")
    assert isinstance(connection, sqlite3.Connection)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()
    overseer.open_db(":memory:").close()


def test_a_configuration_and_its_handlers(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        "retry: {error_threshold: 2}\n"
        "actions:\n  hello:\n    type: exec\n    dedupe_key: [name]\n"
        "    config: {entrypoint: echo, command: ['[[.name]]'], parameters: {name: null}}\n"
    )
    config = overseer.load_config(path)
    assert isinstance(config, overseer.Config)
    handlers = overseer.build_action_handlers(config)
    assert list(handlers) == ["hello"]
    info = handlers["hello"].describe()
    assert isinstance(info, overseer.ActionInfo)
    assert (info.retry, info.dedupe_key) == (overseer.RetryPolicy(error_threshold=2), ("name",))
    with pytest.raises(overseer.ValidationError):
        handlers["hello"].validate({})
    heard = Heard()
    worker = handlers["hello"].start("own", {"name": "you"}, heard.callbacks)
    assert worker.wait(30)
    assert heard.lines == [("stdout", "you")]
    with pytest.raises(TypeError):
        handlers["more"] = handlers["hello"]  # type: ignore[index]


def test_a_config_that_cannot_be_used_raises_all_of_its_problems(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("actions:\n  a: {type: exec}\n  b: {type: nope}\n")
    with pytest.raises(overseer.ConfigErrors) as caught:
        overseer.build_action_handlers(overseer.load_config(path))
    assert [(error.line, error.path) for error in caught.value.errors] == [
        (2, ("actions", "a", "config", "entrypoint")),
        (3, ("actions", "b", "type")),
    ]
    path.write_text("listen: [")
    with pytest.raises(overseer.ConfigError):
        overseer.load_config(path)


def test_list_handlers_knows_the_built_in_driver_without_being_told(tmp_path: Path) -> None:
    status, out, _ = run_python("-c", "import overseer; print(overseer.list_handlers())", cwd=tmp_path)
    assert (status, "'exec'" in out) == (0, True)


def test_a_hub_of_ones_own_runs_tasks_without_any_client(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("actions: {say: {type: exec, config: {entrypoint: touch, command: ['[[.file]]']}}}")
    config = overseer.load_config(path)
    hub = overseer.Hub(config, overseer.build_action_handlers(config))
    try:
        assert hub.submit("say", "one", {"file": str(tmp_path / "touched")}) == "one"
        assert hub.wait_until_idle(10)
        with pytest.raises(overseer.SubmitError):
            hub.submit("shout")
    finally:
        hub.shutdown()
        hub.close()
    assert (tmp_path / "touched").exists()


class Described(overseer.ActionHandler):
    """Counts how often it is asked to describe itself."""

    def __init__(self) -> None:
        self.asked = 0

    def describe(self) -> overseer.ActionInfo:
        self.asked += 1
        params = {"name": overseer.ParamSpec(default="x")}
        return overseer.ActionInfo("described", "described", params=params, dedupe_key=("name",))

    def validate(self, params: object) -> None:
        pass

    def start(self, task_id: str, params: object, callbacks: overseer.WorkerCallbacks) -> overseer.Worker:
        return overseer.start_virtual_worker(task_id, lambda context, send: int(context.wait()), callbacks)


def test_a_start_asks_the_driver_once_what_its_parameters_are(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("actions: {described: {type: described, strict_params: true}}")
    handler = Described()
    hub = overseer.Hub(overseer.load_config(path), {"described": handler})
    try:
        hub.submit("described", "one", {"name": "x"})
        assert handler.asked == 1
        with pytest.raises(overseer.SubmitError, match="already running as one"):
            hub.submit("described", "two")
        with pytest.raises(overseer.SubmitError, match="unknown parameter 'size'; described has: name"):
            hub.submit("described", "three", {"size": "y"})
        assert handler.asked == 3
    finally:
        hub.shutdown()
        hub.close()


class Half(overseer.ActionHandler):
    """Starts a worker, then fails."""

    def describe(self) -> overseer.ActionInfo:
        return overseer.ActionInfo("half", "half")

    def validate(self, params: object) -> None:
        pass

    def start(self, task_id: str, params: object, callbacks: overseer.WorkerCallbacks) -> overseer.Worker:
        config = overseer.WorkerConfig(task_id, "echo", ["nobody hears this"])
        self.worker = overseer.start_worker(config, callbacks)
        raise RuntimeError("after all")


def test_a_worker_whose_start_failed_after_all_ends_unheard(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("actions: {half: {type: half}}")
    handler = Half()
    hub = overseer.Hub(overseer.load_config(path), {"half": handler})
    try:
        with pytest.raises(overseer.SubmitError, match="the driver failed: RuntimeError: after all"):
            hub.submit("half", "one")
        assert handler.worker.wait(30)
        assert tasks_of(hub) == []
    finally:
        hub.shutdown()
        hub.close()


class Obstinate(Half):
    """Starts a worker that takes its time to end, then fails."""

    def start(self, task_id: str, params: object, callbacks: overseer.WorkerCallbacks) -> overseer.Worker:
        ready = threading.Event()
        script = 'trap "sleep 0.3; exit 7" TERM; echo; while :; do sleep 0.05; done'
        self.worker = overseer.start_worker(
            overseer.WorkerConfig(task_id, "sh", ["-c", script]),
            replace(callbacks, on_output=lambda batch: ready.set()),
        )
        assert ready.wait(30)
        raise RuntimeError("after all")


def test_a_shutdown_waits_for_the_worker_of_a_start_that_failed(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("actions: {half: {type: half, stop_grace: 10}}")
    handler = Obstinate()
    hub = overseer.Hub(overseer.load_config(path), {"half": handler})
    try:
        with pytest.raises(overseer.SubmitError, match="after all"):
            hub.submit("half", "one")
        assert not handler.worker.wait(0)
        assert hub.shutdown()
        assert handler.worker.wait(0)
        assert handler.worker.exit_code == 7  # in its own time
    finally:
        hub.shutdown()
        hub.close()


class Scanner(overseer.ServiceHandler, Half):
    """A service that counts how often it runs."""

    def __init__(self) -> None:
        self.running = 0
        self.runs = threading.Event()

    def run_service(self, stop: threading.Event, submitter: overseer.TaskSubmitter) -> None:
        self.running += 1
        self.runs.set()
        stop.wait()
        self.running -= 1


@pytest.mark.parametrize("changed", [False, True])
def test_a_reload_while_services_are_started_leaves_one_of_each_that_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: bool
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("actions: {scan: {type: scan}}")
    config = overseer.load_config(path)
    before = Scanner()
    after = Scanner() if changed else before
    hub = overseer.Hub(config, {"scan": before})
    reload = threading.Thread(target=hub.redefine, args=(Definitions(config, {"scan": after}),))
    start = threading.Thread.start

    def start_overtaken(thread: threading.Thread) -> None:
        if thread.name == "service-scan" and not reload.ident:
            start(reload)
            reload.join(0.3)  # it has to wait for its turn
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_overtaken)
    try:
        hub.start_services()
        reload.join(30)
        assert after.runs.wait(30)
        assert (before.running, after.running) == ((0, 1) if changed else (1, 1))
        assert [thread.name for thread in threading.enumerate()].count("service-scan") == 1
    finally:
        hub.shutdown()
        hub.close()


class Unstoppable(overseer.Worker):
    """A driver's own worker, whose stop fails."""

    def __init__(self, task_id: str, callbacks: overseer.WorkerCallbacks) -> None:
        super().__init__(task_id, 0, callbacks)
        self.asked = 0

    def stop(self, grace: float | None = None) -> None:
        self.asked += 1
        raise RuntimeError("it does not want to")


class Unstopped(Half):
    def start(self, task_id: str, params: object, callbacks: overseer.WorkerCallbacks) -> overseer.Worker:
        self.worker = Unstoppable(task_id, callbacks)
        return self.worker


@pytest.mark.parametrize("how", ["stop", "trim", "shutdown"])
def test_a_worker_that_fails_to_stop_keeps_no_other_from_being_stopped(tmp_path: Path, how: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        "task_pool: {excess: {grace: 0}}\n"
        "actions: {half: {type: exec, stop_grace: 0.1, config: {entrypoint: none}}, "
        "sleep: {type: exec, stop_grace: 0.1, config: {entrypoint: sleep, command: ['60']}}}"
    )
    config = overseer.load_config(path)
    handler = Unstopped()
    hub = overseer.Hub(config, {**overseer.build_action_handlers(config), "half": handler})
    try:
        hub.submit("half", "first")
        hub.submit("sleep", "second")
        hub.submit("sleep", "third")
        if how == "stop":
            with pytest.raises(overseer.OverseerError, match="the driver failed: RuntimeError: it does not"):
                hub.stop("first")
        if how == "trim":
            hub.pools.change(limit=1)
        assert not hub.shutdown()  # which waits no longer than it promises
        wanted = {"first": "running", "second": "exited", "third": "exited"}
        wait_until(lambda: {task.task_id: task.worker_state for task in tasks_of(hub)} == wanted)
        assert handler.worker.asked == (2 if how == "shutdown" else 3)
    finally:
        hub.close()


def test_a_program_that_uses_workers_ends_by_itself_and_leaves_nothing(tmp_path: Path) -> None:
    program = """
import overseer
quiet = overseer.WorkerCallbacks(lambda batch: print(batch.lines), print, lambda *end: print(end[1:3]))
worker = overseer.start_worker(overseer.WorkerConfig("own", "echo", ["hello"]), quiet)
print(worker.wait(10), worker)
"""
    status, out, err = run_python("-c", program, cwd=tmp_path)
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[:2] == ["['hello']", "(0, False)"]
    assert lines[2].startswith("True <OSWorker 'own' pid")


def test_every_public_name_is_there() -> None:
    assert isinstance(overseer.__version__, str)
    for name in overseer.__all__:
        assert getattr(overseer, name) is not None
    names = (
        "register_factory build_action_handlers list_handlers ActionHandler ServiceHandler ActionInfo "
        "ActionHandlerFactory TaskSubmitter ValidationError ConfigError SubmitError RetryPolicy WorkerConfig "
        "start_worker start_virtual_worker WorkerCallbacks Worker run_cli load_config compile_cel "
        "eval_cel_bool open_db __version__ Hub PoolManager"
    )
    assert set(names.split()) <= set(overseer.__all__)


@pytest.mark.parametrize("path", sorted(PLUGIN.rglob("*.py")), ids=lambda path: path.name)
def test_the_drivers_of_these_tests_need_nothing_private(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert not (node.module or "").startswith("overseer")
        if isinstance(node, ast.Import):
            assert not any(alias.name.startswith("overseer.") for alias in node.names)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "overseer":
            assert node.attr in overseer.__all__
