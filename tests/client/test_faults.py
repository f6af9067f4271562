"""Connections cut, servers killed, started anew, hanging: no line comes twice, none is missed in silence."""

from __future__ import annotations

import os
import random
import shutil
import signal
import ssl
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from overseer.client import (
    Client,
    ClosedError,
    ConnectFailedError,
    ConnectionLostError,
    ReplyTimeoutError,
    Task,
    TaskGoneError,
)
from overseer.client.buffer import Item
from overseer.client.decoding import decode
from overseer.protocol import Event, Exited, Gap, Output, Tasks
from tests.client.conftest import ACTIONS
from tests.client.proxy import Proxy
from tests.harness import ROOT, Daemon, allowed

WAIT_S = 30


class Count:
    """The model: every line is either there, once and in order, or told of as missing."""

    def __init__(self) -> None:
        self.last = 0
        self.lines = 0
        self.missing = 0
        self.exits: list[Exited] = []

    def add(self, events: Iterable[Event]) -> Count:
        for event in events:
            if isinstance(event, Output):
                assert event.seq == self.last + 1, f"{event} after {self.last}"
                assert int(event.data) == event.seq
                self.last = event.seq
                self.lines += 1
            elif isinstance(event, Gap):
                assert event.from_seq == self.last + 1, f"{event} after {self.last}"
                self.missing += event.to_seq - event.from_seq + 1
                self.last = event.to_seq
            elif isinstance(event, Exited):
                self.exits.append(event)
        return self


def follow(task: Task) -> Count:
    return Count().add(task.events(WAIT_S))


