"""Whatever a client sends: a clear answer, the connection goes on, and nothing is left of it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Daemon, WsClient, shell

_ACTIONS = {
    "ok": shell("echo hi", config={"parameters": {"text": {"default": "x"}}}),
    "argument": {
        "type": "exec",
        "config": {"entrypoint": "/bin/echo", "command": ["[[.text]]"], "parameters": {"text": {}}},
    },
    "program": {
        "type": "exec",
        "config": {"entrypoint": "[[.path]]", "parameters": {"path": {"default": ""}}},
    },
    "fifth": {
        "type": "exec",
        "config": {
            "entrypoint": "/bin/echo",
            "command": ["ok", "[[slice .text 4]]"],
            "parameters": {"text": {}},
        },
    },
    "number": shell("exit 0", config={"parameters": {"n": {"validate": "int(value) > 3"}}}),
}
# The least that each request needs, but for its id.
_LEAST: dict[str, dict[str, Any]] = {
    "start": {"action": "ok"},
    "stop": {"task_id": "t"},
    "reset": {"task_id": "t"},
    "list": {},
    "replay": {"task_id": "t"},
    "describe": {},
    "pool_info": {},
    "purge": {},
    "set_pool": {},
    "subscribe": {"task_id": "t"},
    "unsubscribe": {"task_id": "t"},
    "metrics": {},
    "manifest": {},
    "reload": {"dry_run": True},
}


class _Footprint:
    """The daemon's threads, fds and processes."""

    def __init__(self, daemon: Daemon) -> None:
        proc = Path(f"/proc/{daemon.pid}")
        self.threads = sorted((task / "comm").read_text().strip() for task in (proc / "task").iterdir())
        self.fds = len(list((proc / "fd").iterdir()))
        self.processes = len(daemon.processes())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Footprint) and vars(self) == vars(other)

    def __repr__(self) -> str:
        return repr(vars(self))


def _footprint(daemon: Daemon) -> _Footprint:
    for _ in range(100):  # a thread may end while it is looked at
        try:
            return _Footprint(daemon)
        except OSError:
            continue
    raise AssertionError("its threads come and go without end")


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with Daemon(actions=_ACTIONS) as daemon:
        with daemon.connect() as client:
            client.run("ok")  # what is started on demand is there from now on
        before = _settled(daemon, None)
        yield daemon
        with daemon.connect() as client:
            assert [task["action"] for task in client.request("list")["tasks"]] == ["ok"]
            assert client.request("pool_info")["pool"]["running"] == 0
        assert _settled(daemon, before) == before


def _settled(daemon: Daemon, wanted: _Footprint | None) -> _Footprint:
    """What the daemon holds once that is ``wanted`` or does not change any more."""
    deadline = time.monotonic() + 30
    last = _footprint(daemon)
    same = 0
    while time.monotonic() < deadline and last != wanted and (wanted is not None or same < 10):
        time.sleep(0.02)
        now = _footprint(daemon)
        same = same + 1 if now == last else 0
        last = now
    return last


@pytest.fixture(scope="module")
def client(daemon: Daemon) -> Iterator[WsClient]:
    """One connection for all tests here: none of them may end it."""
    with daemon.connect() as client:
        yield client


def _error(client: WsClient, id: str) -> str:
    """The one error with this id, and that the connection still works."""
    error = client.expect("error", id=id)
    assert list(error) == ["type", "id", "message", "code"]
    assert client.settle() == []
    text = error["message"]
    assert text
    assert "\n" not in text
    assert "Traceback" not in text
    return str(text)


@pytest.mark.parametrize("type", _LEAST)
def test_without_an_id_a_request_is_refused_and_does_nothing(client: WsClient, type: str) -> None:
    for id in ({}, {"id": ""}, {"id": None}, {"id": 7}, {"id": ["a"]}, {"id": "x" * 257}, {"id": "a\x07"}):
        client.send_text(json.dumps({"type": type, **_LEAST[type], **id}))
        assert "id" in _error(client, "")


