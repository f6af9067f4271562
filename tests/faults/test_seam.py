"""Where the log ends and the live stream begins: clients that stop reading for a while, at random places.

Tasks flood, segments are sealed, compressed and removed meanwhile. Every client is sent every line once and
in order, or a gap that says which are gone and why; and nobody holds up a task. More of it: ``make seam``, or
``OVERSEER_TEST_SEAM=50``.
"""

from __future__ import annotations

import os
import random
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.faults.support import deaf
from tests.harness import Daemon, shell
from tests.net.rawclient import RawClient

_ROUNDS = int(os.environ.get("OVERSEER_TEST_SEAM", "0"))
_CLIENTS = 6
_TASKS = ("a", "b")
_LINES = 12_000 if _ROUNDS else 4000  # of a run
_RUNS = 3
# Bursts with pauses, so that clients fall behind and catch up many times.
_FLOOD = (
    "n=[[.from]]; end=$((n+[[.lines]])); while [ $n -lt $end ]; do "
    "seq -f '%.0f line' $n $((n+[[.burst]]-1)); n=$((n+[[.burst]])); sleep 0.0[[.pause]]; done"
)
ACTIONS = {
    "flood": shell(_FLOOD, config={"parameters": {n: {} for n in ("from", "lines", "burst", "pause")}})
}


