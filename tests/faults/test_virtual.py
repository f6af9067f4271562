"""Functions that ignore their stop: declared exited, silenced, counted while their threads live."""

from __future__ import annotations

import time
import urllib.request
from pathlib import Path

from tests.faults.support import FaultDaemon, wait_until
from tests.harness import ROOT, allowed

ACTIONS = {
    "ignore": {"type": "ignoring", "stop_grace": "300ms"},
    "release": {"type": "ignoring"},
}
MANY = 20


def abandoned(daemon: FaultDaemon) -> int:
    with urllib.request.urlopen(f"http://{daemon.address}/metrics", timeout=30) as response:
        text = response.read().decode()
    (line,) = [line for line in text.splitlines() if line.startswith("overseer_abandoned_workers ")]
    return int(float(line.split()[1]))


def test_they_are_abandoned_counted_silenced_and_forgotten_when_they_return_after_all() -> None:
    program = Path(__file__).parent / "ignoring.py"
    with FaultDaemon(actions=ACTIONS, program=program, environment={"PYTHONPATH": str(ROOT)}) as daemon:
        with daemon.connect() as client:
            for number in range(MANY):
                client.request("start", action="ignore", task_id=f"t{number}")
            for number in range(MANY):
                client.expect("output", task_id=f"t{number}")
            begun = time.monotonic()
            for number in range(MANY):
                client.send("stop", task_id=f"t{number}")
            for number in range(MANY):
                exited = client.expect("exited", task_id=f"t{number}")
                assert (exited["exit_code"], exited["intentional"]) == (-1, True)
            assert time.monotonic() - begun < allowed(5)
            assert abandoned(daemon) == MANY
            # Their ids are free, and so are their slots.
            client.request("start", action="ignore", task_id="t0")
            client.expect("output", task_id="t0")
            client.request("start", action="release")
            client.expect("exited", task_id="t0")
            wait_until(lambda: abandoned(daemon) == 0, what="the threads' end")
            said = [message["data"] for message in client.messages if message["type"] == "output"]
            assert said.count("too late") == 1  # of the one that was not stopped
        daemon.must_be_idle()


def test_at_the_end_they_hold_up_nothing() -> None:
    program = Path(__file__).parent / "ignoring.py"
    with FaultDaemon(actions=ACTIONS, program=program, environment={"PYTHONPATH": str(ROOT)}) as daemon:
        with daemon.connect() as client:
            for _ in range(5):
                client.request("start", action="ignore")
        begun = time.monotonic()
        daemon.stop()
        assert time.monotonic() - begun < allowed(4)
