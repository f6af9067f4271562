"""Searching: what is found, in which order, page by page, and within which time."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path

import pytest

from overseer.errors import RequestError
from overseer.logs import retention
from overseer.logs.sealing import seal
from overseer.logs.search import Searches, SearchQuery
from overseer.logs.standalone.segments import beside, list_segments, read_index
from overseer.logs.store import Logs
from overseer.util.timestamps import format_timestamp, now
from tests.harness import allowed
from tests.logs.conftest import MakeLogs, Script


@pytest.fixture
def logs(make_logs: MakeLogs, monkeypatch: pytest.MonkeyPatch) -> Logs:
    """Two tasks; of one, lines that are compressed and lines that are not."""
    monkeypatch.setattr(retention, "SETTLED_S", 0.0)
    logs = make_logs(segment=3000)
    moment = now() - timedelta(hours=1)
    for name, action in (("a", "build"), ("b", "deploy")):
        script = Script(logs.log_of(name))
        script.log.begin_run(1, f"run-{name}", action)
        for number in range(20):
            at = moment + timedelta(minutes=number + (30 if name == "b" else 0))
            script.write(*(f"{name} {number} {each} stdout ü" for each in range(10)), at=at)
        logs._retention._keep(logs.directory_of(name))
    return logs


def found(logs: Logs, query: str, *, regex: bool = False, limit: int = 1000, **more: object) -> list[str]:
    searches = Searches(logs.root)
    return [m.data for m in searches.search(SearchQuery(query, regex, limit, **more)).matches]  # type: ignore[arg-type]


def test_it_finds_what_a_list_has_the_last_first(logs: Logs) -> None:
    assert found(logs, "b 19 ") == [f"b 19 {each} stdout ü" for each in reversed(range(10))]
    assert len(found(logs, "stdout")) == 400  # not in what the log has put before the lines
    assert not found(logs, "stderr")
    assert not found(logs, "stdout F")
    assert found(logs, "7 3 stdout ü", task_id="a") == ["a 17 3 stdout ü", "a 7 3 stdout ü"]
    assert found(logs, "^a 1[67] 3", regex=True) == ["a 17 3 stdout ü", "a 16 3 stdout ü"]
    assert found(logs, "ü$", regex=True, action="deploy", limit=1) == ["b 19 9 stdout ü"]
    assert not found(logs, "a 1", scope=("dep*",))


def test_pages_give_the_same_as_all_at_once(logs: Logs) -> None:
    searches = Searches(logs.root)
    everything = searches.search(SearchQuery("5", False, 1000)).matches
    pages = []
    after = ""
    while True:
        page = searches.search(SearchQuery("5", False, 7, after=after))
        pages += page.matches
        after = page.following
        if not after:
            break
        Script(logs.log_of("a")).write("more 5")  # what comes meanwhile changes nothing
    assert [match for match in pages if match.data != "more 5"] == everything


def test_times(logs: Logs) -> None:
    (match,) = Searches(logs.root).search(SearchQuery("a 7 0", False, 10)).matches
    assert found(logs, " 0 stdout", since=match.ts, until=match.ts) == ["a 7 0 stdout ü"]
    assert len(found(logs, "a ", since=match.ts)) == 130
    assert len(found(logs, "a ", until=match.ts)) == 80
    assert not found(logs, "a ", since=format_timestamp(now()))


def test_a_clock_that_was_set_back_hides_no_line(make_logs: MakeLogs) -> None:
    """Neither in a log that is written, nor in one that is found again, nor in a compressed segment."""
    logs = make_logs()
    moment = now()
    early = moment - timedelta(hours=2)
    script = Script(logs.log_of("a"))
    script.write("late", at=moment)
    script.write("early", at=early)
    script.write("late again", at=moment)
    until = format_timestamp(moment - timedelta(hours=1))
    assert found(logs, "a", until=until) == ["early"]
    script.log.begin_segment()
    script.write("next", at=moment)
    assert found(logs, "a", until=until) == ["early"]
    first = list_segments(logs.directory_of("a"))[0]
    (block,) = read_index(logs.directory_of("a"), first).blocks  # type: ignore[union-attr]
    assert (block.latest, block.earliest) == (format_timestamp(moment), format_timestamp(early))
    Path(logs.directory_of("a"), beside(first.first, "idx")).unlink()
    assert seal(logs.directory_of("a"), first, "gzip")
    sealed = list_segments(logs.directory_of("a"))[0]
    assert sealed.packed
    assert read_index(logs.directory_of("a"), sealed).blocks[0][3:] == block[3:]  # type: ignore[union-attr]
    assert found(logs, "a", until=until) == ["early"]


def test_what_is_wrong_is_said(logs: Logs) -> None:
    for query in (
        SearchQuery("(", True, 10),
        SearchQuery("a\nb", False, 10),
        SearchQuery("a", False, 10, after="nonsense"),
    ):
        with pytest.raises(RequestError):
            Searches(logs.root).search(query)


def test_an_expression_that_takes_for_ever_does_not(make_logs: MakeLogs) -> None:
    logs = make_logs()
    Script(logs.log_of("t")).write("a" * 60 + "b")
    begun = time.monotonic()
    with pytest.raises(RequestError, match="within 1 s"):
        Searches(logs.root, deadline=1.0).search(SearchQuery("^(a+)+$", True, 10))
    assert time.monotonic() - begun < allowed(10.0)


def test_where_nothing_was_ever_logged_nothing_is_found(make_logs: MakeLogs) -> None:
    assert not found(make_logs(), "x")
    assert not found(make_logs(), "x", task_id="nobody")


def test_a_directory_that_cannot_be_listed_hides_no_other(logs: Logs) -> None:
    (Path(logs.root) / "loop").symlink_to("loop")
    assert found(logs, "b 19 0") == ["b 19 0 stdout ü"]
