"""Whatever is sealed, compressed, expired or opened anew, reading gives what a list of lines would."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import pytest

from overseer.logs import retention
from overseer.logs.query import LogQuery, read_page
from overseer.logs.standalone.segments import can_zstd, list_segments
from overseer.logs.store import Logs
from tests.harness.seeds import seeds
from tests.logs.conftest import MakeLogs, Script, Stored, all_of


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks, and the time until a segment is compressed."""
    monkeypatch.setattr("overseer.logs.standalone.segments.BLOCK", 2000)
    monkeypatch.setattr("overseer.logs.tasklog.BLOCK", 2000)
    monkeypatch.setattr(retention, "SETTLED_S", 0.0)


@pytest.mark.parametrize("seed", seeds(6, 12))
def test_reading_is_reading_a_list(make_logs: MakeLogs, seed: int) -> None:
    chance = random.Random(seed)
    how = ["gzip", "none", "zstd"][seed % 3]
    if how == "zstd" and not can_zstd():
        pytest.skip("there is no zstd module")

    def opened() -> tuple[Logs, Script]:
        logs = make_logs(segment=8000, compress=how)
        return logs, Script(logs.log_of("a task/…"))

    logs, script = opened()
    stored: list[Stored] = []
    directory = logs.directory_of("a task/…")
    for _ in range(60):
        match chance.randrange(8):
            case 0:  # what was published without the log
                script.seq += chance.randrange(1, 50)
            case 1:  # the server ends, and another one begins
                stored += script.stored
                seq = script.seq
                logs.close()
                logs, script = opened()
                assert script.seq == (stored[-1][0] + 1 if stored else 1)
                script.seq = max(script.seq, seq)
            case 2:
                logs._retention._keep(directory)
            case 3:
                script.log.rest()
            case 4:  # the oldest goes
                segments = list_segments(directory)
                if len(segments) > 3:
                    logs._retention.forget({directory: segments[1].first - 1})
                    logs._retention._keep(directory)
                    first = segments[1].first
                    stored = [line for line in stored if line[0] >= first]
                    script.stored = [line for line in script.stored if line[0] >= first]
            case _:
                lines = [f"line {'x' * chance.randrange(60)}ü" for _ in range(chance.choice([1, 1, 7, 90]))]
                assert script.write(*lines, stream=chance.choice(["stdout", "stderr"]))
        _check(logs, stored + script.stored, chance)
    assert any(segment.sealed for segment in list_segments(directory))
    for path in Path(directory).glob("*.gz"):
        assert gzip.decompress(path.read_bytes()).endswith(b"\n")  # zcat reads it


def _check(logs: Logs, lines: list[Stored], chance: random.Random) -> None:
    reader = logs.reader_of("a task/…")
    ends = (lines[0][0], lines[-1][0]) if lines else (0, 0)
    assert reader.ends() == ends
    seq = chance.randrange(ends[1] + 10)
    assert all_of(reader, seq) == [line for line in lines if line[0] >= seq]
    limit = chance.randrange(1, 120)
    stream = chance.choice(["", "stdout", "stderr"])
    fitting = [line for line in lines if stream in ("", line[2])]
    page = read_page(reader, LogQuery(limit, tail=limit, stream=stream))
    assert [tuple(line[:4]) for line in page.lines] == fitting[-limit:]
    page = read_page(reader, LogQuery(limit, from_seq=seq, stream=stream))
    assert [tuple(line[:4]) for line in page.lines] == [line for line in fitting if line[0] >= seq][:limit]
    more = read_page(reader, LogQuery(1000, from_seq=page.next_seq, stream=stream))
    assert [line[:4] for line in more.lines] == [
        line for line in fitting if line[0] >= seq and line not in [tuple(each[:4]) for each in page.lines]
    ][:1000]
    if lines:
        since = chance.choice(lines)[1]
        page = read_page(reader, LogQuery(limit, since=since, stream=stream))
        assert [tuple(line[:4]) for line in page.lines] == [line for line in fitting if line[1] >= since][
            :limit
        ]
