"""Who may do what by HTTP: role x operation x scope, over all operations there are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from overseer.api.routes import OPERATIONS
from overseer.auth.rights import ROLES
from tests.api.conftest import Http
from tests.auth.support import ACTIONS, TOKENS, token_of
from tests.harness import Daemon

# For each operation: the least role, what is sent, and the status for those who may: of what they see, and of
# what is hidden from them.
TABLE: dict[str, tuple[str, dict[str, Any] | None, int, int]] = {
    "GET /actions": ("viewer", None, 200, 200),
    "GET /actions/{name}": ("viewer", None, 200, 404),
    "POST /actions/{name}/start": ("operator", {"task_id": "task-of-{}"}, 409, 404),
    "GET /tasks": ("viewer", None, 200, 200),
    "GET /tasks/{task_id}": ("viewer", None, 200, 404),
    "DELETE /tasks/{task_id}": ("operator", None, 202, 404),
    "POST /tasks/{task_id}/stop": ("operator", {}, 202, 404),
    "POST /tasks/{task_id}/start": ("operator", {}, 409, 404),
    "POST /tasks/{task_id}/reset": ("operator", {}, 409, 404),
    "POST /tasks/{task_id}/restart": ("operator", {}, 200, 404),
    "POST /tasks/{task_id}/forget": ("operator", {}, 409, 404),
    "POST /tasks/{task_id}/move": ("operator", {"to": "first"}, 409, 404),
    "POST /tasks/{task_id}/signal": ("operator", {"signal": "CONT"}, 200, 404),
    "POST /tasks/{task_id}/input": ("operator", {"data": "x"}, 409, 404),
    "POST /tasks/{task_id}/pause": ("operator", {}, 200, 404),
    "POST /tasks/{task_id}/resume": ("operator", {}, 200, 404),
    "GET /tasks/{task_id}/output": ("viewer", None, 200, 404),
    "GET /events": ("viewer", None, 200, 200),
    "GET /runs": ("viewer", None, 200, 200),
    "GET /runs/{run_id}": ("viewer", None, 200, 404),
    "GET /runs/{run_id}/output": ("viewer", None, 200, 404),
    "GET /run-stats": ("viewer", None, 200, 200),
    "GET /search": ("viewer", None, 200, 200),
    "GET /graph": ("viewer", None, 200, 200),
    "GET /cluster": ("viewer", None, 200, 200),
    "GET /schedules": ("viewer", None, 200, 200),
    "GET /usage": ("viewer", None, 200, 200),
    "GET /pools": ("viewer", None, 200, 200),
    "GET /pools/{name}": ("viewer", None, 200, 404),
    "PUT /pools": ("admin", {"limit": 50}, 200, 403),
    "PUT /pools/{name}": ("admin", {"limit": 50}, 200, 404),
    "GET /metrics": ("viewer", None, 200, 200),
    "POST /reload": ("admin", {"dry_run": True}, 200, 403),
    "GET /upgrade": ("admin", None, 200, 403),
    "POST /upgrade": ("admin", {"check": True}, 200, 403),
}
# What they are about, unless it is a task that runs.
_ABOUT = {
    "DELETE /tasks/{task_id}": "over-of-{}",
    "POST /tasks/{task_id}/stop": "over-of-{}",
    "POST /tasks/{task_id}/restart": "again-of-{}",
    "POST /tasks/{task_id}/start": "yearly-{}",
    "POST /tasks/{task_id}/pause": "yearly-{}",
    "POST /tasks/{task_id}/resume": "yearly-{}",
}
# What concerns everybody is refused to who is limited, whatever it is about.
_OF_ALL = ("PUT /pools", "POST /reload", "GET /upgrade", "POST /upgrade")


def test_every_operation_is_in_the_table() -> None:
    assert set(TABLE) == {f"{each.method} {each.path}" for each in OPERATIONS}


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    tasks = {f"yearly-{action}": {"action": action, "schedule": {"cron": "@yearly"}} for action in ACTIONS}
    admin = bearer("admin-all")
    with Daemon(actions=ACTIONS, tasks=tasks, auth={"tokens": TOKENS}, data_dir="data") as daemon:
        http = Http(daemon.address)
        for action in ACTIONS:
            for name in ("task", "over", "again"):
                body = {"task_id": f"{name}-of-{action}"}
                assert http("POST", f"/actions/{action}/start", body, **admin).status == 201
            assert http("DELETE", f"/tasks/over-of-{action}?wait=10", **admin).status == 200
            assert http("POST", f"/tasks/yearly-{action}/start", {}, **admin).status == 201
        yield daemon


def bearer(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token_of(name)}"}


@pytest.mark.parametrize("scope", ["all", "mine"])
@pytest.mark.parametrize("role", ROLES)
def test_the_table(daemon: Daemon, role: str, scope: str) -> None:
    http = Http(daemon.address)
    wrong = {}
    for action in ACTIONS:
        (run,) = http("GET", f"/runs?task_id=task-of-{action}", **bearer("admin-all")).json["runs"]
        for route, (least, body, visible, hidden) in TABLE.items():
            if route in _OF_ALL and action != "mine":
                continue  # it is the same request, and the check of an upgrade takes long
            method, _, path = route.partition(" ")
            task_id = _ABOUT.get(route, "task-of-{}").format(action)
            made = path.format(name=action, task_id=task_id, run_id=run["run_id"])
            made += "?query=x" if path == "/search" else ""
            sent = body and {
                key: value.format(action) if isinstance(value, str) else value for key, value in body.items()
            }
            with http.open(method, made, sent, 120.0, **bearer(f"{role}-{scope}")) as response:
                status = response.status
                response.close()
            seen = scope == "all" or (action == "mine" and route not in _OF_ALL)
            permitted = ROLES.index(role) >= ROLES.index(least)
            expected = 403 if not permitted else visible if seen else hidden
            if status != expected:
                wrong[route, action] = (status, expected)
    assert not wrong
