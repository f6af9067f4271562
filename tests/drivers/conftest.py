"""One daemon for most of the tests here: a downstream program with drivers from outside the package."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness import ROOT, Daemon, WsClient

PLUGIN = Path(__file__).parent / "plugin"
PROGRAM = PLUGIN / "acme_overseer.py"
ENVIRONMENT = {"PYTHONPATH": str(ROOT)}


def process(**config: Any) -> dict[str, Any]:
    return {"type": "acme-process", "config": config}


def function(name: str, **action: Any) -> dict[str, Any]:
    return {"type": "acme-function", "config": {"function": name}, **action}


def wrapped(how: str, **action: Any) -> dict[str, Any]:
    return {"type": "acme-wrapped", "config": {"how": how}, **action}


ACTIONS = {
    "script": {
        **process(),
        "description": "runs a script",
        "dedupe_key": ["key", "size"],
        "retry": {"error_threshold": 3},
        "task_pool": {"limit": 50},
    },
    "no stdout": process(stdout=False),
    "no stderr": process(stderr=False),
    "silent": process(stdout=False, stderr=False),
    "env": process(env={"GREETING": "hello", "HOME": "/somewhere"}),
    "root": process(cwd="/"),
    "reads": process(stdin="pipe"),
    "on a terminal": process(stdin="pty", stdout=False),
    "stdin of another kind": process(stdin="tty"),
    "nowhere": process(cwd="/no/such/directory"),
    "no shell": process(shell="/no/such/shell"),
    "bare": {"type": "acme-process"},
    **{
        name: function(name)
        for name in (
            "count",
            "nothing",
            "until_stopped",
            "many_threads",
            "true",
            "lines",
            "where",
        )
    },
    "ignoring": function("ignoring", stop_grace=0.2),
    "again": function("count", retry={"restart_delay": "10ms", "error_threshold": 2}),
    **{
        how: wrapped(how)
        for how in (
            "filtering",
            "rewriting",
            "emptying",
            "slow",
            "another_code",
            "twice",
            "later",
            "talking",
            "threads",
            "looking",
            "inside_start",
            "both_at_once",
            "over_before_started",
            "stops_itself",
            "slow_start",
        )
    },
    "retried by its other code": wrapped("another_code", retry={"error_threshold": 1}),
    "service": {"type": "acme-service"},
    "second service": {"type": "acme-service"},
    "one at a time": {
        **function("until_stopped"),
        "task_pool": {"limit": 1, "queue": {"enabled": True, "size": 1}},
    },
}


FAULTY_ACTIONS = {
    "good": process(),
    **{name: function(name) for name in ("raising", "leaving", "wrong_result", "wrong_stream")},
    **{
        name: wrapped(name)
        for name in ("raising_output", "raising_exited", "wrong_code", "wrong_batches", "wrong_inside_start")
    },
    **{
        where: {"type": "acme-broken", "config": {"where": where}, "description": "as configured"}
        for where in (
            "describe",
            "describe nothing",
            "describe nonsense",
            "validate",
            "validate leaves",
            "start",
            "start leaves",
            "start on purpose",
            "start unspeakably",
            "start unspeakably on purpose",
            "validate unspeakably",
            "start nothing",
            "service",
            "service leaves",
        )
    },
    **{
        where: {"type": "acme-broken", "config": {"where": where, "script": "exec sleep 60"}}
        for where in ("start too much", "start and forget")
    },
    "queued start leaves": {
        "type": "acme-broken",
        "config": {"where": "next start leaves", "script": "exec sleep 60"},
        "task_pool": {"limit": 1, "queue": {"enabled": True}},
    },
    "restart leaves": {
        "type": "acme-broken",
        "config": {"where": "next start leaves", "script": "exit 1"},
        "retry": {"restart_delay": "1ms", "error_threshold": 2},
    },
    "service submits": {"type": "acme-service"},
}


@pytest.fixture(scope="package")
def daemon() -> Iterator[Daemon]:
    with Daemon(actions=ACTIONS, program=PROGRAM, environment=ENVIRONMENT) as daemon:
        yield daemon


@pytest.fixture(scope="package")
def faulty_daemon() -> Iterator[Daemon]:
    """One whose drivers have bugs; their tracebacks are in its log."""
    daemon = Daemon(actions=FAULTY_ACTIONS, program=PROGRAM, environment=ENVIRONMENT).start()
    try:
        yield daemon
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.process.wait(30) == 0, daemon.stderr
        assert not daemon.processes()
    finally:
        daemon.kill()


@pytest.fixture
def client(daemon: Daemon) -> Iterator[WsClient]:
    yield from _connected(daemon)


@pytest.fixture
def faulty(faulty_daemon: Daemon) -> Iterator[WsClient]:
    """A client of the daemon whose drivers have bugs."""
    yield from _connected(faulty_daemon)


def _connected(daemon: Daemon) -> Iterator[WsClient]:
    with daemon.connect() as client:
        yield client
        for task in client.request("list")["tasks"]:
            client.send("stop", task_id=task["task_id"])
        client.settle()  # a stop that came later would hit the next test's task of that id


def run_python(
    *arguments: str, cwd: Path, path: str = "", timeout: float = 60, **environment: str
) -> tuple[int, str, str]:
    """Run a program with the plugin importable: its status, stdout, stderr."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=timeout,
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("OVERSEER_")},
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), str(PLUGIN), path])),
            "OVERSEER_CHECK_LOCKS": os.environ["OVERSEER_CHECK_LOCKS"],
            **environment,
        },
    )
    return done.returncode, done.stdout, done.stderr
