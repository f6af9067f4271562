"""What each message looks like on the wire, and who gets it: shapes, fields left out, deliveries, truth."""

from __future__ import annotations

import json
import re
import threading
import urllib.request
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from tests.harness import Daemon, WsClient, shell

_TS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
_SLEEP = "echo ready; exec sleep 60"

_ACTIONS = {
    "bare": shell("echo hi"),
    "sleep": shell(_SLEEP),
    "full": {
        **shell(
            "exit 1",
            config={
                "parameters": {
                    "z": {},
                    "a": {"default": ""},
                    "m": {"validate": 'value != ""'},
                    "k": {"default": "1", "validate": "true"},
                }
            },
        ),
        "meta": {"description": "All there is"},
        "task_pool": {
            "limit": 3,
            "queue": {"enabled": True, "size": 4, "order": "last", "max_age": 90, "displace": True},
            "excess": {"action": "requeue", "order": "last", "grace": 1.5},
        },
        "retry": {"restart_delay": "90s", "error_threshold": 5},
        "dedupe_key": ["z", "k"],
    },
    "single": shell(_SLEEP, task_pool={"limit": 1, "queue": {"enabled": True}}),
    "fails": shell("exit 4"),
    "quick": shell("echo out", task_pool={"limit": 1}),
}


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with Daemon(
        actions=_ACTIONS,
        name="shapes",
        retry={"error_window": "10m"},
        task_pool={"limit": 50, "queue": {"enabled": True, "size": 7}},
    ) as daemon:
        yield daemon


def _text(value: object) -> str:
    """As JSON text, so that the order of fields counts in a comparison."""
    return json.dumps(value)


# -- tasks ---------------------------------------------------------------------------------------------


def test_a_server_without_tasks_lists_none_and_never_null() -> None:
    with Daemon() as daemon, daemon.connect() as client:
        assert _text(client.request("list", id="l")) == '{"type": "tasks", "id": "l", "tasks": []}'
        assert _text(client.request("describe", id="d")) == '{"type": "actions", "id": "d", "actions": []}'


def test_a_task_in_each_state(client: WsClient) -> None:
    started = client.request("start", action="single", task_id="running", params={"b": "2", "a": "1"})
    client.request("start", action="single", task_id="queued", retry_policy={})
    client.send("start", action="fails", task_id="waiting", retry_policy={"restart_delay": "1h30m"})
    restarting = client.expect("restarting", task_id="waiting")
    client.send("start", action="fails", task_id="errored", retry_policy={"error_threshold": 1})
    errored = client.expect("errored", task_id="errored")
    client.request("start", action="sleep", task_id="stopped")
    client.send("stop", task_id="stopped")
    client.expect("exited", task_id="stopped")
    client.run("bare", task_id="over")

    infos = {task["task_id"]: task for task in client.request("list")["tasks"]}
    times = [name for name in infos["over"] if name.endswith("_at")]
    assert times == ["created_at", "last_started_at", "last_exited_at"]
    assert all(_TS.fullmatch(info[name]) for info in infos.values() for name in info if name.endswith("_at"))
    shown = {
        task_id: {name: value for name, value in info.items() if not name.endswith("_at")}
        for task_id, info in infos.items()
    }
    for name in ("duration_ms", "cpu_ms"):
        assert all(shown[task_id].pop(name) >= 0 for task_id in ("waiting", "errored"))
    assert {task_id: fields.pop("status") for task_id, fields in shown.items()} == {
        **{"running": "running", "queued": "queued", "waiting": "restarting", "errored": "errored"},
        **{"stopped": "stopped", "over": "succeeded"},
    }
    for fields in shown.values():
        fields.pop("cpu_ms", None)
        fields.pop("max_rss", None)  # known when it was looked at, or is large
    # The action "single" has a policy from the top level, which an own one replaces altogether.
    default = {"error_window": "10m0s", "restart_on": "failure"}
    assert _text(shown["running"]) == _text(
        {
            "task_id": "running",
            "action": "single",
            "params": {"b": "2", "a": "1"},
            "state": "active",
            "retry_policy": default,
            "current_pid": started["pid"],
            "worker_state": "running",
            "restart_count": 0,
        }
    )
    assert list(infos["running"])[-2:] == ["created_at", "last_started_at"]
    assert _text(shown["queued"]) == _text(
        {
            "task_id": "queued",
            "action": "single",
            "state": "queued",
            "retry_policy": {"restart_on": "any"},
            "restart_count": 0,
        }
    )
    assert list(infos["queued"]) == [
        "task_id",
        "action",
        "queued_at",
        "state",
        "status",
        "retry_policy",
        "restart_count",
        "created_at",
    ]
    assert _text(shown["waiting"]) == _text(
        {
            "task_id": "waiting",
            "action": "fails",
            "state": "active",
            "retry_policy": {"restart_delay": "1h30m0s", "restart_on": "any"},
            "worker_state": "exited",
            "restart_count": 0,
            "last_exit_code": 4,
            "reason": "exited",
        }
    )
    assert restarting["restart_delay"] == "1h30m0s"
    assert shown["errored"].pop("error_message")
    assert _text(shown["errored"]) == _text(
        {
            "task_id": "errored",
            "action": "fails",
            "state": "errored",
            "retry_policy": {"error_threshold": 1, "restart_on": "any"},
            "worker_state": "exited",
            "restart_count": 0,
            "last_exit_code": 4,
            "reason": "exited",
        }
    )
    assert errored["exit_count"] == 1
    assert [shown["stopped"][name] for name in ("state", "worker_state", "last_exit_code")] == [
        "stopped",
        "exited",
        -1,
    ]
    assert [shown["over"][name] for name in ("state", "worker_state", "last_exit_code")] == [
        "active",
        "exited",
        0,
    ]


