"""Logs are kept within bounds: what is there already, the oldest first, and never what is being written."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from overseer.config import StorageConfig
from overseer.logs import retention
from overseer.logs.standalone.segments import Segment, list_segments
from overseer.logs.store import Logs
from overseer.util.timestamps import format_timestamp, now
from tests.logs.conftest import MakeLogs, Script, all_of


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "SETTLED_S", 0.0)
    monkeypatch.setattr(retention, "_SOON_S", 0.0)


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
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


@pytest.mark.parametrize("bound", ["task_log_bytes", "log_bytes", "forgotten"])
def test_what_takes_several_passes_is_finished(
    make_logs: MakeLogs, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    monkeypatch.setattr(retention, "_PASS_S", 0.0)
    before = make_logs(segment=10_000)
    for task in "abc":
        fill(Script(before.log_of(task)), 20)
    before.close()
    bounds = {} if bound == "forgotten" else {bound: 20_000}
    logs = make_logs(segment=10_000, compress="none", **bounds)
    logs.start()
    if bound == "forgotten":
        logs.forget(dict.fromkeys("abc", 1700))
    until(lambda: _sizes(logs.root) <= 3 * 3 * 14_000)
    assert all_of(logs.reader_of("c"))[-1][0] == 2000


def _sizes(root: str) -> int:
    sizes = 0
    for path in Path(root).rglob("*"):
        with suppress(FileNotFoundError):  # it is being removed
            sizes += path.stat().st_size if path.is_file() else 0
    return sizes


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
        logs._retention._keep(logs.directory_of("t"))
    assert len(all_of(logs.reader_of("t"))) == 60


def test_a_reader_reads_on_in_what_has_expired(make_logs: MakeLogs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("overseer.logs.tasklog.BLOCK", 1200)
    logs = make_logs(segment=10_000)
    script = Script(logs.log_of("t"))
    for _ in range(30):
        script.write(*("x" * 90 for _ in range(10)))
    script.log.rest()
    logs._threads.do(lambda: None)
    reading = logs.reader_of("t").forward(0)
    first = next(reading)
    logs.settings = logs.settings.__class__(segment=10_000, task_log_bytes=1)
    logs._retention._keep(logs.directory_of("t"))
    assert not list_segments(logs.directory_of("t"))
    left = [first, *reading]  # the rest of the segment that was open
    assert [text.first for text in left] == list(range(1, 81, 10))
    assert not list(logs.reader_of("t").forward(0))


def test_what_is_being_written_stays(make_logs: MakeLogs) -> None:
    logs = make_logs(segment=10_000, task_log_bytes=1, compress="gzip")
    script = Script(logs.log_of("t"))
    script.write(*("x" * 90 for _ in range(50)))
    logs._retention._keep(logs.directory_of("t"))
    assert len(all_of(logs.reader_of("t"))) == 50
    script.write("next")  # begins a segment, as the other one has to go
    logs._retention._keep(logs.directory_of("t"))
    assert [line[3] for line in all_of(logs.reader_of("t"))] == ["next"]
    script.log.rest()
    logs._threads.do(lambda: None)
    logs._retention._keep(logs.directory_of("t"))
    assert not all_of(logs.reader_of("t"))
    assert script.write("again")
    assert [line[0] for line in all_of(logs.reader_of("t"))] == [52]


def test_a_disk_without_room_is_left_some(make_logs: MakeLogs, monkeypatch: pytest.MonkeyPatch) -> None:
    logs = make_logs(segment=10_000, min_free=50)
    script = Script(logs.log_of("t"))
    fill(script, 3)
    logs._threads.do(lambda: None)
    monkeypatch.setattr(os, "statvfs", lambda path: type("V", (), {"f_bavail": 10, "f_blocks": 100}))
    logs._retention._look(None)
    assert not Path(logs.directory_of("t")).exists()
    assert not script.write("no room")
    assert logs.lost == 1


def test_logs_of_another_server_are_left_alone(make_logs: MakeLogs, tmp_path: Path) -> None:
    """It has made the directory again that this one had, and that somebody removed."""
    theirs = make_logs(segment=10_000)
    script = Script(theirs.log_of("t"))
    fill(script, 3)
    theirs._threads.do(lambda: None)
    before = {path: path.stat().st_mtime for path in Path(theirs.root).rglob("*")}
    mine = False
    logs = Logs(theirs.root, StorageConfig(task_log_bytes=1), lambda: mine)
    logs._retention._look(None)
    log = logs.log_of("u")
    assert not log.append(1, log.entry(script.stored[0][1], "stdout", ["lost"], False))
    assert {path: path.stat().st_mtime for path in Path(theirs.root).rglob("*")} == before
    mine = True
    logs._retention._look(None)
    assert not list_segments(theirs.directory_of("t"))
    logs.close()


def test_compressing_that_was_broken_off_is_done_again(make_logs: MakeLogs) -> None:
    logs = make_logs(segment=10_000)
    script = Script(logs.log_of("t"))
    fill(script, 2)
    script.write("last")
    directory = Path(logs.directory_of("t"))
    before = {path.name: path.read_bytes() for path in directory.iterdir()}
    logs._retention._keep(str(directory))
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
        logs._retention._look(None)
        assert all_of(logs.reader_of("t")) == script.stored
        assert {path.name for path in directory.iterdir()} == set(after)


def test_a_segment_from_the_future_makes_what_follows_it_no_younger(make_logs: MakeLogs) -> None:
    """A clock that was wrong for a while must not keep a log from growing old."""
    logs = make_logs(segment=1000, log_age=3600.0)
    script = Script(logs.log_of("t"))
    for hours in (6, -24 * 365, 5, 0):
        script.write(*("x" * 90 for _ in range(20)), at=now() - timedelta(hours=hours))
    script.write("last")
    logs._retention._keep(logs.directory_of("t"))
    assert all_of(logs.reader_of("t"))[0][0] == 61


def test_the_oldest_of_all_go_first_however_many_there_are(make_logs: MakeLogs) -> None:
    """Those of a log that grows do not displace the others'."""
    logs = make_logs(segment=1000, compress="none")
    begun = now() - timedelta(hours=2)
    scripts = [Script(logs.log_of(name)) for name in "abc"]
    for number in range(15):  # one after the other, a segment each
        scripts[number % 3].write(*("x" * 90 for _ in range(10)), at=begun + timedelta(minutes=number))
    for script in scripts:
        script.write("last")
    kept = logs._retention
    kept._look(None)
    for left in reversed(range(1, 15)):
        scripts[left % 3].write(*("x" * 90 for _ in range(10)))
        kept._keep(logs.directory_of("abc"[left % 3]))
        kept.settings = kept.settings.__class__(
            segment=1000, compress="none", log_bytes=kept.total - 1, min_free=0
        )
        kept._bound_all()
        times = [line[1] for name in "abc" for line in all_of(logs.reader_of(name)) if len(line[3]) == 90]
        old = {time for time in times if time < format_timestamp(begun + timedelta(hours=1))}
        assert len(old) >= left - 1
        if old:
            assert min(old) >= format_timestamp(begun + timedelta(minutes=15 - len(old)))


