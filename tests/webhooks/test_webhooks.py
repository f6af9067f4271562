"""Webhooks of a real server: who may start what, from addresses that may do nothing else.

All is asked for from an address that is not trusted, of a server that asks for tokens. What came of it is
looked up from one that is.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import http.client
import json
import socket
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from standardwebhooks import Webhook

from tests.harness import Daemon, shell

KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TOKEN = "t" * 20
PUSH = {"ref": "refs/heads/main", "after": "abc123", "commits": [{"id": "c1"}], "size": 1, "who": None}
ACTIONS = {
    "deploy": shell(
        'printf "%s\\n" "$1"',
        config={
            "command": ["-c", 'printf "%s\\n" "$1"', "sh", "[[.ref]]"],
            "parameters": {"ref": {"validate": 'value != "refs/heads/secret"'}, "event": ""},
        },
    ),
    "wait": shell("exec sleep 60", task_pool={"limit": 1}),
    "typed": shell("true", config={"parameters": {"n": {"type": "integer", "max": 5}}}),
}
PARAMS = {"ref": "[[.body.ref]]"}
WEBHOOKS = {
    "github": {
        "action": "deploy",
        "secret": "gh",
        "scheme": "github",
        "when": 'headers["x-github-event"] == "push" && body.ref.startsWith("refs/")',
        "params": {**PARAMS, "event": "[[.headers.x_github_event]] [[index .body.commits 0]]"},
    },
    "gitlab": {"action": "deploy", "secret": {"secret": "gl"}, "scheme": "gitlab", "params": PARAMS},
    "standard": {"action": "deploy", "secret": KEY, "scheme": "standard", "params": PARAMS},
    "token": {"action": "deploy", "secret": "tk", "scheme": "token", "params": PARAMS},
    "open": {"action": "deploy", "params": PARAMS},
    "typed": {"action": "typed", "secret": "gh", "scheme": "github", "params": {"n": "[[.body.n]]"}},
    "whole": {"action": "deploy", "secret": "gh", "scheme": "github", "params": {"ref": "[[.body]]"}},
    "full": {"action": "wait", "secret": "gh", "scheme": "github"},
}


class Sender:
    """``send("github", body, headers)``: from ``source``, by default one that is not trusted."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    def __call__(
        self,
        name: str,
        body: object = PUSH,
        headers: Mapping[str, str] | None = None,
        source: str = "127.0.0.1",
        method: str = "POST",
    ) -> tuple[int, dict[str, Any]]:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        path = name if name.startswith("/") else f"/hooks/{name}"
        connection = http.client.HTTPConnection(self._daemon.address, timeout=30, source_address=(source, 0))
        try:
            connection.request(method, path, data, headers or {})
            response = connection.getresponse()
            text = response.read()
            return response.status, json.loads(text) if "json" in response.headers["content-type"] else {}
        finally:
            connection.close()

    def text(self, path: str, headers: dict[str, str]) -> str:
        """What a trusted client gets."""
        connection = http.client.HTTPConnection(
            self._daemon.address, timeout=30, source_address=("127.0.0.2", 0)
        )
        try:
            connection.request("GET", path, headers=headers)
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def github(self, name: str = "github", body: object = PUSH, **headers: str) -> tuple[int, dict[str, Any]]:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        signature = hmac.new(b"gh", data, hashlib.sha256).hexdigest()
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        signed = {"X-GitHub-Event": "push", "X-Hub-Signature-256": f"sha256={signature}"}
        return self(name, data, {**signed, **given})

    def standard(
        self, body: object = PUSH, id: str = "msg_1", ago: float = 0.0
    ) -> tuple[int, dict[str, Any]]:
        data = json.dumps(body)
        at = datetime.now(UTC) - timedelta(seconds=ago)
        signature = Webhook(KEY).sign(id, at, data)
        sent = {
            "webhook-id": id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": signature,
        }
        return self("standard", data.encode(), sent)

    def audited(self) -> list[dict[str, Any]]:
        """The lines of the audit so far; they are written by a thread of their own."""
        marker = f"marker-{time.monotonic_ns()}"
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        self(f"/api/v1/tasks/{marker}", b"", bearer, "127.0.0.2", "DELETE")
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            text = (self._daemon.directory / "audit.log").read_text()
            if marker in text:
                return [json.loads(line) for line in text.splitlines() if "marker-" not in line]
        raise AssertionError(text)

    def run_of(self, task_id: str) -> dict[str, Any]:
        """The task's first run in the history."""
        path = f"/api/v1/runs?task_id={quote(task_id)}"
        _, answer = self(path, b"", {"Authorization": f"Bearer {TOKEN}"}, "127.0.0.2", "GET")
        run: dict[str, Any] = answer["runs"][-1]
        return run


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with Daemon(
        actions=ACTIONS,
        webhooks=WEBHOOKS,
        secrets={"gl": {"command": ["echo", "gitlab-secret"]}},
        trusted_cidrs=["127.0.0.2/32"],
        auth={"tokens": [{"name": "ann", "token": TOKEN, "role": "admin"}]},
        audit_file="audit.log",
        data_dir="data",
        limits={"max_message": "64KiB"},
    ) as daemon:
        yield daemon


