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
from tests.upgrade.support import assert_in_order, counter, go_over

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


def an_idempotency_key_stands_for_the_same_start(daemon: Daemon, client: WsClient) -> Iterator[None]:
    path = "/api/v1/actions/slow/start"
    status, first = _post(daemon, path, Idempotency_Key="a")
    assert status == 201
    yield
    yield  # also where nobody has used the API meanwhile
    status, again = _post(daemon, path, Idempotency_Key="a")
    assert (status, again["task_id"], again["restart_count"]) == (201, first["task_id"], 0)
    assert _post(daemon, path, {"params": {"x": "1"}}, Idempotency_Key="a")[0] == 422
    assert _post(daemon, path, Idempotency_Key="b")[1]["task_id"] != first["task_id"]


def a_delivery_to_a_webhook_is_taken_once(daemon: Daemon, client: WsClient) -> Iterator[None]:
    def deliver(number: int) -> tuple[int, dict[str, Any]]:
        return _post(daemon, "/hooks/hook", {"n": number}, X_GitHub_Delivery=f"d{number}")

    assert deliver(1)[0] == 202
    yield
    yield
    status, said = deliver(1)
    assert (status, "taken before" in said["message"]) == (200, True)
    assert deliver(2)[0] == 202


def counters_go_on(daemon: Daemon, client: WsClient) -> Iterator[None]:
    _post(daemon, "/api/v1/actions/short/start")
    before = {name: counter(daemon, name) for name in ("api_requests", "webhook_refused")}
    yield
    yield
    assert {name: counter(daemon, name) for name in before} == before
    _post(daemon, "/api/v1/actions/short/start")
    assert counter(daemon, "api_requests") == before["api_requests"] + 1


def a_request_that_a_thread_is_at_work_on_is_answered(daemon: Daemon, client: WsClient) -> Iterator[None]:
    # The first attempt hangs; the second, by the program that follows, does not.
    test = client.send("notify_test", channel="slow")
    wait_until((daemon.directory / "told").exists, _WAIT, "the first attempt")
    yield
    assert client.expect("notify_tested", _WAIT, id=test)["channel"] == "slow"


def what_was_asked_for_of_a_ring_comes_in_order(daemon: Daemon, client: WsClient) -> Iterator[None]:
    client.request("start", _WAIT, action="seq", task_id="seq")
    client.expect("output", _WAIT, task_id="seq", data="20000")
    raw = RawClient(address_of(daemon), timeout=_WAIT, receive_buffer=4096)
    for number in range(20):
        raw.send_json(type="replay", id=str(number), task_id="seq")
    raw.send_json(type="pool_info", id="end")
    client.request("pool_info", _WAIT)
    yield
    messages = [raw.receive_json()]
    while messages[-1].get("id") != "end":
        messages.append(raw.receive_json())
    outputs = [message for message in messages if message["type"] == "output"]
    assert len(outputs) % 20 == 0
    each = len(outputs) // 20
    for begin in range(0, len(outputs), each):
        assert assert_in_order(outputs[begin : begin + each], "seq", outputs[0]["seq"]) == 20_000
    raw.close()


def a_request_that_has_not_come_whole_is_turned_away(daemon: Daemon, client: WsClient) -> Iterator[None]:
    with (
        RawSocket(address_of(daemon), timeout=_WAIT) as silent,
        RawSocket(address_of(daemon), timeout=_WAIT) as begun,
    ):
        begun.send_raw(b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgr")
        yield
        for each in (silent, begun):
            reply = each.read_reply()
            assert (reply.status, dict(reply.headers)["retry-after"]) == (503, "1")


_KINDS = (
    an_idempotency_key_stands_for_the_same_start,
    a_delivery_to_a_webhook_is_taken_once,
    a_request_that_a_thread_is_at_work_on_is_answered,
    what_was_asked_for_of_a_ring_comes_in_order,
    a_request_that_has_not_come_whole_is_turned_away,
    counters_go_on,
)


@pytest.fixture(scope="module")
def failed(daemon: Daemon) -> dict[str, BaseException]:
    return go_over(daemon, _KINDS)


@pytest.mark.parametrize("kind", [kind.__name__ for kind in _KINDS])
def test_goes_over(failed: dict[str, BaseException], kind: str):
    if kind in failed:
        raise failed[kind]


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