def test_pages_neither_skip_nor_repeat_what_stays_while_tasks_come_and_go(client: WsClient) -> None:
    stay = [f"page-{number}" for number in range(0, 60, 2)]
    for name in stay:
        client.run("bare", task_id=name)
    seen: list[str] = []
    after = "page-"
    for number in range(100):
        reply = client.request("list", limit=4, after=after)
        ids = [task["task_id"] for task in reply["tasks"]]
        assert len(ids) <= 4
        seen += ids
        if "next" not in reply:
            break
        after = reply["next"]
        assert after == ids[-1]
        client.run("bare", task_id=after)  # the one that the next page goes on from is a new task now
        client.run("bare", task_id=f"page-{number}-new")
    assert [name for name in seen if name in stay] == sorted(stay)
    assert len(set(seen)) == len(seen)
    assert client.request("list", limit=1, after="zzz")["tasks"] == []
    assert "limit" in client.request("list", limit=-1)["message"]


def test_since_goes_by_the_later_of_last_start_and_last_exit_and_is_inclusive(client: WsClient) -> None:
    client.request("start", action="single", task_id="holds")
    client.request("start", action="single", task_id="queues")
    client.run("bare", task_id="ended")
    client.request("start", action="sleep", task_id="runs")
    ended, runs = client.info("ended"), client.info("runs")

    def since(moment: str) -> set[str]:
        wanted = {"holds", "queues", "ended", "runs"}
        return {task["task_id"] for task in client.request("list", since=moment)["tasks"]} & wanted

    def later(moment: str) -> str:
        after = datetime.fromisoformat(moment) + timedelta(microseconds=1)
        return after.isoformat().replace("+00:00", "Z")

    assert since("1970-01-01T00:00:00Z") == {"holds", "queues", "ended", "runs"}
    assert since(ended["last_started_at"]) == {"queues", "ended", "runs"}
    assert since(ended["last_exited_at"]) == {"queues", "ended", "runs"}
    assert since(later(ended["last_exited_at"])) == {"queues", "runs"}
    assert since(runs["last_started_at"]) == {"queues", "runs"}
    assert since(later(runs["last_started_at"])) == {"queues"}
    # Any offset says the same moment.
    elsewhere = datetime.fromisoformat(runs["last_started_at"]).astimezone(timezone(timedelta(hours=-7.5)))
    assert since(elsewhere.isoformat()) == {"queues", "runs"}


# -- actions, pools, metrics, manifest -----------------------------------------------------------------


