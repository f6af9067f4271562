"""A log that cannot be written is put aside; its task goes on, and the log says what is missing."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from overseer.logs import tasklog, trouble
from overseer.logs.directory import task_of
from overseer.logs.standalone.segments import list_segments
from overseer.logs.store import Logs
from tests.faults.support import wait_until
from tests.harness import allowed
from tests.logs.conftest import MakeLogs, Script, all_of


@pytest.fixture
def logs(make_logs: MakeLogs) -> Logs:
    return make_logs()


@pytest.fixture
def script(logs: Logs) -> Script:
    return Script(logs.log_of("t"))


@pytest.fixture
def directory(logs: Logs) -> str:
    return logs.directory_of("t")


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that was put aside is tried again with the next line."""
    monkeypatch.setattr(tasklog, "_FIRST_PAUSE_S", 0.0)
    monkeypatch.setattr(tasklog, "_LONGEST_PAUSE_S", 0.0)


def test_a_crash_tears_off_the_last_line_which_is_none(
    make_logs: MakeLogs, logs: Logs, script: Script, directory: str
) -> None:
    script.write("one", "two")
    logs.close()
    (segment,) = Path(directory).glob("*.log")
    with segment.open("ab") as file:
        file.write(b"2026-05-06T07:08:09.123456Z stdout F to")
    with (Path(directory) / "00000000000000000001.runs").open("ab") as file:
        file.write(b'[3, 8, "run-')
    assert all_of(logs.reader_of("t")) == script.stored
    again = make_logs()
    later = Script(again.log_of("t"))
    assert later.seq == 3
    later.log.begin_run(9, "run-2", "act")
    later.write("three")
    assert all_of(again.reader_of("t")) == script.stored + later.stored
    assert len(list_segments(directory)) == 1
    assert again.reader_of("t").range_of("run-2") == (3, 3)


def test_a_full_disk_is_a_gap_and_a_new_segment(
    monkeypatch: pytest.MonkeyPatch, logs: Logs, script: Script, directory: str, at_once: None
) -> None:
    script.write("one")
    real, full = os.writev, True

    def writev(file: int, pieces: list[bytes]) -> int:
        if full and len(pieces) > 1:
            return real(file, [pieces[0][:20]])  # as much as there was room for; the next one says ENOSPC
        return real(file, pieces)

    def write(file: int, data: bytes) -> int:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "writev", writev)
    monkeypatch.setattr(os, "write", write)
    assert not script.write("two", "three")
    assert logs.lost == 2
    monkeypatch.setattr(os, "write", os.pwrite and _real_write)
    full = False
    assert script.write("four")
    assert [segment.first for segment in list_segments(directory)] == [1, 4]
    assert all_of(logs.reader_of("t")) == script.stored
    assert [line[0] for line in script.stored] == [1, 4]


_real_write = os.write


def test_a_full_disk_that_takes_a_line_now_and_then_is_said_once(
    monkeypatch: pytest.MonkeyPatch, script: Script, caplog: pytest.LogCaptureFixture, at_once: None
) -> None:
    real, full = os.writev, False

    def writev(file: int, pieces: list[bytes]) -> int:
        if full:
            raise OSError(28, os.strerror(28))
        return real(file, pieces)

    monkeypatch.setattr(os, "writev", writev)
    for full in (True, False, True, False, True, False):
        assert script.write("line") is not full
    said = caplog.messages
    assert len(said) == 1, said
    assert "No space left on device" in said[0]
    monkeypatch.setattr(trouble, "_CALM_S", 0.0)
    assert script.write("line")
    assert caplog.messages[1:] == ["the log of task t can be written again; 3 lines are missing"]


def test_it_is_not_tried_with_every_line(
    monkeypatch: pytest.MonkeyPatch, logs: Logs, script: Script, directory: str
) -> None:
    tries = 0

    def failing(file: int, pieces: list[bytes]) -> int:
        nonlocal tries
        tries += 1
        raise OSError(30, os.strerror(30))

    monkeypatch.setattr(os, "writev", failing)
    for number in range(50):
        assert not script.write(f"line {number}")
    assert tries == 1
    assert logs.lost == 50


def test_a_directory_that_is_removed_is_made_anew(logs: Logs, script: Script, directory: str) -> None:
    script.write("one")
    shutil.rmtree(logs.root)
    assert script.write("two")
    assert [line[0] for line in all_of(logs.reader_of("t"))] == [2]
    assert logs.lost == 0


