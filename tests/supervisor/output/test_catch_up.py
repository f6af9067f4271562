"""A subscriber that is served from a log: what it is sent when the log cannot be read, or has holes."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from overseer.config import StorageConfig
from overseer.logs.reader import LogReader
from overseer.logs.store import Logs
from overseer.net.limits import ConnectionLimits
from overseer.net.outbox import Outbox
from overseer.protocol import Exited
from overseer.supervisor.clients import Client, DeferredFlush
from overseer.supervisor.metrics import Metrics
from overseer.supervisor.output import catch_up, log_replay
from overseer.supervisor.output.publisher import Stream
from overseer.supervisor.output.replay import RingReplay
from overseer.supervisor.output.subscription import Wishes
from overseer.util import hung_threads
from overseer.util.jsonlog import EventLog
from overseer.util.locks import Rank, lock
from overseer.util.timers import Timers
from overseer.util.timestamps import now
from overseer.util.websocket_frame import CloseCode
from overseer.workers.base import OutputBatch

_BOUND = 64 * 1024


class _Outbox(Outbox):
    """Sends when it is read; remembers how much has been pending at most."""

    def __init__(self, timers: Timers, bound: int) -> None:
        super().__init__(ConnectionLimits(buffer=bound, stall_timeout=60.0), timers, framed=False)
        self.most = 0

    def flush(self) -> None:
        self.most = max(self.most, self.pending)

    def _abort(self) -> None:
        self.fail()

    def read(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.read_bytes().splitlines()]

    def read_bytes(self) -> bytes:
        data = b""
        while self.pending:
            self._make_piece()
            with self._lock:
                some = b"".join(self._take_locked(1000))
                callbacks = self._sent_locked(len(some))
            data += some
            self._call(callbacks)
        return data


class _Logs(Logs):
    """``broken`` is called before each reading."""

    def broken(self) -> None:
        """It is not."""

    def reader_of(self, task_id: str) -> LogReader:
        self.broken()
        return super().reader_of(task_id)


class _Scene:
    """A stream with a log, and a client that may lag."""

    def __init__(self, root: Path, timers: Timers, bound: int) -> None:
        self.logs = _Logs(str(root / "logs"), StorageConfig(segment=64 * 1024, compress="none"))
        self.outbox = _Outbox(timers, bound)
        self.client = Client(self.outbox, "catch_up")
        self.stream = Stream("t", "a", lock(Rank.TASK, "t"), Metrics(["a"]), EventLog(), logs=self.logs)
        self.stream.disk = self.logs.log_of("t")
        self.stream.disk.open()
        self.stream.disk.begin_run(7, "run-1", "a")
        with self.stream._lock:
            self.stream.subscribe_locked(self.client, Wishes())

    def print(self, count: int, text: str = "x" * 50, at: datetime | None = None) -> None:
        self.stream.publish_output(OutputBatch("stdout", at or now(), [text] * count), 7)

    def resume(self, seq: int) -> None:
        with DeferredFlush() as out, self.stream._lock:
            self.stream.resume_from_log_locked(out, self.client, seq)

    def read_until(self, over: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = []
        deadline = time.monotonic() + 30
        while not over(messages):
            assert time.monotonic() < deadline, messages[-3:]
            messages += self.outbox.read()
            threading.Event().wait(0.005)
        return messages

    def read_to(self, seq: int) -> list[dict[str, Any]]:
        """Up to that line, which must be the last one that comes."""
        messages = self.read_until(lambda heard: bool(heard) and heard[-1].get("seq", 0) >= seq)
        assert messages[-1]["seq"] == seq
        return messages


@pytest.fixture
def bound() -> int:
    """A client's bound; small ones are more interesting."""
    return _BOUND


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: int) -> Iterator[_Scene]:
    monkeypatch.setattr(catch_up, "_AGAIN_S", 0.01)
    timers = Timers()
    scene = _Scene(tmp_path, timers, bound)
    yield scene
    scene.logs.close()
    timers.close()


def seqs(messages: list[dict[str, Any]]) -> list[int]:
    return [message["seq"] for message in messages if message["type"] == "output"]


def gaps(messages: list[dict[str, Any]]) -> list[tuple[int, int, str]]:
    return [
        (each["from_seq"], each["to_seq"], each.get("reason", ""))
        for each in messages
        if each["type"] == "gap"
    ]


def test_a_log_that_cannot_be_read_for_a_moment_is_read_again(scene: _Scene) -> None:
    fails = iter([OSError(24, "Too many open files")] * 5)

    def broken() -> None:
        for error in fails:
            raise error

    scene.logs.broken = broken  # type: ignore[method-assign]
    for _ in range(20):
        scene.print(200)
    messages = scene.read_to(4000)
    assert seqs(messages) == list(range(1, 4001))
    assert not gaps(messages)
    assert next(fails, None) is None