class TestCutConnections:
    def test_a_slow_task_loses_nothing(self, daemon: Daemon):
        notices: list[str] = []
        with Proxy(daemon.address) as proxy, Client(proxy.url, on_notice=notices.append) as client:
            task = client.start("slow-count", n="100")
            count = Count()
            for index, event in enumerate(task.events(WAIT_S)):
                count.add([event])
                if index % 25 == 10:
                    proxy.cut()
            assert (count.last, count.missing, len(count.exits)) == (100, 0, 1)
            assert task.wait(WAIT_S).exit_code == 0
            assert proxy.connections > 2
        assert any("trying to connect again" in notice for notice in notices)

    @pytest.mark.parametrize("seed", range(2))
    def test_cut_anywhere_many_tasks_are_all_accounted_for(self, daemon: Daemon, seed: int):
        rng = random.Random(seed)
        with Proxy(daemon.address) as proxy, Client(proxy.url) as client:
            tasks = [client.start("slow-count", n="60") for _ in range(4)]
            tasks.append(client.start("count", n="20000"))
            proxy.budget = rng.randrange(300, 3000)  # in the middle of a frame, as often as not
            proxy.cut()
            counts: dict[int, Count] = {}
            threads = [
                threading.Thread(target=lambda i=i, t=t: counts.update({i: follow(t)}))
                for i, t in enumerate(tasks)
            ]
            for thread in threads:
                thread.start()
            proxy.wait_connections(6)
            proxy.budget = None
            for thread in threads:
                thread.join(WAIT_S)
            assert [counts[i].last for i in range(5)] == [60, 60, 60, 60, 20000]
            assert sum(counts[i].missing for i in range(4)) == 0  # the server stores a hundred of each
            assert [len(count.exits) for count in counts.values()] == [1] * 5

    def test_what_is_gone_from_the_servers_memory_is_told_of(self, daemon: Daemon):
        with Proxy(daemon.address) as proxy, Client(proxy.url, buffer=1 << 16) as client:
            proxy.pause()
            with Client(daemon.url) as other:
                task = other.start("count", n="5")
                task.wait(WAIT_S)
            proxy.resume()
            task = client.start("sleep", task_id="gap")
            proxy.refuse = True
            proxy.cut()
            with Client(daemon.url) as other:
                other.stop("gap")
                other.subscribe("gap", 0).wait(WAIT_S)
                fresh = other.start("count", task_id="gap2", n="1")
                fresh.wait(WAIT_S)
            proxy.refuse = False
            assert task.wait(WAIT_S).signal == "SIGTERM"

    def test_requests_under_way_are_answered_after_it(self, daemon: Daemon):
        with Proxy(daemon.address) as proxy, Client(proxy.url) as client:
            proxy.pause()
            answers: list[object] = []
            thread = threading.Thread(target=lambda: answers.append(client.actions()))
            thread.start()
            time.sleep(0.05)  # it may be sent or not; both must work
            proxy.cut()
            proxy.resume()
            thread.join(WAIT_S)
            assert len(answers) == 1

    def test_a_start_under_way_is_not_sent_twice(self, daemon: Daemon):
        with Proxy(daemon.address) as proxy, Client(proxy.url) as client:
            before = client.metrics("slow-count")
            proxy.budget = 10_000
            rng = random.Random(3)
            started = []
            for _ in range(12):
                threading.Timer(rng.random() / 100, proxy.cut).start()
                with suppress(ConnectionLostError):
                    started.append(client.start("slow-count", n="1"))
            ended = [task.wait(WAIT_S) for task in started]
            after = client.metrics("slow-count")
            assert len({each.task_id for each in ended}) == len(started)
            made = after.tasks_started - before.tasks_started  # type: ignore[union-attr]
            assert len(started) <= made <= 12

    def test_a_start_by_name_that_is_lost_is_said(self, daemon: Daemon):
        with Proxy(daemon.address) as proxy, Client(proxy.url) as client:
            proxy.pause()
            threading.Timer(0.1, proxy.cut).start()
            with pytest.raises(ConnectionLostError):
                client.start("count", task_id="by-name")
            proxy.resume()

    def test_while_there_is_none_a_request_waits_for_the_next(self, daemon: Daemon):
        with Proxy(daemon.address) as proxy, Client(proxy.url) as client:
            proxy.refuse = True
            proxy.cut()
            with pytest.raises(ReplyTimeoutError):
                client.tasks(timeout=0.3)
            threading.Timer(0.2, lambda: setattr(proxy, "refuse", False)).start()
            assert client.actions()

    def test_it_is_given_up_after_a_time(self, daemon: Daemon):
        with Proxy(daemon.address) as proxy, Client(proxy.url, reconnect=0.5) as client:
            task = client.start("slow-count", n="10")
            proxy.refuse = True
            proxy.cut()
            with pytest.raises(ConnectionLostError, match="and "):
                list(task.events(WAIT_S))
            with pytest.raises(ConnectionLostError):
                client.tasks()
            with pytest.raises(ConnectionLostError):
                task.wait()

    def test_who_is_told_of_it_may_raise(self, daemon: Daemon, caplog: pytest.LogCaptureFixture):
        def fail(text: str) -> None:
            raise ValueError("of the program's own")

        with Proxy(daemon.address) as proxy, Client(proxy.url, on_notice=fail) as client:
            task = client.start("slow-count", n="20")
            proxy.cut()
            assert follow(task).last == 20
            assert proxy.connections == 2
        assert "of the program's own" in caplog.text

    def test_who_is_told_of_it_may_close_the_client(self, daemon: Daemon):
        clients: list[Client] = []
        closed = threading.Event()

        def close(text: str) -> None:
            clients[0].close()
            closed.set()

        with Proxy(daemon.address) as proxy, Client(proxy.url, on_notice=close) as client:
            clients.append(client)
            task = client.start("sleep")
            proxy.cut()
            with pytest.raises(ClosedError, match="was closed"):
                task.wait(WAIT_S)
            assert closed.wait(WAIT_S)
            client._shared.connection.thread.join(WAIT_S)
            assert not client._shared.connection.thread.is_alive()
        with Client(daemon.url) as other:
            other.stop(task.id)

    def test_it_is_not_tried_where_that_is_not_wanted(self, daemon: Daemon):
        with Proxy(daemon.address) as proxy, Client(proxy.url, reconnect=0) as client:
            task = client.start("slow-count", n="10")
            proxy.cut()
            with pytest.raises(ConnectionLostError):
                task.wait(WAIT_S)
            assert proxy.connections == 1

    def test_a_close_that_was_not_asked_for_is_a_loss_whatever_its_code(self, daemon: Daemon):
        with (
            Proxy(daemon.address) as proxy,
            Client(proxy.url, reconnect=0) as client,
            ThreadPoolExecutor() as threads,
        ):
            task, watch, events = client.start("sleep"), client.watch(), client.events()
            assert next(task.lines(timeout=WAIT_S)) == "ready"
            changes = watch.events()
            next(changes)
            waiting: list[Callable[[], object]] = [lambda: list(events), lambda: list(changes), task.wait]
            under_way = [threads.submit(call) for call in waiting]
            proxy.close(1000)  # as one that is being stopped
            for each in under_way:
                error = each.exception(WAIT_S)
                assert isinstance(error, ConnectionLostError)
                assert not isinstance(error, ClosedError)
        with Client(daemon.url) as other:
            other.stop(task.id)

    def test_each_call_on_a_lost_connection_raises_an_error_of_its_own(self, daemon: Daemon):
        """One that were raised again and again would collect the frames of all calls."""
        with (
            Proxy(daemon.address) as proxy,
            Client(proxy.url, reconnect=0) as client,
            ThreadPoolExecutor() as threads,
        ):
            task, watch, events = client.start("sleep"), client.watch(), client.events()
            running = task.events(WAIT_S)
            next(running)
            proxy.pause()
            waiting: list[Callable[[], object]] = [client.tasks, lambda: list(events), lambda: list(running)]
            under_way = [threads.submit(call) for call in waiting]
            proxy.cut()
            raised = [each.exception(WAIT_S) for each in under_way]
            client._shared.connection.thread.join(WAIT_S)
            watch._link.connection.thread.join(WAIT_S)
            calls: list[Callable[[], object]] = [
                client.tasks,
                client.events,
                task.wait,
                task.wait_until_ready,
                lambda: list(task.events()),
                watch.events,
            ]
            for call in calls:
                depths = set()
                for _ in range(5):
                    with pytest.raises(ConnectionLostError) as caught:
                        call()
                    raised.append(caught.value)
                    depths.add(len(traceback.extract_tb(caught.value.__traceback__)))
                assert len(depths) == 1, call
            assert all(isinstance(error, ConnectionLostError) for error in raised)
            assert len(set(map(id, raised))) == len(raised)
        with Client(daemon.url) as other:
            other.stop(task.id)


