from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from overseer.history.database import MIGRATIONS, NewerDatabaseError, open_database, put_back
from overseer.util import sqlite

_MORE = (*MIGRATIONS, "ALTER TABLE runs ADD COLUMN colour TEXT NOT NULL DEFAULT 'here'")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "overseer.db"


def _add(connection: sqlite3.Connection, run_id: str) -> None:
    connection.execute(
        "INSERT INTO runs (run_id, task_id, action, number, status, reason, failed, params, complete, "
        "trigger_type, trigger_by, started, first_seq, definition, server, resume) "
        "VALUES (?, 't', 'a', 1, 'running', '', 0, '{}', 1, 'client', '', 0, 1, '', 's', 1)",
        (run_id,),
    )


def _ids(connection: sqlite3.Connection) -> list[str]:
    return [run_id for (run_id,) in connection.execute("SELECT run_id FROM runs ORDER BY id")]


def test_it_is_in_wal_mode_and_syncs_normally(path: Path) -> None:
    connection = open_database(path)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (1,)
    assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    connection.close()


def test_an_older_one_is_migrated_and_kept_as_it_was(path: Path) -> None:
    before = open_database(path)
    _add(before, "old")
    before.close()
    after = open_database(path, _MORE)
    assert after.execute("SELECT run_id, colour FROM runs").fetchall() == [("old", "here")]
    after.close()
    kept = sqlite3.connect(path.with_name(f"overseer.db.v{len(MIGRATIONS)}"))
    assert _ids(kept) == ["old"]
    assert kept.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    kept.close()


def test_the_first_one_is_brought_up_to_date(path: Path) -> None:
    before = open_database(path, MIGRATIONS[:1])
    _add(before, "old")
    before.close()
    after = open_database(path)
    assert _ids(after) == ["old"]
    assert after.execute("SELECT count(*) FROM schedules, slots").fetchone() == (0,)
    after.close()


@pytest.mark.parametrize("version", [0, 1, len(MIGRATIONS)])
def test_one_with_other_tables_is_set_aside(
    path: Path, version: int, caplog: pytest.LogCaptureFixture
) -> None:
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE runs (distance REAL)")
    other.execute("INSERT INTO runs VALUES (42.195)")
    other.execute(f"PRAGMA user_version = {version}")
    other.commit()
    other.close()
    connection = open_database(path)
    assert _ids(connection) == []
    connection.close()
    (aside,) = path.parent.glob("overseer.db.broken-*")
    assert f"it is kept as {aside}" in caplog.text
    kept = sqlite3.connect(aside)
    assert kept.execute("SELECT distance FROM runs").fetchall() == [(42.195,)]
    kept.close()


def test_a_migration_that_fails_changes_nothing(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    before = open_database(path)
    _add(before, "one")
    _add(before, "two")
    before.close()
    with pytest.raises(sqlite3.IntegrityError):
        open_database(path, (*_MORE, "CREATE UNIQUE INDEX one_of_each ON runs (action)"))
    connection = sqlite3.connect(path)
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    assert version == len(_MORE), "each step is complete or not there"
    assert "was migrated" not in caplog.text
    connection.close()


def test_a_newer_one_is_refused_and_left_alone(path: Path) -> None:
    open_database(path, _MORE).close()
    before = path.read_bytes()
    with pytest.raises(NewerDatabaseError, match=f"version {len(_MORE)}, from a newer server"):
        open_database(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("damage", ["not a database", "a page", "cut short"])
def test_a_broken_one_is_set_aside_and_begun_anew(
    path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    connection = open_database(path)
    for number in range(2000):
        _add(connection, f"run{number}")
    connection.close()
    if damage == "not a database":
        path.write_bytes(b"a text, and nothing else\n" * 1000)
    elif damage == "a page":
        with path.open("r+b") as file:
            file.seek(4096)
            file.write(b"\xff" * 4096)
    else:
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size // 2)
    path.with_name("overseer.db-wal").touch()  # as a crash leaves it, after which it is looked through
    broken = path.read_bytes()
    connection = open_database(path)
    assert _ids(connection) == []
    connection.close()
    (kept,) = path.parent.glob("overseer.db.broken-*[!l]")
    assert kept.read_bytes() == broken
    assert str(kept) in caplog.text


def test_a_damaged_copy_of_an_older_one_is_replaced(path: Path) -> None:
    """Its damage is none of the database itself."""
    before = open_database(path)
    _add(before, "old")
    before.close()
    kept = path.with_name(f"overseer.db.v{len(MIGRATIONS)}")
    kept.write_bytes(b"garbage" * 1000)
    after = open_database(path, _MORE)
    assert _ids(after) == ["old"]
    after.close()
    copy = sqlite3.connect(kept)
    assert _ids(copy) == ["old"]
    copy.close()


def test_the_copy_is_put_back_with_no_file_mapped_where_a_full_disk_would_end_the_process(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = open_database(path)
    _add(before, "old")
    before.close()
    open_database(path, _MORE).close()
    opened, connect = list[str](), sqlite3.connect

    def noted(target: str, **settings: Any) -> sqlite3.Connection:
        opened.append(str(target))
        return connect(target, **settings)

    monkeypatch.setattr(sqlite, "file_system", lambda _: 0x9123683E)  # Btrfs
    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", noted)
        put_back(path)
    assert [target.partition("?")[2] for target in opened] == ["vfs=unix-excl"]
    after = open_database(path)
    assert _ids(after) == ["old"]
    after.close()
