"""Everything a client can ask, on a real server."""

from __future__ import annotations

import signal
import socket
import threading
import time
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from overseer.client import (
    Client,
    ClientError,
    ClosedError,
    ConnectFailedError,
    RefusedError,
    ReplyTimeoutError,
    TaskGoneError,
    TaskNotRunError,
)
from overseer.protocol import (
    Dequeued,
    Errored,
    Exited,
    Gap,
    Output,
    PoolUpdated,
    Queued,
    Restarting,
    Started,
    Tasks,
)
from tests.client.conftest import ACTIONS
from tests.harness import Daemon, allowed

WAIT_S = 30


def test_a_task_from_its_start_to_its_end(client: Client):
    task = client.start("echo", text="hello you")
    events = list(task.events(WAIT_S))
    assert [type(event) for event in events] == [Started, Output, Output, Exited]
    assert {(event.stream, event.data) for event in events if isinstance(event, Output)} == {
        ("stdout", "hello you"),
        ("stderr", "err"),
    }
    ended = task.wait(WAIT_S)
    assert (ended.exit_code, ended.signal, ended.intentional) == (3, "", False)
    assert ended == events[-1] == task.exit
    assert (task.over, task.state, task.last_seq) == (True, "ended", 2)


def test_lines_are_texts_of_one_stream_or_both(client: Client):
    assert sorted(client.start("echo").lines(timeout=WAIT_S)) == ["err", "hi"]
    assert list(client.start("echo").lines("stderr", WAIT_S)) == ["err"]


def test_params_of_any_name_can_be_given(client: Client):
    task = client.start("echo", {"text": "a", "timeout": "5"}, task_id="mine", text="b")
    assert next(task.lines("stdout", WAIT_S)) == "b"
    (info,) = [info for info in client.tasks() if info.task_id == "mine"]
    assert info.params == {"text": "b", "timeout": "5"}


def test_parameters_are_described_and_a_refusal_names_the_one_it_is_about(client: Client):
    (info,) = client.actions("sized")
    size, format = info.params["size"], info.params["format"]
    assert (size.type, size.min, size.max, size.default) == ("integer", 1, 9, "5")
    assert [(each.value, each.title) for each in format.choices] == [("png", ""), ("jpg", "JPEG")]
    with pytest.raises(RefusedError, match="must be a whole number from 1 to 9") as refused:
        client.start("sized", size=10)
    assert refused.value.param == "size"
    with pytest.raises(RefusedError) as refused:
        client.start("nosuch")
    assert refused.value.param == ""
    assert list(client.start("sized", size=9, format="jpg", keep=True).lines()) == ["9 jpg true"]


def test_a_program_that_cannot_be_started_is_refused_each_time(client: Client) -> None:
    for _ in range(20):
        with pytest.raises(RefusedError, match="nowhere"):
            client.start("broken")


def test_the_list_can_be_had_in_pages(client: Client):
    for name in ("page-b", "page-a", "page-c"):
        client.start("echo", task_id=name).wait(WAIT_S)
    ids = [info.task_id for info in client.tasks()]
    assert [name for name in ids if name.startswith("page-")] == ["page-b", "page-a", "page-c"]
    pages: list[str] = []
    while page := client.tasks(limit=2, after=pages[-1] if pages else ""):
        assert len(page) <= 2
        pages += [info.task_id for info in page]
    assert pages == sorted(ids)
    assert [info.task_id for info in client.tasks(after="page-a")] == sorted(ids)[
        sorted(ids).index("page-b") :
    ]


def test_every_line_of_many_comes_in_order(client: Client):
    assert list(client.start("count", n="50000").lines(timeout=WAIT_S)) == [str(n) for n in range(1, 50001)]


def test_lines_can_be_left_and_taken_up_again(client: Client):
    task = client.start("count", n="1000")
    seen = []
    for _ in range(10):
        for count, line in enumerate(task.lines(timeout=WAIT_S)):
            seen.append(int(line))
            if count == 70:
                break
    seen += map(int, task.lines(timeout=WAIT_S))
    assert seen == list(range(1, 1001))


def test_what_nobody_reads_yet_is_kept(client: Client):
    task = client.start("count", n="5000")
    assert task.wait(WAIT_S).exit_code == 0
    assert len(list(task.lines(timeout=WAIT_S))) == 5000


def test_a_stop(client: Client):
    task = client.start("sleep")
    assert next(task.lines(timeout=WAIT_S)) == "ready"
    with pytest.raises(ReplyTimeoutError):
        task.wait(0.01)
    task.stop()
    ended = task.wait(WAIT_S)
    assert (ended.exit_code, ended.signal, ended.intentional) == (-1, "SIGTERM", True)
    assert task.state == "stopped"
    task.stop()  # silent
    with pytest.raises(RefusedError, match="task not found"):
        client.stop("nobody")


