"""The database under a running server: late, hanging, failing, damaged, replaced."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from overseer.errors import OverseerError
from overseer.history import file as module
from overseer.history import store, writer
from overseer.history.database import open_database
from overseer.history.inheritance import Inheritance, take_over
from overseer.history.slots import Schedules
from tests.history.conftest import Open, a_run, all_runs, an_end


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def stored(directory: Path, sql: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(directory / "overseer.db")
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


class Opening:
    """Makes a database impossible to open until it may be; ``hangs``: and then reading its ids hangs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, hangs: bool = False) -> None:
        self.possible = False
        self.hangs = hangs
        self.reading = threading.Event()
        self.go_on = threading.Event()
        monkeypatch.setattr(module, "open_database", self._open)

    def _open(self, *args: Any, **more: Any) -> sqlite3.Connection:
        if not self.possible:
            raise OverseerError("the disk is away")
        connection = open_database(*args, **more)
        if self.hangs:
            connection.create_function("hang", 1, self._hang)
            connection.execute("CREATE TEMP VIEW ids AS SELECT * FROM main.ids WHERE hang(task_id)")
        return connection

    def _hang(self, _: str) -> int:
        self.reading.set()
        self.go_on.wait(60)
        return 1


def test_nobody_waits_for_the_numbers_that_a_hanging_disk_is_to_give(
    open_history: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = open_history("one")
    run = a_run("known")
    first.started(run)
    first.ended(run, an_end(last_seq=7))
    first.close()
    opening = Opening(monkeypatch, hangs=True)
    history = open_history("two")
    opening.possible = True
    assert opening.reading.wait(60)
    found: list[int] = []
    asking = threading.Thread(target=lambda: found.append(history.last_seq("other")), daemon=True)
    asking.start()
    asking.join(30)
    try:
        assert found == [0]
    finally:
        opening.go_on.set()
    until(lambda: history.last_seq("known") == 7)


def test_what_is_queued_before_a_late_first_opening_is_dequeued_after_it(
    open_history: Open, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = open_history("one")
    for task_id in ("stays", "goes"):
        first.queued(a_run(task_id, queued=a_run().started))
    first.close()
    opening = Opening(monkeypatch)
    history = open_history("one")  # the same server, as after an upgrade
    assert history.gauges()["history_failing"][1]
    history.queued(a_run("new", queued=a_run().started))
    history.never_started("goes", "stopped", "")
    opening.possible = True
    until(lambda: not history.gauges()["history_failing"][1])
    history.settle(60)
    assert stored(directory, "SELECT task_id FROM queued ORDER BY id") == [("stays",), ("new",)]
    history.never_started("goes", "stopped", "")
    assert all_runs(history) == []
    history.never_started("new", "stopped", "")
    history.started(a_run("stays"))
    history.settle(60)
    assert stored(directory, "SELECT task_id FROM queued") == []


def _fill(open_history: Open, directory: Path) -> None:
    history = open_history("one")
    for number in range(300):
        run = a_run(f"t{number}")
        history.started(run)
        history.ended(run, an_end(last_seq=number))
    history.close()
    assert not (directory / "overseer.db-wal").exists(), "no crash, so it is not looked through"


@pytest.mark.parametrize("index", ["sqlite_autoindex_runs_1", "runs_by_end", "runs_open"])
def test_damage_that_is_found_after_opening_begins_a_new_history(
    open_history: Open, directory: Path, index: str, caplog: pytest.LogCaptureFixture
) -> None:
    """One page is garbage: that of an index which is needed to write, to tidy up, or to take over."""
    _fill(open_history, directory)
    ((page,),) = stored(directory, f"SELECT rootpage FROM sqlite_master WHERE name = '{index}'")
    ((size,),) = stored(directory, "PRAGMA page_size")
    with (directory / "overseer.db").open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    history = open_history("two")
    run = a_run("after")
    history.started(run)
    until(lambda: list(directory.glob("overseer.db.broken-*")))
    history.ended(run, an_end())
    until(lambda: not history.gauges()["history_waiting"][1])
    until(lambda: [run.task_id for run in all_runs(history)] == ["after"])
    assert caplog.text.count("is damaged") == 1
    known = history.last_seq("t299")
    assert known == (0 if index == "runs_open" else 299), "what was read before is known"
    history.close()
    assert open_history("three").last_seq("t299") == known


def test_a_file_that_is_opened_again_is_not_taken_over_again(
    open_history: Open, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[bool] = []
    taken_over: list[object] = []

    def opens(*args: Any, look_through: bool, **more: Any) -> sqlite3.Connection:
        opened.append(look_through)
        return open_database(*args, look_through=look_through, **more)

    def takes_over(*args: Any) -> Inheritance:
        taken_over.append(args)
        return take_over(*args)

    monkeypatch.setattr(module, "open_database", opens)
    monkeypatch.setattr(module, "take_over", takes_over)
    history = open_history("one")
    history.started(a_run("t"))
    all_runs(history)  # whose connection keeps the write-ahead log
    before = stored(directory, "SELECT * FROM ids")
    history.put(("INSERT INTO later VALUES (1)", ()))
    until(lambda: len(opened) >= 3)
    connection = sqlite3.connect(directory / "overseer.db")
    connection.execute("CREATE TABLE later (value INTEGER)")
    connection.close()
    until(lambda: not history.gauges()["history_failing"][1])
    assert opened == [True, *[False] * (len(opened) - 1)]
    assert len(taken_over) == 1
    assert stored(directory, "SELECT * FROM ids") == before, "used as long ago as before"


def test_numbers_that_found_no_room_are_stored_later(
    open_history: Open, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = open_history("one")
    monkeypatch.setattr(writer, "_MOST", 0)
    run = a_run("t")
    history.started(run)
    history.reserve(run, 5)
    until(lambda: stored(directory, "SELECT task_id, number, seq FROM ids") == [("t", 1, 10_005)])


def test_decisions_of_schedules_are_read_with_the_latest(
    open_history: Open, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_FRESH_S", 60.0)
    history = open_history()
    other = sqlite3.connect(directory / "overseer.db", timeout=60)
    other.execute("BEGIN IMMEDIATE")  # the writer waits for it
    history.decided([], [Schedules("t", 5, [], paused=False)], wait=False)
    found: list[str] = []
    reading = threading.Thread(target=lambda: found.extend(history.schedules()), daemon=True)
    reading.start()
    reading.join(0.2)
    other.rollback()
    other.close()
    reading.join(60)
    assert found == ["t"]
