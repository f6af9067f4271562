"""The directories of tasks' logs are made when they are needed, by whoever comes first."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from overseer.logs.directory import make


def test_two_tasks_may_need_the_first_one_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mkdir = os.mkdir
    logs = tmp_path / "logs"

    def overtaken(path: str, mode: int) -> None:
        if path == str(logs):
            mkdir(path, mode)  # by another thread
        mkdir(path, mode)

    monkeypatch.setattr(os, "mkdir", overtaken)
    make(str(logs / "a"))
    assert [each.name for each in logs.iterdir()] == ["a"]
