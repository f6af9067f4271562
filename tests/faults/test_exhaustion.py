"""No descriptors, threads or processes to be had: requests are refused, nothing dies, all comes back."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.as_nobody import NOBODY
from tests.faults.support import FaultDaemon, address_of, alive, gone, wait_until
from tests.harness import WsClient, allowed, shell

ACTIONS = {
    "echo": shell("echo hi"),
    "sleep": shell("exec sleep 60", stop_grace="500ms"),
    "retried": shell("exit 1", retry={"restart_delay": "100ms", "error_threshold": 4}),
    # An orphan of its own session that ends after its run, when it is told to: the server has to reap it. The
    # run lasts until it has that session, for what is in its group then ends with it.
    "orphan": shell(
        "(setsid sh -c 'echo $$ >[[.fifo]]; read word <[[.fifo]].go' >/dev/null 2>&1 &); cat [[.fifo]]",
        config={"parameters": {"fifo": None}},
    ),
}


@contextmanager
def limited(daemon: FaultDaemon, which: int, limit: int) -> Iterator[None]:
    """The server gets no more than this; the hard limit stays, so that it can be lifted again."""
    before = resource.prlimit(daemon.pid, which)
    resource.prlimit(daemon.pid, which, (limit, before[1]))
    try:
        yield
    finally:
        resource.prlimit(daemon.pid, which, before)


def descriptors(daemon: FaultDaemon) -> int:
    return max(int(path.name) for path in Path(f"/proc/{daemon.pid}/fd").iterdir()) + 1


@pytest.fixture(scope="module")
def server() -> Iterator[FaultDaemon]:
    with FaultDaemon(actions=ACTIONS) as server:
        yield server
        # A zombie of which the server could not learn whose it is it leaves alone for some seconds.
        wait_until(lambda: not zombies(server), what="the orphan's being reaped")


def zombies(daemon: FaultDaemon) -> list[str]:
    """The server's children that nobody has waited for."""
    tasks = Path(f"/proc/{daemon.pid}/task")
    children = [pid for path in tasks.glob("*/children") for pid in path.read_text().split()]
    return [pid for pid in children if not alive(pid)]


@pytest.fixture
def client(server: FaultDaemon) -> Iterator[WsClient]:
    with server.connect() as client:
        yield client
    server.must_be_idle()


def test_without_descriptors_a_start_is_refused_and_clients_are_served(
    server: FaultDaemon, client: WsClient
) -> None:
    client.request("start", action="sleep", task_id="there already")
    with limited(server, resource.RLIMIT_NOFILE, descriptors(server) + 1):
        for _ in range(20):
            reply = client.request("start", action="echo")
            assert reply["type"] == "error", reply
            assert "too many open files" in reply["message"]
        assert len(client.request("list")["tasks"]) >= 1
        held = len(list(Path(f"/proc/{server.pid}/fd").iterdir()))
        assert held <= descriptors(server)
    client.run("echo")
    client.send("stop", task_id="there already")
    client.expect("exited", task_id="there already")


@pytest.mark.parametrize("spare", range(12))
def test_with_a_few_descriptors_a_start_works_or_is_refused_and_leaves_nothing(
    server: FaultDaemon, client: WsClient, spare: int
) -> None:
    """Wherever in the middle of a start they run out."""
    with limited(server, resource.RLIMIT_NOFILE, descriptors(server) + spare):
        replies = [client.request("start", action="sleep") for _ in range(4)]
        assert {reply["type"] for reply in replies} <= {"started", "error"}
    started = [reply["task_id"] for reply in replies if reply["type"] == "started"]
    for task_id in started:
        client.send("stop", task_id=task_id)
    for task_id in started:
        client.expect("exited", task_id=task_id)


def test_without_descriptors_a_stop_still_works(server: FaultDaemon, client: WsClient) -> None:
    started = client.request("start", action="sleep", task_id="stopped")
    with limited(server, resource.RLIMIT_NOFILE, 3):
        begun = time.monotonic()
        client.send("stop", task_id="stopped")
        assert gone(started["pid"], timeout=30)
        assert time.monotonic() - begun < allowed(4)
    client.expect("exited", task_id="stopped", timeout=30)


def naps(daemon: FaultDaemon) -> int:
    """How often the main thread, which signals wake, has gone to sleep."""
    status = Path(f"/proc/{daemon.pid}/task/{daemon.pid}/status").read_text()
    return int(status.partition("\nvoluntary_ctxt_switches:")[2].split()[0])


def test_without_descriptors_an_orphan_that_dies_does_no_harm(
    server: FaultDaemon, client: WsClient, tmp_path: Path
) -> None:
    fifo, go = tmp_path / "fifo", tmp_path / "fifo.go"
    os.mkfifo(fifo)
    os.mkfifo(go)
    _, [output], _ = client.run("orphan", params={"fifo": str(fifo)})
    pid = output["data"]
    with limited(server, resource.RLIMIT_NOFILE, 3):
        before = naps(server)
        go.write_text("die\n")
        assert gone(pid)
        # The server was told, and could not look at it.
        wait_until(lambda: naps(server) > before, what="the server's waking up")
        assert client.request("pool_info")["type"] == "pool_info"
    client.run("echo")


def test_without_descriptors_new_clients_wait_and_are_served_in_the_end(
    server: FaultDaemon, client: WsClient
) -> None:
    with limited(server, resource.RLIMIT_NOFILE, 3):
        sockets = [socket.create_connection(address_of(server), 5) for _ in range(5)]  # type: ignore[arg-type]
        server.wait_stderr("cannot accept connections")
        used = cpu_seconds(server)
        time.sleep(0.5)
        assert cpu_seconds(server) - used < 0.25, "it spins"
    for sock in sockets:
        with sock:
            sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
            assert sock.recv(100).startswith(b"HTTP/1.1 200 ")


