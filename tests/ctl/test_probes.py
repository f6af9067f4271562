"""Tasks that are looked at, as overseerctl shows them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.ctl.conftest import Ctl
from tests.harness import Daemon, shell

_FILE = {"parameters": {"file": {}}}
ACTIONS = {
    "served": shell("echo serving; exec sleep 60", ready={"log": "serving"}),
    "sick": shell("trap 'exit 0' TERM; echo up; sleep 60 & wait",
                  ready={"log": "up"}, health={"exec": ["sh", "-c", "echo gone; exit 1"], "failures": 1}),
    "lingers": shell("exec sleep 60", config=_FILE, health={
        "exec": ["test", "-e", "[[.file]]"], "interval": "20ms", "failures": 1, "on_failure": "none"}),
}  # fmt: skip


def test_run_says_what_is_found_out_and_that_it_failed(ctl: Ctl) -> None:
    done = ctl("run", "sick")
    assert (done.status, done.out) == (1, "up\n")
    ready, unhealthy, ended = done.err.splitlines()
    assert ready == "overseerctl: ready"
    assert unhealthy == "overseerctl: unhealthy: exec sh: ended with status 1: gone"
    assert ended.startswith("overseerctl: exited with 0 after ")
    assert ended.endswith(" (unhealthy)")


def test_run_prints_it_as_json_too(ctl: Ctl) -> None:
    events = [json.loads(line) for line in ctl("run", "--json", "sick").out.splitlines()]
    assert [event["type"] for event in events] == ["started", "ready", "output", "health", "exited"]


def test_list_shows_it(ctl: Ctl, daemon: Daemon, tmp_path: Path) -> None:
    with daemon.connect() as client:
        client.request("start", action="served", task_id="a")
        client.expect("ready", task_id="a")
        client.request("start", action="lingers", task_id="b", params={"file": str(tmp_path / "none")})
        client.expect("health", task_id="b", status="unhealthy")
        lines = ctl("list").out.splitlines()
        states = {
            line.split()[0]: line[lines[0].index("STATUS") : lines[0].index("EXIT")].strip() for line in lines
        }
        assert (states["a"], states["b"]) == ("ready", "running, unhealthy")
        assert "\x1b[31mrunning, unhealthy" in ctl("list", "--color", "always").out
        for task_id in "ab":
            client.send("stop", task_id=task_id)
            client.expect("exited", task_id=task_id)


@pytest.mark.parametrize(
    ("action", "line"),
    [("served", "  ready: log serving; within 1m0s"),
     ("sick", "  health: exec sh -c 'echo gone; exit 1' every 10s; a failure stops it")],
)  # fmt: skip
def test_describe_says_how(ctl: Ctl, action: str, line: str) -> None:
    assert line in ctl("describe", action).out.splitlines()
