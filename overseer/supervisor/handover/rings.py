"""Handing over the last events of a task: column by column, as there may be many thousands in all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from overseer.protocol import Exited
from overseer.supervisor.output.history import Ring, StoredExit, StoredOutput
from overseer.util.plain import from_plain, to_plain
from overseer.util.timestamps import parse_timestamp

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def export_ring(ring: Ring) -> dict[str, Any]:
    entries = [*ring.entries]
    outputs = [each for each in entries if isinstance(each, StoredOutput)]
    return {
        "first_seq": [each.first_seq for each in outputs],
        "ts": [(each.ts - _EPOCH) // _MICROSECOND for each in outputs],
        "pid": [each.pid for each in outputs],
        "stream": [each.stream for each in outputs],
        "lines": [each.lines for each in outputs],
        "marked": [
            [at, each.truncated, each.overwritten]
            for at, each in enumerate(outputs)
            if each.truncated or each.overwritten
        ],
        "exits": [
            [at, each.after_seq, to_plain(each.event)]
            for at, each in enumerate(entries)
            if isinstance(each, StoredExit)
        ],
        "cut": ring.cut,
    }


def restore_ring(ring: Ring, data: Mapping[str, Any]) -> None:
    entries: list[StoredOutput | StoredExit] = [
        StoredOutput(first_seq, _EPOCH + timedelta(microseconds=ts), pid, stream, lines)
        for first_seq, ts, pid, stream, lines in zip(
            *(data[column] for column in ("first_seq", "ts", "pid", "stream", "lines")), strict=True
        )
    ]
    for at, truncated, overwritten in data["marked"]:
        marked = entries[at]
        assert isinstance(marked, StoredOutput)
        marked.truncated, marked.overwritten = truncated, overwritten
    for at, after_seq, event in data["exits"]:
        entries.insert(at, StoredExit(from_plain(Exited, event), after_seq))
    ring.fill(entries)
    ring.cut = data["cut"]


def restore_first_format(ring: Ring, entries: Sequence[Any], *, cut: bool) -> None:
    """As format 1 of the state has it: entry by entry."""
    ring.fill(_read(entries))
    ring.cut = cut


def _read(entries: Sequence[Any]) -> Iterator[StoredOutput | StoredExit]:
    for data in entries:
        if len(data) == 2:
            yield StoredExit(from_plain(Exited, data[1]), data[0])
        else:
            first_seq, ts, *rest = data
            yield StoredOutput(first_seq, parse_timestamp(ts), *rest)
