"""The audit: every request that would change something, who made it, from where, and what came of it."""

from __future__ import annotations

import json
import os
import stat
import time
from pathlib import Path
from typing import Any

from overseer.auth.peer import Peer
from overseer.daemon.audit import Audit
from overseer.protocol import Request, Start
from tests.auth.support import TOKENS, address_of, bearer, request
from tests.harness import Daemon, shell
from tests.net.rawclient import RawClient


def _lines(daemon: Daemon) -> list[dict[str, Any]]:
    text = (daemon.directory / "audit.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def test_who_asked_for_what_and_whether_it_was_allowed() -> None:
    actions = {"mine": shell("sleep 60"), "other": shell("true")}
    daemon = Daemon(actions=actions, auth={"tokens": TOKENS}, audit_file="audit.jsonl")
    with daemon:
        directory = daemon.directory
        with (
            RawClient(address_of(daemon), headers=[bearer("operator-mine")]) as operator,
            RawClient(address_of(daemon), headers=[bearer("viewer-all")]) as viewer,
            RawClient(address_of(daemon), headers=[bearer("admin-all")]) as admin,
        ):
            given = request(operator, "start", action="mine", task_id="given", params={"a": "1\n2"})
            made_up = request(operator, "start", action="mine")
            request(operator, "start", action="other")
            request(operator, "start", action="nothing")
            request(operator, "signal", task_id="given", signal="cont")
            operator.send_json(type="stop", id="s", task_id="given")
            operator.receive_until("exited")
            request(operator, "reset", task_id="given")
            request(operator, "list")
            request(viewer, "purge")
            request(viewer, "start", action="mine")
            request(admin, "set_pool", action="mine", limit=3)
            request(admin, "purge")
            assert (given["type"], made_up["type"]) == ("started", "started")
        # It is written by a thread of its own, which the end waits for; the directory goes with the end.
        copy = directory.parent / f"{directory.name}-audit"
        os.link(directory / "audit.jsonl", copy)
    try:
        assert stat.S_IMODE(copy.stat().st_mode) == 0o600
        lines = [json.loads(line) for line in copy.read_text().splitlines()]
    finally:
        copy.unlink()
    seen = [
        (
            each["who"],
            each["request"]["type"],
            each["allowed"],
            each.get("error", ""),
            each.get("task_id", ""),
        )
        for each in lines
    ]
    operator_name, denied = "operator-mine", "not permitted: {} needs the role {}, and yours is viewer"
    assert seen == [
        (operator_name, "start", True, "", "given"),
        (operator_name, "start", True, "", made_up["task_id"]),
        (operator_name, "start", False, "unknown action: other", ""),
        (operator_name, "start", True, "unknown action: nothing", ""),
        (operator_name, "signal", True, "", ""),
        (operator_name, "stop", True, "", ""),
        (operator_name, "reset", True, "task is not errored", ""),
        ("viewer-all", "purge", False, denied.format("purge", "admin"), ""),
        ("viewer-all", "start", False, denied.format("start", "operator"), ""),
        ("admin-all", "set_pool", True, "", ""),
        ("admin-all", "purge", True, "", ""),
    ]
    assert {each["from"] for each in lines} == {"127.0.0.1"}
    assert lines[0]["request"]["params"] == {"a": "1\n2"}
    assert lines[4]["request"]["signal"] == "SIGCONT"
    assert lines[5]["request"]["task_id"] == "given"
    assert lines[9]["request"] == {
        "type": "set_pool",
        "id": lines[9]["request"]["id"],
        "action": "mine",
        "limit": 3,
    }
    assert all(each["ts"].endswith("Z") for each in lines)


def _recorded(path: Path, *records: tuple[Request, bool]) -> list[str]:
    audit = Audit(str(path))
    audit.start()
    for each, allowed in records:
        audit.record(Peer("tcp", "10.0.0.1"), each, allowed=allowed)
    audit.close()
    return path.read_text("utf-8").split("\n")[:-1]


def test_what_a_client_sends_does_not_fill_the_disk(tmp_path: Path) -> None:
    start = Start(id="1", action="a", task_id="t", params={"long": "x" * 1000, "short": "y" * 256})
    allowed, refused = (
        json.loads(line)["request"] for line in _recorded(tmp_path / "audit", (start, True), (start, False))
    )
    assert allowed["params"] == {"long": "x" * 256 + "...", "short": "y" * 256}
    assert allowed["id"] == "1"
    assert refused == {"type": "start", "action": "a", "task_id": "t"}


def test_a_line_shows_as_what_it_is_wherever_it_is_read(tmp_path: Path) -> None:
    odd = "\x7f\x85\x9b2J\u2028\u2029\x1b[2J"
    (line,) = _recorded(tmp_path / "audit", (Start(id="1", action="a", params={"é": odd}), True))
    assert line.isprintable()
    assert json.loads(line)["request"]["params"] == {"é": odd}


def test_over_a_unix_socket_it_is_the_uid() -> None:
    with (
        Daemon(
            actions={"a": shell("true")}, listen="./socket", auth={"unix": {}}, audit_file="audit.jsonl"
        ) as daemon,
    ):
        with RawClient(str(daemon.directory / "socket")) as client:
            request(client, "purge")
        deadline = time.monotonic() + 30
        while not (lines := _lines(daemon)):
            assert time.monotonic() < deadline
        (line,) = lines
        assert (line["who"], line["from"]) == (f"uid {os.geteuid()}", "unix")
