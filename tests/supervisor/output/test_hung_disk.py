"""A disk that does not answer while a task's reader writes to it: another thread goes on reading."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from overseer.config import StorageConfig
from overseer.logs import disk_threads
from overseer.logs.standalone.segments import list_segments
from overseer.logs.store import Logs
from overseer.supervisor.metrics import Metrics
from overseer.supervisor.output.publisher import Stream
from overseer.util.jsonlog import EventLog
from overseer.util.locks import Rank, lock
from overseer.workers.base import OutputBatch, RunContext, Worker
from overseer.workers.config import WorkerConfig
from overseer.workers.starting import start_worker
from tests.logs.conftest import all_of
from tests.workers.support import Recorder

_LONG = "x" * 100  # more than a line may have


class _Lines:
    """The ``on_output`` of a run, as the hub makes it: a stream, and what is shown of unfinished lines."""

    def __init__(self, stream: Stream, shown: SimpleQueue[bytes]) -> None:
        self._stream, self._shown = stream, shown

    def __call__(self, batch: OutputBatch) -> None:
        self._stream.publish_output(batch, 7)

    def unfinished(self, stream: str, line: bytes) -> None:
        self._shown.put(line)


class _Disk:
    """Hangs at the first batch that has a word in it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, word: bytes) -> None:
        self.answers, self.hangs = threading.Event(), threading.Event()
        self.hung: threading.Thread | None = None
        real = os.writev

        def writev(file: int, pieces: list[bytes]) -> int:
            if self.hung is None and word in b"".join(pieces):
                self.hung = threading.current_thread()
                self.hangs.set()
                assert self.answers.wait(30.0)
            return real(file, pieces)

        monkeypatch.setattr(os, "writev", writev)


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[Logs]:
    made = Logs(str(tmp_path / "logs"), StorageConfig())
    yield made
    made.close()


def _start(
    logs: Logs, script: str, tmp_path: Path, shown: SimpleQueue[bytes] | None = None
) -> tuple[Worker, Stream, Recorder]:
    recorder = Recorder()
    stream = Stream("t", "a", lock(Rank.TASK, "t"), Metrics(["a"]), EventLog(), logs=logs)
    stream.disk = logs.log_of("t")
    stream.disk.open()
    stream.disk.begin_run(7, "run-1", "a")
    real = stream._publish_locked

    def published(batch: OutputBatch, *rest: Any) -> bytes | None:
        recorder.callbacks.on_output(batch)
        return real(batch, *rest)

    stream._publish_locked = published  # type: ignore[method-assign]
    lines = _Lines(stream, shown or SimpleQueue())
    callbacks = replace(recorder.callbacks, on_output=lines, run=RunContext("t", max_line=50))
    config = WorkerConfig("t", "/bin/sh", ("-c", script), cwd=str(tmp_path))
    return start_worker(config, callbacks), stream, recorder


def test_another_thread_goes_on_reading_where_one_hangs(
    monkeypatch: pytest.MonkeyPatch, logs: Logs, tmp_path: Path
) -> None:
    disk = _Disk(monkeypatch, b"first")
    os.mkfifo(tmp_path / "more")
    # One read has three batches, of which the thread that hangs has delivered none.
    script = f"printf 'first\\n{_LONG}\\nthird\\n'; read x < more; echo $x; exit 3"
    worker, stream, recorder = _start(logs, script, tmp_path)
    assert disk.hangs.wait(30)
    recorder.until(lambda: recorder.lines() == ["first", _LONG[:50], "third"])
    assert [batch.truncated for batch in recorder.batches] == [False, True, False]
    assert disk.hung is not None
    assert disk.hung.is_alive()
    (tmp_path / "more").write_text("last\n")
    assert worker.wait(30), "the run does not end while the disk hangs"
    assert recorder.lines() == ["first", _LONG[:50], "third", "last"]
    assert [(code, asked) for _, code, asked, _ in recorder.exits] == [(3, False)]
    assert logs.lost == stream.last_seq == 4
    disk.answers.set()
    disk.hung.join(30)
    assert not disk.hung.is_alive()
    assert len(recorder.events) == 5  # it has said nothing, and has not ended the run once more


