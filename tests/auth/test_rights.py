"""Who may do what: role x request x actions x the way a token is presented, on a real server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from overseer.auth.rights import NEEDS, ROLES, Principal
from overseer.protocol import REQUESTS
from tests.auth.support import (
    ACTIONS,
    TOKENS,
    Header,
    address_of,
    bearer,
    http,
    open_status,
    protocols,
    request,
    sign_in,
    token_of,
)
from tests.harness import Daemon
from tests.net.rawclient import RawClient, upgrade_request

# The whole answer. What a role may ask for: "+"; what it is told when it may not: the role that is needed.
#                 viewer      operator  admin
TABLE = {
    "list": ("+", "+", "+"),
    "subscribe": ("+", "+", "+"),
    "unsubscribe": ("+", "+", "+"),
    "graph": ("+", "+", "+"),
    "cluster": ("+", "+", "+"),
    "watch": ("+", "+", "+"),
    "unwatch": ("+", "+", "+"),
    "replay": ("+", "+", "+"),
    "runs": ("+", "+", "+"),
    "run_stats": ("+", "+", "+"),
    "logs": ("+", "+", "+"),
    "search": ("+", "+", "+"),
    "describe": ("+", "+", "+"),
    "pool_info": ("+", "+", "+"),
    "metrics": ("+", "+", "+"),
    "usage": ("+", "+", "+"),
    "manifest": ("+", "+", "+"),
    "schedules": ("+", "+", "+"),
    "pause": ("operator", "+", "+"),
    "resume": ("operator", "+", "+"),
    "start": ("operator", "+", "+"),
    "stop": ("operator", "+", "+"),
    "reset": ("operator", "+", "+"),
    "signal": ("operator", "+", "+"),
    "input": ("operator", "+", "+"),
    "resize": ("operator", "+", "+"),
    "restart": ("operator", "+", "+"),
    "forget": ("operator", "+", "+"),
    "move": ("operator", "+", "+"),
    "set_pool": ("admin", "admin", "+"),
    "purge": ("admin", "admin", "+"),
    "notify_test": ("admin", "admin", "+"),
    "reload": ("admin", "admin", "+"),
    "upgrade": ("admin", "admin", "+"),
}
WAYS = ("header", "subprotocol", "cookie")

_ABOUT_ALL = ("reload", "notify_test", "upgrade")
_NO_RELOAD = "not permitted: reload concerns all actions, and yours are limited"

# For each request: how it is made about an action, and the answer when that is allowed (a type, or an error),
# and what one gets for whom the action does not exist.
CELLS: dict[str, tuple[dict[str, Any], str, str]] = {
    "list": ({}, "tasks", "tasks"),
    "subscribe": ({"task_id": "task-of-{}"}, "subscribed", "subscribed"),
    "unsubscribe": ({"task_id": "task-of-{}"}, "unsubscribed", "unsubscribed"),
    "graph": ({}, "graph", "graph"),
    "cluster": ({}, "cluster", "cluster"),
    "watch": ({}, "watching", "watching"),
    "unwatch": ({}, "unwatched", "unwatched"),
    "replay": ({"task_id": "task-of-{}"}, "", "task not found"),
    "runs": ({}, "runs", "runs"),
    "run_stats": ({}, "run_stats", "run_stats"),
    "logs": ({"task_id": "task-of-{}"}, "logs", "task not found"),
    "search": ({"query": "x"}, "matches", "matches"),
    "describe": ({"action": "{}"}, "actions", "unknown action: {}"),
    "pool_info": ({"action": "{}"}, "pool_info", "unknown action: {}"),
    "metrics": ({"action": "{}"}, "metrics", "metrics"),
    "usage": ({"task_id": "task-of-{}"}, "usage", "task not found"),
    "manifest": ({}, "manifest", "manifest"),
    "schedules": ({"task_id": "yearly-{}"}, "schedules", "task not found"),
    "pause": ({"task_id": "yearly-{}"}, "paused", "task not found"),
    "resume": ({"task_id": "yearly-{}"}, "resumed", "task not found"),
    "start": (
        {"action": "{}", "task_id": "task-of-{}"},
        "task already running or starting",
        "unknown action: {}",
    ),
    "stop": ({"task_id": "over-of-{}"}, "", "task not found"),
    "reset": ({"task_id": "task-of-{}"}, "task is not errored", "task not found"),
    "restart": ({"task_id": "again-of-{}"}, "started", "task not found"),
    "forget": ({"task_id": "task-of-{}"}, "task is still running: stop it first", "task not found"),
    "move": (
        {"task_id": "task-of-{}", "to": "first"},
        "task does not wait in that queue: it is running",
        "task not found",
    ),
    "signal": ({"task_id": "task-of-{}", "signal": "CONT"}, "signaled", "task not found"),
    "input": (
        {"task_id": "task-of-{}", "data": "x"},
        "the task takes no input (stdin: none)",
        "task not found",
    ),
    "resize": (
        {"task_id": "task-of-{}", "rows": 24, "cols": 80},
        "the task has no terminal (stdin: pty)",
        "task not found",
    ),
    "set_pool": ({"action": "{}", "limit": 50}, "pool_info", "unknown action: {}"),
    "purge": ({"action": "{}"}, "purged", "unknown action: {}"),
    "notify_test": (
        {"channel": "ops"},
        "this server's configuration has no channels",
        _NO_RELOAD.replace("reload", "notify_test"),
    ),
    "reload": ({"dry_run": True}, "reloaded", _NO_RELOAD),
    "upgrade": ({"check": True}, "upgraded", _NO_RELOAD.replace("reload", "upgrade")),
}


def test_every_request_is_in_the_tables() -> None:
    assert set(TABLE) == set(CELLS) == set(REQUESTS) == set(NEEDS)
    # One that is forgotten is the admins' alone.
    assert Principal("x", "operator").missing("new") != ""
    assert Principal("x", "admin").missing("new") == ""


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    tasks = {f"yearly-{action}": {"action": action, "schedule": {"cron": "@yearly"}} for action in ACTIONS}
    with Daemon(actions=ACTIONS, tasks=tasks, auth={"tokens": TOKENS}, data_dir="data") as daemon:
        with _client(daemon, "admin-all", "header") as admin:
            for action in ACTIONS:
                assert (
                    request(admin, "start", action=action, task_id=f"task-of-{action}")["type"] == "started"
                )
                request(admin, "start", action=action, task_id=f"over-of-{action}")
                request(admin, "start", action=action, task_id=f"again-of-{action}")
                admin.send_json(type="stop", id="stop", task_id=f"over-of-{action}")
                admin.receive_until("exited")
        yield daemon


def _client(daemon: Daemon, name: str, way: str) -> RawClient:
    headers: list[Header] = {
        "header": lambda: [bearer(name)],
        "subprotocol": lambda: [protocols("overseer.v1", f"bearer.{token_of(name)}")],
        "cookie": lambda: [sign_in(daemon, name)],
    }[way]()
    return RawClient(address_of(daemon), headers=headers)


def _ask(client: RawClient, type: str, fields: dict[str, str]) -> tuple[str, dict[str, Any]]:
    """The answer's type, or its text if it is an error; "" for none."""
    client.send_json(type=type, id="asked", **fields)
    if type in ("restart", "search"):  # which are answered later
        reply = client.receive_until(lambda message: message.get("id") == "asked")[-1]
        return (reply["message"] if reply["type"] == "error" else reply["type"]), reply
    client.send_json(type="describe", id="end", action="no such action")
    replies = client.receive_until(lambda message: message.get("id") == "end")[:-1]
    (reply, *_) = [each for each in replies if each.get("id") == "asked"] or [{"type": ""}]
    return (reply["message"] if reply["type"] == "error" else reply["type"]), reply


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("scope", ["all", "mine"])
@pytest.mark.parametrize("role", ROLES)
def test_the_table(daemon: Daemon, role: str, scope: str, way: str) -> None:
    wrong = {}
    with _client(daemon, f"{role}-{scope}", way) as client:
        for type, answers in TABLE.items():
            fields, visible, invisible = CELLS[type]
            for action in ACTIONS:
                needed = answers[ROLES.index(role)]
                if needed != "+":
                    expected = f"not permitted: {type} needs the role {needed}, and yours is {role}"
                else:
                    sees = scope == "all" or (action == "mine" and type not in _ABOUT_ALL)
                    expected = (visible if sees else invisible).format(action)
                made = {
                    name: each.format(action) if isinstance(each, str) else each
                    for name, each in fields.items()
                }
                if expected == "upgraded":  # which takes a second; tests/upgrade has it
                    continue
                answer, _ = _ask(client, type, made)
                if answer != expected:
                    wrong[type, action] = (answer, expected)
    assert not wrong


