"""``--check`` of probes that cannot do what they are for."""

from __future__ import annotations

import json
from pathlib import Path

from tests.harness import shell
from tests.harness.daemon import run_program


def test_it_warns_of_what_will_not_work(tmp_path: Path) -> None:
    actions = {
        "stopped": shell("exec sleep 60", health={"tcp": ":80"}),
        "told": shell("exec sleep 60", health={"tcp": ":80", "on_failure": "none"}),
        "brought back": shell("exec sleep 60", health={"exec": ["true"]}, retry={"restart_delay": "1s"}),
        "absent": shell("exec sleep 60", ready={"exec": ["no-such-program"]}),
        "elsewhere": shell("exec sleep 60", ready={"exec": ["./check"]}),
        "open": shell(
            "exec sleep 60",
            config={"parameters": {"x": {}, "n": {"type": "integer"}, "v": {"validate": 'value != ""'}}},
            ready={"exec": ["sh", "-c", "test [[.x]] -lt [[.n]] -o [[.v]]"]},
        ),
    }
    tasks = {
        "plain": {"action": "absent"},
        "well": {"action": "told"},
        "waits": {"action": "told", "depends_on": {"plain": "healthy", "well": "healthy"}},
    }
    config = {"listen": "127.0.0.1:0", "actions": actions, "tasks": tasks}
    (tmp_path / "config.yaml").write_text(json.dumps(config, indent=1))
    done = run_program("--check", "--config", "config.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [line.partition(": ")[2].partition(": ")[2] for line in done.stderr.splitlines()] == [
        "actions.stopped.health: an unhealthy run is stopped, and without a retry nothing starts it again",
        "actions.absent.ready.exec: program not found: no-such-program",
        "tasks.waits.depends_on: plain is never healthy: its action, absent, has no health",
        "actions.open.ready.exec.2: x goes into a shell's script as it is, where it may end a word and begin "
        "a command: write [[ shquote .x ]], or give it a validate",
    ]
