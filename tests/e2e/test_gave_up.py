"""That a task was given up is in the history, so that a later server still knows why it stays down."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from overseer.client import Client
from overseer.ctl import main
from overseer.history.database import MIGRATIONS, open_database
from tests.harness import Daemon, shell

_RETRY = {"restart_delay": "1ms", "error_threshold": 3}
_ACTIONS = {
    "hopeless": shell("exit 9", retry=_RETRY),
    "patient": shell("exit 9", retry={"restart_delay": "1h", "error_threshold": 3}),
    "once": shell("exit 9"),
    "nowhere": {
        "type": "exec",
        "config": {"entrypoint": "[[.path]]", "parameters": {"path": {}}},
        "retry": _RETRY,
    },
}


def _settings(tmp_path: Path) -> dict[str, Any]:
    return {"actions": _ACTIONS, "data_dir": str(tmp_path / "data")}


def test_the_last_run_of_a_task_that_was_given_up_says_so_also_after_a_restart(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Daemon(**_settings(tmp_path)) as daemon, daemon.connect() as client:
        client.request("start", action="hopeless", task_id="down")
        assert client.expect("errored")["exit_count"] == 3
        client.request("start", action="once", task_id="other")
        client.expect("exited", task_id="other")
        client.request("start", action="patient", task_id="waits")
        client.expect("restarting", task_id="waits")
        client.send("stop", task_id="waits")
        client.expect("dequeued", task_id="waits")
    with Daemon(**_settings(tmp_path)) as daemon:
        with Client(daemon.url) as library:
            assert library.tasks() == ()
            assert [run.gave_up for run in library.runs("down")] == [3, 0, 0]
            assert [run.gave_up for run in library.runs("other")] == [0]
            assert [run.gave_up for run in library.runs("waits")] == [0]
        monkeypatch.setenv("OVERSEER_URL", daemon.url)
        assert main(["history", "down"]) == 0
        first, second = capfd.readouterr().out.splitlines()[1:3]
        assert "gave up after 3 exits" in first
        assert "gave up" not in second


def test_a_program_that_could_not_be_started_again_is_given_up_too(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text('#!/bin/sh\nrm -f "$0"; exit 9\n')
    program.chmod(0o755)
    with Daemon(**_settings(tmp_path)) as daemon, daemon.connect() as client:
        client.request("start", action="nowhere", task_id="gone", params={"path": str(program)})
        client.expect("errored", task_id="gone")
        runs = client.request("runs", task_id="gone")["runs"]
        assert [(run["reason"], run.get("gave_up", 0)) for run in runs] == [
            ("start_failed", 3),
            ("start_failed", 0),
            ("exited", 0),
        ]
        assert "gave_up" not in runs[-1]


def test_an_older_database_learns_of_it(tmp_path: Path) -> None:
    path = tmp_path / "overseer.db"
    number = next(at for at, script in enumerate(MIGRATIONS) if "gave_up" in script)
    old = open_database(path, MIGRATIONS[:number])
    old.execute(
        "INSERT INTO runs (run_id, task_id, action, number, status, reason, failed, params, complete,"
        " trigger_type, trigger_by, started, first_seq, definition, server, resume)"
        " VALUES ('r', 't', 'a', 1, 'failed', 'exited', 1, '{}', 1, 'client', '', 1, 1, 'd', 's', 0)"
    )
    old.close()
    connection = open_database(path)
    assert connection.execute("SELECT run_id, gave_up FROM runs").fetchall() == [("r", 0)]
    assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    connection.close()
    kept = sqlite3.connect(path.with_name(f"overseer.db.v{number}"))
    assert kept.execute("SELECT count(*) FROM runs").fetchone() == (1,)
    kept.close()