class TestServers:
    def test_that_is_killed_and_starts_anew_knows_no_task(self, tmp_path: Path):
        address = f"unix:{tmp_path}/o.sock"
        with Daemon(actions=ACTIONS, listen=address) as first:
            client = Client(address)
            task = client.start("sleep")
            assert next(task.lines(timeout=WAIT_S)) == "ready"
            first.process.kill()
            first.kill()
        with Daemon(actions=ACTIONS, listen=address), client:
            with pytest.raises(TaskGoneError, match="does not know task"):
                task.wait(WAIT_S)
            with pytest.raises(TaskGoneError):
                list(task.lines(timeout=WAIT_S))
            assert client.start("echo").wait(WAIT_S).exit_code == 3

    def test_that_shuts_down_has_ended_its_tasks(self):
        with Daemon(actions=ACTIONS) as daemon, Client(daemon.url, reconnect=0.2) as client:
            task = client.start("sleep")
            assert next(task.lines(timeout=WAIT_S)) == "ready"
            daemon.stop()
            assert task.wait(WAIT_S).intentional
            with pytest.raises(ConnectionLostError):
                client.start("sleep")

    def test_an_id_that_another_task_has_by_now_is_not_mixed_up(self, daemon: Daemon):
        with Proxy(daemon.address) as proxy, Client(proxy.url) as client, Client(daemon.url) as other:
            task = client.start("sleep", task_id="shared")
            assert next(task.lines(timeout=WAIT_S)) == "ready"
            proxy.refuse = True
            proxy.cut()
            old = other.subscribe("shared")
            other.stop("shared")
            old.wait(WAIT_S)
            fresh = other.start("sleep", task_id="shared")
            proxy.refuse = False
            with pytest.raises(TaskGoneError, match="another task"):
                task.wait(WAIT_S)
            fresh.stop()
            fresh.wait(WAIT_S)

    def test_that_hangs_is_noticed_and_waited_for(self):
        with Daemon(actions=ACTIONS) as daemon:
            notices: list[str] = []
            with Client(daemon.url, keepalive=0.2, timeout=0.5, on_notice=notices.append) as client:
                task = client.start("slow-count", n="100")
                count = Count()
                events = task.events(WAIT_S)
                for _ in range(5):
                    count.add([next(events)])
                daemon.freeze()
                try:
                    with pytest.raises(ReplyTimeoutError):
                        client.tasks()
                    deadline = time.monotonic() + WAIT_S
                    while not notices and time.monotonic() < deadline:
                        time.sleep(0.01)
                    assert "has been silent" in notices[0]
                finally:
                    os.kill(daemon.pid, signal.SIGCONT)
                count.add(events)
                assert (count.last, count.missing, len(count.exits)) == (100, 0, 1)

    def test_that_hangs_does_not_keep_a_client_from_closing(self):
        with Daemon(actions=ACTIONS) as daemon:
            client = Client(daemon.url)
            daemon.freeze()
            try:
                began = time.monotonic()
                client.close()
                assert time.monotonic() - began < allowed(3.0)
            finally:
                os.kill(daemon.pid, signal.SIGCONT)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make a certificate with")
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
         "-keyout", path, "-out", path.with_suffix(".crt")],
        check=True, capture_output=True, timeout=30,
    )  # fmt: skip
    path.write_bytes(path.read_bytes() + path.with_suffix(".crt").read_bytes())
    return path


