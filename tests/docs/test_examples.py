"""The configurations in docs/examples do what their comments say, on a real server."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from overseer.config import load_config
from tests.faults.support import wait_until
from tests.harness import ROOT, Daemon, WsClient

EXAMPLES = ROOT / "docs/examples"
LISTEN = 'listen: "127.0.0.1:8080"'


def configuration(name: str, data: Path | None = None, **changes: str) -> str:
    """An example's text, to be served on a free port, its data in ``data``; ``changes``: old text to new."""
    text = (EXAMPLES / f"{name}.yaml").read_text("utf-8")
    changes = {LISTEN: 'listen: "127.0.0.1:0"', **changes}
    if data is not None:
        changes[f"data_dir: {name}-data"] = f"data_dir: {data}"
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def free_ports(count: int) -> list[str]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        return [str(sock.getsockname()[1]) for sock in sockets]


def statuses(client: WsClient) -> dict[str, str]:
    return {task["task_id"]: task["status"] for task in client.request("list")["tasks"]}


def test_each_example_is_linked_and_without_warnings() -> None:
    names = {path.name for path in EXAMPLES.glob("*.yaml")}
    assert names == set(re.findall(r"\]\((\w+\.yaml)\)", (EXAMPLES / "README.md").read_text()))
    for name in names:
        assert load_config(EXAMPLES / name, {}).warnings == (), name


# recorders.yaml


@pytest.fixture
def recorders(tmp_path: Path) -> str:
    return configuration("recorders", tmp_path / "data")


def test_recordings_go_on_after_a_crash_except_those_that_somebody_stopped(recorders: str) -> None:
    with Daemon(recorders) as daemon, daemon.connect() as client:
        client.request("watch")
        wait_until(lambda: statuses(client) == {"parliament": "ready"})  # it may be so before we are here
        client.request("start", task_id="weather")
        for channel in ("news", "sport", "music"):
            params = {"channel": channel, "quality": "high"}
            client.request("start", action="record", task_id=channel, params=params)
            client.expect("ready", task_id=channel)
        again = client.request("start", action="record", params={"channel": "news"})
        assert again["type"] == "error", again
        assert "news" in again["message"]
        client.send("stop", task_id="music")
        client.expect("exited", task_id="music")
        client.send("stop", task_id="parliament")
        client.expect("exited", task_id="parliament")
        assert list((daemon.directory / "recordings").glob("news-*.high"))
        daemon.kill()
    with Daemon(recorders) as daemon, daemon.connect() as client:
        client.request("watch", output=True)
        wanted = {"parliament": "ready", "weather": "ready", "news": "ready", "sport": "ready"}
        wait_until(lambda: statuses(client) == wanted)
        assert client.info("news")["params"] == {"channel": "news", "quality": "high"}
        assert [run["trigger"]["type"] for run in client.request("runs", task_id="news")["runs"]] == [
            "boot",
            "client",
        ]
        # It closes its file when it is asked to end.
        client.send("stop", task_id="weather")
        client.expect("exited", task_id="weather", exit_code=0)
        assert client.outputs("weather")[-1]["data"].startswith("closing recordings/weather-")


# home.yaml


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(configuration("home", tmp_path_factory.mktemp("home"))) as daemon:
        yield daemon


@pytest.mark.parametrize(
    ("action", "params", "said"),
    [
        ("lights", {"room": "living", "level": "40"}, ["lights in the living at 40 %"]),
        ("torrent-box", {"state": "off"}, ["putting the box to sleep"]),
        ("torrent-box", {"state": "on"}, ["waking the box"]),
        ("restart-router", {}, ["signing in with 19 characters", "router restarts"]),
        ("backup-phone", {}, ["100 %", "copied"]),
    ],
)
def test_a_button_does_what_it_says(
    home: Daemon, action: str, params: dict[str, str], said: list[str]
) -> None:
    with home.connect() as client:
        _, lines, exited = client.run(action, params=params)
        assert exited["exit_code"] == 0
        assert [line["data"] for line in lines][-len(said) :] == said


