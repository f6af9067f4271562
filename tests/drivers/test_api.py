"""A driver that leaves by SystemExit, where the daemon asks it for something."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from overseer.config import load_config
from overseer.drivers.api import ActionHandler, describe_action
from overseer.protocol import ActionInfo
from overseer.workers.base import Worker, WorkerCallbacks


class _Leaving(ActionHandler):
    def describe(self) -> ActionInfo:
        sys.exit(3)

    def validate(self, params: Mapping[str, str]) -> None: ...

    def start(self, task_id: str, params: Mapping[str, str], callbacks: WorkerCallbacks) -> Worker:
        raise AssertionError("not asked for here")


def test_a_describe_that_leaves_is_logged_and_the_configuration_speaks_for_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("actions: {a: {type: leaving, description: from the file}}\n")
    info = describe_action(load_config(file), "a", _Leaving())
    assert (info.name, info.type, info.description) == ("a", "leaving", "from the file")
    assert "SystemExit" in caplog.text
