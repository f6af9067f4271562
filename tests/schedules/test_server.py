"""Schedules on a real server, with real tasks; its wall clock is set by the tests."""

from __future__ import annotations

import json
import signal
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from overseer.client import Client
from overseer.protocol import Event, Skipped
from tests.auth.support import address_of, bearer, request, token_of
from tests.harness import ROOT, Daemon, WsClient, shell
from tests.net.rawclient import RawClient

# Runs until the test makes the file that is its parameter.
ACTIONS = {
    "quick": shell("echo ran"),
    "job": shell("until [ -e $OVERSEER_TASK_ID.go ]; do sleep 0.02; done"),
    "loop": shell("exec sleep 1000", on_boot="resume"),
}
Message = dict[str, Any]


class Rigged(Daemon):
    """A server whose clock begins at ``at`` and goes on from there."""

    def __init__(self, at: str, clock: Path, kill_at: str = "", **top_level: Any) -> None:
        self._clock = clock
        self.set_clock(at)
        super().__init__(
            program=Path(__file__).parent / "rigged.py",
            environment={"PYTHONPATH": str(ROOT), "CLOCK": str(clock), "KILL_AT": kill_at},
            actions=ACTIONS,
            **top_level,
        )

    def set_clock(self, at: str) -> None:
        """Set the clock; it is looked at again every half minute, and upon a reload."""
        new = self._clock.with_suffix(".new")
        new.write_text(str(datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp() - time.time()))
        new.rename(self._clock)


def go_to(daemon: Rigged, client: WsClient, at: str) -> None:
    """Set a server's clock, and have it looked at."""
    daemon.set_clock(at)
    client.request("reload")


@pytest.fixture
def clock(tmp_path: Path) -> Path:
    return tmp_path / "clock"


def schedules(client: WsClient, **fields: Any) -> dict[str, Message]:
    return {row["task_id"]: row for row in client.request("schedules", **fields)["schedules"]}


def skips(row: Message) -> list[tuple[str, str, int]]:
    return [(skip["slot"][11:19], skip["reason"], skip.get("number", 1)) for skip in row.get("skipped", ())]


def until(client: WsClient, task_id: str, **wanted: Any) -> Message:
    """Wait until a task's schedules are shown so."""
    deadline = time.monotonic() + 30
    while True:
        row = schedules(client, task_id=task_id)[task_id]
        if all(row.get(name) == value for name, value in wanted.items()):
            return row
        assert time.monotonic() < deadline, row
        time.sleep(0.02)


def until_over(client: WsClient, task_id: str) -> None:
    deadline = time.monotonic() + 30
    while not any(
        task["task_id"] == task_id and task["status"] == "succeeded"
        for task in client.request("list")["tasks"]
    ):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def until_ran(client: WsClient, task_id: str, number: int) -> None:
    """Wait until so many runs of a task are on record, and over; there are no more."""
    deadline = time.monotonic() + 30
    while True:
        runs = client.request("runs", task_id=task_id)["runs"]
        assert len(runs) <= number
        if len(runs) == number and all(run["status"] != "running" for run in runs):
            return
        assert time.monotonic() < deadline, runs
        time.sleep(0.02)


def test_a_task_is_started_when_its_time_comes_and_the_record_says_by_what(
    clock: Path, tmp_path: Path
) -> None:
    tasks = {
        "berlin": {"action": "quick", "schedule": {"cron": "30 2 * * *", "timezone": "Europe/Berlin"}},
        "hourly": {"action": "quick", "schedule": {"cron": "0 * * * *", "timezone": "Europe/Berlin"}},
        "once": {"action": "quick", "schedule": {"at": "2026-03-29T02:59", "timezone": "Europe/Berlin"}},
    }
    # The hour in which clocks go forward: 02:30 does not come.
    with (
        Rigged(
            "2026-03-29T00:55:00",
            clock,
            tasks=tasks,
            data_dir=str(tmp_path / "data"),
            audit_file="audit",
            log_file="events",
        ) as daemon,
        daemon.connect() as client,
    ):
        for name in tasks:
            client.request("subscribe", task_id=name)
        before = schedules(client, upcoming=2)
        assert before["berlin"]["upcoming"] == ["2026-03-29T01:00:00.000000Z", "2026-03-30T00:30:00.000000Z"]
        assert before["berlin"]["when"] == ["30 2 * * * (Europe/Berlin)"]
        assert before["once"]["next"] == "2026-03-29T01:00:00.000000Z"
        go_to(daemon, client, "2026-03-29T01:00:00")
        for name in tasks:
            client.expect("exited", task_id=name)
            assert until(client, name)["last"] == "2026-03-29T01:00:00.000000Z"
        assert "next" not in schedules(client)["once"]
        (run,) = client.request("runs", task_id="berlin")["runs"]
        assert run["trigger"] == {"type": "schedule", "by": "schedule:berlin"}
        audit = [json.loads(line) for line in (daemon.directory / "audit").read_text().splitlines()]
        starts = {(line["who"], line["request"]["task_id"]) for line in audit if line["from"] == "server"}
        assert starts == {(f"schedule:{name}", name) for name in tasks}


