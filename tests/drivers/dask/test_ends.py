"""What becomes of runs when a part of the cluster, or the way to it, goes."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.drivers.dask.conftest import far, start, thorough
from tests.harness import Daemon, WsClient, wait_for_exit
from tests.harness.cluster import Cluster, needs_distributed, wait_until

LEASE = 3
RETRIES = {"restart_delay": "100ms", "error_window": "1h", "error_threshold": 1000}

pytestmark = pytest.mark.timeout(300)  # processes of a cluster start slowly on a busy machine


class Proxy:
    """Passes TCP connections on, until it is cut."""

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition("/")[2].rpartition(":")
        self._target = host, int(port)
        self._pairs: list[socket.socket] = []
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self.listen(0)

    def listen(self, port: int) -> None:
        self._listener = socket.create_server(("127.0.0.1", port))
        self.address = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self._go(self._accept, self._listener)

    def _go(self, target: Any, *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
                far_end = socket.create_connection(self._target)
            except OSError:
                return
            with self._lock:
                self._pairs += [near, far_end]
            self._go(self._pump, near, far_end)
            self._go(self._pump, far_end, near)

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut(self) -> None:
        """End all connections, and take no more."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            ends, self._pairs = self._pairs, []
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5.0)
        self._threads.clear()
        for end in ends:
            end.close()

    def mend(self) -> None:
        self.listen(int(self.address.rpartition(":")[2]))


def actions(address: str) -> dict[str, Any]:
    section = {"lease": LEASE}
    return {
        "counts": far(
            address,
            "echo $$; i=0; while :; do i=$((i+1)); echo $i; sleep 0.01; done",
            cluster=section | {"workers": ["w0"]},
        ),
        "again": far(address, "echo $$; exec sleep 1000", cluster=section | {"workers": ["w0"]})
        | {"retry": RETRIES},
        "there": far(address, "echo $$; exec sleep 1000", cluster=section | {"workers": ["extra"]}),
        "marks": far(
            address,
            "echo began >> [[shquote .file]]; echo $$; exec sleep 1000",
            cluster=section,
            parameters={"file": {}},
        ),
        "quick": far(address, "echo done", cluster=section),
        "queued": far(address, "exec sleep 1000", cluster=section)
        | {"task_pool": {"limit": 1, "queue": {"enabled": True}}},
    }


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    needs_distributed()
    with Cluster(workers=2) as cluster:
        yield cluster


def begun(client: WsClient, action: str, **fields: Any) -> tuple[dict[str, Any], int]:
    """Start a task that says its pid first; its ``started``, and that."""
    started = start(client, action, **fields)
    return started, int(client.expect("output", timeout=60, task_id=started["task_id"])["data"])


def quick(client: WsClient) -> dict[str, Any]:
    """What a start is answered with."""
    return client.request("start", timeout=60, action="quick")


def name_of(host: str) -> str:
    return host.partition(" ")[0]


def check_lines(client: WsClient, task: str) -> None:
    """What was counted came in order, without a line that is missing or there twice."""
    counted = [int(line["data"]) for line in client.outputs(task)]
    assert counted == list(range(1, len(counted) + 1))


def test_a_killed_worker_takes_its_runs_with_it_and_the_policy_decides(
    cluster: Cluster, client: WsClient
) -> None:
    started, pid = begun(client, "counts")
    again = begun(client, "again", task_id="again")
    os.kill(cluster.worker_pid(name_of(started["host"])), signal.SIGKILL)
    exited = client.expect("exited", timeout=60, task_id=started["task_id"])
    assert (exited["reason"], exited["exit_code"], exited["intentional"]) == ("lost", -1, False)
    assert exited["host"] == started["host"]
    assert wait_for_exit(pid, 60)
    check_lines(client, started["task_id"])
    info = client.info(started["task_id"])
    assert (info["status"], info["reason"]) == ("failed", "lost")
    assert started["host"] in info["error_message"]
    lost = client.expect("exited", timeout=60, task_id="again")
    assert (lost["reason"], lost["will_restart"]) == ("lost", True)
    assert wait_for_exit(again[1], 60)
    restarted = client.expect("started", timeout=60, task_id="again")
    assert restarted["restart_of"] == again[0]["pid"]
    (row, *_) = client.request("runs", task_id=started["task_id"])["runs"]
    assert (row["status"], row["reason"], row["host"]) == ("lost", "lost", started["host"])
    client.send("stop", task_id="again")
    client.expect("exited", timeout=60, task_id="again")


