"""The event log on a thread, without a server."""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path

import pytest

from overseer.net.frames import Encoded
from overseer.util.jsonlog import EventLog


def _write(log: EventLog, text: bytes) -> None:
    log.write(Encoded([text]), len(text) + 1)


def test_what_was_queued_is_written_in_order(tmp_path: Path) -> None:
    log = EventLog(str(tmp_path / "events"))
    log.start()
    for number in range(1000):
        _write(log, b"%d" % number)
    log.close()
    assert (tmp_path / "events").read_text().split() == [str(number) for number in range(1000)]


def test_what_does_not_fit_is_never_encoded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = EventLog(str(tmp_path / "events"))  # not started, so that nothing leaves the queue
    kept, dropped = Encoded([b"kept"]), Encoded([b"dropped"])
    log.write(kept, 20 * 1024 * 1024, 1)
    log.write(dropped, 20 * 1024 * 1024, 7)
    log.start()
    log.close()
    assert (tmp_path / "events").read_bytes() == b"kept\n"
    assert dropped._lines is None
    assert "7 events were dropped" in caplog.text


def test_a_close_that_fails_is_warned_of_and_the_log_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = EventLog(str(tmp_path / "events"))
    log.start()
    assert log._file is not None
    os.close(log._file)  # so that the log's own close fails
    log.reopen()
    _write(log, b"after")
    log.close()
    assert (tmp_path / "events").read_bytes() == b"after\n"
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "Bad file descriptor; events are dropped" in caplog.text


class Unwritable:
    def __init__(self, error: BaseException) -> None:
        self.error = error
        self.asked = threading.Event()

    @property
    def lines(self) -> bytes:
        self.asked.set()
        raise self.error


def test_an_event_that_cannot_be_encoded_costs_itself(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = EventLog(str(tmp_path / "events"))
    message = Unwritable(MemoryError())
    log.write(message, 1)
    log.start()
    assert message.asked.wait(30)
    _write(log, b"after")
    log.close()
    assert (tmp_path / "events").read_bytes() == b"after\n"
    assert "MemoryError; events are dropped" in caplog.text
    assert "1 events were dropped" in caplog.text


def test_when_its_thread_ends_nothing_is_kept_for_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = EventLog(str(tmp_path / "events"))
    log.start()
    log.write(Unwritable(SystemExit("of all things")), 1)
    assert log._thread is not None
    log._thread.join(30)
    for _ in range(3):
        _write(log, b"after")
    log.close()
    assert not log._queue
    assert "writing has failed for good" in caplog.text