def cpu_seconds(daemon: FaultDaemon) -> float:
    fields = Path(f"/proc/{daemon.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# -- threads and processes, which one limit counts -----------------------------------------------------------


@contextmanager
def no_more_processes(daemon: FaultDaemon, allowed: int = 1) -> Iterator[None]:
    """Neither a process nor a thread can be made by the user that the server runs as.

    Or until there are as many as ``allowed``, threads of the server and the guardian included.
    """

    def limit(soft: str) -> None:
        # By a program that may: it has to be that same user.
        command = [*NOBODY, "prlimit", f"--pid={daemon.pid}", f"--nproc={soft}:"]
        subprocess.run(command, check=True, timeout=30)

    _, hard = resource.getrlimit(resource.RLIMIT_NPROC)
    limit(str(allowed))
    try:
        yield
    finally:
        if daemon.process.poll() is None:
            limit("unlimited" if hard == resource.RLIM_INFINITY else str(hard))


@pytest.fixture(scope="module")
def poor() -> Iterator[FaultDaemon]:
    with FaultDaemon(actions=ACTIONS, program=Path(__file__).parent / "as_nobody.py") as daemon:
        yield daemon


def test_without_processes_or_threads_a_start_is_refused_and_a_task_errors_by_its_policy(
    poor: FaultDaemon,
) -> None:
    with poor.connect() as client:
        with no_more_processes(poor):
            for _ in range(20):
                reply = client.request("start", action="echo")
                assert reply["type"] == "error", reply
                assert "cannot start" in reply["message"]
            assert not client.request("list")["tasks"]
        client.run("echo")
        # A restart that cannot be spawned counts like an exit.
        client.request("start", action="retried", task_id="r")
        client.expect("restarting", task_id="r")
        with no_more_processes(poor):
            client.expect("errored", task_id="r")
        task = client.info("r")
        assert task["state"] == "errored"
    poor.must_be_idle()


@pytest.mark.parametrize("spare", [1, 2, 3, 4])
def test_with_a_few_only_a_start_works_or_is_refused_and_leaves_nothing(
    poor: FaultDaemon, spare: int
) -> None:
    """The process can be made but not the threads that read from it, or only one of the two, and so on."""
    with poor.connect() as client:
        in_use = len(list(Path(f"/proc/{poor.pid}/task").iterdir())) + 1  # the guardian
        with no_more_processes(poor, in_use + spare):
            replies = [client.request("start", action="sleep")["type"] for _ in range(5)]
            assert set(replies) <= {"started", "error"}
            assert "error" in replies
            tasks = client.request("list")["tasks"]
            running = [task for task in tasks if task.get("worker_state") == "running"]
            assert len(running) == replies.count("started")
            for task in running:
                client.send("stop", task_id=task["task_id"])
            for task in running:
                client.expect("exited", task_id=task["task_id"])
    poor.must_be_idle()


def test_without_threads_a_client_is_turned_away_and_the_next_one_is_served(poor: FaultDaemon) -> None:
    with poor.connect() as client:
        with no_more_processes(poor):
            with pytest.raises((AssertionError, OSError)):
                poor.connect()
            assert client.request("pool_info")["type"] == "pool_info"
        with poor.connect() as other:
            other.run("echo")
    poor.must_be_idle()


def test_without_threads_a_stop_still_works(poor: FaultDaemon) -> None:
    with poor.connect() as client:
        started = client.request("start", action="sleep", task_id="t")
        with no_more_processes(poor):
            client.send("stop", task_id="t")
            client.expect("exited", task_id="t")
        assert not alive(started["pid"])
    poor.must_be_idle()


def test_without_threads_clients_that_have_none_are_served_too() -> None:
    with FaultDaemon(actions=ACTIONS, program=Path(__file__).parent / "as_nobody.py") as poor:
        tasks = Path(f"/proc/{poor.pid}/task")
        with poor.connect() as client, poor.connect() as other:
            started = client.request("start", action="sleep", task_id="t")
            other.request("subscribe", task_id="t")
            # Two are the run's and the one that launched it.
            most = poor.idle.threads + 2
            wait_until(lambda: len(list(tasks.iterdir())) <= most, what="the end of their threads")
            with no_more_processes(poor):
                assert other.request("pool_info")["type"] == "pool_info"
                client.send("stop", task_id="t")
                client.expect("exited", task_id="t")
                other.expect("exited", task_id="t")
                assert not alive(started["pid"])
                assert other.request("pool_info")["type"] == "pool_info"
            client.run("echo")
        poor.must_be_idle()


def test_a_guardian_that_cannot_be_replaced_is_replaced_when_it_can(poor: FaultDaemon) -> None:
    def guardian() -> int:
        children = "".join(path.read_text() for path in Path(f"/proc/{poor.pid}/task").glob("*/children"))
        return int(children.split()[0]) if children else 0

    before = guardian()
    assert before > 1
    with no_more_processes(poor):
        os.kill(before, signal.SIGKILL)
        poor.wait_stderr("cannot start a guardian")
    wait_until(lambda: guardian() not in (0, before), what="a new guardian")
    with poor.connect() as client:
        client.run("echo")


def test_without_threads_the_end_is_as_ever(poor: FaultDaemon) -> None:
    with poor.connect() as client:
        pids = [client.request("start", action="sleep")["pid"] for _ in range(5)]
        with no_more_processes(poor):
            begun = time.monotonic()
            poor.process.send_signal(signal.SIGTERM)
            poor.process.wait(12)
            assert time.monotonic() - begun < allowed(5)
            assert gone(*pids, timeout=0)
    poor.stop()