def test_overlap_is_decided_by_what_the_task_does(clock: Path, tmp_path: Path) -> None:
    hourly = {"cron": "0 * * * *"}
    tasks = {
        name: {"action": "job", "schedule": hourly | {"overlap": name}}
        for name in ("skip", "queue", "replace", "allow")
    }
    with (
        Rigged("2026-03-01T11:55:30", clock, tasks=tasks, log_file="events") as daemon,
        daemon.connect() as client,
    ):
        for name in tasks:
            client.request("subscribe", task_id=name)
        go_to(daemon, client, "2026-03-01T12:00:01")
        first = {name: client.expect("started", task_id=name)["pid"] for name in tasks}
        go_to(daemon, client, "2026-03-01T13:00:01")
        client.request("subscribe", task_id="allow@2026-03-01T13:00:00Z")
        assert client.expect("skipped", task_id="skip")["slot"] == "2026-03-01T13:00:00.000000Z"
        assert client.expect("exited", task_id="replace")["reason"] == "stopped"
        assert client.expect("started", task_id="replace")["pid"] != first["replace"]
        assert until(client, "queue", waiting=["2026-03-01T13:00:00.000000Z"])["last"][11:16] == "12:00"
        assert client.info("allow")["current_pid"] == first["allow"]
        assert client.info("allow@2026-03-01T13:00:00Z")["status"] == "running"
        go_to(daemon, client, "2026-03-01T14:00:01")
        assert client.expect("skipped", task_id="queue")["reason"] == "queue_full"
        (daemon.directory / "queue.go").touch()
        client.expect("exited", task_id="queue")
        client.expect("exited", task_id="queue")  # the one that waited
        assert until(client, "queue", last="2026-03-01T13:00:00.000000Z")
        shown = schedules(client)
        assert skips(shown["skip"]) == [("14:00:00", "overlap", 1), ("13:00:00", "overlap", 1)]
        assert skips(shown["queue"]) == [("14:00:00", "queue_full", 1)]
        assert "skipped" not in shown["allow"]
        with urllib.request.urlopen(f"http://{daemon.address}/metrics", timeout=30) as answer:
            metrics = answer.read().decode().splitlines()
        assert 'overseer_schedule_skips_total{action="job",reason="overlap"} 2.0' in metrics
        assert "overseer_scheduled_tasks 4.0" in metrics
        events = [json.loads(line) for line in (daemon.directory / "events").read_text().splitlines()]
        assert [event["reason"] for event in events if event["type"] == "skipped"].count("overlap") == 2


def test_a_clock_set_back_starts_nothing_again_and_one_set_forth_makes_up_once(clock: Path) -> None:
    tasks = {"t": {"action": "quick", "schedule": {"cron": "*/10 * * * *"}}}
    with Rigged("2026-03-01T11:55:00", clock, tasks=tasks) as daemon, daemon.connect() as client:
        go_to(daemon, client, "2026-03-01T12:00:01")
        until(client, "t", last="2026-03-01T12:00:00.000000Z")
        until_over(client, "t")
        go_to(daemon, client, "2026-03-01T11:58:00")
        daemon.wait_stderr("the clock was set back by")
        assert schedules(client)["t"]["next"] == "2026-03-01T12:10:00.000000Z"
        go_to(daemon, client, "2026-03-01T15:05:00")  # as after a sleep
        skipped = client.expect("skipped", task_id="t")
        assert (skipped["slot"][11:16], skipped["reason"], skipped["number"]) == ("14:50", "missed", 17)
        row = until(client, "t", last="2026-03-01T15:00:00.000000Z")
        assert row["next"] == "2026-03-01T15:10:00.000000Z"


@pytest.fixture
def served(clock: Path, tmp_path: Path) -> Iterator[Any]:
    """``served(at, tasks, kill_at="")``: another server of one data directory."""
    servers: list[Rigged] = []

    def serve(at: str, tasks: Message, kill_at: str = "") -> Rigged:
        daemon = Rigged(at, clock, kill_at, tasks=tasks, data_dir=str(tmp_path / "data"))
        servers.append(daemon)
        daemon.start()
        return daemon

    yield serve
    for daemon in servers:
        daemon.process.kill()
        daemon.kill()