def test_a_disk_that_hangs_holds_up_nobody(
    monkeypatch: pytest.MonkeyPatch, logs: Logs, script: Script, directory: str, at_once: None
) -> None:
    script.write("one")
    answers, returned = threading.Event(), threading.Event()
    real = os.writev

    def hanging(file: int, pieces: list[bytes]) -> int:
        assert answers.wait(30)
        monkeypatch.setattr(os, "writev", real)
        return real(file, pieces)

    monkeypatch.setattr(os, "writev", hanging)
    assert not script.write("two")  # after a fifth of a second
    for number in range(100):
        assert not script.write(f"meanwhile {number}")  # at once
    other = Script(logs.log_of("other"))  # with another thread, which does not hang
    monkeypatch.setattr(os, "writev", real)
    assert other.write("one")
    end = script.log._end_segment
    monkeypatch.setattr(script.log, "_end_segment", lambda: (end(), returned.set()))
    answers.set()
    assert returned.wait(30)
    assert script.write("last")
    found = all_of(logs.reader_of("t"))
    assert [(seq, line) for seq, _, _, line in found] == [(1, "one"), (2, "two"), (103, "last")]
    assert [segment.first for segment in list_segments(directory)] == [1, 103]


@pytest.mark.parametrize("task_id", [".", "..", ".hidden", "a/b", "ü" * 100, "x" * 256, "%2E", "a\tb"])
def test_every_id_has_a_directory_of_its_own(logs: Logs, task_id: str) -> None:
    directory = Path(logs.directory_of(task_id))
    assert directory.parent == Path(logs.root)
    assert not directory.name.startswith(".")
    assert len(directory.name.encode()) <= 255
    Script(logs.log_of(task_id)).write("hello")
    assert [line[3] for line in all_of(logs.reader_of(task_id))] == ["hello"]
    assert task_of(str(directory)) == task_id


def test_a_segment_that_somebody_cuts_is_left_alone(
    make_logs: MakeLogs, logs: Logs, script: Script, directory: str
) -> None:
    """Its lines are gone, but none that follows gets the number of another."""
    script.write("one", "two")
    script.log.rest()
    logs._threads.do(lambda: None)
    (segment,) = Path(directory).glob("*.log")
    os.truncate(segment, 0)
    assert script.write("three")
    assert [line[0] for line in all_of(logs.reader_of("t"))] == [3]


def test_a_file_that_a_hanging_write_uses_stays_open(
    monkeypatch: pytest.MonkeyPatch, logs: Logs, script: Script, at_once: None
) -> None:
    """Else its number might be another file's by the time that the write goes on."""
    script.write("one")
    answers, files = threading.Event(), []
    real = os.writev

    def hanging(file: int, pieces: list[bytes]) -> int:
        files.append(file)
        assert answers.wait(30)
        files.append(os.fstat(file).st_ino)
        return real(file, pieces)

    monkeypatch.setattr(os, "writev", hanging)
    inode = os.fstat(script.log._file).st_ino
    assert not script.write("two")
    monkeypatch.setattr(os, "writev", real)
    script.log.rest()  # its run is over meanwhile
    logs._threads.do(lambda: None)
    answers.set()
    logs.close()
    deadline = time.monotonic() + 30
    while len(files) < 2:
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)
    assert files[1] == inode


def test_a_log_that_is_closed_takes_nothing_and_no_time(logs: Logs, script: Script) -> None:
    script.write("one")
    logs.close()
    begun = time.monotonic()
    assert not script.write("two")
    logs.close()
    assert time.monotonic() - begun < allowed(1.0)


def test_no_number_is_given_to_two_lines(logs: Logs, script: Script, at_once: None) -> None:
    script.write("one", "two", "three")
    script.seq = 2
    assert not script.write("another")
    script.seq = 4
    assert script.write("four")
    assert all_of(logs.reader_of("t")) == script.stored
    assert [line[0] for line in script.stored] == [1, 2, 3, 4]


class _Hanging:
    """A disk that takes no batch until ``answers``; ``over``: the job that hung has ended."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, logs: Logs) -> None:
        self.answers, self.over = threading.Event(), threading.Event()
        writev, do = os.writev, logs._threads.do

        def hanging(file: int, pieces: list[bytes]) -> int:
            assert self.answers.wait(30)
            return writev(file, pieces)

        def doing(work: Callable[[], None], *rest: Any) -> bool:
            def job() -> None:
                work()
                self.over.set()

            monkeypatch.setattr(logs._threads, "do", do)
            return do(job, *rest)

        monkeypatch.setattr(os, "writev", hanging)
        monkeypatch.setattr(logs._threads, "do", doing)

    def answer(self) -> None:
        self.answers.set()
        assert self.over.wait(30)


def test_nothing_is_written_until_a_late_write_has_ended_its_segment(
    monkeypatch: pytest.MonkeyPatch, logs: Logs, script: Script, directory: str, at_once: None
) -> None:
    """Two jobs that use one file would leave it open, or end each other's segment."""
    script.write("one")
    disk = _Hanging(monkeypatch, logs)
    assert not script.write("two")
    real, meanwhile = script.log._let_go, []

    def ending() -> None:
        monkeypatch.setattr(script.log, "_let_go", real)
        real()
        meanwhile.append(script.write("three"))

    monkeypatch.setattr(script.log, "_let_go", ending)
    disk.answer()
    assert meanwhile == [False]
    assert script.write("four")
    assert [line[3] for line in all_of(logs.reader_of("t"))] == ["one", "two", "four"]
    assert [segment.first for segment in list_segments(directory)] == [1, 4]


