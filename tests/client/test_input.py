"""Giving tasks input, and terminals as they are, on a real server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from overseer.client import Client, RefusedError
from overseer.protocol import Data, Exited, Output
from tests.client.proxy import Proxy
from tests.harness import Daemon, shell

ACTIONS = {
    "cat": {"type": "exec", "config": {"entrypoint": "cat", "stdin": "pipe"}},
    "deaf": shell("echo ready; exec sleep 60", config={"stdin": "pipe"}),
    "talks": shell(
        "echo ready; while read -r line; do echo \"<$line>\"; stty size; done; printf 'the\\rend'",
        config={"stdin": "pty"},
    ),
    "flood": shell("echo ready; read -r x; seq 100000", config={"stdin": "pty"}),
}
WAIT_S = 30


@pytest.fixture
def client(client: Client) -> Iterator[Client]:
    """Its tasks end with the test."""
    yield client
    for task in client.tasks():
        client.stop(task)


def test_a_task_is_given_text_and_bytes(client: Client):
    task = client.start("cat")
    assert next(e for e in task.events(timeout=WAIT_S)).type == "started"
    task.input("text é\n")
    client.input(task, b"bytes\n")
    task.input(memoryview(b"end"), eof=True)
    assert list(task.lines(timeout=WAIT_S)) == ["text é", "bytes", "end"]
    assert task.wait(WAIT_S).exit_code == 0
    with pytest.raises(RefusedError, match="task is not running"):
        task.input("x")


def test_what_is_wrong_is_not_sent(client: Client):
    task = client.start("deaf")
    next(task.lines(timeout=WAIT_S))
    for data in (1, None, ["x"]):
        with pytest.raises(TypeError, match="data must be a string or bytes"):
            task.input(data)
    with pytest.raises(ValueError, match="half a surrogate pair"):
        task.input("\udc80")
    for size in ((0, 1), (1, 65536)):
        with pytest.raises(ValueError, match="size must be a whole number from 1 to 65535"):
            task.resize(*size)
    with pytest.raises(TypeError):
        task.resize(True, 1)
    with pytest.raises(RefusedError, match="no terminal"):
        task.resize(1, 1)
    with pytest.raises(RefusedError, match="there is nothing to give"):
        task.input()


def test_how_a_task_takes_input_is_known_to_who_joins_it(client: Client):
    for action, stdin in (("deaf", "pipe"), ("talks", "pty")):
        task = client.start(action)
        next(task.lines(timeout=WAIT_S))
        assert client.subscribe(task).stdin == stdin
        assert {each.task_id: each.stdin for each in client.tasks()}[task.id] == stdin


def test_a_terminal_as_it_is(client: Client):
    task = client.start("talks", raw=True)
    next(task.lines(timeout=WAIT_S))
    task.resize(12, 34)
    task.input("hello\n")
    late = None
    raw, lines = b"", []
    for event in task.events(timeout=WAIT_S):
        if isinstance(event, Data):
            raw += event.data
        elif isinstance(event, Output):
            lines.append(event.data)
            if event.data == "12 34":
                late = client.subscribe(task, raw=True)
                task.input(eof=True)
        elif isinstance(event, Exited):
            break
    # What came before the first line was read may have been taken with it.
    assert raw.endswith(b"hello\r\n<hello>\r\n12 34\r\nthe\rend")
    assert lines == ["hello", "<hello>", "12 34", "end"]
    assert late is not None
    seen = b"".join(event.data for event in late.events(timeout=WAIT_S) if isinstance(event, Data))
    assert seen == b"ready\r\nhello\r\n<hello>\r\n12 34\r\nthe\rend"


def test_only_who_asks_gets_it(client: Client):
    task = client.start("talks")
    next(task.lines(timeout=WAIT_S))
    task.input(eof=True)
    assert not any(isinstance(event, Data) for event in task.events(timeout=WAIT_S))


def test_a_lost_connection_goes_on_where_it_was(daemon: Daemon):
    """The server begins anew with the end of what was shown; nothing comes twice."""
    with Proxy(daemon.address) as proxy, Client(proxy.url) as client:
        task = client.start("talks", raw=True)
        heard = task.events(timeout=WAIT_S)
        raw = b""
        for number in range(3):
            while not raw.endswith(b"ready\r\n" if not number else b"24 80\r\n"):
                event = next(heard)
                raw += event.data if isinstance(event, Data) else b""
            proxy.cut()
            with Client(daemon.url) as other:
                other.input(task.id, f"{number}\n")
            while b"<%d>" % number not in raw or not raw.endswith(b"24 80\r\n"):
                event = next(heard)
                raw += event.data if isinstance(event, Data) else b""
        assert raw == b"ready\r\n" + b"".join(b"%d\r\n<%d>\r\n24 80\r\n" % (n, n) for n in range(3))
        client.stop(task)


def test_who_asks_for_all_gets_all(client: Client):
    task = client.start("flood", raw=True)
    lines = task.events(timeout=WAIT_S)
    while not isinstance(next(lines), Output):
        pass
    task.input("go\n")
    at = -1
    raw = b""
    for event in lines:
        if isinstance(event, Data):
            assert at in (-1, event.offset)
            at = event.offset + len(event.data)
            raw += event.data
    assert raw.endswith(b"".join(b"%d\r\n" % number for number in range(1, 100_001)))