@pytest.mark.parametrize(
    ("kill_at", "last", "skipped", "runs"),
    [
        ("store", "12:00:00", [], 1),  # nothing knows of it: it was missed, and is made up for
        ("stored", None, [("12:00:00", "missed", 1)], 0),  # perhaps it was started: not again
        ("started", "12:00:00", [], 1),  # its run is on record
    ],
)
def test_a_server_that_is_killed_runs_no_slot_twice_and_loses_none_silently(
    served: Any, kill_at: str, last: str | None, skipped: list[Any], runs: int
) -> None:
    tasks = {"t": {"action": "quick", "schedule": {"cron": "0 * * * *"}}}
    first = served("2026-03-01T11:55:00", tasks, kill_at)
    with first.connect() as client:
        first.set_clock("2026-03-01T12:00:01")
        client.send("reload")
        first.process.wait(10)
    second = served("2026-03-01T12:05:00", tasks)
    with second.connect() as client:
        row = until(client, "t", **({} if last is None else {"last": f"2026-03-01T{last}.000000Z"}))
        assert row.get("last", "")[11:19] == (last or "")
        assert skips(row) == skipped
        until_ran(client, "t", runs)
    second.stop()


def test_what_a_server_missed_what_it_paused_and_what_waits_is_there_after_a_restart(served: Any) -> None:
    hourly = {"cron": "0 * * * *"}
    tasks = {
        "once": {"action": "quick", "schedule": hourly},
        "none": {"action": "quick", "schedule": hourly | {"missed": "skip"}},
        "all": {"action": "quick", "schedule": hourly | {"missed": "all"}},
        "paused": {"action": "quick", "schedule": hourly},
        "queue": {"action": "loop", "schedule": hourly | {"overlap": "queue"}},
        "skip": {"action": "loop", "schedule": hourly},
    }
    first = served("2026-03-01T11:55:00", tasks)
    with first.connect() as client:
        assert client.request("pause", task_id="paused")["type"] == "paused"
        go_to(first, client, "2026-03-01T12:00:01")
        for name in ("once", "none", "all"):
            until_over(client, name)
        go_to(first, client, "2026-03-01T13:00:00")
        until(client, "queue", waiting=["2026-03-01T13:00:00.000000Z"])
        for name in ("once", "none", "all"):
            until(client, name, last="2026-03-01T13:00:00.000000Z")
            until_ran(client, name, 2)  # what is stored counts, since it is killed
        first.process.kill()
    first.process.wait(10)
    second = served("2026-03-01T16:30:00", tasks)
    with second.connect() as client:
        until(client, "all", last="2026-03-01T16:00:00.000000Z")
        shown = schedules(client)
        assert skips(shown["once"])[0] == ("15:00:00", "missed", 2)
        assert skips(shown["none"])[0] == ("16:00:00", "missed", 3)
        assert skips(shown["all"]) == []
        assert shown["paused"]["paused"]
        assert skips(shown["paused"])[0] == ("16:00:00", "paused", 3)
        # Both were running, and are brought back: that is overlap, whichever comes first.
        assert skips(shown["skip"])[:2] == [("16:00:00", "overlap", 1), ("15:00:00", "missed", 2)]
        assert shown["queue"]["waiting"] == ["2026-03-01T13:00:00.000000Z"]
        assert skips(shown["queue"])[0] == ("16:00:00", "queue_full", 1)
        # 12 o'clock before, 13 on time, and then 14, 15 and 16 one after another.
        until_ran(client, "all", 5)
        assert client.request("resume", task_id="paused")["type"] == "resumed"
        assert "paused" not in schedules(client)["paused"]
    second.stop()


def test_reload_starts_changes_and_ends_schedules(clock: Path) -> None:
    tasks = {"t": {"action": "quick", "schedule": {"cron": "0 * * * *"}}}
    with Rigged("2026-03-01T12:30:00", clock, tasks={}) as daemon, daemon.connect() as client:
        assert client.request("schedules")["schedules"] == []
        assert client.request("pause", task_id="t")["message"] == "task not found"

        def reload(tasks: Message) -> dict[str, Message]:
            config = json.loads((daemon.directory / "config.yaml").read_text())
            (daemon.directory / "config.yaml").write_text(json.dumps(config | {"tasks": tasks}))
            assert client.request("reload")["type"] == "reloaded"
            return schedules(client)

        assert reload(tasks)["t"]["next"] == "2026-03-01T13:00:00.000000Z"
        tasks["t"]["schedule"] = {"cron": "15 * * * *"}
        assert reload(tasks)["t"]["next"] == "2026-03-01T13:15:00.000000Z", "12:15 was not missed"
        assert reload({}) == {}
        daemon.set_clock("2026-03-01T13:14:30")
        assert reload({"t": {"action": "quick"}}) == {}
        assert client.request("pause", task_id="t")["message"] == "t has no schedule"
        daemon.set_clock("2026-03-01T13:20:00")
        assert reload(tasks)["t"]["next"] == "2026-03-01T14:15:00.000000Z"
        assert "last" not in schedules(client)["t"]


