"""A server with the driver ``slow``: each start of a run but the first waits for a word through a FIFO."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import overseer


class Slow(overseer.ActionHandler):
    """Parameters: ``gate``, the FIFO, where ``go`` starts a run and any other word fails it; ``script``."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._runs: dict[str, int] = {}

    def describe(self) -> overseer.ActionInfo:
        return overseer.ActionInfo(self._name, "slow")

    def validate(self, params: Mapping[str, str]) -> None:
        pass

    def start(
        self, task_id: str, params: Mapping[str, str], callbacks: overseer.WorkerCallbacks
    ) -> overseer.Worker:
        run = self._runs[task_id] = self._runs.get(task_id, 0) + 1
        if run > 1 and (word := Path(params["gate"]).read_text()) != "go":
            raise overseer.SpawnError(word)
        config = overseer.WorkerConfig(task_id, "/bin/sh", ["-c", f"run={run}; {params['script']}"])
        return overseer.start_worker(config, callbacks)


class Factory:
    type = "slow"

    def create(self, config: Any, action_name: str, *_: Any) -> overseer.ActionHandler:
        return Slow(action_name)


if __name__ == "__main__":
    overseer.register_factory(Factory())
    sys.exit(overseer.run_cli("0", "0"))
