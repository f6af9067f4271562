"""Logs of a server that is killed at any moment, on disks that are full or gone, and of clients that lag.

More rounds of kills: ``OVERSEER_TEST_KILLS=100``.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.faults.support import deaf, wait_until
from tests.harness import Daemon, WsClient, shell

_ROUNDS = int(os.environ.get("OVERSEER_TEST_KILLS", "10"))
_FLOOD = "i=0; while true; do echo $i; i=$((i+1)); [ $((i%50)) = 0 ] && seq 1 200 && echo err >&2; done"
ACTIONS = {
    "flood": shell(_FLOOD),
    "count": shell("seq 1 [[.lines]]; echo last", config={"parameters": {"lines": {}}}),
    "tick": shell("i=0; while echo tick $i; do i=$((i+1)); sleep 0.01; done"),
}


def lines_of(client: WsClient, task_id: str, from_seq: int = 0) -> Iterator[dict[str, Any]]:
    while True:
        page = client.request("logs", task_id=task_id, from_seq=from_seq, limit=1000)
        assert page["type"] == "logs", page
        yield from page["lines"]
        if page["next_seq"] > page["last_seq"]:
            return
        from_seq = page["next_seq"]


@pytest.mark.parametrize(
    "first", [0, *(pytest.param(first, marks=pytest.mark.long) for first in range(3, _ROUNDS, 3))]
)
def test_killed_at_any_moment_of_a_flood(tmp_path: Path, first: int) -> None:
    """Whatever a client has seen is in the log; numbers go on without a hole."""
    seen: dict[int, str] = {}
    for seed in range(first, first + 4):
        chance = random.Random(seed)
        daemon = Daemon(
            actions=ACTIONS, data_dir=str(tmp_path / "data"), storage={"segment": "64KiB"}
        ).start()
        try:
            with daemon.connect() as client:
                stored = {}
                if seen:
                    stored = {line["seq"]: line["data"] for line in lines_of(client, "f")}
                    assert list(stored) == list(range(1, len(stored) + 1)), f"seed {seed}"
                    assert seen.items() <= stored.items(), f"seed {seed}"
                if seed == first + 3:
                    daemon.stop()
                    return
                assert client.request("start", action="flood", task_id="f")["type"] == "started"
                begun = client.expect("output")["seq"]
                assert begun == len(stored) + 1, f"seed {seed}"
                # When, and not for how long, is what this is about.
                time.sleep(chance.uniform(0.0, 0.4))
                daemon.process.kill()
                client.wait_closed()
                outputs = [each for each in client.messages if each["type"] == "output"]
                assert [each["seq"] for each in outputs] == list(range(begun, begun + len(outputs)))
                seen = {each["seq"]: each["data"] for each in outputs} | {
                    seq: data for seq, data in stored.items() if seq > begun - 1000
                }
        finally:
            daemon.kill()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "disk"
    path.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(path)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted: {mounted.stderr.decode().strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def fill_up(path: Path) -> None:
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(b"x" * 4096) == 4096:
            pass


def test_a_full_disk_costs_lines_of_the_log_and_nothing_else(small_disk: Path) -> None:
    with Daemon(
        actions=ACTIONS, data_dir=str(small_disk / "data"), storage={"min_free": "0%", "compress": "none"}
    ) as daemon:
        ballast = small_disk / "ballast"
        with daemon.connect() as client:
            client.request("start", action="tick", task_id="t")
            client.expect("output")
            fill_up(ballast)
            daemon.wait_stderr("lines are not logged until")
            client.expect("output", data="tick 100")  # they go out all the same
            ballast.unlink()
            daemon.wait_stderr("can be written again")
            after = client.settle()[-1]["seq"] + 5
            client.expect("output", seq=after)
            client.send("stop", task_id="t")
            client.expect("exited")
            outputs = [each for each in client.messages if each["type"] == "output"]
            assert [each["seq"] for each in outputs] == list(range(1, len(outputs) + 1))
            stored = [line["seq"] for line in lines_of(client, "t")]
            assert stored[-1] == len(outputs)
            missing = set(range(1, len(outputs) + 1)) - set(stored)
            assert missing == set(range(min(missing), max(missing) + 1))
            # Who comes back later is told of it, except for what is still in memory.
            with daemon.connect() as other:
                other.request("subscribe", task_id="t", since_seq=1)
                told = other.collect("exited")
                heard = [each["seq"] for each in told if each["type"] == "output"]
                gaps = [(each["from_seq"], each["to_seq"]) for each in told if each["type"] == "gap"]
                assert sorted([*heard, *(seq for a, b in gaps for seq in range(a, b + 1))]) == list(
                    range(2, len(outputs) + 1)
                )
                assert {seq for a, b in gaps for seq in range(a, b + 1)} <= missing


def test_a_directory_that_is_removed_costs_what_was_in_it(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with Daemon(actions=ACTIONS, data_dir=str(data)) as daemon, daemon.connect() as client:
        client.request("start", action="tick", task_id="t")
        client.expect("output", data="tick 20")
        shutil.rmtree(data / "logs")
        seq = client.settle()[-1]["seq"] + 20
        client.expect("output", seq=seq)
        client.send("stop", task_id="t")
        client.expect("exited")
        last = max(each["seq"] for each in client.messages if each["type"] == "output")
        stored = [line["seq"] for line in lines_of(client, "t")]
        assert stored == list(range(stored[0], last + 1))
        assert stored[0] <= seq


# -- clients that lag


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with Daemon(
        actions=ACTIONS,
        data_dir=str(tmp_path / "data"),
        clients={"buffer": "256KiB", "stall_timeout": 1, "keepalive": 3600},
        storage={"segment": "256KiB"},
    ) as daemon:
        yield daemon


def test_a_client_that_lags_misses_nothing_holds_up_nothing_and_stays(daemon: Daemon) -> None:
    with deaf(daemon) as slow, daemon.connect() as client:
        client.request("subscribe", task_id="c")
        client.request("subscribe", task_id="after")
        started = slow.request(id="s", type="start", action="count", task_id="c", params={"lines": "50000"})
        assert started["type"] == "started"
        client.expect("exited", 60, task_id="c")  # it waited for nobody
        client.run("count", task_id="after", params={"lines": "10"}, timeout=60)
        time.sleep(1.5)  # longer than others may stall
        heard = slow.receive_until("exited")
        outputs = [each for each in heard if each["type"] == "output"]
        assert [each["seq"] for each in outputs] == list(range(1, 50002))
        assert [each["data"] for each in outputs] == [*map(str, range(1, 50001)), "last"]
        assert not [each for each in heard if each["type"] == "gap"]
        assert heard[-1]["type"] == "exited"


def test_it_meets_the_live_stream(daemon: Daemon) -> None:
    with deaf(daemon) as slow, daemon.connect() as client:
        slow.request(id="s", type="start", action="flood", task_id="f")
        client.request("subscribe", task_id="f", on_lag="drop")
        client.expect("output", 60, data="2000")
        seqs = []
        while (message := slow.receive_json())["type"] != "exited":
            assert message["type"] != "gap"
            if message["type"] == "output":
                seqs.append(message["seq"])
                if len(seqs) == 15_000:
                    client.send("stop", task_id="f")
        assert seqs == list(range(1, len(seqs) + 1))


def test_lifecycle_events_come_in_their_place(daemon: Daemon) -> None:
    """A client that lags over several runs gets each run's events around its lines."""
    with deaf(daemon) as slow, daemon.connect() as client:
        slow.request(id="s", type="start", action="count", task_id="c", params={"lines": "30000"})
        client.request("subscribe", task_id="c")
        for _ in range(2):
            client.expect("exited", 60)
            assert client.request("start", 60, action="count", task_id="c", params={"lines": "300"})[
                "type"
            ] == ("started")
        client.expect("exited", 60)
        heard: list[dict[str, Any]] = []
        for _ in range(3):
            heard += slow.receive_until("exited")
        kinds = [
            (each["type"], each.get("data"))
            for each in heard
            if each["type"] != "output" or each["data"] == "last"
        ]
        assert kinds == [
            ("output", "last"), ("exited", None),
            ("started", None), ("output", "last"), ("exited", None),
            ("started", None), ("output", "last"), ("exited", None),
        ]  # fmt: skip
        seqs = [each["seq"] for each in heard if each["type"] == "output"]
        assert seqs == list(range(1, 30001 + 2 * 301 + 1))


