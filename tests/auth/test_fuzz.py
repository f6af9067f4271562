"""Anything at all, thrown at a server: nothing but clean answers, and it goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from overseer.protocol import REQUESTS
from tests.auth.support import TOKENS, address_of, bearer, request
from tests.harness import Daemon, shell
from tests.net.rawclient import BINARY, TEXT, RawClient, RawSocket

# A server's answer to garbage: one of these, or nothing and the end.
_CLEAN = (200, 204, 400, 401, 403, 404, 405, 408, 426, 429, 431, 501, 503)
_QUICKLY = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    actions = {"a": shell("true", config={"parameters": {"x": {"validate": "value.matches('^a+$')"}}})}
    with Daemon(actions=actions, auth={"tokens": TOKENS}, limits={"handshake_timeout": "500ms"}) as daemon:
        yield daemon
        assert "Traceback" not in daemon.stderr
        assert "failed" not in daemon.stderr


_TOKENS = some.sampled_from(
    [f"Bearer {each['token']}" for each in TOKENS] + ["Bearer", "Basic x", "Bearer \xff", ""]
)
_HEADERS = some.lists(
    some.tuples(
        some.sampled_from(
            ["Host", "Origin", "Authorization", "Cookie", "Upgrade", "Connection", "Sec-WebSocket-Key",
             "Sec-WebSocket-Version", "Sec-WebSocket-Protocol", "Content-Length", "Transfer-Encoding", "X"]
        ),
        some.one_of(
            _TOKENS,
            some.sampled_from(
                ["localhost", "http://localhost", "null", "websocket", "Upgrade", "13", "8", "chunked", "0",
                 "AAAAAAAAAAAAAAAAAAAAAA==", "overseer.v1, bearer.x", "\t", ",",
                 "overseer_session=x; overseer_session="]
            ),
            some.text(some.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=30),
        ),
    ),
    max_size=8,
)  # fmt: skip
_REQUESTS = some.builds(
    lambda method, path, version, headers: (
        f"{method} {path} HTTP/{version}\r\n"
        + "".join(f"{name}: {value}\r\n" for name, value in headers)
        + "\r\n"
    ).encode("latin-1"),
    some.sampled_from(["GET", "HEAD", "POST", "DELETE", "PUT", "OPTIONS", "G\0T", "get"]),
    some.one_of(
        some.sampled_from(
            ["/", "/ws", "/ws/manifest", "/session", "/openapi.json", "/healthz", "/%00", "/..%2f", "*"]
        ),
        some.text(some.characters(min_codepoint=33, max_codepoint=126), max_size=20),
    ),
    some.sampled_from(["1.1", "1.1", "1.0", "2.0", "x"]),
    _HEADERS,
)


@_QUICKLY
@given(some.one_of(_REQUESTS, _REQUESTS, some.binary(max_size=200)))
def test_any_request_has_a_clean_answer(daemon: Daemon, data: bytes) -> None:
    with RawSocket(address_of(daemon)) as connection:
        connection.send_raw(data)
        connection.sock.shutdown(1)
        connection.at_end()
        answer = bytes(connection.buffer)
    if answer:
        status = int(answer.split(b" ")[1])
        assert answer.startswith(b"HTTP/1.1 ")
        assert status in (*_CLEAN, 101)
        assert b"Traceback" not in answer


_JSON = some.recursive(
    some.one_of(some.none(), some.booleans(), some.integers(), some.floats(), some.text(max_size=20)),
    lambda inner: some.one_of(
        some.lists(inner, max_size=4), some.dictionaries(some.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)
_FIELDS = some.sampled_from(
    [
        "action",
        "task_id",
        "params",
        "force",
        "since",
        "since_seq",
        "limit",
        "queue_size",
        "excess",
        "on_lag",
        "x",
    ]
)
_VALUES = some.one_of(
    _JSON, some.sampled_from(["a", "t", "", "*", "2026-01-01T00:00:00Z", {"x": "aa"}, {"x": ["\0"]}])
)
_MESSAGES = some.builds(
    lambda type, id, fields: {"type": type, "id": id, **fields},
    some.one_of(some.sampled_from(sorted(REQUESTS)), some.text(max_size=5)),
    some.one_of(some.just("1"), _JSON),
    some.dictionaries(_FIELDS, _VALUES, max_size=5),
)


@pytest.mark.parametrize("name", ["viewer-mine", "admin-all"])
def test_any_message_has_a_clean_answer(daemon: Daemon, name: str) -> None:
    with RawClient(address_of(daemon), headers=[bearer(name)], timeout=30) as client:

        @_QUICKLY
        @given(
            some.one_of(
                some.lists(_MESSAGES.map(json.dumps).map(str.encode), min_size=1, max_size=5),
                some.lists(
                    some.one_of(some.binary(max_size=50), _JSON.map(json.dumps).map(str.encode)), max_size=5
                ),
            )
        )
        def send(messages: list[bytes]) -> None:
            for data in messages:
                client.send_frame(TEXT if data.isascii() else BINARY, data)
            client.send_json(type="describe", id="the end", action="none")
            for reply in client.receive_until(lambda reply: reply.get("id") == "the end"):
                assert "internal error" not in reply.get("message", "")
                assert "Traceback" not in str(reply)

        send()
        assert request(client, "list")["type"] == "tasks"
