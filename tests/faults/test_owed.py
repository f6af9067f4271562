"""What was to follow when the server was killed: chains, notices and queued tasks."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.faults.support import wait_until
from tests.faults.test_history import runs
from tests.harness import ROOT, Daemon, WsClient, shell
from tests.notices.receiver import Receiver

KILLED_AT = ROOT / "tests/faults/killed_at.py"
NEVER = "the server ended before it could be started"


@contextmanager
def server(data: Path, killed_at: str = "", **config: Any) -> Iterator[WsClient]:
    """A server and its client; it is killed at that moment, or else at the end."""
    program = {"program": KILLED_AT, "environment": {"KILLED_AT": killed_at}} if killed_at else {}
    daemon = Daemon(**program, **config, data_dir=str(data)).start()
    try:
        with daemon.connect() as client:
            yield client
            if killed_at:
                daemon.process.wait(60)
            else:
                client.request("runs")  # stored is what happened before
                daemon.process.kill()
    finally:
        daemon.kill()


def settled(data: Path) -> bool:
    """Whether nothing is owed any more."""
    with closing(sqlite3.connect(f"file:{data}/overseer.db?mode=ro", uri=True)) as db:
        (count,) = db.execute("SELECT count(*) FROM owed").fetchone()
    return bool(count == 0)


JOB = shell("echo version=7 >> $OVERSEER_OUTPUT; exit 3", then={"failure": [
    {"action": "report", "params": {"text": "[[.task_id]] [[.exit_code]] [[.output.version]]"}},
    {"action": "report", "params": {"text": "again"}},
]})  # fmt: skip
REPORT = shell("true", config={"parameters": {"text": {}}})


@pytest.mark.parametrize("moment", ["ended", "started"])
def test_what_was_to_follow_is_started_once(tmp_path: Path, moment: str) -> None:
    data, actions = tmp_path / "data", {"job": JOB, "report": REPORT}
    with server(data, moment, actions=actions) as client:
        client.send("start", action="job", task_id="build")
    for _ in range(2):
        with server(data, actions=actions) as client:
            wait_until(lambda: settled(data))
            started = runs(client, action="report")
            texts = sorted(run["params"]["text"] for run in started)
            assert texts == ["again", "build 3 7"]
            assert {run["trigger"]["by"] for run in started} == {"chain:build"}
            (build,) = runs(client, action="job")
            assert build["exit_code"] == 3


@pytest.mark.parametrize("moment", ["ended", "told", "delivered"])
def test_a_notice_is_sent_by_the_next_server(tmp_path: Path, moment: str) -> None:
    data, actions = tmp_path / "data", {"job": shell("exit [[.code]]", config={"parameters": {"code": {}}})}
    with Receiver() as receiver:
        config = {
            "actions": actions,
            "channels": {"ops": {"webhook": receiver.url}},
            "notify": [{"on": ["failure", "recovery"], "to": "ops"}],
        }
        with server(data, moment, **config) as client:
            client.send("start", action="job", task_id="nightly", params={"code": "3"})
        assert len(receiver.got) == (moment == "delivered")
        with server(data, **config) as client:
            failures = receiver.wait(1 + (moment == "delivered"))
            wait_until(lambda: settled(data))
            client.run("job", task_id="nightly", params={"code": "0"})
            *failures, recovery = receiver.wait(len(failures) + 1)
        assert {(notice["event"], notice["exit_code"]) for notice in failures} == {("failure", 3)}
        assert len({notice["id"] for notice in failures}) == 1, "a receiver can tell that it has had it"
        assert recovery["event"] == "recovery"
        assert recovery["since"] == failures[0]["ts"]


def test_queued_tasks_are_on_record_as_lost_once(tmp_path: Path) -> None:
    data = tmp_path / "data"
    config = {
        "actions": {
            "long": shell("exec sleep 60"),
            "back": shell("exec sleep 60", on_boot="resume"),
            "waits": shell(
                "exec sleep 60", config={"parameters": {"secret": {"type": "secret", "default": ""}}}
            ),
        },
        "tasks": {"standing": {"action": "long", "autostart": "last"}},
        "task_pool": {"limit": 1, "queue": {"enabled": True}},
    }
    with server(data, **config) as client:
        client.request("start", action="long", task_id="runs")
        for task_id, action in (("queued", "long"), ("back", "back"), ("hidden", "waits"), ("gone", "long")):
            client.request("start", action=action, task_id=task_id)
        client.request("start", task_id="standing")
        client.send("stop", task_id="gone")
        client.expect("dequeued", task_id="gone")
    seen = None
    for _ in range(2):
        with server(data, **config) as client:
            wait_until(lambda: len(client.request("list")["tasks"]) == 2, what="back and standing come again")
            lost = {run["task_id"]: run for run in runs(client, state="lost") if "queued" in run}
            assert lost.keys() == {"queued", "back", "hidden"}
            assert {run["error"] for run in lost.values()} == {NEVER}
            assert seen in (None, lost.get("queued"))
            seen = lost["queued"]
            assert lost["queued"]["queued"] < lost["queued"]["started"] == lost["queued"]["ended"]


def test_those_that_a_shutdown_takes_off_the_queue_are_on_record_as_stopped(tmp_path: Path) -> None:
    data, config = (
        tmp_path / "data",
        {"actions": {"long": shell("exec sleep 60")}, "task_pool": {"limit": 1, "queue": {"enabled": True}}},
    )
    with Daemon(**config, data_dir=str(data)) as daemon, daemon.connect() as client:
        client.request("start", action="long", task_id="runs")
        client.request("start", action="long", task_id="queued")
    with server(data, **config) as client:
        (run,) = runs(client, task_id="queued")
        assert (run["status"], run["reason"], run["error"]) == ("stopped", "shutdown", NEVER)
        assert runs(client, task_id="runs")[0]["reason"] == "shutdown"


def test_those_that_leave_the_queue_are_on_record_and_why(tmp_path: Path) -> None:
    """Also by whom, where that is known."""
    pool = {"limit": 1, "queue": {"enabled": True, "size": 1, "displace": True}}
    quick = {**pool, "queue": {**pool["queue"], "max_age": 0.3}}  # type: ignore[dict-item]
    actions = {
        "long": shell("exec sleep 60", task_pool=pool),
        "impatient": shell("exec sleep 60", task_pool=quick),
    }
    listen, auth = f"unix:{tmp_path / 's'}", {"unix": {str(os.getuid()): "admin"}}
    data = str(tmp_path / "data")
    with (
        Daemon(actions=actions, data_dir=data, listen=listen, auth=auth) as daemon,
        daemon.connect() as client,
    ):
        for action in actions:
            client.request("start", action=action, task_id=f"runs {action}")
        client.request("start", action="impatient", task_id="expired")
        client.expect("dequeued", task_id="expired")
        for task_id in ("displaced", "stopped"):
            assert client.request("start", action="long", task_id=task_id)["type"] == "queued"
        client.send("stop", task_id="stopped")
        client.expect("dequeued", task_id="stopped")
        client.request("start", action="long", task_id="purged")
        client.request("purge", action="long")
        found = {run["task_id"]: run for run in runs(client)}
        mine = f" by uid {os.getuid()}"
        assert {task_id: run.get("error", "") for task_id, run in found.items() if "ended" in run} == {
            "expired": "it was queued for longer than the queue allows",
            "displaced": "a newer task took its place in the queue",
            "stopped": f"stopped{mine} while queued",
            "purged": f"its queue was purged{mine}",
        }
        for run in found.values():
            if "ended" in run:
                assert (run["status"], run["reason"], run["exit_code"]) == ("stopped", "stopped", -1)
                assert run["queued"] <= run["started"] == run["ended"]
