"""Records the state of a busy server: python -m tests.upgrade.record NAME, at least once for each format.

It is what the server of today hands over, and what that of tomorrow has to read (`test_state`).
"""

from __future__ import annotations

import gzip
import os
import sys
import tempfile
from pathlib import Path

from overseer.util.handover_format import FORMAT
from tests.harness import shell
from tests.upgrade.support import Installed

_ACTIONS = {
    "lone": shell("while :; do echo line; printf half; sleep 0.05; done", config={"stdin": "pipe"}),
    "failing": shell("exit 3", retry={"restart_delay": "1h", "error_threshold": 10}),
    "narrow": shell("sleep 60", task_pool={"limit": 1, "queue": {"enabled": True}}, timeout="1h"),
    "stubborn": shell("trap '' TERM; echo 1; while :; do sleep 0.05; done", stop_grace="1m"),
    "terminal": shell("sleep 60", config={"stdin": "pty"}),
    "secretive": shell("sleep 60", config={"parameters": {"password": {"type": "secret"}}}),
    "ready": shell("echo up; sleep 60", ready={"log": "up"}, health={"exec": ["true"], "interval": "1m"}),
    "over": shell("seq 1 300; exit 4"),
}  # fmt: skip
_SETTINGS = {
    "tasks": {
        "base": {"action": "ready"},
        "above": {"action": "lone", "depends_on": {"base": "healthy"}},
        "often": {"action": "over", "schedule": {"every": "1h"}},
    },
    "channels": {"ops": {"exec": ["true"]}},
    "notify": [{"on": ["failure"], "to": "ops"}],
}
_READ = "    given = Given.read(Succession(from_memory(state)), rehearsal=True)\n"


def record() -> bytes:
    """The state, as the program that follows is given it."""
    with tempfile.TemporaryDirectory() as directory:
        installed, file = Installed(Path(directory) / "program"), Path(directory) / "state"
        keep = f"    __import__('pathlib').Path({str(file)!r}).write_bytes(from_memory(state))\n"
        installed.change("overseer/daemon/takeover.py", _READ, keep + _READ)
        with installed.daemon(actions=_ACTIONS, **_SETTINGS) as daemon, daemon.connect() as client:
            for name in _ACTIONS:
                params = {"password": "correct-horse"} if name == "secretive" else None
                client.request("start", action=name, task_id=name, params=params)
            for number in range(3):
                client.request("start", action="narrow", task_id=f"narrow-{number}")
            client.request("start", task_id="above")
            client.expect("output", task_id="stubborn")
            client.expect("exited", task_id="over")
            client.expect("restarting", task_id="failing")
            client.request("input", task_id="lone", data="x" * 200_000)
            client.request("watch")
            client.send("stop", task_id="stubborn")
            answer = client.request("upgrade", check=True)
            assert answer["type"] == "upgraded", answer
            daemon.process.kill()
            daemon.process.wait()
            daemon.kill()
        return file.read_bytes()


if __name__ == "__main__":
    os.environ.setdefault("OVERSEER_CHECK_LOCKS", "")
    target = Path(__file__).parent / f"states/format-{FORMAT}-{sys.argv[1]}.gz"
    target.write_bytes(gzip.compress(record(), mtime=0))
    print(target, target.stat().st_size)
