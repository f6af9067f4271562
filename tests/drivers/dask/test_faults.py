"""Killed, frozen and cut off parts of a cluster with TLS: what is heard is counted, and nothing is left."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.drivers.dask.account import account, running
from tests.drivers.dask.conftest import COUNTS, Certificates, far, start, thorough
from tests.drivers.dask.proxy import Proxy
from tests.drivers.dask.test_ends import RETRIES
from tests.harness import Daemon, WsClient
from tests.harness.cluster import Cluster, needs_distributed, wait_until
from tests.harness.load import allowed

SHORT, LONG = 4, 30  # leases; in seconds
_JOBS, _LINES = 60, 50

pytestmark = [pytest.mark.timeout(600), pytest.mark.allow_leaks, thorough]  # a cluster's programs come and go


def actions(address: str, tls: Any) -> dict[str, Any]:
    def on(*workers: str, lease: float = SHORT) -> dict[str, Any]:
        return {"tls": tls, "lease": lease, **({"workers": list(workers)} if workers else {})}

    job = f"for i in $(seq {_LINES}); do echo $i; sleep 0.1; done"
    return {
        "counts": far(address, COUNTS, cluster=on("w0")),
        "patient": far(address, COUNTS, cluster=on("w0", lease=LONG)),
        "again": far(address, COUNTS, cluster=on("w0")) | {"retry": RETRIES},
        "there": far(address, COUNTS, cluster=on("extra")),
        "through": far(address, COUNTS, cluster=on("proxied")),
        "patient through": far(address, COUNTS, cluster=on("proxied", lease=LONG)),
        "quick": far(address, "echo 1", cluster=on()),
        "queued": far(address, COUNTS, cluster=on())
        | {"task_pool": {"limit": 1, "queue": {"enabled": True}}},
        "job": far(address, job, cluster=on())
        | {"retry": RETRIES, "task_pool": {"limit": 12, "queue": {"enabled": True, "size": 1000}}},
    }


@pytest.fixture(scope="module")
def cluster(certificates: Certificates) -> Iterator[Cluster]:
    needs_distributed()
    with Cluster(workers=2, security=certificates.arguments, scheme="tls") as cluster:
        yield cluster


@pytest.fixture(scope="module")
def daemon(cluster: Cluster, certificates: Certificates) -> Iterator[Daemon]:
    with Daemon(actions=actions(cluster.address, certificates.section), data_dir="data") as daemon:
        yield daemon


def counting(client: WsClient, action: str, task: str) -> dict[str, Any]:
    """Start a task that counts, and wait until it has begun to; its ``started``."""
    started = start(client, action, task_id=task)
    client.expect("output", timeout=60, task_id=task, data="10")
    return started


def goes_on(client: WsClient, task: str, lines: int = 100) -> None:
    """Wait until a task has printed so many lines more."""
    so_far = len(account(client)[task][-1].lines)
    client.expect("output", timeout=120, task_id=task, data=str(so_far + lines))


def check_lost(client: WsClient, task: str, started: dict[str, Any]) -> None:
    """A run is lost, which is told once and with its host, and nothing of it is left."""
    exited = client.expect("exited", timeout=120, task_id=task)
    assert (exited["reason"], exited["host"]) == ("lost", started["host"])
    wait_until("nothing is left", lambda: not running(task))
    account(client)


def check_stops(client: WsClient, task: str) -> None:
    client.send("stop", task_id=task)
    assert client.expect("exited", timeout=120, task_id=task)["reason"] == "stopped"
    wait_until("nothing is left", lambda: not running(task))
    account(client)


def quick(client: WsClient) -> str:
    """What a start is answered with."""
    return str(client.request("start", timeout=60, action="quick")["type"])


def error_of_start(client: WsClient) -> tuple[str, float]:
    """The error that a start is answered with, and after how many seconds."""
    asked = time.monotonic()
    answer = client.request("start", timeout=60, action="quick")
    assert answer["type"] == "error", answer
    return answer["message"], time.monotonic() - asked


def test_a_killed_nanny_takes_its_worker_s_runs_with_it(cluster: Cluster, client: WsClient) -> None:
    started = counting(client, "counts", "nanny-killed")
    counting(client, "again", "nanny-again")
    cluster.workers["w0"].end(signal.SIGKILL)
    check_lost(client, "nanny-killed", started)
    assert client.expect("exited", timeout=60, task_id="nanny-again")["will_restart"]
    cluster.add_worker("w0")
    assert client.expect("started", timeout=60, task_id="nanny-again")
    goes_on(client, "nanny-again", 10)
    check_stops(client, "nanny-again")


def test_a_killed_worker_is_started_again_by_its_nanny_and_so_are_its_runs(
    cluster: Cluster, client: WsClient
) -> None:
    started = counting(client, "counts", "worker-killed")
    counting(client, "again", "worker-again")
    os.kill(cluster.worker_pid("w0"), signal.SIGKILL)
    check_lost(client, "worker-killed", started)
    assert client.expect("exited", timeout=60, task_id="worker-again")["will_restart"]
    assert client.expect("started", timeout=60, task_id="worker-again")
    goes_on(client, "worker-again", 10)
    check_stops(client, "worker-again")


@pytest.mark.parametrize("part", ["nanny", "scheduler"])
def test_runs_go_on_while_a_part_is_frozen_that_they_do_not_need(
    part: str, cluster: Cluster, client: WsClient
) -> None:
    counting(client, "counts", f"beside-{part}")
    program = cluster.scheduler if part == "scheduler" else cluster.workers["w0"]
    program.process.send_signal(signal.SIGSTOP)
    try:
        begun = time.monotonic()
        if part == "scheduler":
            said, seconds = error_of_start(client)
            assert "cannot be reached: the scheduler does not answer" in said
            assert seconds < allowed(5.0), seconds
        goes_on(client, f"beside-{part}")
        wait_until("the lease would be over", lambda: time.monotonic() - begun > 2 * SHORT)
        goes_on(client, f"beside-{part}")
    finally:
        program.process.send_signal(signal.SIGCONT)
    wait_until("it takes starts", lambda: quick(client) != "error")
    check_stops(client, f"beside-{part}")


def test_a_worker_that_is_frozen_for_less_than_the_lease_loses_nothing(
    cluster: Cluster, client: WsClient
) -> None:
    counting(client, "patient", "patient")
    worker = cluster.worker_pid("w0")
    for _ in range(3):
        os.kill(worker, signal.SIGSTOP)
        until = time.monotonic() + 2.0
        wait_until("it has been frozen for a while", lambda until=until: time.monotonic() > until)
        os.kill(worker, signal.SIGCONT)
        goes_on(client, "patient", 20)
    check_stops(client, "patient")


def test_a_connection_to_a_worker_may_be_cut_for_less_than_the_lease_and_not_for_longer(
    cluster: Cluster, client: WsClient
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        listens = f"tls://127.0.0.1:{free.getsockname()[1]}"
    proxy = Proxy(listens, "tls")
    worker = cluster.add_worker("proxied", "--listen-address", listens, "--contact-address", proxy.address)
    try:
        counting(client, "patient through", "cut-shortly")
        for _ in range(5):
            proxy.cut()
            until = time.monotonic() + 1.0
            wait_until("it has been cut for a while", lambda until=until: time.monotonic() > until)
            proxy.mend()
            goes_on(client, "cut-shortly", 20)
        check_stops(client, "cut-shortly")
        started = counting(client, "through", "cut-for-long")
        proxy.cut()
        check_lost(client, "cut-for-long", started)
        proxy.mend()
        start(client, "through", task_id="cut-no-more")
        goes_on(client, "cut-no-more", 20)
        check_stops(client, "cut-no-more")
        assert len(account(client)["cut-for-long"]) == 1
    finally:
        worker.end()
        proxy.cut()
        del cluster.workers["proxied"]


def test_a_connection_to_the_scheduler_may_be_cut_and_runs_go_on(
    cluster: Cluster, certificates: Certificates
) -> None:
    proxy = Proxy(cluster.address, "tls")
    with (
        Daemon(actions=actions(proxy.address, certificates.section)) as daemon,
        daemon.connect() as client,
    ):
        counting(client, "counts", "beside")
        proxy.cut()
        said, seconds = error_of_start(client)
        assert f"the cluster {proxy.address} cannot be reached: " in said
        assert seconds < allowed(5.0), seconds
        goes_on(client, "beside", 400)
        proxy.mend()
        wait_until("it connects again", lambda: quick(client) != "error")
        check_stops(client, "beside")
    proxy.cut()


def test_a_worker_that_is_added_takes_what_waits_for_it(cluster: Cluster, client: WsClient) -> None:
    queued = client.request("start", timeout=60, action="there", task_id="there")
    assert queued["waiting_on"] == ["cluster"]
    extra = cluster.add_worker("extra")
    started = client.expect("started", timeout=60, task_id="there")
    assert started["host"].startswith("extra ")
    goes_on(client, "there", 10)
    extra.end()
    del cluster.workers["extra"]
    check_lost(client, "there", started)


def test_every_task_runs_to_its_end_while_workers_come_and_go(
    cluster: Cluster, client: WsClient, certificates: Certificates
) -> None:
    chance = random.Random(19)
    client.request("watch", output=True)
    for number in range(_JOBS):
        client.send("start", action="job", task_id=f"job-{number}")
    wait_until("some run", lambda: any(message["type"] == "output" for message in list(client.messages)))
    names = [f"more{number}" for number in range(4)]
    for name in names:
        cluster.add_worker(name)
        os.kill(cluster.worker_pid(chance.choice(["w0", name])), signal.SIGKILL)
        retired = chance.choice(["w1", name])
        retire(cluster, certificates, retired)
        cluster.workers.pop(retired).end()  # its nanny ends with it
        cluster.add_worker(retired)

    def succeeded() -> int:
        rows = client.request("list", timeout=60)["tasks"]
        return sum(each["task_id"].startswith("job-") and each["status"] == "succeeded" for each in rows)

    wait_until("all have ended", lambda: succeeded() == _JOBS, 300)
    client.settle(60)
    heard = account(client)
    reasons = Counter(run.reason for task in heard for run in heard[task] if task.startswith("job-"))
    assert reasons["exited"] == _JOBS
    assert set(reasons) == {"exited", "lost"}, reasons
    print(f"\n{_JOBS} tasks, runs by their ends: {dict(reasons)}")
    for number in range(_JOBS):
        assert len(heard[f"job-{number}"][-1].lines) == _LINES
    wait_until("nothing is left", lambda: not running("job-"))
    for name in names:
        cluster.workers.pop(name).end()


def retire(cluster: Cluster, certificates: Certificates, name: str) -> None:
    """Have the engine retire a worker; its nanny starts another."""
    code = (
        "import sys; from distributed import Client; from distributed.security import Security\n"
        "address, name, ca, cert, key = sys.argv[1:]\n"
        "files = {'tls_ca_file': ca, 'tls_client_cert': cert, 'tls_client_key': key}\n"
        "client = Client(address, security=Security(require_encryption=True, **files))\n"
        "client.retire_workers(names=[name], close_workers=True)\n"
    )
    tls = certificates.section
    arguments = [cluster.address, name, tls["ca"], tls["cert"], tls["key"]]
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True, timeout=120)


def test_a_killed_overseer_s_runs_are_lost_once_by_its_successor_s_account(
    cluster: Cluster, certificates: Certificates, tmp_path_factory: pytest.TempPathFactory
) -> None:
    data = tmp_path_factory.mktemp("data")
    given = actions(cluster.address, certificates.section)
    tasks = [f"killed-{number}" for number in range(4)]
    with Daemon(actions=given, data_dir=str(data)) as daemon:
        with daemon.connect() as client:
            for task in tasks:
                start(client, "counts", task_id=task)
            for task in tasks:
                client.expect("output", timeout=60, task_id=task, data="50")
            account(client)
            daemon.process.kill()
        wait_until("their processes are killed", lambda: not running("killed-"))
        daemon.kill()
    with Daemon(actions=given, data_dir=str(data)) as daemon, daemon.connect() as client:
        for task in tasks:
            (row,) = client.request("runs", task_id=task)["runs"]
            assert (row["status"], row["reason"]) == ("lost", "lost")
            assert row["host"].startswith("w0 ")
            lines = client.request("logs", task_id=task, limit=1000, from_seq=1)["lines"]
            assert [int(line["data"]) for line in lines] == list(range(1, len(lines) + 1))
            assert len(lines) >= 50


def test_a_scheduler_that_is_killed_is_an_error_queues_hold_and_starts_go_on_when_it_is_back(
    cluster: Cluster, client: WsClient
) -> None:
    first = start(client, "queued", task_id="first")
    second = client.request("start", timeout=60, action="queued", task_id="second")
    assert (second["type"], second["position"]) == ("queued", 1)
    counting(client, "again", "resumes")
    port = int(cluster.address.rpartition(":")[2])
    cluster.scheduler.end(signal.SIGKILL)
    said, seconds = error_of_start(client)
    assert said.startswith(f"the cluster {cluster.address} cannot be reached: ")
    assert seconds < allowed(5.0), seconds
    check_lost(client, "first", first)
    assert client.expect("exited", timeout=60, task_id="resumes")["reason"] == "lost"
    for task in ("second", "resumes"):
        wait_until("it waits", lambda task=task: client.info(task).get("status") == "waiting")
    cluster.start_scheduler(port)
    for program in cluster.workers.values():  # they have ended with their scheduler
        program.end()
    for name in list(cluster.workers):
        cluster.add_worker(name)
    assert client.expect("started", timeout=60, task_id="second")["host"]
    assert client.expect("started", timeout=60, task_id="resumes")["host"]
    for task in ("second", "resumes"):
        check_stops(client, task)
