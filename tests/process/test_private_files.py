"""Files of one run: who can read them, and that they are gone with it, whatever happens."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from overseer.errors import SpawnError
from overseer.process import private_files
from overseer.process.private_files import PrivateFiles
from overseer.process.standalone.private import PREFIX, remove, remove_all


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(private_files, "bases", lambda: [str(tmp_path)])
    private_files._sweep.cache_clear()
    yield tmp_path
    private_files._sweep.cache_clear()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_only_their_owner_can_read_them(place: Path) -> None:
    before = os.umask(0o277)
    try:
        files = PrivateFiles("run", {"A": b"a" * 100_000, "B": b"\xff\n"})
    finally:
        os.umask(before)
    path = Path(files.paths["A"])
    assert path.read_bytes() == b"a" * 100_000
    assert Path(files.paths["B"]).read_bytes() == b"\xff\n"
    assert (mode(path), mode(path.parent)) == (0o400, 0o700)
    (path.parent / "own" / "deep").mkdir(parents=True)
    (path.parent / "link").symlink_to("/")
    files.remove()
    assert list(place.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_they_can_be_another_users(place: Path) -> None:
    files = PrivateFiles("run", {"A": b"a"}, (65534, 65534))
    path = Path(files.paths["A"])
    for each in (path, path.parent):
        assert (each.stat().st_uid, each.stat().st_gid) == (65534, 65534)
    files.remove()
    assert list(place.iterdir()) == []


def test_directories_however_deep_keep_no_file_beside_them(place: Path) -> None:
    files = PrivateFiles("run", {"A": b"a"})
    path = Path(files.paths["A"])
    path.parent.joinpath(*["d"] * 60).mkdir(parents=True)
    files.remove()
    assert [each.name for each in path.parent.iterdir()] == ["d"]


def test_none_is_left_when_one_cannot_be_made(place: Path) -> None:
    with pytest.raises(SpawnError, match="cannot make the run's own files: No such file or directory"):
        PrivateFiles("run", {"A": b"a", "no/B": b"b"})
    assert list(place.iterdir()) == []


def test_the_next_place_is_taken_where_the_first_has_no_room(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(private_files, "bases", lambda: ["/nowhere", str(place)])
    files = PrivateFiles("run", {"A": b"a"})
    assert files.paths["A"].startswith(str(place))
    files.remove()
    monkeypatch.setattr(private_files, "bases", lambda: ["/nowhere"])
    with pytest.raises(SpawnError, match="/nowhere: No such file or directory"):
        PrivateFiles("run", {"A": b"a"})


def test_what_a_dead_server_left_is_swept_and_nothing_else(place: Path) -> None:
    left, owned, strange = (place / f"{PREFIX}{name}" for name in ("left", "owned", "strange"))
    for directory in (left, owned, strange):
        directory.mkdir(0o700)
        (directory / "A").write_text("a")
    strange.chmod(0o755)
    lock = os.open(owned, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    PrivateFiles("run", {}).remove()
    assert not left.exists()
    assert owned.exists()
    assert strange.exists()
    os.close(lock)


def test_the_guardian_removes_those_of_its_server_alone(place: Path) -> None:
    for name in ("one-a", "one-b", "other-a"):
        (place / f"{PREFIX}{name}").mkdir()
        (place / f"{PREFIX}{name}" / "A").write_text("a")
    remove_all(str(place), "one")
    remove_all("/nowhere", "one")
    assert [path.name for path in place.iterdir()] == [f"{PREFIX}other-a"]


def test_nothing_outside_is_removed_through_a_link(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("x")
    directory = tmp_path / "overseer-files-x"
    (directory / "deeper").mkdir(parents=True)
    (directory / "link").symlink_to(outside)
    (directory / "deeper" / "link").symlink_to(outside / "kept")
    remove(str(directory))
    assert not directory.exists()
    directory.symlink_to(outside)
    with pytest.raises(OSError, match=r"Not a directory|symbolic links"):
        remove(str(directory))
    assert (outside / "kept").read_text() == "x"


def test_what_is_too_deep_is_left(tmp_path: Path) -> None:
    deep = tmp_path / "overseer-files-x"
    deep.mkdir()
    here = deep
    for _ in range(60):
        here /= "d"
        here.mkdir()
    with pytest.raises(OSError, match="too deep"):
        remove(str(deep))