def test_a_restart_begins_a_new_chapter(client: Client):
    task = client.start("sleep")
    assert next(task.lines(timeout=WAIT_S)) == "ready"
    for _ in range(2):  # while it runs, and when it is over
        task.restart()
        assert (task.state, task.exit) == ("running", None)
        assert next(task.lines(timeout=WAIT_S)) == "ready"
        task.stop()
        assert task.wait(WAIT_S).reason == "stopped"
    assert task.last_seq == 3
    assert client.restart(task).task_id == task.id
    with pytest.raises(RefusedError, match="task not found"):
        client.restart("nobody")
    client.stop(task)


def test_a_restart_may_have_to_wait_for_a_place(client: Client):
    task = client.start("one")
    task.stop()
    task.wait(WAIT_S)
    other = client.start("one")
    task.restart()
    assert task.state == "queued"
    other.stop()
    assert next(task.lines(timeout=WAIT_S)) == "ready"
    task.stop()
    assert task.wait(WAIT_S).reason == "stopped"


def test_a_signal(client: Client):
    task = client.start("sleep")
    assert next(task.lines(timeout=WAIT_S)) == "ready"
    with pytest.raises(ValueError, match="NOPE"):
        task.signal("NOPE")
    with pytest.raises(TypeError):
        task.signal(True)
    task.signal("cont")
    client.signal(task, signal.SIGUSR1)
    ended = task.wait(WAIT_S)
    assert (ended.signal, ended.reason, ended.intentional, task.failed) == ("SIGUSR1", "signal", False, True)
    with pytest.raises(RefusedError, match="task is not running"):
        task.signal(1)


def test_what_is_a_failure_is_the_action_s_business(client: Client):
    for code, failed in (("0", False), ("3", False), ("4", True)):
        task = client.start("codes", code=code)
        assert task.wait(WAIT_S).reason == "exited"
        assert task.failed is failed


def test_restarts_are_followed(client: Client, tmp_path: Path):
    task = client.start("twice", file=f"{tmp_path}/x")
    assert list(task.lines(timeout=WAIT_S)) == ["one", "two"]
    assert task.wait(WAIT_S).exit_code == 0


def test_a_task_that_is_given_up_can_be_reset(client: Client):
    task = client.start("hopeless")
    kinds = [
        Started,
        Output,
        Exited,
        Restarting,
        Started,
        Output,
        Exited,
        Restarting,
        Started,
        Output,
        Exited,
    ]
    assert [type(event) for event in task.events(WAIT_S)] == [*kinds, Errored]
    assert (task.state, task.wait(WAIT_S).exit_code) == ("errored", 9)
    task.reset()
    assert [type(event) for event in task.events(WAIT_S)] == [*kinds, Errored]
    assert client.reset(task.id).task_id == task.id


def test_a_task_that_was_given_up_is_errored_to_whoever_joins(client: Client, daemon: Daemon):
    client.start("hopeless", task_id="given-up").wait(WAIT_S)
    with Client(daemon.url) as other:
        for since_seq in (None, 0, 3):
            task = other.subscribe("given-up", since_seq)
            assert (task.state, task.over, task.wait(WAIT_S).exit_code) == ("errored", True, 9)


def test_a_task_that_ended_or_waits_for_its_restart_is_told_apart(client: Client, daemon: Daemon):
    client.start("echo", task_id="all-done").wait(WAIT_S)
    patient = client.start("patient", task_id="to-come-back")
    assert any(isinstance(event, Restarting) for event in patient.events(WAIT_S))
    with Client(daemon.url) as other:
        assert other.subscribe("all-done").state == "ended"
        waiting = other.subscribe("to-come-back")
        assert (waiting.state, waiting.over) == ("restarting", False)
    patient.stop()


@pytest.mark.parametrize("joined", [False, True], ids=["started", "joined"])
def test_a_reset_begins_a_new_chapter(client: Client, daemon: Daemon, tmp_path: Path, joined: bool):
    go = tmp_path / "go"
    task = client.start("until", task_id=f"until-{joined}", file=str(go))
    assert task.wait(WAIT_S).exit_code == 9
    with Client(daemon.url) as other:
        if joined:
            task = other.subscribe(task.id)
        go.touch()
        task.reset()
        assert (task.state, task.over, task.exit) == ("running", False, None)
        with pytest.raises(ReplyTimeoutError):
            task.wait(0.05)
        events = task.events(WAIT_S)
        assert [type(next(events)) for _ in range(2)] == [Started, Output]
        task.stop()
        assert [type(event) for event in events] == [Exited]
        assert task.wait(WAIT_S).signal == "SIGTERM"