def test_a_thread_that_is_not_to_be_had_is_asked_for_again(
    scene: _Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, fails = hung_threads.start_thread, iter(range(3))

    def start(work: Callable[[], None], name: str) -> threading.Thread:
        if name == "log-reader" and next(fails, None) is not None:
            raise RuntimeError("can't start new thread")
        return real(work, name)

    monkeypatch.setattr(hung_threads, "start_thread", start)
    for _ in range(20):
        scene.print(200)
    assert seqs(scene.read_to(4000)) == list(range(1, 4001))
    assert next(fails, None) is None


def test_a_log_that_cannot_be_read_at_all_is_a_gap(scene: _Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catch_up, "_PATIENCE_S", 0.0)

    def broken() -> None:
        raise OSError(13, "Permission denied")

    scene.logs.broken = broken  # type: ignore[method-assign]
    for _ in range(20):
        scene.print(200)
    messages = scene.read_to(4000)
    gone = [seq for begin, end, reason in gaps(messages) for seq in range(begin, end + 1)]
    assert {reason for _, _, reason in gaps(messages)} == {"unreadable"}
    assert sorted([*seqs(messages), *gone]) == list(range(1, 4001))
    assert gone[-1] == 3900  # the ring has the rest
    scene.print(1)
    assert seqs(scene.read_to(4001)) == [4001]


def test_lines_that_go_before_they_are_read_are_a_gap(scene: _Scene) -> None:
    """Also those that an answer has just promised."""
    for _ in range(50):
        scene.print(200)
    scene.read_to(10_000)
    keeper = scene.logs._retention
    keeper.settings = StorageConfig(segment=64 * 1024, task_log_bytes=200_000, compress="none")
    keeper._keep(scene.logs.directory_of("t"))
    first = scene.logs.reader_of("t").ends()[0]
    assert first > 1
    scene.resume(5)
    messages = scene.read_to(10_000)
    assert gaps(messages) == [(5, first - 1, "expired")]
    assert seqs(messages) == list(range(first, 10_001))


def test_what_was_never_logged_is_a_gap_unless_it_is_in_memory(
    scene: _Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.print(500)
    scene.read_to(500)
    with monkeypatch.context() as patched:
        patched.setattr(type(scene.stream.disk), "append", lambda *_, **__: False)
        scene.print(300)
    scene.read_to(800)
    scene.resume(1)
    messages = scene.read_to(800)
    assert gaps(messages) == [(501, 700, "not_logged")]
    assert seqs(messages) == [*range(1, 501), *range(701, 801)]
    scene.print(500)
    scene.read_to(1300)
    scene.resume(1)
    assert gaps(scene.read_to(1300)) == [(501, 800, "not_logged")]


@pytest.mark.parametrize("text", ["", "x", "x" * 3000])
def test_no_more_is_pending_than_half_the_bound(scene: _Scene, text: str) -> None:
    """From there on a client would be closed for not reading."""
    for _ in range(5):
        scene.print(1000, text)
    messages = scene.read_to(5000)
    assert seqs(messages) == list(range(1, 5001))
    assert scene.outbox.most <= _BOUND // 2


def test_nor_when_it_comes_back_to_a_ring_full_of_long_lines(scene: _Scene) -> None:
    scene.print(100, "x" * 3000)
    scene.read_to(100)
    scene.outbox.most = 0
    replay = RingReplay("t", scene.stream._lock, scene.stream.ring, scene.client, seq=0)
    with DeferredFlush() as out, scene.stream._lock:
        while not replay.ready_locked():
            replay._rounds += 1
        scene.stream.resume_locked(out, scene.client, replay, 0)
    assert seqs(scene.read_to(100)) == list(range(1, 101))
    assert scene.outbox.most <= _BOUND // 2


def test_lines_that_came_while_it_was_away_are_not_missing(scene: _Scene) -> None:
    while len(scene.stream._laggards or ()) == 0:
        scene.print(20)
    behind_from = scene.stream.last_seq + 1
    scene.print(20)  # is kept in memory for those who are behind
    with scene.stream._lock:
        scene.stream.unsubscribe_locked(scene.client)
    scene.print(20)  # is not: there is nobody
    with scene.stream._lock:
        scene.stream.subscribe_locked(scene.client, Wishes())
    scene.resume(behind_from)
    scene.print(20)
    last = scene.stream.last_seq
    heard = [seq for seq in seqs(scene.read_to(last)) if seq >= behind_from]
    assert heard == list(range(behind_from, last + 1))


@pytest.mark.parametrize("bound", [8 * 2**20])
def test_lines_that_came_one_by_one_are_sent_as_cheaply_as_those_that_came_together(scene: _Scene) -> None:
    """Each has a time of its own."""
    costs = {}
    count, moment = 20_000, now()
    for kind, batch in (("together", count), ("one by one", 1)):
        begin = scene.stream.last_seq + 1
        for number in range(count // batch):
            scene.print(batch, at=moment + timedelta(microseconds=number))
        _read_on(scene)
        costs[kind] = min(_cost(lambda: _read_again(scene, begin)) for _ in range(3))  # noqa: B023
    assert costs["one by one"] < 3 * costs["together"], costs


def _read_again(scene: _Scene, begin: int) -> None:
    scene.resume(begin)
    _read_on(scene)


def _read_on(scene: _Scene) -> None:
    last = b'"seq":%d}' % scene.stream.last_seq
    deadline = time.monotonic() + 30
    while last not in scene.outbox.read_bytes():
        assert time.monotonic() < deadline
        threading.Event().wait(0.0005)


def _cost(work: Callable[[], None]) -> float:
    before = time.process_time()
    work()
    return time.process_time() - before


def test_what_is_kept_of_short_lines_for_laggards_is_as_little_as_that_of_long_ones(scene: _Scene) -> None:
    """All of it is gone through for each of them at each step, with the task's lock held."""
    while len(scene.stream._laggards or ()) == 0:
        scene.print(20)
    for _ in range(5000):
        scene.print(1, "x")
    assert scene.stream._laggards is not None
    assert len(scene.stream._laggards._recent) < 1000
    last = scene.stream.last_seq
    assert seqs(scene.read_to(last))[-1] == last


@pytest.mark.parametrize("reads", [True, False])
def test_a_replay_waits_for_a_slow_reader_and_not_for_one_that_takes_nothing(
    scene: _Scene, monkeypatch: pytest.MonkeyPatch, reads: bool
) -> None:
    monkeypatch.setattr(log_replay, "_PATIENCE_S", 0.3)
    monkeypatch.setattr(log_replay, "_LOOK_S", 0.02)
    for _ in range(20):
        scene.print(200)
    with scene.stream._lock:
        scene.stream.unsubscribe_locked(scene.client)
    scene.outbox.read_bytes()
    replay = log_replay.LogReplay("t", scene.logs.reader_of("t"), scene.client, None, 0)
    over = threading.Event()

    def pass_on() -> None:
        while replay.read(4001) and replay.send():
            pass
        over.set()

    thread = threading.Thread(target=pass_on)
    thread.start()
    got = b""
    while reads and not over.wait(0.02):
        got += scene.outbox.read_bytes()
    thread.join(30)
    assert over.is_set()
    got += scene.outbox.read_bytes()
    assert scene.outbox.close_code == (0 if reads else CloseCode.TRY_AGAIN_LATER)
    assert got.count(b'"type":"output"') == 4000 * reads


class _RefilledOutbox:
    """As much as its client takes comes from another task at once, until it has been looked at so often."""

    pending = 1 << 20
    closed = False

    def __init__(self, looks: int) -> None:
        self._looks = looks
        self._taken = 0
        self._drained: Callable[[], None] = lambda: None

    @property
    def taken(self) -> int:
        self._taken += 1000
        if self._taken == self._looks * 1000:
            self._drained()
        return self._taken

    def has_spare(self, size: int) -> bool:
        return False

    def when_drained(self, callback: Callable[[], None]) -> None:
        self._drained = callback

    def close(self, *_: object, drop: bool) -> None:
        self.closed = True
        self._drained()


def test_a_replay_waits_for_who_reads_beside_a_flood(scene: _Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_replay, "_PATIENCE_S", 0.1)
    monkeypatch.setattr(log_replay, "_LOOK_S", 0.01)
    replay = log_replay.LogReplay("t", scene.logs.reader_of("t"), scene.client, None, 0)
    scene.client.outbox = outbox = _RefilledOutbox(looks=50)  # type: ignore[assignment]
    replay._wait_for_client(1)
    assert not outbox.closed


def test_events_keep_their_places(scene: _Scene) -> None:
    at = now()  # the same, so that nothing but the events tells a run's lines from the next one's
    for _ in range(40):
        scene.print(100, at=at)
        exited = Exited(task_id="t", pid=7, exit_code=0, intentional=False, ts=now())
        with DeferredFlush() as out, scene.stream._lock:
            scene.stream.publish_locked(out, exited)
    heard = scene.read_until(lambda heard: sum(each["type"] == "exited" for each in heard) == 40)
    kinds = [(each["type"], each.get("seq")) for each in heard]
    want: list[tuple[str, int | None]] = []
    for run in range(40):
        want += [("output", seq) for seq in range(100 * run + 1, 100 * run + 101)]
        want.append(("exited", None))
    assert kinds == want
