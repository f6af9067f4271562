"""Standing tasks on the command line: started by name, completed, and shown with what they wait for."""

from __future__ import annotations

from tests.ctl.conftest import Ctl
from tests.harness import Daemon, shell

ACTIONS = {"sleep": shell("exec sleep 1000"), "fail": shell("exit 3")}
TASKS = {
    "web": {"action": "sleep", "depends_on": {"db": "ready", "schema": "succeeded"}},
    "schema": {"action": "fail"},
    "db": {"action": "sleep", "autostart": "true"},
}


def test_a_standing_task_is_started_by_its_name_and_shown_with_what_it_waits_for(
    ctl: Ctl, daemon: Daemon
) -> None:
    with daemon.connect() as client:
        for name in TASKS:
            client.request("subscribe", task_id=name)
        started = ctl("start", "web")
        assert started.out == "web\n"
        assert "it waits for " in started.err
        assert "schema succeeded (" in started.err
        client.expect("exited", task_id="schema")
        while client.info("db")["status"] != "running":  # each is a round trip
            pass
    assert ctl("graph").out.splitlines() == [
        "TASK    ACTION  STATUS   AUTOSTART  DEPENDS ON",
        "web     sleep   waiting  -          schema succeeded (failed), db ready",
        "schema  fail    failed   -          -",
        "db      sleep   running  true       -",
    ]
    (row,) = [line for line in ctl("list").out.splitlines() if line.startswith("web ")]
    assert row.split()[2] == "waiting"
    words = ctl("__complete", "start", "").out.split()
    assert set(words) == {"sleep", "fail", *TASKS}