@pytest.fixture
def send(daemon: Daemon) -> Sender:
    return Sender(daemon)


def test_a_signed_request_starts_its_action_as_the_webhook(send: Sender) -> None:
    status, answer = send.github(X_GitHub_Delivery="d1")
    assert status == 202
    run = send.run_of(answer["task_id"])
    assert run["trigger"] == {"type": "webhook", "by": "webhook:github"}
    assert run["params"] == {"ref": "refs/heads/main", "event": "push map[id:c1]"}
    line = send.audited()[-1]
    assert (line["who"], line["from"], line["allowed"]) == ("webhook:github", "127.0.0.1", True)
    assert (line["request"]["action"], line["task_id"]) == ("deploy", answer["task_id"])


def test_each_scheme_takes_what_its_sender_sends(send: Sender) -> None:
    assert send("gitlab", PUSH, {"X-Gitlab-Token": "gitlab-secret", "X-Gitlab-Event": "Push Hook"})[0] == 202
    assert send.standard(id="msg_0")[0] == 202
    assert send("token", PUSH, {"Authorization": "Bearer tk"})[0] == 202
    assert send("open", PUSH, source="127.0.0.2")[0] == 202


@pytest.mark.parametrize("again", ["github", "gitlab", "standard"])
def test_a_delivery_is_taken_once(send: Sender, again: str) -> None:
    def deliver() -> tuple[int, dict[str, Any]]:
        if again == "github":
            return send.github(X_GitHub_Delivery="twice")
        if again == "gitlab":
            return send("gitlab", PUSH, {"X-Gitlab-Token": "gitlab-secret", "Idempotency-Key": "twice"})
        return send.standard(id="twice")

    assert deliver()[0] == 202
    before = len(send.audited())
    status, answer = deliver()
    assert (status, answer) == (200, {"message": "nothing to do: this delivery has been taken before"})
    (line,) = send.audited()[before:]
    assert line["error"] == answer["message"]
    assert "task_id" not in line


def test_a_delivery_that_started_nothing_may_come_again(send: Sender) -> None:
    status, first = send.github("full", X_GitHub_Delivery="a")
    assert status == 202
    assert send.github("full", X_GitHub_Delivery="b")[0] == 503
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    send(f"/api/v1/tasks/{first['task_id']}?wait=10", b"", bearer, "127.0.0.2", "DELETE")
    status, second = send.github("full", X_GitHub_Delivery="b")
    assert status == 202
    send(f"/api/v1/tasks/{second['task_id']}?wait=10", b"", bearer, "127.0.0.2", "DELETE")


def test_a_delivery_is_refused_when_it_was_signed_too_long_ago_or_will_be(send: Sender) -> None:
    for ago in (310, -310):
        status, answer = send.standard(id=f"late{ago}", ago=ago)
        assert (status, "five minutes" in answer["detail"]) == (401, True)
    assert send.standard(id="just", ago=280)[0] == 202


def test_nothing_is_started_when_the_condition_is_not_met(send: Sender) -> None:
    for event, body in (("ping", PUSH), ("push", {"zen": "x"}), ("push", [1]), ("push", {"ref": 5})):
        status, answer = send.github(body=body, X_GitHub_Event=event)
        assert (status, answer["message"].partition(":")[0]) == (200, "nothing to do"), (event, body)
        assert send.audited()[-1]["error"] == answer["message"]