def test_an_action_is_described_with_what_it_has_and_no_more(client: WsClient) -> None:
    (bare,) = client.request("describe", action="bare")["actions"]
    assert _text(bare) == _text(
        {
            "name": "bare",
            "type": "exec",
            "task_pool": {
                "limit": 0,
                "queue": {"enabled": True, "size": 7, "order": "first", "max_age": 0, "displace": "false"},
                "excess": {"action": "stop", "order": "first", "grace": 5},
            },
            "retry": {"error_window": "10m0s"},
        }
    )
    (full,) = client.request("describe", action="full")["actions"]
    assert _text(full) == _text(
        {
            "name": "full",
            "type": "exec",
            "description": "All there is",
            "params": {
                "z": None,
                "a": {"default": ""},
                "m": {"validate": 'value != ""'},
                "k": {"default": "1", "validate": "true"},
            },
            "task_pool": {
                "limit": 3,
                "queue": {"enabled": True, "size": 4, "order": "last", "max_age": 90, "displace": "true"},
                "excess": {"action": "requeue", "order": "last", "grace": 1.5},
            },
            "retry": {"restart_delay": "1m30s", "error_window": "10m0s", "error_threshold": 5},
            "dedupe_key": ["z", "k"],
        }
    )
    assert [action["name"] for action in client.request("describe")["actions"]] == list(_ACTIONS)


def test_pools_and_their_queues(client: WsClient) -> None:
    empty = client.request("pool_info", id="p", action="single")
    assert _text(empty) == _text(
        {
            "type": "pool_info",
            "id": "p",
            "action": "single",
            "pool": {"limit": 1, "running": 0, "queue_depth": 0},
        }
    )
    assert list(client.request("pool_info")) == ["type", "id", "pool"]
    client.request("start", action="single", task_id="first")
    client.request("start", action="single", task_id="second")
    client.request("start", action="single", task_id="third", force=True)
    pool = client.request("pool_info", action="single")["pool"]
    assert list(pool) == ["limit", "running", "queue_depth", "queue_items"]
    queued_at = {task_id: client.info(task_id)["queued_at"] for task_id in ("second", "third")}
    assert _text(pool["queue_items"]) == _text(
        [
            {
                "task_id": "second",
                "action": "single",
                "queued_at": queued_at["second"],
                "position": 0,
                "forced": False,
            },
            {
                "task_id": "third",
                "action": "single",
                "queued_at": queued_at["third"],
                "position": 1,
                "forced": True,
            },
        ]
    )
    assert client.request("pool_info")["pool"]["queue_items"] == pool["queue_items"]
    assert _text(client.request("purge", id="q")) == '{"type": "purged", "id": "q", "count": 2}'
    assert list(client.request("purge", action="single")) == ["type", "id", "action", "count"]
    updated = client.request("set_pool", limit=49)
    assert list(updated) == ["type", "id", "pool"]
    assert _text(client.expect("pool_updated")) == _text({"type": "pool_updated", "pool": updated["pool"]})
    client.request("set_pool", limit=50)


def test_metrics_have_one_of_three_parts(client: WsClient) -> None:
    started, _, _ = client.run("bare")
    part = {"global": {}, "action": {"action": "bare"}, "task": {"task_id": started["task_id"]}}
    fields = {
        name: list(client.request("metrics", **which)[name])
        for name, which in part.items()
        if list(client.request("metrics", **which)) == ["type", "id", name]
    }
    five = ["tasks_started", "tasks_completed", "tasks_errored", "tasks_restarted", "total_output_lines"]
    assert fields == {
        "global": [*five, "enqueued", "dequeued", "displaced", "expired"],
        "action": five,
        "task": ["output_lines", "restart_count", "runtime_ms", "last_exit_code"],
    }