@pytest.mark.parametrize(
    ("text", "id", "says"),
    [
        ("", "", "not JSON"),
        ("{", "", "not JSON"),
        ("[1, 2]", "", "JSON object"),
        ('"list"', "", "JSON object"),
        ("null", "", "JSON object"),
        ('{"type": "list", "id": "i", "since": NaN}', "i", "NaN"),
        ('{"type": "list", "id": "i", "type": "stop"}', "i", "twice"),
        ('{"type": "list", "id": "i", "x": ' + "[" * 100 + "]" * 100 + "}", "i", "nested too deeply"),
        ("[" * 500_000, "", "nested too deeply"),
        ('{"a":' * 200_000, "", "nested too deeply"),
        ('{"type": "list", "id": "i", "x": ' + "1" * 10_000 + "}", "i", "digits"),
        ('{"type": "launch", "id": "i"}', "i", "unknown type"),
        ('{"type": "' + "x" * 900_000 + '", "id": "i"}', "i", "unknown type"),
        ('{"type": 5, "id": "i"}', "i", "type must be a string"),
        ('{"id": "i"}', "i", "type is required"),
        ('{"type": "start", "id": "i", "action": "ok", "params": {"text": "\\ud800"}}', "i", "surrogate"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_is_no_request_is_answered_and_the_connection_goes_on(
    client: WsClient, text: str, id: str, says: str
) -> None:
    client.send_text(text)
    assert says in _error(client, id)


def test_a_binary_frame_that_holds_json_is_a_request_and_any_other_an_error(client: WsClient) -> None:
    client.send_frame(0x2, b'{"type": "describe", "id": "binary"}')
    assert client.expect("actions", id="binary")["actions"]
    client.send_frame(0x2, b"\xff\xfe\x00")
    assert "not UTF-8" in _error(client, "")
    client.send_frame(0x2, b"\x00" * 10)
    assert "not JSON" in _error(client, "")


_WRONG = {
    "text": [True, 5, 1.5, [], ["a"], {}],
    "number": ["5", -1, 1.5, True, [], {}, 2**63, 1e400],
    "time": ["yesterday", "2024-02-30T00:00:00Z", "2024-01-01", "2024-01-01T00:00:00", 5, [], True],
    "boolean": ["true", 1, 0, [], {}],
    "object": ["{}", 5, True, [], ["a"]],
    "lag": ["wait", 5, True, []],
}
_FIELDS = [
    *[("start", name, "text") for name in ("action", "task_id")],
    ("start", "params", "object"),
    ("start", "retry_policy", "object"),
    ("start", "force", "boolean"),
    ("start", "on_lag", "lag"),
    *[(type, "task_id", "text") for type in ("stop", "reset", "replay", "metrics")],
    *[(type, "task_id", "text") for type in ("subscribe", "unsubscribe")],
    ("list", "since", "time"),
    ("replay", "since", "time"),
    ("replay", "since_seq", "number"),
    ("subscribe", "since_seq", "number"),
    ("subscribe", "on_lag", "lag"),
    *[(type, "action", "text") for type in ("describe", "pool_info", "set_pool", "purge", "metrics")],
    *[("set_pool", name, "number") for name in ("limit", "size", "queue_size")],
    ("set_pool", "excess", "object"),
]


@pytest.mark.parametrize(("type", "field", "kind"), _FIELDS)
def test_every_field_of_a_wrong_type_is_an_error_that_names_it(
    client: WsClient, type: str, field: str, kind: str
) -> None:
    ids = [client.send(type, **{**_LEAST[type], field: value}) for value in _WRONG[kind]]
    replies = {message["id"]: message for message in client.settle()}
    for id, value in zip(ids, _WRONG[kind], strict=True):
        assert replies[id]["type"] == "error", (value, replies[id])
        # 1e400 is no JSON number for Python's encoder either: it writes Infinity.
        assert (field if value != 1e400 else "Infinity") in replies[id]["message"]


@pytest.mark.parametrize(
    ("type", "fields", "says"),
    [
        ("start", {"action": "nope"}, "unknown action: nope"),
        ("describe", {"action": "nope"}, "unknown action: nope"),
        ("pool_info", {"action": "nope"}, "unknown action: nope"),
        ("set_pool", {"action": "nope", "limit": 1}, "unknown action: nope"),
        ("purge", {"action": "nope"}, "unknown action: nope"),
        ("stop", {"task_id": "nope"}, "task not found"),
        ("reset", {"task_id": "nope"}, "task not found"),
        ("replay", {"task_id": "nope"}, "task not found"),
        ("stop", {}, "task_id is required"),
        ("reset", {}, "task_id is required"),
        ("replay", {"task_id": ""}, "task_id is required"),
        ("subscribe", {}, "task_id is required"),
        ("unsubscribe", {}, "task_id is required"),
        ("start", {}, "action is required"),
        ("start", {"action": ""}, "action is required"),
        ("start", {"action": "ok", "task_id": "x" * 257}, "at most 256"),
        ("start", {"action": "ok", "task_id": "a\0b"}, "task_id holds characters"),
        ("start", {"action": "ok\0"}, "action"),
        ("start", {"action": "ok", "params": {"text": 5}}, "params.text must be a string"),
        ("start", {"action": "ok", "params": {"text": {"a": "b"}}}, "params.text must be a string"),
        ("start", {"action": "ok", "params": {f"p{n}": "" for n in range(300)}}, "at most 256"),
        ("start", {"action": "ok", "params": {"text": "x" * 200_000}}, "at most 131072"),
        ("start", {"action": "argument"}, "missing required parameter 'text'"),
        ("start", {"action": "argument", "params": {"text": "a\0b"}}, "NUL"),
        ("start", {"action": "argument", "params": {"text": "x" * 131_072}}, "too long"),
        ("start", {"action": "fifth", "params": {"text": "abc"}}, "command.1: template: 1:3: "),
        ("start", {"action": "program"}, "empty"),
        ("start", {"action": "program", "params": {"path": "/no/such"}}, "/no/such"),
        ("start", {"action": "program", "params": {"path": "no-such-program"}}, "no-such-program"),
        ("start", {"action": "program", "params": {"path": "/etc/passwd"}}, "/etc/passwd"),
        ("start", {"action": "program", "params": {"path": "/tmp"}}, "/tmp"),
        ("start", {"action": "number", "params": {"n": "3"}}, "int(value) > 3"),
        ("start", {"action": "number", "params": {"n": "many"}}, "int(value) > 3"),
        ("start", {"action": "ok", "retry_policy": {"restart_delay": "soon"}}, "restart_delay"),
        ("start", {"action": "ok", "retry_policy": {"restart_delay": "-5s"}}, "negative"),
        ("start", {"action": "ok", "retry_policy": {"restart_delay": 5}}, "restart_delay"),
        ("start", {"action": "ok", "retry_policy": {"restart_jitter": "1"}}, "restart_jitter"),
        ("start", {"action": "ok", "retry_policy": {"restart_factor": 0.9}}, "restart_factor"),
        ("start", {"action": "ok", "retry_policy": {"restart_factor": "2"}}, "restart_factor"),
        ("start", {"action": "ok", "retry_policy": {"restart_factor": True}}, "restart_factor"),
        ("start", {"action": "ok", "retry_policy": {"restart_reset": 5}}, "restart_reset"),
        ("start", {"action": "ok", "retry_policy": {"error_window": "300000h1m1m1d"}}, "error_window"),
        ("start", {"action": "ok", "retry_policy": {"error_window": "9999999h"}}, "error_window"),
        ("start", {"action": "ok", "retry_policy": {"error_threshold": -1}}, "error_threshold"),
        ("start", {"action": "ok", "retry_policy": {"error_threshold": "3"}}, "error_threshold"),
        ("start", {"action": "ok", "retry_policy": {"restart_on": "always"}}, "restart_on"),
        ("set_pool", {"limit": -1}, "limit"),
        ("set_pool", {"size": -1}, "size"),
        ("set_pool", {"queue_size": -5}, "queue_size"),
        ("set_pool", {"action": "ok", "excess": {"action": "kill"}}, "excess.action"),
        ("set_pool", {"action": "ok", "excess": {"order": "middle"}}, "excess.order"),
        ("set_pool", {"action": "ok", "excess": {"grace": -1}}, "excess.grace"),
        ("metrics", {"action": "ok", "task_id": "t"}, "not both"),
    ],
)
def test_a_request_that_cannot_be_is_refused_in_plain_words(
    client: WsClient, type: str, fields: dict[str, Any], says: str
) -> None:
    error = client.request(type, **fields)
    assert error["type"] == "error"
    assert says in error["message"]
    assert client.settle() == []


def test_what_is_refused_has_changed_nothing(client: WsClient) -> None:
    def state() -> list[Any]:
        return [client.request(type)[key] for type, key in (("list", "tasks"), ("describe", "actions"))]

    before = state(), client.request("pool_info")["pool"], client.request("pool_info", action="ok")["pool"]
    client.request("set_pool", action="ok", limit=3, queue_size=-1)
    client.request("set_pool", limit=-1, queue_size=3, excess={"grace": 3})
    assert (
        state(),
        client.request("pool_info")["pool"],
        client.request("pool_info", action="ok")["pool"],
    ) == before


@pytest.mark.parametrize("fields", [{"action": "nope"}, {"task_id": "nope"}])
def test_metrics_of_what_is_unknown_are_none(client: WsClient, fields: dict[str, str]) -> None:
    reply = client.request("metrics", **fields)
    assert reply == {"type": "metrics", "id": reply["id"]}


def test_unknown_fields_are_ignored(client: WsClient) -> None:
    reply = client.request("pool_info", later={"deep": [1, {"x": None}]}, action="")
    assert list(reply) == ["type", "id", "pool"]


def test_absent_null_and_empty_are_the_same(daemon: Daemon) -> None:
    with Daemon(actions=_ACTIONS) as own, own.connect() as client:
        client.send_text(
            json.dumps(
                {"type": "start", "id": "n", "action": "ok", "task_id": "", "params": None, "force": None}
                | {"retry_policy": None, "on_lag": None}
            )
        )
        started = client.expect("started", id="n")
        client.expect("exited", task_id=started["task_id"])
        (info,) = client.request("list", since="")["tasks"]
        assert "params" not in info
        assert "retry_policy" not in info


def test_a_thousand_bad_messages_at_once_are_a_thousand_errors_in_order(client: WsClient) -> None:
    ids = [client.send("stop", id=f"flood-{number}", task_id="nope") for number in range(1000)]
    assert [message["id"] for message in client.settle()] == ids


def test_who_asks_for_too_many_unknown_tasks_is_told_so(daemon: Daemon) -> None:
    with daemon.connect() as client:
        for number in range(1000):
            client.send("subscribe", task_id=f"unknown-{number}")
        assert {message["type"] for message in client.settle()} == {"subscribed"}
        assert "too many" in client.request("subscribe", task_id="one more")["message"]
        # One that it has already is no more; one given up makes room.
        assert client.request("subscribe", task_id="unknown-7")["type"] == "subscribed"
        assert client.request("unsubscribe", task_id="unknown-7")["type"] == "unsubscribed"
        assert client.request("subscribe", task_id="one more")["type"] == "subscribed"
        with daemon.connect() as other:
            assert other.request("subscribe", task_id="mine")["type"] == "subscribed"


def test_a_message_beyond_the_limit_closes_its_own_connection_only(daemon: Daemon, client: WsClient) -> None:
    with daemon.connect() as other:
        other.send_text('{"type": "list", "id": "' + "x" * (1 << 20) + '"}')
        assert other.wait_closed()[0] == 1009
    assert client.settle() == []


def test_starts_that_fail_free_their_id_and_their_place(client: WsClient) -> None:
    for _ in range(3):
        assert client.request("start", action="program", task_id="again")["type"] == "error"
    assert client.request("pool_info", action="program")["pool"]["running"] == 0
    assert client.request("metrics", task_id="again") == {"type": "metrics", "id": client.messages[-1]["id"]}
    assert client.request("metrics", action="program")["action"]["tasks_started"] == 0