class _Reader:
    """A client that follows all tasks: it reads, stops reading, leaves and comes back as chance has it."""

    def __init__(self, daemon: Daemon, chance: random.Random, over: threading.Event) -> None:
        self._daemon = daemon
        self._chance = chance
        self._over = over  # nothing more is written
        self.last: dict[str, int] = dict.fromkeys(
            _TASKS, 0
        )  # the seq up to which each has been accounted for
        self.gaps: list[dict[str, Any]] = []
        self.ends: dict[str, list[int]] = {task_id: [] for task_id in _TASKS}  # where each exited stood
        self.lines = self.stalls = self.returns = 0
        self.client = self._connected()

    def run(self) -> None:
        """Until nothing more is written."""
        while not self._over.is_set():
            for _ in range(self._chance.choice([1, 10, 300, 3000])):
                if not self._take_one(0.1):
                    break
            match self._chance.randrange(8):
                case 0:  # leave, whatever is on the way
                    self.client.reset()
                    self.client = self._connected()
                    self.returns += 1
                case 1:
                    task_id = self._chance.choice(_TASKS)
                    self.client.send_json(id="u", type="unsubscribe", task_id=task_id)
                    while self._take_one(20) != "unsubscribed":
                        pass
                    self._over.wait(self._chance.uniform(0, 0.3))
                    self._subscribe(self.client, task_id)
                    self.returns += 1
                case 2 | 3 | 4:  # read nothing
                    self.stalls += 1
                    self._over.wait(self._chance.expovariate(2.0))

    def finish(self, ends: dict[str, int]) -> None:
        """Read on until each task is where it ended."""
        deadline = time.monotonic() + 120  # all that is in the log, on a machine with other things to do
        while self.last != ends or any(not at or at[-1] != ends[t] for t, at in self.ends.items()):
            assert time.monotonic() < deadline, f"{self.last} of {ends}, exits at {self.ends}"
            self._take_one(1)

    def _connected(self) -> RawClient:
        client = deaf(self._daemon)
        for task_id in _TASKS:
            self._subscribe(client, task_id)
        return client

    def _subscribe(self, client: RawClient, task_id: str) -> None:
        client.send_json(id="s", type="subscribe", task_id=task_id, since_seq=self.last[task_id])

    def _take_one(self, timeout: float) -> str:
        try:
            message = self.client.receive_json(timeout=timeout)
        except TimeoutError:
            return ""
        task_id = message.get("task_id", "")
        match message["type"]:
            case "output":
                seq = message["seq"]
                assert seq == self.last[task_id] + 1, f"{task_id}: {seq} after {self.last[task_id]}"
                assert message["data"] == f"{seq} line"
                self.last[task_id] = seq
                self.lines += 1
            case "gap":
                assert message["from_seq"] == self.last[task_id] + 1, message
                assert message["to_seq"] >= message["from_seq"], message
                self.last[task_id] = message["to_seq"]
                self.gaps.append(message)
            case "exited":
                at = self.ends[task_id]
                if (
                    not at or at[-1] != self.last[task_id]
                ):  # whoever subscribes anew is told of the last one again
                    at.append(self.last[task_id])
            case "subscribed":
                # What the log did not go back to is told here, and by no gap.
                oldest = message.get("oldest_seq", 0)
                if oldest > self.last[task_id] + 1:
                    lost = {"from_seq": self.last[task_id] + 1, "to_seq": oldest - 1, "reason": "expired"}
                    self.gaps.append({"task_id": task_id, **lost})
                    self.last[task_id] = oldest - 1
            case "error":
                raise AssertionError(message)
        return str(message["type"])


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(1, _ROUNDS or 2))]
)
def test_every_line_comes_once_or_is_said_to_be_gone(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    with (
        Daemon(
            actions=ACTIONS,
            data_dir=str(tmp_path / "data"),
            clients={
                "buffer": chance.choice(["16KiB", "64KiB", "1MiB"]),
                "stall_timeout": 2,
                "keepalive": 3600,
            },
            storage={
                "segment": "64KiB",
                "task_log_bytes": chance.choice(["300KiB", "10MiB"]),
                "compress": chance.choice(["gzip", "none"]),
                "min_free": "0%",
            },
            program=Path(__file__).parent / "quick_seals.py",
            environment={"PYTHONPATH": str(Path(__file__).parents[2])},
        ) as daemon,
        daemon.connect() as client,
    ):
        over = threading.Event()
        readers = [_Reader(daemon, random.Random(chance.random()), over) for _ in range(_CLIENTS)]
        failures: list[BaseException] = []

        def guarded(reader: _Reader) -> None:
            try:
                reader.run()
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=guarded, args=(reader,)) for reader in readers]
        with deaf(daemon) as never:  # reads nothing at all
            for task_id in _TASKS:
                never.send_json(id="s", type="subscribe", task_id=task_id)
            for thread in threads:
                thread.start()
            try:
                ends = _flood(client, chance)
            finally:
                over.set()
                for thread in threads:
                    thread.join(60)
        try:
            if failures:
                raise failures[0]
            for reader in readers:
                reader.finish(ends)
        finally:
            for reader in readers:
                reader.client.drop()
        pages = {t: client.request("logs", task_id=t, tail=1) for t in _TASKS}
        for reader in readers:
            for gap in reader.gaps:
                assert gap["reason"] == "expired"
                assert gap["to_seq"] < pages[gap["task_id"]]["first_seq"]
        for task_id, end in ends.items():
            assert pages[task_id]["last_seq"] == end
        print(
            f"seed {seed}: {sum(r.lines for r in readers)} lines, {sum(r.stalls for r in readers)} stalls, "
            f"{sum(r.returns for r in readers)} returns, {sum(len(r.gaps) for r in readers)} gaps"
        )


def _flood(client: Any, chance: random.Random) -> dict[str, int]:
    """Several runs of each task, one after the other; returns the last seq of each."""
    ends = dict.fromkeys(_TASKS, 0)
    for _ in range(_RUNS):
        for task_id in _TASKS:
            burst = chance.choice([100, 1000, 4000])
            params = {
                "from": ends[task_id] + 1,
                "lines": _LINES,
                "burst": burst,
                "pause": chance.choice("159"),
            }
            reply = client.request(
                "start",
                action="flood",
                task_id=task_id,
                params={name: str(value) for name, value in params.items()},
            )
            assert reply["type"] == "started", reply
        for task_id in _TASKS:
            client.expect("exited", 60, task_id=task_id)
            ends[task_id] += _LINES
    return ends