def test_the_engine_s_second_attempt_does_not_run(cluster: Cluster, client: WsClient, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    started, _ = begun(client, "marks", params={"file": str(marks)})
    os.kill(cluster.worker_pid(name_of(started["host"])), signal.SIGKILL)
    assert client.expect("exited", timeout=60, task_id=started["task_id"])["reason"] == "lost"

    def idle() -> bool:
        (info,) = client.request("cluster", timeout=30)["clusters"]
        return len(info["workers"]) == 2 and not any(worker["busy"] for worker in info["workers"])

    wait_until("the engine has nothing left to do", idle)
    assert marks.read_text() == "began\n"


def test_a_frozen_worker_keeps_nothing_alive_beyond_the_lease(cluster: Cluster, client: WsClient) -> None:
    started, pid = begun(client, "counts")
    worker = cluster.worker_pid(name_of(started["host"]))
    os.kill(worker, signal.SIGSTOP)
    try:
        assert wait_for_exit(pid, 60)
        exited = client.expect("exited", timeout=60, task_id=started["task_id"])
    finally:
        os.kill(worker, signal.SIGCONT)
    assert (exited["reason"], exited["host"]) == ("lost", started["host"])
    check_lines(client, started["task_id"])


@thorough
def test_a_worker_that_is_added_takes_what_waits_for_it(cluster: Cluster, client: WsClient) -> None:
    queued = client.request("start", timeout=60, action="there")
    assert queued["waiting_on"] == ["cluster"]
    extra = cluster.add_worker("extra")
    started = client.expect("started", timeout=60, task_id=queued["task_id"])
    assert started["host"].startswith("extra ")
    pid = int(client.expect("output", task_id=queued["task_id"])["data"])
    extra.end()
    del cluster.workers["extra"]
    assert client.expect("exited", timeout=60, task_id=queued["task_id"])["reason"] == "lost"
    assert wait_for_exit(pid, 60)


@thorough
def test_a_scheduler_that_is_away_is_an_error_and_queues_hold(cluster: Cluster, client: WsClient) -> None:
    first = start(client, "queued")
    second = client.request("start", timeout=60, action="queued")
    assert (second["type"], second["position"]) == ("queued", 1)
    _, pid = begun(client, "again", task_id="resumes")
    port = int(cluster.address.rpartition(":")[2])
    cluster.scheduler.end(signal.SIGKILL)
    assert client.expect("exited", timeout=60, task_id=first["task_id"])["reason"] == "lost"
    assert client.expect("exited", timeout=60, task_id="resumes")["reason"] == "lost"
    assert wait_for_exit(pid, 60)
    wait_until(
        "the server knows", lambda: client.request("start", timeout=60, action="quick")["type"] == "error"
    )
    error = client.request("start", timeout=60, action="quick")
    assert error["message"].startswith(f"the cluster {cluster.address} cannot be reached: ")
    wait_until("it waits", lambda: client.info(second["task_id"]).get("waiting_on") == ["cluster"])
    wait_until("it waits", lambda: client.info("resumes").get("waiting_on") == ["cluster"])
    cluster.start_scheduler(port)
    for program in cluster.workers.values():  # they have ended with their scheduler
        program.end()
    for name in list(cluster.workers):
        cluster.add_worker(name)
    assert client.expect("started", timeout=60, task_id=second["task_id"])["host"]
    assert client.expect("started", timeout=60, task_id="resumes")["host"]
    for task in (second["task_id"], "resumes"):
        client.send("stop", task_id=task)
        client.expect("exited", timeout=60, task_id=task)


def test_a_killed_overseer_leaves_nothing_behind_its_lease(cluster: Cluster) -> None:
    with Daemon(actions=actions(cluster.address)) as daemon:
        with daemon.connect() as client:
            _, pid = begun(client, "counts")
            daemon.process.kill()
        assert wait_for_exit(pid, 60)
        daemon.kill()


@thorough
def test_a_connection_that_is_cut_for_less_than_the_lease_costs_nothing(cluster: Cluster) -> None:
    proxy = Proxy(cluster.address)
    with Daemon(actions=actions(proxy.address)) as daemon, daemon.connect() as client:
        started, _ = begun(client, "counts")
        proxy.cut()
        client.expect("output", timeout=60, data="300", task_id=started["task_id"])
        proxy.mend()
        quick = client.request("start", action="quick", timeout=60)
        wait_until(
            "it connects again",
            lambda: client.request("start", timeout=60, action="quick")["type"] != "error",
        )
        del quick
        client.send("stop", task_id=started["task_id"])
        assert client.expect("exited", timeout=60, task_id=started["task_id"])["reason"] == "stopped"
    proxy.cut()
