"""Plain HTTP requests to a real server: routes, refusals, half and broken handshakes."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path

import pytest

from overseer.auth.peer import Peer
from overseer.auth.rights import Principal
from overseer.net.encoding import json_response
from overseer.net.http import Request, Response, _http_date, error_response
from overseer.net.pending_connections import PendingConnections
from overseer.net.static import static_routes
from tests.harness import allowed
from tests.net.conftest import Harness
from tests.net.rawclient import (
    Closed,
    HttpReply,
    RawSocket,
    http_request,
    upgrade_request,
)

Serve = Callable[..., Harness]


def answer_to(harness: Harness, data: bytes) -> HttpReply:
    with RawSocket(harness.address) as connection:
        connection.send_raw(data)
        return connection.read_reply()


# -- routes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/ws", 400),
        ("GET", "/ws?x=1", 400),
        ("HEAD", "/ws", 200),
        ("HEAD", "/doc", 200),
        ("HEAD", "/", 200),
        ("HEAD", "/nothing", 200),
        ("GET", "/doc", 200),
        ("GET", "/d%6Fc", 200),
        ("GET", "http://elsewhere/doc", 200),
        ("GET", "/nothing", 404),
        ("GET", "/doc/", 404),
        ("GET", "//doc", 404),
        ("GET", "/../doc", 404),
        ("GET", "/fails", 500),
        ("POST", "/doc", 405),
        ("PUT", "/ws", 405),
        ("DELETE", "/nothing", 405),
        ("OPTIONS", "*", 204),
        ("OPTIONS", "/", 204),
        ("OPTIONS", "/nothing", 204),
    ],
)
def test_each_request_gets_its_status(serve: Serve, method: str, path: str, status: int) -> None:
    reply = http_request(serve().address, path, method=method)
    assert reply.status == status
    assert reply.headers["connection"] == "close"
    assert bool(reply.body) == (method not in ("HEAD", "OPTIONS"))


def test_a_route_sees_path_and_query_and_its_body_arrives(serve: Serve) -> None:
    reply = http_request(serve().address, "/doc?a=b%20c")
    assert reply.json() == {"path": "/doc", "query": "a=b%20c"}
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["x-content-type-options"] == "nosniff"


def test_head_has_the_length_of_the_body_that_get_has(serve: Serve) -> None:
    address = serve().address
    head, get = http_request(address, "/doc", method="HEAD"), http_request(address, "/doc")
    assert (head.headers["content-length"], head.body) == (str(len(get.body)), b"")


def test_405_says_what_is_allowed(serve: Serve) -> None:
    assert http_request(serve().address, "/doc", method="POST").headers["allow"] == "GET, HEAD, OPTIONS"


def test_options_say_what_there_is_and_let_no_page_in(serve: Serve) -> None:
    asked = [("Origin", "https://elsewhere.example"), ("Access-Control-Request-Method", "GET")]
    reply = http_request(serve().address, "/doc", method="OPTIONS", headers=asked)
    assert (reply.status, reply.headers["allow"], reply.body) == (204, "GET, HEAD, OPTIONS", b"")
    assert "content-length" not in reply.headers
    assert not any(name.startswith("access-control") for name in reply.headers)


# -- broken and slow requests --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 50 + b"\r\n\r\n", 400),
        (b"GET /doc HTTP/1.1\r\n\r\n", 400),
        (b"GET /doc HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET /doc HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", 400),
        (b"GET /doc HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", 400),
        (b"GET http://[::1/doc HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /doc HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 20_000, 431),
        (b"GET /" + b"x" * 20_000, 431),
        (b"GET /doc HTTP/1.0\r\n\r\n", 200),
        (b"GET /doc HTTP/9.9\r\nHost: a\r\n\r\n", 505),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"GET /doc HTTP/1.1\nHost: a\n\n", 200),
    ],
    ids=lambda value: repr(value[:40]) if isinstance(value, bytes) else str(value),
)
def test_broken_requests_get_one_plain_line(serve: Serve, data: bytes, status: int) -> None:
    reply = answer_to(serve(), data)
    assert reply.status == status
    assert status == 200 or reply.body.count(b"\n") == 1


def test_a_refusal_arrives_although_there_was_more_to_read(serve: Serve) -> None:
    head = b"POST /doc HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n"
    assert answer_to(serve(), head + b"x" * 300_000).status == 405


def test_a_big_response_arrives_whole_although_there_was_more_to_read(serve: Serve) -> None:
    with RawSocket(serve(close_timeout=5.0).address, receive_buffer=30_000) as connection:
        connection.send_raw(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n" + b"x" * 50_000)
        assert len(connection.read_reply().body) == 1_000_000


def test_the_stream_ends_with_the_response(serve: Serve) -> None:
    with RawSocket(serve(close_timeout=30.0).address) as connection:
        connection.send_raw(b"GET /doc HTTP/1.1\r\nHost: a\r\n\r\n")
        assert connection.read_reply().status == 200
        assert connection.at_end(timeout=allowed(3))


@pytest.mark.parametrize("sent", [b"", b"G", b"GET /ws HTTP/1.1\r\nHost: a\r\nUpg"])
def test_half_a_request_ends_in_time_with_408(serve: Serve, sent: bytes) -> None:
    with RawSocket(serve(handshake_timeout=0.1).address) as connection:
        connection.send_raw(sent)
        assert connection.read_reply().status == 408
        assert connection.at_end()


def test_a_request_that_trickles_in_has_one_deadline_for_all_of_it(serve: Serve) -> None:
    with RawSocket(serve(handshake_timeout=0.2).address) as connection:
        begun = time.monotonic()
        for byte in b"GET /ws HTTP/1.1\r\nX: " + b"x" * 1000:
            try:
                connection.send_raw(bytes([byte]))
            except ConnectionError:
                break
            if time.monotonic() - begun > 3:
                break
            connection.sock.settimeout(0.02)
            try:
                connection.buffer += connection.sock.recv(4096)
            except TimeoutError:
                continue
            break
        assert time.monotonic() - begun < allowed(2)
        assert connection.buffer.startswith(b"HTTP/1.1 408 ")


def test_a_deadline_that_is_months_away_is_one(serve: Serve) -> None:
    with RawSocket(serve(handshake_timeout=600 * 3600.0).address) as connection:
        connection.send_raw(b"GET /doc HTTP/1.1\r\n")
        connection.send_raw(b"Host: a\r\n\r\n")
        assert connection.read_reply().status == 200


@pytest.mark.parametrize("sent", [b"", b"GET /doc HTTP/1.1\r\n", upgrade_request()])
def test_who_goes_away_during_the_request_leaves_nothing(serve: Serve, sent: bytes) -> None:
    harness = serve(handshake_timeout=30.0)
    for reset in (False, True):
        connection = RawSocket(harness.address)
        connection.send_raw(sent)
        if reset:
            connection.reset()
        connection.drop()
    # Shutting down would take its full time if a thread still waited for them; it also counts the threads.
    assert http_request(harness.address, "/doc").status == 200


# -- upgrades ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("without", "headers", "status"),
    [
        (["Connection"], [], 400),
        (["Connection"], [("Connection", "keep-alive")], 400),
        (["Connection"], [("Connection", "keep-alive, Upgrade")], 101),
        (["Connection"], [("Connection", "keep-alive"), ("Connection", "upgrade")], 101),
        (["Upgrade"], [], 400),
        (["Upgrade"], [("Upgrade", "h2c")], 400),
        (["Upgrade"], [("Upgrade", "WebSocket")], 101),
        (["Sec-WebSocket-Version"], [], 426),
        (["Sec-WebSocket-Version"], [("Sec-WebSocket-Version", "8")], 426),
        (["Sec-WebSocket-Key"], [], 400),
        (["Sec-WebSocket-Key"], [("Sec-WebSocket-Key", "short")], 400),
        (["Sec-WebSocket-Key"], [("Sec-WebSocket-Key", "é" * 22)], 400),
        (["Host"], [], 400),
        (["Host"], [("Host", "exämple..")], 101),
        ([], [("Sec-WebSocket-Protocol", "chat, superchat")], 101),
        ([], [("Cookie", "é=\x80")], 101),
    ],
)
def test_an_upgrade_is_checked(
    serve: Serve, without: list[str], headers: list[tuple[str, str]], status: int
) -> None:
    reply = answer_to(serve(), upgrade_request(without=without, headers=headers))
    assert reply.status == status
    if status == 426:
        assert reply.headers["sec-websocket-version"] == "13"


def test_an_upgrade_elsewhere_is_not_found(serve: Serve) -> None:
    assert answer_to(serve(), upgrade_request("/socket")).status == 404


def test_the_key_is_answered_as_the_protocol_says(serve: Serve) -> None:
    key = [("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")]
    reply = answer_to(serve(), upgrade_request(without=["Sec-WebSocket-Key"], headers=key))
    assert reply.headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_an_untrusted_peer_gets_403_for_all_but_health_checks(serve: Serve) -> None:
    answered: list[str] = []

    def answer(request: Request) -> Response:
        answered.append(request.path)
        return Response(200)

    harness = serve(trusts=lambda address: False, authorize=lambda request: answer(request) and request.peer)
    with pytest.raises(Closed, match="403"):
        harness.client()
    upgrades = [upgrade_request(path) for path in ("/doc", "//ws", "/healthz/", "/%77s", "http://a/ws")]
    assert [answer_to(harness, data).status for data in upgrades] == [403] * 5
    for method in ("GET", "HEAD", "POST", "OPTIONS", "PUT", "TRACE", "NONE"):
        for path in ("/doc", "/nowhere", "/healthz/x", "//healthz", "/%68ealthz", "http://a/doc", "/ws/x"):
            assert http_request(harness.address, path, method=method).status == 403, (method, path)
        health = [http_request(harness.address, path, method=method).status for path in ("/ws", "/healthz")]
        assert health == {"GET": [400, 404], "HEAD": [200, 200]}.get(method, [403, 403])
    assert set(answered) == {"/healthz"}


@pytest.mark.parametrize("sent", [b"GET /doc HTTP/1.1\r\nHost", b"\x16\x03\x01\n", b"x" * 1024])
def test_an_untrusted_peer_is_refused_before_it_has_said_all(serve: Serve, sent: bytes) -> None:
    harness = serve(trusts=lambda address: False, handshake_timeout=60.0, close_timeout=60.0)
    with RawSocket(harness.address) as connection:
        connection.send_raw(sent)
        assert connection.read_reply().status == 403


def test_an_untrusted_peer_that_says_nothing_is_soon_gone(serve: Serve) -> None:
    with RawSocket(serve(trusts=lambda address: False, handshake_timeout=60.0).address) as connection:
        connection.send_raw(b"GET /healthz")
        assert connection.at_end(timeout=allowed(4))


def test_untrusted_peers_take_no_places_from_others(serve: Serve) -> None:
    strangers_only = threading.Event()
    harness = serve(trusts=lambda address: not strangers_only.is_set(), max_connections=1)
    with harness.client():
        strangers_only.set()
        with contextlib.ExitStack() as stack:
            waiting = [stack.enter_context(RawSocket(harness.address)) for _ in range(40)]
            assert waiting[0].at_end(timeout=allowed(1.5))
            waiting[-1].send_raw(b"GET /ws HTTP/1.1\r\nHost: a\r\n\r\n")
            assert waiting[-1].read_reply().status == 400


# -- too many at once ----------------------------------------------------------------------------------


def socket_from(address: str, harness: Harness, data: bytes) -> socket.socket:
    assert not isinstance(harness.address, str)
    sock = socket.create_connection(harness.address, timeout=30, source_address=(address, 0))
    sock.sendall(data)
    return sock


HALF, REST = b"GET /doc HTTP/1.1\r\nHost: a\r\n", b"\r\n"


def test_half_sent_requests_keep_out_neither_new_ones_nor_who_has_few(serve: Serve) -> None:
    harness = serve(max_connections=1, handshake_timeout=60.0)
    with contextlib.ExitStack() as stack:
        slow = stack.enter_context(socket_from("127.0.0.3", harness, HALF))
        many = [stack.enter_context(socket_from("127.0.0.2", harness, HALF)) for _ in range(300)]
        with harness.client() as client:
            client.send_text("in")
            assert client.receive() == "in"
            assert many[0].recv(1) == b"", "the oldest one has made room"
            slow.sendall(REST)
            assert slow.recv(12) == b"HTTP/1.1 200"
            many[-1].sendall(REST)
            assert many[-1].recv(12) == b"HTTP/1.1 200", "the newest ones have not"


def test_slow_readers_of_a_document_make_room_as_well(serve: Serve) -> None:
    harness = serve(max_connections=1, handshake_timeout=60.0)
    with contextlib.ExitStack() as stack:
        for _ in range(120):
            reader = stack.enter_context(RawSocket(harness.address, receive_buffer=4096))
            reader.send_raw(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
        assert http_request(harness.address, "/doc").status == 200


def test_who_goes_first_is_the_oldest_of_whoever_has_most() -> None:
    pending: PendingConnections[str] = PendingConnections()
    for connection in ("a1", "b1", "b2", "c1", "c2", "c3"):
        pending.add(connection, connection[0])
    evicted = []
    while (connection := pending.victim() or "") != "":
        pending.discard(connection, connection[0])
        evicted.append(connection)
    assert evicted == ["c1", "b1", "c2", "a1", "b2", "c3"]
    assert len(pending) == 0
    pending.discard("a1", "a")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("10.0.0.1", "10.0.0.2", False),
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
    ],
)
def test_an_ipv6_host_is_counted_by_its_network(one: str, other: str, same: bool) -> None:
    assert (Peer("tcp", one).source == Peer("tcp", other).source) == same


def test_a_path_prefix_may_be_left_in_place_by_the_proxy_that_names_it(serve: Serve) -> None:
    address = serve().address
    named = [("X-Forwarded-Prefix", "/ov")]
    assert http_request(address, "/ov/doc", headers=named).json()["path"] == "/doc"
    assert http_request(address, "/doc", headers=named).status == 200, "it was taken off"
    assert http_request(address, "/ov/doc").status == 404
    assert http_request(address, "/ovdoc", headers=named).status == 404


def test_authorize_is_asked_about_all_but_a_plain_request_to_the_websockets_path(serve: Serve) -> None:
    asked: list[tuple[str, bool]] = []

    def authorize(request: Request) -> Response | Peer:
        asked.append((request.path, request.is_upgrade))
        if request.headers.get("authorization") == "Bearer right":
            return replace(request.peer, principal=Principal("right", "viewer"))
        return error_response(401, "a token is needed", ("WWW-Authenticate", "Bearer"))

    harness = serve(authorize=authorize)
    assert http_request(harness.address, "/ws").status == 400
    refusal = http_request(harness.address, "/doc")
    assert (refusal.status, refusal.headers["www-authenticate"]) == (401, "Bearer")
    with pytest.raises(Closed, match="401"):
        harness.client()
    assert http_request(harness.address, "/doc", headers=[("Authorization", "Bearer right")]).status == 200
    with harness.client(headers=[("Authorization", "Bearer right")]) as client:
        client.send_text("in")
        assert client.receive() == "in"
        assert harness.handler().peer == Peer("tcp", "127.0.0.1", principal=Principal("right", "viewer"))
    assert asked == [("/doc", False), ("/ws", True), ("/doc", False), ("/ws", True)]


def test_over_max_connections_the_next_one_gets_503_until_one_goes(serve: Serve) -> None:
    harness = serve(max_connections=2)
    (first, handler), (second, _) = harness.pair(), harness.pair()
    with first, second:
        with pytest.raises(Closed, match="503"):
            harness.client()
        assert http_request(harness.address, "/doc").status == 200
        first.close()
        assert handler.is_closed.wait(30)
        deadline = time.monotonic() + 30
        while True:  # the place is free a moment after the handler was closed
            try:
                harness.client().drop()
                break
            except Closed:
                assert time.monotonic() < deadline


GET = Request("GET", "/", "", {}, None)  # type: ignore[arg-type]


# -- files ---------------------------------------------------------------------------------------------


def test_files_are_served_with_their_types_and_nothing_beside_them(tmp_path: Path) -> None:
    root = tmp_path / "playground"
    (root / "js" / ".hidden").mkdir(parents=True)
    (tmp_path / "secret").write_text("no")
    (root / ".env").write_text("no")
    (root / "js" / ".hidden" / "x.js").write_text("no")
    files = {
        "style.css": "text/css; charset=utf-8",
        "js/app.js": "text/javascript; charset=utf-8",
        "logo.svg": "image/svg+xml; charset=utf-8",
        "logo.png": "image/png",
        "LICENSE": "application/octet-stream",
    }
    for name in files:
        (root / name).write_bytes(name.encode())
    text = '<script src="js/app.js"></script><a href="#x"></a><a href="other"></a>'
    (root / "index.html").write_text(text)
    routes = static_routes(root)
    page = routes["/"](GET)
    assert page.content_type == "text/html; charset=utf-8"
    folder = page.body.decode().partition('src="')[2].partition("js/")[0]
    assert page.body.decode() == text.replace("js/app.js", f"{folder}js/app.js")
    assert folder.startswith("v-")
    paths = {f"{start}{name}" for name in files for start in ("/", f"/{folder}")}
    assert set(routes) == {"/", "/index.html"} | paths
    for name, content_type in files.items():
        for path in (f"/{name}", f"/{folder}{name}"):
            response = routes[path](GET)
            assert (response.body.split(b"\n")[-1], response.content_type) == (name.encode(), content_type)
            assert "Content-Security-Policy" in dict(response.headers)
    assert "immutable" in dict(routes[f"/{folder}style.css"](GET).headers)["Cache-Control"]
    assert "Cache-Control" not in dict(page.headers), "no-cache, as everything else"


def test_unchanged_files_cost_no_body_and_changed_ones_get_another_folder(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text('<link href="a.css">')
    (tmp_path / "a.css").write_text("a {}")
    routes = static_routes(tmp_path)
    page = routes["/"](GET)
    tag = dict(page.headers)["ETag"]
    assert tag.startswith('W/"')
    for known in (tag, tag.removeprefix("W/"), f'"x", {tag}', "*"):
        again = routes["/"](replace(GET, headers={"if-none-match": known}))
        assert (again.status, again.body, dict(again.headers)["ETag"]) == (304, b"", tag)
    assert routes["/"](replace(GET, headers={"if-none-match": '"x"'})).status == 200
    (tmp_path / "a.css").write_text("b {}")
    changed = static_routes(tmp_path)
    assert changed["/"](GET).body != page.body
    assert dict(changed["/"](GET).headers)["ETag"] != tag
    assert routes["/"](GET).body == page.body, "what is served fits together"


def test_text_is_compressed_for_those_who_accept_it(tmp_path: Path) -> None:
    text = "a { color: red }\n" * 100
    (tmp_path / "a.css").write_text(text)
    (tmp_path / "a.png").write_bytes(b"picture")
    routes = static_routes(tmp_path)
    whole = routes["/a.css"](GET)
    for accepted in ("gzip", "br, gzip", "deflate,gzip"):
        asking = replace(GET, headers={"accept-encoding": accepted})
        zipped = routes["/a.css"](asking)
        assert dict(zipped.headers)["Content-Encoding"] == "gzip"
        assert dict(zipped.headers)["ETag"] == dict(whole.headers)["ETag"]
        assert len(zipped.body) < 100
        assert gzip.decompress(zipped.body) == whole.body == text.encode()
        assert routes["/a.png"](asking).body == b"picture"
    for accepted in ("", "br", "gzip;q=0", "identity"):
        assert routes["/a.css"](replace(GET, headers={"accept-encoding": accepted})).body == whole.body
    document = json_response(replace(GET, headers={"accept-encoding": "gzip"}), {"a": 1})
    assert json.loads(gzip.decompress(document.body)) == {"a": 1}


def test_in_the_folder_a_file_comes_with_all_that_it_imports(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text('<link href="a.css">')
    (tmp_path / "a.css").write_text('@import "b.css";\na {}\n')
    (tmp_path / "b.css").write_text("b {}\n")
    routes = static_routes(tmp_path)
    (folder,) = {path.rpartition("/")[0] for path in routes if path.startswith("/v-")}
    assert routes[f"{folder}/a.css"](GET).body == b"b {}\na {}\n"
    assert routes["/a.css"](GET).body == b'@import "b.css";\na {}\n'


def test_no_directory_gives_no_routes(tmp_path: Path) -> None:
    assert static_routes(tmp_path / "missing") == {}


def test_who_is_not_welcome_any_more_is_closed_also_when_it_was_just_let_in(serve: Serve) -> None:
    welcome = True

    def authorize(request: Request) -> Response | Peer:
        nonlocal welcome
        if request.headers.get("x-last"):
            welcome = False
            assert harness.server.close_revoked() == 1  # this one is on its way in, and cannot be found
        return request.peer

    harness = serve(authorize=authorize, admits=lambda peer: welcome)
    with harness.client() as client:
        client.send_text("in")
        assert client.receive() == "in"
        assert harness.server.close_revoked() == 0
        with pytest.raises(Closed):
            harness.client(headers=[("X-Last", "1")])
        with pytest.raises(Closed) as caught:
            client.receive()
        assert caught.value.code == 1008
        assert harness.server.close_revoked() == 0


@pytest.mark.parametrize("moment", [0.0, 951_782_399.9, 1_764_208_245.0, 4_102_444_799.0])
def test_the_date_is_written_as_http_wants_it(monkeypatch: pytest.MonkeyPatch, moment: float) -> None:
    at = time.gmtime(moment)
    monkeypatch.setattr(time, "gmtime", lambda: at)
    assert _http_date() == formatdate(moment, usegmt=True)
