"""A hundred thousand runs: any page takes little processor time. What it took is printed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from overseer.history.database import open_database
from overseer.history.pages import Pages, Query
from overseer.history.rows import end, insert
from overseer.util.timestamps import now
from tests.history.conftest import a_run, an_end

pytestmark = [pytest.mark.long, pytest.mark.timeout(180)]  # a busy machine takes long to make them

_RUNS = 100_000
_SINCE = now() - timedelta(days=30)
_BOUND_S = 0.02


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    path = tmp_path_factory.mktemp("speed") / "overseer.db"
    connection = open_database(path)
    connection.execute("BEGIN")
    for number in range(_RUNS):
        started = _SINCE + timedelta(seconds=number)
        run = a_run(
            "often" if number % 2 else f"t{number % 5000}",
            f"action{number % 20}",
            params={"branch": "main", "text": "x" * 300},
            started=started,
        )
        connection.execute(*insert(run, "s"))
        failed = number % 7 == 0
        reason = "timeout" if number == 123 else "exited"
        connection.execute(*end(run, an_end(at=started, failed=failed, reason=reason)))
    connection.execute("COMMIT")
    connection.close()
    pages = Pages(path)
    pages.read(Query())  # its connection stays for the tests
    yield pages
    pages.close()


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"before": 50_000},
        {"task_id": "often"},
        {"task_id": "often", "reason": "oom"},
        {"task_id": "nobody"},
        {"action": "action3"},
        {"action": "nothing"},
        {"status": "failed"},
        {"status": "lost"},
        {"reason": "timeout"},
        {"action": "action3", "reason": "timeout", "status": "failed"},
        {"since": _SINCE + timedelta(seconds=_RUNS - 10)},
        {"until": _SINCE + timedelta(seconds=10)},
        {"since": _SINCE + timedelta(seconds=100), "until": _SINCE + timedelta(seconds=140)},
        {"sees": ("action1", "action2", "action19"), "reason": "timeout"},
        {"sees": ("nothing",)},
    ],
    ids=lambda query: ",".join(f"{name}" for name in query) or "all",
)
def test_a_page_of_fifty(pages: Pages, query: dict[str, Any]) -> None:
    sees = query.pop("sees", None) if isinstance(query, dict) else None
    took = []
    for _ in range(5):
        began = time.process_time()
        rows, _ = pages.read(Query(limit=50, **query), None if sees is None else sees.__contains__)
        took.append(time.process_time() - began)
        if sees is None and not query:
            assert len(rows) == 50
    print(f"\n{min(took) * 1e3:.2f} ms for {query} {sees or ''}")
    assert min(took) < _BOUND_S
