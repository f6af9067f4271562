"""A downstream program whose driver runs functions that ignore their stop."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from typing import Any

import overseer

_release = threading.Event()


def _ignore(context: overseer.VirtualContext, send: Any) -> int:
    send("stdout", "on")
    _release.wait(60)
    send("stdout", "too late")
    return 0


def _release_all(context: overseer.VirtualContext, send: Any) -> int:
    _release.set()
    return 0


class _Handler(overseer.ActionHandler):
    def __init__(self, name: str) -> None:
        self._name = name

    def describe(self) -> overseer.ActionInfo:
        return overseer.ActionInfo(name=self._name, type="ignoring")

    def validate(self, params: Mapping[str, str]) -> None:
        pass

    def start(
        self, task_id: str, params: Mapping[str, str], callbacks: overseer.WorkerCallbacks
    ) -> overseer.Worker:
        function = _release_all if self._name == "release" else _ignore
        return overseer.start_virtual_worker(task_id, function, callbacks)


class _Factory:
    type = "ignoring"

    def create(self, config: Any, action_name: str, retry: Any, pool: Any, dedupe_key: Any) -> _Handler:
        return _Handler(action_name)


if __name__ == "__main__":
    overseer.register_factory(_Factory())
    sys.exit(overseer.run_cli(overseer.__version__, ""))