def test_the_manifest_and_openapi_are_about_this_server(daemon: Daemon, client: WsClient) -> None:
    client.run("bare", task_id="seen")
    client.request("subscribe", task_id="seen", since_seq=0)
    client.request("list")
    client.request("stop", task_id="nope")
    reply = client.request("manifest")
    assert list(reply) == ["type", "id", "manifest"]
    manifest = reply["manifest"]
    assert list(manifest) == [
        *("$schema", "protocol", "version", "description", "transport", "types", "messages"),
        *("operations", "actions"),
    ]
    assert manifest["protocol"] == "sticky-overseer"
    assert [manifest["transport"][name] for name in ("path", "type_field", "correlation_field")] == [
        *("/ws", "type", "id"),
    ]
    assert _text(manifest["actions"]) == _text(client.request("describe")["actions"])
    # Whatever this server has sent so far is declared there, with these fields in this order.
    for message in client.messages:
        type = message["type"]
        declared = manifest["messages"].get(f"{type}_response") or manifest["messages"][type]
        assert [name for name in declared["fields"] if name in message] == list(message)
    with urllib.request.urlopen(f"http://{daemon.address}/openapi.json", timeout=30) as response:
        openapi = json.load(response)
    assert (openapi["swagger"], openapi["info"]["title"]) == ("2.0", "shapes")
    commands = {command["operationId"]: command for command in openapi["paths"]["/ws"]["ws"]["commands"]}
    assert {name for name in commands if name.startswith("start-")} == {f"start-{name}" for name in _ACTIONS}
    full = commands["start-full"]
    assert (full["params_key"], full["x-action-type"], full["x-dedupe-key"]) == ("params", "exec", ["z", "k"])
    visible = [parameter for parameter in full["parameters"] if not parameter["hidden"]]
    assert [(parameter["name"], parameter["required"]) for parameter in visible] == [
        ("m", True),
        ("z", True),
        ("a", False),
        ("k", False),
    ]


# -- who gets what -------------------------------------------------------------------------------------


def test_three_clients_a_starter_a_subscriber_and_a_stranger(daemon: Daemon, client: WsClient) -> None:
    with daemon.connect() as subscriber, daemon.connect() as stranger:
        for task_id in ("one", "two"):
            subscriber.request("subscribe", task_id=task_id)
        client.request("start", action="single", task_id="one", id="s1")
        client.expect("output", task_id="one")
        client.request("start", action="single", task_id="two", id="s2")
        client.send("stop", task_id="one")
        client.expect("output", task_id="two")
        client.send("stop", task_id="two")
        client.expect("exited", task_id="two")
        client.request("start", action="single", task_id="one", id="s3")
        client.request("start", action="single", task_id="three", id="s4")
        client.request("purge", action="single")
        client.request("set_pool", action="single", limit=1)
        for listener in (client, subscriber, stranger):
            listener.settle()

        def story(of: WsClient) -> list[tuple[Any, ...]]:
            keys = ("type", "id", "task_id", "reason", "action")
            return [
                tuple(message[key] for key in keys if key in message)
                for message in of.messages
                if message["type"] not in ("output", "subscribed")
                and not str(message.get("id")).startswith("r")
            ]

        broadcast = {
            ("queued", "", "two", "single"),
            ("queued", "", "three", "single"),
            ("dequeued", "three", "purged"),
            ("pool_updated", "single"),
        }
        told = [
            ("started", "s1", "one"),
            ("queued", "s2", "two", "single"),
            ("exited", "one", "stopped"),
            ("started", "s2", "two"),
            ("exited", "two", "stopped"),
            ("started", "s3", "one"),
            ("queued", "s4", "three", "single"),
            ("dequeued", "three", "purged"),
            ("pool_updated", "single"),
        ]
        assert story(client) == told
        # Others hear the same in the same order, without ids; a stranger only what is for everyone.
        nameless = [(each[0], "", *each[2:]) if each[0] in ("started", "queued") else each for each in told]
        assert story(subscriber) == nameless
        assert story(stranger) == [each for each in nameless if each in broadcast]


def test_every_subscriber_hears_a_task_in_one_order(daemon: Daemon, client: WsClient) -> None:
    tasks = [f"same-{number}" for number in range(4)]
    with daemon.connect() as one, daemon.connect() as two:
        for listener in (one, two):
            for task_id in tasks:
                listener.request("subscribe", task_id=task_id)
        policy = {"restart_delay": "1ms", "error_threshold": 4}
        for task_id in tasks:
            client.send("start", action="fails", task_id=task_id, retry_policy=policy)
        for listener in (client, one, two):
            for task_id in tasks:
                listener.expect("errored", task_id=task_id)
        for task_id in tasks:
            heard = [
                [
                    {**message, "id": ""} if "id" in message else message
                    for message in listener.messages
                    if message.get("task_id") == task_id and message["type"] != "subscribed"
                ]
                for listener in (client, one, two)
            ]
            assert [message["type"] for message in heard[0]] == [
                *(["started", "exited", "restarting"] * 3),
                *("started", "exited", "errored"),
            ]
            assert heard[0] == heard[1] == heard[2]


