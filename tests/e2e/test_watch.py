"""Watching all tasks over the wire: a snapshot, then each event once, with a cursor to go on from."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.auth.support import address_of
from tests.client import slow_starts
from tests.e2e.conftest import end_all
from tests.faults.support import wait_until
from tests.harness import Daemon, MessageClient, WsClient, shell
from tests.net.rawclient import RawClient
from tests.soak.picture import Picture

QUEUE = {"enabled": True}
ACTIONS = {
    "sleep": shell("echo ready; exec sleep 60"),
    "short": shell("echo hi"),
    "count": shell("seq 50"),
    "fail": shell("exit 3", retry={"restart_delay": "1ms", "error_threshold": 2}),
    "missing": {"type": "exec", "config": {"entrypoint": "/no/such/program"}},
    "one": {**shell("exec sleep 60"), "task_pool": {"limit": 1, "queue": QUEUE}},
}
SERVER = {"actions": ACTIONS, "clients": {"buffer": "256KiB"}}


@pytest.fixture(scope="module")
def server() -> Iterator[Daemon]:
    with Daemon(**SERVER) as daemon:
        yield daemon


@pytest.fixture
def client(server: Daemon) -> Iterator[WsClient]:
    with server.connect() as client:
        yield client
        end_all(client)


@pytest.fixture
def watcher(server: Daemon, client: WsClient) -> Iterator[WsClient]:
    with server.connect() as watcher:
        yield watcher


def told(client: WsClient, task_id: str, until: str) -> list[dict[str, Any]]:
    """What a client is told of a task, up to an event of this type."""
    last = client.expect(until, task_id=task_id)
    return [each for each in client.messages if of(each) == task_id][
        : 1 + [each for each in client.messages if of(each) == task_id].index(last)
    ]


def of(message: dict[str, Any]) -> str:
    return message.get("task_id") or message.get("task", {}).get("task_id", "")


def is_true(client: MessageClient) -> None:
    """What this client knows from its watch becomes what the server lists."""

    picture = Picture()
    seen = 0

    def same() -> bool:
        nonlocal seen
        listed = client.request("list")["tasks"]
        news = client.messages[seen:]
        for message in news:
            picture.see(message)
        seen += len(news)
        return not picture.differs(listed)

    wait_until(same, timeout=30, what="a picture that is as the list")


def test_a_snapshot_is_what_is_listed_and_events_bring_tasks_as_they_are_then(
    client: WsClient, watcher: WsClient
) -> None:
    client.request("start", action="sleep", task_id="before")
    snapshot = watcher.request("watch")
    assert snapshot["type"] == "watching"
    assert snapshot["tasks"] == client.request("list")["tasks"]
    client.request("start", action="short", task_id="new")
    events = [each for each in told(watcher, "new", "exited") if each["type"] != "changed"]
    assert [each["type"] for each in events] == ["started", "exited"]
    started, exited = events
    assert started["id"] == ""
    assert started["task"]["action"] == "short"
    assert (started["task"]["current_pid"], started["task"]["worker_state"]) == (started["pid"], "running")
    assert exited["task"]["last_exit_code"] == 0
    assert len({snapshot["cursor"], started["cursor"], exited["cursor"]}) == 3
    is_true(watcher)
    assert not watcher.pending("output")


def test_the_queue_a_failed_start_and_giving_up(client: WsClient, watcher: WsClient) -> None:
    watcher.request("watch")
    client.request("start", action="one", task_id="first")
    client.request("start", action="one", task_id="second")
    queued = watcher.expect("queued", task_id="second")
    assert (queued["task"]["state"], queued["id"]) == ("queued", "")
    client.send("stop", task_id="second")
    assert watcher.expect("dequeued", task_id="second")["reason"] == "stopped"
    watcher.expect("forgotten", task_id="second")
    assert client.request("start", action="missing", task_id="never")["type"] == "error"
    assert "/no/such/program" in watcher.expect("forgotten", task_id="never")["error"]
    client.request("start", action="fail", task_id="hopeless")
    assert watcher.expect("errored", task_id="hopeless")["task"]["error_message"]
    watcher.expect("restarting", task_id="hopeless")
    client.request("start", action="one", task_id="third")
    client.request("set_pool", action="one", limit=2)  # out of the queue, with no message but started
    watcher.expect("started", task_id="third")
    client.request("set_pool", action="one", limit=1, excess={"action": "requeue", "order": "last"})
    assert watcher.expect("exited", task_id="third")["task"]["state"] == "queued"
    watcher.expect("queued", task_id="third")
    is_true(watcher)


def test_a_change_without_a_message_of_its_own_is_told(tmp_path: Path) -> None:
    """A reset by a driver that takes its time, and cannot do it after all: errored, starting, errored."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    program = Path(slow_starts.__file__)
    actions = {"gated": {"type": "slow", "retry": {"restart_delay": "1h", "error_threshold": 1}}}
    with (
        Daemon(program=program, actions=actions) as daemon,
        daemon.connect() as client,
        daemon.connect() as watcher,
    ):
        params = {"gate": str(gate), "script": "exit 1"}
        client.request("start", action="gated", task_id="t", params=params)
        client.expect("errored", task_id="t")
        errored = watcher.request("watch")["tasks"][0]
        reset = client.send("reset", task_id="t")
        starting = watcher.expect("changed")["task"]
        assert (starting["state"], starting["status"]) == ("active", "running")
        assert client.info("t") == starting
        gate.write_text("there is no disk")
        assert "there is no disk" in client.expect("error", id=reset)["message"]
        assert watcher.expect("changed")["task"] == errored