def test_what_is_not_errored_cannot_be_reset(client: Client):
    task = client.start("sleep")
    with pytest.raises(RefusedError):
        task.reset()
    assert not task.over
    task.stop()
    task.wait(WAIT_S)
    with pytest.raises(RefusedError):
        task.reset()
    assert task.wait(WAIT_S).signal == "SIGTERM"


def test_queues(client: Client):
    first, second, third = (client.start("one") for _ in range(3))
    assert next(first.lines(timeout=WAIT_S)) == "ready"
    events = second.events(WAIT_S)
    assert isinstance(next(events), Queued)
    pool = client.pool("one")
    assert (pool.limit, pool.running, [item.task_id for item in pool.queue_items]) == (
        1,
        1,
        [second.id, third.id],
    )
    with pytest.raises(RefusedError):
        client.start("one")
    first.stop()
    assert isinstance(next(events), Started)
    assert client.purge("one") == 1
    assert isinstance(list(third.events(WAIT_S))[-1], Dequeued)
    with pytest.raises(TaskNotRunError) as caught:
        third.wait(WAIT_S)
    assert (caught.value.reason, third.dequeued) == ("purged", "purged")
    second.stop()
    second.wait(WAIT_S)


def test_pools_can_be_changed(client: Client):
    heard = client.events(WAIT_S)
    pool = client.set_pool("sleep", limit=7)
    assert pool.limit == 7 == client.pool("sleep").limit
    event = next(heard)
    assert isinstance(event, PoolUpdated)
    assert event.pool.limit == 7
    with pytest.raises(RefusedError, match="nothing"):
        client.set_pool("nothing", limit=1)


def test_a_task_that_is_requeued_is_not_over(client: Client):
    client.set_pool("one", limit=2)
    first, second = client.start("one"), client.start("one")
    for task in (first, second):
        assert next(task.lines(timeout=WAIT_S)) == "ready"
    client.set_pool("one", limit=1, excess={"action": "requeue", "order": "first", "grace": 5})
    events = first.events(WAIT_S)
    kinds = []
    while not isinstance(event := next(events), Queued):
        kinds.append(type(event))
    assert kinds[-1] is Exited
    assert not first.over
    second.stop()
    assert isinstance(next(events), Started)
    first.stop()
    assert first.wait(WAIT_S).signal == "SIGTERM"


def test_what_there_is_can_be_asked(client: Client):
    assert {info.name for info in client.actions()} == set(ACTIONS)
    (info,) = client.actions("twice")
    assert info.params == {"file": None}
    assert info.retry is not None
    assert info.retry.restart_delay == 1_000_000
    assert client.manifest()["protocol"] == "sticky-overseer"
    task = client.start("count", n="5")
    task.wait(WAIT_S)
    counted = client.metrics(task_id=task.id)
    assert counted is not None
    assert counted.output_lines == 5  # type: ignore[union-attr]
    assert client.metrics().tasks_started > 0  # type: ignore[union-attr]
    assert client.metrics("count").tasks_started > 0  # type: ignore[union-attr]
    assert client.metrics("nothing") is None


def test_a_replay(client: Client):
    task = client.start("count", n="300")
    task.wait(WAIT_S)
    stored = client.replay(task.id)
    assert [event.seq for event in stored if isinstance(event, Output)] == list(range(202, 301))
    assert isinstance(stored[-1], Exited)
    assert [event.seq for event in client.replay(task.id, 299) if isinstance(event, Output)] == [300]
    assert len(client.replay(task.id, since=task.wait().ts)) == 1
    with pytest.raises(RefusedError, match="not found"):
        client.replay("nobody")


