from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from overseer.config import StorageConfig
from overseer.history import writer
from overseer.history.records import Run, RunEnd, Trigger
from overseer.history.store import History
from overseer.protocol import RunInfo
from overseer.util.timestamps import now

Open = Callable[..., History]
_ids = itertools.count(1)


@pytest.fixture(autouse=True)
def _disks_are_soon_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_AGAIN_S", 0.05)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def open_history(directory: Path) -> Iterator[Open]:
    """``open_history(server, **storage)``: a history in ``directory``, which must not be open elsewhere."""
    opened: list[History] = []

    def open_(server: str = "one", removed: Any = None, in_use: Any = None, **storage: Any) -> History:
        given = {"removed": removed, "in_use": in_use}
        more = {name: value for name, value in given.items() if value is not None}
        history = History(str(directory), StorageConfig(**storage), server, **more)
        history.start()
        opened.append(history)
        return history

    yield open_
    for history in opened:
        history.close()


def a_run(task_id: str = "t", action: str = "a", **fields: Any) -> Run:
    given: dict[str, Any] = {
        "run_id": f"run{next(_ids):06}",
        "params": {},
        "complete": True,
        "policy": None,
        "trigger": Trigger("client", "ana"),
        "queued": None,
        "started": now(),
        "first_seq": 1,
        "definition": "abc",
        **fields,
    }
    return Run(task_id=task_id, action=action, **given)


def an_end(**fields: Any) -> RunEnd:
    given: dict[str, Any] = {
        "at": now(),
        "exit_code": 0,
        "signal": "",
        "reason": "exited",
        "duration_ms": 5,
        "failed": False,
        "last_seq": 0,
        **fields,
    }
    return RunEnd(**given)


def all_runs(history: History, **query: Any) -> list[RunInfo]:
    from overseer.history.pages import Query

    return history.page(Query(**{"limit": 1000, **query}))[0]