def test_a_run_that_is_forgotten_while_its_last_segment_is_open_goes_later(make_logs: MakeLogs) -> None:
    logs = make_logs()
    script = Script(logs.log_of("t"))
    script.write("one", "two")
    logs.forget({"t": 2})
    logs._retention._keep(logs.directory_of("t"))
    assert len(all_of(logs.reader_of("t"))) == 2
    script.log.rest()
    logs._threads.do(lambda: None)
    logs._retention._keep(logs.directory_of("t"))
    assert not all_of(logs.reader_of("t"))


def test_what_cannot_be_removed_keeps_what_follows_it(
    make_logs: MakeLogs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a log would have a hole."""
    real = retention.remove

    def remove(directory: str, segment: Segment) -> None:
        if segment.first == 1:
            raise PermissionError(1, "not permitted")
        real(directory, segment)

    monkeypatch.setattr(retention, "remove", remove)
    logs = make_logs(segment=1000, compress="none", log_bytes=1, min_free=0)
    scripts = [Script(logs.log_of(name)) for name in "ab"]
    for script in scripts:
        script.seq += 5 * (script is scripts[1])  # nothing keeps this one
        for _ in range(4):
            script.write(*("x" * 90 for _ in range(10)))
        script.log.rest()
    logs._threads.do(lambda: None)
    logs._retention._look(None)
    assert [line[0] for line in all_of(logs.reader_of("a"))] == list(range(1, 41))
    assert not all_of(logs.reader_of("b"))
