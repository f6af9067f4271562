"""Logs in a directory of the test's own."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from overseer.config import StorageConfig
from overseer.logs.lines import decode
from overseer.logs.reader import LogReader
from overseer.logs.store import Logs
from overseer.logs.tasklog import TaskLog
from overseer.util.timestamps import format_timestamp, now

Stored = tuple[int, str, str, str]  # seq, time, stream, line
MakeLogs = Callable[..., Logs]


@pytest.fixture
def make_logs(tmp_path: Path) -> Iterator[MakeLogs]:
    """``make_logs(segment=…)``: all of the same directory; they are closed at the end."""
    made: list[Logs] = []

    def make(**settings: object) -> Logs:
        logs = Logs(str(tmp_path / "logs"), StorageConfig(**settings))  # type: ignore[arg-type]
        made.append(logs)
        return logs

    yield make
    for logs in made:
        logs.close()


class Script:
    """Writes into a log and remembers what is in it."""

    def __init__(self, log: TaskLog) -> None:
        self.log = log
        self.seq = log.open() + 1
        self.stored: list[Stored] = []
        self._moments = (now() + timedelta(milliseconds=each) for each in itertools.count())
        log.begin_run(7, "run-1", "act")

    def write(self, *lines: str, stream: str = "stdout", at: datetime | None = None) -> bool:
        ts = format_timestamp((at or next(self._moments)).astimezone(UTC))
        written = self.log.append(self.seq, self.log.entry(ts, stream, list(lines), False))
        if written:
            self.stored += [(seq, ts, stream, line) for seq, line in enumerate(lines, self.seq)]
        self.seq += len(lines)
        return written


def all_of(reader: LogReader, seq: int = 0) -> list[Stored]:
    """Everything that is in a log from that line on."""
    return [
        (number, ts, some.stream, line)
        for text in reader.forward(seq)
        for some in decode(text)
        for number, (ts, line) in enumerate(zip(some.times, some.lines, strict=True), some.first)
        if number >= seq
    ]
