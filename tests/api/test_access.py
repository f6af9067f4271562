"""Who may do what by HTTP: as on a WebSocket; and no page of a stranger gets anywhere."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from tests.api.conftest import Http
from tests.auth.support import TOKENS, sign_in, token_of
from tests.harness import ROOT, Daemon, shell

SCHEMA = ROOT / ".venv/openapi.schema.json"

TOP_LEVEL = {
    "auth": {
        "tokens": [*TOKENS, {"name": "few", "token": "f" * 20, "role": "operator", "actions": ["hello"]}]
    }
}


def bearer(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {'f' * 20 if name == 'few' else token_of(name)}"}


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}])
def test_without_a_token_all_is_refused_by_a_problem_document(http_: Http, headers: dict[str, str]) -> None:
    for method, path in (("GET", "/tasks"), ("POST", "/actions/hello/start"), ("GET", "/openapi.json")):
        refused = http_(method, path, **headers)
        assert (refused.status, refused.json["status"]) == (401, 401)
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    ("method", "path", "least"),
    [
        ("GET", "/tasks", "viewer"),
        ("GET", "/actions", "viewer"),
        ("GET", "/runs", "viewer"),
        ("GET", "/graph", "viewer"),
        ("GET", "/cluster", "viewer"),
        ("POST", "/actions/hello/start", "operator"),
        ("DELETE", "/tasks/nobody", "operator"),
        ("POST", "/tasks/nobody/signal", "operator"),
        ("PUT", "/pools", "admin"),
        ("POST", "/reload", "admin"),
    ],
)
def test_each_route_needs_the_role_of_its_request(http_: Http, method: str, path: str, least: str) -> None:
    roles = ["viewer", "operator", "admin"]
    for role in roles:
        body = {"signal": "HUP"} if path.endswith("signal") else None
        answer = http_(method, path, body, **bearer(f"{role}-all"))
        allowed = roles.index(role) >= roles.index(least)
        assert (answer.status != 403) == allowed, (role, answer.status, answer.text)
        if not allowed:
            assert answer.json["code"] == "not_permitted"


def test_what_a_scope_hides_is_not_there(http_: Http) -> None:
    http_("POST", "/actions/sleep/start", {"task_id": "hidden"}, **bearer("admin-all"))
    few = bearer("few")
    assert [action["name"] for action in http_("GET", "/actions", **few).json["actions"]] == ["hello"]
    assert {task["action"] for task in http_("GET", "/tasks", **few).json["tasks"]} <= {"hello"}
    for method, path in (
        ("GET", "/tasks/hidden"),
        ("GET", "/tasks/hidden/output"),
        ("DELETE", "/tasks/hidden"),
        ("POST", "/actions/sleep/start"),
        ("GET", "/pools/sleep"),
    ):
        assert http_(method, path, **few).status == 404, path
    http_("DELETE", "/tasks/hidden?wait=10", **bearer("admin-all"))


def test_pages_of_others_are_refused_and_a_cookie_needs_an_origin(http_: Http, daemon: Daemon) -> None:
    start = ("POST", "/actions/hello/start", {})
    for origin in ("https://evil.example", "null"):
        assert http_(*start, Origin=origin, **bearer("admin-all")).status == 403
    # The cookie is for the host that the page was loaded from.
    name, value = sign_in(daemon, "operator-all")
    host = {"Host": "localhost"}
    assert http_("GET", "/tasks", **{name: value}, **host).status == 200
    assert http_(*start, **{name: value}, **host).status == 403
    assert http_(*start, **{name: value}, **host, Origin="http://localhost").status == 201


def test_the_description_is_a_valid_openapi_document(http_: Http) -> None:
    document = http_("GET", "/openapi.json", **bearer("viewer-all")).json
    if not SCHEMA.exists():
        pytest.skip("the official schema could not be fetched")
    official = Draft202012Validator(json.loads(SCHEMA.read_text()))
    assert [error.message for error in official.iter_errors(document)] == []
    for reference in re.findall(r'"\$ref": "#/components/schemas/(\w+)"', json.dumps(document)):
        assert reference in document["components"]["schemas"]
    assert document["security"] == [{"token": []}]
    operations = [each["operationId"] for path in document["paths"].values() for each in path.values()]
    assert len(operations) == len(set(operations)) >= 29


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"POST /api/v1/actions/hello/start HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n{", 400),
        (b"POST /api/v1/reload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"POST /api/v1/reload HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n{}", 400),
        (b"GET /api/v1/tasks HTTP/1.1\r\nHost: x\r\n\r\nGET /api/v1/tasks HTTP/1.1\r\nHost: x\r\n\r\n", 200),
    ],
)  # fmt: skip
def test_what_is_no_proper_request_is_refused_and_one_is_answered_once(
    daemon: Daemon, request_: bytes, status: int
) -> None:
    host, _, port = daemon.address.rpartition(":")
    token = f"Authorization: Bearer {token_of('admin-all')}\r\n\r\n".encode()
    with socket.create_connection((host, int(port)), 10) as connection:
        connection.sendall(request_.replace(b"\r\n\r\n", b"\r\n" + token, 1))
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(10)
        data = b""
        while more := connection.recv(65536):
            data += more
    assert data.count(b"HTTP/1.1 ") == 1
    assert data.startswith(b"HTTP/1.1 %d " % status)


def test_a_client_that_waits_for_leave_is_told_to_go_on(daemon: Daemon) -> None:
    host, _, port = daemon.address.rpartition(":")
    head = (
        "POST /api/v1/actions/hello/start HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer {token_of('admin-all')}\r\n"
        "Content-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    )
    with socket.create_connection((host, int(port)), 10) as connection:
        connection.sendall(head.encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b"{}")
        assert connection.recv(100).startswith(b"HTTP/1.1 201 ")


def test_requests_per_second_are_those_of_a_client_over_all_its_connections() -> None:
    tokens = {"tokens": TOKENS}
    with Daemon(actions={"true": shell("true")}, auth=tokens, limits={"requests_per_second": 1}) as daemon:
        http = Http(daemon.address)
        # What is one request by HTTP is several messages inside.
        started = http("POST", "/actions/true/start?wait=20", {"task_id": "t"}, **bearer("admin-all"))
        assert started.json["status"] == "succeeded"
        answers = [http("GET", "/tasks/t", **bearer("operator-all")) for _ in range(5)]
        refused = next(answer for answer in answers if answer.status != 200)
        assert (refused.status, refused.json["code"]) == (429, "too_many")
        assert refused.headers["retry-after"] == "1"
        assert answers[0].status == http("GET", "/tasks/t", **bearer("viewer-all")).status == 200


def test_without_tokens_nothing_is_read_by_a_name_that_a_stranger_s_page_may_have(tmp_path: Path) -> None:
    socket_path = tmp_path / "s"
    with Daemon(actions={"true": shell("true")}, allowed_hosts=["build.example"]) as daemon:
        http = Http(daemon.address)
        for path in ("/tasks", "/events", "/search?query=x", "/openapi.json"):
            refused = http("GET", path, Host="evil.example")
            assert (refused.status, refused.headers["content-type"]) == (403, "application/problem+json")
            assert "allowed_hosts" in refused.json["detail"]
        assert 'allowed_hosts: ["evil.example"]' in daemon.stderr
        for host in ("build.example", "build.example:80", "127.0.0.1", "localhost:1"):
            assert http("GET", "/tasks", Host=host).status == 200
    # No page gets at a Unix socket, whatever is in Host.
    with (
        Daemon(listen=f"unix:{socket_path}", actions={"true": shell("true")}),
        socket.socket(socket.AF_UNIX) as connection,
    ):
        connection.settimeout(20)
        connection.connect(str(socket_path))
        connection.sendall(b"GET /api/v1/tasks HTTP/1.1\r\nHost: evil.example\r\n\r\n")
        assert connection.recv(12) == b"HTTP/1.1 200"
