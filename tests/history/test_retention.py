from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from overseer.config import StorageConfig
from overseer.history import retention, steady_clock
from overseer.history.database import open_database
from overseer.history.records import Run
from overseer.history.retention import Removed, Retention
from overseer.history.rows import end, insert
from overseer.history.steady_clock import SteadyClock
from overseer.history.store import History
from overseer.util.timestamps import now
from tests.harness import allowed
from tests.history.conftest import Open, a_run, all_runs, an_end


def add(history: History, task_id: str, *, days: float = 0.0, failed: bool = False) -> None:
    at = now() - timedelta(days=days)
    run = a_run(task_id, started=at)
    history.started(run)
    history.ended(run, an_end(at=at, failed=failed, last_seq=3))


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def tasks(history: History) -> list[str]:
    return [run.task_id for run in reversed(all_runs(history))]


def test_the_oldest_go_when_there_are_too_many_but_none_that_goes_on(open_history: Open) -> None:
    history = open_history(runs=5)
    history.started(a_run("going"))
    for number in range(30):
        add(history, f"t{number}")
    began = time.monotonic()
    until(lambda: len(tasks(history)) <= 6)
    assert time.monotonic() - began < allowed(2), "within a second of the end of a run"
    assert tasks(history) == ["going", *(f"t{number}" for number in range(25, 30))]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = open_database(tmp_path / "overseer.db")
    yield connection
    connection.close()


def keeping(most: int) -> Retention:
    config = StorageConfig(runs=most, age=3600.0, failed_age=7200.0)
    return Retention(config, lambda runs: None, lambda ids: None, lambda task_id: False)


def store(database: sqlite3.Connection, number: int, *, hours: float = 0.0, ended: bool = True) -> Run:
    at = now() - timedelta(hours=hours)
    run = a_run(f"t{number}", started=at)
    database.execute(*insert(run, "s"))
    if ended:
        database.execute(*end(run, an_end(at=at, failed=number % 3 == 0)))
    return run


def test_after_each_end_it_costs_the_same_however_many_runs_there_are(database: sqlite3.Connection) -> None:
    kept = keeping(3000)
    for number in range(3000):
        store(database, number)
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 1
        return 0

    kept.step(database)  # counts them
    kept.step(database)  # and looks at the ids, as it does every hour
    store(database, 3000)
    database.set_progress_handler(step, 1)  # each instruction of SQLite's
    kept.step(database)
    database.set_progress_handler(None, 0)
    assert 0 < steps < 1000
    assert database.execute("SELECT count(*), min(task_id) FROM runs").fetchone() == (3000, "t1")


@pytest.mark.parametrize("seed", range(5))
def test_it_always_knows_how_many_there_are(database: sqlite3.Connection, seed: int) -> None:
    """Whichever go: the oldest, those in between, or the newest, whose numbers are used again."""
    chance = random.Random(seed)
    kept = keeping(8)
    going_on: list[Run] = []
    for number in range(200):
        if chance.random() < 0.3:
            going_on.append(store(database, number, ended=False))
        else:
            store(database, number, hours=chance.choice([0, 0, 0, 1.5, 3]))
        if going_on and chance.random() < 0.3:
            run = going_on.pop(chance.randrange(len(going_on)))
            database.execute(*end(run, an_end(at=now() - timedelta(hours=chance.choice([0, 3])))))
        for _ in range(chance.choice([0, 0, 1, 20])):
            kept.step(database)
        (ended,) = database.execute("SELECT count(*) FROM runs WHERE ended IS NOT NULL").fetchone()
        assert kept._ended(database) == ended


def test_what_is_there_already_is_bound_at_the_start(open_history: Open) -> None:
    first = open_history("one")
    for number in range(1000):
        add(first, f"t{number}")
    first.close()
    second = open_history("two", runs=10)
    until(lambda: len(tasks(second)) <= 10)
    assert tasks(second) == [f"t{number}" for number in range(990, 1000)]


def test_other_settings_bind_at_once(open_history: Open) -> None:
    history = open_history()
    for number in range(20):
        add(history, f"t{number}")
    history.config = StorageConfig(runs=3)
    until(lambda: len(tasks(history)) <= 3)


