"""``logs`` and ``search`` of a running server, and over its restart."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Daemon, shell

ACTIONS = {
    "say": shell("echo one; echo two >&2; echo three"),
}


def test_a_log_outlives_the_server_and_numbers_go_on(tmp_path: Path) -> None:
    config: dict[str, Any] = {"actions": ACTIONS, "data_dir": str(tmp_path / "data")}
    with Daemon(**config) as daemon, daemon.connect() as client:
        client.run("say", task_id="t/1")
    with Daemon(**config) as daemon, daemon.connect() as client:
        page = client.request("logs", task_id="t/1")
        assert {line["data"] for line in page["lines"]} == {"one", "two", "three"}
        assert (page["first_seq"], page["last_seq"], page["next_seq"]) == (1, 3, 4)
        _, outputs, _ = client.run("say", task_id="t/1")
        assert sorted(each["seq"] for each in outputs) == [4, 5, 6]
        runs = client.request("runs", task_id="t/1")["runs"]
        for run, seqs in zip(runs, ([4, 5, 6], [1, 2, 3]), strict=True):
            lines = client.request("logs", task_id="t/1", run_id=run["run_id"])["lines"]
            assert [line["seq"] for line in lines] == seqs
        (line,) = client.request("logs", task_id="t/1", stream="stderr", from_seq=4)["lines"]
        assert line["data"] == "two"
        # replay and subscribe reach back as far.
        client.send("replay", task_id="t/1", since_seq=1)
        replayed = [each["seq"] for each in client.settle() if each["type"] == "output"]
        assert replayed == [2, 3, 4, 5, 6]
        with daemon.connect() as late:
            reply = late.request("subscribe", task_id="t/1", since_seq=0)
            assert reply["oldest_seq"] == 1
            told = late.collect("exited")
            assert [each["seq"] for each in told if each["type"] == "output"] == [1, 2, 3, 4, 5, 6]
        match = client.request("search", query="thr", limit=1)
        assert match["matches"][0]["run_id"] == runs[0]["run_id"]
        assert match["next"]


def test_a_replay_since_a_time_begins_with_that_line_wherever_the_log_has_it(tmp_path: Path) -> None:
    slow = shell("for line in $(seq 300); do echo $line; sleep 0.002; done")
    with (
        Daemon(actions={"slow": slow}, data_dir=str(tmp_path / "data")) as daemon,
        daemon.connect() as client,
    ):
        client.run("slow", task_id="t")
        lines = client.request("logs", task_id="t", limit=300)["lines"]
        since = lines[57]["ts"]
        client.send("replay", task_id="t", since=since)
        replayed = [each["seq"] for each in client.settle() if each["type"] == "output"]
        assert replayed == [line["seq"] for line in lines if line["ts"] >= since]
        assert 0 < replayed[0] <= 58


_MIXED = r"""
import random, sys, time
chance = random.Random(3)
for number in range(400):
    stream = chance.choice((sys.stdout, sys.stderr))
    odd = "\ta \"quoted\" one", "\u20ac \U0001f600", "2026-01-01T00:00:00.000000Z stdout F"
    text = chance.choice(("", "plain", "x" * 300, *odd))
    for _ in range(chance.choice((1, 1, 3))):
        stream.write(f"{number} {text}\n")
    stream.flush()
    if chance.random() < 0.3:
        time.sleep(0.001)
"""


def test_what_is_sent_from_the_log_is_what_was_sent_at_once(tmp_path: Path) -> None:
    action = {"entrypoint": sys.executable, "command": ["-c", _MIXED]}
    with (
        Daemon(
            actions={"mixed": {"type": "exec", "config": action}},
            data_dir=str(tmp_path / "data"),
            limits={"max_line": 200},
        ) as daemon,
        daemon.connect() as live,
    ):
        for _ in range(2):
            assert live.run("mixed", task_id="t")[2]["exit_code"] == 0
        sent = [each for each in live.messages if each["type"] in ("output", "exited")]
        with daemon.connect() as late:
            late.request("subscribe", task_id="t", since_seq=0)
            last = sent[-2]["seq"]
            late.expect("output", task_id="t", seq=last)
            again = [each for each in late.messages if each["type"] == "output"]
        assert again == [each for each in sent if each["type"] == "output"]
        assert {each.get("truncated", False) for each in again} == {True, False}


@pytest.mark.parametrize(
    ("type", "fields", "message"),
    [
        ("logs", {"task_id": "nobody"}, "task not found"),
        ("logs", {"task_id": "t", "tail": 1, "from_seq": 1}, "mutually exclusive"),
        ("logs", {"task_id": "t", "tail": 0}, "tail must be"),
        ("search", {"query": "(", "regex": True}, "not a valid regular expression"),
        ("search", {"query": "x", "after": "y"}, "after must be the next of an earlier answer"),
    ],
)
def test_bad_input_is_refused(tmp_path: Path, type: str, fields: dict[str, Any], message: str) -> None:
    with Daemon(actions=ACTIONS, data_dir=str(tmp_path / "data")) as daemon, daemon.connect() as client:
        client.run("say", task_id="t")
        reply = client.request(type, **fields)
        assert reply["type"] == "error"
        assert message in reply["message"]


def test_without_a_data_dir_there_is_none_and_nothing_is_made(tmp_path: Path) -> None:
    with Daemon(actions=ACTIONS) as daemon, daemon.connect() as client:
        client.run("say", task_id="t")
        assert "no data_dir" in client.request("logs", task_id="t")["message"]
        assert "no data_dir" in client.request("search", query="one")["message"]
        assert "no data_dir" in client.request("subscribe", task_id="t", on_lag="catch_up")["message"]
        assert {path.name for path in daemon.directory.iterdir()} == {"config.yaml"}
