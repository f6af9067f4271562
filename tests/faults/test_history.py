"""The history on disks that are full, read-only, gone or broken; a server that is killed at any moment.

More rounds of that: ``make kills``, or ``OVERSEER_TEST_KILLS=100``.
"""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.faults.support import wait_until
from tests.harness import ROOT, Daemon, WsClient, allowed, shell
from tests.harness.client import Closed
from tests.harness.daemon import run_program

ACTIONS = {
    "quick": shell("echo one; exit 3", success_codes=[3]),
    "long": shell("echo up; exec sleep 60"),
    "again": shell("echo x; exit 1", retry={"restart_delay": "5ms"}),
}
_ROUNDS = int(os.environ.get("OVERSEER_TEST_KILLS", "10"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def runs(client: WsClient, **fields: Any) -> list[dict[str, Any]]:
    reply = client.request("runs", **fields)
    assert reply["type"] == "runs", reply
    found = reply["runs"]
    while reply.get("next"):
        reply = client.request("runs", **fields, before=reply["next"])
        found += reply["runs"]
    return found


# -- killed at any moment


class _Heard:
    """What clients have been told, over all rounds."""

    def __init__(self) -> None:
        self.started: dict[tuple[str, str], dict[str, Any]] = {}  # by task and time
        self.exited: dict[tuple[str, str], dict[str, Any]] = {}
        self.last_seq: dict[str, int] = {}

    def take(self, messages: list[dict[str, Any]]) -> None:
        for message in messages:
            task_id = message.get("task_id", "")
            match message["type"]:
                case "started":
                    self.started[task_id, message["ts"]] = message
                case "exited":
                    self.exited[task_id, message["ts"]] = message
                case "output":
                    assert message["seq"] > self.last_seq.get(task_id, 0), f"seq went back: {message}"
                    self.last_seq[task_id] = message["seq"]


def _busy(client: WsClient, rng: random.Random) -> None:
    """Start, stop and restart things until the connection breaks."""
    try:
        while True:
            action = rng.choice(["quick", "quick", "long", "again"])
            task_id = rng.choice(["a", "b", "c", None, None])
            reply = client.request("start", action=action, task_id=task_id)
            if reply["type"] == "error":
                client.send("stop", task_id=task_id)
    except (Closed, OSError):
        pass


@pytest.mark.parametrize(
    "first", [0, *(pytest.param(first, marks=pytest.mark.long) for first in range(5, _ROUNDS, 5))]
)
def test_killed_at_any_moment(data: Path, first: int) -> None:
    heard = _Heard()
    lost: dict[str, dict[str, Any]] = {}  # rows that were found closed as lost, by run
    last = first + 5
    for seed in range(first, last + 1):
        rng = random.Random(seed)
        daemon = Daemon(actions=ACTIONS, data_dir=str(data)).start()
        try:
            with daemon.connect() as client:
                rows = runs(client, limit=1000)
                _check(rows, heard, lost, seed)
                if seed == last:
                    daemon.stop()
                    return
                other = daemon.connect()
                threads = [
                    threading.Thread(target=_busy, args=(each, random.Random(rng.random())))
                    for each in (client, other)
                ]
                for thread in threads:
                    thread.start()
                # When, and not for how long, is what this is about.
                time.sleep(rng.uniform(0.0, 0.4))
                daemon.process.kill()
                for thread in threads:
                    thread.join(30)
                client.wait_closed()
                other.wait_closed()
                # Both hear of a task that both have started; what either heard counts.
                heard.take(sorted(client.messages, key=lambda message: message.get("seq", 0)))
                for message in other.messages:
                    if message["type"] in ("started", "exited"):
                        heard.take([message])
                other.close()
        finally:
            daemon.kill()


def _check(rows: list[dict[str, Any]], heard: _Heard, lost: dict[str, dict[str, Any]], seed: int) -> None:
    by_start = {(row["task_id"], row["started"]): row for row in rows}
    by_end = {(row["task_id"], row["ended"]): row for row in rows if row["status"] != "lost"}
    where = f"seed {seed}"
    for key in heard.started:
        assert key in by_start, f"{where}: a client heard of a run that is not on record: {key}"
    for key, message in heard.exited.items():
        assert key in by_end, f"{where}: a client heard of an end that is not on record: {message}"
        row = by_end[key]
        assert row["exit_code"] == message["exit_code"], where
        assert row["duration_ms"] == message["duration_ms"], where
    for row in rows:
        assert row["status"] != "running", f"{where}: nothing is going on yet"
        assert {"ended", "exit_code", "duration_ms", "reason"} <= set(row), where
        if row["status"] == "lost":
            assert lost.setdefault(row["run_id"], row) == row, f"{where}: closed twice"
    found = {row["run_id"] for row in rows}
    assert len(found) == len(rows), where
    assert set(lost) <= found, where
    for task_id in ("a", "b", "c"):
        mine = [row for row in rows if row["task_id"] == task_id]
        numbers = [row["number"] for row in mine]
        assert numbers == sorted(set(numbers), reverse=True), where
        ends = [row.get("last_seq", row["first_seq"] - 1) for row in mine]
        begins = [row["first_seq"] for row in mine]
        assert all(begin > end for begin, end in zip(begins, ends[1:], strict=False)), where


# -- disks


@contextmanager
def _disk(path: Path, size: str) -> Iterator[None]:
    """A small disk at ``path``, if this user may mount one."""
    path.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


@contextmanager
def _copying_disk(path: Path) -> Iterator[None]:
    """One that finds space for what is written to a mapped file only then."""
    if shutil.which("mkfs.btrfs") is None:
        pytest.skip("there is no mkfs.btrfs")
    image = path.with_name("image")
    with image.open("wb") as file:
        file.truncate(64 << 20)
    subprocess.run(["mkfs.btrfs", "-q", "--mixed", str(image)], capture_output=True, check=True)
    path.mkdir()
    done = subprocess.run(["mount", "-o", "loop", str(image), str(path)], capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"no image can be mounted here: {done.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 4096)


def _gauge(daemon: Daemon, name: str) -> float:
    import urllib.request

    with urllib.request.urlopen(f"http://{daemon.address}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    (value,) = [line.split()[1] for line in lines if line.startswith(f"overseer_history_{name} ")]
    return float(value)


def test_a_full_disk_costs_nothing_but_time(tmp_path: Path) -> None:
    mounted = tmp_path / "disk"
    with (
        _disk(mounted, "2M"),
        Daemon(actions=ACTIONS, data_dir=str(mounted / "data")) as daemon,
        daemon.connect() as client,
    ):
        client.run("quick", task_id="before")
        filler = mounted / "filler"
        _fill(filler)
        took = []
        for number in range(100):
            began = time.monotonic()
            client.run("quick", task_id=f"full {number}")
            took.append(time.monotonic() - began)
        wait_until(lambda: _gauge(daemon, "failing") == 1)
        assert sorted(took)[50] < allowed(0.2), "most do not wait at all"
        assert _gauge(daemon, "unrecorded_total") > 0
        reply = client.request("runs")
        assert reply["type"] == "runs", reply
        filler.unlink()
        wait_until(lambda: _gauge(daemon, "failing") == 0)
        found = runs(client, limit=1000)
        assert {row["task_id"] for row in found} == {"before", *(f"full {n}" for n in range(100))}
        assert {row["status"] for row in found} == {"succeeded"}
        said = daemon.stderr
        assert said.count("full; runs go on") == 1, said
        assert said.count("can be written again") == 1, said


def test_a_full_disk_that_copies_what_is_written_costs_no_more(tmp_path: Path) -> None:
    mounted = tmp_path / "disk"
    with (
        _copying_disk(mounted),
        Daemon(actions=ACTIONS, data_dir=str(mounted / "data"), storage={"min_free": "0%"}) as daemon,
        daemon.connect() as client,
    ):
        client.run("quick", task_id="before")
        filler = mounted / "filler"
        _fill(filler)
        subprocess.run(["sync", "-f", str(mounted)], check=False)
        for number in range(20):
            client.run("quick", task_id=f"full {number}")
        wait_until(lambda: _gauge(daemon, "failing") == 1)
        assert client.request("runs")["type"] == "runs"
        filler.unlink()
        wait_until(lambda: _gauge(daemon, "failing") == 0)
        found = runs(client, limit=1000)
        assert {row["task_id"] for row in found} == {"before", *(f"full {n}" for n in range(20))}


def test_a_server_on_a_full_disk_starts_all_the_same(tmp_path: Path) -> None:
    mounted = tmp_path / "disk"
    with _disk(mounted, "1M"):
        (mounted / "data").mkdir(0o700)
        filler = mounted / "filler"
        _fill(filler)
        with Daemon(actions=ACTIONS, data_dir=str(mounted / "data")) as daemon, daemon.connect() as client:
            client.run("quick", task_id="full")
            filler.unlink()
            wait_until(lambda: _gauge(daemon, "failing") == 0)
            assert [row["task_id"] for row in runs(client)] == ["full"]


def test_a_read_only_disk_costs_nothing_but_the_rows(tmp_path: Path) -> None:
    mounted = tmp_path / "disk"
    with _disk(mounted, "4M"):
        with Daemon(actions=ACTIONS, data_dir=str(mounted / "data")) as daemon, daemon.connect() as client:
            client.run("quick", task_id="before")
        remount = ["mount", "-o", "remount,{}", str(mounted)]
        subprocess.run([part.format("ro") for part in remount], check=True)
        with Daemon(actions=ACTIONS, data_dir=str(mounted / "data")) as daemon, daemon.connect() as client:
            client.run("quick", task_id="meanwhile")
            assert _gauge(daemon, "failing") == 1
            assert daemon.stderr.count("runs go on") == 1
            subprocess.run([part.format("rw") for part in remount], check=True)
            wait_until(lambda: _gauge(daemon, "failing") == 0)
            assert [row["task_id"] for row in runs(client)] == ["meanwhile", "before"]


def test_a_directory_that_is_removed_is_made_again(data: Path) -> None:
    with Daemon(actions=ACTIONS, data_dir=str(data)) as daemon, daemon.connect() as client:
        _, lines, _ = client.run("quick", task_id="t")
        client.request("start", action="long", task_id="long")
        removed = data.rename(data.with_name("removed"))
        wait_until(lambda: shutil.rmtree(removed, ignore_errors=True) or not removed.exists())
        _, more, _ = client.run("quick", task_id="t")
        assert more[0]["seq"] == lines[-1]["seq"] + 1
        client.send("stop", task_id="long")
        client.expect("exited", task_id="long")
        assert [(row["task_id"], row["status"]) for row in runs(client)] == [
            ("long", "stopped"),
            ("t", "succeeded"),
        ]
        assert data.stat().st_mode & 0o777 == 0o700
        assert daemon.stderr.count("is missing or was replaced; reopening it") == 1
    with Daemon(actions=ACTIONS, data_dir=str(data)) as daemon, daemon.connect() as client:
        _, third, _ = client.run("quick", task_id="t")
        assert third[0]["seq"] == more[-1]["seq"] + 1


def test_a_directory_that_cannot_be_had_is_an_error_that_names_the_key(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path, problem in (
        (tmp_path / "no" / "data", f"no such directory {tmp_path / 'no'}"),
        (tmp_path / "file", f"{tmp_path / 'file'} is not a directory"),
    ):
        (tmp_path / "config.yaml").write_text(f"listen: '127.0.0.1:0'\ndata_dir: {path}\n")
        for arguments in ((), ("--check",)):
            done = run_program(*arguments, "--config", "config.yaml", cwd=tmp_path)
            assert done.returncode == 1
            assert f"config.yaml:2: data_dir: {problem}" in done.stderr


def test_a_second_server_is_refused(data: Path, tmp_path: Path) -> None:
    with Daemon(actions=ACTIONS, data_dir=str(data)) as daemon, daemon.connect() as client:
        (tmp_path / "config.yaml").write_text(f"listen: '127.0.0.1:0'\ndata_dir: {data}\n")
        done = run_program("--config", "config.yaml", cwd=tmp_path)
        assert done.returncode == 1
        assert f"config.yaml:2: data_dir: {data} is in use by another server" in done.stderr
        assert run_program("--check", "--config", "config.yaml", cwd=tmp_path).returncode == 0
        client.run("quick", task_id="t")
        assert [row["status"] for row in runs(client)] == ["succeeded"], "the first one is none the worse"


def test_two_servers_share_no_directory_though_it_was_removed_under_the_first(data: Path) -> None:
    """The second finds nothing to lock. The first finds that out before it writes, and says so."""
    with Daemon(actions=ACTIONS, data_dir=str(data)) as first, first.connect() as client:
        wait_until(lambda: _gauge(first, "waiting") == 0)
        shutil.rmtree(data)
        with Daemon(actions=ACTIONS, data_dir=str(data)) as second, second.connect() as other:
            client.run("quick", task_id="t")
            first.wait_stderr(f"{data} is in use by another server")
            first.wait_stderr("the log of task t: data_dir was removed or replaced")
            other.run("quick", task_id="t")
            client.run("quick", task_id="t")
            assert [(row["task_id"], row["number"], row["first_seq"]) for row in runs(other)] == [("t", 1, 1)]
            assert len(other.request("logs", task_id="t", tail=10)["lines"]) == 1
        # What the first has not been able to store comes after what the second has left.
        wait_until(lambda: _gauge(first, "failing") == 0)
        assert [row["status"] for row in runs(client, task_id="t")] == ["succeeded"] * 3


def test_a_broken_database_is_set_aside(data: Path) -> None:
    with Daemon(actions=ACTIONS, data_dir=str(data)) as daemon, daemon.connect() as client:
        client.run("quick")
    (data / "overseer.db").write_bytes(os.urandom(50_000))
    with Daemon(actions=ACTIONS, data_dir=str(data)) as daemon, daemon.connect() as client:
        assert runs(client) == []
        client.run("quick")
        assert len(runs(client)) == 1
        (kept,) = data.glob("overseer.db.broken-*")
        assert f"it is kept as {kept}" in daemon.stderr
        assert kept.stat().st_size == 50_000


def test_one_that_breaks_while_it_is_used_is_set_aside_too(data: Path) -> None:
    with Daemon(actions=ACTIONS, data_dir=str(data)) as daemon, daemon.connect() as client:
        for number in range(20):
            client.run("quick", task_id=f"t{number}")
        for name in ("overseer.db", "overseer.db-wal"):
            with (data / name).open("r+b") as file:  # the same file, so that its server goes on with it
                size = file.seek(0, os.SEEK_END)
                file.seek(0)
                file.write(os.urandom(size))
        for number in range(20):
            client.run("quick", task_id=f"after{number}")
        wait_until(lambda: _gauge(daemon, "failing") == 0)
        client.run("quick", task_id="last")
        assert runs(client)[0]["task_id"] == "last"


# Databases as servers of that version have left them: killed, with one task running and one queued.
_OLDER = sorted((ROOT / "tests/history/older").glob("v*.sql"))


@pytest.mark.parametrize("recorded", _OLDER, ids=lambda path: path.stem)
def test_an_older_servers_database_is_brought_up_to_date(data: Path, recorded: Path) -> None:
    data.mkdir(0o700)
    connection = sqlite3.connect(data / "overseer.db")
    connection.executescript("PRAGMA journal_mode = WAL;" + recorded.read_text())
    connection.close()
    version = int(recorded.stem.removeprefix("v"))
    tasks = {"nightly": {"action": "quick", "schedule": {"cron": "0 0 1 1 *", "missed": "skip"}}}
    with Daemon(actions=ACTIONS, tasks=tasks, data_dir=str(data)) as daemon, daemon.connect() as client:
        if version >= 7:  # before, queued tasks left none; they are closed once it listens
            wait_until(lambda: runs(client, task_id="e"), what="a row of the queued task")
        found = {row["task_id"]: row for row in reversed(runs(client))}
        assert found["a"]["status"] == "succeeded"
        assert found["a"]["params"] == {"name": "Zoë"}
        assert found["a"]["number"] == 2
        assert (found["b"]["status"], found["b"]["exit_code"]) == ("failed", 3)
        assert (found["c"]["status"], found["d"]["status"]) == ("lost", "lost")
        assert version < 7 or found["e"]["status"] == "lost"
        if version >= 3:  # schedules came after their tables
            assert found["nightly"]["trigger"]["type"] == "schedule"
            assert client.request("schedules")["schedules"][0]["task_id"] == "nightly"
        client.run("quick", task_id="a")
        newest = runs(client, task_id="a")[0]
        assert (newest["number"], newest["first_seq"]) == (3, 3), "numbers go on"
        assert f"the old one is kept as {data}/overseer.db.v{version}" in daemon.stderr
    kept = sqlite3.connect(data / f"overseer.db.v{version}")
    assert kept.execute("PRAGMA user_version").fetchone() == (version,)
    assert kept.execute("SELECT count(*) FROM runs WHERE status = 'running'").fetchone() == (2,)
    kept.close()


def test_a_newer_database_is_refused(data: Path, tmp_path: Path) -> None:
    with Daemon(actions=ACTIONS, data_dir=str(data)):
        pass
    connection = sqlite3.connect(data / "overseer.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    (tmp_path / "config.yaml").write_text(f"listen: '127.0.0.1:0'\ndata_dir: {data}\n")
    done = run_program("--config", "config.yaml", cwd=tmp_path)
    assert done.returncode == 1
    assert "data_dir" in done.stderr
    assert "version 99, from a newer server" in done.stderr


def test_clocks_that_jump_are_only_shown(data: Path) -> None:
    settings: dict[str, Any] = {
        "actions": ACTIONS,
        "data_dir": str(data),
        "program": Path(__file__).parent / "mad_clock.py",
        "environment": {"PYTHONPATH": str(ROOT)},
        "storage": {"runs": 1000},
    }
    for number in range(2):
        with Daemon(**settings) as daemon, daemon.connect() as client:
            for _ in range(10):
                _, _, exited = client.run("quick", task_id="t")
                assert exited["duration_ms"] < 5000
            client.request("start", action="long", task_id=f"long{number}")
            found = runs(client, task_id="t")
            assert [row["number"] for row in found] == [*reversed(range(1, 10 * number + 11))]
            assert all(row["duration_ms"] < 5000 for row in found)
            assert [row["first_seq"] for row in found] == [row["number"] for row in found]


def test_ten_thousand_rows_go_while_tasks_come(data: Path) -> None:
    with Daemon(actions=ACTIONS, data_dir=str(data)):
        pass
    connection = sqlite3.connect(data / "overseer.db")
    connection.executemany(
        "INSERT INTO runs (run_id, task_id, action, number, status, reason, failed, params, complete, "
        "trigger_type, trigger_by, started, ended, exit_code, duration_ms, first_seq, definition, server, "
        "resume) VALUES (?, 't', 'a', 1, 'succeeded', 'exited', 0, '{}', 1, 'client', '', ?, ?, 0, 0, 1, '', "
        "'s', 0)",
        [(f"old{number}", number, number) for number in range(10_000)],
    )
    connection.commit()
    connection.close()
    with (
        Daemon(actions=ACTIONS, data_dir=str(data), storage={"runs": 100}) as daemon,
        daemon.connect() as client,
    ):
        took = []
        for _ in range(100):
            began = time.monotonic()
            client.run("quick")
            took.append(time.monotonic() - began)
        assert sorted(took)[90] < allowed(0.5)
        wait_until(lambda: len(runs(client, limit=1000)) <= 100)
        assert _gauge(daemon, "unrecorded_total") == 0
