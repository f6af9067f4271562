"""What becomes of findings that arrive when they should not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

import overseer
from overseer.supervisor.observers import Change
from overseer.supervisor.probing import Findings, Prober, RunWatch
from overseer.util.timestamps import now
from tests.faults.support import wait_until


class Own(overseer.Worker):
    """A driver's own worker, which calls ``on_exited`` itself and so seems to live on."""

    def end(self) -> None:
        self._callbacks.on_exited(self, 0, False, now())

    def stop(self, grace: float | None = None) -> None: ...


class Runs(overseer.ActionHandler):
    def __init__(self) -> None:
        self.workers: list[Own] = []

    def describe(self) -> overseer.ActionInfo:
        return overseer.ActionInfo("run", "runs")

    def validate(self, params: Mapping[str, str]) -> None: ...

    def start(self, task_id: str, params: Mapping[str, str], callbacks: overseer.WorkerCallbacks) -> Own:
        self.workers.append(Own(task_id, 0, callbacks))
        return self.workers[-1]


class LateWatch(RunWatch):
    """Its last probe is over when its run is."""

    env: Mapping[str, str] = {}
    reads = False

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.went_on: list[bool] = []

    def line(self, text: str) -> bool:
        return True

    def begin(self, surroundings: Any) -> None: ...

    def end(self) -> None:
        if not self.went_on:
            self.findings.over()
            self.went_on.append(self.findings.health("unhealthy", "late", stop=True))

    def export(self, out: Any) -> Mapping[str, Any]:
        return {}

    def resume(self) -> None: ...


class LateProber(Prober):
    def __init__(self) -> None:
        self.watches: list[LateWatch] = []

    def watch(self, findings: Findings, *given: Any) -> LateWatch:
        self.watches.append(LateWatch(findings))
        return self.watches[-1]

    def close(self) -> None: ...


def test_a_finding_that_comes_once_the_run_is_over_counts_for_nothing(tmp_path: Path) -> None:
    action = {"type": "runs", "health": {"exec": ["false"]}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"actions": {"run": action}}))
    runs, prober = Runs(), LateProber()
    changes: list[Change] = []
    hub = overseer.Hub(overseer.load_config(tmp_path / "config.yaml"), {"run": runs})
    hub.probing.make = lambda: prober
    hub.observe(changes.append)
    hub.start_services()
    try:
        hub.start("run", "one")
        (watch,) = prober.watches
        assert watch.findings.health("unhealthy", "in time", stop=False)
        assert hub.metrics_view.figures().unhealthy == {"run": 1}
        runs.workers[0].end()
        wait_until(lambda: bool(changes) and changes[-1].outcome != "")
        assert watch.went_on == [False]
        assert (changes[-1].event.type, changes[-1].reason) == ("exited", "exited")
        assert hub.metrics_view.figures().unhealthy == {"run": 0}
    finally:
        hub.shutdown()
        hub.close()