@pytest.mark.parametrize(
    ("params", "why"),
    [({"room": "attic"}, "room"), ({"room": "kitchen", "level": "200"}, "level"), ({}, "room")],
)
def test_a_button_refuses_what_makes_no_sense(home: Daemon, params: dict[str, str], why: str) -> None:
    with home.connect() as client:
        refused = client.request("start", action="lights", params=params)
        assert refused["type"] == "error"
        assert why in refused["message"]


def test_one_station_plays_at_a_time_and_the_latest_wish_is_next(home: Daemon) -> None:
    with home.connect() as client:
        client.request("watch")
        assert client.request("start", task_id="speaker")["type"] == "started"
        for station in ("news", "classics"):
            wished = client.request("start", action="radio", params={"station": station}, task_id=station)
            assert wished["type"] == "queued"
        client.expect("dequeued", task_id="news", reason="displaced")
        client.send("stop", task_id="speaker")
        client.expect("started", task_id="classics")


# development.yaml


def test_services_start_in_the_order_in_which_they_need_each_other_and_stop_in_reverse() -> None:
    ports = dict(zip(("5544", "5545", "5546", "5547"), free_ports(4), strict=True))
    with Daemon(configuration("development", **ports)) as daemon, daemon.connect() as client:
        client.request("watch")
        wait_until(lambda: statuses(client).get("web") == "ready")
        graph = client.request("graph")
        assert all(edge["met"] for edge in graph["edges"])
        assert statuses(client) == {
            **dict.fromkeys(("db", "queue", "api", "web"), "ready"),
            "migrations": "succeeded",
        }
        wait_until(lambda: client.info("api")["health"] == "healthy")
        started = {task["task_id"]: task["last_started_at"] for task in client.request("list")["tasks"]}
        assert max(started["db"], started["queue"]) < started["api"] < started["web"]
        assert started["db"] < started["migrations"] < started["api"]
        # One that crashes comes back by itself.
        api_pid = client.info("api")["current_pid"]
        client.request("signal", task_id="api", signal="SIGKILL")
        restarted = client.expect("started", task_id="api", restart_of=api_pid)
        client.expect("ready", task_id="api", pid=restarted["pid"])
        assert client.info("api")["current_pid"] != api_pid
        with daemon.connect() as watcher:
            watcher.request("watch")
            daemon.stop()
            ended = [watcher.expect("exited")["task_id"] for _ in range(4)]
        assert ended[:2] == ["web", "api"]
        assert set(ended[2:]) == {"db", "queue"}


# nightly.yaml


def test_nightly_jobs_are_followed_skipped_made_up_for_and_told_of(tmp_path: Path) -> None:
    changes = {
        'cron: "30 2 * * *", timezone: Europe/Berlin, jitter: 10m': "every: 1s",
        "every: 15m": "every: 1h",
        "restart_delay: 1m": "restart_delay: 10ms",
        "notices.log": str(tmp_path / "notices.log"),
        "default: documents": f"default: {tmp_path / 'documents'}",
    }
    text = configuration("nightly", tmp_path / "data", **changes)
    notices = tmp_path / "notices.log"

    def told() -> list[str]:
        return notices.read_text().splitlines() if notices.exists() else []

    # There is nothing to back up yet: three attempts, and one notice for whatever number of slots.
    with Daemon(text) as daemon, daemon.connect() as client:
        client.request("watch")
        client.expect("errored", task_id="backup")
        wait_until(lambda: len(told()) == 1)
        assert told()[0].startswith("failure: backup is errored"), told()
        client.expect("errored", task_id="backup")
        (tmp_path / "documents").mkdir()
        client.expect("exited", task_id="backup", exit_code=0)
        wait_until(lambda: client.request("runs", action="verify", state="succeeded")["runs"])
        wait_until(lambda: len(told()) == 2)
        assert told()[1].startswith("recovery: backup has recovered"), told()
        daemon.kill()
    # The server was not there for three slots: one is made up for, and the others are on record, and told.
    killed = time.time()
    wait_until(lambda: time.time() > killed + 3)
    with Daemon(text) as daemon, daemon.connect() as client:
        wait_until(lambda: len(told()) > 2)
        assert told()[2].startswith("missed: backup missed a run"), told()
        (schedule,) = client.request("schedules", task_id="backup")["schedules"]
        assert "missed" in {each["reason"] for each in schedule["skipped"]}  # a slow run lets others overlap