@pytest.mark.parametrize(
    ("name", "headers"),
    [
        ("github", {}),
        ("github", {"X-Hub-Signature-256": "sha256=" + "0" * 64}),
        ("github", {"X-Hub-Signature-256": "sha256="}),
        ("github", {"X-Hub-Signature-256": "\xff\xfe"}),
        ("github", {"X-Hub-Signature": "sha1=" + "0" * 40}),
        ("gitlab", {"X-Gitlab-Token": "gitlab-secre"}),
        ("standard", {"webhook-id": "m", "webhook-timestamp": "1"}),
        ("standard", {"webhook-id": "m", "webhook-timestamp": "1", "webhook-signature": "v1,"}),
        ("standard", {"webhook-id": "m", "webhook-timestamp": "x" * 99, "webhook-signature": "v1,\xe9 v2"}),
        ("token", {"Authorization": "Basic dGs="}),
        ("token", {"Authorization": f"Bearer {TOKEN}"}),
    ],
)  # fmt: skip
def test_without_the_right_signature_nothing_is_started(
    send: Sender, name: str, headers: dict[str, str]
) -> None:
    before = len(send.audited())
    status, answer = send(name, PUSH, headers)
    assert status in (401, 429), answer
    assert answer["code"] in ("not_permitted", "too_many")
    for line in send.audited()[before:]:
        assert (line["who"], line["allowed"]) == ("", False)
        assert line["request"] == {"type": "start", "action": "deploy"}
        assert "tk" not in line["error"].split()


def test_a_signature_of_another_body_or_a_truncated_one_is_wrong(send: Sender) -> None:
    good = hmac.new(b"gh", json.dumps(PUSH).encode(), hashlib.sha256).hexdigest()
    changed = {**PUSH, "ref": "refs/heads/other"}
    for body, signature in (
        (changed, good),
        (PUSH, good[:-1]),
        (PUSH, good.upper()),
        (PUSH, f"{good}, {good}"),
    ):
        assert send("github", body, {"X-Hub-Signature-256": f"sha256={signature}"})[0] in (401, 429)


def test_guesses_are_slowed_down_and_a_signature_is_not_locked_out() -> None:
    with Daemon(actions=ACTIONS, webhooks=WEBHOOKS, secrets={"gl": {"command": ["echo", "x" * 9]}}) as daemon:
        send = Sender(daemon)
        answers = [send("token", PUSH, {"Authorization": f"Bearer {n}"})[0] for n in range(12)]
        assert answers == [401] * 10 + [429] * 2
        assert send("token", PUSH, {"Authorization": "Bearer tk"})[0] == 429
        assert send("github", PUSH, {"X-Hub-Signature-256": "sha256=0"})[0] == 429
        # Its sender may share an address with whoever guesses: that of a proxy.
        assert send.github()[0] == 202
        assert send("/api/v1/tasks", b"", method="GET")[0] == 200


@pytest.mark.parametrize(
    "ref", ["-rf", "$(touch pwned)", "`touch pwned`", "a\nb; touch pwned", "'\"\\", "é\u2028"]
)
def test_what_a_body_says_is_one_argument_and_nothing_else(send: Sender, daemon: Daemon, ref: str) -> None:
    status, answer = send.standard({"ref": ref}, id=f"ref {ref!a}")
    if status == 202:
        bearer = {"Authorization": f"Bearer {TOKEN}", "Accept": "application/x-ndjson"}
        output = send.text(f"/api/v1/tasks/{answer['task_id']}/output?follow", bearer)
        lines = [json.loads(line) for line in output.split("\n") if line]
        assert "\n".join(line["data"] for line in lines if line["type"] == "output") == ref
        assert send.run_of(answer["task_id"])["params"]["ref"] == ref
    else:
        assert (status, answer["code"]) == (422, "invalid")
    line = send.audited()[-1]
    assert (line["who"], line["request"]["params"]["ref"]) == ("webhook:standard", ref)
    assert not (daemon.directory / "pwned").exists()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"ref=main", 400),
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b'{"ref": NaN}', 400),
        (b'{"ref": "\\ud800"}', 422),
        (b"[" * 30_000, 400),
        (b'{"ref":' * 5_000 + b"1" + b"}" * 5_000, (202, 400, 422)),
        (b'{"ref": ' + b"9" * 5_000 + b"}", 400),
        (b'{"ref": "' + b"x" * 65_536 + b'"}', 413),
        (b"", 202),
    ],
)  # fmt: skip
def test_bodies_that_are_no_use_are_refused(send: Sender, body: bytes, status: Any) -> None:
    sent = str(int(time.time()))
    key = base64.b64decode(KEY.removeprefix("whsec_"))
    digest = hmac.digest(key, f"b.{sent}.".encode() + body, "sha256")
    headers = {
        "webhook-id": "b",
        "webhook-timestamp": sent,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }
    got, answer = send("standard", body, headers)
    assert got in (status if isinstance(status, tuple) else (status,)), answer


def test_a_body_too_deep_to_be_printed_is_refused_and_may_come_again(send: Sender) -> None:
    deep = b'{"ref":' * 600 + b"1" + b"}" * 600
    for _ in range(2):
        got, answer = send.github("whole", deep, X_GitHub_Delivery="deep")
        assert (got, "nested too deeply" in answer["detail"]) == (422, True)


