"""What is damaged costs what it held: what comes before and after can be read, and numbers go on."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from overseer.logs import retention
from overseer.logs.query import LogQuery, read_page
from overseer.logs.search import Searches, SearchQuery
from overseer.logs.standalone.segments import list_segments
from overseer.logs.store import Logs
from tests.logs.conftest import MakeLogs, Script, all_of


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("overseer.logs.standalone.segments.BLOCK", 1200)
    monkeypatch.setattr("overseer.logs.tasklog.BLOCK", 1200)
    monkeypatch.setattr(retention, "SETTLED_S", 0.0)


@pytest.fixture
def logs(make_logs: MakeLogs) -> Logs:
    return make_logs(segment=6000)


@pytest.fixture
def script(logs: Logs) -> Script:
    """Three segments of fifty lines, two of them compressed in blocks of ten."""
    script = Script(logs.log_of("t"))
    for _ in range(15):
        script.write(*("x" * 90 for _ in range(10)))
    logs._retention._keep(logs.directory_of("t"))
    packed = [segment.packed for segment in list_segments(logs.directory_of("t"))]
    assert packed == ["gz", "gz", ""]
    return script


def path_of(logs: Logs, first: int, ending: str) -> Path:
    return Path(logs.directory_of("t")) / f"{first:020}.{ending}"


def spoil(path: Path, begin: int, size: int) -> None:
    with path.open("r+b") as file:
        file.seek(begin)
        file.write(b"\xff" * size)


def a_bad_page(monkeypatch: pytest.MonkeyPatch, path: Path, bad: int) -> None:
    """Have the file read as Linux reads one with a bad page: up to it, and then not at all."""
    real, number = os.pread, path.stat().st_ino

    def read(file: int, wanted: int, offset: int) -> bytes:
        if os.fstat(file).st_ino != number or not offset <= bad < offset + wanted:
            return real(file, wanted, offset)
        if offset == bad:
            raise OSError(errno.EIO, "Input/output error")
        return real(file, bad - offset, offset)

    monkeypatch.setattr(os, "pread", read)


def test_a_damaged_block_is_a_hole(logs: Logs, script: Script, caplog: pytest.LogCaptureFixture) -> None:
    index = json.loads(path_of(logs, 1, "idx").read_text())
    first, offset, size, *_ = index["blocks"][1]
    spoil(path_of(logs, 1, "log.gz"), offset, size)
    reader = logs.reader_of("t")
    left = [line for line in script.stored if not first <= line[0] < first + 10]
    assert all_of(reader) == left
    assert f"lines from {first} on are lost" in caplog.text
    assert [text.first for text in reader.backward()] == [line[0] for line in left[::10]][::-1]
    assert reader.why_not(first) == "unreadable"
    page = read_page(reader, LogQuery(1000, from_seq=1))
    assert [line.seq for line in page.lines] == [line[0] for line in left]
    assert page.next_seq == 151


@pytest.mark.parametrize("number", [0, 2, 4])
def test_a_search_goes_on_beside_a_damaged_block(logs: Logs, script: Script, number: int) -> None:
    first, offset, size, *_ = json.loads(path_of(logs, 51, "idx").read_text())["blocks"][number]
    spoil(path_of(logs, 51, "log.gz"), offset, size)
    matches = Searches(logs.root).search(SearchQuery("x", False, 1000)).matches
    left = {line[0] for line in script.stored if not first <= line[0] < first + 10}
    assert {match.seq for match in matches} == left


def test_an_index_that_is_lost_is_made_again(make_logs: MakeLogs, logs: Logs, script: Script) -> None:
    for garbage in (None, b"", b"{}", b"\xff" * 100):
        for first in (1, 51):
            path = path_of(logs, first, "idx")
            path.unlink(missing_ok=True)
            if garbage is not None:
                path.write_bytes(garbage)
        assert all_of(logs.reader_of("t")) == script.stored
    path_of(logs, 101, "log").unlink()  # so that the last one is such
    again = Script(make_logs(segment=6000).log_of("t"))
    assert again.seq == 101
    assert again.write("goes on")


def test_an_index_that_says_too_much_is_not_believed(logs: Logs, script: Script) -> None:
    """After a power cut a file may be shorter than what was written beside it says."""
    script.write(*("x" * 90 for _ in range(10)))  # the third segment has ended, and is indexed
    assert path_of(logs, 101, "idx").exists()
    path = path_of(logs, 101, "log")
    os.truncate(path, path.stat().st_size - 1000)
    assert [line[0] for line in all_of(logs.reader_of("t"))] == [*range(1, 143), *range(151, 161)]


@pytest.mark.parametrize(
    "time", [b"2026-02-31T07:08:09.123456Z", b"2026-13-01T07:08:09.123456Z", b"9999-99-99T99:99:99.999999Z"]
)
def test_a_time_that_there_is_not_is_text(logs: Logs, time: bytes) -> None:
    script = Script(logs.log_of("t"))
    script.write("one", "two")
    script.log.rest()
    logs._threads.do(lambda: None)
    path = path_of(logs, 1, "log")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(time + lines[0][27:] + lines[1])
    first, second = read_page(logs.reader_of("t"), LogQuery(10, from_seq=1)).lines
    assert first.data == f"{time.decode()} stdout F one"
    assert second.data == "two"


def test_a_segment_that_has_ended_is_indexed_at_once(logs: Logs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else each look into a flood that is not compressed yet would read a whole segment."""
    script = Script(logs.log_of("t"))
    for _ in range(15):
        script.write(*("x" * 90 for _ in range(10)))
    monkeypatch.setattr("overseer.logs.standalone.segments.scan", None)
    assert all_of(logs.reader_of("t")) == script.stored


