"""What a server has only in memory goes over as well."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import itertools
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.faults.support import address_of, wait_until
from tests.harness import Daemon, shell
from tests.harness.client import WsClient
from tests.net.rawclient import RawClient, RawSocket, http_request
from tests.upgrade.support import assert_in_order, counter, upgrade

_WAIT = 60.0
_TOKEN = "0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with Daemon(
        actions={
            "short": shell("true"),
            "slow": shell(
                "sleep 60", config={"command": ["-c", "sleep 60"], "parameters": {"x": {"default": ""}}}
            ),
            "seq": shell("seq 1 20000; sleep 60"),
        },
        webhooks={"hook": {"action": "short", "secret": "gh", "scheme": "github"}},
        channels={"slow": {"exec": ["sh", "-c", "[ -e told ] || { touch told; sleep 60; }"]}},
        history={"age": 86400},
    ) as daemon:
        yield daemon


def _post(daemon: Daemon, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, Any]]:
    host, port = address_of(daemon)
    connection = http.client.HTTPConnection(host, port, timeout=_WAIT)
    try:
        data = json.dumps(body or {}).encode()
        if path.startswith("/hooks/"):
            headers["X-Hub-Signature-256"] = "sha256=" + hmac.digest(b"gh", data, "sha256").hex()
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        connection.request("POST", path, data, {"Content-Type": "application/json", **named})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def test_an_idempotency_key_stands_for_the_same_start(daemon: Daemon, client: WsClient):
    path = "/api/v1/actions/slow/start"
    status, first = _post(daemon, path, Idempotency_Key="a")
    assert status == 201
    for _ in range(2):  # also where nobody has used the API meanwhile
        upgrade(client)
    status, again = _post(daemon, path, Idempotency_Key="a")
    assert (status, again["task_id"], again["restart_count"]) == (201, first["task_id"], 0)
    assert _post(daemon, path, {"params": {"x": "1"}}, Idempotency_Key="a")[0] == 422
    assert _post(daemon, path, Idempotency_Key="b")[1]["task_id"] != first["task_id"]


def test_a_delivery_to_a_webhook_is_taken_once(daemon: Daemon, client: WsClient):
    def deliver(number: int) -> tuple[int, dict[str, Any]]:
        return _post(daemon, "/hooks/hook", {"n": number}, X_GitHub_Delivery=f"d{number}")

    assert deliver(1)[0] == 202
    for _ in range(2):
        upgrade(client)
    status, said = deliver(1)
    assert (status, "taken before" in said["message"]) == (200, True)
    assert deliver(2)[0] == 202


def test_counters_go_on(daemon: Daemon, client: WsClient):
    _post(daemon, "/api/v1/actions/short/start")
    before = {name: counter(daemon, name) for name in ("api_requests", "webhook_refused")}
    for _ in range(2):
        upgrade(client)
    assert {name: counter(daemon, name) for name in before} == before
    _post(daemon, "/api/v1/actions/short/start")
    assert counter(daemon, "api_requests") == before["api_requests"] + 1


def test_a_request_that_a_thread_is_at_work_on_is_answered(daemon: Daemon, client: WsClient):
    # The first attempt hangs; the second, by the program that follows, does not.
    test = client.send("notify_test", channel="slow")
    wait_until((daemon.directory / "told").exists, _WAIT, "the first attempt")
    upgrade(client)
    assert client.expect("notify_tested", _WAIT, id=test)["channel"] == "slow"


def test_what_was_asked_for_of_a_ring_and_not_read_comes_in_order(daemon: Daemon, client: WsClient):
    client.request("start", _WAIT, action="seq", task_id="seq")
    client.expect("output", _WAIT, task_id="seq", data="20000")
    raw = RawClient(address_of(daemon), timeout=_WAIT, receive_buffer=4096)
    for number in range(20):
        raw.send_json(type="replay", id=str(number), task_id="seq")
    raw.send_json(type="pool_info", id="end")
    client.request("pool_info", _WAIT)
    upgrade(client)
    messages = [raw.receive_json()]
    while messages[-1].get("id") != "end":
        messages.append(raw.receive_json())
    outputs = [message for message in messages if message["type"] == "output"]
    assert len(outputs) % 20 == 0
    each = len(outputs) // 20
    for begin in range(0, len(outputs), each):
        assert assert_in_order(outputs[begin : begin + each], "seq", outputs[0]["seq"]) == 20_000
    raw.close()


def test_a_request_that_has_not_come_whole_is_turned_away_in_words(daemon: Daemon, client: WsClient):
    with (
        RawSocket(address_of(daemon), timeout=_WAIT) as silent,
        RawSocket(address_of(daemon), timeout=_WAIT) as begun,
    ):
        begun.send_raw(b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgr")
        upgrade(client)
        for each in (silent, begun):
            reply = each.read_reply()
            assert (reply.status, dict(reply.headers)["retry-after"]) == (503, "1")


def test_who_has_guessed_too_often_is_still_kept_out():
    with Daemon(actions={}, environment={"OVERSEER_TOKEN": _TOKEN}) as daemon:
        admin = RawClient(address_of(daemon), timeout=_WAIT, headers=[("Authorization", f"Bearer {_TOKEN}")])

        def guess() -> int:
            header = ("Authorization", f"Bearer {hashlib.sha256().hexdigest()}")
            return http_request(address_of(daemon), "/metrics", headers=[header], timeout=_WAIT).status

        def guesses() -> int:
            return next(number for number in itertools.count() if guess() == 429)

        assert guesses() >= 10
        locked_at = time.monotonic()
        assert admin.request(type="upgrade", id="1", timeout=_WAIT)["type"] == "upgraded"
        tries = guesses()
        assert tries <= (time.monotonic() - locked_at) / 2 + 1  # one is forgiven every two seconds
        admin.close()
