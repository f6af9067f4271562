"""What becomes of runs when their worker, or their overseer, goes. There is more in test_faults."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.drivers.dask.account import account, running
from tests.drivers.dask.conftest import COUNTS, far, start
from tests.harness import Daemon, WsClient
from tests.harness.cluster import Cluster, needs_distributed, wait_until

LEASE = 3
RETRIES = {"restart_delay": "100ms", "error_window": "1h", "error_threshold": 1000}

pytestmark = pytest.mark.timeout(300)  # processes of a cluster start slowly on a busy machine


def actions(address: str) -> dict[str, Any]:
    section = {"lease": LEASE}
    marks = "echo began >> [[shquote .file]]; exec sleep 1000"
    return {
        "counts": far(address, COUNTS, cluster=section),
        "again": far(address, "exec sleep 1000", cluster=section) | {"retry": RETRIES},
        "marks": far(address, marks, cluster=section, parameters={"file": {}}),
    }


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    needs_distributed()
    with Cluster(workers=1, nannies=False) as cluster:
        yield cluster


def test_a_killed_overseer_leaves_nothing_behind_its_lease(cluster: Cluster) -> None:
    with Daemon(actions=actions(cluster.address)) as daemon:
        with daemon.connect() as client:
            start(client, "counts", task_id="orphan")
            client.expect("output", timeout=60)
            daemon.process.kill()
        wait_until("its processes are killed", lambda: not running("orphan"))
        daemon.kill()


def test_a_frozen_worker_keeps_nothing_alive_beyond_the_lease(cluster: Cluster, client: WsClient) -> None:
    started = start(client, "counts", task_id="frozen")
    client.expect("output", timeout=60, data="10")
    os.kill(cluster.worker_pid("w0"), signal.SIGSTOP)
    try:
        exited = client.expect("exited", timeout=60, task_id="frozen")
        assert not running("frozen"), "it is lost, and so it is over"
    finally:
        os.kill(cluster.worker_pid("w0"), signal.SIGCONT)
    assert (exited["reason"], exited["host"]) == ("lost", started["host"])
    account(client)


@pytest.mark.allow_leaks  # its cluster has another worker afterwards
def test_a_killed_worker_takes_its_runs_with_it_and_the_policy_decides(
    cluster: Cluster, client: WsClient, tmp_path: Path
) -> None:
    started = start(client, "counts", task_id="killed")
    client.expect("output", timeout=60, data="10")
    again = start(client, "again", task_id="again")
    start(client, "marks", params={"file": str(tmp_path / "marks")}, task_id="marks")
    wait_until("it has begun", (tmp_path / "marks").exists)
    cluster.workers["w0"].end(signal.SIGKILL)
    exited = client.expect("exited", timeout=60, task_id="killed")
    assert (exited["reason"], exited["exit_code"], exited["intentional"]) == ("lost", -1, False)
    assert exited["host"] == started["host"]
    wait_until("its processes are killed", lambda: not running("killed"))
    account(client)
    info = client.info("killed")
    assert (info["status"], info["reason"]) == ("failed", "lost")
    assert started["host"] in info["error_message"]
    (row, *_) = client.request("runs", task_id="killed")["runs"]
    assert (row["status"], row["reason"], row["host"]) == ("lost", "lost", started["host"])

    lost = client.expect("exited", timeout=60, task_id="again")
    assert (lost["reason"], lost["will_restart"]) == ("lost", True)
    cluster.add_worker("w0")
    restarted = client.expect("started", timeout=60, task_id="again")
    assert restarted["restart_of"] == again["pid"]
    client.send("stop", task_id="again")
    assert client.expect("exited", timeout=60, task_id="again")["reason"] == "stopped"

    def idle() -> bool:
        (info,) = client.request("cluster", timeout=30)["clusters"]
        return [worker["busy"] for worker in info["workers"]] == [0]

    wait_until("the engine's second attempts have been refused", idle)
    assert (tmp_path / "marks").read_text() == "began\n"