def test_who_unsubscribes_hears_no_more(daemon: Daemon) -> None:
    with deaf(daemon) as slow, daemon.connect() as client:
        slow.request(id="s", type="start", action="count", task_id="c", params={"lines": "50000"})
        client.request("subscribe", task_id="c", since_seq=0)
        client.expect("exited", 60, task_id="c")
        slow.send_json(id="u", type="unsubscribe", task_id="c")
        slow.receive_until("unsubscribed")
        slow.send_json(id="p", type="pool_info")
        assert [each["type"] for each in slow.receive_until("pool_info")] == ["pool_info"]
        assert (
            slow.request(id="again", type="subscribe", task_id="c", since_seq=49_990)["type"] == "subscribed"
        )
        rest = slow.receive_until("exited")
        assert [each["seq"] for each in rest if each["type"] == "output"] == list(range(49_991, 50_002))


def test_a_client_that_is_gone_is_forgotten(daemon: Daemon) -> None:
    with daemon.connect() as client:
        with deaf(daemon) as slow:
            slow.request(id="s", type="start", action="count", task_id="c", params={"lines": "50000"})
            client.request("subscribe", task_id="c")
            client.expect("exited", 60)
            slow.reset()
        wait_until(lambda: client.request("pool_info")["type"] == "pool_info")
        assert len(list(lines_of(client, "c"))) == 50_001


def test_reads_that_hang_cost_a_lagging_client_lines_and_nobody_else_anything(tmp_path: Path) -> None:
    """It is told which ones, and sent what follows; other logs can still be read."""
    with (
        Daemon(
            actions=ACTIONS,
            data_dir=str(tmp_path / "data"),
            clients={"buffer": "256KiB", "keepalive": 3600},
            storage={"segment": "256KiB"},
            program=Path(__file__).parent / "quick_reads.py",
            environment={"PYTHONPATH": str(Path(__file__).parents[2])},
        ) as daemon,
        deaf(daemon) as slow,
        daemon.connect() as client,
    ):
        client.run("count", task_id="other", params={"lines": "10"})
        slow.request(id="s", type="start", action="count", task_id="c", params={"lines": "50000"})
        client.request("subscribe", task_id="c")
        client.expect("exited", 60, task_id="c")
        os.mkfifo(tmp_path / "data/logs/c/hang")
        seqs: list[int] = []
        gaps = 0
        for each in slow.receive_until("exited"):
            if each["type"] == "output":
                seqs.append(each["seq"])
                last = each["data"]
            elif each["type"] == "gap":
                assert each["reason"] == "unreadable"
                seqs += range(each["from_seq"], each["to_seq"] + 1)
                gaps += 1
        assert (seqs, last, gaps) == (list(range(1, 50002)), "last", 1)
        # One such hangs each reader that there is.
        hanging = [client.send("logs", task_id="c", tail=1) for _ in range(2)]
        assert client.request("logs", task_id="other", tail=1)["lines"][0]["data"] == "last"
        refused = [each for each in client.messages if each.get("id") in hanging]
        assert [each["type"] for each in refused] == ["error"] * 2
