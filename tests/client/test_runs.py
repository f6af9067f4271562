"""client.runs and task.runs; and tasks whose ids others have had."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from overseer.client import Client, RefusedError
from overseer.protocol import Gap
from tests.harness import Daemon, shell

_CODE = {"parameters": {"code": {"default": "0"}}}
ACTIONS = {"echo": shell("echo one; echo two; exit [[.code]]", config=_CODE)}


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with Daemon(actions=ACTIONS, data_dir="data") as daemon:
        yield daemon


@pytest.fixture
def client(daemon: Daemon) -> Iterator[Client]:
    with Client(daemon.url) as client:
        yield client


def test_runs_are_typed(client: Client) -> None:
    task = client.start("echo", task_id="typed", code=3)
    exited = task.wait(10)
    (run,) = task.runs()
    assert (run.task_id, run.status, run.exit_code, run.ended) == ("typed", "failed", 3, exited.ts)
    assert run.trigger.type == "client"
    assert client.runs("typed") == client.runs(task, since=timedelta(hours=1)) == (run,)
    assert client.runs(task, state="succeeded") == client.runs(task, reason="oom") == ()
    assert client.runs(task, action="echo", until=timedelta(hours=1)) == ()


def test_all_of_them_come_in_pages(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("overseer.client.requests.PAGE", 3)
    for _ in range(8):
        client.start("echo", task_id="many").wait(10)
    assert [run.number for run in client.runs("many", limit=0)] == [8, 7, 6, 5, 4, 3, 2, 1]
    assert [run.number for run in client.runs("many", limit=5)] == [8, 7, 6, 5, 4]


def test_the_lines_of_an_earlier_task_are_no_gap(client: Client) -> None:
    client.start("echo", task_id="again").wait(10)
    task = client.start("echo", task_id="again")
    events = list(task.events())
    assert not [event for event in events if isinstance(event, Gap)]
    assert task.last_seq == 4
    assert list(client.start("echo", task_id="again").lines()) == ["one", "two"]


def test_what_is_wrong_is_refused(client: Client) -> None:
    with pytest.raises(RefusedError, match="state must be"):
        client.runs(state="dead")
    with pytest.raises(ValueError, match="RFC 3339"):
        client.runs(until="soon")
    with (
        Daemon(actions=ACTIONS) as other,
        Client(other.url) as nothing,
        pytest.raises(RefusedError, match="has no data_dir"),
    ):
        nothing.runs()


def test_runs_are_summed_up_by_action_and_by_time(client: Client) -> None:
    since = datetime.now().astimezone()
    for code in (0, 0, 0, 7):
        client.start("echo", task_id="summed", code=code).wait(10)
    (all_of_them,) = client.run_stats("summed")
    assert (all_of_them.runs, all_of_them.succeeded, all_of_them.failed, all_of_them.running) == (4, 3, 1, 0)
    assert (all_of_them.action, all_of_them.start) == ("", None)
    took = sorted(run.duration_ms or 0 for run in client.runs("summed"))
    assert (all_of_them.duration_ms, all_of_them.median_ms, all_of_them.p95_ms) == (
        sum(took),
        took[1],
        took[3],
    )
    (hour,) = client.run_stats("summed", since=since, every=timedelta(hours=1), by_action=True)
    assert (hour.action, hour.runs) == ("echo", 4)
    assert hour.start is not None
    assert abs(hour.start - since) < timedelta(milliseconds=1)
    parts = client.run_stats("summed", since=since - timedelta(seconds=99), every="1s")
    assert sum(part.runs for part in parts) == 4
    assert all(part.start and (part.start - since).total_seconds() > -1.1 for part in parts)
    assert client.run_stats("summed", until=since) == ()


def test_what_cannot_be_divided_is_refused(client: Client) -> None:
    with pytest.raises(RefusedError, match="every needs since"):
        client.run_stats(every=1)
    with pytest.raises(RefusedError, match="more than 1000 periods"):
        client.run_stats(since=timedelta(hours=1), every=1)
