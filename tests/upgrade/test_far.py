"""Tasks on a cluster go over: their processes notice nothing, and nothing they say is lost or doubled."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.drivers.dask.conftest import far, start
from tests.harness import Daemon, WsClient
from tests.harness.cluster import Cluster, needs_distributed, wait_until
from tests.upgrade.support import assert_in_order, lines_of

_WAIT = 120.0
pytestmark = pytest.mark.timeout(600)


def _actions(address: str) -> dict[str, Any]:
    some = {"lease": 6}
    return {
        "counts": far(address, "i=0; while :; do i=$((i+1)); echo $i; sleep 0.01; done", cluster=some),
        "flood": far(address, "seq 1 200000", cluster=some),
        "code": far(address, "read x; exit $x", cluster=some, stdin="pipe"),
        "cat": far(address, "echo $$; exec cat", cluster=some, stdin="pipe"),
        "secret": far(
            address, "cat; echo $S", cluster=some, stdin="pipe",
            env={"S": "[[.word]]"}, parameters={"word": {"type": "secret"}},
        ),
        "nowhere": far(address, "exit 7", cluster={**some, "workers": ["later"]}),
        "stubborn": far(address, "trap '' TERM; echo 1; while :; do sleep 0.1; done", cluster=some)
        | {"stop_grace": 3},
    }  # fmt: skip


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    needs_distributed()
    with Cluster(workers=2, nannies=False) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def daemon(cluster: Cluster) -> Iterator[Daemon]:
    with Daemon(actions=_actions(cluster.address), data_dir="data", history={"age": 86400}) as daemon:
        yield daemon


@pytest.fixture
def client(daemon: Daemon) -> Iterator[WsClient]:
    with daemon.connect() as client:
        yield client


def _upgrade(client: WsClient) -> dict[str, Any]:
    answer = client.request("upgrade", _WAIT)
    assert answer["type"] == "upgraded", answer
    return answer


def test_output_input_and_ends_go_on(daemon: Daemon, client: WsClient) -> None:
    with daemon.connect() as other:
        for number in range(3):
            start(client, "counts", task_id=f"counts-{number}")
        pid = start(client, "cat", task_id="cat")["pid"]
        start(client, "code", task_id="code")
        start(client, "stubborn", task_id="stubborn")
        client.expect("output", _WAIT, task_id="stubborn")
        client.send("stop", task_id="stubborn")
        other.send("start", action="flood", task_id="flood")
        for turn in range(2):
            client.request("input", _WAIT, task_id="cat", data=f"before {turn}\n" * 2000)
            assert _upgrade(client)["tasks"] >= 5
            client.request("input", _WAIT, task_id="cat", data=f"after {turn}\n", eof=turn == 1)
        client.request("input", _WAIT, task_id="code", data="5\n", eof=True)
        ended = client.expect("exited", _WAIT, task_id="code")
        assert (ended["exit_code"], ended["reason"], ended["host"][0]) == (5, "exited", "w")
        ended = client.expect("exited", _WAIT, task_id="stubborn")
        assert (ended["reason"], ended["signal"]) == ("stopped", "SIGKILL")
        assert client.expect("exited", _WAIT, task_id="cat")["pid"] == pid
        echoed = [
            message["data"]
            for message in client.messages
            if message.get("task_id") == "cat" and message["type"] == "output"
        ]
        wanted = [word for turn in range(2) for word in [f"before {turn}"] * 2000 + [f"after {turn}"]]
        assert echoed[1:] == wanted
        other.expect("exited", _WAIT, task_id="flood")
        assert assert_in_order(other.messages, "flood") == 200_000
        for number in range(3):
            client.send("stop", task_id=f"counts-{number}")
            ended = client.expect("exited", _WAIT, task_id=f"counts-{number}")
            assert ended["reason"] == "stopped"
            assert assert_in_order(client.messages, f"counts-{number}") > 0
        runs = client.request("runs", _WAIT, task_id="code")["runs"]
        assert [(run["status"], run["exit_code"]) for run in runs] == [("failed", 5)]


def test_secrets_stay_masked(client: WsClient) -> None:
    start(client, "secret", task_id="masked", params={"word": "correct-horse"})
    client.request("input", _WAIT, task_id="masked", data="is it correct-")
    _upgrade(client)
    client.request("input", _WAIT, task_id="masked", data="horse?\n", eof=True)
    client.expect("exited", _WAIT, task_id="masked")
    assert [line["data"] for line in client.outputs("masked")] == ["is it ***?", "***"]


def test_what_waits_for_a_place_still_gets_one(cluster: Cluster, client: WsClient) -> None:
    asked = client.send("start", action="nowhere", task_id="waits")
    _upgrade(client)
    assert client.expect("queued", _WAIT, task_id="waits", id=asked)["position"] == 0
    assert client.info("waits")["waiting_on"] == ["cluster"]
    _upgrade(client)
    worker = cluster.add_worker("later")
    assert client.expect("exited", _WAIT, task_id="waits")["exit_code"] == 7
    worker.end()


def test_a_scheduler_that_is_away_just_then_does_not_matter(cluster: Cluster, client: WsClient) -> None:
    start(client, "counts", task_id="alone")
    os.kill(cluster.scheduler.process.pid, signal.SIGSTOP)
    try:
        _upgrade(client)
        seen = len(lines_of(client.messages, "alone"))
        wait_until("more lines", lambda: len(lines_of(client.messages, "alone")) > seen + 300, _WAIT)
    finally:
        os.kill(cluster.scheduler.process.pid, signal.SIGCONT)
    client.send("stop", task_id="alone")
    assert client.expect("exited", _WAIT, task_id="alone")["reason"] == "stopped"
    assert_in_order(client.messages, "alone")
    start(client, "code", task_id="next")
    client.request("input", _WAIT, task_id="next", data="0\n")
    assert client.expect("exited", _WAIT, task_id="next")["exit_code"] == 0


def test_the_scheduler_knows_their_threads_as_taken_all_the_time(cluster: Cluster, client: WsClient) -> None:
    from distributed import Client

    with Client(cluster.address, set_as_default=False) as engine:

        def taken() -> list[str]:
            return [
                key for keys in engine.processing().values() for key in keys if key.startswith("overseer-")
            ]

        wait_until("all threads are free", lambda: not taken(), _WAIT)
        start(client, "cat", task_id="taken")
        (place,) = taken()
        wait_until("it is to be kept", lambda: place in engine.run_on_scheduler(_kept), _WAIT)
        _upgrade(client)
        assert taken() == [place]
        wait_until(
            "a connection", lambda: client.request("cluster", _WAIT)["clusters"][0]["connected"], _WAIT
        )
        assert taken() == [place]
        client.send("stop", task_id="taken")
        client.expect("exited", _WAIT, task_id="taken")
        wait_until("all threads are free", lambda: not taken(), _WAIT)
        wait_until("nothing is kept", lambda: not engine.run_on_scheduler(_kept), _WAIT)


def _kept(dask_scheduler: Any) -> set[str]:
    """The tasks that the scheduler keeps for nobody in particular; run by it."""
    return {task.key for task in dask_scheduler.clients["fire-and-forget"].wants_what}
