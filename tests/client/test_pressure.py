"""Readers that are slower than their tasks, and many threads."""

from __future__ import annotations

import threading
import time
import tracemalloc
from pathlib import Path

import pytest

from overseer.client import Client, ConnectFailedError, LinesMissedError, Task
from overseer.protocol import Exited, Gap, Output
from tests.client.proxy import Proxy
from tests.client.test_faults import Count, follow
from tests.harness import Daemon

WAIT_S = 30


def dedicated(client: Client) -> int:
    return len(client._shared.dedicated)


def written(client: Client, task: Task) -> int:
    """How many lines of a task's output the server has read."""
    return client.metrics(task_id=task.id).output_lines  # type: ignore[union-attr]


def wait_for_move(client: Client) -> None:
    """Wait until a slow reader's task has moved to a connection of its own."""
    deadline = time.monotonic() + WAIT_S
    while not dedicated(client):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_slow_reader_loses_nothing_and_holds_up_nobody_else(daemon: Daemon):
    with Client(daemon.url, buffer=50_000) as client:
        slow = client.start("count", n="30000")
        events = slow.events(WAIT_S)
        count = Count().add(next(events) for _ in range(3))
        wait_for_move(client)
        assert dedicated(client) == 1
        for _ in range(5):
            assert follow(client.start("count", n="5000")).lines == 5000
        for index, event in enumerate(events):
            count.add([event])
            if index % 1000 == 0:
                time.sleep(0.002)
        assert (count.last, count.missing, len(count.exits)) == (30000, 0, 1)
        assert slow.wait(WAIT_S).exit_code == 0


def test_the_task_waits_for_its_reader_and_memory_stays(daemon: Daemon):
    with Client(daemon.url, buffer=100_000) as client:
        task = client.start("flood")
        lines = task.lines(timeout=WAIT_S)
        next(lines)
        # Until it has got no further while others came and went: then the task waits.
        before, since = 0, time.monotonic()
        deadline = since + WAIT_S
        while not before or time.monotonic() - since < 0.3:
            assert time.monotonic() < deadline
            client.start("echo").wait(WAIT_S)
            if (now := written(client, task)) != before:
                before, since = now, time.monotonic()
        tracemalloc.start()
        assert follow(client.start("count", n="5000")).lines == 5000
        grown, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert grown < 300_000
        for _ in range(30_000):
            assert next(lines) == "y"
        task.stop()
        lines.close()
        assert task.wait(WAIT_S).signal == "SIGTERM"


def test_nobody_reading_a_task_does_not_hold_it_up(daemon: Daemon):
    with Client(daemon.url, buffer=20_000) as client:
        task = client.start("count", n="30000")
        assert task.wait(WAIT_S).exit_code == 0
        events = list(task.events(WAIT_S))
        (gap,) = [event for event in events if isinstance(event, Gap)]
        kept = [event.seq for event in events if isinstance(event, Output)]
        assert (gap.from_seq, gap.to_seq, kept[-1]) == (1, kept[0] - 1, 30_000)
        assert len(kept) < 100


def test_a_reader_that_leaves_holds_up_nobody(daemon: Daemon):
    with Client(daemon.url, buffer=20_000) as client:
        task = client.start("count", n="60000")
        for _ in task.lines(timeout=WAIT_S):
            break
        assert task.wait(WAIT_S).exit_code == 0


def test_lines_that_are_lost_raise_and_can_be_passed_over(daemon: Daemon):
    with Client(daemon.url, buffer=20_000) as client:
        task = client.start("count", n="10000")
        task.wait(WAIT_S)
        with pytest.raises(LinesMissedError) as caught:
            list(task.lines(timeout=WAIT_S))
        rest = [int(line) for line in task.lines(timeout=WAIT_S)]
        assert rest == list(range(caught.value.to_seq + 1, 10001))


def test_who_asks_for_it_loses_lines_and_is_told(daemon: Daemon):
    with Client(daemon.url, buffer=20_000) as client:
        task = client.start("count", n="50000", on_lag="drop")
        count = Count()
        for index, event in enumerate(task.events(WAIT_S)):
            count.add([event])
            deadline = time.monotonic() + WAIT_S
            while index == 5 and written(client, task) < 50_000:
                assert time.monotonic() < deadline
        assert count.last == 50_000
        assert count.missing > 0
        assert dedicated(client) == 0
        again = client.start("count", n="20000", on_lag="drop")
        again.wait(WAIT_S)
        assert list(again.lines(timeout=WAIT_S))[-1] == "20000"


def test_a_move_waits_for_what_is_under_way(daemon: Daemon):
    """The dedicated connection has its first lines long before the shared one has delivered its last."""
    with Proxy(daemon.address) as proxy, Client(proxy.url, buffer=50_000) as client:
        proxy.on_second = proxy.first.clear
        proxy.on_second_passed = proxy.first.set
        task = client.start("slow-wide", n="1500")
        count = Count()
        for index, event in enumerate(task.events(WAIT_S)):
            count.add([event])
            if index == 0:
                proxy.wait_connections(2)
        assert proxy.connections == 2
        assert proxy.first.is_set()
        assert (count.last, count.missing, len(count.exits)) == (1500, 0, 1)


