"""Handing over the last events of a task: as bytes, by columns, since there may be many thousands in all."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from overseer.protocol import Exited
from overseer.supervisor.output.ring import Ring, StoredExit, StoredOutput
from overseer.util.dataclass_json import from_plain, to_plain
from overseer.util.handover_format import Incoming, Outgoing
from overseer.util.timestamps import from_micros, parse_timestamp, to_micros


def export_ring(ring: Ring, out: Outgoing) -> dict[str, Any]:
    entries = [*ring.entries]
    outputs = [each for each in entries if isinstance(each, StoredOutput)]
    lines = [line for each in outputs for line in each.lines]
    streams = list({each.stream: None for each in outputs})
    columns = (
        [each.first_seq for each in outputs],
        [to_micros(each.ts) for each in outputs],
        [each.pid for each in outputs],
        [streams.index(each.stream) for each in outputs],
        [len(each.lines) for each in outputs],
        [*map(len, lines)],
    )
    return {
        "columns": [out.blob(array("q", column).tobytes()) for column in columns],
        "text": out.blob("".join(lines).encode("utf-8", "surrogatepass")),
        "streams": streams,
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


def restore_ring(ring: Ring, data: Mapping[str, Any], given: Incoming) -> None:
    *columns, sizes = (array("q", given.blob(number)) for number in data["columns"])
    lines, streams = _cut(given.blob(data["text"]).decode("utf-8", "surrogatepass"), sizes), data["streams"]
    entries: list[StoredOutput | StoredExit] = [
        StoredOutput(
            first_seq,
            from_micros(ts),
            pid,
            streams[stream],
            [next(lines)] if count == 1 else [next(lines) for _ in range(count)],
        )
        for first_seq, ts, pid, stream, count in zip(*columns, strict=True)
    ]
    for at, truncated, overwritten in data["marked"]:
        marked = entries[at]
        assert isinstance(marked, StoredOutput)
        marked.truncated, marked.overwritten = truncated, overwritten
    for at, after_seq, event in data["exits"]:
        entries.insert(at, StoredExit(from_plain(Exited, event), after_seq))
    ring.fill(entries)
    ring.cut = data["cut"]


def _cut(text: str, sizes: Sequence[int]) -> Iterator[str]:
    at = 0
    for size in sizes:
        yield text[at : at + size]
        at += size


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