def test_a_late_line_is_its_own_runs(
    monkeypatch: pytest.MonkeyPatch, logs: Logs, script: Script, directory: str, at_once: None
) -> None:
    disk = _Hanging(monkeypatch, logs)
    real, named = script.log._begin, threading.Event()

    def beginning(seq: int) -> Any:  # it hangs before it has said whose lines these are
        assert named.wait(30)
        return real(seq)

    monkeypatch.setattr(script.log, "_begin", beginning)
    disk.answers.set()
    assert not script.write("one")
    script.log.begin_run(8, "run-2", "act")
    named.set()
    disk.answer()
    assert script.write("two")
    reader = logs.reader_of("t")
    assert reader.range_of("run-1") == (1, 1)
    assert reader.range_of("run-2") == (2, 2)


@pytest.mark.parametrize("problem", [OSError(28, os.strerror(28)), MemoryError()])
def test_a_line_counts_as_lost_whatever_fails_with_it(
    monkeypatch: pytest.MonkeyPatch, logs: Logs, script: Script, at_once: None, problem: Exception
) -> None:
    """A close, too, may report the failure of a write, and still closes the file."""
    assert script.write("one")
    writev, close, log_file = os.writev, os.close, script.log._file

    def failing(file: int, pieces: list[bytes]) -> int:
        raise problem

    def closing(file: int) -> None:
        close(file)
        if file == log_file:
            monkeypatch.setattr(os, "close", close)
            raise OSError(5, os.strerror(5))

    monkeypatch.setattr(os, "writev", failing)
    monkeypatch.setattr(os, "close", closing)
    assert not script.write("two")
    assert logs.lost == 1
    monkeypatch.setattr(os, "writev", writev)
    assert script.write("three")
    assert [line[3] for line in all_of(logs.reader_of("t"))] == ["one", "three"]


def test_disk_space_reserved_for_a_flood_is_given_back_at_its_end(
    make_logs: MakeLogs, logs: Logs, script: Script, directory: str
) -> None:
    def unused() -> int:
        (segment,) = Path(directory).glob("*.log")
        status = segment.stat()
        return status.st_blocks * 512 - status.st_size

    script.write("one")
    few = unused()
    for _ in range(3):
        script.write(*["x" * 90] * 1000)
    if unused() < 2**20:
        pytest.skip("the file system reserves nothing")
    script.log.rest()
    wait_until(lambda: unused() <= few, what="the space is given back")
    script.write(*["y" * 90] * 1000)
    assert unused() > 2**20
    # A program that is killed gives nothing back; the next one does.
    later = Script(make_logs().log_of("t"))
    assert later.seq == script.seq
    assert unused() <= few
    assert all_of(logs.reader_of("t")) == script.stored


def test_the_name_of_a_run_is_written_whole(
    monkeypatch: pytest.MonkeyPatch, make_logs: MakeLogs, logs: Logs, script: Script
) -> None:
    """A disk that is nearly full takes a part of it first."""
    real, parts = os.writev, [10]

    def writev(file: int, pieces: list[bytes]) -> int:
        return real(file, [pieces[0][: parts.pop()]] if parts else pieces)

    def write(file: int, data: bytes) -> int:
        return _real_write(file, data[: parts.pop()] if parts else data)

    monkeypatch.setattr(os, "writev", writev)
    monkeypatch.setattr(os, "write", write)
    assert script.write("one")
    assert not parts
    assert make_logs().reader_of("t").range_of("run-1") == (1, 1)  # of a server that was killed


def test_an_id_that_a_full_disk_kept_out_is_stored_later(
    monkeypatch: pytest.MonkeyPatch, logs: Logs, at_once: None
) -> None:
    task_id = "ü" * 100  # too long for the name of a directory
    real = os.writev

    def full(file: int, pieces: list[bytes]) -> int:
        raise OSError(28, os.strerror(28))

    script = Script(logs.log_of(task_id))
    monkeypatch.setattr(os, "writev", full)
    monkeypatch.setattr(os, "write", full)
    assert not script.write("lost")
    monkeypatch.setattr(os, "writev", real)
    monkeypatch.setattr(os, "write", _real_write)
    assert script.write("kept")
    assert task_of(logs.directory_of(task_id)) == task_id
