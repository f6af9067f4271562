"""What a token may not see it finds nowhere, even where a task that it sees waits for that."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.conftest import Http
from tests.auth.support import TOKENS, address_of, bearer, request
from tests.harness import Daemon, shell
from tests.net.rawclient import RawClient

_TASKS = {
    "web": {"action": "mine", "depends_on": {"hiddenbase": "succeeded", "api": "succeeded"}},
    "site": {"action": "mine", "depends_on": {"hiddenbase": "succeeded", "api": "succeeded"}},
    "lone": {"action": "mine", "depends_on": {"hiddenbase": "succeeded"}},
    "api": {"action": "mine"},
    "hiddenbase": {"action": "other", "schedule": {"cron": "@yearly"}},
}


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    actions = {name: shell("echo line; exec sleep 60", task_pool={"limit": 3}) for name in ("mine", "other")}
    with Daemon(actions=actions, tasks=_TASKS, auth={"tokens": TOKENS}, data_dir="data") as daemon:
        yield daemon


def _said(client: RawClient) -> list[dict[str, Any]]:
    client.send_json(type="describe", id="end", action="no such action")
    return client.receive_until(lambda message: message.get("id") == "end")


def test_what_a_task_waits_for_is_shown_as_far_as_it_may_be_seen(daemon: Daemon) -> None:
    address = address_of(daemon)
    with (
        RawClient(address, headers=[bearer("admin-all")]) as admin,
        RawClient(address, headers=[bearer("operator-mine")]) as operator,
        RawClient(address, headers=[bearer("viewer-mine")]) as viewer,
        RawClient(address, headers=[bearer("viewer-all")]) as watcher,
        RawClient(address, headers=[bearer("viewer-mine")]) as limited_watcher,
    ):
        request(watcher, "watch")
        request(limited_watcher, "watch")
        queued = request(operator, "start", task_id="web")
        assert queued["waiting_on"] == ["api"]
        lone = request(operator, "start", task_id="lone")
        assert (lone["type"], lone["position"], "waiting_on" in lone) == ("queued", 0, False)
        # Who sees all is told all.
        admin_heard = [each for each in _said(admin) if each["type"] == "queued"]
        whole = {task["task_id"]: task for task in request(admin, "list")["tasks"]}
        assert whole["web"]["waiting_on"] == ["hiddenbase", "api"]
        assert [each["waiting_on"] for each in admin_heard] == [["hiddenbase", "api"], ["hiddenbase"]]
        watcher.receive_until(lambda message: message.get("task", {}).get("task_id") == "lone")
        seen = {task["task_id"]: task for task in request(viewer, "list")["tasks"]}
        assert (seen["web"]["status"], seen["web"]["waiting_on"]) == ("waiting", ["api"])
        assert (seen["lone"]["status"], "waiting_on" in seen["lone"]) == ("waiting", False)
        heard = limited_watcher.receive_until(
            lambda message: message.get("task", {}).get("task_id") == "lone"
        )
        waits = [each for each in heard if each.get("task_id") == "web"]
        assert waits[0]["waiting_on"] == waits[0]["task"]["waiting_on"] == ["api"]
        everything: list[Any] = [*heard, *_said(operator), *_said(viewer)]
        asked: list[tuple[str, dict[str, Any]]] = [
            ("list", {}),
            ("list", {"limit": 2}),
            ("list", {"task_id": "web"}),
            ("watch", {}),
            ("graph", {}),
            ("runs", {}),
            ("run_stats", {"by_action": True}),
            ("search", {"query": "line"}),
            ("schedules", {}),
            ("describe", {}),
            ("pool_info", {}),
            ("metrics", {}),
            ("usage", {}),
            ("manifest", {}),
            ("restart", {"task_id": "web"}),
            ("reset", {"task_id": "web"}),
            ("move", {"task_id": "web", "to": "first"}),
            ("forget", {"task_id": "web"}),
            ("signal", {"task_id": "web", "signal": "CONT"}),
            ("input", {"task_id": "web", "data": "x"}),
        ]
        everything += [request(operator, type, **fields) for type, fields in asked]
        assert "hiddenbase" not in json.dumps(everything)
        for type in ("logs", "replay", "subscribe", "pause", "move"):
            more = {"logs": {"tail": 1}, "subscribe": {"since_seq": 0}, "move": {"to": "first"}}.get(type, {})
            answers = [request(operator, type, task_id=name, **more) for name in ("hiddenbase", "nobody")]
            assert {**answers[0], "task_id": "", "id": ""} == {**answers[1], "task_id": "", "id": ""}, type
        operator.send_json(type="stop", id="s", task_id="web")
        assert "hiddenbase" not in json.dumps(_said(operator))


def test_nor_by_http(daemon: Daemon) -> None:
    http = Http(daemon.address)
    mine = bearer("operator-mine")
    named = {mine[0]: mine[1]}
    started = http("POST", "/tasks/site/start", {}, **named)
    assert (started.status, started.json["waiting_on"]) == (202, ["api"])
    said = [
        http("GET", path, **named).text
        for path in (
            "/tasks",
            "/tasks/site",
            "/graph",
            "/runs",
            "/schedules",
            "/metrics",
            "/pools",
            "//metrics",
        )
    ]
    with http.open("GET", "/events", Accept="text/event-stream", **named) as events:
        while not (line := events.readline()).startswith(b"data:"):
            pass
        said.append(line.decode())
    assert "site" in said[-1]
    assert "hiddenbase" not in "".join(said)
