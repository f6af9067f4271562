"""Partitions that drop every packet, between machines that are network namespaces of this one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.drivers.dask.account import account, running
from tests.drivers.dask.conftest import COUNTS, far, start, thorough
from tests.drivers.dask.test_faults import (
    LONG,
    SHORT,
    check_stops,
    counting,
    error_of_start,
    goes_on,
    quick,
)
from tests.harness import Daemon, WsClient
from tests.harness.cluster import Cluster, needs_distributed, wait_until
from tests.harness.lan import Lan, needs_namespaces
from tests.harness.load import allowed

pytestmark = [pytest.mark.timeout(600), pytest.mark.allow_leaks, thorough]


def actions(address: str) -> dict[str, Any]:
    there = {"workers": ["w0"]}
    return {
        "counts": far(address, COUNTS, cluster={"lease": SHORT, **there}),
        "patient": far(address, COUNTS, cluster={"lease": LONG, **there}),
        "quick": far(address, "echo 1"),
        "queued": far(address, COUNTS, cluster={"lease": SHORT})
        | {"task_pool": {"limit": 1, "queue": {"enabled": True}}},
    }


@pytest.fixture(scope="module")
def lan() -> Iterator[Lan]:
    needs_distributed()
    needs_namespaces()
    with Lan("s", "w0", "w1") as lan:
        yield lan


@pytest.fixture(scope="module")
def cluster(lan: Lan) -> Iterator[Cluster]:
    with Cluster(workers=2, lan=lan) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def daemon(cluster: Cluster) -> Iterator[Daemon]:
    with Daemon(actions=actions(cluster.address), data_dir="data", alone=True) as daemon:
        yield daemon


def wait(seconds: float) -> None:
    """Let a partition last: the time is what is tried."""
    until = time.monotonic() + seconds
    wait_until("it has lasted", lambda: time.monotonic() > until, seconds + 60)


def test_a_partition_between_overseer_and_worker_that_is_shorter_than_the_lease_costs_nothing(
    lan: Lan, client: WsClient
) -> None:
    counting(client, "patient", "short")
    for _ in range(3):
        lan.cut("w0")
        wait(4.0)
        lan.mend("w0")
        goes_on(client, "short", 50)
    check_stops(client, "short")


def test_a_partition_between_overseer_and_worker_ends_its_runs_with_the_lease(
    lan: Lan, client: WsClient
) -> None:
    started = counting(client, "counts", "long")
    lan.cut("w0")
    cut = time.monotonic()
    try:
        exited = client.expect("exited", timeout=120, task_id="long")
        assert not running("long"), "it is not given up before it is over"
        assert (exited["reason"], exited["host"]) == ("lost", started["host"])
        assert time.monotonic() - cut < allowed(SHORT * 5 / 3 + 4.0)
    finally:
        lan.mend("w0")
    start(client, "counts", task_id="after")
    goes_on(client, "after", 50)
    check_stops(client, "after")
    assert len(account(client)["long"]) == 1


def test_a_partition_between_overseer_and_scheduler_is_an_error_and_runs_go_on(
    lan: Lan, cluster: Cluster, client: WsClient
) -> None:
    start(client, "queued", task_id="first")
    second = client.request("start", timeout=60, action="queued", task_id="second")
    assert second["position"] == 1
    counting(client, "counts", "goes-on")
    lan.cut("s")
    try:
        said, seconds = error_of_start(client)
        assert said.startswith(f"the cluster {cluster.address} cannot be reached: ")
        assert seconds < allowed(5.0), seconds
        goes_on(client, "goes-on", 300)
        client.send("stop", task_id="first")
        assert client.expect("exited", timeout=60, task_id="first")["reason"] == "stopped"
        wait_until("it waits", lambda: client.info("second")["status"] == "waiting")
        wait(2 * SHORT)
        assert error_of_start(client)[1] < allowed(5.0)
    finally:
        lan.mend("s")
    assert client.expect("started", timeout=120, task_id="second")["host"]
    wait_until("it takes starts", lambda: quick(client) != "error")
    goes_on(client, "goes-on", 50)
    check_stops(client, "second")
    check_stops(client, "goes-on")


def test_a_partition_between_worker_and_scheduler_lets_runs_go_on_or_ends_them_once(
    lan: Lan, cluster: Cluster, client: WsClient
) -> None:
    counting(client, "counts", "apart")
    lan.cut("w0", "s")
    wait(2 * SHORT)
    goes_on(client, "apart", 50)
    lan.mend("w0", "s")
    goes_on(client, "apart", 50)
    # Until one of them has given up the other. The worker ends then, and so does its nanny.
    lan.cut("w0", "s")
    exited = client.expect("exited", timeout=300, task_id="apart")
    assert exited["reason"] == "lost"
    wait_until("nothing is left", lambda: not running("apart"))
    lan.mend("w0", "s")
    cluster.workers["w0"].end()
    cluster.add_worker("w0")
    start(client, "counts", task_id="anew")
    goes_on(client, "anew", 50)
    check_stops(client, "anew")
    assert len(account(client)["apart"]) == 1