def test_a_scope_hides_schedules_and_what_they_skip(clock: Path) -> None:
    tokens = [
        {"name": name, "token": token_of(name), "role": "operator"} | scope
        for name, scope in (("all", {}), ("mine", {"actions": ["job"]}))
    ]
    tasks = {
        name: {"action": action, "schedule": {"cron": "0 * * * *", "enabled": False}}
        for name, action in (("hidden", "quick"), ("seen", "job"), ("seen too", "job"))
    }
    with Rigged("2026-03-01T12:55:00", clock, tasks=tasks, auth={"tokens": tokens}) as daemon:
        address = address_of(daemon)
        with (
            RawClient(address, headers=[bearer("all")]) as boss,
            RawClient(address, headers=[bearer("mine")]) as me,
        ):

            def shown(client: RawClient, **fields: Any) -> list[str]:
                return [row["task_id"] for row in request(client, "schedules", **fields)["schedules"]]

            assert shown(boss) == ["hidden", "seen", "seen too"]
            assert shown(me) == ["seen", "seen too"]
            assert request(me, "schedules", limit=1)["next"] == "seen"
            assert shown(me, limit=1, after="seen") == ["seen too"]
            assert request(me, "pause", task_id="hidden")["message"] == "task not found"
            daemon.set_clock("2026-03-01T13:00:01")
            daemon.process.send_signal(signal.SIGHUP)
            skips = [boss.receive_until("skipped")[-1] for _ in range(3)]
            assert {(skip["task_id"], skip["reason"]) for skip in skips} == {
                (name, "disabled") for name in tasks
            }
            assert {me.receive_until("skipped")[-1]["task_id"] for _ in range(2)} == {"seen", "seen too"}
            assert (
                request(me, "schedules", task_id="seen")["schedules"][0]["skipped"][0]["reason"] == "disabled"
            )


def test_each_skip_is_heard_once_however_one_listens(clock: Path) -> None:
    off = {"cron": "0 * * * *", "enabled": False}
    tasks = {name: {"action": "loop", "schedule": off} for name in ("running", "never started")}
    with Rigged("2026-03-01T12:55:00", clock, tasks=tasks) as daemon, daemon.connect() as boss:
        boss.request("start", task_id="running")
        with daemon.connect() as watcher, daemon.connect() as reader, Client(daemon.url) as client:
            watcher.request("watch")
            reader.request("watch", output=True)
            heard = client.events()
            client.subscribe("running")
            go_to(daemon, boss, "2026-03-01T13:00:01")
            for connection in (boss, watcher, reader):
                for name in tasks:
                    assert connection.expect("skipped", task_id=name)["reason"] == "disabled"
                connection.settle()
                assert not connection.pending("skipped")
            skipped = islice(_skips(heard), len(tasks))
            assert {event.task_id for event in skipped} == set(tasks)


def _skips(events: Iterator[Event]) -> Iterator[Skipped]:
    for event in events:
        if isinstance(event, Skipped):
            yield event


def test_slots_are_not_missed_while_no_task_has_a_schedule(clock: Path, tmp_path: Path) -> None:
    tasks = {"often": {"action": "quick", "schedule": {"every": "1h", "missed": "all"}}}
    more = {"data_dir": str(tmp_path / "data")}
    with Rigged("2026-03-01T00:30:00", clock, tasks=tasks, **more) as daemon, daemon.connect() as client:
        until(client, "often", next="2026-03-01T01:00:00.000000Z")
    with Rigged("2026-03-01T00:40:00", clock, **more):
        pass
    with Rigged("2026-03-01T05:30:00", clock, **more) as daemon, daemon.connect() as client:
        file = daemon.directory / "config.yaml"
        file.write_text(json.dumps(json.loads(file.read_text()) | {"tasks": tasks}))
        assert client.request("reload")["type"] == "reloaded"
        row = until(client, "often", next="2026-03-01T06:00:00.000000Z")
        assert ("last" in row, skips(row)) == (False, [])
        go_to(daemon, client, "2026-03-01T06:00:01")
        until(client, "often", last="2026-03-01T06:00:00.000000Z")