def test_an_index_that_a_power_cut_has_emptied_costs_nothing(
    make_logs: MakeLogs, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not synced when a segment ends; the next server makes it again, and knows whose the lines are."""
    monkeypatch.setattr(retention, "SETTLED_S", 3600.0)
    script = Script(logs.log_of("t"))
    for _ in range(15):
        script.write(*("x" * 90 for _ in range(10)))
    for first in (1, 51):
        path_of(logs, first, "idx").write_bytes(b"")
    reader = logs.reader_of("t")
    assert all_of(reader) == script.stored
    assert {run.run_id for text in reader.forward(1) for run in text.runs} == {"run-1"}
    monkeypatch.setattr(retention, "SETTLED_S", 0.0)
    logs.close()
    after = make_logs(compress="none")
    after._retention._keep(after.directory_of("t"))
    assert [path_of(after, first, "idx").stat().st_size > 0 for first in (1, 51)] == [True, True]
    assert not path_of(after, 1, "runs").exists()
    assert all_of(after.reader_of("t")) == script.stored


@pytest.mark.parametrize("bad", [0, 1234, 2500])
def test_a_log_whose_end_the_disk_cannot_read_goes_on_in_another_segment(
    make_logs: MakeLogs, monkeypatch: pytest.MonkeyPatch, bad: int
) -> None:
    script = Script(make_logs().log_of("t"))
    for _ in range(3):
        script.write(*("x" * 90 for _ in range(10)))
    path = path_of(make_logs(), 1, "log")
    size = path.stat().st_size
    a_bad_page(monkeypatch, path, bad)
    logs = make_logs()
    later = Script(logs.log_of("t"))
    assert later.seq > script.seq  # so that no number is used twice
    assert later.write("on", "and on")
    assert path.stat().st_size == size
    before = [line for line in script.stored if line[0] <= bad // 127]
    reader = logs.reader_of("t")
    assert all_of(reader) == before + later.stored
    assert reader.ends() == (1, later.seq - 1)
    assert reader.why_not(31) == "unreadable"


@pytest.mark.parametrize("bad", [0, 1300, 5100])
def test_what_the_disk_cannot_read_hides_nothing_that_follows(
    make_logs: MakeLogs, monkeypatch: pytest.MonkeyPatch, bad: int
) -> None:
    """Of how many lines a segment without an index had, the name of the next one tells the most."""
    script = Script(make_logs(segment=6000, compress="none").log_of("t"))
    for _ in range(11):
        script.write(*("x" * 500 for _ in range(30)))  # long ones, of whose bytes there could be many more
        script.log.begin_segment()
    logs = make_logs()
    for path in Path(logs.directory_of("t")).glob("*.idx"):
        path.unlink()
    first = 31
    path = path_of(logs, first, "log")
    a_bad_page(monkeypatch, path, bad * path.stat().st_size // 6000)
    reader = logs.reader_of("t")
    found = all_of(reader)
    assert [line for line in found if line[0] >= first + 30] == script.stored[first + 29 :]
    assert reader.why_not(first + 29) == "unreadable"
    assert reader.range_of("run-1") == (1, 330)


@pytest.mark.parametrize("harm", ["unreadable", "garbage", "cut"])
def test_a_log_whose_compressed_end_is_lost_goes_on_in_another_segment(
    make_logs: MakeLogs, logs: Logs, script: Script, monkeypatch: pytest.MonkeyPatch, harm: str
) -> None:
    path_of(logs, 101, "log").unlink()
    path_of(logs, 51, "idx").unlink()
    path = path_of(logs, 51, "log.gz")
    if harm == "unreadable":
        a_bad_page(monkeypatch, path, 0)
    elif harm == "garbage":
        spoil(path, 0, path.stat().st_size)
    else:
        os.truncate(path, 20)
    again = make_logs()
    later = Script(again.log_of("t"))
    assert later.seq > 100, "no number is used twice"
    assert later.write("on", "and on")
    again._retention._look(None)
    reader = again.reader_of("t")
    assert all_of(reader) == script.stored[:50] + later.stored
    assert reader.ends() == (1, later.seq - 1)
    assert reader.why_not(60) == "unreadable"


@pytest.mark.parametrize("ending", ["idx", "runs", "log"])
def test_a_pipe_in_the_place_of_a_file_holds_up_nobody(
    make_logs: MakeLogs, logs: Logs, script: Script, ending: str
) -> None:
    first = 101 if ending == "runs" else 51
    (there,) = Path(logs.directory_of("t")).glob(f"{first:020}.{ending}*")
    there.unlink()
    os.mkfifo(there)
    stored = [line for line in script.stored if ending != "log" or not 51 <= line[0] < 101]
    assert all_of(logs.reader_of("t")) == stored
    after = make_logs()
    later = Script(after.log_of("t"))
    assert later.write("on")
    assert all_of(after.reader_of("t"), 101) == [*script.stored[100:], *later.stored]


def test_a_log_that_never_stays_the_same_is_an_error_and_not_its_end(
    logs: Logs, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> None:
        raise FileNotFoundError(2, "gone")

    monkeypatch.setattr("overseer.logs.reader.Opened", gone)
    with pytest.raises(FileNotFoundError):
        list(logs.reader_of("t").forward(1))
    with pytest.raises(FileNotFoundError):
        list(logs.reader_of("t").backward())
    with pytest.raises(FileNotFoundError):
        logs.reader_of("t").ends()


def test_pages_of_a_run_come_to_an_end(logs: Logs, script: Script) -> None:
    """Whoever goes on at next_seq while that is in the log gets there, also of a run that has no line."""
    script.log.begin_run(8, "run-2", "act")
    script.write("of the second")
    for run_id, wanted in (("run-1", 150), ("run-2", 1), ("nobody", 0)):
        seqs: list[int] = []
        seq = 0
        for _ in range(5):
            page = read_page(logs.reader_of("t"), LogQuery(100, from_seq=seq, run_id=run_id))
            seqs += [line.seq for line in page.lines]
            seq = page.next_seq
            if seq > page.last_seq:
                break
        assert len(seqs) == wanted
        assert seq > page.last_seq


@pytest.mark.parametrize(
    "damage",
    [
        {"end": "x"},
        {"end": 0},
        {"blocks": [["a", "b", "c", "d"]]},
        {"blocks": [[1, 0, 10, None]]},
        {"blocks": [[1, -1, 5, "z"]]},
        {"blocks": [[1, 0, -5, "z"]]},
        {"runs": [["a", 2, "run", "act"]]},
    ],
    ids=json.dumps,
)
def test_an_index_that_cannot_be_is_not_believed(
    logs: Logs, script: Script, damage: dict[str, object]
) -> None:
    path = path_of(logs, 51, "idx")
    path.write_text(json.dumps({**json.loads(path.read_text()), **damage}))
    reader = logs.reader_of("t")
    assert all_of(reader) == script.stored
    assert reader.why_not(60) == "unreadable"  # it is there
    matches = Searches(logs.root).search(SearchQuery("x", False, 1000)).matches
    assert [match.seq for match in matches] == [line[0] for line in reversed(script.stored)]


def test_an_index_of_a_block_larger_than_memory_costs_the_block(logs: Logs, script: Script) -> None:
    path = path_of(logs, 51, "idx")
    index = json.loads(path.read_text())
    index["blocks"][-1][2] = 2**62
    path.write_text(json.dumps(index))
    assert all_of(logs.reader_of("t")) == [line for line in script.stored if not 91 <= line[0] <= 100]


@pytest.mark.parametrize("kind", ["link", "directory"])
@pytest.mark.parametrize("first", [51, 101])
def test_what_takes_the_place_of_a_segment_costs_what_it_held(
    make_logs: MakeLogs, logs: Logs, script: Script, first: int, kind: str
) -> None:
    script.log.rest()
    logs._threads.do(lambda: None)
    path = path_of(logs, first, "log.gz" if first == 51 else "log")
    path.unlink()
    if kind == "link":
        path.symlink_to("/dev/null")
    else:
        path.mkdir()
    again = make_logs(segment=6000)
    left = [line for line in script.stored if not first <= line[0] < first + 50]
    assert all_of(again.reader_of("t")) == left
    again.start()  # its retention is not in the way
    log = again.log_of("t")
    assert log.open() == left[-1][0]
    assert log.append(151, log.entry(left[0][1], "stdout", ["goes on"], False))
    assert [line[0] for line in all_of(again.reader_of("t"))][-1] == 151


def test_lines_without_a_time_are_found(logs: Logs) -> None:
    """A power cut may leave zeros."""
    script = Script(logs.log_of("t"))
    script.write("one needle", "two needle")
    script.log.rest()
    logs._threads.do(lambda: None)
    spoil(path_of(logs, 1, "log"), 0, 20)
    page = read_page(logs.reader_of("t"), LogQuery(10, from_seq=1))
    matches = Searches(logs.root).search(SearchQuery("needle", False, 10)).matches
    found = [(match.seq, match.ts, match.stream, match.data) for match in reversed(matches)]
    assert found == [(line.seq, line.ts, line.stream, line.data) for line in page.lines]