@pytest.mark.parametrize("way", WAYS)
def test_without_a_token_or_with_a_wrong_one_there_is_nothing(daemon: Daemon, way: str) -> None:
    wrong = {
        "header": [("Authorization", "Bearer wrong")],
        "subprotocol": [protocols("overseer.v1", "bearer.wrong")],
        "cookie": [("Cookie", "overseer_session=wrong")],
    }[way]
    for path in ("/openapi.json", "/ws/manifest", "/metrics", "/favicon.ico", "/nothing"):
        for headers in ([], wrong) if way == "cookie" else ([],):
            reply = http(daemon, path, headers)
            assert reply.status == 401
            assert reply.headers["www-authenticate"].startswith("Bearer")
    assert open_status(daemon) == 401
    assert open_status(daemon, wrong) == 401
    # A token in a URL is no token.
    token = token_of("admin-all")
    assert http(daemon, f"/ws/manifest?token={token}&access_token={token}").status == 401
    # What needs none.
    assert http(daemon, "/ws").status == 400
    assert http(daemon, "/healthz").status == 200
    assert http(daemon, "/").status == 200


def test_the_server_selects_its_own_subprotocol_only(daemon: Daemon) -> None:
    token = f"bearer.{token_of('viewer-all')}"
    for offered in (("overseer.v1", token), (token, "overseer.v1"), ("x", "overseer.v1", token)):
        with RawClient(address_of(daemon), headers=[protocols(*offered)]) as client:
            assert client.handshake is not None
            assert client.handshake.headers["sec-websocket-protocol"] == "overseer.v1"
    with RawClient(address_of(daemon), headers=[protocols(token)]) as client:
        assert client.handshake is not None
        assert "sec-websocket-protocol" not in client.handshake.headers


