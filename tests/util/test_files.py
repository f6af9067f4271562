"""Small files are read without waiting for them, and nothing is left open."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from overseer.util.files import read_small


def test_no_more_than_is_asked_for_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 100)
    assert read_small(str(tmp_path / "file"), 10).data == b"x" * 11
    assert read_small(str(tmp_path / "file"), 1000).data == b"x" * 100


def test_what_is_no_regular_file_is_refused_and_closed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for path in (tmp_path, tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(OSError, match="not a regular file"):
            read_small(str(path), 10)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
