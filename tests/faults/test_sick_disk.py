"""The history and the logs on a disk that hangs, is slow, fails or is read-only: tasks and clients go on."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import pytest

from overseer.util import hanging_disk
from tests.faults.sick_disk import SickDisk, sick_disk
from tests.faults.support import wait_until
from tests.harness import Daemon, WsClient, allowed, shell

ACTIONS = {
    "tick": shell("i=0; while echo tick $i; do i=$((i+1)); sleep 0.02; done"),
    "quick": shell("echo one"),
}
ROOT = Path(__file__).resolve().parents[2]
# In which a start and an end are announced at the latest, each 200 ms late.
_PROMPT_S = 1.5
_MEANWHILE = 4  # runs while it is sick


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SickDisk]:
    with sick_disk(tmp_path) as disk:
        yield disk


@contextmanager
def server(data: Path) -> Iterator[Daemon]:
    storage = {"min_free": "0%", "compress": "none"}
    with Daemon(actions=ACTIONS, data_dir=str(data), storage=storage) as daemon:
        yield daemon


def figure(daemon: Daemon, name: str) -> float:
    with urllib.request.urlopen(f"http://{daemon.address}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    (value,) = [line.split()[1] for line in lines if line.startswith(f"overseer_{name} ")]
    return float(value)


def stored(client: WsClient, task_id: str) -> list[int]:
    """The seqs of all lines in a task's log."""
    seqs: list[int] = []
    from_seq = 0
    while True:
        page = client.request("logs", task_id=task_id, from_seq=from_seq, limit=1000)
        assert page["type"] == "logs", page
        seqs += [line["seq"] for line in page["lines"]]
        if page["next_seq"] > page["last_seq"]:
            return seqs
        from_seq = page["next_seq"]


def recorded(client: WsClient) -> dict[str, str]:
    """The status of each task's last run, as the history has it."""
    reply = client.request("runs", limit=1000)
    assert reply["type"] == "runs", reply
    return {row["task_id"]: row["status"] for row in reversed(reply["runs"])}


class Pace:
    """How long a client waited for the next line of a task, at most."""

    def __init__(self, daemon: Daemon, task_id: str) -> None:
        self.longest = 0.0
        self.seqs: list[int] = []
        self._client = daemon.connect()
        self._task_id = task_id
        self._over = False
        assert self._client.request("subscribe", task_id=task_id, since_seq=0)["type"] == "subscribed"
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        last = time.monotonic()
        while not self._over:
            with suppress(AssertionError):  # the test itself has failed
                self.seqs.append(self._client.expect("output", task_id=self._task_id)["seq"])
            now = time.monotonic()
            self.longest = max(self.longest, now - last)
            last = now

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        self._thread.join(60)
        self._client.close()


HARM: dict[str, Callable[[SickDisk], None]] = {
    "hangs": lambda disk: disk.hangs(),
    "takes no writes": lambda disk: disk.hangs("writes"),
    "is slow": lambda disk: disk.is_slow(0.5),
    "fails": lambda disk: disk.fails(errno.EIO),
    "becomes read-only": lambda disk: disk.fails(errno.EROFS),
}


@pytest.mark.parametrize("harm", HARM)
def test_a_sick_disk_costs_lines_of_logs_and_nothing_else(disk: SickDisk, harm: str) -> None:
    with server(disk.path / "data") as daemon, daemon.connect() as client:
        client.request("start", action="tick", task_id="t")
        with Pace(daemon, "t") as pace:
            wait_until(lambda: len(pace.seqs) > 50)
            HARM[harm](disk)
            daemon.wait_stderr("lines are not logged until")
            took = []
            for number in range(_MEANWHILE):
                began = time.monotonic()
                client.run("quick", task_id=f"meanwhile {number}")
                took.append(time.monotonic() - began)
            assert max(took) < allowed(_PROMPT_S), took
            if harm != "is slow":
                wait_until(lambda: figure(daemon, "history_failing") == 1)
            assert figure(daemon, "history_unrecorded_total") > 0
            assert figure(daemon, "log_lost_lines_total") > 0
            asked = [client.send("runs"), client.send("logs", task_id="t", tail=10)]
            client.wait_for_answers(asked)
            disk.is_well()
            daemon.wait_stderr("are missing", 60)
            wait_until(lambda: figure(daemon, "history_waiting") == 0)
            assert figure(daemon, "history_failing") == 0
            client.run("quick", task_id="after")
        assert pace.longest < allowed(_PROMPT_S)
        client.send("stop", task_id="t")
        client.expect("exited", task_id="t")
        assert pace.seqs == list(range(1, len(pace.seqs) + 1))
        last = max(each["seq"] for each in client.messages if each.get("task_id") == "t" and "seq" in each)
        there = stored(client, "t")
        assert there == sorted(set(there))
        assert there[-1] == last
        missing = last - len(there)
        assert 0 < missing <= figure(daemon, "log_lost_lines_total")
        expected = {f"meanwhile {number}": "succeeded" for number in range(_MEANWHILE)}
        assert recorded(client) == expected | {"after": "succeeded", "t": "stopped"}
        said = daemon.stderr
        assert said.count("lines are not logged until it can be written") == 1, said
        assert said.count("logs can be written again") + said.count("the log of task t can be") == 1, said
        assert said.count("runs go on") == 1, said


