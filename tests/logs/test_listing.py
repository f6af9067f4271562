"""A directory is listed again when something in it has changed, also just now, and else not."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from overseer.logs import listing
from overseer.logs.listing import Listings


def firsts(listings: Listings, directory: Path) -> list[int]:
    return [segment.first for segment in listings.of(str(directory))]


def test_it_is_kept_while_nothing_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / f"{1:020}.log").touch()
    past = time.time_ns() - 10**10
    os.utime(tmp_path, ns=(past, past))
    listings = Listings()
    assert firsts(listings, tmp_path) == [1]
    with monkeypatch.context() as patched:
        patched.setattr(listing, "list_segments", None)
        assert firsts(listings, tmp_path) == [1]
    (tmp_path / f"{5:020}.log").touch()
    assert firsts(listings, tmp_path) == [1, 5]


def test_what_changes_within_a_tick_of_the_clock_is_seen(tmp_path: Path) -> None:
    (tmp_path / f"{1:020}.log").touch()
    changed = tmp_path.stat().st_mtime_ns
    listings = Listings()
    assert firsts(listings, tmp_path) == [1]
    (tmp_path / f"{5:020}.log").touch()
    os.utime(tmp_path, ns=(changed, changed))
    assert firsts(listings, tmp_path) == [1, 5]


def test_so_many_are_kept_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "_MOST", 3)
    listings = Listings()
    past = time.time_ns() - 10**10
    for number in range(5):
        directory = tmp_path / str(number)
        directory.mkdir()
        (directory / f"{1:020}.log").touch()
        os.utime(directory, ns=(past, past))
        assert firsts(listings, directory) == [1]
    assert len(listings._kept) == 3
    assert firsts(listings, tmp_path / "gone") == []
