"""Runs in cgroups of their own: the kernel's, and a tree that looks like one, for what this machine lacks."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.support import gone, wait_until
from tests.harness import ROOT, Daemon, WsClient, run_program
from tests.harness.cgroups import become_user_in, controllers, delegated

_LEAVE = "setsid -f sh -c 'echo $$; exec sleep 1000 >/dev/null 2>&1'"
_STARTER = ROOT / "tests/harness/started_as.py"
_FAKE = ROOT / "tests/harness/fake_cgroups.py"


def _action(script: str, **config: Any) -> dict[str, Any]:
    config = {"cgroup": {}, **config}
    return {"type": "exec", "config": {"entrypoint": "/bin/sh", "command": ["-c", script], **config}}


_ACTIONS = {
    "where": _action("grep 0:: /proc/self/cgroup"),
    "escapes": _action(f"env -i {_LEAVE}; exec sleep 1000"),
    "leaves": _action(_LEAVE),
    "fails": _action("true", cwd="/no/such"),
    "unlimited": _action("true", cgroup={"memory_max": "1GiB"}),
}


@pytest.fixture
def base() -> Iterator[Path]:
    with delegated() as path:
        yield path


@pytest.fixture
def server(base: Path) -> Iterator[Daemon]:
    with Daemon(
        actions=_ACTIONS, program=_STARTER, environment={"STARTED_AS": become_user_in(base)}
    ) as daemon:
        yield daemon


def _runs(base: Path) -> list[Path]:
    return [path for path in base.iterdir() if path.name.startswith("overseer-run-")]


def _leave(client: WsClient, action: str) -> int:
    """Start a task of this name, and return the pid of what has left its session and its pipes."""
    client.request("start", action=action, task_id=action)
    pid = int(client.expect("output", task_id=action)["data"])
    wait_until(lambda: Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"sleep"))
    return pid


def _kill(pid: int, run: Path) -> None:
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: "populated 0" in (run / "cgroup.events").read_text())


def test_a_run_has_its_own_which_is_removed_at_its_end(server: Daemon, base: Path) -> None:
    with server.connect() as client:
        _, (output,), _ = client.run("where")
        assert output["data"].startswith(f"0::/{base.name}/overseer-run-{server.pid}-")
        client.request("start", action="fails")
        wait_until(lambda: not _runs(base))


def test_a_stop_reaches_what_escapes_every_other_look(server: Daemon, base: Path) -> None:
    with server.connect() as client:
        escaped = _leave(client, "escapes")
        (run,) = _runs(base)
        assert str(escaped) in (run / "cgroup.procs").read_text().split()
        client.send(type="stop", task_id="escapes")
        client.expect("exited", task_id="escapes")
        assert gone(escaped)
        assert not _runs(base)


def test_what_lives_on_after_a_natural_end_keeps_it_until_the_next_start(server: Daemon, base: Path) -> None:
    with server.connect() as client:
        alive = _leave(client, "leaves")
        client.expect("exited", task_id="leaves")
        (run,) = _runs(base)
        _kill(alive, run)
        client.run("where")
        assert not _runs(base)


def test_of_a_killed_server_the_guardian_removes_them_or_the_next_one(base: Path) -> None:
    environment = {"STARTED_AS": become_user_in(base)}
    killed = Daemon(actions=_ACTIONS, program=_STARTER, environment=environment).start()
    try:
        with killed.connect() as client:
            alive = _leave(client, "leaves")
            client.expect("exited", task_id="leaves")
            (run,) = _runs(base)
            escaped = _leave(client, "escapes")
            killed.process.kill()
        wait_until(lambda: _runs(base) == [run])
        assert gone(escaped)
        _kill(alive, run)
        with Daemon(actions=_ACTIONS, program=_STARTER, environment=environment) as following:
            with following.connect() as client:
                client.run("where")
            assert not _runs(base)
    finally:
        killed.kill()


def test_what_runs_out_of_memory_says_so() -> None:
    if "memory" not in controllers():
        pytest.skip("no memory controller of version 2")
    with delegated("memory") as base:
        actions = {"eats": _action("tail /dev/zero", cgroup={"memory_max": "32MiB", "require": True})}
        environment = {"STARTED_AS": become_user_in(base)}
        with (
            Daemon(actions=actions, program=_STARTER, environment=environment) as daemon,
            daemon.connect() as client,
        ):
            assert client.run("eats")[2]["reason"] == "oom"


# What follows is told from files alone.


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "cgroup.controllers").write_text("cpu memory\n")
    for name in ("cgroup.procs", "cgroup.subtree_control", "cgroup.type"):
        (tmp_path / name).write_text("")
    return tmp_path


def _on(tree: Path, **actions: dict[str, Any]) -> Daemon:
    return Daemon(actions=actions, program=_FAKE, environment={"FAKE_CGROUP": str(tree)})


def test_limits_stand_in_the_files_and_what_is_missing_in_a_warning(tree: Path) -> None:
    script = f"cd {tree}/overseer-run-*-$OVERSEER_RUN_ID && cat memory.max cpu.max cgroup.procs; ls pids.max"
    limits = {"memory_max": "1GiB", "cpu_max": 1.5, "pids_max": 100}
    with _on(tree, limited=_action(script, cgroup=limits)) as daemon, daemon.connect() as client:
        _, outputs, _ = client.run("limited")
        lines = [output["data"] for output in outputs if output["stream"] == "stdout"]
        assert "".join(lines) == "1073741824150000 1000000"
        (info,) = client.request("describe")["actions"]
    assert info["settings"]["cgroup"] == "memory_max 1GiB, cpu_max 1.5, pids_max 100 (not available here)"
    warning = f"actions.limited.config.cgroup.pids_max: {tree} has no pids controller; tasks run without"
    assert warning in daemon.stderr
    assert (tree / "cgroup.subtree_control").read_text() == "+cpu +memory"


def test_a_run_of_which_the_kernel_killed_something_for_memory_ended_for_that(tree: Path) -> None:
    killed = f"echo oom_kill 1 > $(echo {tree}/overseer-run-*-$OVERSEER_RUN_ID)/memory.events"
    actions = {
        "killed": _action(f"{killed}; kill -9 $$"),
        "fails": _action(f"{killed}; exit 3"),
        "succeeds": _action(f"{killed}; exit 0"),
        "stopped": _action(f"{killed}; echo; sleep 1000"),
        "other": _action("kill -9 $$"),
    }
    with _on(tree, **actions) as daemon, daemon.connect() as client:
        reasons = {name: client.run(name)[2]["reason"] for name in ("killed", "fails", "succeeds", "other")}
        assert reasons == {"killed": "oom", "fails": "oom", "succeeds": "exited", "other": "signal"}
        assert {task["reason"] for task in client.request("list")["tasks"]} == {"oom", "exited", "signal"}
        client.request("start", action="stopped", task_id="stopped")
        client.expect("output", task_id="stopped")
        client.send(type="stop", task_id="stopped")
        assert client.expect("exited", task_id="stopped")["reason"] == "stopped"


def test_what_is_required_and_cannot_be_had_is_refused_at_load(tmp_path: Path, tree: Path) -> None:
    config = {"actions": {"a": _action("true", cgroup={"pids_max": 5, "require": True})}}
    (tmp_path / "config.yaml").write_text(json.dumps(config, indent=1))
    checked = run_program("--check", cwd=tmp_path, program=_FAKE, FAKE_CGROUP=str(tree))
    assert checked.returncode == 1
    assert f"actions.a.config.cgroup.pids_max: {tree} has no pids controller" in checked.stderr
    checked = run_program("--check", cwd=tmp_path, program=_FAKE, FAKE_CGROUP="")
    assert "actions.a.config.cgroup: this machine has no cgroup v2" in checked.stderr