def test_failed_ones_are_kept_longer(open_history: Open) -> None:
    history = open_history()
    for days in (400, 200, 100, 80, 1):
        add(history, f"good{days}", days=days)
        add(history, f"bad{days}", days=days, failed=True)
    until(lambda: len(tasks(history)) <= 6)
    assert tasks(history) == ["bad200", "bad100", "good80", "bad80", "good1", "bad1"]


def test_one_grows_too_old_while_nothing_else_happens(open_history: Open) -> None:
    history = open_history(age=1.0)
    add(history, "t")
    assert tasks(history) == ["t"]
    until(lambda: not tasks(history))


def test_who_keeps_their_logs_is_told_of_those_that_went(open_history: Open) -> None:
    told: list[Removed] = []

    def removed(runs: Sequence[Removed]) -> None:
        told.extend(runs)

    history = open_history(removed=removed, runs=2)
    for number in range(5):
        add(history, f"t{number}")
    until(lambda: len(told) == 3)
    assert [(run.task_id, run.first_seq, run.last_seq) for run in told] == [
        (f"t{number}", 1, 3) for number in range(3)
    ]


def test_seq_goes_on_after_all_runs_of_an_id_are_forgotten(open_history: Open) -> None:
    history = open_history("one", runs=1)
    made_up = "c0b1a6b2-13a0-4c52-9b0c-3f1f2f6f4a10"
    for task_id in ("named", made_up, "last"):
        add(history, task_id)
    until(lambda: tasks(history) == ["last"])
    until(lambda: history.last_seq(made_up) == 0)
    assert history.last_seq("named") == 3
    history.close()
    again = open_history("two")
    assert (again.last_seq("named"), again.last_seq(made_up)) == (3, 0)


def test_a_generated_id_is_kept_as_long_as_its_task_is(
    open_history: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "_PERIOD_S", 0.0)  # ids are looked through each time
    made_up = "c0b1a6b2-13a0-4c52-9b0c-3f1f2f6f4a10"
    tasks_of_server = {made_up}
    history = open_history("one", runs=1, in_use=tasks_of_server.__contains__)
    for task_id in (made_up, "other", "last"):
        add(history, task_id)
    until(lambda: tasks(history) == ["last"])
    add(history, made_up)
    (run,) = all_runs(history, task_id=made_up)
    assert (run.number, history.last_seq(made_up)) == (2, 3)
    add(history, "after")
    until(lambda: tasks(history) == ["after"])
    tasks_of_server.clear()
    history.config = StorageConfig(runs=1)
    until(lambda: history.last_seq(made_up) == 0)


def test_an_id_that_nobody_has_used_for_as_long_as_anything_is_kept_is_forgotten(
    open_history: Open, directory: Path
) -> None:
    history = open_history("one", runs=1)
    for task_id in ("old", "other", "last"):
        add(history, task_id)
    until(lambda: tasks(history) == ["last"])
    history.close()
    import sqlite3

    connection = sqlite3.connect(directory / "overseer.db")
    connection.execute("UPDATE ids SET used = used - 366 * 86400 * 1000000 WHERE task_id = 'old'")
    connection.commit()
    connection.close()
    again = open_history("two")
    until(lambda: again.last_seq("old") == 0)
    assert again.last_seq("other") == 3


def test_schedules_are_looked_through_once_however_many_ids_go(database: sqlite3.Connection) -> None:
    kept = keeping(10)
    database.executemany("INSERT INTO ids VALUES (?, 1, 1, 1)", [(f"t{number}",) for number in range(200)])
    seen: list[str] = []
    database.set_trace_callback(seen.append)
    while kept.step(database) == 0.0:
        pass
    database.set_trace_callback(None)
    assert database.execute("SELECT count(*) FROM ids").fetchone() == (0,)
    assert sum("FROM schedules WHERE" in sql for sql in seen) == 1


@pytest.mark.parametrize("years", [-5, 5])
def test_a_clock_that_is_set_makes_nothing_older(monkeypatch: pytest.MonkeyPatch, years: int) -> None:
    clock = SteadyClock()
    before = clock.now()
    monkeypatch.setattr(steady_clock, "now", lambda: now() + timedelta(days=365 * years))
    assert clock.now() - before < 60e6
