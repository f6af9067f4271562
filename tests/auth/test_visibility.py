"""What a token whose actions are limited is told: nothing of the others, in replies, pushes and counts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.auth.support import TOKENS, address_of, bearer, request
from tests.harness import Daemon, shell
from tests.net.rawclient import RawClient


@pytest.fixture
def stage() -> Iterator[tuple[RawClient, RawClient, RawClient]]:
    """An admin, a viewer and an operator who both see `mine` only; one task each runs, one each waits."""
    actions = {
        name: shell("echo from-[[.word]]; sleep 60", config={"parameters": {"word": name}}, dedupe_key="word")
        for name in ("mine", "other")
    }
    pool = {"limit": 2, "queue": {"enabled": True}}
    with ExitStack() as stack:
        daemon = stack.enter_context(Daemon(actions=actions, task_pool=pool, auth={"tokens": TOKENS}))
        admin, viewer, operator = (
            stack.enter_context(RawClient(address_of(daemon), headers=[bearer(name)]))
            for name in ("admin-all", "viewer-mine", "operator-mine")
        )
        for word in ("1", "2"):
            for action in ("other", "mine"):
                started = request(
                    admin, "start", action=action, task_id=f"{action}-{word}", params={"word": word}
                )
                assert started["type"] == ("started" if word == "1" else "queued")
        yield admin, viewer, operator


def _said(client: RawClient) -> list[dict[str, object]]:
    """All that came up to now."""
    client.send_json(type="describe", id="end", action="no such action")
    return client.receive_until(lambda message: message.get("id") == "end")[:-1]


Stage = tuple[RawClient, RawClient, RawClient]


def test_lists_pools_and_counters_know_nothing_of_the_others(stage: Stage) -> None:
    admin, viewer, _ = stage
    assert [task["task_id"] for task in request(admin, "list")["tasks"]] == [
        *("other-1", "mine-1", "other-2", "mine-2"),
    ]
    assert [task["task_id"] for task in request(viewer, "list")["tasks"]] == ["mine-1", "mine-2"]
    assert [each["name"] for each in request(viewer, "describe")["actions"]] == ["mine"]
    everything = request(admin, "pool_info")["pool"]
    assert (everything["running"], everything["queue_depth"]) == (2, 2)
    mine = request(viewer, "pool_info")["pool"]
    assert (mine["limit"], mine["running"], mine["queue_depth"]) == (2, 1, 1)
    assert [(item["task_id"], item["position"]) for item in mine["queue_items"]] == [("mine-2", 0)]
    assert request(admin, "metrics")["global"]["tasks_started"] == 2
    counted = request(viewer, "metrics")["global"]
    assert (counted["tasks_started"], counted["enqueued"]) == (1, 1)
    assert set(request(viewer, "metrics", action="other")) == {"type", "id"}
    assert set(request(viewer, "metrics", action="nothing")) == {"type", "id"}
    assert set(request(viewer, "metrics", task_id="other-1")) == {"type", "id"}
    assert "action" in request(viewer, "metrics", action="mine")
    assert "task" in request(viewer, "metrics", task_id="mine-1")
    assert {each["task_id"] for each in request(admin, "usage")["tasks"]} == {"mine-1", "other-1"}
    assert {each["task_id"] for each in request(viewer, "usage")["tasks"]} == {"mine-1"}
    assert request(viewer, "usage", task_id="other-1")["message"] == "task not found"


def test_broadcasts_reach_only_those_who_may_know(stage: Stage) -> None:
    admin, viewer, _ = stage
    queued = [message["task_id"] for message in _said(viewer) if message["type"] == "queued"]
    assert queued == ["mine-2"]
    request(admin, "set_pool", limit=2)
    request(admin, "set_pool", action="other", limit=7)
    request(admin, "set_pool", action="mine", limit=8)
    request(admin, "purge")
    said = _said(viewer)
    updates = [message for message in said if message["type"] == "pool_updated"]
    assert [(each.get("action", ""), each["pool"]["limit"]) for each in updates] == [("", 2), ("mine", 8)]
    assert [item["task_id"] for item in updates[0]["pool"]["queue_items"]] == ["mine-2"]
    assert updates[0]["pool"]["running"] == 1
    assert [message["task_id"] for message in said if message["type"] == "dequeued"] == ["mine-2"]
    assert "other" not in str(said)


def test_a_watch_knows_nothing_of_the_others(stage: Stage) -> None:
    admin, viewer, operator = stage
    snapshot = request(viewer, "watch", usage=True, output=True)
    assert [task["task_id"] for task in snapshot["tasks"]] == ["mine-1", "mine-2"]
    again = request(viewer, "watch")["cursor"]
    everything = request(admin, "watch")
    assert len(everything["tasks"]) == 4
    admin.send_json(type="stop", id="stop", task_id="other-1")
    admin.receive_until(lambda message: message.get("task_id") == "other-2")
    # Nothing has come of that, neither an event nor a cursor: the answer is where it would be anyway.
    for after in (snapshot["cursor"], again):
        answer = request(viewer, "watch", after=after, output=True)
        assert (answer["cursor"], "tasks" in answer) == (after, False)
    operator.send_json(type="stop", id="stop", task_id="mine-1")
    said = viewer.receive_until(lambda message: "exited" in str(message))
    assert "other" not in str(said)
    # What one has seen says nothing of what another may see.
    for client in (viewer, admin):
        other = {viewer: everything, admin: snapshot}[client]
        assert "tasks" in request(client, "watch", after=other["cursor"])
    assert "tasks" not in request(operator, "watch", after=snapshot["cursor"])  # they see the same


def test_an_invisible_task_is_one_that_does_not_exist(stage: Stage) -> None:
    admin, viewer, operator = stage
    for client in (viewer, operator):
        for type in ("replay", "subscribe", "unsubscribe", "stop", "reset", "signal", "restart"):
            if client is viewer and type in ("stop", "reset", "signal", "restart"):
                continue
            answers = []
            for task_id in ("other-1", "nobody"):
                more = {"subscribe": {"since_seq": 0}, "signal": {"signal": "CONT"}}.get(type, {})
                client.send_json(type=type, id="x", task_id=task_id, **more)
                answers.append([{**each, "task_id": ""} for each in _said(client) if each.get("id") == "x"])
            assert answers[0] == answers[1], type
    request(operator, "subscribe", task_id="other-1", since_seq=0)
    request(admin, "subscribe", task_id="other-1")
    admin.send_json(type="stop", id="stop", task_id="other-1")
    admin.receive_until("exited")
    assert not [message for message in _said(operator) if message["type"] in ("output", "exited")]


def test_a_subscription_does_not_come_to_hear_of_an_invisible_task_of_its_id(stage: Stage) -> None:
    admin, viewer, operator = stage
    request(admin, "purge")
    request(admin, "set_pool", limit=0)
    # First a task that it sees, then, by the same id, one that it does not, then one that it sees again.
    assert request(operator, "start", action="mine", task_id="id", params={"word": "3"})["type"] == "started"
    request(viewer, "subscribe", task_id="id", on_lag="block")
    request(viewer, "subscribe", task_id="later")
    operator.send_json(type="stop", id="stop", task_id="id")
    operator.receive_until("exited")
    for task_id, word in (("id", "4"), ("later", "5")):
        request(admin, "start", action="other", task_id=task_id, params={"word": word})
        admin.receive_until(lambda message, word=word: message.get("data") == f"from-{word}")
    assert "from-4" not in str(_said(operator))
    heard = str(_said(viewer))
    assert "exited" in heard
    assert "from-4" not in heard
    assert "from-5" not in heard
    admin.send_json(type="stop", id="stop", task_id="id")
    admin.receive_until("exited")
    # Ids are common to all: this one is not to be had, whether its task runs or not.
    for task_id in ("id", "later"):
        refused = request(operator, "start", action="mine", task_id=task_id, params={"word": "6"})
        assert refused["message"] == "this task_id cannot be used: take another one"
    started = request(admin, "start", action="mine", task_id="id", params={"word": "6"})
    assert started["type"] == "started"
    viewer.receive_until(lambda message: message.get("data") == "from-6")
    request(viewer, "unsubscribe", task_id="later")
    request(viewer, "unsubscribe", task_id="id")


def test_duplicates_are_told_of_within_what_is_seen(stage: Stage) -> None:
    _, _, operator = stage
    refused = request(operator, "start", action="mine", params={"word": "1"})
    assert refused["existing_task_id"] == "mine-1"


def test_a_start_displaces_nothing_that_its_sender_cannot_see() -> None:
    full = {"limit": 1, "queue": {"enabled": True, "size": 1, "displace": "true"}}
    with (
        Daemon(
            actions={"mine": shell("sleep 60"), "other": shell("sleep 60")},
            task_pool=full,
            auth={"tokens": TOKENS},
        ) as daemon,
        RawClient(address_of(daemon), headers=[bearer("admin-all")]) as admin,
        RawClient(address_of(daemon), headers=[bearer("operator-mine")]) as operator,
    ):
        request(admin, "start", action="other", task_id="other-1")
        request(admin, "start", action="other", task_id="other-2")
        # Forced items cannot be displaced by a start of their own action, so it has to look elsewhere.
        assert request(operator, "start", action="mine", task_id="mine-1", force=True)["position"] == 1
        for force in (False, True):
            refused = request(operator, "start", action="mine", task_id="mine-2", force=force)
            assert refused["type"] == "error"
            assert "other" not in str(refused)
        waiting = request(admin, "pool_info")["pool"]["queue_items"]
        assert [item["task_id"] for item in waiting] == ["other-2", "mine-1"]
        assert request(admin, "start", action="mine", task_id="mine-2")["type"] == "queued"
        waiting = request(admin, "pool_info")["pool"]["queue_items"]
        assert [item["task_id"] for item in waiting] == ["mine-1", "mine-2"]


def test_an_admin_of_some_actions_does_not_touch_what_belongs_to_all() -> None:
    with (
        Daemon(actions={"mine": shell("true"), "other": shell("true")}, auth={"tokens": TOKENS}) as daemon,
        RawClient(address_of(daemon), headers=[bearer("admin-mine")]) as admin,
    ):
        for type in ("set_pool", "purge"):
            refused = request(admin, type)["message"]
            assert (
                refused
                == f"not permitted: {type} without an action concerns all actions, and yours are limited"
            )
            assert request(admin, type, action="mine")["type"] != "error"
            assert request(admin, type, action="other")["message"] == "unknown action: other"


def test_a_viewer_never_holds_up_a_task() -> None:
    actions = {"mine": shell("head -c 1000000 /dev/zero | tr '\\0' '\\n'; echo done")}
    with (
        Daemon(
            actions=actions, auth={"tokens": TOKENS}, clients={"buffer": "64KiB", "stall_timeout": "60s"}
        ) as daemon,
        RawClient(address_of(daemon), headers=[bearer("viewer-all")], receive_buffer=4096) as viewer,
        RawClient(address_of(daemon), headers=[bearer("operator-all")], timeout=30) as operator,
    ):
        request(viewer, "subscribe", task_id="flood", on_lag="block")  # and then it does not read
        operator.send_json(type="start", id="start", action="mine", task_id="flood", on_lag="drop")
        ended = operator.receive_until("exited")[-1]
        assert ended["exit_code"] == 0


def test_logs_of_the_others_are_hidden_also_once_their_tasks_are_forgotten(tmp_path: Path) -> None:
    actions = {name: shell(f"echo from-{name}") for name in ("mine", "other")}
    config: dict[str, Any] = {
        "actions": actions,
        "auth": {"tokens": TOKENS},
        "data_dir": str(tmp_path / "data"),
    }
    for first in (True, False):
        with Daemon(**config) as daemon, ExitStack() as stack:
            admin, viewer = (
                stack.enter_context(RawClient(address_of(daemon), headers=[bearer(name)]))
                for name in ("admin-all", "viewer-mine")
            )
            if first:
                for name in actions:
                    admin.send_json(type="start", id=name, action=name, task_id=f"of-{name}")
                    admin.receive_until("exited")
            assert request(viewer, "logs", task_id="of-other")["message"] == "task not found"
            assert [line["data"] for line in request(viewer, "logs", task_id="of-mine")["lines"]] == [
                "from-mine"
            ]
            assert [each["task_id"] for each in request(viewer, "search", query="from")["matches"]] == [
                "of-mine"
            ]
            assert len(request(admin, "search", query="from")["matches"]) == 2


def test_standing_tasks_of_others_are_in_no_graph_and_cannot_be_started() -> None:
    actions = {name: shell("sleep 60") for name in ("mine", "other")}
    tasks = {"web": {"action": "mine", "depends_on": ["db"]}, "db": {"action": "other"}}
    with (
        Daemon(actions=actions, tasks=tasks, auth={"tokens": TOKENS}) as daemon,
        RawClient(address_of(daemon), headers=[bearer("operator-mine")]) as operator,
    ):
        graph = request(operator, "graph")
        assert [node["task_id"] for node in graph["nodes"]] == ["web"]
        assert graph["edges"] == []
        refused = request(operator, "start", task_id="db")
        unknown = request(operator, "start", task_id="nobody")
        assert refused["message"] == unknown["message"].replace("nobody", "db")
        assert (refused["code"], unknown["code"]) == ("not_found", "not_found")
        taken = request(operator, "start", task_id="db", action="mine")
        assert taken["message"] == "this task_id cannot be used: take another one"
