"""Posting to receivers that are well, down, slow, silent, odd, or lead elsewhere."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from overseer.auth.standard_webhooks import signed_headers
from overseer.config.notices import key_of
from overseer.notices.http import PostError, post
from overseer.notices.notice import Notice
from tests.harness import allowed

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Receiver:
    """Answers each connection with the next of ``answers``; a callable is called with the socket."""

    def __init__(self, *answers: bytes | Callable[[socket.socket], None]) -> None:
        self._answers = list(answers)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/hook?x=1"
        self.requests: list[bytes] = []
        self.over = threading.Event()  # for answers that wait for the end
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        for answer in self._answers:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self.requests.append(_request(connection))
                if callable(answer):
                    answer(connection)
                else:
                    connection.sendall(answer)

    def close(self) -> None:
        self.over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(30)
        assert not self._thread.is_alive()


def _request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"content-length:"))
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


@pytest.fixture
def receive() -> Iterator[Callable[..., Receiver]]:
    made: list[Receiver] = []

    def make(*answers: bytes | Callable[[socket.socket], None]) -> Receiver:
        made.append(Receiver(*answers))
        return made[-1]

    yield make
    for each in made:
        each.close()


Receive = Callable[..., Receiver]


@pytest.mark.parametrize("answer", [OK, b"HTTP/1.0 410 Gone\n\n", b"HTTP/1.1 500\r\n\r\n"])
def test_the_status_is_what_counts(receive: Receive, answer: bytes) -> None:
    receiver = receive(answer)
    assert post(receiver.url, {"a": "b"}, b'{"x": 1}', 5) == int(answer.split()[1])
    head, _, body = receiver.requests[0].partition(b"\r\n\r\n")
    assert head.split(b"\r\n") == [
        b"POST /hook?x=1 HTTP/1.1",
        b"host: 127.0.0.1:%d" % receiver.port,
        b"content-length: 8",
        b"connection: close",
        b"a: b",
    ]
    assert body == b'{"x": 1}'


def test_a_beginning_of_an_answer_is_not_the_answer(receive: Receive) -> None:
    receiver = receive(b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n")
    assert post(receiver.url, {}, b"", 5) == 204


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"", "the connection was closed"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "the answer is not HTTP"),
        (b"HTTP/1.1 999 X\r\n\r\n", "the answer is not HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 20_000, "the answer is too long"),
    ],
)
def test_what_is_no_answer_is_said(receive: Receive, answer: bytes, said: str) -> None:
    with pytest.raises(PostError, match=said):
        post(receive(answer).url, {}, b"", 5)


def test_nobody_there_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(PostError, match=r"127\.0\.0\.1: Connection refused"):
        post(f"http://127.0.0.1:{port}/", {}, b"", 5)


def test_one_that_never_answers_is_left_in_time(receive: Receive) -> None:
    receiver = receive(lambda _: receiver.over.wait(10))
    begun = time.monotonic()
    with pytest.raises(PostError, match=r"does not answer within 0\.2 s"):
        post(receiver.url, {}, b"", 0.2)
    assert time.monotonic() - begun < allowed(3)


def test_one_that_answers_drop_by_drop_is_left_in_time(receive: Receive) -> None:
    def drip(connection: socket.socket) -> None:
        for byte in OK * 99:
            try:
                connection.sendall(bytes([byte]))
            except OSError:
                return
            receiver.over.wait(0.02)

    receiver = receive(drip)
    with pytest.raises(PostError, match=r"does not answer within 0\.3 s"):
        post(receiver.url, {}, b"", 0.3)


def test_one_that_reads_nothing_is_left_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(PostError, match=r"does not answer within 0\.3 s"):
            post(f"http://127.0.0.1:{port}/", {}, b"x" * 50_000_000, 0.3)


def redirect(to: str, status: int = 307) -> bytes:
    return f"HTTP/1.1 {status} Moved\r\nLocation: {to}\r\n\r\n".encode()


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_on_the_same_host_is_followed_and_posts_again(receive: Receive, status: int) -> None:
    receiver = receive(redirect("/there", status), OK)
    assert post(receiver.url, {}, b"body", 5) == 200
    assert receiver.requests[1].startswith(b"POST /there HTTP/1.1\r\n")
    assert receiver.requests[1].endswith(b"\r\n\r\nbody")


@pytest.mark.parametrize(
    ("to", "said"),
    [
        ("http://localhost:9/", "redirects to another host, localhost"),
        ("//[::1]/", "redirects to another host, ::1"),
        ("http://127.0.0.1:9/", "redirects to another port, 9"),
        ("gopher://127.0.0.1/", "redirects to no address"),
        ("", "redirects more than 3 times"),
    ],
)
def test_a_redirect_elsewhere_is_not(receive: Receive, to: str, said: str) -> None:
    receiver = receive(*[redirect(to)] * 4)
    with pytest.raises(PostError, match=said):
        post(receiver.url, {}, b"", 5)


def test_a_redirect_by_303_is_no_success(receive: Receive) -> None:
    assert post(receive(redirect("/", 303)).url, {}, b"", 5) == 303


THEN = datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)


@pytest.mark.parametrize("secret", ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "just a text: ä"])
def test_signatures_are_those_of_standard_webhooks(secret: str) -> None:
    body = Notice("failure", "nightly failed: ä \u2028", THEN, THEN, params={"a": '"'}).with_id().document
    headers = signed_headers(key_of(secret), "msg_1", int(time.time()), body)
    theirs = Webhook(secret if secret.startswith("whsec_") else secret.encode())
    assert theirs.verify(body, headers) == json.loads(body)
    with pytest.raises(WebhookVerificationError):
        theirs.verify(body.replace(b"nightly", b"daily"), headers)
    with pytest.raises(WebhookVerificationError):
        theirs.verify(body, headers | {"webhook-id": "msg_2"})


def test_without_a_key_nothing_is_signed() -> None:
    assert signed_headers(b"", "msg_1", 7, b"") == {"webhook-id": "msg_1", "webhook-timestamp": "7"}


def test_an_address_that_swallows_everything_leaves_time_for_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    receiver = Receiver(OK)
    with socket.socket() as silent, ExitStack() as waiting:
        silent.bind(("127.0.0.1", 0))
        silent.listen(0)
        for _ in range(3):  # beyond what it takes, which then are not answered at all
            one = waiting.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(silent.getsockname())
        addresses = [silent.getsockname(), ("127.0.0.1", receiver.port)]
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *about, **more: found)
        try:
            assert post(f"http://both.test:{receiver.port}/", {}, b"{}", 4.0) == 200
        finally:
            receiver.close()
