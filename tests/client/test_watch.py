"""Watching all tasks with the library: a picture that stays true, over lost connections and slow readers."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from overseer.client import Client, ClientError, ClosedError, ConnectionLostError, ReplyTimeoutError, Watch
from overseer.protocol import (
    Changed,
    Event,
    Exited,
    Forgotten,
    Gap,
    Output,
    Started,
    TaskInfo,
    Usage,
    Watching,
)
from tests.client.conftest import ACTIONS
from tests.client.proxy import Proxy
from tests.faults.support import wait_until
from tests.harness import Daemon

WAIT_S = 30


@pytest.fixture
def other(daemon: Daemon) -> Iterator[Client]:
    with Client(daemon.url) as client:
        yield client


def exits(watch: Watch, task_id: str, events: Iterator[Event]) -> list[Event]:
    """What comes of a task up to its exit."""
    heard: list[Event] = []
    for event in events:
        row = getattr(event, "task", None)
        if task_id in (getattr(event, "task_id", ""), row.task_id if isinstance(row, TaskInfo) else ""):
            heard.append(event)
        if isinstance(event, Exited) and event.task_id == task_id:
            return heard
    raise AssertionError(f"{task_id} did not exit")


def is_true(watch: Watch, client: Client) -> None:
    wait_until(
        lambda: watch.tasks == {task.task_id: task for task in client.tasks()},
        timeout=WAIT_S,
        what="a picture that is as the list",
    )


def test_it_begins_with_all_tasks_and_goes_on_with_what_happens(client: Client, other: Client) -> None:
    assert next(other.start("sleep", task_id="before").lines(timeout=WAIT_S)) == "ready"
    with client.watch() as watch:
        assert watch.tasks["before"].worker_state == "running"
        events = watch.events(WAIT_S)
        first = next(events)
        assert isinstance(first, Watching)
        assert [task.task_id for task in first.tasks or ()] == [task.task_id for task in other.tasks()]
        other.start("count", task_id="new").wait(WAIT_S)
        heard = [each for each in exits(watch, "new", events) if not isinstance(each, Changed)]
        assert [type(each) for each in heard] == [Started, Exited]
        assert isinstance(heard[1], Exited)
        assert heard[1].task == watch.tasks["new"]
        other.stop("before")
        exits(watch, "before", events)
        is_true(watch, other)
        # A second iteration begins with what is so by now.
        (again, *_) = next(watch.batches(WAIT_S))
        assert isinstance(again, Watching)
        assert {task.task_id: task for task in again.tasks or ()} == watch.tasks
        with pytest.raises(ReplyTimeoutError):
            list(watch.events(0.01))
    assert list(events) == []  # closing ends them
    with pytest.raises(ClosedError, match="this watch was closed"):
        watch.events()


def test_output_and_usage_come_too(client: Client, other: Client) -> None:
    with client.watch(output=True, usage=True) as watch:
        events = watch.events(WAIT_S)
        other.start("count", task_id="lines", n="50").wait(WAIT_S)
        lines = [each.data for each in exits(watch, "lines", events) if isinstance(each, Output)]
        assert lines == [f"{n}" for n in range(1, 51)]
        sleeper = other.start("sleep", task_id="used")
        used = next(each for each in events if isinstance(each, Usage))
        assert "used" in [each.task_id for each in used.tasks]
        assert "used" in watch.usage
        sleeper.stop()
        sleeper.wait(WAIT_S)
        is_true(watch, other)
        assert "used" not in watch.usage


def test_a_lost_connection_goes_on_where_it_was(daemon: Daemon, other: Client) -> None:
    with Proxy(daemon.address) as proxy, Client(proxy.url) as client, client.watch(output=True) as watch:
        events = watch.events(WAIT_S)
        other.start("count", task_id="seen").wait(WAIT_S)
        exits(watch, "seen", events)
        proxy.cut()
        for name in ("missed-1", "missed-2"):
            other.start("count", task_id=name, n="0").wait(WAIT_S)
        # Lines bring their task's events along, so those of two tasks may come in any order.
        heard: list[Event] = []
        while not {"missed-1", "missed-2"} <= {each.task_id for each in heard if isinstance(each, Exited)}:
            heard.append(next(events))
        assert not [each for each in heard if isinstance(each, Watching)]
        for name in ("missed-1", "missed-2"):
            mine = [each for each in heard if isinstance(each, Started | Exited) and each.task_id == name]
            assert [type(each) for each in mine] == [Started, Exited], heard
        is_true(watch, other)


def test_an_end_that_came_right_before_the_connection_was_lost_does_not_come_again(
    daemon: Daemon, other: Client
) -> None:
    with Proxy(daemon.address) as proxy, Client(proxy.url) as client, client.watch(output=True) as watch:
        events = watch.events(WAIT_S)
        proxy.cut_between = b'"type":"exited"', b'{"type":"changed"'
        other.start("count", task_id="once").wait(WAIT_S)
        heard = exits(watch, "once", events)
        proxy.wait_connections(3)  # the watch's second one
        assert proxy.cut_between is None, "it was cut there"
        for event in events:
            heard.append(event)
            if getattr(event, "task", None) is not None and event.task.worker_state == "exited":
                break
        runs = [type(each) for each in heard if isinstance(each, Started | Exited)]
        assert runs == [Started, Exited], heard
        is_true(watch, other)


def test_it_does_not_end_in_silence_when_the_client_is_lost(daemon: Daemon) -> None:
    with Proxy(daemon.address) as proxy, Client(proxy.url, reconnect=0) as client, client.watch() as watch:
        events = watch.events(WAIT_S)
        next(events)
        proxy.cut(oldest=True)  # the client's own connection; the watch's is well
        with pytest.raises(ConnectionLostError) as caught:
            list(events)
        assert not isinstance(caught.value, ClosedError)


def test_another_server_is_another_picture(tmp_path: Path) -> None:
    listen = f"unix:{tmp_path / 'socket'}"
    daemon = Daemon(listen=listen, actions=ACTIONS)
    with daemon, Client(listen) as client, client.watch() as watch:
        events = watch.events(WAIT_S)  # begun before the start, whose answer may come after the watch's
        client.start("sleep", task_id="lost")
        next(each for each in events if isinstance(each, Started))
        daemon.stop()
        with Daemon(listen=listen, actions=ACTIONS), Client(listen) as other:
            anew = next(each for each in events if isinstance(each, Watching))
            assert anew.tasks == ()
            other.start("sleep", task_id="there")
            is_true(watch, other)


def test_a_slow_reader_holds_up_nobody_and_is_told_what_it_missed(daemon: Daemon, other: Client) -> None:
    with Client(daemon.url, buffer=100_000) as client, client.watch(output=True) as watch:
        events = watch.events(WAIT_S)
        next(events)  # it has begun to read, and reads no more
        flood = other.start("flood", task_id="flood", on_lag="drop")
        # As much as two kernels and the server hold on the way.
        wait_until(lambda: other.metrics(task_id="flood").output_lines > 1_000_000, timeout=30, what="lines")
        flood.stop()
        flood.wait(WAIT_S)
        last = 0
        for event in exits(watch, "flood", events):
            if isinstance(event, Output):
                assert event.seq == last + 1
                last = event.seq
            elif isinstance(event, Gap):
                assert event.from_seq == last + 1
                last = event.to_seq
        assert last == other.metrics(task_id="flood").output_lines
        is_true(watch, other)


def test_letting_go_of_it_ends_its_connection(daemon: Daemon, client: Client) -> None:
    before = {thread.name for thread in threading.enumerate()}
    watch = client.watch()
    (mine,) = [thread for thread in threading.enumerate() if thread.name not in before]
    del watch
    gc.collect()
    mine.join(WAIT_S)
    assert not mine.is_alive()
    watch = client.watch()
    client.close()
    with pytest.raises(ClosedError, match="this client was closed"):
        next(iter(watch))


def test_a_task_that_is_gone_is_gone_from_the_picture(client: Client, other: Client) -> None:
    with client.watch() as watch:
        other.start("one", task_id="first")
        other.start("one", task_id="waits")
        wait_until(lambda: watch.tasks.get("waits") is not None, what="the waiting task")
        events = watch.events(WAIT_S)
        other.stop("waits")
        next(each for each in events if isinstance(each, Forgotten))
        assert "waits" not in watch.tasks
        other.stop("first")


def test_without_a_thread_there_is_no_watch_and_the_client_closes_as_ever(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start

    def no_more(thread: threading.Thread) -> None:
        if thread.name.startswith("overseer-client"):
            raise RuntimeError("can't start new thread")
        start(thread)

    client = Client(daemon.url)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_more)
        with pytest.raises(ClientError, match="cannot start a thread for the watch"):
            client.watch()
    assert client.tasks() is not None
    client.close()
