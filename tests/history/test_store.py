from __future__ import annotations

from dataclasses import asdict, replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from overseer.errors import OverseerError
from overseer.history.pages import Query
from overseer.history.records import Trigger
from overseer.history.stats import Division
from overseer.protocol import RetryPolicy
from overseer.util.timestamps import now
from tests.history.conftest import Open, a_run, all_runs, an_end


def test_a_run_is_there_from_its_start_on_and_complete_at_its_end(open_history: Open) -> None:
    history = open_history()
    run = a_run(params={"x": "é\ud800"}, trigger=Trigger("client", "ana"), first_seq=5)
    history.started(run)
    (shown,) = all_runs(history)
    assert (shown.status, shown.number, shown.started, shown.ended) == ("running", 1, run.started, None)
    assert shown.params == {"x": "é\ufffd"}
    end = an_end(exit_code=3, failed=True, last_seq=9, cpu_ms=7, max_rss=4096, signal="SIG\ud800")
    history.ended(run, end)
    (shown,) = all_runs(history)
    assert (shown.status, shown.reason, shown.exit_code, shown.ended) == ("failed", "exited", 3, end.at)
    assert (shown.first_seq, shown.last_seq, shown.cpu_ms, shown.max_rss) == (5, 9, 7, 4096)
    assert (shown.trigger.type, shown.trigger.by, shown.definition) == ("client", "ana", "abc")


@pytest.mark.parametrize(
    ("reason", "failed", "status"),
    [
        ("exited", False, "succeeded"),
        ("exited", True, "failed"),
        ("signal", True, "failed"),
        ("timeout", True, "failed"),
        ("stopped", True, "stopped"),
        ("shutdown", False, "stopped"),
    ],
)
def test_one_word_says_what_became_of_it(open_history: Open, reason: str, failed: bool, status: str) -> None:
    history = open_history()
    run = a_run()
    history.started(run)
    history.ended(run, an_end(reason=reason, failed=failed))
    assert all_runs(history)[0].status == status


def test_what_an_earlier_server_left_open_is_lost_exactly_once(open_history: Open) -> None:
    first = open_history("one")
    going, over = a_run("going"), a_run("over")
    for run in (going, over):
        first.started(run)
    first.ended(over, an_end())
    first.close()
    second = open_history("two")
    mine = a_run("mine")
    second.started(mine)
    lost = {run.task_id: run for run in all_runs(second)}["going"]
    assert (lost.status, lost.reason, lost.exit_code, lost.last_seq) == ("lost", "lost", -1, None)
    assert lost.ended is not None
    assert lost.ended >= going.started
    second.close()
    third = open_history("three")
    found = {run.task_id: run for run in all_runs(third)}
    assert found["going"] == lost, "it was closed once and for all"
    assert {task: run.status for task, run in found.items()} == {
        "going": "lost",
        "over": "succeeded",
        "mine": "lost",
    }


def test_numbers_and_seq_go_on_from_server_to_server(open_history: Open) -> None:
    first = open_history("one")
    for number in (1, 2):
        run = a_run(first_seq=first.last_seq("t") + 1)
        first.started(run)
        first.ended(run, an_end(last_seq=run.first_seq + 9))
        assert (run.number, first.last_seq("t")) == (number, 10 * number)
    crashed = a_run(first_seq=21)
    first.started(crashed)
    first.close()
    second = open_history("two")
    assert second.last_seq("t") == 10_020, "so many were set aside"
    assert second.last_seq("unheard of") == 0
    run = a_run(first_seq=10_021)
    second.started(run)
    assert run.number == 4


def test_numbers_are_set_aside_before_they_are_used(open_history: Open) -> None:
    first = open_history("one")
    run = a_run()
    first.started(run)
    seq = 0
    for _ in range(40):  # as a program that never stops writing has it
        seq = first.reserve(run, seq + 1)
    first.close()
    assert seq > 10**6, "the more it writes, the less often there is anything to set aside"
    assert open_history("two").last_seq("t") > seq


def test_a_start_that_failed_is_on_record(open_history: Open) -> None:
    history = open_history()
    run = a_run(started=now() - timedelta(hours=1))
    given = replace(run, number=1)
    history.start_failed(run, "no such program")
    assert asdict(run) == asdict(given), "it is its caller's"
    (shown,) = all_runs(history)
    assert shown.started == shown.ended
    assert (shown.status, shown.reason, shown.error) == ("failed", "start_failed", "no such program")
    assert (shown.exit_code, shown.duration_ms, shown.number) == (-1, 0, 1)