def test_a_subscriber_gets_each_event_once_and_its_own_copy(client: WsClient, watcher: WsClient) -> None:
    watcher.request("watch")
    watcher.request("start", action="count", task_id="mine")
    watcher.expect("changed", timeout=30)
    watcher.expect("exited", task_id="mine")
    watcher.request("subscribe", task_id="theirs")
    client.request("start", action="count", task_id="theirs")
    watcher.expect("exited", task_id="theirs")
    is_true(watcher)
    for task_id in ("mine", "theirs"):
        events = [each for each in watcher.messages if each.get("task_id") == task_id]
        types = [each["type"] for each in events if each["type"] not in ("output", "subscribed")]
        assert types == ["started", "exited"]
        assert not any("cursor" in each for each in events)


def test_the_output_of_all_tasks_comes_in_its_place(client: WsClient, watcher: WsClient) -> None:
    client.request("start", action="sleep", task_id="old")
    client.expect("output", task_id="old")
    watcher.request("watch", output=True)
    client.request("start", action="count", task_id="fresh")
    events = told(watcher, "fresh", "exited")
    assert [each["type"] for each in events if each["type"] != "changed"] == [
        "started",
        *["output"] * 50,
        "exited",
    ]
    client.send("stop", task_id="old")
    watcher.expect("exited", task_id="old")
    is_true(watcher)
    # Once more under the same id, and then one that it does not want to hear.
    client.request("start", action="count", task_id="fresh")
    watcher.expect("exited", task_id="fresh")
    assert [each["seq"] for each in watcher.outputs("fresh")] == [*range(1, 51)] * 2
    client.request("start", action="sleep", task_id="muted")
    watcher.expect("output", task_id="muted")
    watcher.request("unsubscribe", task_id="muted")
    client.send("stop", task_id="muted")
    assert watcher.expect("exited", task_id="muted")["cursor"]
    watcher.request("unwatch")
    client.request("start", action="count", task_id="fresh")
    client.expect("exited", task_id="fresh")
    watcher.settle()
    after = watcher.messages[[each["type"] for each in watcher.messages].index("unwatched") :]
    assert not [each for each in after if each["type"] in ("output", "started", "exited", "changed")]


def test_what_tasks_use_is_pushed_without_a_subscription(client: WsClient, watcher: WsClient) -> None:
    client.request("start", action="sleep", task_id="used")
    watcher.request("watch", usage=True)
    assert [row["task_id"] for row in watcher.expect("usage", timeout=30)["tasks"]] == ["used"]


def test_who_comes_back_goes_on_where_it_was(server: Daemon, client: WsClient, watcher: WsClient) -> None:
    watcher.request("watch")
    client.request("start", action="short", task_id="seen")
    seen = watcher.expect("exited", task_id="seen")
    client.request("start", action="short", task_id="missed")
    client.expect("exited", task_id="missed")
    with server.connect() as again:
        resumed = again.request("watch", after=seen["cursor"])
        assert "tasks" not in resumed
        assert resumed["cursor"] == seen["cursor"]
        started = again.expect("started", task_id="missed")
        missed = again.expect("exited", task_id="missed")
        assert watcher.expect("exited", task_id="missed") == missed
        assert watcher.expect("started", task_id="missed") == started
        assert not again.pending("exited", task_id="seen")
        # Of an answer, too, and of no other server.
        assert "tasks" not in again.request("watch", after=again.request("watch")["cursor"])
        for nonsense in ("1", "ab" * 12, seen["cursor"][:-1] + "!", seen["cursor"] + "00"):
            assert again.request("watch", after=nonsense)["tasks"] == client.request("list")["tasks"]
        assert "tasks" in again.request("watch", after="")


