from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from overseer.history import writer as module
from overseer.history.transaction import Statement
from overseer.history.writer import Writer
from tests.harness import allowed


class Disk:
    """A database in a file whose disk can be made to hang or to fail."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.error: Exception | None = None
        self.untidy: Exception | None = None  # housekeeping fails
        self.free = threading.Event()
        self.free.set()
        self.tidy = threading.Event()  # like free, for housekeeping alone
        self.tidy.set()
        self.hanging = threading.Event()  # somebody waits for it
        self.tended = 0
        self.commits = 0
        self._connection: sqlite3.Connection | None = None
        self.log_bytes = 0

    def measure(self) -> int:
        return self.log_bytes

    def connect(self) -> sqlite3.Connection:
        if not self.free.is_set():
            self.hanging.set()
            self.free.wait(30)
        if self.error is not None:
            raise self.error
        if self._connection is None:
            self._connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
            self._connection.execute("CREATE TABLE IF NOT EXISTS it (value INTEGER NOT NULL)")
            self._connection.set_trace_callback(self._traced)
        return self._connection

    def _traced(self, sql: str) -> None:
        self.commits += sql == "COMMIT"

    def disconnect(self, error: Exception | None = None) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def close(self) -> None:
        self.disconnect()

    def tend(self, connection: sqlite3.Connection) -> float:
        self.tended += 1
        if not self.tidy.is_set():
            self.hanging.set()
            self.tidy.wait(30)
        if self.untidy is not None:
            raise self.untidy
        return 3600.0

    @property
    def values(self) -> list[int]:
        connection = sqlite3.connect(self.path)
        found = [value for (value,) in connection.execute("SELECT value FROM it")]
        connection.close()
        return found


def wait_until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, f"waited 10 s for {what}"
        time.sleep(0.005)


def insert(value: object) -> Statement:
    return "INSERT INTO it VALUES (?)", (value,)


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path / "db")


@pytest.fixture
def writer(disk: Disk) -> Iterator[Writer]:
    made = Writer(disk, "the history", disk.tend)
    made.start()
    yield made
    disk.free.set()
    disk.tidy.set()
    made.close()


def test_who_waits_finds_it_stored(disk: Disk, writer: Writer) -> None:
    assert writer.wait(writer.put(insert(1)))
    assert disk.values == [1]
    assert (writer.written, writer.unrecorded, writer.waiting) == (1, 0, 0)


def test_what_waits_is_committed_together(disk: Disk, writer: Writer) -> None:
    disk.free.clear()
    writer.put(insert(0))
    assert disk.hanging.wait(30)
    tickets = [writer.put(insert(number)) for number in range(1, 101)]
    disk.free.set()
    assert writer.wait(tickets[-1], 10)
    assert disk.values == [*range(101)]
    assert disk.commits <= 2  # one, if what hung was its first look at the database


@pytest.mark.parametrize("during", ["a batch", "housekeeping"])
def test_nobody_waits_long_for_a_disk_that_hangs_and_then_nobody_at_all(
    disk: Disk, writer: Writer, caplog: pytest.LogCaptureFixture, during: str
) -> None:
    wait_until(lambda: disk.tended == 1, "the first housekeeping")
    if during == "housekeeping":
        disk.tidy.clear()
        writer.tend_within(0)
        assert disk.hanging.wait(30)
    else:
        disk.free.clear()
    began = time.monotonic()
    assert not writer.wait(writer.put(insert(1)))
    assert 0.15 < time.monotonic() - began < allowed(5)
    began = time.monotonic()
    for number in range(2, 102):
        assert not writer.wait(writer.put(insert(number)))
    assert time.monotonic() - began < allowed(5), "a hundred of them would have waited for 20 s"
    assert writer.unrecorded == 101
    disk.free.set()
    disk.tidy.set()
    wait_until(lambda: not writer.waiting, "the end of what hung")
    assert disk.values == [*range(1, 102)], "late is not lost"
    assert caplog.text.count("is slow: runs go on") == 1


def test_a_disk_that_fails_holds_up_nobody_and_is_tried_again(
    disk: Disk, writer: Writer, caplog: pytest.LogCaptureFixture
) -> None:
    disk.error = sqlite3.OperationalError("database or disk is full")
    assert not writer.wait(writer.put(insert(1)))
    began = time.monotonic()
    for number in range(2, 52):
        assert not writer.wait(writer.put(insert(number)))
    assert time.monotonic() - began < allowed(5)
    assert writer.failing
    disk.error = None
    wait_until(lambda: not writer.waiting, "everything to be stored")
    assert disk.values == [*range(1, 52)]
    assert writer.wait(writer.put(insert(52)))
    assert caplog.text.count("database or disk is full; runs go on") == 1
    assert "can be written again; 0 changes were lost" in caplog.text


def test_a_disk_that_fails_again_and_again_is_not_called_well_each_time(
    disk: Disk, writer: Writer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_AGAIN_S", 0.01)
    for number in range(5):
        disk.error = sqlite3.OperationalError("database or disk is full")
        assert not writer.wait(writer.put(insert(number)))
        disk.error = None
        wait_until(lambda: not writer.waiting, "everything to be stored")
    assert not writer.failing
    assert caplog.text.count("database or disk is full; runs go on") == 2
    assert caplog.text.count("can be written again") == 1
    monkeypatch.setattr(module, "_CALM_S", 0.0)
    assert writer.wait(writer.put(insert(5)))
    wait_until(lambda: caplog.text.count("can be written again; 0 changes were lost") == 2, "the end of that")
    assert disk.values == [*range(6)]


def test_a_disk_that_has_failed_again_is_called_well_although_nothing_more_is_written(
    disk: Disk, writer: Writer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_AGAIN_S", 0.01)
    monkeypatch.setattr(module, "_CALM_S", 1.0)
    for number in range(2):
        disk.error = sqlite3.OperationalError("database or disk is full")
        assert not writer.wait(writer.put(insert(number)))
        disk.error = None
        wait_until(lambda: not writer.waiting, "everything to be stored")
    wait_until(lambda: caplog.text.count("can be written again; 0 changes were lost") == 2, "the end of that")


def test_what_is_too_much_is_lost_and_counted(
    disk: Disk, writer: Writer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_MOST", 10)
    disk.error = OSError("gone")
    assert not writer.wait(writer.put(insert(0)))
    for number in range(1, 31):
        writer.put(insert(number))
    assert writer.lost == 21
    disk.error = None
    wait_until(lambda: not writer.waiting, "everything to be stored")
    assert disk.values == [*range(10)]
    assert "21 changes were lost" in caplog.text


def test_one_change_that_cannot_be_stored_takes_no_other_with_it(disk: Disk, writer: Writer) -> None:
    disk.free.clear()
    writer.put(insert(0))
    assert disk.hanging.wait(30)
    tickets = [writer.put(insert(value)) for value in (1, None, 2, "\ud800", 3, 2**80, 4)]
    disk.free.set()
    assert writer.wait(tickets[-1], 10)
    assert disk.values == [0, 1, 2, 3, 4]
    assert (writer.written, writer.lost, writer.failing) == (5, 3, False)


def test_what_is_put_together_is_stored_together_or_not_at_all(disk: Disk, writer: Writer) -> None:
    disk.free.clear()
    writer.put(insert(0))
    assert disk.hanging.wait(30)
    groups = [(insert(1), insert(2)), (insert(3), insert(None), insert(4)), (insert(5),)]
    tickets = [writer.put(*group) for group in groups]
    disk.free.set()
    assert writer.wait(tickets[-1], 10)
    assert disk.values == [0, 1, 2, 5]
    assert (writer.written, writer.lost) == (4, 3)


def test_housekeeping_that_fails_stops_no_writing_and_is_said_once(
    disk: Disk, writer: Writer, caplog: pytest.LogCaptureFixture
) -> None:
    wait_until(lambda: disk.tended == 1, "the first housekeeping")
    disk.untidy = sqlite3.OperationalError("no room to tidy up")
    writer.tend_within(0.0)
    wait_until(lambda: disk.tended >= 2, "a failure")
    for number in range(10):
        assert writer.wait(writer.put(insert(number)), 30)
    wait_until(lambda: disk.tended >= 4, "more failures")
    assert not writer.failing
    assert disk.values == [*range(10)]
    for _ in range(3):  # a full disk has room now and then
        error, disk.untidy, tended = disk.untidy, None, disk.tended
        wait_until(lambda tended=tended: disk.tended > tended, "a success")
        disk.untidy, tended = error, disk.tended
        writer.tend_within(0.0)
        wait_until(lambda tended=tended: disk.tended > tended, "another failure")
    assert caplog.text.count("no room to tidy up") == 1
    assert "can be written again" not in caplog.text


def test_what_comes_after_the_end_is_not_called_slow(
    disk: Disk, writer: Writer, caplog: pytest.LogCaptureFixture
) -> None:
    writer.close()
    for _ in range(2):
        assert not writer.wait(writer.put(insert(1)))
    assert caplog.text.count("is closed already") == 1
    assert "slow" not in caplog.text


def test_the_first_change_without_room_is_said(
    disk: Disk, writer: Writer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_MOST", 1)
    monkeypatch.setattr(module, "_CALM_S", 0.0)
    wait_until(lambda: disk.tended == 1, "the first housekeeping")
    disk.free.clear()
    writer.put(insert(0))
    assert disk.hanging.wait(30)
    for _ in range(2):
        assert not writer.wait(writer.put(insert(1)))
    assert caplog.text.count("further ones are lost") == 1
    disk.free.set()
    wait_until(lambda: "is no longer slow; 2 changes were lost" in caplog.text, "the end of that")


def test_the_end_writes_what_waits(disk: Disk, tmp_path: Path) -> None:
    writer = Writer(disk, "the history", disk.tend)
    writer.start()
    for number in range(500):
        writer.put(insert(number))
    writer.close()
    assert disk.values == [*range(500)]
    assert writer.put(insert(1)) == 0
    assert writer.lost == 1


def test_an_end_does_not_wait_for_a_disk_that_hangs(
    disk: Disk, writer: Writer, caplog: pytest.LogCaptureFixture
) -> None:
    disk.free.clear()
    writer.put(insert(1))
    assert disk.hanging.wait(30)
    began = time.monotonic()
    writer.close(0.2)
    assert time.monotonic() - began < allowed(5)
    assert "1 changes could not be written before the end" in caplog.text


def test_without_anything_to_do_it_does_nothing(disk: Disk, writer: Writer) -> None:
    assert writer.wait(writer.put(insert(1)), 10)
    wait_until(lambda: disk.tended == 1, "the first housekeeping")
    writer.tend_within(0.0)
    wait_until(lambda: disk.tended == 2, "the second housekeeping")