def test_what_was_running_is_known_to_the_next_server(open_history: Open) -> None:
    first = open_history("one")
    policy = RetryPolicy(restart_delay=5_000_000_000)
    runs = {
        name: a_run(name, policy=policy if name == "running" else None, params={"p": name})
        for name in ("running", "shutdown", "over", "restarts", "stopped", "called off", "twice")
    }
    for run in runs.values():
        first.started(run)
    first.ended(runs["shutdown"], an_end(reason="shutdown"))
    first.ended(runs["over"], an_end())
    first.ended(runs["restarts"], an_end(failed=True))
    first.goes_on(runs["restarts"])
    first.ended(runs["stopped"], an_end(reason="stopped"))
    first.called_off(runs["called off"])
    later = a_run("twice", params={"p": "later"})
    first.started(later)
    first.ended(later, an_end())
    first.close()
    second = open_history("two")
    found = {each.task_id: each for each in second.inherited.to_resume}
    assert set(found) == {"running", "shutdown", "restarts"}
    assert found["running"].policy == policy
    assert found["shutdown"].policy is None
    assert found["running"].params == {"p": "running"}
    assert (found["running"].server, found["running"].run_id) == ("one", runs["running"].run_id)
    second.recalled(found["running"])
    second.close()
    assert {each.task_id for each in open_history("three").inherited.to_resume} == {"shutdown", "restarts"}


def test_the_log_is_emptied_now_and_then(open_history: Open, directory: Path) -> None:
    history = open_history()
    sizes = []
    for number in range(1200):
        history.start_failed(a_run(f"t{number}", params={"text": "x" * 2000}), "no")
        if number % 20 == 0:
            all_runs(history, limit=1)
            sizes.append((directory / "overseer.db-wal").stat().st_size)
    assert any(later < earlier for earlier, later in pairwise(sizes))


def test_two_servers_cannot_have_one(open_history: Open) -> None:
    open_history("one")
    with pytest.raises(OverseerError, match="in use by another server"):
        open_history("two")


def test_one_that_is_removed_under_it_is_begun_anew_with_its_numbers(
    open_history: Open, directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    history = open_history("one")
    run = a_run()
    history.started(run)
    history.ended(run, an_end(last_seq=77))
    for path in directory.iterdir():
        path.unlink()
    directory.rmdir()
    run = a_run("another")
    history.started(run)
    assert [each.task_id for each in all_runs(history)] == ["another"]
    assert "is missing or was replaced; reopening it" in caplog.text
    history.close()
    assert open_history("two").last_seq("t") == 77


def test_pages_are_stable_while_runs_begin(open_history: Open) -> None:
    history = open_history()
    for number in range(25):
        run = a_run(f"t{number}")
        history.started(run)
        history.ended(run, an_end())
    seen: list[str] = []
    before: int | None = None
    while True:
        page, before = history.page(Query(limit=10, before=before))
        seen += [run.task_id for run in page]
        history.started(a_run("meanwhile"))
        if before is None:
            break
    assert seen == [f"t{number}" for number in reversed(range(25))]


def test_filters_and_what_may_be_seen(open_history: Open) -> None:
    history = open_history()
    for number in range(40):
        run = a_run(f"t{number % 4}", f"a{number % 2}")
        history.started(run)
        if number % 5:
            history.ended(
                run, an_end(failed=number % 3 == 0, reason="signal" if number % 7 == 0 else "exited")
            )
    everything = all_runs(history)

    def same(**query: str) -> bool:
        (name, wanted), *more = query.items()
        found = all_runs(history, **query)
        expected = [run for run in everything if getattr(run, name) == wanted]
        for name, wanted in more:
            expected = [run for run in expected if getattr(run, name) == wanted]
        return bool(found) and found == expected

    assert same(task_id="t1")
    assert same(action="a1")
    assert same(status="failed")
    assert same(status="running")
    assert same(reason="signal")
    assert same(task_id="t2", status="failed")
    assert same(action="a0", reason="exited", status="succeeded")
    moment = everything[20].started
    assert all_runs(history, since=moment) == [run for run in everything if run.started >= moment]
    assert all_runs(history, until=moment) == [run for run in everything if run.started < moment]
    seen = history.page(Query(limit=1000), lambda action: action == "a1")[0]
    assert seen == [run for run in everything if run.action == "a1"]
    assert history.page(Query(limit=1000, action="a0"), lambda action: action == "a1")[0] == []
    assert history.page(Query(limit=1000), lambda action: False)[0] == []


def test_a_period_longer_than_time_is_one(open_history: Open) -> None:
    history = open_history()
    since = now()
    for started in (since, since + timedelta(days=1)):
        history.started(a_run(started=started))
    (summed,) = history.sums(Query(since=since), None, Division(every=2**63 - 1))
    assert (summed.start, summed.runs) == (since, 2)