def test_without_a_watch_a_connection_hears_what_it_always_did(client: WsClient, watcher: WsClient) -> None:
    watcher.request("watch")
    watcher.request("unwatch")
    client.request("start", action="one", task_id="first")
    client.request("start", action="one", task_id="second")
    assert "cursor" not in watcher.expect("queued", task_id="second")
    client.request("purge")
    watcher.expect("dequeued", task_id="second")
    watcher.settle()
    kinds = {each["type"] for each in watcher.messages}
    assert kinds == {"watching", "unwatched", "queued", "dequeued", "pool_info"}


def test_who_does_not_read_holds_up_nobody_and_begins_anew(server: Daemon, client: WsClient) -> None:
    client.request("start", action="one", task_id="busy")
    with RawClient(address_of(server), timeout=30, receive_buffer=8192) as deaf:
        deaf.send_json(type="watch", id="w")
        for turn in range(4):  # of all tasks more events than are kept, and than a kernel holds
            ids = [
                client.send("start", action="one", task_id=f"queued-{turn}-{n}", params={"x": "y" * 3500})
                for n in range(800)
            ]
            client.wait_for_answers(ids)
            client.request("purge")
        first = deaf.receive_until(lambda message: message["type"] == "watching")[-1]
        assert first["id"] == "w"
        later = deaf.receive_until(lambda message: message["type"] == "watching")[-1]
        assert "id" not in later
        assert later["tasks"] == client.request("list")["tasks"]
        client.request("start", action="one", task_id="then")
        deaf.receive_until(lambda message: message.get("task_id") == "then")


def test_pictures_become_what_is_listed_whatever_happens(server: Daemon, client: WsClient) -> None:
    """A small one of what the soak does."""
    rng = random.Random(20260314)
    ids = {
        f"{action}-{n}": action for action in ("short", "count", "fail", "missing", "one") for n in range(6)
    }
    watchers: list[WsClient] = []
    try:
        for step in range(400):
            if step % 80 == 10:
                watchers.append(server.connect())
                watchers[-1].send("watch", output=step % 160 == 10)
            task_id = rng.choice(list(ids))
            kind = rng.choice(("start", "start", "start", "stop", "reset", "restart", "pool", "purge"))
            if kind == "start":
                client.send("start", action=ids[task_id], task_id=task_id)
            elif kind == "pool":
                excess = {"action": rng.choice(("stop", "requeue")), "grace": 0.1}
                client.send("set_pool", action="one", limit=rng.randint(1, 3), excess=excess)
            elif kind == "purge":
                client.send("purge")
            else:
                client.send(kind, task_id=task_id)
            if step % 20 == 0:
                client.settle()
        client.request("set_pool", action="one", limit=1)
        end_all(client)
        for watcher in watchers:
            is_true(watcher)
            assert json.dumps(watcher.messages).count('"started"')
    finally:
        for watcher in watchers:
            watcher.close()


def test_where_there_are_logs_a_slow_watcher_gets_every_line_and_no_task_waits() -> None:
    actions = {"flood": shell("seq 40000")}
    with (
        Daemon(actions=actions, data_dir="data", clients={"buffer": "64KiB"}) as daemon,
        daemon.connect() as client,
        RawClient(address_of(daemon), timeout=30, receive_buffer=8192) as slow,
    ):
        slow.request(type="watch", id="w", output=True)
        client.request("start", action="flood", task_id="flood", on_lag="drop")
        client.expect("exited", task_id="flood")  # which does not wait for who has read nothing of it
        last = 0
        while (message := slow.receive_json())["type"] != "exited":
            if message["type"] == "output":
                assert message["seq"] == last + 1
                last = message["seq"]
        assert last == 40_000


def test_the_one_client_of_stdin_and_stdout_may_watch() -> None:
    with Daemon(actions=ACTIONS, listen="stdio") as daemon:
        client = daemon.stdio()
        assert client.request("watch")["tasks"] == []
        client.request("start", action="short", task_id="t")
        client.expect("exited", task_id="t")
        is_true(client)
        client.end()


def test_whoever_watches_hears_of_every_end_at_the_servers_own() -> None:
    tasks = {"db": {"action": "sleep"}, "web": {"action": "sleep", "depends_on": ["db"]}}
    with Daemon(actions=ACTIONS, tasks=tasks) as daemon, daemon.connect() as watcher:
        watcher.request("watch")
        watcher.request("start", task_id="web")
        watcher.expect("started", task_id="web")
        daemon.stop()
        assert [watcher.expect("exited")["task_id"] for _ in range(2)] == ["web", "db"]