def test_a_secret_that_is_no_key_is_the_servers_fault() -> None:
    secrets = {"gl": {"command": ["echo", "x" * 9]}, "bad": {"command": ["echo", "whsec_%%%"]}}
    webhooks = {**WEBHOOKS, "standard": {**WEBHOOKS["standard"], "secret": {"secret": "bad"}}}
    with Daemon(actions=ACTIONS, webhooks=webhooks, secrets=secrets) as daemon:
        got, answer = Sender(daemon).standard()
        assert (got, answer["detail"]) == (503, "the server cannot read its secret")


def test_parameters_are_held_to_what_the_action_declares(send: Sender) -> None:
    assert send.github("typed", {"n": 4})[0] == 202
    for n in (6, "x", None, {"a": 1}, 1.5):
        status, answer = send.github("typed", {"n": n})
        assert (status, answer["code"], answer["param"]) == (422, "invalid", "n"), n
        line = send.audited()[-1]
        assert (line["who"], line["error"]) == ("webhook:typed", answer["detail"])
    status, answer = send.github(body={**PUSH, "ref": "refs/heads/secret"})
    assert status == 422


def test_a_webhook_without_a_secret_is_for_trusted_addresses_and_not_for_pages(send: Sender) -> None:
    assert send("open")[0] == 404
    assert send("open", PUSH, {"Origin": "http://localhost"}, "127.0.0.2")[0] == 403
    assert send("nothing")[0] == 404


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_who_opens_its_address_in_a_browser_is_told_that_it_takes_a_post(send: Sender, method: str) -> None:
    status, answer = send("github", method=method, source="127.0.0.2")
    assert (status, answer["detail"]) == (405, "the method must be POST")
    assert send("nothing", method=method, source="127.0.0.2")[0] == 404


def test_strangers_may_do_nothing_else(send: Sender) -> None:
    for path, method in (("/hooks/github", "GET"), ("/api/v1/tasks", "POST"), ("/hooks", "POST")):
        assert send(path, b"", method=method)[0] == 403
    assert send("/ws/../hooks/github", b"")[0] == 403


def test_a_stranger_who_is_slow_is_cut_off_and_others_are_served(send: Sender, daemon: Daemon) -> None:
    host, _, port = daemon.address.rpartition(":")
    head = b"POST /hooks/github HTTP/1.1\r\nHost: x\r\nX-Hub-Signature-256: 0\r\nContent-Length: 9\r\n\r\n{"
    slow = [socket.create_connection((host, int(port)), 20) for _ in range(20)]
    try:
        for each in slow:
            each.sendall(head)
        assert send.github(X_GitHub_Delivery="meanwhile")[0] == 202
        closed = 0
        for each in slow[:4]:  # there are places for sixteen
            try:
                closed += b" 202" not in each.recv(1000)
            except ConnectionResetError:
                closed += 1
        assert closed == 4
    finally:
        for each in slow:
            each.close()


@pytest.mark.parametrize("sources", [["127.0.0.5"], ["127.0.0.5", "127.0.0.6"]])
def test_slow_senders_at_a_few_addresses_hold_up_no_other(sources: list[str]) -> None:
    head = b"POST /hooks/github HTTP/1.1\r\nHost: x\r\nX-Hub-Signature-256: 0\r\nContent-Length: 99\r\n\r\n{"
    with Daemon(actions=ACTIONS, webhooks=WEBHOOKS, secrets={"gl": {"command": ["echo", "x" * 9]}}) as daemon:
        host, _, port = daemon.address.rpartition(":")
        with contextlib.ExitStack() as open_ones:
            for source in sources * 40:
                slow = socket.create_connection((host, int(port)), 20, source_address=(source, 0))
                open_ones.enter_context(slow).sendall(head)
            send = Sender(daemon)
            for number in range(5):
                assert send.github(X_GitHub_Delivery=str(number))[0] == 202


def test_deliveries_are_counted(send: Sender) -> None:
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    text = send.text("/metrics", bearer)
    counts = dict(line.split() for line in text.splitlines() if line.startswith("overseer_webhook"))
    assert float(counts["overseer_webhook_starts_total"]) > 0
    assert float(counts["overseer_webhook_refused_total"]) > 0


def test_where_there_is_no_webhook_nothing_is_taken() -> None:
    with Daemon(actions=ACTIONS) as daemon:
        send = Sender(daemon)
        assert send.github()[0] == 405
        assert "webhook" not in daemon.stderr