def test_documents_and_manifests_show_what_the_token_sees(daemon: Daemon) -> None:
    for name, seen in (("viewer-all", ["mine", "other"]), ("viewer-mine", ["mine"])):
        manifest = http(daemon, "/ws/manifest", [bearer(name)]).json()
        assert [action["name"] for action in manifest["actions"]] == seen
        assert manifest["session"]["name"] == name
        assert manifest["session"]["role"] == "viewer"
        commands = http(daemon, "/openapi.json", [bearer(name)]).json()["paths"]["/ws"]["ws"]["commands"]
        starts = [each["operationId"] for each in commands if each["operationId"].startswith("start-")]
        assert starts == [f"start-{action}" for action in seen]
        with _client(daemon, name, "header") as client:
            _, reply = _ask(client, "manifest", {})
            assert reply["manifest"] == manifest


def test_sign_in_and_out(daemon: Daemon) -> None:
    reply = http(daemon, "/session", [bearer("operator-mine")], method="POST", host="localhost:8080")
    attributes = {each.strip() for each in reply.headers["set-cookie"].split(";")[1:]}
    assert attributes == {"Max-Age=43200", "HttpOnly", "SameSite=Strict"}
    name, _, value = reply.headers["set-cookie"].partition(";")[0].partition("=")
    assert name == "overseer_session_8080"
    assert token_of("operator-mine") not in value
    cookie = ("Cookie", f"theme=dark; {name}={value}")
    assert http(daemon, "/ws/manifest", [cookie], host="localhost:8080").status == 200
    assert http(daemon, "/ws/manifest", [cookie], host="localhost:9090").status == 401
    https = [bearer("viewer-all"), ("Origin", "https://overseer.example")]
    reply = http(daemon, "/session", https, method="POST", host="overseer.example")
    assert "; Secure" in reply.headers["set-cookie"]
    own = [("Origin", "http://localhost:8080"), cookie]
    signed_in = RawClient(address_of(daemon), upgrade=False)
    with signed_in:
        signed_in.send_raw(upgrade_request(host="localhost:8080", headers=own))
        assert signed_in.read_reply().status == 101
        evil = [("Origin", "https://evil.example"), cookie]
        assert http(daemon, "/session", evil, method="DELETE", host="localhost:8080").status == 403
        reply = http(daemon, "/session", own, method="DELETE", host="localhost:8080")
        assert reply.status == 204
        assert "Max-Age=0" in reply.headers["set-cookie"]
        assert signed_in.close_code() == 1008
    assert http(daemon, "/ws/manifest", [cookie], host="localhost:8080").status == 401
    assert http(daemon, "/session", method="POST").status == 401
    assert http(daemon, "/session", method="PUT").status == 405


def test_guessing_is_slowed_down() -> None:
    with Daemon(actions=ACTIONS, auth={"tokens": TOKENS}) as daemon:
        cookie = sign_in(daemon, "viewer-all")
        answers = [open_status(daemon, [("Authorization", f"Bearer guess-{n}")]) for n in range(12)]
        assert answers[:10] == [401] * 10
        assert answers[-1] == 429
        reply = http(daemon, "/ws/manifest", [bearer("admin-all")])
        assert reply.status == 429
        assert 1 <= int(reply.headers["retry-after"]) <= 2
        assert http(daemon, "/ws/manifest", [cookie]).status == 200  # who is signed in is not kept out
        assert "guess-" not in daemon.stderr


def test_requests_per_second() -> None:
    with Daemon(actions=ACTIONS, limits={"requests_per_second": 5}) as daemon, daemon.connect() as client:
        replies = [client.request("describe") for _ in range(20)]
        kinds = [reply["type"] for reply in replies]
        assert kinds[:5] == ["actions"] * 5
        refused = next(reply for reply in replies if reply["type"] == "error")
        assert refused["message"] == "too many requests: 5 a second is the limit (limits.requests_per_second)"
        with daemon.connect() as other:
            assert other.request("describe")["type"] == "actions"
            for _ in range(10):
                other.send_text("nonsense")  # counts as well
            assert other.request("describe")["message"].startswith("too many requests")


def test_without_tokens_all_is_as_it_was() -> None:
    with Daemon(actions=ACTIONS) as daemon:
        wrong = [("Authorization", "Bearer whatever")]
        assert open_status(daemon, wrong) == 101  # a client that has a token for another server
        assert http(daemon, "/ws/manifest").status == 200
        assert "session" not in http(daemon, "/ws/manifest").json()
        assert http(daemon, "/session", method="POST").status == 204
        with daemon.connect() as client:
            assert client.request("purge")["type"] == "purged"
        assert "warning" not in daemon.stderr
