"""``limits.memory``: stored output gives way, the longest finished first, and everybody can see it."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator

import pytest

from overseer.supervisor.memory import _level
from tests.daemon.support import get
from tests.faults.support import wait_until
from tests.harness import Daemon, WsClient, shell

_LIMIT = 1 << 20
_PRINT = "i=0; while [ $i -lt [[.lines]] ]; do i=$((i+1)); printf '%010000d\\n' $i; done"
_LINES = {"parameters": {"lines": None}}


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    actions = {
        "prints": shell(_PRINT, config=_LINES),
        "stays": shell(_PRINT + "; echo end; exec sleep 60", config=_LINES),
        "waits": shell("echo", config={"parameters": {"size": ""}}, task_pool={"limit": 0}),
    }
    with Daemon(actions=actions, limits={"memory": _LIMIT}, history={"tasks": 1000}) as daemon:
        yield daemon


def ring_bytes(daemon: Daemon) -> int:
    found = re.search(r"^overseer_ring_bytes (\S+)$", get(daemon, "/metrics")[2], re.MULTILINE)
    assert found is not None
    return int(float(found[1]))


def evicted(client: WsClient) -> dict[str, bool]:
    return {task["task_id"]: "output_evicted" in task for task in client.request("list")["tasks"]}


def kept(client: WsClient, task_id: str) -> list[int]:
    """The seqs of what is stored of a task."""
    client.request("subscribe", task_id=task_id, since_seq=0)
    client.settle()
    client.request("unsubscribe", task_id=task_id)
    return [m["seq"] for m in client.messages if m["type"] == "output" and m["task_id"] == task_id]


def below(daemon: Daemon, size: int) -> Callable[[], bool]:
    return lambda: ring_bytes(daemon) <= size


def test_the_longest_finished_go_first_then_all_shrink_and_new_output_is_kept(daemon: Daemon) -> None:
    with daemon.connect() as client:
        for number in range(15):
            client.request("start", action="prints", task_id=f"t{number:02}", params={"lines": "10"})
            client.expect("exited", task_id=f"t{number:02}")
        wait_until(below(daemon, _LIMIT), timeout=30, what="room")
        flags = list(evicted(client).values())
        assert flags[0]
        assert not flags[-1]
        assert flags == sorted(flags, reverse=True), "none before one that finished earlier"

        for number in range(4):
            client.request("start", action="stays", task_id=f"r{number}", params={"lines": "90"})
        for number in range(4):
            client.expect("output", task_id=f"r{number}", data="end")
        wait_until(below(daemon, _LIMIT), timeout=30, what="room")
    with daemon.connect() as other:
        wait_until(lambda: all(evicted(other).values()), timeout=30, what="all have given something")
        assert kept(other, "t14") == []
        for number in range(4):
            seqs = kept(other, f"r{number}")
            assert seqs == list(range(seqs[0], 92))
            assert 5 < len(seqs) < 91
        said = get(daemon, "/metrics")[2]
        assert 'overseer_outputs_evicted_total{action="prints"} 15.0' in said
        assert f"overseer_memory_limit_bytes {_LIMIT / 1e6}e+06" in said


def test_a_ring_s_share_is_as_large_as_fits() -> None:
    rng = random.Random(7)
    for _ in range(200):
        sizes = [rng.randrange(100) for _ in range(rng.randrange(1, 20))]
        most = rng.randrange(1000)
        level = _level(sizes, most)
        assert sum(min(size, level) for size in sizes) <= most
        if level < max(sizes):
            assert sum(min(size, level + 1) for size in sizes) > most
