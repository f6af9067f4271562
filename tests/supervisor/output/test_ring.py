"""The ring against a list that keeps everything."""

from __future__ import annotations

import random
import sys
from datetime import UTC, datetime, timedelta

import pytest

from overseer.protocol import Exited
from overseer.supervisor.memory_use import RING_BYTES
from overseer.supervisor.output.ring import CAPACITY, Ring, StoredOutput
from tests.harness.seeds import seeds

_START = datetime(2024, 1, 1, tzinfo=UTC)


def _exit(ts: datetime) -> Exited:
    return Exited(task_id="t", pid=1, exit_code=0, intentional=False, ts=ts)


def _flat(ring: Ring, moment: datetime | None = None, seq: int | None = None) -> list[object]:
    flat: list[object] = []
    for entry in ring.since(moment, seq):
        if isinstance(entry, StoredOutput):
            flat += [(entry.first_seq + place, line, entry.ts) for place, line in enumerate(entry.lines)]
        else:
            flat.append(entry)
    return flat


@pytest.mark.parametrize("seed", seeds(8, 30))
def test_it_keeps_exactly_the_last_events_whatever_the_batches(seed: int) -> None:
    rng = random.Random(seed)
    ring, everything, seq = Ring(), [], 0
    for step in range(120):
        ts = _START + timedelta(seconds=step)
        if rng.random() < 0.2:
            event = _exit(ts)
            ring.add_exit(event, seq)
            everything.append((seq, ts, event))
        else:
            lines = [f"line {seq + n}" for n in range(rng.choice([1, 2, 7, 99, 100, 101, 250]))]
            ring.add_output(StoredOutput(seq + 1, ts, 1, "stdout", lines))
            for line in lines:
                seq += 1
                everything.append((seq, ts, (seq, line, ts)))
        kept = everything[-CAPACITY:]
        assert _flat(ring) == [event for _, _, event in kept]
        moment = _START + timedelta(seconds=rng.randrange(step + 1))
        assert _flat(ring, moment=moment) == [event for _, at, event in kept if at >= moment]
        after = rng.randrange(seq + 2)
        expected = [
            event
            for at_seq, _, event in kept
            if (at_seq >= after if isinstance(event, Exited) else at_seq > after)
        ]
        assert _flat(ring, seq=after) == expected
        oldest = next((at_seq for at_seq, _, event in kept if not isinstance(event, Exited)), 0)
        assert ring.oldest_seq == oldest


def test_very_long_lines_push_older_ones_out_but_the_last_batch_always_stays() -> None:
    ring = Ring()
    for seq in range(1, 6):
        ring.add_output(StoredOutput(seq, _START, 1, "stdout", ["x" * (7 * 1024 * 1024)]))
    assert ring.oldest_seq == 4
    ring.add_output(StoredOutput(6, _START, 1, "stdout", ["x" * (40 * 1024 * 1024)]))
    assert [entry.first_seq for entry in ring.since() if isinstance(entry, StoredOutput)] == [6]


@pytest.mark.parametrize("char", ["x", "é", "構", "🚀"])
def test_its_lines_take_sixteen_mebibytes_of_memory_at_most(char: str) -> None:
    """One emoji makes each character of a line take four bytes."""
    ring = Ring()
    for seq in range(1, 41):
        line = "x" * 499_999 + char
        ring.add_output(StoredOutput(seq, _START, 1, "stdout", [line]))
    lines = [line for output in ring.since() if isinstance(output, StoredOutput) for line in output.lines]
    size = sys.getsizeof("x" * 499_999 + char)
    assert sum(map(sys.getsizeof, lines)) == min(40, RING_BYTES // size) * size
