"""Moving what waits in a queue: by every means, told to all who see it, within what the mover may see."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from overseer.client import Client, RefusedError, TaskNotRunError
from overseer.protocol import PoolConfig, QueueConfig
from overseer.supervisor.pool.policy import Where
from overseer.supervisor.pool.pool import PoolManager
from overseer.util.timestamps import now
from tests.api.conftest import Http
from tests.auth.support import TOKENS, address_of, bearer, request
from tests.faults.support import wait_until
from tests.harness import Daemon, WsClient, shell
from tests.net.rawclient import RawClient

_SLEEP = shell("exec sleep 60")
_QUEUE = {"limit": 1, "queue": {"enabled": True}}
_START = ["a1", "b1", "a2", "b2", "a3"]


@pytest.fixture(scope="module")
def server() -> Iterator[Daemon]:
    with Daemon(actions={"a": _SLEEP, "b": _SLEEP}, task_pool=_QUEUE, audit_file="audit") as daemon:
        yield daemon


@pytest.fixture
def daemon(server: Daemon) -> Iterator[Daemon]:
    """One task runs, and five wait, of two actions."""
    with server.connect() as client:
        client.request("start", action="a", task_id="runs")
        for task_id in _START:
            assert client.request("start", action=task_id[0], task_id=task_id)["type"] == "queued"
        yield server
        client.request("purge")
    with Client(server.url) as cleaner:
        for task in cleaner.tasks():
            cleaner.stop(task)
        for task in cleaner.tasks():
            with suppress(TaskNotRunError):
                cleaner.subscribe(task).wait()
            cleaner.forget(task)


def _order(client: WsClient, action: str = "") -> list[str]:
    pool = client.request("pool_info", action=action)["pool"]
    items = pool.get("queue_items", [])
    assert [item["position"] for item in items] == list(range(pool["queue_depth"]))
    return [item["task_id"] for item in items]


def test_a_task_moves_past_all_others_and_everybody_hears_of_it(daemon: Daemon) -> None:
    with daemon.connect() as client, daemon.connect() as other, daemon.connect() as watcher:
        watcher.request("watch")
        moved = client.request("move", task_id="a3", to="first", id="mine")
        assert (moved["type"], moved["action"], moved["position"], moved["overall"]) == ("moved", "a", 1, 1)
        assert _order(client) == ["a3", "a1", "b1", "a2", "b2"]
        told = other.expect("moved")
        assert {**told, "id": "mine", "overall": 1} == moved
        assert "overall" not in told
        assert watcher.expect("moved")["task"]["task_id"] == "a3"
        for where, order in (
            ({"to": "last"}, ["a1", "b1", "a2", "b2", "a3"]),
            ({"position": 2}, ["a1", "a3", "b1", "a2", "b2"]),
            ({"position": 99}, ["a1", "b1", "a2", "b2", "a3"]),
            ({"before": "b1"}, ["a1", "a3", "b1", "a2", "b2"]),
            ({"after": "b1"}, ["a1", "b1", "a3", "a2", "b2"]),
        ):
            client.request("move", task_id="a3", **where)
            assert _order(client) == order
        assert _order(client, "a") == ["a1", "a3", "a2"]
        for running, following in (("runs", "a1"), ("a1", "b1")):
            client.request("subscribe", task_id=following)
            client.send("stop", task_id=running)
            client.expect("started", task_id=following)


def test_a_move_that_changes_nothing_is_answered_and_told_to_nobody(daemon: Daemon) -> None:
    with daemon.connect() as client, daemon.connect() as other:
        assert client.request("move", task_id="a1", to="first")["overall"] == 1
        assert not [message for message in other.settle() if message["type"] == "moved"]


def test_within_its_action_no_other_task_starts_sooner_or_later(daemon: Daemon) -> None:
    with daemon.connect() as client:
        moved = client.request("move", task_id="a3", to="first", action="a")
        assert (moved["position"], "overall" in moved) == (1, False)
        assert _order(client) == ["a3", "b1", "a1", "b2", "a2"]


@pytest.mark.parametrize(
    ("fields", "code", "said"),
    [
        ({"task_id": "runs", "to": "first"}, "conflict", "task does not wait in that queue: it is running"),
        ({"task_id": "none", "to": "first"}, "not_found", "task not found"),
        ({"task_id": "a1", "before": "runs"}, "conflict", "runs does not wait in that queue: it is running"),
        ({"task_id": "a1", "after": "none"}, "not_found", "none not found"),
        (
            {"task_id": "a1", "before": "b1", "action": "a"},
            "conflict",
            "b1 does not wait in that queue: its action is b",
        ),
        (
            {"task_id": "a1", "to": "first", "action": "b"},
            "conflict",
            "task does not wait in that queue: its action is a",
        ),
        ({"task_id": "a1"}, "invalid", "move: one of to, position, before and after is required"),
        (
            {"task_id": "a1", "to": "first", "position": 1},
            "invalid",
            "move: one of to, position, before and after is required",
        ),
        ({"task_id": "a1", "before": "a1"}, "invalid", "a task cannot be moved before or after itself"),
    ],
)
def test_what_cannot_be_done_is_said(daemon: Daemon, fields: dict[str, str], code: str, said: str) -> None:
    with daemon.connect() as client:
        answer = client.request("move", **fields)
        assert (answer["code"], answer["message"]) == (code, said)
        assert _order(client) == _START


def test_by_http_with_the_client_and_in_the_audit(daemon: Daemon) -> None:
    http = Http(daemon.address)
    answer = http("POST", "/tasks/b2/move", {"to": "first"})
    assert (answer.status, answer.json["overall"]) == (200, 1)
    assert http("POST", "/tasks/runs/move", {"to": "first"}).status == 409
    with Client(daemon.url) as client:
        moved = client.move("b1", 1)
        assert (moved.position, moved.overall) == (1, 1)
        assert client.move("b2", before="b1", action="b").position == 1
        assert [item.task_id for item in client.pool().queue_items] == ["b2", "b1", "a1", "a2", "a3"]
        with pytest.raises(RefusedError, match="it is running"):
            client.move("runs", "last")
        for wrong in ({}, {"to": 0}, {"to": "up"}, {"to": True}, {"to": 1, "after": "b1"}):
            with pytest.raises(ValueError, match=r"one of to, before and after|to is first"):
                client.move("b1", **wrong)  # type: ignore[arg-type]
    lines = [json.loads(line) for line in (daemon.directory / "audit").read_text().splitlines()]
    assert {"type": "move", "task_id": "b1", "position": 1} in [
        {name: line["request"].get(name) for name in ("type", "task_id", "position")} for line in lines
    ]


def test_what_a_token_cannot_see_it_can_neither_pass_nor_name() -> None:
    actions = dict.fromkeys(("mine", "mint", "other"), _SLEEP)
    with Daemon(actions=actions, task_pool=_QUEUE, auth={"tokens": TOKENS}) as daemon:
        address = address_of(daemon)
        with (
            RawClient(address, headers=[bearer("admin-all")]) as admin,
            RawClient(address, headers=[bearer("operator-mine")]) as operator,
            RawClient(address, headers=[bearer("viewer-all")]) as viewer,
        ):

            def order() -> list[str]:
                items = request(admin, "pool_info")["pool"]["queue_items"]
                return [item["task_id"] for item in items]

            request(admin, "start", action="other", task_id="runs")
            for task_id in ("mine-1", "other-1", "mint-1", "other-2", "mine-2"):
                request(admin, "start", action=task_id[:-2], task_id=task_id)
            moved = request(operator, "move", task_id="mine-2", to="first")
            assert (moved["position"], moved["overall"]) == (1, 1)
            # Every task that it does not see is where it was.
            assert order() == ["mine-2", "other-1", "mine-1", "other-2", "mint-1"]
            assert request(operator, "move", task_id="mine-1", position=3)["overall"] == 3
            for fields in (
                {"task_id": "other-1", "to": "first"},
                {"task_id": "none", "to": "first"},
            ):
                assert request(operator, "move", **fields)["message"] == "task not found"
            for name in ("other-1", "none"):
                assert (
                    request(operator, "move", task_id="mine-1", before=name)["message"] == f"{name} not found"
                )
            refused = request(viewer, "move", task_id="mine-1", to="first")
            assert refused["message"] == "not permitted: move needs the role operator, and yours is viewer"
            request(admin, "move", task_id="other-2", to="first")
            operator.send_json(type="describe", id="end", action="no such action")
            heard = operator.receive_until(lambda message: message.get("id") == "end")
            assert not [message for message in heard if message.get("task_id") == "other-2"]


def test_the_order_survives_an_upgrade(daemon: Daemon) -> None:
    with daemon.connect() as client:
        client.request("move", task_id="a3", to="first")
        client.request("move", task_id="b2", to="first", action="b")
        before = _order(client)
        assert before == ["a3", "a1", "b2", "a2", "b1"]
        assert client.request("upgrade", 60)["type"] == "upgraded"
        assert _order(client) == before
        client.request("start", action="b", task_id="b9")
        assert _order(client) == [*before, "b9"]


def test_standing_tasks_wait_in_the_same_order_after_a_restart(tmp_path: Path) -> None:
    names = ("first", "one", "two", "three", "four")
    tasks = {name: {"action": "a", "autostart": "last"} for name in names}
    settings: dict[str, Any] = {
        "actions": {"a": _SLEEP},
        "task_pool": _QUEUE,
        "data_dir": str(tmp_path / "data"),
    }
    orders = ["four", "two", "one", "three"], ["three", "four", "two", "one"]
    with Daemon(tasks=tasks, **settings) as daemon, daemon.connect() as client:
        for name in names:
            client.request("start", task_id=name)
        client.request("move", task_id="four", to="first")
        client.request("move", task_id="one", after="two")
        assert _order(client) == orders[0]
    for before, after in (orders, (orders[1], orders[1])):
        with Daemon(tasks=tasks, **settings) as daemon, daemon.connect() as client:
            wait_until(lambda: len(_order(client)) == 4, 30, "all that waited")
            assert _order(client) == before
            client.request("move", task_id="three", to="first")
            assert _order(client) == after


def test_a_move_takes_time_in_proportion_to_the_queue() -> None:
    def times(number: int) -> float:
        """How many times as long as a look at the queue, which is as much in the cache."""
        pool = PoolManager(PoolConfig(1, QueueConfig(enabled=True)), dict.fromkeys("abc"))
        for index in range(number + 1):
            pool.acquire(f"t{index}", "abc"[index % 3], False, now())

        def seconds(act: Callable[[], object]) -> float:
            began = time.thread_time()
            act()
            return time.thread_time() - began

        gc.disable()
        try:
            moves = min(seconds(partial(pool.move, f"t{number}", Where(place))) for place in (1, number) * 3)
            return moves / min(seconds(pool.rows) for _ in range(6))
        finally:
            gc.enable()

    assert times(32000) < 6 * times(2000)  # of quadratic work it would be 16