def test_a_line_without_an_end_is_shown_while_the_one_before_it_hangs(
    monkeypatch: pytest.MonkeyPatch, logs: Logs, tmp_path: Path
) -> None:
    """It may be a question, after which nothing comes until it is answered."""
    disk = _Disk(monkeypatch, b"first")
    os.mkfifo(tmp_path / "more")
    shown: SimpleQueue[bytes] = SimpleQueue()
    worker, _, recorder = _start(logs, "printf 'first\\nsure? '; read x < more; echo $x", tmp_path, shown)
    assert shown.get(timeout=30) == b"sure? "
    (tmp_path / "more").write_text("yes\n")
    assert worker.wait(30)
    assert recorder.lines() == ["first", "sure? yes"]
    disk.answers.set()


def test_a_log_is_written_again_once_the_disk_answers(
    monkeypatch: pytest.MonkeyPatch, logs: Logs, tmp_path: Path
) -> None:
    monkeypatch.setattr("overseer.logs.tasklog._FIRST_PAUSE_S", 0.0)
    disk = _Disk(monkeypatch, b"second")
    os.mkfifo(tmp_path / "more")
    script = "echo first; sleep 0.1; echo second; read x < more; echo $x"
    worker, stream, recorder = _start(logs, script, tmp_path)
    recorder.until(lambda: recorder.lines() == ["first", "second"])
    disk.answers.set()
    assert disk.hung is not None
    disk.hung.join(30)
    (tmp_path / "more").write_text("third\n")
    assert worker.wait(30)
    # The second one has been written after all.
    assert [(seq, line) for seq, _, _, line in all_of(logs.reader_of("t"))] == [
        (1, "first"),
        (2, "second"),
        (3, "third"),
    ]
    assert [segment.first for segment in list_segments(logs.directory_of("t"))] == [1, 3]
    assert stream.last_seq == 3
    assert logs.lost == 1


def test_the_reader_of_a_drivers_own_on_output_is_not_replaced(
    monkeypatch: pytest.MonkeyPatch, logs: Logs, tmp_path: Path
) -> None:
    """It may hold a lock of its own, or count on its thread: it waits for the disk as long as it says."""
    disk = _Disk(monkeypatch, b"first")
    recorder = Recorder()
    stream = Stream("t", "a", lock(Rank.TASK, "t"), Metrics(["a"]), EventLog(), logs=logs)
    stream.disk = logs.log_of("t")
    stream.disk.open()
    threads: list[threading.Thread] = []

    def on_output(batch: OutputBatch) -> None:
        stream.publish_output(batch, 7)
        threads.append(threading.current_thread())
        recorder.callbacks.on_output(batch)

    callbacks = replace(recorder.callbacks, on_output=on_output, run=RunContext("t"))
    worker = start_worker(
        WorkerConfig("t", "/bin/sh", ("-c", "echo first; sleep 0.1; echo second")), callbacks
    )
    assert worker.wait(30)
    assert recorder.lines() == ["first", "second"]
    assert len(set(threads)) == 1
    assert disk.hung not in threads
    assert disk.hung is not None
    assert disk.hung.name == "log-writer"
    disk.answers.set()


def test_who_writes_is_watched_only_while_somebody_does(
    monkeypatch: pytest.MonkeyPatch, logs: Logs, tmp_path: Path
) -> None:
    monkeypatch.setattr(disk_threads, "_WATCH_S", 0.05)
    os.mkfifo(tmp_path / "more")
    worker, _, recorder = _start(logs, "echo first; read x < more; echo $x", tmp_path)
    recorder.until(lambda: recorder.lines() == ["first"])
    for thread in _watching():
        thread.join(30)
    assert not _watching()
    (tmp_path / "more").write_text("second\n")
    recorder.until(lambda: recorder.lines() == ["first", "second"])
    assert _watching()
    assert worker.wait(30)


def _watching() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "log-watch"]
