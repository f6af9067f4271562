"""Secrets for drivers: their workers get them by name, and nothing that comes of a run shows them."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

import overseer
from overseer.util.jsonlog import EventLog
from overseer.util.timestamps import now
from overseer.workers.base import OutputBatch, RunContext

SECRET = "hunter2-hunter2"
GIVEN = "given-hunter2"


class Handler(overseer.ActionHandler):
    """Starts what it was made with."""

    def __init__(self, start: Callable[[str, overseer.WorkerCallbacks], overseer.Worker]) -> None:
        self._start = start

    def describe(self) -> overseer.ActionInfo:
        params = {"password": overseer.ParamSpec(type="secret", default="")}
        return overseer.ActionInfo("a", "exec", params=params)

    def validate(self, params: Mapping[str, str]) -> None:
        pass

    def start(
        self, task_id: str, params: Mapping[str, str], callbacks: overseer.WorkerCallbacks
    ) -> overseer.Worker:
        return self._start(task_id, callbacks)


def outputs(tmp_path: Path, start: Callable[[str, overseer.WorkerCallbacks], overseer.Worker]) -> list[str]:
    """All lines of a run that is started so."""
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    path = tmp_path / "config.yaml"
    path.write_text(f"secrets: {{s: {{file: {tmp_path}/secret}}}}\nactions: {{a: {{type: exec}}}}")
    log = EventLog(str(tmp_path / "events"))
    log.start()
    hub = overseer.Hub(overseer.load_config(path), {"a": Handler(start)}, log)
    try:
        hub.submit("a", "t", {"password": GIVEN})
        assert hub.wait_until_idle(10)
    finally:
        hub.shutdown()
        hub.close()
        log.close()
    events = map(json.loads, (tmp_path / "events").read_text().splitlines())
    return [event["data"] for event in events if event["type"] == "output"]


def secret(callbacks: overseer.WorkerCallbacks, name: str = "s") -> str:
    assert callbacks.run is not None
    return callbacks.run.secret(name)


def test_a_process_gets_them_by_name(tmp_path: Path) -> None:
    def start(task_id: str, callbacks: overseer.WorkerCallbacks) -> overseer.Worker:
        script = 'echo "$A" ${#A}; cat "$B"; echo; echo given-hunter2'
        names = {"secret_env": {"A": "s"}, "secret_files": {"B": "s"}}
        config = overseer.WorkerConfig(task_id, "sh", ["-c", script], **names)  # type: ignore[arg-type]
        assert SECRET not in repr(config)
        return overseer.start_worker(config, callbacks)

    assert outputs(tmp_path, start) == [f"*** {len(SECRET)}", "***", "***"]


def test_a_function_gets_them_by_name(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    def start(task_id: str, callbacks: overseer.WorkerCallbacks) -> overseer.Worker:
        value = secret(callbacks)

        def run(context: object, send: Callable[[str, str], None]) -> int:
            send("stdout", f"{value} {len(value)}\n{GIVEN}")
            callbacks.log_event(f"it is {value}")
            raise ValueError(f"no such password: {value}")

        return overseer.start_virtual_worker(task_id, run, callbacks)  # type: ignore[arg-type]

    assert outputs(tmp_path, start) == [f"*** {len(SECRET)}", "***", "no such password: ***"]
    assert "it is ***" in caplog.text
    assert "ValueError: no such password: ***" in caplog.text
    assert "hunter2" not in caplog.text


class Own(overseer.Worker):
    """A driver's own worker, which knows nothing of secrets."""

    def __init__(self, task_id: str, callbacks: overseer.WorkerCallbacks, value: str) -> None:
        super().__init__(task_id, 0, callbacks)
        batch = OutputBatch("stdout", now(), [f"early {value}"])
        callbacks.on_output(batch)

        def run() -> None:
            callbacks.on_output(OutputBatch("stdout", now(), [f"late {value}!", " plain", GIVEN]))
            with self._lock:
                end = self._exited_locked(0, "")
            self._announce(end, False)

        threading.Thread(target=run).start()

    def stop(self, grace: float | None = None) -> None:
        pass


def test_those_that_a_drivers_own_worker_shows_are_replaced_all_the_same(tmp_path: Path) -> None:
    found = outputs(tmp_path, lambda task_id, callbacks: Own(task_id, callbacks, secret(callbacks)))
    assert found == ["early ***", "late ***!", " plain", "***"]


def test_an_unknown_name_fails_the_start() -> None:
    with pytest.raises(overseer.SpawnError, match="no such secret 'x'"):
        RunContext("t").secret("x")
