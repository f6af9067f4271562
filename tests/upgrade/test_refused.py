"""What cannot go over is named."""

from __future__ import annotations

import json
import resource
from contextlib import ExitStack
from pathlib import Path

from tests.faults.support import address_of
from tests.harness import ROOT, Daemon, shell
from tests.net.rawclient import http_request
from tests.upgrade.support import FUNCTIONS, with_functions

_WAIT = 90.0


def test_functions_and_services_are_named_and_ended_only_by_force(tmp_path: Path):
    with with_functions(tmp_path) as daemon, daemon.connect() as client:
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
        assert answer["last"]["error"].startswith("these cannot survive")
        answer = client.request("upgrade", _WAIT, force=True)
        assert (answer["type"], answer["ended"], answer["tasks"]) == ("upgraded", ["function"], 1)
        assert client.expect("exited", _WAIT, task_id="function")["reason"] == "stopped"
        assert client.info("process")["status"] == "running"
        assert client.request("upgrade", _WAIT, check=True)["services"] == ["virtual"]  # it was begun again


def test_an_upgrade_waits_for_them_while_somebody_waits_for_it(tmp_path: Path):
    with with_functions(tmp_path) as daemon, daemon.connect() as client:
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
    with with_functions(tmp_path) as daemon, daemon.connect() as client:
        client.request("start", _WAIT, action="virtual", task_id="function")
        asked = client.send("upgrade", wait_ms=600_000)
        daemon.wait_stderr("the upgrade waits for", _WAIT)
        answer = client.request("upgrade", _WAIT, force=True)
        assert (answer["type"], answer["ended"]) == ("upgraded", ["function"])
        assert client.expect("upgraded", _WAIT, id=asked)["ended"] == ["function"]


def test_with_too_few_descriptors_it_is_refused_beforehand():
    with Daemon(actions={"real": shell("sleep 60")}) as daemon, ExitStack() as stack:
        client, *_ = [stack.enter_context(daemon.connect()) for _ in range(40)]
        client.request("start", _WAIT, action="real", task_id="real")
        before = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (150, before[1]))
        for check in (True, False):
            answer = client.request("upgrade", _WAIT, check=check)
            assert answer["message"].endswith("the limit (RLIMIT_NOFILE) is 150")
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, before)
        assert client.request("upgrade", _WAIT)["type"] == "upgraded"
        assert client.info("real")["status"] == "running"


def test_a_program_that_has_changed_its_path_goes_over(tmp_path: Path):
    program = tmp_path / "program.py"
    program.write_text("""
import pathlib, sys
import overseer
sys.path += [pathlib.Path("/none"), *(f"/none/{number:0100}" for number in range(2000))]
sys.exit(overseer.run_cli("1.0", ""))
""")
    settings = {"actions": {"real": shell("sleep 60")}, "environment": {"PYTHONPATH": str(ROOT)}}
    with Daemon(program=program, **settings) as daemon, daemon.connect() as client:
        client.request("start", _WAIT, action="real", task_id="real")
        assert client.request("upgrade", _WAIT)["type"] == "upgraded"
        assert client.info("real")["status"] == "running"


def test_a_slow_service_keeps_nobody_from_forcing_it(tmp_path: Path):
    slow = FUNCTIONS.replace("        stop.wait()\n", "        stop.wait(); threading.Event().wait()\n")
    with with_functions(tmp_path, slow) as daemon, daemon.connect() as client:
        asked = client.send("upgrade", wait_ms=600_000)
        daemon.wait_stderr("the upgrade waits for", _WAIT)
        answer = client.request("upgrade", _WAIT, force=True)
        assert answer["type"] == "upgraded"
        client.expect("upgraded", _WAIT, id=asked)


def test_a_server_on_stdio_cannot_be_upgraded():
    with Daemon(actions={}, listen="stdio") as daemon:
        answer = daemon.stdio().request("upgrade", _WAIT)
        assert "stdio" in answer["message"]
        daemon.process.stdin.close()
        daemon.wait()
