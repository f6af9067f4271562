from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from overseer.errors import OverseerError
from overseer.util import sqlite
from overseer.util.sqlite import open_db
from tests.harness import allowed


def test_a_new_file_is_made_in_wal_mode_with_five_seconds_of_patience(tmp_path: Path):
    with closing(open_db(tmp_path / "a.db")) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert db.execute("PRAGMA busy_timeout").fetchone() == (5000,)
        assert db.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    assert (tmp_path / "a.db").exists()


def test_what_one_connection_commits_the_next_one_finds(tmp_path: Path):
    path = str(tmp_path / "a.db")
    with closing(open_db(path)) as db, db:
        db.execute("CREATE TABLE t (x)")
        db.execute("INSERT INTO t VALUES (7)")
    with closing(open_db(path)) as db:
        assert db.execute("SELECT x FROM t").fetchall() == [(7,)]


def test_memory_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with closing(open_db(":memory:")) as db:
        db.execute("CREATE TABLE t (x)")
    assert list(tmp_path.iterdir()) == []


def test_a_reader_does_not_wait_for_an_open_write(tmp_path: Path):
    with closing(open_db(tmp_path / "a.db")) as writer, closing(open_db(tmp_path / "a.db")) as reader:
        writer.execute("CREATE TABLE t (x)")
        writer.commit()
        writer.execute("INSERT INTO t VALUES (1)")
        began = time.monotonic()
        assert reader.execute("SELECT x FROM t").fetchall() == []
        assert time.monotonic() - began < allowed(2)
        writer.rollback()


def test_a_second_writer_waits_for_the_first(tmp_path: Path):
    with closing(open_db(tmp_path / "a.db")) as first, closing(open_db(tmp_path / "a.db")) as second:
        first.execute("CREATE TABLE t (x)")
        first.execute("BEGIN IMMEDIATE")
        done = threading.Event()

        def write() -> None:  # on another thread than the one that opened it
            second.execute("INSERT INTO t VALUES (2)")
            second.commit()
            done.set()

        thread = threading.Thread(target=write)
        thread.start()
        assert not done.wait(0.2)
        first.commit()
        assert done.wait(30)
        thread.join()


_COUNT = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('SELECT count(*) FROM t')"


@pytest.mark.parametrize("kind", [0x9123683E, 0xEF53])  # Btrfs, ext4
def test_where_a_full_disk_would_end_the_process_no_file_is_mapped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: int
) -> None:
    monkeypatch.setattr(sqlite, "file_system", lambda _: kind)
    path = tmp_path / "a?b%20.db"
    with (
        closing(open_db(path, survives_full_disk=True)) as writer,
        closing(open_db(path, survives_full_disk=True)) as reader,
    ):
        writer.execute("CREATE TABLE t (x)")
        writer.execute("INSERT INTO t VALUES (1)")
        writer.commit()
        assert reader.execute("SELECT x FROM t").fetchall() == [(1,)]
        mapped = path.with_name(f"{path.name}-shm").exists()
        other = subprocess.run([sys.executable, "-c", _COUNT, path], capture_output=True, check=False)
        assert (mapped, other.returncode == 0) == ((False, False) if kind == 0x9123683E else (True, True))
    with closing(sqlite3.connect(path)) as later:
        assert later.execute("SELECT x FROM t").fetchall() == [(1,)]


def test_the_kind_of_a_file_system_is_told(tmp_path: Path) -> None:
    said = subprocess.run(["stat", "-f", "-c", "%t", tmp_path], capture_output=True, text=True, check=True)
    assert sqlite.file_system(tmp_path) == int(said.stdout, 16)
    assert sqlite.file_system(tmp_path / "missing") == 0


def _directory(tmp_path: Path) -> Path:
    return tmp_path


def _missing_parent(tmp_path: Path) -> Path:
    return tmp_path / "missing" / "a.db"


def _not_a_database(tmp_path: Path) -> Path:
    path = tmp_path / "text.db"
    path.write_text("this is not a database, whatever its name says\n" * 100)
    return path


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (_directory, "unable to open"),
        (_missing_parent, "no such directory"),
        (_not_a_database, "not a database"),
        (lambda _: "", "path is empty"),
        (lambda tmp_path: f"{tmp_path}/a\0b", "null"),
    ],
)
def test_what_cannot_be_opened_is_said_in_a_sentence(make, text, tmp_path: Path):
    path = make(tmp_path)
    with pytest.raises(OverseerError, match=text) as caught:
        open_db(path)
    assert str(path) in str(caught.value)
    assert not isinstance(caught.value, sqlite3.Error)
