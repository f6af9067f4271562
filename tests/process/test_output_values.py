"""What a run hands on: which lines are values, how much counts, and that it is not led elsewhere."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from overseer.process import private_files
from overseer.process.output_values import MOST, values_in
from overseer.process.private_files import PrivateFiles


@pytest.mark.parametrize(
    ("written", "values"),
    [
        (b"", {}),
        (b"a=1\nb=2\na=3\n", {"a": "3", "b": "2"}),
        (b"a = 1\n=x\n9=y\n#a=2\nno\n-x=1\n", {}),
        (b"url=http://x/?a=b\r\nempty=\nend=no end", {"url": "http://x/?a=b", "empty": "", "end": "no end"}),
        (b"a.b-c_1=\xff\n", {"a.b-c_1": "\ufffd"}),
    ],
)
def test_a_value_is_a_line_and_the_last_one_counts(written: bytes, values: dict[str, str]) -> None:
    assert values_in(written) == values


def test_of_much_the_last_whole_lines_count() -> None:
    data = b"first=1\n" + b"n=%0100d\n" % 7 * 1000 + b"last=2\n"
    assert values_in(data[-MOST - 1 :]) == {"n": f"{7:0100}", "last": "2"}
    assert values_in(b"a=" + b"x" * MOST) == {}


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PrivateFiles]:
    monkeypatch.setattr(private_files, "bases", lambda: [str(tmp_path)])
    files = PrivateFiles("run", {"KEY": b"k"}, output="OUT")
    yield files
    files.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_run_can_write_to_it_and_its_end_is_read(files: PrivateFiles) -> None:
    path = Path(files.paths["OUT"])
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_bytes(b"0123456789")
    assert files.tail("OUT", 4) == b"6789"
    assert files.tail("OUT", 40) == b"0123456789"


def _replaced(path: Path) -> None:
    (path.parent / "new").write_bytes(b"moved")
    (path.parent / "new").rename(path)


def test_a_file_that_was_moved_into_its_place_counts(files: PrivateFiles) -> None:
    _replaced(Path(files.paths["OUT"]))
    assert files.tail("OUT", 9) == b"moved"


@pytest.mark.parametrize(
    "instead",
    [
        lambda path: path.symlink_to("/etc/passwd"),
        lambda path: os.mkfifo(path),
        lambda path: path.mkdir(),
        lambda path: os.link(path.parent / "KEY", path),
        lambda path: None,
    ],
    ids=["link", "fifo", "directory", "hard link", "nothing"],
)
def test_what_else_is_in_its_place_is_not_read(files: PrivateFiles, instead: Callable[[Path], None]) -> None:
    path = Path(files.paths["OUT"])
    path.unlink()
    instead(path)
    with pytest.raises(OSError, match=r".+"):
        files.tail("OUT", 9)