def test_a_server_ends_in_time_on_a_disk_that_hangs(disk: SickDisk) -> None:
    with server(disk.path / "data") as daemon, daemon.connect() as client:
        client.request("start", action="tick", task_id="t")
        client.expect("output", seq=20)
        disk.hangs()
        daemon.wait_stderr("lines are not logged until")
        began = time.monotonic()
        daemon.stop()
        assert time.monotonic() - began < allowed(8)


def test_a_start_says_which_disk_it_waits_for(disk: SickDisk, tmp_path: Path) -> None:
    data = disk.path / "data"
    with server(data) as daemon, daemon.connect() as client:
        client.run("quick", task_id="t")
    events = disk.path / "events"
    config = tmp_path / "config.yaml"
    command = [sys.executable, str(ROOT / "sticky_overseer.py"), "--config", str(config)]
    for what, said, files in (
        ("all", f"the disk of {data} does not respond", {"data_dir": str(data)}),
        ("writes", "opening the database in", {"data_dir": str(data)}),
        ("all", f"the disk of {events} does not respond", {"log_file": str(events)}),
        ("all", f"the disk of {events} does not respond", {"audit_file": str(events)}),
    ):
        config.write_text(json.dumps({"listen": "127.0.0.1:0", **files, "actions": ACTIONS}))
        disk.hangs(what)
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            lines = iter(process.stderr.readline, "")
            line = next((line for line in lines if "the start waits for it" in line), "")
            assert said in line, line
            disk.is_well()
            assert any("listening on" in line for line in lines)
            process.terminate()


def test_a_start_on_a_disk_that_does_not_respond_is_refused_in_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hanging_disk, "_SAY_S", 0.01)
    well = threading.Event()
    with pytest.raises(hanging_disk.HangingError, match="the disk of x does not respond"):
        hanging_disk.patiently(well.wait, "the disk of x does not respond", 0.05)
    well.set()


def test_logs_on_a_disk_that_is_read_only_are_missing_and_nothing_else(tmp_path: Path) -> None:
    logs = tmp_path / "data/logs"
    logs.mkdir(0o700, parents=True)
    logs.parent.chmod(0o700)
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(logs)]
    if (done := subprocess.run(mount, capture_output=True, text=True, check=False)).returncode:
        pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
    remount = ["mount", "-o", "remount,{}", str(logs)]
    try:
        with server(logs.parent) as daemon, daemon.connect() as client:
            client.run("quick", task_id="t")

            def read_only() -> bool:  # not while a file is open for writing
                done = subprocess.run([part.format("ro") for part in remount], capture_output=True)
                return done.returncode == 0

            wait_until(read_only)
            took = []
            for number in range(_MEANWHILE):
                began = time.monotonic()
                _, lines, _ = client.run("quick", task_id=f"meanwhile {number}")
                assert [line["data"] for line in lines] == ["one"]
                took.append(time.monotonic() - began)
            assert max(took) < allowed(_PROMPT_S), took
            _, lines, _ = client.run("quick", task_id="t")
            assert lines[0]["seq"] == 2
            lost = _MEANWHILE + 1
            assert figure(daemon, "log_lost_lines_total") == lost
            assert stored(client, "t") == [1]
            subprocess.run([part.format("rw") for part in remount], check=True)
            client.run("quick", task_id="after")
            assert stored(client, "after") == [1]
            while "can be written again" not in daemon.stderr:  # said once it has been so for a while
                client.run("quick")
            assert daemon.stderr.count("lines are not logged until it can be written") == 1
            again = f"logs can be written again; {lost} lines of {lost} tasks are missing"
            assert daemon.stderr.count(again) == 1
            assert set(recorded(client).values()) == {"succeeded"}
    finally:
        subprocess.run(["umount", "-l", str(logs)], check=True)
