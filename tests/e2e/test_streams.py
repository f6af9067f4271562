"""Subscribing, replaying, resuming: what a client hears of a task, and in which order."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.harness import Daemon, WsClient, shell

# Prints as many lines as each line of its fifo says, so that a test decides when there is output.
_FED = """n=0
while read -r many; do
  i=0
  while [ $i -lt "$many" ]; do n=$((n+1)); i=$((i+1)); echo "$n"; done
done <[[.fifo]]"""


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    actions = {
        "fed": shell(_FED, config={"parameters": {"fifo": None}}),
        "many": shell("seq 1 250"),
        "long lines": shell("i=0; while [ $i -lt 400 ]; do i=$((i+1)); printf '%020000d\\n' $i; done"),
        "echo": shell("echo again"),
        "missing": {"type": "exec", "config": {"entrypoint": "/no/such/program"}},
    }
    with Daemon(actions=actions) as daemon:
        yield daemon


class Fed:
    """A task that prints when it is told to."""

    def __init__(self, client: WsClient, fifo: Path, task_id: str) -> None:
        os.mkfifo(fifo)
        self.task_id = task_id
        started = client.request("start", action="fed", task_id=task_id, params={"fifo": str(fifo)})
        assert started["type"] == "started", started
        self._pipe = fifo.open("w", buffering=1)

    def print(self, many: int) -> None:
        self._pipe.write(f"{many}\n")

    def end(self) -> None:
        self._pipe.close()

    def __enter__(self) -> Fed:
        return self

    def __exit__(self, *exc: object) -> None:
        self.end()


def test_a_second_client_hears_what_comes_after_its_subscription(
    daemon: Daemon, client: WsClient, tmp_path: Path
) -> None:
    with Fed(client, tmp_path / "fifo", "second") as task, daemon.connect() as other:
        task.print(3)
        client.expect("output", seq=3)
        reply = other.request("subscribe", task_id="second")
        assert reply == {"type": "subscribed", "id": reply["id"], "task_id": "second"}
        task.print(2)
        task.end()
        events = other.collect("exited", task_id="second")
        assert [event.get("seq") for event in events] == [4, 5, None]


def test_resuming_by_seq_leaves_no_gap_and_repeats_nothing(
    daemon: Daemon, client: WsClient, tmp_path: Path
) -> None:
    with Fed(client, tmp_path / "fifo", "resumed") as task, daemon.connect() as other:
        task.print(10)
        client.expect("output", seq=10)
        task.print(1)  # on its way while the other subscribes
        reply = other.request("subscribe", task_id="resumed", since_seq=4)
        assert list(reply) == ["type", "id", "task_id", "last_seq", "oldest_seq", "created_at"]
        assert reply["last_seq"] in (10, 11)
        assert reply["oldest_seq"] == 1
        task.print(5)
        task.end()
        events = other.collect("exited", task_id="resumed")
        assert [event.get("seq") for event in events] == [*range(5, 17), None]
        assert not other.settle()


def test_resuming_leaves_no_gap_and_repeats_nothing_while_long_lines_pour_in(
    daemon: Daemon, client: WsClient
) -> None:
    client.request("start", action="long lines", task_id="pouring")
    with ExitStack() as stack:
        others = []
        for seen in (50, 150, 250):
            client.expect("output", task_id="pouring", seq=seen)
            others.append(stack.enter_context(daemon.connect()))
            others[-1].send("subscribe", task_id="pouring", since_seq=0)
        for other in others:
            subscribed, *events = other.collect("exited", task_id="pouring")
            assert [event.get("seq") for event in events] == [*range(subscribed["oldest_seq"], 401), None]


def test_the_ring_keeps_the_last_100_events_and_replay_goes_to_the_caller_only(
    daemon: Daemon, client: WsClient
) -> None:
    started, outputs, exited = client.run("many")
    task_id = started["task_id"]
    with daemon.connect() as other:
        other.send("replay", task_id=task_id)
        events = other.settle()
        assert [event.get("seq") for event in events] == [*range(152, 251), None]
        assert events[-1] == exited
        assert events[:-1] == outputs[-99:]
        other.send("replay", task_id=task_id, since_seq=248)
        assert [event.get("seq") for event in other.settle()] == [249, 250, None]
        other.send("replay", task_id=task_id, since=outputs[-1]["ts"])
        last = [output for output in outputs[-99:] if output["ts"] == outputs[-1]["ts"]]
        assert other.settle() == [*last, exited]
        other.send("replay", task_id=task_id, since=exited["ts"])
        assert other.settle()[-1] == exited
        other.send("replay", task_id=task_id, since="2999-01-01T00:00:00Z")
        assert not other.settle()
    assert not client.settle()
    assert client.request("replay", task_id="nope")["message"] == "task not found"


def test_who_subscribes_after_the_end_still_gets_the_exit(daemon: Daemon, client: WsClient) -> None:
    started, _, exited = client.run("echo")
    with daemon.connect() as other:
        reply = other.request("subscribe", task_id=started["task_id"], since_seq=1)
        assert (reply["last_seq"], reply["oldest_seq"]) == (1, 1)
        assert other.settle() == [exited]


def test_subscribing_to_an_id_that_no_task_has_yet_hears_its_start(daemon: Daemon, client: WsClient) -> None:
    with daemon.connect() as other:
        other.request("subscribe", task_id="to come")
        started, (output,), exited = client.run("echo", task_id="to come")
        assert other.collect("exited") == [{**started, "id": ""}, output, exited]
        # The next task of that id is heard of as well.
        started, (output,), exited = client.run("echo", task_id="to come")
        assert other.collect("exited") == [{**started, "id": ""}, output, exited]


def test_a_start_that_fails_subscribes_nobody_who_was_not(daemon: Daemon, client: WsClient) -> None:
    with daemon.connect() as other:
        other.request("subscribe", task_id="failed first")
        for each in (client, other):
            reply = each.request("start", action="missing", task_id="failed first")
            assert reply["type"] == "error", reply
        with daemon.connect() as third:
            third.run("echo", task_id="failed first")
        other.expect("exited", task_id="failed first")
        assert not client.settle()


def test_nothing_follows_unsubscribed(daemon: Daemon, client: WsClient, tmp_path: Path) -> None:
    with Fed(client, tmp_path / "fifo", "left") as task, daemon.connect() as other:
        other.request("subscribe", task_id="left")
        task.print(2000)
        other.expect("output")
        reply = other.request("unsubscribe", task_id="left")
        assert reply == {"type": "unsubscribed", "id": reply["id"], "task_id": "left"}
        seen = len(other.messages)
        task.print(1)
        client.expect("output", seq=2001)
        other.settle()
        after = other.messages[other.messages.index(reply) + 1 : seen]
        assert not [message for message in after if message["type"] == "output"]
        assert not [message for message in other.messages[seen:] if message["type"] == "output"]


def test_the_starter_may_unsubscribe_and_its_task_goes_on(client: WsClient, tmp_path: Path) -> None:
    with Fed(client, tmp_path / "fifo", "unheard") as task:
        client.request("unsubscribe", task_id="unheard")
        task.print(3)
        task.end()
        client.request("subscribe", task_id="unheard", since_seq=0)
        client.expect("exited", task_id="unheard")
        assert [output["seq"] for output in client.outputs("unheard")] == [1, 2, 3]


def test_a_task_goes_on_when_its_starter_leaves(daemon: Daemon, tmp_path: Path) -> None:
    with daemon.connect() as client:
        task = Fed(client, tmp_path / "fifo", "orphaned")
        client.abort()
    with task, daemon.connect() as other:
        reply = other.request("subscribe", task_id="orphaned", since_seq=0)
        assert reply["type"] == "subscribed"
        task.print(2)
        task.end()
        assert [event.get("seq") for event in other.collect("exited")] == [1, 2, None]