# -- what a message says is so -------------------------------------------------------------------------


def test_once_exited_is_heard_the_place_and_the_id_are_free_and_all_counters_know(client: WsClient) -> None:
    for number in range(1, 31):
        started = client.request("start", action="quick", task_id="same")
        assert started["type"] == "started", started
        client.expect("exited", task_id="same")
        if number % 10 == 0:
            assert client.request("pool_info", action="quick")["pool"]["running"] == 0
            assert client.info("same")["worker_state"] == "exited"
            assert client.request("metrics", action="quick")["action"] == {
                "tasks_started": number,
                "tasks_completed": number,
                "tasks_errored": 0,
                "tasks_restarted": 0,
                "total_output_lines": number,
            }


def test_whoever_hears_of_it_can_rely_on_it_at_once(daemon: Daemon, client: WsClient) -> None:
    """A subscriber, on another connection than the starter, acts on the news as soon as it comes."""
    with daemon.connect() as other:
        other.request("subscribe", task_id="relied")
        for _ in range(20):
            client.send("start", action="quick", task_id="relied")
            other.expect("exited", task_id="relied")
            assert other.request("start", action="quick", task_id="mine")["type"] == "started"
            other.expect("exited", task_id="mine")


def test_states_are_true_when_they_are_announced(client: WsClient) -> None:
    client.request("start", action="single", task_id="a")
    client.request("start", action="single", task_id="b")
    assert client.info("b")["state"] == "queued"
    client.send("stop", task_id="a")
    started = client.expect("started", task_id="b")
    info = client.info("b")
    assert (info["state"], info["worker_state"], info["current_pid"]) == ("active", "running", started["pid"])
    assert "queued_at" not in info
    assert client.request("pool_info", action="single")["pool"] == {
        "limit": 1,
        "running": 1,
        "queue_depth": 0,
    }
    client.send("stop", task_id="b")
    client.expect("exited", task_id="b")
    assert client.info("b")["state"] == "stopped"
    client.send("start", action="fails", task_id="e", retry_policy={"error_threshold": 1})
    assert client.expect("exited", task_id="e")
    assert client.info("e")["state"] == "errored"


def test_only_one_of_many_starts_of_one_id_or_of_duplicates_gets_in(daemon: Daemon) -> None:
    with Daemon(
        actions={"dup": {**shell(_SLEEP, config={"parameters": {"k": {}}}), "dedupe_key": ["k"]}}
    ) as own:
        results: list[dict[str, Any]] = []
        ready = threading.Barrier(6)

        def start(number: int) -> None:
            with own.connect() as client:
                ready.wait(10)
                for turn in range(10):
                    results.append(
                        client.request(
                            "start", action="dup", task_id=f"{turn}-{number % 3}", params={"k": str(turn)}
                        )
                    )

        threads = [threading.Thread(target=start, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        started = [reply["task_id"] for reply in results if reply["type"] == "started"]
        assert sorted(task_id.split("-")[0] for task_id in started) == [str(turn) for turn in range(10)]
        for refused in (reply for reply in results if reply["type"] == "error"):
            other = refused.get("existing_task_id")
            assert other is None or other in started
            assert refused["message"] == (
                f"duplicate task: already running as {other}" if other else "task already running or starting"
            )


def test_duplicates_of_what_waits_are_refused_too(daemon: Daemon) -> None:
    action = {**shell(_SLEEP, config={"parameters": {"k": {"default": "d"}}}), "dedupe_key": ["k"]}
    action["task_pool"] = {"limit": 1, "queue": {"enabled": True}}
    with Daemon(actions={"dup": action}) as own, own.connect() as client:
        client.request("start", action="dup", task_id="runs", params={"k": "1"})
        client.request("start", action="dup", task_id="queues")
        for params in ({}, {"k": "d"}, {"k": "d", "other": "x"}):
            error = client.request("start", action="dup", params=params)
            assert list(error) == ["type", "id", "message", "existing_task_id", "code"]
            assert error["existing_task_id"] == "queues"
        client.send("stop", task_id="queues")
        client.expect("dequeued", task_id="queues")
        assert client.request("start", action="dup", task_id="again")["type"] == "queued"
