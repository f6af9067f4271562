"""A stream and its subscribers, with outboxes that send when the test says so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from overseer.net.limits import ConnectionLimits
from overseer.net.outbox import Outbox
from overseer.supervisor.clients import Client, DeferredFlush
from overseer.supervisor.metrics import Metrics
from overseer.supervisor.output.publisher import Stream
from overseer.supervisor.output.replay import RingReplay
from overseer.supervisor.output.subscription import NO_WISHES
from overseer.util.jsonlog import EventLog
from overseer.util.locks import Rank, lock
from overseer.util.timers import Timers
from overseer.util.timestamps import now
from overseer.workers.base import OutputBatch

_BOUND = 2000


class _Held(Outbox):
    def __init__(self, timers: Timers, bound: int = _BOUND) -> None:
        super().__init__(ConnectionLimits(buffer=bound, stall_timeout=60.0), timers, framed=False)

    def flush(self) -> None:
        pass

    def _abort(self) -> None:
        self.fail()

    def read(self) -> list[dict[str, Any]]:
        """Everything that is pending leaves."""
        messages: list[dict[str, Any]] = []
        while self.pending:
            with self._lock:
                data = b"".join(self._take_locked(1000))
                callbacks = self._sent_locked(len(data))
            messages += [json.loads(line) for line in data.splitlines()]
            self._call(callbacks)
        return messages


@pytest.fixture
def outbox() -> Iterator[_Held]:
    timers = Timers()
    yield _Held(timers)
    timers.close()


def _stream(client: Client) -> Stream:
    stream = Stream("t", "a", lock(Rank.TASK, "t"), Metrics(["a"]), EventLog())
    with stream._lock:
        stream.subscribe_locked(client, NO_WISHES)
    return stream


def _print(stream: Stream, lines: int) -> None:
    for _ in range(lines):
        stream.publish_output(OutputBatch("stdout", now(), ["x" * 50]), 1)


def test_what_was_missed_before_resuming_is_settled_by_the_resumption(outbox: _Held) -> None:
    client = Client(outbox, "drop")
    stream = _stream(client)
    _print(stream, 50)
    replay = RingReplay("t", stream._lock, stream.ring, client, seq=3)
    with DeferredFlush() as out, stream._lock:
        assert replay.ready_locked()
        stream.resume_locked(out, client, replay, 0)
    seqs = [message["seq"] for message in outbox.read()]  # no gap among them, which has no seq
    before = len(seqs) - len(range(4, 51))
    assert before > 3
    assert seqs == [*range(1, before + 1), *range(4, 51)]
    _print(stream, 1)
    assert [message["seq"] for message in outbox.read()] == [51]
    assert not outbox.read()


def test_a_gap_is_told_of_once_there_is_room_and_lines_follow_it(outbox: _Held) -> None:
    stream = _stream(Client(outbox, "drop"))
    _print(stream, 50)
    messages = outbox.read()
    gap = messages.pop()
    assert [message["seq"] for message in messages] == list(range(1, gap["from_seq"]))
    assert (gap["type"], gap["to_seq"]) == ("gap", 50)
    _print(stream, 1)
    assert [message["seq"] for message in outbox.read()] == [51]
