"""The history of runs, as a client of a real server sees it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.support import gone, wait_until
from tests.harness import Daemon, WsClient, shell

ACTIONS = {
    "echo": shell("echo one; echo two; exit [[.code]]", config={"parameters": {"code": {"default": "0"}}}),
    "sleep": shell("echo ready; exec sleep 60"),
    "missing": {"type": "exec", "config": {"entrypoint": "/no/such/program"}},
    "again": shell("exit 3", retry={"restart_delay": "10ms", "error_window": "1m", "error_threshold": 3}),
    "brief": shell("exec sleep 60", timeout="100ms"),
    "killed": shell("kill -KILL $$"),
    "secret": shell("exec sleep 60", config={"parameters": {"pw": {"type": "secret"}}}),
    "one": {**shell("exec sleep 60"), "task_pool": {"limit": 1, "queue": {"enabled": True}}},
    "boot": shell("echo up; exec sleep 60", on_boot="resume"),
    "stubborn": shell(
        "trap '' TERM; echo up; while :; do sleep 0.1; done", on_boot="resume", stop_grace="1m"
    ),
    "boot-secret": shell(
        "exec sleep 60", on_boot="resume", config={"parameters": {"pw": {"type": "secret"}}}
    ),
}


@pytest.fixture
def data(tmp_path: Path) -> str:
    return str(tmp_path / "data")


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with Daemon(actions=ACTIONS, data_dir="data") as daemon:
        yield daemon


def runs(client: WsClient, **fields: Any) -> list[dict[str, Any]]:
    reply = client.request("runs", **fields)
    assert reply["type"] == "runs", reply
    return reply["runs"]


def test_rows_are_what_a_client_saw(daemon: Daemon, client: WsClient) -> None:
    for number, code in enumerate((0, 5), 1):
        started, lines, exited = client.run("echo", task_id="rows", params={"code": str(code)})
        (row,) = runs(client, task_id="rows", limit=1)
        assert row["started"] == started["ts"]
        assert row["ended"] == exited["ts"]
        assert (row["exit_code"], row["reason"]) == (code, exited["reason"])
        assert row["duration_ms"] == exited["duration_ms"]
        assert (row["first_seq"], row["last_seq"]) == (lines[0]["seq"], lines[-1]["seq"])
        assert (row["number"], row["params"]) == (number, {"code": str(code)})
        assert row["status"] == ("failed" if code else "succeeded")
        assert row["trigger"] == {"type": "client"}


def test_a_run_is_there_while_it_goes_on(client: WsClient) -> None:
    started = client.request("start", action="sleep", task_id="goes on")
    (row,) = runs(client, task_id="goes on")
    assert (row["status"], row["started"]) == ("running", started["ts"])
    assert not {"ended", "exit_code", "duration_ms", "reason", "last_seq"} & set(row)
    client.send("stop", task_id="goes on")
    client.expect("exited", task_id="goes on")
    (row,) = runs(client, task_id="goes on")
    assert (row["status"], row["reason"]) == ("stopped", "stopped")


def test_restarts_are_runs_of_their_own(client: WsClient) -> None:
    client.request("start", action="again", task_id="again")
    client.expect("errored", task_id="again")
    found = runs(client, task_id="again")
    assert [(row["number"], row["trigger"]["type"], row["status"]) for row in found] == [
        (3, "restart", "failed"),
        (2, "restart", "failed"),
        (1, "client", "failed"),
    ]
    assert len({row["run_id"] for row in found}) == 3


@pytest.mark.parametrize(("action", "reason", "code"), [("brief", "timeout", -1), ("killed", "signal", -1)])
def test_why_it_ended(client: WsClient, action: str, reason: str, code: int) -> None:
    client.run(action, task_id=f"why {action}")
    (row,) = runs(client, task_id=f"why {action}")
    assert (row["status"], row["reason"], row["exit_code"]) == ("failed", reason, code)
    assert row["signal"] == ("SIGTERM" if action == "brief" else "SIGKILL")


def test_a_start_that_failed_is_only_here(client: WsClient) -> None:
    reply = client.request("start", action="missing", task_id="missing")
    assert reply["type"] == "error"
    (row,) = runs(client, reason="start_failed")
    assert (row["task_id"], row["status"], row["error"]) == ("missing", "failed", reply["message"])
    assert "missing" not in [task["task_id"] for task in client.request("list")["tasks"]]


def test_a_queued_one_says_since_when_it_waited(client: WsClient) -> None:
    client.request("start", action="one", task_id="first")
    queued = client.request("start", action="one", task_id="second")
    client.send("stop", task_id="first")
    client.expect("started", task_id="second")
    (row,) = runs(client, task_id="second")
    assert row["queued"] == queued["ts"]
    client.send("stop", task_id="second")
    client.expect("exited", task_id="second")


def test_secrets_are_nowhere_in_it(daemon: Daemon, client: WsClient) -> None:
    client.request("start", action="secret", task_id="secret", params={"pw": "correct horse"})
    (row,) = runs(client, task_id="secret")
    assert row["params"] == {"pw": "***"}
    assert not [
        path
        for path in (daemon.directory / "data").rglob("*")
        if path.is_file() and b"correct horse" in path.read_bytes()
    ]
    client.send("stop", task_id="secret")
    client.expect("exited", task_id="secret")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"limit": 0}, "runs: limit must be a whole number from 1"),
        ({"limit": 1001}, "runs: limit must be a whole number from 1 to 1000, not 1001"),
        ({"before": "x"}, "before must be the next of an earlier answer"),
        ({"before": "9" * 30}, "before must be the next of an earlier answer"),
        ({"state": "dead"}, 'runs: state must be "running" or '),
        ({"reason": "boredom"}, 'runs: reason must be "exited" or '),
        ({"since": "yesterday"}, "runs: since must be a time"),
    ],
)
def test_what_cannot_be_asked(client: WsClient, fields: dict[str, Any], message: str) -> None:
    reply = client.request("runs", **fields)
    assert reply["type"] == "error"
    assert reply["message"].startswith(message)


def test_a_run_that_was_heard_to_end_is_never_shown_as_going_on(client: WsClient) -> None:
    for number in range(50):
        _, _, exited = client.run("echo", task_id=f"quick {number}")
        (row,) = runs(client, task_id=f"quick {number}")
        assert row["ended"] == exited["ts"]


def test_seq_goes_on_with_the_next_task_of_that_id(client: WsClient) -> None:
    first = client.run("echo", task_id="seq")
    second = client.run("echo", task_id="seq")
    assert [line["seq"] for line in first[1] + second[1]] == [1, 2, 3, 4]
    assert "first_seq" not in first[0]
    assert second[0]["first_seq"] == 3
    reply = client.request("subscribe", task_id="seq", since_seq=0)
    assert (reply["last_seq"], reply["oldest_seq"]) == (4, 1)  # the log has the earlier task's lines
    assert client.request("metrics", task_id="seq")["task"]["output_lines"] == 2


def test_without_a_data_dir_there_is_nothing() -> None:
    with Daemon(actions=ACTIONS) as daemon, daemon.connect() as client:
        for _ in range(2):
            started, lines, _ = client.run("echo", task_id="t")
            assert [line["seq"] for line in lines] == [1, 2]
            assert "first_seq" not in started
        reply = client.request("runs")
        assert reply["type"] == "error"
        assert "has no data_dir" in reply["message"]
        maps = Path(f"/proc/{daemon.pid}/maps").read_text()
        names = {path.read_text().strip() for path in Path(f"/proc/{daemon.pid}/task").glob("*/comm")}
        assert "sqlite" not in maps
        assert "history" not in names
        assert {path.name for path in daemon.directory.iterdir()} == {"config.yaml"}


def _kill(daemon: Daemon) -> None:
    daemon.process.kill()
    daemon.process.wait(10)


def test_what_was_going_on_when_the_server_was_killed_is_lost(data: str) -> None:
    first = Daemon(actions=ACTIONS, data_dir=data).start()
    try:
        with first.connect() as client:
            started = client.request("start", action="sleep", task_id="s")
            line = client.expect("output", task_id="s")
            _kill(first)
        with Daemon(actions=ACTIONS, data_dir=data) as second, second.connect() as client:
            (row,) = runs(client)
            assert (row["status"], row["reason"], row["exit_code"]) == ("lost", "lost", -1)
            assert row["started"] == started["ts"]
            assert row["ended"] >= row["started"]
            _, lines, _ = client.run("echo", task_id="s")
            assert lines[0]["seq"] > line["seq"]
            assert "1 run was lost" in second.stderr
    finally:
        first.kill()


def test_what_a_shutdown_ended_says_so_and_seq_goes_on_exactly(data: str) -> None:
    with Daemon(actions=ACTIONS, data_dir=data) as first, first.connect() as client:
        client.request("start", action="sleep", task_id="s")
        client.expect("output", task_id="s")
    with Daemon(actions=ACTIONS, data_dir=data) as second, second.connect() as client:
        (row,) = runs(client)
        assert (row["status"], row["reason"], row["last_seq"]) == ("stopped", "shutdown", 1)
        _, lines, _ = client.run("echo", task_id="s")
        assert [line["seq"] for line in lines] == [2, 3]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_boot_brings_back_what_was_running(data: str, how: signal.Signals, tmp_path: Path) -> None:
    audit = tmp_path / "audit"
    settings: dict[str, Any] = {"actions": ACTIONS, "data_dir": data, "audit_file": str(audit)}
    first = Daemon(**settings).start()
    try:
        with first.connect() as client:
            policy = {"restart_delay": "7s"}
            old = client.request("start", action="boot", task_id="up", params={"x": "1"}, retry_policy=policy)
            client.request("start", action="boot", task_id="stopped")
            client.send("stop", task_id="stopped")
            client.expect("exited", task_id="stopped")
            client.request("start", action="boot-secret", task_id="secret", params={"pw": "correct horse"})
            client.request("start", action="sleep", task_id="other")
            client.settle()
        if how is signal.SIGKILL:
            _kill(first)
        else:
            first.stop()
        with Daemon(**settings) as second, second.connect() as client:
            wait_until(lambda: runs(client, task_id="up", state="running"), 20.0)
            (row, before) = runs(client, task_id="up")
            assert row["trigger"] == {"type": "boot", "by": "boot"}
            assert (row["number"], row["params"], before["status"]) == (
                2,
                {"x": "1"},
                "lost" if how is signal.SIGKILL else "stopped",
            )
            assert row["first_seq"] > before["first_seq"]
            (task,) = client.request("list")["tasks"]
            assert (task["task_id"], task["retry_policy"]["restart_delay"]) == ("up", "7s")
            assert gone(old["pid"], timeout=0), "only once the old run is gone"
            (refused, _) = runs(client, task_id="secret")
            assert refused["error"].startswith("not resumed: one of its parameters is secret")
            assert refused["reason"] == "start_failed"
            assert "task secret cannot be resumed" in second.stderr
            assert len(runs(client, task_id="stopped")) == len(runs(client, task_id="other")) == 1
        assert '"who":"boot","from":"server"' in audit.read_text()
        with Daemon(**settings) as third, third.connect() as client:
            wait_until(lambda: runs(client, task_id="up", state="running"), 20.0)
            assert [row["number"] for row in runs(client, task_id="up")] == [3, 2, 1]
            assert len(runs(client, task_id="secret")) == 2, "it was not running any more"
    finally:
        first.kill()


def test_what_was_told_to_stop_is_not_brought_back(data: str) -> None:
    first = Daemon(actions=ACTIONS, data_dir=data).start()
    try:
        with first.connect() as client:
            client.request("start", action="stubborn", task_id="stubborn")
            client.expect("output", task_id="stubborn")
            client.send("stop", task_id="stubborn")
            runs(client)  # by now what came before is stored
            _kill(first)
        with Daemon(actions=ACTIONS, data_dir=data) as second, second.connect() as client:
            assert [row["status"] for row in runs(client)] == ["lost"]
            assert "is resumed" not in second.stderr
    finally:
        first.kill()


def test_what_cannot_be_resumed_is_said_before(tmp_path: Path) -> None:
    with Daemon(actions={"boot": ACTIONS["boot"]}) as daemon:
        assert "actions.boot.on_boot: nothing can be resumed without a data_dir" in daemon.stderr
    with Daemon(actions={"boot-secret": ACTIONS["boot-secret"]}, data_dir=str(tmp_path / "d")) as daemon:
        assert "on_boot: tasks with a value for pw cannot be resumed" in daemon.stderr


def test_monitoring_counts_what_is_stored(daemon: Daemon, client: WsClient) -> None:
    import urllib.request

    client.run("echo")
    with urllib.request.urlopen(f"http://{daemon.address}/metrics") as answer:
        text = answer.read().decode()
    figures = dict(line.split() for line in text.splitlines() if line.startswith("overseer_history"))
    assert float(figures["overseer_history_written_total"]) > 1
    assert float(figures["overseer_history_bytes"]) > 4096
    assert figures["overseer_history_lost_total"] == figures["overseer_history_failing"] == "0.0"


def test_a_reload_changes_what_is_kept(tmp_path: Path) -> None:
    with Daemon(actions=ACTIONS, data_dir=str(tmp_path / "d")) as daemon, daemon.connect() as client:
        for number in range(5):
            client.run("echo", task_id=f"t{number}")
        path = daemon.directory / "config.yaml"
        path.write_text(path.read_text().replace('"data_dir"', '"storage": {"runs": 2}, "data_dir"'))
        assert client.request("reload")["settings"] == ["storage"]
        wait_until(lambda: len(runs(client)) == 2)
        path.write_text(path.read_text().replace('/d"', '/elsewhere"'))
        assert client.request("reload")["restart_needed"] == ["data_dir"]
        assert [each.name for each in tmp_path.iterdir()] == ["d"]


def test_the_runs_of_a_generated_id_are_counted_on_though_retention_removes_them(data: str) -> None:
    """Its task waits for a reset while the runs of others take the place of its own."""
    with Daemon(actions=ACTIONS, data_dir=data, storage={"runs": 2}) as daemon, daemon.connect() as client:
        task_id = client.request("start", action="again")["task_id"]
        client.expect("errored", task_id=task_id)
        before = runs(client, task_id=task_id)[0]["number"]
        client.run("echo", task_id="a")
        client.run("echo", task_id="b")
        wait_until(lambda: not runs(client, task_id=task_id))
        client.request("reset", task_id=task_id)
        assert runs(client, task_id=task_id)[-1]["number"] == before + 1