class TestJoiningATask:
    def test_from_now_on(self, daemon: Daemon, client: Client):
        task = client.start("slow-count", n="30")
        assert next(task.lines(timeout=WAIT_S)) == "1"
        with Client(daemon.url) as other:
            lines = [int(line) for line in other.subscribe(task.id).lines(timeout=WAIT_S)]
        assert lines == list(range(lines[0], 31))
        assert lines[0] > 1

    def test_with_what_is_stored(self, daemon: Daemon, client: Client):
        task = client.start("slow-count", n="30")
        assert next(task.lines(timeout=WAIT_S)) == "1"
        joined = client.subscribe(task.id, 0)  # on the same connection
        assert list(joined.lines(timeout=WAIT_S)) == [str(n) for n in range(1, 31)]
        assert list(task.lines(timeout=WAIT_S)) == [str(n) for n in range(2, 31)]
        assert joined.wait(WAIT_S) == task.wait(WAIT_S)

    def test_that_is_over(self, daemon: Daemon, client: Client):
        task = client.start("count", n="300")
        task.wait(WAIT_S)
        joined = client.subscribe(task.id, 0)
        events = list(joined.events(WAIT_S))
        assert isinstance(events[0], Gap)
        assert (events[0].from_seq, events[0].to_seq) == (1, 201)
        assert [event.seq for event in events if isinstance(event, Output)] == list(range(202, 301))
        assert joined.wait(WAIT_S) == task.exit
        late = client.subscribe(task.id)
        assert list(late.events(WAIT_S)) == []
        assert late.wait(WAIT_S) == task.exit

    def test_that_is_given_up(self, client: Client):
        task = client.start("hopeless")
        list(task.events(WAIT_S))
        joined = client.subscribe(task.id)
        assert joined.wait(WAIT_S).exit_code == 9
        assert joined.state == "errored"

    def test_that_does_not_exist(self, client: Client):
        with pytest.raises(RefusedError, match="task not found: nobody"):
            client.subscribe("nobody")

    def test_twice_and_from_anywhere(self, client: Client):
        task = client.start("slow-count", n="40")
        lines = task.lines(timeout=WAIT_S)
        assert [next(lines) for _ in range(10)][-1] == "10"
        handles = [client.subscribe(task.id, since) for since in (0, 5, 9)]
        for since, handle in zip((0, 5, 9), handles, strict=True):
            assert [int(line) for line in handle.lines(timeout=WAIT_S)] == list(range(since + 1, 41))
        assert len(list(lines)) == 30


def test_everything_can_be_listened_to(client: Client):
    heard = client.events(WAIT_S)
    client.start("count", n="3")  # whose handle is dropped at once
    kinds = []
    while not isinstance(event := next(heard), Exited):
        kinds.append(type(event))
    assert kinds == [Started, Output, Output, Output]


def test_a_handle_that_is_dropped_is_not_sent_for(client: Client):
    task = client.start("flood")
    task_id = task.id
    assert next(task.lines(timeout=WAIT_S)) == "y"
    with client._core.lock:
        assert task_id in client._router._followers
    del task
    seen = client.metrics(task_id=task_id)
    while client.metrics(task_id=task_id) == seen:
        pass
    client.tasks()
    with client._core.lock:
        assert task_id not in client._router._followers
    client.stop(task_id)


def test_handles_that_are_dropped_leave_nothing_behind(client: Client):
    task = client.start("sleep")
    for _ in range(20):
        client.subscribe(task.id)
        client.start("one")  # which says nothing, or is refused
        client.purge("one")
    client.tasks()
    with client._core.lock:
        assert set(client._router._followers) == {task.id}
        assert len(client._router._followers[task.id]) <= 2
    for info in client.tasks():
        client.stop(info.task_id)


def test_a_refusal_says_which_action_may_have_been_meant(client: Client):
    with pytest.raises(RefusedError, match=r"^unknown action: cuont; did you mean count\?$"):
        client.start("cuont")


def test_a_refusal_names_the_task_that_is_in_the_way(client: Client):
    task = client.start("sleep", task_id="taken")
    with pytest.raises(RefusedError, match="already running"):
        client.start("sleep", task_id="taken")
    assert not task.over
    task.stop()
    task.wait(WAIT_S)
    again = client.start("echo", task_id="taken")
    assert again.wait(WAIT_S).exit_code == 3
    assert task.wait().signal == "SIGTERM"


@pytest.mark.parametrize(
    ("action", "params"), [("nothing", {}), ("twice", {}), ("echo", {"": "x" * 200_000})]
)
def test_refusals(client: Client, action, params):
    with pytest.raises(RefusedError):
        client.start(action, params)


def test_a_closed_client_says_so(daemon: Daemon):
    client = Client(daemon.url)
    task = client.start("sleep")
    failures: list[BaseException] = []

    def read() -> None:
        try:
            list(task.lines())
        except ClientError as error:
            failures.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    heard = client.events()
    client.close()
    client.close()
    thread.join(WAIT_S)
    assert [type(error) for error in failures] == [ClosedError]
    for call in (client.tasks, task.wait, task.stop, lambda: client.start("echo"), client.events):
        with pytest.raises(ClosedError, match="this client was closed"):
            call()
    list(heard)  # which ends, and does not raise
    with Client(daemon.url) as other:
        other.stop(task.id)


