"""What a ring keeps, in the program that follows."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from overseer.protocol import Exited
from overseer.supervisor.handover.rings import export_ring, restore_ring
from overseer.supervisor.memory_use import MemoryUse
from overseer.supervisor.output.ring import Ring, StoredOutput
from overseer.util.handover_format import Incoming, Outgoing, pack, unpack

_TS = datetime(2026, 11, 28, 3, 4, 5, 678901, tzinfo=UTC)


def _output(first_seq: int, lines: list[str], **marks: bool) -> StoredOutput:
    return StoredOutput(first_seq, _TS, 4711, "stderr" if first_seq % 2 else "stdout", lines, **marks)


_EXIT = Exited("t", 4711, 0, False, _TS)


@pytest.mark.parametrize(
    "outputs",
    [
        [],
        [_output(1, [""])],
        [_output(1, ["a", "ü\n", "€\udc80", "𝄞"], truncated=True), _output(5, ["b"], overwritten=True)],
        [_output(1, [str(number) for number in range(150)])],
        [_output(number, ["x" * number]) for number in range(1, 300)],
    ],
)
@pytest.mark.parametrize("exit_after", [None, 0, 1])
def test_it_has_the_same_events(outputs: list[StoredOutput], exit_after: int | None):
    before, after = Ring(MemoryUse()), Ring(use := MemoryUse())
    for number, output in enumerate(outputs):
        if number == exit_after:
            before.add_exit(_EXIT, output.first_seq - 1)
        before.add_output(output)
    before.cut = exit_after == 1
    out = Outgoing()
    values, blobs = unpack(pack({"ring": export_ring(before, out)}, out.blobs))
    restore_ring(after, values["ring"], Incoming(blobs))
    assert [*after.since()] == [*before.since()]
    assert (after.memory, after.cut, after.oldest_seq) == (before.memory, before.cut, before.oldest_seq)
    assert 0 <= after.memory - use.rings < 4096
    for ring in (before, after):
        ring.add_output(_output(1000, ["last"]))
    assert [*after.since()] == [*before.since()]
