from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from overseer.history.directory import DataDirectory, DirectoryInUseError


def test_it_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    directory = DataDirectory(str(tmp_path / "data"))
    directory.acquire()
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    directory.release()


def test_one_that_is_there_is_closed_to_others(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(0o755)
    directory = DataDirectory(str(tmp_path / "data"))
    directory.acquire()
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    directory.release()


def test_a_second_one_is_refused_until_the_first_lets_go(tmp_path: Path) -> None:
    first, second = DataDirectory(str(tmp_path / "data")), DataDirectory(str(tmp_path / "data"))
    first.acquire()
    first.acquire()
    with pytest.raises(DirectoryInUseError, match="in use by another server"):
        second.acquire()
    first.release()
    second.acquire()
    second.release()


def test_no_child_holds_the_lock(tmp_path: Path) -> None:
    directory = DataDirectory(str(tmp_path / "data"))
    directory.acquire()
    with subprocess.Popen(["sleep", "60"]) as child:
        directory.release()
        other = DataDirectory(str(tmp_path / "data"))
        other.acquire()
        other.release()
        child.kill()


def test_a_directory_that_is_gone_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "data"
    directory = DataDirectory(str(path))
    directory.acquire()
    (path / "lock").unlink()
    path.rmdir()
    assert not directory.intact
    directory.acquire()
    assert directory.intact
    directory.release()


def test_what_is_no_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(NotADirectoryError):
        DataDirectory(str(tmp_path / "data")).acquire()
    with pytest.raises(FileNotFoundError):
        DataDirectory(str(tmp_path / "no" / "data")).acquire()
