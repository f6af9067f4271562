"""Logs are kept within bounds: what is there already, the oldest first, and never what is being written."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from overseer.logs import keeper
from overseer.logs.standalone.segments import list_segments
from overseer.util.timestamps import now
from tests.logs.conftest import MakeLogs, Script, all_of


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "SETTLED_S", 0.0)
    monkeypatch.setattr(keeper, "_SOON_S", 0.0)


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20.0
    while not holds():
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)


def fill(script: Script, segments: int) -> None:
    for _ in range(segments):
        script.write(*("x" * 90 for _ in range(100)))  # as much as one holds
    script.log.rest()


def test_one_task_and_all_of_them(make_logs: MakeLogs) -> None:
    logs = make_logs(segment=10_000, task_log_bytes=60_000, log_bytes=150_000, compress="none")
    logs.start()
    for number in range(5):
        fill(Script(logs.log_of(f"t{number}")), 10)
    until(lambda: logs.size <= 150_000 and _sizes(logs.root) <= 150_000)
    each = {name: list_segments(f"{logs.root}/{name}") for name in os.listdir(logs.root)}  # noqa: PTH208
    assert all(sum(s.size for s in segments) <= 60_000 for segments in each.values())
    assert len(each["t4"]) > len(each.get("t0", ()))  # the oldest go


def _sizes(root: str) -> int:
    return sum(path.stat().st_size for path in Path(root).rglob("*") if path.is_file())


def test_what_a_server_finds_is_bound_as_well(make_logs: MakeLogs) -> None:
    before = make_logs(segment=10_000)
    fill(Script(before.log_of("t")), 20)
    before.close()
    logs = make_logs(segment=10_000, log_bytes=50_000, compress="none")
    logs.start()
    until(lambda: 0 < _sizes(logs.root) <= 50_000)
    lines = all_of(logs.reader_of("t"))
    assert lines[-1][0] == 2000
    assert lines[0][0] > 1


def test_old_lines_go_with_their_segment(make_logs: MakeLogs) -> None:
    logs = make_logs(segment=1000, log_age=3600.0)
    script = Script(logs.log_of("t"))
    for hours in (5, 4, 0):
        script.write(*("x" * 90 for _ in range(20)), at=now() - timedelta(hours=hours))
    logs.start()
    until(lambda: len(list_segments(logs.directory_of("t"))) == 1)
    assert all_of(logs.reader_of("t"))[0][0] == 41


def test_a_clock_that_is_set_removes_nothing(make_logs: MakeLogs, monkeypatch: pytest.MonkeyPatch) -> None:
    logs = make_logs(segment=1000, log_age=3600.0, compress="none")
    script = Script(logs.log_of("t"))
    real = time.time
    for step in (0, -7200, 86400 * 365):
        monkeypatch.setattr(time, "time", lambda step=step: real() + step)
        script.write(*("x" * 90 for _ in range(20)), at=now() + timedelta(seconds=step))
        logs._keeper._keep(logs.directory_of("t"))
    assert len(all_of(logs.reader_of("t"))) == 60


def test_a_reader_reads_on_in_what_has_expired(make_logs: MakeLogs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("overseer.logs.standalone.segments.BLOCK", 1300)
    logs = make_logs(segment=10_000)
    script = Script(logs.log_of("t"))
    for _ in range(30):
        script.write(*("x" * 90 for _ in range(10)))
    script.log.rest()
    logs._hands.do(lambda: None)
    reading = logs.reader_of("t").forward(0)
    first = next(reading)
    logs.settings = logs.settings.__class__(segment=10_000, task_log_bytes=1)
    logs._keeper._keep(logs.directory_of("t"))
    assert not list_segments(logs.directory_of("t"))
    left = [first, *reading]  # the rest of the segment that was open
    assert [text.first for text in left] == list(range(1, 81, 10))
    assert not list(logs.reader_of("t").forward(0))


def test_what_is_being_written_stays(make_logs: MakeLogs) -> None:
    logs = make_logs(segment=10_000, task_log_bytes=1, compress="gzip")
    script = Script(logs.log_of("t"))
    script.write(*("x" * 90 for _ in range(50)))
    logs._keeper._keep(logs.directory_of("t"))
    assert len(all_of(logs.reader_of("t"))) == 50
    script.write("next")  # begins a segment, as the other one has to go
    logs._keeper._keep(logs.directory_of("t"))
    assert [line[3] for line in all_of(logs.reader_of("t"))] == ["next"]
    script.log.rest()
    logs._hands.do(lambda: None)
    logs._keeper._keep(logs.directory_of("t"))
    assert not all_of(logs.reader_of("t"))
    assert script.write("again")
    assert [line[0] for line in all_of(logs.reader_of("t"))] == [52]


def test_a_disk_without_room_is_left_some(make_logs: MakeLogs, monkeypatch: pytest.MonkeyPatch) -> None:
    logs = make_logs(segment=10_000, min_free=50)
    script = Script(logs.log_of("t"))
    fill(script, 3)
    logs._hands.do(lambda: None)
    monkeypatch.setattr(os, "statvfs", lambda path: type("V", (), {"f_bavail": 10, "f_blocks": 100}))
    logs._keeper._look(None)
    assert not Path(logs.directory_of("t")).exists()
    assert not script.write("no room")
    assert logs.lost == 1


def test_compressing_that_was_broken_off_is_done_again(make_logs: MakeLogs) -> None:
    logs = make_logs(segment=10_000)
    script = Script(logs.log_of("t"))
    fill(script, 2)
    script.write("last")
    directory = Path(logs.directory_of("t"))
    before = {path.name: path.read_bytes() for path in directory.iterdir()}
    logs._keeper._keep(str(directory))
    after = {path.name: path.read_bytes() for path in directory.iterdir()}
    steps = [
        before | {"00000000000000000001.log.gz.new": b"half"},
        before | {"00000000000000000001.idx": after["00000000000000000001.idx"]},
        after | {"00000000000000000001.log": before["00000000000000000001.log"]},
    ]
    for step in steps:
        for path in directory.iterdir():
            path.unlink()
        for name, data in step.items():
            (directory / name).write_bytes(data)
        assert all_of(logs.reader_of("t")) == script.stored
        logs._keeper._look(None)
        assert all_of(logs.reader_of("t")) == script.stored
        assert {path.name for path in directory.iterdir()} == set(after)
