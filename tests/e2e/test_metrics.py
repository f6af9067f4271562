"""Counters: each thing that happens counts once, and where it belongs."""

from __future__ import annotations

import pytest

from tests.harness import WsClient, shell

_QUEUE = {"enabled": True, "size": 1}
_SLEEP = "echo ready; exec sleep 60"
ACTIONS = {
    "lines": shell("seq 1 20; seq 1 5 >&2; exit 1"),
    "sleep": shell(_SLEEP),
    "displacing": shell(_SLEEP, task_pool={"limit": 1, "queue": {**_QUEUE, "displace": True}}),
    "expiring": shell(_SLEEP, task_pool={"limit": 1, "queue": {**_QUEUE, "max_age": 0.1}}),
    "requeued": shell(_SLEEP, task_pool={"limit": 1, "queue": _QUEUE, "excess": {"action": "requeue"}}),
    "none": {"type": "exec", "config": {"entrypoint": "/no/such/program"}},
}


class Counters:
    """The counters of the whole server since a test began."""

    def __init__(self, client: WsClient) -> None:
        self._client = client
        self._before = self._read()

    def have_moved(self, **by: int) -> None:
        """Check how far they have moved since; those that are not named, not at all."""
        now = self._read()
        assert by == {
            name: value - self._before[name] for name, value in now.items() if value != self._before[name]
        }

    def _read(self) -> dict[str, int]:
        return dict(self._client.request("metrics")["global"])


@pytest.fixture
def counters(client: WsClient) -> Counters:
    return Counters(client)


def test_an_errored_task_counts_its_exits_restarts_lines_and_itself_once(
    client: WsClient, counters: Counters
) -> None:
    client.send("start", action="lines", task_id="t", retry_policy={"error_threshold": 3})
    client.expect("errored", task_id="t")
    counters.have_moved(
        tasks_started=1, tasks_completed=3, tasks_errored=1, tasks_restarted=2, total_output_lines=75
    )
    client.request("reset", task_id="t")
    client.expect("errored", task_id="t")
    # A start by a reset is no first start; its exits begin at zero again.
    moved = {"tasks_started": 1, "tasks_completed": 6, "tasks_errored": 2, "tasks_restarted": 4}
    moved["total_output_lines"] = 150
    counters.have_moved(**moved)
    assert client.request("metrics", action="lines")["action"] == moved
    task = client.request("metrics", task_id="t")["task"]
    assert (task["output_lines"], task["restart_count"], task["last_exit_code"]) == (150, 4, 1)
    assert 0 < task["runtime_ms"] < 20_000
    assert set(client.request("metrics", action="none")["action"].values()) == {0}


def test_what_goes_through_a_queue_counts_in_and_out(client: WsClient, counters: Counters) -> None:
    for task_id in ("a", "b", "c"):
        client.request("start", action="displacing", task_id=task_id)
    client.expect("output", task_id="a")
    counters.have_moved(tasks_started=1, enqueued=2, dequeued=1, displaced=1, total_output_lines=1)
    client.send("stop", task_id="a")
    client.expect("started", task_id="c")
    client.expect("output", task_id="c")
    counters.have_moved(
        tasks_started=2, tasks_completed=1, enqueued=2, dequeued=2, displaced=1, total_output_lines=2
    )
    client.request("start", action="displacing", task_id="d")
    client.send("stop", task_id="d")
    client.request("start", action="displacing", task_id="e")
    client.request("purge")
    client.request("start", action="expiring", task_id="f")
    client.request("start", action="expiring", task_id="g")
    client.expect("dequeued", task_id="g", reason="expired")
    client.expect("output", task_id="f")
    counters.have_moved(
        **{"tasks_started": 3, "tasks_completed": 1, "enqueued": 5, "dequeued": 5, "displaced": 1},
        **{"expired": 1, "total_output_lines": 3},
    )


def test_a_requeued_task_is_no_first_start_when_it_runs_again(client: WsClient, counters: Counters) -> None:
    client.request("set_pool", action="requeued", limit=2)
    for task_id in ("a", "b"):
        client.request("start", action="requeued", task_id=task_id)
        client.expect("output", task_id=task_id)
    client.request("set_pool", action="requeued", limit=1)
    client.expect("queued", task_id="a")
    client.request("set_pool", action="requeued", limit=2)
    client.expect("output", task_id="a")
    counters.have_moved(tasks_started=2, tasks_completed=1, enqueued=1, dequeued=1, total_output_lines=3)


def test_a_start_that_is_refused_counts_nowhere(client: WsClient, counters: Counters) -> None:
    client.request("start", action="none")
    client.request("start", action="nope")
    client.request("start", action="sleep", params={"x": 1})
    counters.have_moved()


def test_a_task_that_runs_has_no_exit_code_and_its_time_grows(client: WsClient) -> None:
    client.request("start", action="sleep", task_id="t")
    client.expect("output", task_id="t")
    first = client.request("metrics", task_id="t")["task"]
    assert (first["output_lines"], first["last_exit_code"]) == (1, None)
    while client.request("metrics", task_id="t")["task"]["runtime_ms"] <= first["runtime_ms"]:
        pass
    client.send("stop", task_id="t")
    client.expect("exited", task_id="t")
    ended = client.request("metrics", task_id="t")["task"]
    assert (ended["runtime_ms"] > first["runtime_ms"], ended["last_exit_code"]) == (True, -1)
    assert client.request("metrics", task_id="t")["task"] == ended