def test_the_lane_is_cut_too(daemon: Daemon):
    with Proxy(daemon.address) as proxy, Client(proxy.url, buffer=50_000) as client:
        task = client.start("count", n="100000")
        count = Count()
        cut = False
        for index, event in enumerate(task.events(WAIT_S)):
            count.add([event])
            if index == 30_000:
                wait_for_move(client)  # nobody reads meanwhile, and there is far more to come than is kept
                proxy.cut()
                cut = True
        assert cut
        assert (count.last, len(count.exits)) == (100_000, 1)


def test_a_lane_that_is_lost_for_good_before_the_task_has_moved_there_leaves_it_where_it_was(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("overseer.client.backpressure.ALIVE_S", 0.05)
    with Proxy(daemon.address) as proxy, Client(proxy.url, buffer=50_000, reconnect=0) as client:

        def lose_it() -> None:
            proxy.first.clear()
            proxy.budget = 20_000  # from this connection on

        proxy.on_second = lose_it
        task = client.start("slow-wide", n="3000")
        count = Count()
        for index, event in enumerate(task.events(WAIT_S)):
            count.add([event])
            if index == 0:
                wait_for_move(client)
                proxy.wait_connections(2)
                deadline = time.monotonic() + WAIT_S
                while dedicated(client):
                    assert time.monotonic() < deadline
                    time.sleep(0.01)
                proxy.first.set()
        assert (count.last, len(count.exits)) == (3000, 1)


@pytest.mark.parametrize("seconds", [0.0, 0.002])
def test_tasks_are_moved_at_any_moment_without_a_loss(daemon: Daemon, seconds: float):
    with Client(daemon.url, buffer=5_000) as client:
        tasks = [client.start("count", n="8000") for _ in range(4)]
        counts: list[Count] = []

        def read(task) -> None:
            count = Count()
            for index, event in enumerate(task.events(WAIT_S)):
                count.add([event])
                if index % 500 == 0:
                    time.sleep(seconds)
            counts.append(count)

        threads = [threading.Thread(target=read, args=(task,)) for task in tasks]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(WAIT_S)
        # A reader comes late to its first lines: they may be lost, and told of, before it has begun.
        assert [(count.last, len(count.exits)) for count in counts] == [(8000, 1)] * 4


def test_many_threads_use_one_client(daemon: Daemon):
    failures: list[BaseException] = []

    def work(client: Client, number: int) -> None:
        try:
            for turn in range(5):
                task = client.start("count", task_id=f"w{number}-{turn}", n="300")
                action = ("count", "echo", "sleep")[number % 3]
                assert [info.name for info in client.actions(action)] == [action]
                count = follow(task)
                assert (count.last, count.missing) == (300, 0)
                assert isinstance(task.wait(WAIT_S), Exited)
                assert client.metrics(task_id=task.id).output_lines == 300  # type: ignore[union-attr]
                assert len(client.replay(task.id)) == 100
        except BaseException as error:
            failures.append(error)

    with Client(daemon.url) as client:
        threads = [threading.Thread(target=work, args=(client, number)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30.0)
        assert not failures


def test_a_server_is_not_sent_requests_without_end(daemon: Daemon):
    with Proxy(daemon.address) as proxy, Client(proxy.url, timeout=0.05) as client:
        proxy.pause()
        huge = {"text": "x" * 100_000}
        kinds = set()
        for _ in range(400):
            try:
                client.start("echo", huge, task_id="one-of-many", timeout=0.001)
            except Exception as error:
                kinds.add(type(error).__name__)
                if "requests pile up" in str(error):
                    break
        assert kinds == {"ReplyTimeoutError", "ConnectionLostError"}
        proxy.resume()


def test_without_a_thread_for_a_lane_lines_are_lost_and_nothing_else(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
):
    tried = threading.Event()
    start = threading.Thread.start

    def no_more_lanes(thread: threading.Thread) -> None:
        if thread.name.startswith("overseer-client"):
            tried.set()
            raise RuntimeError("can't start new thread")
        start(thread)

    with Client(daemon.url, buffer=50_000) as client:
        monkeypatch.setattr(threading.Thread, "start", no_more_lanes)
        before = set(Path("/proc/self/fd").iterdir())
        task = client.start("count", n="60000")
        count = Count()
        for event in task.events(WAIT_S):
            count.add([event])
            if count.lines == 1:
                assert tried.wait(WAIT_S)
        assert (count.last, len(count.exits)) == (60_000, 1)
        assert count.missing > 0
        assert client.tasks()
        assert dedicated(client) == 0
        assert set(Path("/proc/self/fd").iterdir()) <= before
        with pytest.raises(ConnectFailedError, match="new thread"):
            Client(daemon.url)