def test_tls(daemon: Daemon, certificate: Path):
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate)
    with Proxy(daemon.address, tls=server) as proxy:
        with pytest.raises(ConnectFailedError, match="TLS failed"):
            Client(proxy.url)
        trusting = ssl.create_default_context(cafile=str(certificate.with_suffix(".crt")))
        with Client(proxy.url, tls=trusting) as client:
            tasks = [client.start("count", n="5000") for _ in range(3)]
            for task in tasks:
                count = follow(task)
                assert (count.last, count.missing) == (5000, 0)


_STOPPED = """
import sys
from overseer.client import Client
notices = []
with Client(sys.argv[1], keepalive=0.25, on_notice=notices.append) as client:
    print("up", flush=True)
    for line in sys.stdin:
        client.tasks()
        print(notices, flush=True)
"""


def test_a_process_that_was_stopped_does_not_blame_the_server(daemon: Daemon):
    argv = [sys.executable, "-c", _STOPPED, daemon.url]
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(0.6)  # longer than a server may be silent
        os.kill(process.pid, signal.SIGCONT)
        print("ask", file=process.stdin, flush=True)
        assert process.stdout.readline() == "[]\n"
        process.stdin.close()


def test_a_followed_task_is_looked_up_alone(daemon: Daemon, monkeypatch: pytest.MonkeyPatch):
    """However many the server lists, and however many are followed when the connection comes back."""
    rows: list[list[str]] = []

    def decoded(*arguments: Any) -> list[Item]:
        items = decode(*arguments)
        rows.extend([task.task_id for task in item.tasks] for item in items if isinstance(item, Tasks))
        return items

    monkeypatch.setattr("overseer.client.connection.decode", decoded)
    with Proxy(daemon.address) as proxy, Client(proxy.url) as client:
        for _ in range(3):
            client.start("echo").wait(WAIT_S)
        task = client.start("sleep")
        joined = client.subscribe(task.id)
        assert next(task.lines(timeout=WAIT_S)) == "ready"
        proxy.cut()
        proxy.wait_connections(2)
        task.stop()
        assert task.wait(WAIT_S) == joined.wait(WAIT_S)
    looked_up = [found for found in rows if task.id in found]
    assert len(looked_up) >= 3  # when it was joined, and by both when the connection was back
    assert all(found == [task.id] for found in looked_up)


def test_a_reset_that_cannot_join_its_task_in_time_leaves_the_handle_as_it_was(daemon: Daemon):
    with Proxy(daemon.address) as proxy, Client(proxy.url) as client:
        task = client.start("hopeless")
        task.wait(WAIT_S)
        assert task.state == "errored"
        proxy.pause()
        with pytest.raises(ReplyTimeoutError):
            task.reset(timeout=0.2)
        assert task._follower.finished
        proxy.resume()
        task.reset()
        assert task.wait(WAIT_S).exit_code == 9