def test_unix_sockets(tmp_path: Path):
    with Daemon(actions=ACTIONS, listen=f"unix:{tmp_path}/o.sock") as daemon, Client(daemon.url) as client:
        assert len(list(client.start("count", n="10").lines(timeout=WAIT_S))) == 10


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port: int = listener.getsockname()[1]
        return port


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ws://127.0.0.1:{port}/ws", "nothing is listening there"),
        ("unix:/nowhere/at/all", "no such socket"),
        ("ws://no-such-host.invalid/ws", "unknown host"),
    ],
)
def test_a_server_that_is_not_there(url, words):
    with pytest.raises(ConnectFailedError, match=words):
        Client(url.format(port=free_port()), timeout=30)


@pytest.mark.parametrize(
    ("answer", "words", "status"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "it answered 404", 404),
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "trusted_cidrs", 403),
        (
            b"HTTP/1.1 401 Unauthorized\r\nContent-Type: text/plain\r\nContent-Length: 8\r\n\r\nno entry",
            "requires a token",
            401,
        ),
        (b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\n\r\n", "another key", 0),
        (b"HTTP/1.1 what\r\n\r\n", "not a WebSocket server", 0),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "not a WebSocket server", 0),
        (b"", "without an answer", 0),
    ],
)
def test_a_server_that_is_another_one(answer, words, status):
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(WAIT_S)

    def serve() -> None:
        with closing(listener), closing(listener.accept()[0]) as connection:
            connection.recv(65536)
            connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    with pytest.raises(ConnectFailedError, match=words) as caught:
        Client(f"ws://127.0.0.1:{listener.getsockname()[1]}")
    thread.join()
    assert caught.value.status == status


def test_a_server_that_never_answers():
    with closing(socket.create_server(("127.0.0.1", 0))) as listener, pytest.raises(ConnectFailedError):
        Client(f"ws://127.0.0.1:{listener.getsockname()[1]}", timeout=0.2)


def test_a_host_of_many_addresses_of_which_none_answers_takes_no_longer(monkeypatch: pytest.MonkeyPatch):
    with ExitStack() as stack:
        listener = stack.enter_context(closing(socket.create_server(("127.0.0.1", 0), backlog=0)))
        where = listener.getsockname()
        for _ in range(4):  # after which the kernel lets nobody in
            waiting = stack.enter_context(closing(socket.socket()))
            waiting.setblocking(False)
            waiting.connect_ex(where)
        found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", where)] * 8
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        began = time.monotonic()
        with pytest.raises(ConnectFailedError, match=r"no answer within 0\.4 s"):
            Client(f"ws://127.0.0.1:{where[1]}", timeout=0.4)
        assert time.monotonic() - began < allowed(1.5)


@pytest.mark.parametrize("times", [{"keepalive": 3e6}, {"timeout": 3e6}, {"reconnect": 3e9}])
def test_times_may_be_very_long(daemon: Daemon, times: dict[str, float]):
    with Client(daemon.url, **times) as client:  # type: ignore[arg-type]
        assert client.start("echo").wait(WAIT_S).exit_code == 3
        assert client.tasks()


def test_a_token_that_cannot_be_sent_is_refused():
    with pytest.raises(ClientError, match="token"):
        Client("ws://127.0.0.1:1", token="a\r\nb")


def test_joining_one_of_many_tasks_does_not_ask_for_all_of_them(daemon: Daemon, client: Client):
    for _ in range(20):
        client.start("echo").wait(WAIT_S)
    task = client.start("echo")
    task.wait(WAIT_S)
    heard: list[int] = []
    with Client(daemon.url) as other:
        sort = other._router.route_locked

        def count(items):
            heard.extend(len(item.tasks) for item in items if isinstance(item, Tasks))
            return sort(items)

        other._router.route_locked = count  # type: ignore[method-assign]
        assert other.subscribe(task.id, 0).wait(WAIT_S).exit_code == 3
    assert set(heard) == {1}


def test_a_seq_that_a_task_does_not_reach_is_anothers(client: Client):
    client.start("count", task_id="shorter", n="5").wait(WAIT_S)
    with pytest.raises(TaskGoneError, match="another task"):
        client.subscribe("shorter", 50)
    assert client.subscribe("shorter", 5).wait(WAIT_S).exit_code == 0


def test_a_stream_that_there_is_not_is_refused(client: Client):
    task = client.start("echo")
    with pytest.raises(ValueError, match="stdour"):
        task.lines("stdour")
    assert sorted(task.lines(timeout=WAIT_S)) == ["err", "hi"]


@pytest.mark.parametrize("url", ["", "ftp://h", "unix:"])
def test_an_address_that_is_none_is_a_client_error(url: str):
    with pytest.raises(ClientError):
        Client(url)
