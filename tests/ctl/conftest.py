from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from overseer.ctl import main
from tests.harness import ROOT, Daemon, shell
from tests.harness.forking import ctls

ACTIONS = {
    "both": shell("echo to stdout; echo to stderr >&2"),
    "named": shell("echo [[.path]]", config={"parameters": {"path": {"default": "/"}}}),
    "count": shell(
        "seq [[.n]]", config={"parameters": {"n": {"default": "20", "validate": "int(value) > 0"}}}
    ),
    "ticks": shell("i=0; while [ $i -lt 30 ]; do i=$((i+1)); echo $i; sleep 0.02; done; exit 4"),
    "sleep": shell("echo ready; exec sleep 60"),
    "three": shell("exit 3", success_codes=[3]),
    "bounded": shell("exec sleep 60", timeout="50ms"),
    "prompt": shell("printf 'Continue? '; exec sleep 60"),
    "stubborn": shell("trap '' TERM; echo ready; while :; do sleep 0.1; done", stop_grace="1.5s"),
    "one": shell("echo ready; exec sleep 60", task_pool={"limit": 1, "queue": {"enabled": True, "size": 3}}),
    "hopeless": shell("exit 9", retry={"restart_delay": "1ms", "error_threshold": 2}),
}


@pytest.fixture(scope="module")
def daemon(request: pytest.FixtureRequest) -> Iterator[Daemon]:
    """With the module's ACTIONS, if it has its own, and its TASKS."""
    actions, tasks = getattr(request.module, "ACTIONS", ACTIONS), getattr(request.module, "TASKS", {})
    with Daemon(actions=actions, tasks=tasks) as daemon:
        yield daemon


@pytest.fixture(scope="package", autouse=True)
def _forking() -> None:
    """Where overseerctl is a process, most are forked, which takes a tenth of the time."""
    ctls.start({**os.environ, "PYTHONPATH": str(ROOT)})


@dataclass(frozen=True)
class Done:
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Ctl = Callable[..., Done]


@pytest.fixture
def ctl(daemon: Daemon, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path) -> Ctl:
    """``ctl(*arguments)``: overseerctl in this process, which takes a tenth of the time."""
    monkeypatch.setenv("OVERSEER_URL", daemon.url)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for name in ("OVERSEER_TOKEN", "OVERSEER_CA", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str) -> Done:
        capfd.readouterr()
        try:
            status = main(arguments)
        except SystemExit as end:
            status = int(end.code or 0)
        return Done(status, *capfd.readouterr())

    return run
