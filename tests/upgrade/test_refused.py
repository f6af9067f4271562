"""What cannot go over is named."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

from tests.faults.support import address_of
from tests.harness import ROOT, Daemon, shell
from tests.net.rawclient import http_request

_WAIT = 90.0
_PROGRAM = """
import sys, threading
import overseer
from overseer import ActionHandler, ActionInfo, ServiceHandler, start_virtual_worker

class Handler(ServiceHandler):
    def describe(self):
        return ActionInfo("virtual", "virtual")
    def validate(self, params):
        pass
    def start(self, task_id, params, callbacks):
        return start_virtual_worker(task_id, lambda context, send: context.wait(), callbacks)
    def run_service(self, stop, submitter):
        stop.wait()

class Factory:
    type = "virtual"
    def create(self, config, action_name, retry, pool, dedupe_key):
        return Handler()

overseer.register_factory(Factory())
if __name__ == "__main__":
    sys.exit(overseer.run_cli("1.0", ""))
"""


def _with_functions(tmp_path: Path, **settings: Any) -> Daemon:
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(_PROGRAM))
    return Daemon(
        program=program,
        environment={"PYTHONPATH": str(ROOT)},
        actions={"virtual": {"type": "virtual"}, "real": shell("sleep 60")},
        **settings,
    )


def test_functions_and_services_are_named_and_ended_only_by_force(tmp_path: Path):
    with _with_functions(tmp_path) as daemon, daemon.connect() as client:
        client.request("start", _WAIT, action="virtual", task_id="function")
        client.request("start", _WAIT, action="real", task_id="process")
        answer = client.request("upgrade", _WAIT)
        assert (answer["type"], answer["code"]) == ("error", "conflict")
        assert "the task function, the service of virtual" in answer["message"]
        assert client.info("function")["status"] == "running"
        reply = http_request(address_of(daemon), "/api/v1/upgrade", method="POST", timeout=_WAIT)
        problem = json.loads(reply.body)
        assert (reply.status, problem["code"]) == (409, "conflict")
        assert "the task function" in problem["detail"]
        answer = client.request("upgrade", _WAIT, check=True)
        assert (answer["ended"], answer["services"]) == (["function"], ["virtual"])
        assert answer["last"]["error"].startswith("these cannot go on")
        answer = client.request("upgrade", _WAIT, force=True)
        assert (answer["type"], answer["ended"], answer["tasks"]) == ("upgraded", ["function"], 1)
        assert client.expect("exited", _WAIT, task_id="function")["reason"] == "stopped"
        assert client.info("process")["status"] == "running"
        assert client.request("upgrade", _WAIT, check=True)["services"] == ["virtual"]  # it was begun again


def test_an_upgrade_waits_for_them_while_somebody_waits_for_it(tmp_path: Path):
    with _with_functions(tmp_path) as daemon, daemon.connect() as client:
        client.request("start", _WAIT, action="virtual", task_id="function")
        answer = client.request("upgrade", _WAIT, wait_ms=300)
        assert (answer["type"], answer["code"]) == ("error", "conflict")
        assert answer["message"] == "these have not ended in time: the task function, the service of virtual"
        with daemon.connect() as other:
            other.send("upgrade", wait_ms=600_000)
            daemon.wait_stderr("the upgrade waits for", _WAIT)
        daemon.wait_stderr("nobody waits for the upgrade any more", _WAIT)
        asked = client.send("upgrade", wait_ms=600_000)
        client.request("start", _WAIT, action="real", task_id="process")  # meanwhile it serves
        client.send("stop", task_id="function")
        answer = client.expect("upgraded", _WAIT, id=asked)
        assert (answer["tasks"], "ended" in answer) == (1, False)
        assert client.info("process")["status"] == "running"


def test_what_waits_for_them_can_still_be_forced(tmp_path: Path):
    with _with_functions(tmp_path) as daemon, daemon.connect() as client:
        client.request("start", _WAIT, action="virtual", task_id="function")
        asked = client.send("upgrade", wait_ms=600_000)
        daemon.wait_stderr("the upgrade waits for", _WAIT)
        answer = client.request("upgrade", _WAIT, force=True)
        assert (answer["type"], answer["ended"]) == ("upgraded", ["function"])
        assert client.expect("upgraded", _WAIT, id=asked)["ended"] == ["function"]


def test_a_server_on_stdio_cannot_be_upgraded():
    with Daemon(actions={}, listen="stdio") as daemon:
        answer = daemon.stdio().request("upgrade", _WAIT)
        assert "stdio" in answer["message"]
        daemon.process.stdin.close()
        daemon.wait()
