"""Every action of the config.yaml that comes with the program does what it says."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import ROOT, Daemon, WsClient


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    text = (ROOT / "config.yaml").read_text()
    with Daemon(text, environment={"OVERSEER_LISTEN": "127.0.0.1:0"}) as daemon:
        assert "warning" not in daemon.stderr.lower()
        yield daemon


def lines_of(client: WsClient, action: str, **params: str) -> list[str]:
    _, outputs, exited = client.run(action, params=params)
    assert exited["exit_code"] == 0, outputs
    return [output["data"] for output in outputs]


def test_it_listens_on_this_machine_only():
    assert '\nlisten: "127.0.0.1:8080"' in (ROOT / "config.yaml").read_text()


def test_people_are_told_in_words_what_a_parameter_has_to_be(client: WsClient):
    for action in client.request("describe")["actions"]:
        for name, spec in action.get("params", {}).items():
            if "validate" in spec or "pattern" in spec:
                assert spec.get("message"), (action["name"], name)
        assert action["icon"].isascii(), "an emoji is an empty box where there is no font for it"


def test_report_tells_about_the_machine(client: WsClient):
    lines = lines_of(client, "report")
    assert [line.split()[0] for line in lines] == ["kernel", "up", "load", "memory"]
    assert os.uname().release in lines[0]
    assert all(len(line.split()) >= 2 for line in lines)


def test_disk_has_a_default_path(client: WsClient):
    assert len(lines_of(client, "disk")) == 2
    assert len(lines_of(client, "disk", path="/tmp")) == 2
    assert client.request("start", action="disk", params={"path": "--help"})["type"] == "error"


def test_checksum_is_that_of_the_file(client: WsClient, tmp_path: Path):
    path = tmp_path / "file"
    path.write_bytes(b"content")
    digest = hashlib.sha256(b"content").hexdigest()
    assert lines_of(client, "checksum", path=str(path)) == [f"{digest}  {path}"]
    for params in ({}, {"path": "passwd"}, {"path": "/etc/../etc/passwd"}):
        assert client.request("start", action="checksum", params=params)["type"] == "error", params


def test_checksum_runs_once_for_a_path(client: WsClient, tmp_path: Path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)  # reading it takes as long as we like
    first = client.request("start", action="checksum", params={"path": str(fifo)})
    assert first["type"] == "started"
    second = client.request("start", action="checksum", params={"path": str(fifo)})
    assert second["type"] == "error"
    assert second["existing_task_id"] == first["task_id"]
    fifo.write_bytes(b"")
    client.expect("exited", task_id=first["task_id"], exit_code=0)


def test_find_large_finds_what_is_large(client: WsClient, tmp_path: Path):
    with (tmp_path / "large").open("wb") as file:
        file.truncate(3_000_000)
    (tmp_path / "small").write_bytes(b"x" * 1000)
    assert lines_of(client, "find-large", directory=str(tmp_path), megabytes="2") == [str(tmp_path / "large")]


def test_watch_load_says_json_and_nothing_else(client: WsClient):
    lines = lines_of(client, "watch-load", seconds="2")
    assert [json.loads(line)["second"] for line in lines] == [1, 2]
    for seconds in ("0", "3601", "soon", "1; reboot"):
        refused = client.request("start", action="watch-load", params={"seconds": seconds})
        assert refused["type"] == "error", seconds


def test_wait_for_tries_until_the_file_is_there(client: WsClient, tmp_path: Path):
    path = tmp_path / "file"
    task_id = client.request("start", action="wait-for", params={"path": str(path)})["task_id"]
    assert client.expect("exited", task_id=task_id)["will_restart"] is True
    client.expect("restarting", task_id=task_id)
    path.write_text("here\n")
    client.expect("output", task_id=task_id, data="here")
    assert client.expect("exited", task_id=task_id, exit_code=0)["exit_code"] == 0


def test_jobs_run_two_at_a_time_and_four_wait(client: WsClient):
    replies = [client.request("start", action="job", params={"seconds": "60"}) for _ in range(7)]
    assert [reply["type"] for reply in replies] == ["started"] * 2 + ["queued"] * 4 + ["error"]
    forced = client.request("start", action="job", force=True)
    assert forced["type"] == "queued"
    assert client.expect("dequeued")["task_id"] == replies[2]["task_id"]
    client.request("purge", action="job")
    for reply in replies[:2]:
        client.send("stop", task_id=reply["task_id"])
        client.expect("exited", task_id=reply["task_id"])


def test_guess_is_a_game(client: WsClient):
    client.send("start", action="guess", task_id="game", partial=True)
    low, high = 1, 100
    for _ in range(7):
        client.expect("partial", task_id="game", data="Your guess? ")
        guess = (low + high) // 2
        client.request("input", task_id="game", data=f"{guess}\n")
        client.expect("output", task_id="game", data=f"Your guess? {guess}")
        answer = client.expect("output", task_id="game")["data"]
        if answer == f"Yes, it is {guess}.":
            break
        low, high = (guess + 1, high) if answer == "It is more." else (low, guess - 1)
    assert client.expect("exited", task_id="game")["exit_code"] == 0


def test_sign_does_not_show_its_key(client: WsClient):
    first, signature = lines_of(client, "sign", text="hello")
    said, path = first.split(" from ")
    assert said == "signing with***"
    assert not Path(path).exists()
    assert len(signature.split()[0]) == 64
